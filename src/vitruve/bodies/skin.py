"""Linear blend skinning with correctives: exact, and fast because its blocks fit the CPU cache.

A patch of skin depends on few joints and few pose correctives. The vertices are split once by the joint that moves
them most (small patches, such as those of a hand, are merged). Each part keeps only the joints and corrective features
that are not zero there. The products become small, dense and cache-sized, with the same result as the full matrices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

import torch
from jaxtyping import Float
from torch import Tensor

# Poses skinned at a time: large enough for an efficient matrix product, small enough to bound memory (about 50 MB on
# 10,000 vertices in float32).
POSES_AT_A_TIME = 128
# Held while the skin of a whole body is split, so that threads that share the body split it once.
SPLIT_LOCK = Lock()
# A smaller part is merged into its parent joint's: below this, the overhead of a product exceeds what it saves.
LEAST_VERTICES = 300


@dataclass(frozen=True, eq=False)
class SkinPart:
    """The vertices that one joint, or a few neighbouring ones, move most.

    Attributes:
        vertices: [n] indices.
        joints: [k] indices of all joints that move them.
        weights: [k, n].
        features: [f] indices of the pose correctives that affect them.
        pose_basis: [f, 3 n], coordinates first (x of all vertices, then y, then z).
        expression_basis: [expressions, 3 n], likewise; no rows where no expression has an effect.
    """

    vertices: Tensor
    joints: Tensor
    weights: Tensor
    features: Tensor
    pose_basis: Tensor
    expression_basis: Tensor


@dataclass(frozen=True, eq=False)
class Skin:
    """All parts, and the permutation that puts their vertices back into mesh order."""

    parts: tuple[SkinPart, ...]
    back: Tensor

    def map(self, function: Callable[[Tensor], Tensor]) -> Skin:
        """The skin with a function applied to every tensor (another device or precision)."""
        parts = tuple(SkinPart(*(function(value) for value in vars(part).values())) for part in self.parts)
        return Skin(parts, function(self.back))


def split_skin(
    weights: Float[Tensor, "vertices joints"],
    pose_basis: Float[Tensor, "features coordinates"] | None,
    expression_basis: Float[Tensor, "vertices 3 expressions"],
    parents: tuple[int, ...],
) -> Skin:
    """Split a body's skin into parts."""
    main = weights.argmax(1)
    for joint in range(len(parents) - 1, 0, -1):
        own = main == joint
        if own.sum() < LEAST_VERTICES:
            main[own] = parents[joint]
    parts = []
    for joint in main.unique().tolist():
        vertices = (main == joint).nonzero()[:, 0]
        joints = weights[vertices].ne(0).any(0).nonzero()[:, 0]
        if pose_basis is None:
            features, basis = vertices[:0], weights.new_zeros(0, 3 * len(vertices))
        else:
            basis = pose_basis.unflatten(1, (-1, 3)).index_select(1, vertices)
            features = basis.flatten(1).any(1).nonzero()[:, 0]
            # Select the few features first: transposing costs more than selecting.
            basis = basis[features].transpose(1, 2).flatten(1)
        expression = expression_basis[vertices].permute(2, 1, 0).flatten(1)
        if not expression.any():
            expression = expression[:0]
        parts.append(
            SkinPart(vertices, joints, weights[vertices][:, joints].T.contiguous(), features, basis, expression)
        )
    order = torch.cat([part.vertices for part in parts]) if parts else weights.new_zeros(0, dtype=torch.long)
    return Skin(tuple(parts), order.argsort())


def pose_skin(
    skin: Skin,
    transforms: Float[Tensor, "poses joints 3 4"],
    features: Float[Tensor, "poses features"],
    expression: Float[Tensor, "poses expressions"] | None,
    rest: Tensor,
) -> Float[Tensor, "poses vertices 3"]:
    """Vertices of a batch of poses.

    Args:
        transforms: per joint [R | o]: a rest point x bound to it moves to R x + o.
        features: the entries of R - I of all joints but the root.
        expression: coefficients, or None.
        rest: [vertices, 3] one shape, or [poses, vertices, 3].
    """
    poses = len(transforms)
    by_entry = transforms.flatten(2).transpose(1, 2)  # [poses, 12, joints]
    moved = []
    for part in skin.parts:
        at_rest = rest[..., part.vertices, :].transpose(-1, -2).flatten(-2)
        if len(part.features):
            rows = features if len(part.features) == features.shape[1] else features[:, part.features]
            at_rest = torch.addmm(at_rest, rows, part.pose_basis)
        if expression is not None and len(part.expression_basis):
            at_rest = torch.addmm(at_rest, expression, part.expression_basis[: expression.shape[1]])
        x, y, z = at_rest.expand(poses, -1).unflatten(1, (3, 1, -1)).unbind(1)
        blended = by_entry[:, :, part.joints].flatten(0, 1) @ part.weights
        r_x, r_y, r_z, offset = blended.unflatten(0, (poses, 3, 4)).unbind(2)
        moved.append(torch.addcmul(torch.addcmul(torch.addcmul(offset, r_x, x), r_y, y), r_z, z))
    return torch.cat(moved, -1).transpose(1, 2)[:, skin.back]
