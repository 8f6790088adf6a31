"""More poses than the data show: mirrored, with joints turned, with parts of the body hidden from the encoder."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vitruve.priors.completion import joint_mask
from vitruve.priors.recipe import Recipe
from vitruve.priors.vposer import JOINTS
from vitruve.skeletons import load_skeleton

_PAIRS = {left: right for pair in load_skeleton("smpl24").pairs for left, right in (pair, pair[::-1])}
# Which joint stands where each does in a mirror.
_OTHER_SIDE = [_PAIRS.get(joint, joint) - 1 for joint in range(1, JOINTS + 1)]
# What is hidden together.
_HIDDEN = ("left_arm", "right_arm", "left_leg", "right_leg", "trunk", "head")


@dataclass(frozen=True, eq=False)
class Shown:
    """A batch as a step learns from it.

    Attributes:
        wanted: [poses, 21, 3] axis-angle of what is to be decoded.
        seen: [poses, 21, 3] what is encoded.
        known: [poses, 21] False for joints of `seen` that are hidden from the encoder; None where all are seen.
        kl_factors: [poses] how much the divergence of each counts; None where all do.
    """

    wanted: Tensor
    seen: Tensor
    known: Tensor | None = None
    kl_factors: Tensor | None = None


def show(vectors: Float[Tensor, "poses 21 3"], recipe: Recipe) -> Shown:
    """A batch as a recipe wants it shown."""
    count, device = len(vectors), vectors.device
    factors = known = None
    if recipe.mirror:
        some = torch.rand(count, 1, 1, device=device) < recipe.mirror
        vectors = torch.where(some, mirrored_poses(vectors), vectors)
    if recipe.turned:
        turned = torch.rand(count, device=device) < recipe.turned
        angle = recipe.turned_by * torch.rand(count, device=device) * turned
        vectors = turned_poses(vectors, angle[:, None, None])
        factors = torch.where(turned, recipe.turned_kl, 1.0)
    seen = turned_poses(vectors, recipe.noise) if recipe.noise else vectors
    if recipe.masked:
        known = seen_joints(count, recipe.masked, recipe.masked_parts, device)
    return Shown(vectors, seen, known, factors)


def mirrored_poses(vectors: Float[Tensor, "*batch 21 3"]) -> Float[Tensor, "*batch 21 3"]:
    """Axis-angle of poses as a mirror shows them: left and right change places."""
    flipped = vectors[..., _OTHER_SIDE, :]
    return flipped * flipped.new_tensor([1.0, -1.0, -1.0])


def turned_poses(vectors: Float[Tensor, "*batch 21 3"], angle: float | Tensor) -> Float[Tensor, "*batch 21 3"]:
    """Poses with every joint turned at random, vectors still no longer than half a turn.

    To first order a turn adds up with the vector.

    Args:
        vectors: axis-angle.
        angle: standard deviation about each axis, radians; of each pose [*batch, 1, 1] where a tensor is given.
    """
    moved = vectors + angle * torch.randn_like(vectors)
    length = moved.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    return torch.where(length > torch.pi, moved * (1 - 2 * torch.pi / length), moved)


def seen_joints(poses: int, share: float, parts: float, device: torch.device) -> Bool[Tensor, "poses 21"]:
    """True for the joints that the encoder is to see: of a share of the poses some parts of the body are hidden.

    Args:
        poses: how many.
        share: part of them from which anything may be hidden.
        parts: how often each of arms, legs, trunk and head is.
        device: of the result.
    """
    hidden = torch.stack([~joint_mask([name]) for name in _HIDDEN]).to(device)
    drawn = torch.rand(poses, len(_HIDDEN), device=device) < parts
    drawn &= torch.rand(poses, 1, device=device) < share
    return ~(drawn.float() @ hidden.float()).bool()
