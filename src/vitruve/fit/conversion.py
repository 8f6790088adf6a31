"""What comes of bringing a motion to a body: the motion there, how far it is from its source, and its warnings."""

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
        error: how far its surface is from the source's.
        warnings: what a user must know, one sentence each.
        trusted: False where the result should not be used without a look.
        failed: [frames] True where the fit of a frame failed; such frames are masked in `motion` too.
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
    """Raise where every frame is masked: there is nothing to fit to, and no error to tell."""
    if motion.mask is not None and not motion.mask.any():
        raise BadData(
            "no frame of the motion holds numbers",
            where=f"{motion.source.file or 'motion.mask'}: all of its {len(motion)} frames are masked",
            fix="look at the file: vitruve info FILE",
        )
