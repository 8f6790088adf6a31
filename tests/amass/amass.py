"""Clips in the layouts of AMASS, made by code."""

from __future__ import annotations

from pathlib import Path

import numpy as np

COLUMNS = {"smpl": 72, "smplh": 156, "smplx": 165}


def arrays(make: str = "smplh", frames: int = 20, seed: int = 0, fps: float = 120.0) -> dict[str, np.ndarray]:
    """The members of a clip's npz; some vectors are longer than pi."""
    generator = np.random.default_rng(seed)
    rate = "mocap_frame_rate" if make == "smplx" else "mocap_framerate"
    return {
        "poses": np.cumsum(generator.normal(scale=0.15, size=(frames, COLUMNS[make])), 0) + generator.normal(size=3)[0],
        "trans": generator.normal(size=(frames, 3)),
        "betas": generator.normal(size=16),
        "gender": np.array("female"),
        rate: np.array(fps),
    }


def write(path: Path, make: str = "smplh", frames: int = 20, seed: int = 0, packed: bool = False, **changes) -> Path:
    """Write a clip; `changes` replace members."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save = np.savez_compressed if packed else np.savez
    save(path, **{**arrays(make, frames, seed), **changes})
    return path


def tree(root: Path, sets: dict[str, int], frames: int = 20, make: str = "smplh", seed: int = 0) -> Path:
    """`sets` names how many clips each set gets; two to a subject, of different lengths."""
    ending = {"smplh": "_poses", "smplx": "_stageii"}[make]
    for number, (name, clips) in enumerate(sets.items()):
        np_shape = root / name / "s0" / "shape.npz"
        np_shape.parent.mkdir(parents=True, exist_ok=True)
        np.savez(np_shape, betas=np.zeros(16), gender="female")
        for i in range(clips):
            own = seed + 1000 * number + i
            write(root / name / f"s{i // 2}" / f"clip_{i}{ending}.npz", make, frames + 3 * i, own)
    return root


def content(store: Path) -> dict[str, bytes]:
    """All files of a store that hold data."""
    return {
        file.relative_to(store).as_posix(): file.read_bytes()
        for file in sorted(store.rglob("*"))
        if file.is_file() and file.name not in (".lock", "run.toml")
    }
