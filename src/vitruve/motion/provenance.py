"""What an edit leaves behind in a motion's source: one sentence, and no per-frame extras that no longer fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from vitruve.motion.motion import Motion


def edited(motion: Motion, note: str, **changes: Any) -> Motion:
    """A changed copy whose source says what was done.

    Extras of the file that run over the frames (markers, soft tissue) were recorded with the old frames in the old
    world. They are dropped, and the note says which.

    Args:
        motion: what is changed.
        note: one sentence without the full stop, for example "mirrored across x = 0".
        changes: fields of the new motion.
    """
    extras, frames = motion.source.extras, len(motion)
    kept = {
        key: value
        for key, value in extras.items()
        if not (isinstance(value, Tensor | np.ndarray) and value.ndim > 0 and len(value) == frames)
    }
    dropped = [key for key in extras if key not in kept]
    if dropped:
        note += f" (dropped with it: {', '.join(dropped)})"
    source = replace(motion.source, extras=kept, notes=(*motion.source.notes, note))
    return motion.replace(source=source, **changes)
