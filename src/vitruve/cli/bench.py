"""`vitruve bench`: speed and accuracy on this machine, with the user's own files."""

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

from vitruve.cli.options import BodiesFolder, Count, DryRun, OutIfAny, Overwrite, Quiet
from vitruve.cli.output import print_place

if TYPE_CHECKING:
    from vitruve.convert.bench import Row
    from vitruve.motion import Motion

app = App(
    name="bench",
    help="Measure speed and accuracy on this machine, with your own files.\n\n"
    "Example: `vitruve bench convert --from smplh-male --to smplx-male`.",
)

# The part of the bundled clip with the hands: turning on the spot, counting, sitting down.
_FIRST_SECOND, _FPS = 9.5, 120.0


@app.command
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
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
) -> None:
    """Compare Vitruve's conversion with smplfitter's, where that is installed: same files, same map, same metric.

    Each method reads the motion file, fits and writes a file, in a process of its own. The error is measured at every
    vertex that has a counterpart. smplfitter is optional: pip install smplfitter numba.

    Examples: `vitruve bench convert`, `vitruve bench convert --from smplh-male --to smplx-male --motion walk_poses.npz
    --out compared`.

    Args:
        source: the body the motion is on; the open body where no licensed file is found.
        to: the body to go to; likewise.
        motion: a motion on the source body; by default the bundled clip at 120 fps.
        frames: how many frames of it.
        num_betas: shape columns of both bodies.
        threads: processor threads of each method.
        rounds: how often Vitruve is timed; smplfitter once, since it is slow.
        out: a folder for a page and the figures.
    """
    from vitruve.bodies import load_body
    from vitruve.convert.bench import compare
    from vitruve.formats import load_motion
    from vitruve.runs import run_folder
    from vitruve.runs.folder import check_out

    options = {"from": source, "to": to, "motion": motion, "frames": frames, "num_betas": num_betas}
    options |= {"threads": threads, "rounds": rounds, "bodies": bodies, "out": out, "overwrite": overwrite}
    if out is not None:
        check_out(out, "bench convert", overwrite)  # before anything slow
    pair = [load_body(name, folder=bodies) for name in (source, to)]
    pair = [load_body(body.name, folder=bodies, num_betas=min(num_betas, body.num_betas)) for body in pair]
    clip = bench_clip(frames) if motion is None else load_motion(motion)[:frames]
    name = f"{pair[0].name} to {pair[1].name}"
    if dry_run:
        print(f"would compare  {name}, {len(clip)} frames, {rounds} rounds\nwould write    {out or 'nothing'}")
        return
    log = None if quiet else (lambda line: print(line, file=sys.stderr, flush=True))
    inputs = [] if motion is None else [motion]
    with (
        tempfile.TemporaryDirectory() as folder,
        nullcontext() if out is None else run_folder(out, "bench convert", options, inputs, overwrite) as run,
    ):
        rows, notes = compare(Path(folder), name, pair[0], pair[1], clip, rounds=rounds, threads=threads, progress=log)
        notes = [*notes, *_conclusions(rows)]
        if run is not None:
            from vitruve.report.bench_page import bench_page

            run.results({"rows": [row.as_dict() for row in rows], "notes": notes})
            run.report(bench_page(rows, notes, [body.name for body in pair], own_motion=motion is not None))
    Console(width=None if sys.stdout.isatty() else 150).print(bench_table(rows))
    print("\n".join(notes))
    if out is not None:
        print_place(out)


def bench_table(rows: Sequence[Row]) -> Table:
    """The figures of a comparison."""
    table = Table("case", "method", title="Conversion, from file to file", title_justify="left")
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
    from vitruve.convert.bench import TRANSFER_TOOL_SECONDS, against_peers

    lines = [
        f"against {peer}: {speed:.0f} x the frames a second, {error:.2f} x the error, {jitter:.2f} x the jitter"
        for peer, speed, error, jitter in against_peers(rows)
    ]
    times = rows[0].frames_per_second * TRANSFER_TOOL_SECONDS
    lines.append(
        f"against the smplx package's transfer tool at {TRANSFER_TOOL_SECONDS:.0f} s a frame (as published, not "
        f"measured here): {times:,.0f} x the frames a second"
    )
    return lines


def bench_clip(frames: int = 601) -> Motion:
    """The bundled clip at 120 fps from where the hands move, played forth and back until there are enough frames."""
    import torch

    from vitruve.formats import load_motion
    from vitruve.motion import bundled_clip_path, resample

    clip = resample(load_motion(bundled_clip_path()), _FPS)
    forth = torch.arange(len(clip))
    order = torch.cat([forth, forth.flip(0)[1:-1]])
    rows = order[(torch.arange(frames) + round(_FIRST_SECOND * _FPS)) % len(order)]
    # Not the mean shape, so that the fit has to find it.
    betas = torch.randn(10, generator=torch.Generator().manual_seed(1)) * 0.7
    return clip.replace(rotations=clip.rotations[rows], translation=clip.translation[rows], betas=betas.to(clip.betas))
