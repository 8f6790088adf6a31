"""How a motion goes through the world: smoothness, drift, the floor. Metres and seconds; NaN does not count."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.metrics.alignment import placement

# A frame is below the floor from this depth on, metres: a sole is soft, and a millimetre is rounding.
_BELOW = 0.001


def acceleration(points: Float[Tensor, "frames points 3"], fps: float) -> float:
    """Mean length of the second difference of positions, times fps^2: m/s^2."""
    return _mean_difference(points, fps, 2)


def jitter(points: Float[Tensor, "frames points 3"], fps: float) -> float:
    """Mean length of the third difference of positions, times fps^3: m/s^3. Recorded walking has tens to hundreds."""
    return _mean_difference(points, fps, 3)


def drift(first: Float[Tensor, "frames 3"], second: Float[Tensor, "frames 3"]) -> Float[Tensor, "frames"]:
    """|(first_t - first_0) - (second_t - second_0)|: how far two ways have come apart since they began, metres.

    They begin at the first frame that both know.
    """
    known = (first.isfinite() & second.isfinite()).all(-1).nonzero()
    if not len(known):
        return torch.full_like(first[:, 0], torch.nan)
    apart = first - second
    return (apart - apart[known[0, 0]]).norm(dim=-1)


def trajectory_error(first: Float[Tensor, "frames 3"], second: Float[Tensor, "frames 3"]) -> float:
    """Mean distance of two ways after one rigid transform for the clip, as a fraction of the first way's length.

    NaN for ways of less than a centimetre: a fraction of nothing means nothing.
    """
    length = float((first[1:] - first[:-1]).norm(dim=-1).nansum())
    if length < 0.01:
        return float("nan")
    laid = placement(second, first).apply(second)
    return float((first - laid).norm(dim=-1).nanmean()) / length


@dataclass(frozen=True)
class Penetration:
    """How deep a motion goes below the floor.

    Attributes:
        mean: metres, the mean of max(0, floor - lowest) over all known frames.
        deepest: metres.
        share: of the known frames that are more than a millimetre below.
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
