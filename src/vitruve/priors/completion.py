"""Poses with joints missing or wrong: what the prior thinks was there.

poses = complete(prior, rotations, known, hypotheses=5, generator=torch.Generator().manual_seed(0))
better = denoise(prior, rotations, noise=0.2)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vitruve.errors import UsageError, nearest
from vitruve.geometry.rotations import slerp
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
# Rounds of drawing what is missing anew, and how exactly given joints are met, as part of the joint's usual error.
_ROUNDS, _EXACT = 10, 0.5


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

    The first hypothesis is the most likely filling that was found. The others are drawn at random around what the known
    joints allow: one after another from the posterior of the pose as filled last.

    Args:
        prior: a trained prior.
        rotations: the poses; what stands at missing joints is not looked at.
        known: True for the joints that are there.
        hypotheses: fillings of each pose.
        generator: of what is drawn.
    """
    generator = generator or torch.Generator().manual_seed(0)
    dtype = prior.joint_error.dtype
    codes = torch.randn(_CANDIDATES, prior.latent, generator=generator)
    with torch.no_grad():
        candidates = prior.decode(codes)
    out = []
    for part in rotations.to(dtype).split(_CHUNK):
        start = codes.to(part)[_nearest(candidates, part, known, prior.joint_error, hypotheses)]
        target = part[:, None].expand(-1, hypotheses, -1, -1, -1)
        latent = _search(prior, target, known.to(dtype) / (_EXACT * prior.joint_error).square(), start)
        filled = _filled(prior.decode(latent), target, known)
        for _ in range(_ROUNDS if hypotheses > 1 else 0):
            drawn = prior.encode(filled[:, 1:]).sample(generator)
            filled = torch.cat([filled[:, :1], _filled(prior.decode(drawn), target[:, 1:], known)], 1)
        out.append(filled)
    return torch.cat(out).to(rotations)


def denoise(
    prior: Prior, rotations: Float[Tensor, "poses 21 3 3"], noise: float | Float[Tensor, "*#poses 21"]
) -> Float[Tensor, "poses 21 3 3"]:
    """What poses were before noise was added, as far as the prior can tell.

    The most likely code is looked for; each joint then ends between what the code decodes to and what was observed,
    the nearer to the observation the less noise there is compared with the network's usual error.

    Args:
        prior: a trained prior.
        rotations: observed.
        noise: radians, typical size of the error of a joint; of each joint where a tensor is given.
    """
    error = prior.joint_error
    level = torch.as_tensor(noise).to(error).expand(torch.broadcast_shapes(torch.as_tensor(noise).shape, (JOINTS,)))
    if bool((level < 0).any()):
        raise UsageError("noise cannot be negative", where=f"noise = {noise}", fix="give radians, 0.1 or so")
    out = []
    for start in range(0, len(rotations), _CHUNK):
        part = rotations[start : start + _CHUNK].to(error)
        here = level if level.dim() == 1 else level.expand(len(rotations), -1)[start : start + _CHUNK]
        weight = 1 / (error.square() + here.square())
        with torch.no_grad():
            code = prior.encode(part).mean
        likely = prior.decode(_search(prior, part, weight, code))
        out.append(slerp(likely, part, error.square() * weight))
    return torch.cat(out).to(rotations)


def _search(prior: Prior, target: Tensor, weight: Tensor, start: Tensor) -> Tensor:
    """Codes that decode to the target where it has weight, and are themselves likely."""
    latent = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([latent], _RATE)
    with torch.enable_grad():
        for step in range(_STEPS):
            optimiser.param_groups[0]["lr"] = _RATE * (1 - step / _STEPS)
            square = 0.5 * (prior.decode(latent) - target).square().sum((-2, -1))
            loss = 0.5 * (weight * square).sum() + 0.5 * latent.square().sum()
            (latent.grad,) = torch.autograd.grad(loss, latent)
            optimiser.step()
    return latent.detach()


def _nearest(candidates: Tensor, poses: Tensor, known: Tensor, error: Tensor, count: int) -> Tensor:
    """[poses, count] the candidates whose known joints are nearest."""
    weight = (known.to(error) / error.square())[:, None, None]
    # |a - b|^2 = |a|^2 + |b|^2 - 2 a b, and rotations all have the same length.
    likeness = (poses * weight).flatten(1) @ candidates.flatten(1).T
    return likeness.topk(count, 1).indices


def _filled(found: Tensor, target: Tensor, known: Tensor) -> Tensor:
    return torch.where(known[:, None, None], target, found.detach())
