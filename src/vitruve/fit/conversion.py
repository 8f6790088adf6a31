"""The result of converting a motion to a body: the new motion, its error against the source, and warnings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from vitruve.errors import BadData
from vitruve.fit.quality import ErrorReport, in_words
from vitruve.motion import Motion

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Conversion:
    """The result of a conversion.

    Attributes:
        motion: on the target body.
        error: distance of its surface to the source's.
        warnings: for the user, one sentence each.
        trusted: False if the result should be inspected before use.
        failed: [frames] True for frames whose fit failed; they are masked in `motion` too.
        seconds: time by stage.
    """

    motion: Motion
    error: ErrorReport
    warnings: tuple[str, ...]
    trusted: bool
    failed: Tensor
    seconds: Mapping[str, float]

    def __repr__(self) -> str:
        return f"Conversion({self.motion}, {self.error}{in_words(self.trusted, self.failed, self.warnings)})"


def check_some_data(motion: Motion) -> None:
    """Raise if every frame is masked, since then there is nothing to fit."""
    if motion.mask is not None and not motion.mask.any():
        raise BadData(
            "no frame of the motion is valid",
            where=f"{motion.source.file or 'motion.mask'}: all of its {len(motion)} frames are masked",
            fix="inspect the file: vitruve info FILE",
        )
