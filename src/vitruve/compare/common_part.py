"""Two clips at one frame rate, cut to their common part."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vitruve.compare.shift import ShiftEstimate
from vitruve.errors import BadData, UsageError
from vitruve.motion.performer import Performer, at_rate

# Rates are equal within this fraction: less than a frame per minute at 120 fps.
_SAME_RATE = 1e-4


@dataclass(frozen=True, eq=False)
class Common:
    """The common part of two clips, at the common rate.

    Attributes:
        first, second: cut to the common part, with equal frame numbers.
        shift: frame i of the first clip corresponds to frame i + shift of the second.
        starts: the first common frame of each clip.
        left_out: the number of frames of each clip outside the common part.
        estimate: the estimated shift, if any.
    """

    first: Performer
    second: Performer
    shift: int
    starts: tuple[int, int]
    left_out: tuple[int, int]
    estimate: ShiftEstimate | None


def same_rate(first: Performer, second: Performer) -> tuple[Performer, Performer, tuple[str, ...]]:
    """Both at the lower of the two rates, so that no frames are interpolated; and notes about the change."""
    if abs(first.fps / second.fps - 1) < _SAME_RATE:
        return first, replace(second, fps=first.fps), ()
    low, high = sorted((first, second), key=lambda side: side.fps)
    if high.kind == "meshes":
        low, high = high, low
    changed = at_rate(high, low.fps)
    note = f"{high.name} was brought from {high.fps:g} to {low.fps:g} fps, the rate of {low.name}"
    return (changed, second, (note,)) if high is first else (first, changed, (note,))


def common_part(first: Performer, second: Performer, shift: int | None, estimate: ShiftEstimate | None) -> Common:
    """Cut both, at one rate, to their common part; the default shift is that of the estimate."""
    if shift is None:
        shift = 0 if estimate is None else estimate.frames
    start = max(0, -shift)
    count = min(len(first) - start, len(second) - start - shift)
    if count < 1:
        raise BadData(
            "the two motions have no time in common",
            where=f"{len(first)} and {len(second)} frames at {first.fps:g} fps, shifted by {shift}",
            fix="give another --shift, or --shift auto",
        )
    return Common(
        first=first[start : start + count],
        second=second[start + shift : start + shift + count],
        shift=shift,
        starts=(start, start + shift),
        left_out=(len(first) - count, len(second) - count),
        estimate=estimate,
    )


def parse_shift(shift: int | str) -> int | None:
    """A number of frames; None for "auto"."""
    try:
        return None if shift == "auto" else int(shift)
    except ValueError:
        fix = "give an integer number of frames, or auto"
        raise UsageError(f"'{shift}' is not a shift", where="shift", fix=fix) from None
