"""Poses with joints missing: what the prior thinks was there.

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

_ARM, _LEG = ("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle", "foot")
PARTS: dict[str, tuple[str, ...]] = {
    **{f"{side}_arm": tuple(f"{side}_{joint}" for joint in _ARM) for side in ("left", "right")},
    **{f"{side}_leg": tuple(f"{side}_{joint}" for joint in _LEG) for side in ("left", "right")},
    "arms": tuple(f"{side}_{joint}" for side in ("left", "right") for joint in _ARM),
    "legs": tuple(f"{side}_{joint}" for side in ("left", "right") for joint in _LEG),
    "trunk": ("spine1", "spine2", "spine3"),
    "head": ("neck", "head"),
}
"""Parts of the body by name: the joints whose rotations move them."""

# Poses of the prior that a search starts from, poses worked on at a time, and steps of the search.
_CANDIDATES, _CHUNK, _STEPS, _RATE = 2048, 256, 80, 0.05
# Rounds of drawing what is missing anew.
_ROUNDS = 10
# A joint that is given costs at most about so much (in squares of its usual error, growing as their logarithm). One
# that the prior hardly knows to move, such as a collar that another skeleton turns, would else decide on all others.
_DOUBT = 4.0


def joint_mask(missing: Sequence[str]) -> Bool[Tensor, "21"]:
    """True for the joints that are there; `missing` are names of joints or of PARTS."""
    if not missing:
        raise UsageError("no joint is missing", fix=f"name some: {', '.join(PARTS)}, or joints such as {NAMES[0]}")
    known = torch.ones(JOINTS, dtype=torch.bool)
    for name in missing:
        joints = PARTS.get(name, (name,))
        for joint in joints:
            if joint not in NAMES:
                fix = nearest(joint, [*PARTS, *NAMES])
                raise UsageError(f"there is no joint or part '{joint}' among those of a prior", fix=fix)
            known[NAMES.index(joint)] = False
    return known


def complete(
    prior: Prior,
    rotations: Float[Tensor, "poses 21 3 3"],
    known: Bool[Tensor, "21"],
    hypotheses: int = 1,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "poses hypotheses 21 3 3"]:
    """Fill in missing joints; the others stay as they are.

    A prior that has learned to encode poses of which it sees a part gives what it expects as the first hypothesis, and
    draws the others from its posterior. Of any other, the first is the most likely filling that was found; the others
    are drawn one after another from the posterior of the pose as filled last.

    Args:
        prior: a trained prior.
        rotations: the poses; what stands at missing joints is not looked at.
        known: True for the joints that are there.
        hypotheses: fillings of each pose.
        generator: of what is drawn.
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
    """Codes that decode to the target where it has weight, and are themselves likely.

    Args:
        prior: a trained prior.
        target: poses.
        weight: of the squared angle of each joint, one over radians squared.
        start: codes to begin with.
        doubt: beyond about so much the cost of a joint grows as a logarithm.
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
    """[*batch, joints] about the weighted squared angle of each joint; far beyond `doubt` it grows as a logarithm."""
    square = 0.5 * weight * off.square().sum((-2, -1))
    return square if doubt == math.inf else doubt * torch.log1p(square / doubt)


def _nearest(candidates: Tensor, poses: Tensor, weight: Tensor, count: int) -> Tensor:
    """[poses, count] the candidates whose known joints are nearest."""
    misfit = torch.cat([_misfit(candidates - pose, weight, _DOUBT).sum(-1)[None] for pose in poses])
    return misfit.topk(count, 1, largest=False).indices


def _filled(found: Tensor, target: Tensor, known: Tensor) -> Tensor:
    return torch.where(known[:, None, None], target, found.detach())
