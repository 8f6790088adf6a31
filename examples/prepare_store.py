"""Bring recordings into a clip store, and draw poses from it."""

from pathlib import Path

import vitruve
from vitruve.data import open_store
from vitruve.data.prepare import prepare
from vitruve.motion import bundled_clip_path

# The layout of AMASS: set / subject / clip. Here the bundled clip in four parts stands for recordings.
motion = vitruve.load_motion(bundled_clip_path())
for number in range(4):
    file = Path(f"recordings/CMU/0{number + 1}/walk_poses.npz")
    file.parent.mkdir(parents=True)
    motion[150 * number : 150 * (number + 1)].save(file)

prepare(["recordings"], "motions")
store = open_store("motions")
rows = store.sample(fraction=0.3, central=0.8, seed=0)  # frame numbers; nothing is copied
print(f"{len(store.clips)} clips; axis-angle of {len(rows)} poses:", tuple(store.body(rows).shape))
