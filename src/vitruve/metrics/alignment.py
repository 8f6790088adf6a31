"""Align one set of points with another by least squares: a rigid transform or a similarity."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.geometry.rotations import nearest_rotation

# Fewer points do not determine a rotation.
_LEAST_POINTS = 3


@dataclass(frozen=True, eq=False)
class Placement:
    """Maps a point p to scale R p + shift; one for all frames, or one per frame.

    Attributes:
        rotation: [*batch, 3, 3].
        shift: [*batch, 3] metres.
        scale: [*batch].
    """

    rotation: Float[Tensor, "*batch 3 3"]
    shift: Float[Tensor, "*batch 3"]
    scale: Float[Tensor, "*batch"]

    def apply(self, points: Float[Tensor, "*batch points 3"]) -> Float[Tensor, "*batch points 3"]:
        """The transformed points."""
        turned = points @ self.rotation.to(points).mT
        return self.scale.to(points)[..., None, None] * turned + self.shift.to(points)[..., None, :]

    def of_frames(self, frames: Tensor | slice) -> Placement:
        """The placements of some frames; one for all frames is returned as it is."""
        if self.shift.dim() == 1:
            return self
        return Placement(self.rotation[frames], self.shift[frames], self.scale[frames])


def placement(
    moved: Float[Tensor, "*batch points 3"], fixed: Float[Tensor, "*batch points 3"], scale: bool = False
) -> Placement:
    """The transform that aligns the moved points with the fixed ones by least squares.

    With the points about their means, X and Y, the rotation is the one nearest to sum y x^T (orthogonal Procrustes,
    determinant +1); the scale is trace(R^T sum y x^T) / sum |x|^2. Points that are NaN on either side are ignored.
    With fewer than three points left, the placement is NaN.

    Args:
        moved: points to align.
        fixed: their targets, in the same order.
        scale: also estimate the scale; otherwise it is one.
    """
    known = moved.isfinite().all(-1) & fixed.isfinite().all(-1)
    weights = known.to(moved)[..., None]
    count = weights.sum(-2)
    moved, fixed = (torch.where(known[..., None], points, torch.zeros_like(points)) for points in (moved, fixed))
    means = [(points * weights).sum(-2) / count.clamp_min(1) for points in (moved, fixed)]
    x, y = ((points - mean[..., None, :]) * weights for points, mean in zip((moved, fixed), means))
    covariance = y.mT @ x
    rotation = nearest_rotation(covariance)
    size = torch.ones_like(count[..., 0])
    if scale:
        spread = (x * x).sum((-1, -2))
        size = (rotation * covariance).sum((-1, -2)) / spread.clamp_min(torch.finfo(spread.dtype).tiny)
    shift = means[1] - size[..., None] * (rotation @ means[0][..., None])[..., 0]
    lost = count[..., 0] < _LEAST_POINTS
    return Placement(rotation, shift.masked_fill(lost[..., None], torch.nan), size)
