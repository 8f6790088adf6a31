"""`vitruve bench`: how fast and how accurate things are on this machine, with this user's own files."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.table import Table

from vitruve.cli.options import BodiesFolder, Count, OutIfAny

if TYPE_CHECKING:
    from vitruve.convert.bench import Row
    from vitruve.motion import Motion

app = App(
    name="bench",
    help="Measure speed and accuracy on this machine, with your own files.",
    help_epilogue="Example:\n\nvitruve bench convert --from smplh-male --to smplx-male",
)

# The part of the bundled clip with the hands: turning on the spot, counting, sitting down.
_FIRST_SECOND, _FPS = 9.5, 120.0


@app.command(
    help_epilogue="\n\n".join(
        (
            "Examples:",
            "vitruve bench convert",
            "vitruve bench convert --from smplh-male --to smplx-male --motion walk_poses.npz --out compared",
        )
    )
)
def convert(
    *,
    source: Annotated[str, Parameter(name="--from")] = "smplh",
    to: str = "smplx",
    motion: Path | None = None,
    frames: Annotated[int, Parameter(validator=Number(gte=3))] = 601,
    num_betas: Count = 16,
    threads: Count = 2,
    rounds: Count = 5,
    bodies: BodiesFolder = None,
    out: OutIfAny = None,
    overwrite: bool = False,
    dry_run: bool = False,
    quiet: bool = False,
) -> None:
    """Compare our conversion with smplfitter's, where that is installed: same files, same map, same judge.

    Each method reads the motion file, fits and writes a file, in a process of its own. Its result is judged on every
    vertex that has a counterpart. smplfitter is optional: pip install smplfitter numba.

    Args:
        source: the body the motion is on; the open body where no licensed file is found.
        to: the body to go to; likewise.
        motion: a motion on the source body; the bundled clip at 120 fps where left out.
        frames: how many frames of it.
        num_betas: shape columns of both bodies.
        threads: processor threads of each method.
        rounds: how often we are timed; smplfitter once, since it takes long.
        bodies: folder of licensed bodies, looked into before the usual places.
        out: leave a folder with a page and the figures.
        overwrite: replace the folder of an earlier run.
        dry_run: say what would be compared and written, and stop.
        quiet: do not say what is being done.
    """
    from vitruve.bodies import load_body
    from vitruve.convert.bench import compare
    from vitruve.runs import run_folder
    from vitruve.runs.folder import check_out

    asked = {"from": source, "to": to, "motion": motion, "frames": frames, "num_betas": num_betas}
    options = {**asked, "threads": threads, "rounds": rounds, "bodies": bodies, "out": out, "overwrite": overwrite}
    if out is not None:
        check_out(out, "bench convert", overwrite)  # before anything slow
    pair = [load_body(name, folder=bodies) for name in (source, to)]
    pair = [load_body(body.name, folder=bodies, num_betas=min(num_betas, body.num_betas)) for body in pair]
    clip = _clip(motion, frames)
    name = f"{pair[0].name} to {pair[1].name}"
    if dry_run:
        print(f"would compare  {name}, {len(clip)} frames, {rounds} rounds\nwould write    {out or 'nothing'}")
        return
    say = None if quiet else (lambda line: print(line, file=sys.stderr, flush=True))
    inputs = [] if motion is None else [motion]
    with (
        tempfile.TemporaryDirectory() as folder,
        nullcontext() if out is None else run_folder(out, "bench convert", options, inputs, overwrite) as run,
    ):
        rows, notes = compare(Path(folder), name, pair[0], pair[1], clip, rounds=rounds, threads=threads, progress=say)
        said = [*notes, *_conclusions(rows)]
        if run is not None:
            from vitruve.report.bench_page import bench_page

            run.results({"rows": [row.as_dict() for row in rows], "notes": said})
            run.report(bench_page(rows, said, [body.name for body in pair], own_motion=motion is not None))
    Console(width=None if sys.stdout.isatty() else 150).print(bench_table(rows))
    print("\n".join(said))
    if out is not None:
        print(f"Written to {out}; open {out / 'report.html'} in a browser.")


def bench_table(rows: Sequence[Row]) -> Table:
    """The figures of a comparison."""
    table = Table(title="Conversion, from file to file", title_justify="left")
    for heading in ("case", "method"):
        table.add_column(heading)
    for heading in ("frames", "frames/s", "cpu s", "mean mm", "p95", "max", "jitter", "memory", "start, bodies, first"):
        table.add_column(heading, justify="right")
    for row in rows:
        error = row.error
        assert error is not None
        figures = (f"{error.mean:.2f}", f"{error.p95:.2f}", f"{error.max:.1f}", f"{error.jitter:.4f}")
        before = " + ".join(f"{seconds:.1f}" for seconds in row.before.values()) + " s"
        speed = f"{row.frames_per_second:,.0f}" if row.frames_per_second >= 10 else f"{row.frames_per_second:.1f}"
        cells = (row.case, row.method, f"{row.frames:,}", speed, f"{row.cpu_seconds:.2f}")
        table.add_row(*cells, *figures, f"{row.memory_mb:,.0f} MB", before)
    return table


def _conclusions(rows: Sequence[Row]) -> list[str]:
    """What the rows say, in words."""
    from vitruve.convert.bench import TRANSFER_TOOL_SECONDS, against_peers

    lines = []
    for peer, speed, error, jitter in against_peers(rows):
        lines.append(
            f"against {peer}: {speed:.0f} x the frames a second, {error:.2f} x the error, {jitter:.2f} x the jitter"
        )
    times = rows[0].frames_per_second * TRANSFER_TOOL_SECONDS
    lines.append(
        f"against the smplx package's transfer tool at {TRANSFER_TOOL_SECONDS:.0f} s a frame (as published, not "
        f"measured here): {times:,.0f} x the frames a second"
    )
    return lines


def _clip(motion: Path | None, frames: int) -> Motion:
    from vitruve.formats import load_motion

    if motion is not None:
        return load_motion(motion)[:frames]
    return bench_clip(frames)


def bench_clip(frames: int = 601) -> Motion:
    """Frames of the bundled clip at 120 a second, from where the hands move on; after its end from there back again."""
    import torch

    from vitruve.formats import load_motion
    from vitruve.motion import bundled_clip_path, resample

    clip = resample(load_motion(bundled_clip_path()), _FPS)
    there = torch.arange(len(clip))
    # To the end and back to the start: as long as one likes, and without a jump.
    order = torch.cat([there, there.flip(0)[1:-1]])
    rows = order[(torch.arange(frames) + round(_FIRST_SECOND * _FPS)) % len(order)]
    # A shape off the mean, so that there is one to be found.
    betas = torch.randn(10, generator=torch.Generator().manual_seed(1)) * 0.7
    return clip.replace(rotations=clip.rotations[rows], translation=clip.translation[rows], betas=betas.to(clip.betas))
