"""The most memory that `vitruve convert` uses for a long clip, with and without the page.

    python bench/memory.py [--frames 120200]

The clip is the bundled one, played back and forth and written in double precision as AMASS files are: 120,200 frames
are a third of an hour at 100 frames a second.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from vitruve.motion.clips import bundled_clip_path

_BAR = 2000.0  # megabytes of a million bytes


def main() -> None:
    """Measure, print, and end with status 1 where the bar is not met."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=120_200)
    frames = parser.parse_args().frames
    most = 0.0
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "long_poses.npz"
        _write_long(clip, frames)
        for more in ("--no-report", "--report"):
            out = Path(folder) / f"out{more}.npz"
            bodies = ["--from", "open-smplh", "--to", "open-smplx"]
            command = [sys.executable, "-m", "vitruve", "convert", str(clip), *bodies, "--out", str(out)]
            subprocess.run(command + [more] * (more == "--no-report"), check=True, capture_output=True)
            # The largest of all children so far: the command without the page comes first, since it needs less.
            most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (
                1e6 if sys.platform == "darwin" else 1e3 / 1.024
            )
            print(f"{frames:,} frames, {'with' if more == '--report' else 'without'} the page: at most {most:,.0f} MB")
    print(f"the bar, below {_BAR:,.0f} MB: {'pass' if most < _BAR else 'FAIL'}")
    sys.exit(most >= _BAR)


def _write_long(path: Path, frames: int) -> None:
    with np.load(bundled_clip_path()) as clip:
        arrays = dict(clip)
    length = len(arrays["poses"])
    for name in ("poses", "trans", "dmpls"):
        there_and_back = np.concatenate([arrays[name], arrays[name][::-1]]).astype(np.float64)
        arrays[name] = np.tile(there_and_back, (frames // (2 * length) + 1, 1))[:frames]
    np.savez(path, **arrays)


if __name__ == "__main__":
    main()
