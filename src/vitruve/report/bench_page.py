"""The page about a comparison of conversion methods: time, memory and error of each."""

from __future__ import annotations

from collections.abc import Sequence

from vitruve.convert.bench import OURS, Row
from vitruve.report.blocks import Block, Drawing, Heading, Note, Table, made_by, page
from vitruve.report.credits import credits
from vitruve.report.plots import bars, line_plot

_HEADER = ("method", "frames", "frames/s", "processor s", "memory MB", "mean mm", "p95 mm", "max mm", "jitter mm")


def bench_page(rows: Sequence[Row], notes: Sequence[str], bodies: Sequence[str], own_motion: bool) -> str:
    """The page as HTML.

    Args:
        rows: a row for each method, all of one case.
        notes: what the figures mean, and what could not be measured; a sentence each.
        bodies: names of the two bodies.
        own_motion: whether the motion was the user's, and not the bundled clip.
    """
    errors = {row.method: row.error for row in rows if row.error is not None}
    curves = {method: error.curve() for method, error in errors.items()}
    series = {method: (curve["frame"], curve["mean_mm"]) for method, curve in curves.items()}
    means = {row.method: _error(row, "mean") for row in rows}
    parts = list(dict.fromkeys(part for error in errors.values() for part in error.groups))
    stages = list(dict.fromkeys(stage for row in rows for stage in row.before))
    blocks: list[Block] = [
        Note(
            f"From {bodies[0]} to {bodies[1]}. Each method reads the motion file, fits and writes a file, in a process "
            "of its own; the error is measured at every vertex that has a counterpart."
        ),
        *(Note(line) for line in notes),
        Heading("Measured"),
        Table(_HEADER, [_figures(row) for row in rows]),
        Heading("Frames a second"),
        Drawing(bars({row.method: row.frames_per_second for row in rows}, "frames/s"), "The median over the rounds."),
        Heading("Error"),
        Drawing(bars(means, "mm"), "Mean distance to the source's surface."),
    ]
    if series:
        blocks.append(Drawing(line_plot(series, "frame", "mean error, mm", from_zero=True), "The same over the clip."))
    blocks += [
        Heading("By part of the body, mm"),
        Table(
            ("method", *(part.replace("_", " ") for part in parts)),
            [(method, *map(error.groups.get, parts)) for method, error in errors.items()],
        ),
        Heading("Before the first frame, seconds"),
        Table(("method", *stages), [(row.method, *map(row.before.get, stages)) for row in rows]),
    ]
    also = [] if own_motion else ["clip"]
    also += ["smplfitter"] if any(row.method != OURS for row in rows) else []
    return page("Conversions compared", [*blocks, *credits(bodies, also)], made_by("bench convert"))


def _figures(row: Row) -> tuple[object, ...]:
    costs = (row.method, row.frames, row.frames_per_second, row.cpu_seconds, row.memory_mb)
    return (*costs, *(_error(row, key) for key in ("mean", "p95", "max", "jitter")))


def _error(row: Row, key: str) -> float:
    return float("nan") if row.error is None else getattr(row.error, key)
