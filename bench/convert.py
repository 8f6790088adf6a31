"""Conversion: speed, accuracy and memory, ours and smplfitter's, in one run: python bench/convert.py

Pairs of bodies: the open body from its SMPL+H to its SMPL-X layout (two meshes), and the pair of `surrogate.py` (one
mesh, everything else different). Every method converts from file to file in a process of its own; the processes take
turns. smplfitter is used if it is installed. The last table holds the bars that a release has to pass.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from surrogate import surrogate_pair
from vitruve.bodies import BodyModel, load_body
from vitruve.cli.bench import bench_clip, bench_table
from vitruve.convert import convert_motion
from vitruve.convert.bench import (
    OURS,
    TRANSFER_TOOL_SECONDS,
    Row,
    against_peers,
    compare,
    run_case,
    write_case,
)
from vitruve.convert.bench_workers import Method
from vitruve.formats import load_motion
from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance
from vitruve.motion import Motion, resample

_COMPILE = """
import time, numba
from vitruve.fit.moments import compiled
start = time.process_time()
compiled()
print(time.process_time() - start)
"""
_BANDAI = "bandai-namco-2/dataset-2_walk_normal_001.bvh"


@dataclass(frozen=True)
class Bar:
    """A figure and what it must be: at least, or below."""

    what: str
    found: float
    limit: float
    at_least: bool = False

    @property
    def passed(self) -> bool:
        """Whether it is met."""
        return self.found >= self.limit if self.at_least else self.found < self.limit


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=601)
    parser.add_argument("--long", type=int, default=20_000, help="frames of the long clip")
    parser.add_argument("--single", type=int, default=10_175, help="single poses")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{os.cpu_count()} processor cores, {arguments.threads} threads, load before the run {load:.1f}, ", end="")
    print(f"matrix product {matrix_rate() / 1e9:.0f} GFLOP/s, torch {torch.__version__}")
    compile_seconds = first_compile()
    print(f"compiling the solver, once for a machine: {compile_seconds:.1f} s\n")

    with tempfile.TemporaryDirectory() as folder:
        rows, notes = comparisons(Path(folder), arguments)
        rows += long_clips(Path(folder), arguments)
    Console(width=150).print(bench_table(rows))
    for note in dict.fromkeys(notes):
        print(note)
    bars = [Bar("compiling the solver, s", compile_seconds, 5.0), *speed_bars(rows, arguments)]
    bars += [*round_trip(), *same_body(), single_poses(arguments.single)]
    Console(width=150).print(bars_table(bars))
    ours = next(row for row in rows if row.method == OURS)
    times = ours.frames_per_second * TRANSFER_TOOL_SECONDS
    print(
        f"The transfer tool of the smplx package takes {TRANSFER_TOOL_SECONDS:.0f} s a frame as published (not measured"
    )
    print(f"here): {times:,.0f} times the frames a second. On a GPU: not measured.")
    if arguments.json:
        figures: dict[str, Any] = {
            "rows": [row.as_dict() for row in rows],
            "bars": [vars(bar) | {"passed": bar.passed} for bar in bars],
            "notes": notes,
        }
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def matrix_rate() -> float:
    """Floating-point operations a second of a large float32 matrix product: what this machine gives at this moment."""
    a, best = torch.randn(2048, 2048), float("inf")
    for _ in range(8):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2 * 2048**3 / best


def first_compile() -> float:
    """Processor seconds to compile the step where nothing is kept from earlier, without the import of the compiler."""
    with tempfile.TemporaryDirectory() as empty:
        environment = os.environ | {"NUMBA_CACHE_DIR": empty}
        done = subprocess.run(
            [sys.executable, "-c", _COMPILE], env=environment, capture_output=True, text=True, check=True
        )
    return float(done.stdout.split()[-1])


def comparisons(folder: Path, arguments: argparse.Namespace) -> tuple[list[Row], list[str]]:
    """Both pairs on the clip with hands, and the open pair on recorded walking where that is at hand."""
    clip = bench_clip(arguments.frames)
    cases = [("open body", *open_pair(), clip), ("surrogate", *surrogate_pair(), clip)]
    notes = []
    recorded = bandai_walk(arguments.frames)
    if recorded is None:
        notes.append("Bandai-Namco clips: not found, set VITRUVE_TEST_DATA to the folder that holds bandai-namco-2")
    else:
        cases.append(("open body, Bandai-Namco", *open_pair(), recorded))
    rows: list[Row] = []
    for name, source, target, motion in cases:
        place = folder / name.replace(" ", "_").replace(",", "")
        place.mkdir()
        found, said = compare(
            place, name, source, target, motion, rounds=arguments.rounds, threads=arguments.threads, progress=_say
        )
        rows, notes = rows + found, notes + said
    return rows, notes


def open_pair() -> tuple[BodyModel, BodyModel]:
    """The open body's two meshes, with as many betas as AMASS has."""
    return load_body("open-smplh-neutral", num_betas=16), load_body("open-smplx-neutral", num_betas=16)


def bandai_walk(frames: int) -> Motion | None:
    """A recorded walk, brought to the open body and to 120 frames a second; None where the data set is absent."""
    from vitruve.retarget.retarget import retarget_motion

    root = Path(os.environ.get("VITRUVE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (root / _BANDAI).exists():
        return None
    motion = retarget_motion(load_motion(root / _BANDAI), "open-smplh-neutral").motion
    return resample(motion, 120)[:frames]


def long_clips(folder: Path, arguments: argparse.Namespace) -> list[Row]:
    """Ours alone on a long clip, on both pairs."""
    clip, rows = bench_clip(arguments.long), []
    for name, (source, target) in {
        "open body, long": (
            load_body("open-smplh-neutral", num_betas=16),
            load_body("open-smplx-neutral", num_betas=16),
        ),
        "surrogate, long": surrogate_pair(),
    }.items():
        place = folder / name.replace(" ", "_").replace(",", "")
        place.mkdir()
        case = write_case(place, name, source, target, clip)
        rows += run_case(
            case, [Method(OURS)], rounds=min(3, arguments.rounds), threads=arguments.threads, progress=_say
        )
    return rows


def speed_bars(rows: Sequence[Row], arguments: argparse.Namespace) -> list[Bar]:
    """The bars on speed, memory, and the ratios against smplfitter."""
    bars = []
    for row in rows:
        if row.method == OURS:
            least = 1000 if row.frames <= arguments.frames else 3000
            bars.append(Bar(f"{row.case}: frames/s", row.frames_per_second, least, at_least=True))
            bars.append(Bar(f"{row.case}: memory, MB", row.memory_mb, 1500))
    for case in dict.fromkeys(row.case for row in rows):
        found = against_peers([row for row in rows if row.case == case])
        for method, speed, _, _ in found:
            least = 40 if "3 it" in method else 20
            bars.append(Bar(f"{case}: frames/s against {method}", speed, least, at_least=True))
        if found:
            # The largest ratio is the one against the most accurate, and the least jittering, of the peer's settings.
            bars.append(Bar(f"{case}: mean error against the lowest of smplfitter", max(f[2] for f in found), 0.6))
            bars.append(Bar(f"{case}: jitter against the lowest of smplfitter", max(f[3] for f in found), 1 / 3))
    return bars


def round_trip(frames: int = 601) -> list[Bar]:
    """SMPL+H to SMPL-X and back."""
    clip = bench_clip(frames)
    body = load_body("open-smplh-neutral")
    there = convert_motion(clip, "open-smplx-neutral", source=body)
    back = convert_motion(there.motion, body, source="open-smplx-neutral").motion
    difference = 1000 * (back.joints(body) - clip.joints(body)).norm(dim=-1).mean(-1)
    betas = torch.zeros(len(back.betas)).to(back.betas)
    betas[: len(clip.betas)] = clip.betas.to(betas)
    return [
        Bar("there and back: joints, mean mm", float(difference.mean()), 3.0),
        Bar("there and back: joints, worst frame mm", float(difference.max()), 10.0),
        Bar("there and back: betas, mean change, standard deviations", float((back.betas - betas).abs().mean()), 0.1),
    ]


def same_body(frames: int = 601) -> list[Bar]:
    """Onto the body that the motion is on."""
    clip, body = bench_clip(frames), load_body("open-smplx-neutral")
    clip = convert_motion(clip, body, source="open-smplh-neutral").motion
    again = convert_motion(clip, body, source=body)
    turned = torch.rad2deg(geodesic_distance(again.motion.rotations.double(), clip.rotations.double()).max())
    return [
        Bar("onto the same body: surface, mean mm", again.error.mean, 0.05),
        Bar("onto the same body: rotations, largest change, degrees", float(turned), 0.1),
    ]


def single_poses(count: int) -> Bar:
    """Unrelated poses of the mean shape, as one batch."""
    generator = torch.Generator().manual_seed(2)
    clip = bench_clip(2400)
    rows = torch.randint(len(clip), (count,), generator=generator)
    noise = 0.2 * torch.randn(count, len(clip.skeleton), 3, generator=generator)
    poses = clip.replace(
        rotations=axis_angle_to_matrix(noise.to(clip.rotations)) @ clip.rotations[rows],
        translation=clip.translation[rows],
        betas=clip.betas.new_zeros(10),
    )
    start = time.perf_counter()
    convert_motion(poses, "open-smplx-neutral", source="open-smplh-neutral", betas="zero")
    return Bar(f"{count:,} single poses, zero shape, s", time.perf_counter() - start, 30.0)


def bars_table(bars: Sequence[Bar]) -> Table:
    """Each bar with what was found."""
    table = Table("bar", title="Bars", title_justify="left")
    table.add_column("found", justify="right")
    table.add_column("must be", justify="right")
    table.add_column("")
    for bar in bars:
        limit = f"{'at least' if bar.at_least else 'below'} {bar.limit:,.3g}"
        table.add_row(bar.what, f"{bar.found:,.3g}", limit, "pass" if bar.passed else "FAIL")
    return table


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
