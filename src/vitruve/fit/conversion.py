"""The result of converting a motion to a body: the new motion, its error against the source, and warnings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from vitruve.errors import BadData
from vitruve.fit.quality import ErrorReport
from vitruve.motion import Motion

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Measured:
    """The error of a conversion, and whether to trust it.

    Attributes:
        error: distance of the result's surface to the source's.
        warnings: for the user, one sentence each.
        trusted: False if the result should be inspected before use.
        failed: [frames] True where the fit failed; the result is masked there too.
        seconds: time by stage.
    """

    error: ErrorReport
    warnings: tuple[str, ...]
    trusted: bool
    failed: Tensor
    seconds: Mapping[str, float]

    def describe(self, result: object) -> str:
        """A line for a repr: the result, its error, and its problems if it has any."""
        parts = [str(result), str(self.error)] + ([] if self.trusted else ["NOT TRUSTED"])
        if self.failed.any():
            parts.append(f"{int(self.failed.sum()):,} of {len(self.failed):,} failed")
        parts += [f"warning: {text}" for text in self.warnings]
        return f"{type(self).__name__}({', '.join(parts)})"


@dataclass(frozen=True, eq=False, repr=False)
class Conversion(Measured):
    """A converted motion: `motion` is on the target body; the other fields are those of `Measured`."""

    motion: Motion

    def __repr__(self) -> str:
        return self.describe(self.motion)


class Stopwatch:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """End a stage, and begin the next."""
        now = time.perf_counter()
        self.seconds[stage], self._last = now - self._last, now


def check_some_data(motion: Motion) -> None:
    """Raise if every frame is masked, since then there is nothing to fit."""
    if motion.mask is not None and not motion.mask.any():
        raise BadData(
            "no frame of the motion is valid",
            where=f"{motion.source.file or 'motion.mask'}: all of its {len(motion)} frames are masked",
            fix="inspect the file: vitruve info FILE",
        )
