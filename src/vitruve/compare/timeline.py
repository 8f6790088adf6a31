"""Two clips on one time line: one frame rate, one beginning, the part that both have."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vitruve.compare.shift import ShiftEstimate
from vitruve.errors import BadData, UsageError
from vitruve.motion.performer import Performer, at_rate

# Rates that agree to this fraction are equal: over a minute at 120 fps they are less than a frame apart.
_SAME_RATE = 1e-4


@dataclass(frozen=True, eq=False)
class Common:
    """The part that both clips have.

    Attributes:
        first, second: both cut to it; frame i of one belongs to frame i of the other.
        shift: frame i of the first clip belongs to frame i + shift of the second, at the common rate.
        starts: the frames of the clips, at the common rate, at which the common part begins.
        left_out: how many frames of the first and of the second are outside it.
        estimate: the shift that the motions themselves suggest; None where they do not tell.
    """

    first: Performer
    second: Performer
    shift: int
    starts: tuple[int, int]
    left_out: tuple[int, int]
    estimate: ShiftEstimate | None


def same_rate(first: Performer, second: Performer) -> tuple[Performer, Performer, tuple[str, ...]]:
    """Both at the lower of the two rates, so that frames are left out rather than made up; and what was done."""
    if abs(first.fps / second.fps - 1) < _SAME_RATE:
        return first, replace(second, fps=first.fps), ()
    low, high = sorted((first, second), key=lambda side: side.fps)
    if high.kind == "meshes":
        low, high = high, low
    changed = at_rate(high, low.fps)
    note = f"{high.name} was brought from {high.fps:g} to {low.fps:g} fps, the rate of {low.name}"
    return (changed, second, (note,)) if high is first else (first, changed, (note,))


def common_part(first: Performer, second: Performer, shift: int | None, estimate: ShiftEstimate | None) -> Common:
    """Cut both to what they share.

    Args:
        first, second: at one rate.
        shift: frame i of the first belongs to frame i + shift of the second; that of the estimate where None.
        estimate: from `estimate_shift`.
    """
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


def parse_shift(text: str) -> int | str:
    """A number of frames, or "auto"."""
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise UsageError(
            f"'{text}' is no shift", where="--shift", fix="give a whole number of frames, or auto"
        ) from None
