"""A small store for tests of windows: several rates, a clip with invalid frames, short clips, several bodies."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.amass.amass import arrays, write
from tests.material import small_motion
from vitruve import save_motion
from vitruve.data import Store, open_store
from vitruve.data.prepare import prepare

# Of the clip with invalid frames: those, at 60 fps.
INVALID = (0, 40, 41, 42, 70, 99)


def window_store(room: Path) -> Store:
    """CMU at 120 fps, KIT at 100 fps, lab at 60 fps with invalid frames, own on SMPL-X with a face, at 30 fps."""
    for number, (name, fps, frames) in enumerate(
        [("CMU/01/a", 120.0, 203), ("CMU/01/b", 120.0, 20), ("KIT/3/c", 100.0, 151), ("SFU/2/d", 60.0, 100)]
    ):
        members = arrays(frames=frames, seed=number, fps=fps)
        if name.endswith("d"):
            members["poses"][list(INVALID)] = np.nan
        write(room / "AMASS" / f"{name}_poses.npz", **members)
    save_motion(small_motion("smplx", frames=33), room / "own" / "someone" / "talk.safetensors")
    prepare([room / "AMASS", room / "own"], room / "store")
    return open_store(room / "store")
