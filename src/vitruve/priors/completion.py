"""Completion of poses with missing joints.

poses = complete(prior, rotations, known, hypotheses=5, generator=torch.Generator().manual_seed(0))
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vitruve.errors import UsageError, nearest
from vitruve.priors.prior import Prior
from vitruve.priors.vposer import JOINTS
from vitruve.skeletons import load_skeleton

NAMES = load_skeleton("smpl24").names[1 : JOINTS + 1]
"""The joints of a prior, in order."""

_LIMBS = {"arm": ("shoulder", "elbow", "wrist"), "leg": ("hip", "knee", "ankle", "foot")}
_SIDES = ("left", "right")
PARTS: dict[str, tuple[str, ...]] = {
    **{f"{side}_{limb}": tuple(f"{side}_{n}" for n in joints) for limb, joints in _LIMBS.items() for side in _SIDES},
    **{f"{limb}s": tuple(f"{side}_{n}" for side in _SIDES for n in joints) for limb, joints in _LIMBS.items()},
    "trunk": ("spine1", "spine2", "spine3"),
    "head": ("neck", "head"),
}
"""Parts of the body: the joints whose rotations move them."""

# Random poses from which a search starts, poses in one block, steps of the search and their learning rate.
_CANDIDATES, _CHUNK, _STEPS, _RATE = 2048, 256, 80, 0.05
# How often the missing joints are drawn again.
_ROUNDS = 10
# Beyond about this many squares of its usual error, the cost of a known joint grows as a logarithm. Otherwise a joint
# that the prior hardly moves, such as a collar turned by another skeleton, would dominate all others.
_DOUBT = 4.0


def joint_mask(missing: Sequence[str]) -> Bool[Tensor, "21"]:
    """True for known joints; `missing` are names of joints or of PARTS."""
    if not missing:
        raise UsageError("no joint is missing", fix=f"name some: {', '.join(PARTS)}, or joints such as {NAMES[0]}")
    known = torch.ones(JOINTS, dtype=torch.bool)
    for name in missing:
        for joint in PARTS.get(name, (name,)):
            if joint not in NAMES:
                fix = nearest(joint, [*PARTS, *NAMES])
                raise UsageError(f"a prior has no joint or part '{joint}'", fix=fix)
            known[NAMES.index(joint)] = False
    return known


def complete(
    prior: Prior,
    rotations: Float[Tensor, "poses 21 3 3"],
    known: Bool[Tensor, "21"],
    hypotheses: int = 1,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "poses hypotheses 21 3 3"]:
    """Fill in missing joints; known joints keep their rotations.

    If the prior `sees_parts`, the first hypothesis is decoded from the mean of its posterior, and the others from
    random samples. Otherwise the first is the most likely completion found by a search, and the others are drawn by
    encoding and sampling the completed pose several times.

    Args:
        prior: a trained prior.
        rotations: the poses; values of missing joints are ignored.
        known: True for known joints.
        hypotheses: number of completions of each pose.
        generator: for the random samples.
    """
    generator = generator or torch.Generator().manual_seed(0)
    fill = _expected if prior.sees_parts else _most_likely
    known = known.to(prior.joint_error.device)
    parts = rotations.to(prior.joint_error).split(_CHUNK)
    return torch.cat([fill(prior, part, known, hypotheses, generator) for part in parts]).to(rotations)


def _expected(prior: Prior, poses: Tensor, known: Tensor, hypotheses: int, generator: torch.Generator) -> Tensor:
    posterior = prior.encode(poses, known)
    latents = [posterior.mean, *(posterior.sample(generator) for _ in range(hypotheses - 1))]
    target = poses[:, None].expand(-1, hypotheses, -1, -1, -1)
    return _filled(prior.decode(torch.stack(latents, 1)), target, known)


def _most_likely(prior: Prior, poses: Tensor, known: Tensor, hypotheses: int, generator: torch.Generator) -> Tensor:
    weight = known.to(poses) / prior.joint_error.square()
    codes = torch.randn(_CANDIDATES, prior.latent, generator=torch.Generator().manual_seed(0)).to(poses)
    start = codes[_nearest(prior.decode(codes), poses, weight, hypotheses)]
    target = poses[:, None].expand(-1, hypotheses, -1, -1, -1)
    latent = likely_codes(prior, target, weight, start, _DOUBT)
    filled = _filled(prior.decode(latent), target, known)
    for _ in range(_ROUNDS if hypotheses > 1 else 0):
        drawn = prior.encode(filled[:, 1:]).sample(generator)
        filled = torch.cat([filled[:, :1], _filled(prior.decode(drawn), target[:, 1:], known)], 1)
    return filled


def likely_codes(
    prior: Prior,
    target: Float[Tensor, "*batch 21 3 3"],
    weight: Float[Tensor, "*#batch 21"],
    start: Float[Tensor, "*batch latent"],
    doubt: float = math.inf,
) -> Float[Tensor, "*batch latent"]:
    """Likely codes that decode to the target where it has weight.

    Args:
        weight: of the squared angle of each joint, one over radians squared.
        start: initial codes.
        doubt: beyond about this cost, the cost of a joint grows as a logarithm.
    """
    latent = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([latent], _RATE)
    with torch.enable_grad():
        for step in range(_STEPS):
            optimiser.param_groups[0]["lr"] = _RATE * (1 - step / _STEPS)
            loss = 0.5 * (_misfit(prior.decode(latent) - target, weight, doubt).sum() + latent.square().sum())
            (latent.grad,) = torch.autograd.grad(loss, latent)
            optimiser.step()
    return latent.detach()


def _misfit(off: Tensor, weight: Tensor, doubt: float) -> Tensor:
    """[*batch, joints] about the weighted squared angle of each joint; far beyond `doubt` its logarithm."""
    square = 0.5 * weight * off.square().sum((-2, -1))
    return square if doubt == math.inf else doubt * torch.log1p(square / doubt)


def _nearest(candidates: Tensor, poses: Tensor, weight: Tensor, count: int) -> Tensor:
    """[poses, count] indices of the candidates with the nearest known joints."""
    misfit = torch.cat([_misfit(candidates - pose, weight, _DOUBT).sum(-1)[None] for pose in poses])
    return misfit.topk(count, 1, largest=False).indices


def _filled(decoded: Tensor, target: Tensor, known: Tensor) -> Tensor:
    return torch.where(known[:, None, None], target, decoded.detach())
