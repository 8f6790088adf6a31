"""Export: how long each file of a 600-frame clip takes on the open SMPL-X body: python bench/export.py

The start of the process, with imports and loading the body and the clip, is timed by itself. Every export is done in
full, with the measurement of the skinned mesh, and what is written is removed again. The first run of a body also
splits its skin. The bar is the GLB's: under 3 s, the first one too.
"""

from __future__ import annotations

import time

_START = time.perf_counter()

import argparse  # noqa: E402 (what is imported is timed)
import sys  # noqa: E402
import tempfile  # noqa: E402
from dataclasses import replace  # noqa: E402
from pathlib import Path  # noqa: E402

import torch  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from vitruve.bodies import load_body  # noqa: E402
from vitruve.cli.bench import bench_clip  # noqa: E402
from vitruve.formats.exporters.export_motion import export_motion  # noqa: E402
from vitruve.motion import Motion  # noqa: E402
from vitruve.skeletons import load_skeleton  # noqa: E402

_BAR_SECONDS = 3.0
_JOBS = (
    ("GLB", "a.glb", {}),
    ("GLB with 10 expressions", "b.glb", {"morphs": "expression"}),
    ("USD, binary", "c.usdc", {}),
    ("BVH", "d.bvh", {}),
    ("npz of the Blender add-on", "e.npz", {}),
    ("PLY, 60 frames", "f", {"format": "ply"}),
    ("OBJ, 60 frames", "g", {"format": "obj"}),
)


def on_smplx(motion: Motion) -> Motion:
    """The clip on SMPL-X's joints: the rotations of the joints with the same names, and an expression that moves."""
    skeleton = load_skeleton("smplx55")
    rotations = torch.eye(3, dtype=motion.dtype).expand(len(motion), len(skeleton), 3, 3).clone()
    same = [name for name in skeleton.names if name in motion.skeleton.names]
    rotations[:, [skeleton.index(name) for name in same]] = motion.rotations[
        :, [motion.skeleton.index(name) for name in same]
    ]
    expression = torch.sin(torch.arange(len(motion))[:, None] / 20 + torch.arange(10)).to(motion.dtype)
    source = replace(motion.source, extras={})
    return motion.replace(rotations=rotations, skeleton=skeleton, body="smplx", expression=expression, source=source)


def main() -> int:
    """Print the table; 1 where the bar is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    body = load_body("open-smplx-neutral")
    motion = on_smplx(bench_clip(arguments.frames))
    started = time.perf_counter() - _START
    table = Table("export", "first s", "best s", "median s", "MB", title=f"{len(motion)} frames on {body.name}")
    met = True
    with tempfile.TemporaryDirectory() as folder:
        for what, name, options in _JOBS:
            clip = motion[:60] if "format" in options else motion
            seconds = []
            for _ in range(arguments.rounds):
                start = time.perf_counter()
                done = export_motion(clip, Path(folder) / name, body=body, overwrite=True, **options)
                seconds.append(time.perf_counter() - start)
            best, median = min(seconds), sorted(seconds)[len(seconds) // 2]
            met &= not name.endswith(".glb") or seconds[0] < _BAR_SECONDS
            table.add_row(what, *(f"{value:.2f}" for value in (seconds[0], best, median)), f"{done.bytes / 1e6:.1f}")
    console = Console()
    console.print(table)
    console.print(
        f"start of the process, body and clip loaded: {started:.1f} s; torch threads {torch.get_num_threads()}"
    )
    console.print(f"bar: GLB under {_BAR_SECONDS:g} s: {'met' if met else 'NOT MET'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
