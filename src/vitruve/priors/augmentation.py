"""Augmented training poses: mirrored, with random rotations, with parts of the body hidden from the encoder."""

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
# For each joint, the joint on the other side.
_MIRRORED = [_PAIRS.get(joint, joint) - 1 for joint in range(1, JOINTS + 1)]
_HIDDEN_PARTS = ("left_arm", "right_arm", "left_leg", "right_leg", "trunk", "head")


@dataclass(frozen=True, eq=False)
class Augmented:
    """A batch after augmentation.

    Attributes:
        target: [poses, 21, 3] axis-angle that should be decoded.
        encoded: [poses, 21, 3] axis-angle that is encoded.
        known: [poses, 21] False for joints that are hidden from the encoder; None if all are visible.
        kl_factors: [poses] factor of each divergence; None for ones.
    """

    target: Tensor
    encoded: Tensor
    known: Tensor | None = None
    kl_factors: Tensor | None = None


def augment(vectors: Float[Tensor, "poses 21 3"], recipe: Recipe) -> Augmented:
    """Augment a batch as the recipe says."""
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
    encoded = turned_poses(vectors, recipe.noise) if recipe.noise else vectors
    if recipe.masked:
        known = visible_joints(count, recipe.masked, recipe.masked_parts, device)
    return Augmented(vectors, encoded, known, factors)


def mirrored_poses(vectors: Float[Tensor, "*batch 21 3"]) -> Float[Tensor, "*batch 21 3"]:
    """Mirrored poses, axis-angle: left and right are swapped."""
    flipped = vectors[..., _MIRRORED, :]
    return flipped * flipped.new_tensor([1.0, -1.0, -1.0])


def turned_poses(vectors: Float[Tensor, "*batch 21 3"], angle: float | Tensor) -> Float[Tensor, "*batch 21 3"]:
    """Poses with every joint turned at random; vectors stay at most half a turn long.

    Args:
        vectors: axis-angle; rotations are added as vectors, which is right to first order.
        angle: standard deviation about each axis, radians; a number, or [*batch, 1, 1].
    """
    moved = vectors + angle * torch.randn_like(vectors)
    length = moved.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    return torch.where(length > torch.pi, moved * (1 - 2 * torch.pi / length), moved)


def visible_joints(poses: int, masked: float, masked_parts: float, device: torch.device) -> Bool[Tensor, "poses 21"]:
    """A random mask, False for joints hidden from the encoder; the probabilities are those of `Recipe`."""
    joints = torch.stack([~joint_mask([name]) for name in _HIDDEN_PARTS]).to(device)
    hidden = torch.rand(poses, len(_HIDDEN_PARTS), device=device) < masked_parts
    hidden &= torch.rand(poses, 1, device=device) < masked
    return ~(hidden.float() @ joints.float()).bool()
