"""Metrics in the world: smoothness, drift, floor penetration. Metres and seconds; NaN is ignored."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.metrics.alignment import placement

# Tolerance of floor penetration, metres: a sole is soft, and a millimetre is rounding.
_BELOW = 0.001


def acceleration(points: Float[Tensor, "frames points 3"], fps: float) -> float:
    """Mean length of the second difference of positions, times fps^2: m/s^2."""
    return _mean_difference(points, fps, 2)


def jitter(points: Float[Tensor, "frames points 3"], fps: float) -> float:
    """Mean length of the third difference of positions, times fps^3: m/s^3. Recorded walking has tens to hundreds."""
    return _mean_difference(points, fps, 3)


def drift(first: Float[Tensor, "frames 3"], second: Float[Tensor, "frames 3"]) -> Float[Tensor, "frames"]:
    """|(first_t - first_0) - (second_t - second_0)|: how far two paths have drifted apart since their start, metres.

    The start is the first frame that is valid in both.
    """
    known = (first.isfinite() & second.isfinite()).all(-1).nonzero()
    if not len(known):
        return torch.full_like(first[:, 0], torch.nan)
    apart = first - second
    return (apart - apart[known[0, 0]]).norm(dim=-1)


def trajectory_error(first: Float[Tensor, "frames 3"], second: Float[Tensor, "frames 3"]) -> float:
    """Mean distance of two paths after one rigid alignment of the clip, as a fraction of the first path's length.

    NaN for paths shorter than a centimetre.
    """
    length = float((first[1:] - first[:-1]).norm(dim=-1).nansum())
    if length < 0.01:
        return float("nan")
    aligned = placement(second, first).apply(second)
    return float((first - aligned).norm(dim=-1).nanmean()) / length


@dataclass(frozen=True)
class Penetration:
    """How deep a motion goes below the floor.

    Attributes:
        mean: metres, the mean of max(0, floor - lowest) over all valid frames.
        deepest: metres.
        share: share of valid frames that are more than a millimetre below the floor.
    """

    mean: float
    deepest: float
    share: float


def penetration(lowest: Float[Tensor, "frames"], floor: float = 0.0) -> Penetration:
    """How deep the lowest point of each frame is below the floor.

    Args:
        lowest: height of each frame's lowest vertex or joint, metres.
        floor: height of the floor, metres.
    """
    depth = (floor - lowest[lowest.isfinite()]).clamp_min(0)
    if not len(depth):
        return Penetration(float("nan"), float("nan"), float("nan"))
    return Penetration(float(depth.mean()), float(depth.max()), float((depth > _BELOW).double().mean()))


def _mean_difference(points: Tensor, fps: float, order: int) -> float:
    return float((torch.diff(points, n=order, dim=0) * fps**order).norm(dim=-1).nanmean())
