"""Measure a conversion: distances between the source's surface and the result's, and added jitter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vitruve.metrics import SurfaceMeter


@dataclass(frozen=True)
class Limits:
    """Errors in millimetres above which a result is not trusted: the mean, and that of the worst frame."""

    mean: float
    frame: float


# Beyond these the surface is visibly elsewhere.
SURFACE_LIMITS = Limits(20.0, 40.0)


@dataclass(frozen=True, eq=False)
class ErrorReport:
    """Distances in millimetres, over the frames that were measured.

    Attributes:
        frames: [measured] indices of the frames.
        per_frame, per_frame_max: [measured] mean and maximum over the points.
        groups: mean by part of the body.
        mean, p95, max: over all points and measured frames.
        jitter: mean length of the residual's second difference in time, mm per frame squared.
        map_residual: mean round-trip error of the surface map alone, which no fit can reduce.
        points: number of points measured per frame.
    """

    frames: Int[Tensor, "measured"]
    per_frame: Float[Tensor, "measured"]
    per_frame_max: Float[Tensor, "measured"]
    groups: Mapping[str, float]
    mean: float
    p95: float
    max: float
    jitter: float
    map_residual: float
    points: int

    def __repr__(self) -> str:
        return (
            f"ErrorReport(mean {self.mean:.2f} mm, 95 % below {self.p95:.2f} mm, largest {self.max:.2f} mm; "
            f"jitter added {self.jitter:.2f} mm a frame squared; {self.points} points in {len(self.frames):,} frames)"
        )

    @property
    def worst(self) -> list[int]:
        """The five measured frames with the largest mean error, worst first."""
        return self.frames[self.per_frame.argsort(descending=True)[:5]].tolist()

    def curve(self, most: int = 150) -> dict[str, list[float]]:
        """Error over time for a plot; for long clips, of each group of frames the one with the largest mean."""
        together = max(1, -(-len(self.frames) // most))
        parts = self.per_frame.split(together)
        chosen = torch.tensor([i * together + int(part.argmax()) for i, part in enumerate(parts) if len(part)]).long()
        return {
            "frame": self.frames[chosen].tolist(),
            "mean_mm": [round(value, 3) for value in self.per_frame[chosen].tolist()],
            "max_mm": [round(value, 3) for value in self.per_frame_max[chosen].tolist()],
        }

    def as_dict(self) -> dict[str, object]:
        """For results.json."""
        return {
            "error_mm": {"mean": self.mean, "p95": self.p95, "max": self.max, "groups": dict(self.groups)},
            "jitter_mm": self.jitter,
            "map_residual_mm": self.map_residual,
            "worst_frames": self.worst,
            "points": self.points,
        }


def error_report(meter: SurfaceMeter, map_residual: float) -> ErrorReport:
    """The figures of a meter, without masked frames. `map_residual` is that of the surface map, millimetres."""
    known = ~meter.per_frame.isnan()
    return ErrorReport(
        frames=meter.frames[known],
        per_frame=1000 * meter.per_frame[known],
        per_frame_max=1000 * meter.per_frame_max[known],
        groups={name: 1000 * float(values.nanmean()) for name, values in meter.per_part.items()},
        mean=1000 * meter.mean,
        p95=1000 * meter.quantile(0.95),
        max=1000 * meter.largest,
        jitter=0.0 if math.isnan(meter.jitter) else 1000 * meter.jitter,
        map_residual=map_residual,
        points=meter.vertices,
    )


def is_trusted(error: ErrorReport, failed: Bool[Tensor, "frames"], limits: Limits = SURFACE_LIMITS) -> bool:
    """False if the result should be inspected before use."""
    return error.mean <= limits.mean and float(error.per_frame.max()) <= limits.frame and not bool(failed.any())


def doubts(
    error: ErrorReport, failed: Bool[Tensor, "frames"], too_large: str, limits: Limits = SURFACE_LIMITS
) -> list[str]:
    """The reasons why a result is not trusted, one sentence each; `too_large` explains a mean above the limit."""
    warnings = []
    if failed.any():
        first = failed.nonzero()[:5, 0].tolist()
        warnings.append(f"{int(failed.sum())} frames could not be fitted and are masked, the first are {first}")
    if error.mean > limits.mean:
        warnings.append(f"the mean error is {error.mean:.1f} mm: {too_large}")
    elif float(error.per_frame.max()) > limits.frame:
        warnings.append(f"some frames are off by more than {limits.frame:.0f} mm, the worst are {error.worst}")
    return warnings


def shape_doubt(shape_given: bool) -> str:
    """The likely reason of a large mean error after a conversion between two bodies."""
    return "the given shape differs" if shape_given else "check that the source body is the right one"
