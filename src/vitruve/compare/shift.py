"""Estimates the time shift between two clips from how the bodies bend."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

# Of all shifts within this factor of the best, the smallest is taken.
_BETTER = 0.98
# Smallest overlap of two clips, as a fraction of the shorter one.
_LEAST_OVERLAP = 0.5


@dataclass(frozen=True)
class ShiftEstimate:
    """A shift and its benefit.

    Attributes:
        frames: frame i of the first corresponds to frame i + frames of the second.
        here, there: root mean square difference of the points' distances to their centre, metres, without and with the
            shift.
    """

    frames: int
    here: float
    there: float


def estimate_shift(
    first: Float[Tensor, "frames points 3"], second: Float[Tensor, "others points 3"]
) -> ShiftEstimate | None:
    """The shift at which two clips bend most alike; None if a clip has less than five frames or does not move.

    It compares each point's distance to the centre of all points, minus its mean over the overlap, so position, heading
    and proportions do not matter. All shifts are tried that overlap by half of the shorter clip.
    """
    from scipy.signal import correlate

    if min(len(first), len(second)) < 5 or not first.shape[1]:
        return None
    (x, known_x), (y, known_y) = _bending(first), _bending(second)
    if min(float(x.abs().max()), float(y.abs().max())) < 1e-4:
        return None

    def over_shifts(ours: Tensor, theirs: Tensor) -> Tensor:
        """Element k is the sum over i of theirs[i + k - (frames of the first - 1)] ours[i]."""
        return torch.from_numpy(correlate(theirs.numpy(), ours.numpy(), method="fft"))

    overlap = over_shifts(known_x, known_y).round()
    count = overlap.clamp_min(1)
    cost = torch.zeros_like(overlap)
    for a, b in zip(x.T, y.T):
        squares = over_shifts(a * a, known_y) + over_shifts(known_x, b * b) - 2 * over_shifts(a, b)
        means = (over_shifts(a, known_y) - over_shifts(known_x, b)) / count
        cost += (squares / count - means * means) / x.shape[1]
    cost = cost.clamp_min(0)
    least = _LEAST_OVERLAP * min(float(known_x.sum()), float(known_y.sum()))
    cost = cost.masked_fill(overlap < max(least, 3), torch.inf)
    shifts = torch.arange(len(cost)) - (len(first) - 1)
    # The Fourier transforms round: differences below a tenth of a millimetre are ignored.
    alike = cost <= cost.min() / _BETTER**2 + 1e-8
    best = int(shifts[alike][shifts[alike].abs().argmin()])
    none = float(cost[len(first) - 1])
    return ShiftEstimate(best, none**0.5, float(cost[best + len(first) - 1]) ** 0.5)


def _bending(points: Tensor) -> tuple[Tensor, Tensor]:
    """[frames, points] distances to the centre minus their means, zero if unknown; and [frames] one if known."""
    known = points.isfinite().flatten(1).all(1)
    filled = torch.where(known[:, None, None], points, 0.0).double()
    away = (filled - filled.mean(1, keepdim=True)).norm(dim=-1)
    away = away - away[known].mean(0) if known.any() else away
    return torch.where(known[:, None], away, 0.0), known.double()
