"""The page about a comparison of conversions: what each method took, what it gave, and in which conditions."""

from __future__ import annotations

from collections.abc import Sequence

import vitruve
from vitruve.convert.bench import OURS, Row
from vitruve.report.blocks import Block, Drawing, Heading, Note, Table, page
from vitruve.report.credits import credits
from vitruve.report.plots import bars, line_plot

_HEADER = ("method", "frames", "frames/s", "processor s", "memory MB", "mean mm", "p95 mm", "max mm", "jitter mm")


def bench_page(rows: Sequence[Row], said: Sequence[str], bodies: Sequence[str], own_motion: bool) -> str:
    """The page as text.

    Args:
        rows: a row for each method, all of one case.
        said: what the figures mean, and what could not be measured; a sentence each.
        bodies: names of the two bodies.
        own_motion: whether the motion was the user's, and not the bundled clip.
    """
    blocks: list[Block] = [
        Note(
            f"From {bodies[0]} to {bodies[1]}. Each method reads the motion file, fits and writes a file, in a process "
            "of its own; its result is judged on every vertex that has a counterpart."
        ),
        *(Note(line) for line in said),
        Heading("Measured"),
        Table(_HEADER, [_figures(row) for row in rows]),
        Heading("Frames a second"),
        Drawing(bars({row.method: row.frames_per_second for row in rows}, "frames/s"), "The median over the rounds."),
        Heading("Error"),
        Drawing(bars(_errors(rows, "mean"), "mm"), "Mean distance to the source's surface."),
    ]
    curves = {row.method: row.error.curve() for row in rows if row.error is not None}
    if curves:
        series = {method: (curve["frame"], curve["mean_mm"]) for method, curve in curves.items()}
        blocks.append(Drawing(line_plot(series, "frame", "mean error, mm", from_zero=True), "The same over the clip."))
    blocks += [
        Heading("By part of the body, mm"),
        _parts(rows),
        Heading("Before the first frame, seconds"),
        _before(rows),
    ]
    also = [] if own_motion else ["clip"]
    also += ["smplfitter"] if any(row.method != OURS for row in rows) else []
    blocks += credits(bodies, also)
    return page("Conversions compared", blocks, footer=f"Made by vitruve {vitruve.__version__}: vitruve bench convert")


def _figures(row: Row) -> tuple[object, ...]:
    taken = (row.method, row.frames, row.frames_per_second, row.cpu_seconds, row.memory_mb)
    return (*taken, *(_error(row, key) for key in ("mean", "p95", "max", "jitter")))


def _errors(rows: Sequence[Row], key: str) -> dict[str, float]:
    return {row.method: _error(row, key) for row in rows}


def _error(row: Row, key: str) -> float:
    return float("nan") if row.error is None else getattr(row.error, key)


def _parts(rows: Sequence[Row]) -> Table:
    parts = list(dict.fromkeys(name for row in rows if row.error is not None for name in row.error.groups))
    lines = [(row.method, *(row.error.groups.get(name) for name in parts)) for row in rows if row.error is not None]
    return Table(("method", *(name.replace("_", " ") for name in parts)), lines)


def _before(rows: Sequence[Row]) -> Table:
    stages = list(dict.fromkeys(stage for row in rows for stage in row.before))
    return Table(("method", *stages), [(row.method, *(row.before.get(stage) for stage in stages)) for row in rows])
