"""How many frames one clip comes after another, found from how the bodies bend."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

# A shift must explain the motion better than none by this factor, and of several that do the smallest is taken.
_BETTER = 0.98
# Two clips overlap at every shift that is looked at by at least this share of the shorter one.
_LEAST_OVERLAP = 0.5


@dataclass(frozen=True)
class ShiftEstimate:
    """A shift and what it is worth.

    Attributes:
        frames: frame i of the first belongs to frame i + frames of the second.
        here, there: root mean square difference of the points' distances to their middle, metres, without a shift and
            with this one.
    """

    frames: int
    here: float
    there: float


def estimate_shift(
    first: Float[Tensor, "frames points 3"], second: Float[Tensor, "others points 3"]
) -> ShiftEstimate | None:
    """The shift at which two clips bend most alike.

    What is compared is each point's distance to the middle of all points, less its mean over the clip: place, heading
    and proportions do not count. Every shift that leaves half of the shorter clip is looked at, by Fourier transforms.

    Returns:
        The estimate; None where a clip is shorter than five frames or nothing moves.
    """
    from scipy.signal import correlate

    if min(len(first), len(second)) < 5 or not first.shape[1]:
        return None
    values, known = zip(*(_bending(points) for points in (first, second)))
    if any(float(value.abs().max()) < 1e-4 for value in values):
        return None
    # Element k of a correlation is the sum over i of second[i + k - (frames - 1)] first[i].
    sums = torch.zeros(len(first) + len(second) - 1, dtype=torch.float64)
    for x, y in zip(values[0].T, values[1].T):
        pieces = ((known[0] * x * x, known[1]), (known[0], known[1] * y * y), (known[0] * x, -2 * known[1] * y))
        sums += sum(torch.from_numpy(correlate(b.numpy(), a.numpy(), method="fft")) for a, b in pieces)
    overlap = torch.from_numpy(correlate(known[1].numpy(), known[0].numpy(), method="fft")).round()
    cost = (sums / (overlap.clamp_min(1) * values[0].shape[1])).clamp_min(0)
    least = _LEAST_OVERLAP * min(float(known[0].sum()), float(known[1].sum()))
    cost = cost.masked_fill(overlap < max(least, 3), torch.inf)
    shifts = torch.arange(len(cost)) - (len(first) - 1)
    # Rounding of the transforms: a tenth of a millimetre is no difference.
    alike = cost <= cost.min() / _BETTER**2 + 1e-8
    best = int(shifts[alike][shifts[alike].abs().argmin()])
    none = float(cost[len(first) - 1])
    return ShiftEstimate(best, none**0.5, float(cost[best + len(first) - 1]) ** 0.5)


def _bending(points: Tensor) -> tuple[Tensor, Tensor]:
    """[frames, points] distances to the middle about their means, zero where unknown; and [frames] which are known."""
    known = points.isfinite().flatten(1).all(1)
    filled = torch.where(known[:, None, None], points, 0.0).double()
    away = (filled - filled.mean(1, keepdim=True)).norm(dim=-1)
    away = away - away[known].mean(0) if known.any() else away
    return torch.where(known[:, None], away, 0.0), known.double()
