"""Errors of joints or any other points, in metres and degrees; NaN is ignored."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from vitruve.geometry.rotations import geodesic_distance
from vitruve.metrics.alignment import placement
from vitruve.metrics.world import acceleration


def position_errors(
    first: Float[Tensor, "*batch points 3"], second: Float[Tensor, "*batch points 3"]
) -> Float[Tensor, "*batch points"]:
    """|first - second|: the distance of each point to its counterpart, metres."""
    return (first - second).norm(dim=-1)


def mpjpe(first: Float[Tensor, "*batch joints 3"], second: Float[Tensor, "*batch joints 3"]) -> float:
    """Mean per-joint position error: the mean of |first - second| over all frames and joints, metres."""
    return float(position_errors(first, second).nanmean())


def root_relative(points: Float[Tensor, "*batch points 3"], root: int = 0) -> Float[Tensor, "*batch points 3"]:
    """Positions relative to the root, metres: p_j - p_root."""
    return points - points[..., root : root + 1, :]


def pa_mpjpe(first: Float[Tensor, "*batch joints 3"], second: Float[Tensor, "*batch joints 3"]) -> float:
    """Procrustes-aligned error: `mpjpe` after aligning the second with the first in every frame, metres.

    Each frame of the second is aligned by a least-squares similarity (rotation, shift, scale), so position, heading
    and size do not count. Distances are at the scale of the first.
    """
    return mpjpe(first, placement(second, first, scale=True).apply(second))


def acceleration_error(
    first: Float[Tensor, "frames points 3"], second: Float[Tensor, "frames points 3"], fps: float
) -> float:
    """Mean length of the second difference of first - second, times fps^2: m/s^2."""
    return acceleration(first - second, fps)


def angle_errors(first: Float[Tensor, "*batch 3 3"], second: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch"]:
    """The angle between two rotations, in [0, 180] degrees."""
    return geodesic_distance(first, second) * (180 / math.pi)
