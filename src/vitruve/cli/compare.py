"""`vitruve compare`: how far two motions are apart, and how each of them moves."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from vitruve.cli.options import BodiesFolder, DryRun, Gender, Json, OutIfAny, Overwrite, Quiet, SourceFps, UpAxis
from vitruve.cli.output import print_place

if TYPE_CHECKING:
    from vitruve.compare import Comparison
    from vitruve.runs.folder import RunFolder

_TOO_FAR = 5
_SIDES = ("first", "second")
_FILES = ("results.json", "frames.csv", "report.html", "run.toml")


def compare(  # noqa: PLR0913 (one parameter per option)
    first: Path,
    second: Path,
    /,
    *,
    body_a: str | None = None,
    body_b: str | None = None,
    align: Literal["none", "root", "procrustes", "first-frame", "clip"] = "none",
    shift: str = "0",
    mapping: str | None = None,
    source_fps: SourceFps = None,
    gender: Gender = None,
    up: UpAxis = "z",
    floor: float = 0.0,
    fail_above: Annotated[float | None, Parameter(validator=Number(gte=0))] = None,
    bodies: BodiesFolder = None,
    out: OutIfAny = None,
    as_json: Json = False,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Compare two motions: joints, surfaces, rotations, the path through the world, feet, jitter.

    The first is the reference, the second is judged. They may be on different bodies, at different frame rates, of
    different lengths; either may be a BVH or ASF/AMC file, or a folder of meshes. The exit status is 5 where they are
    farther apart than `--fail-above`.

    Examples: `vitruve compare walk_poses.npz walk_smplx.npz`, `vitruve compare a.npz b.npz --align clip --shift auto -o
    a-and-b`, `vitruve compare a.npz b.npz --json --fail-above 5`.

    Args:
        first: motion file, or folder of meshes.
        second: the motion to judge.
        body_a: the body of the first, if the file does not state it.
        body_b: the body of the second, if the file does not state it.
        align: how the second is aligned to the first before distances are measured.
        shift: how many frames the second runs later (negative: earlier), or auto.
        mapping: which joint is which, for a skeleton with foreign names (docs/retarget.md).
        floor: height of the floor in metres.
        fail_above: the mean distance in millimetres above which the exit status is 5.
        out: the folder to write; by default vitruve-compare, and none with --json.
    """
    from vitruve.runs.folder import check_out

    place = out if out is not None or as_json else Path("vitruve-compare")
    if place is not None:
        check_out(place, "compare", overwrite)  # before anything slow
    from vitruve.compare import compare_motions
    from vitruve.compare.common_part import parse_shift
    from vitruve.formats.performers import read_source
    from vitruve.runs import progress_bar, run_folder

    parse_shift(shift)  # before anything slow
    sources = [read_source(path, source_fps, up, gender) for path in (first, second)]
    if dry_run:
        print("\n".join(f"would compare  {path}: {what!r}" for path, what in zip((first, second), sources)))
        names = ", ".join(str(place / name) for name in _FILES) if place is not None else "nothing"
        print(f"would write    {names}")
        return 0
    options = {"first": first, "second": second, "body_a": body_a, "body_b": body_b, "align": align, "shift": shift,
               "mapping": mapping, "source_fps": source_fps, "gender": gender, "up": up, "floor": floor,
               "fail_above": fail_above, "bodies": bodies}  # fmt: skip
    inputs = [path for path in (first, second) if path.is_file()]
    folder = run_folder(place, "compare", options, inputs, overwrite) if place else nullcontext()
    with folder as run, progress_bar("comparing", "frames", quiet) as progress:
        comparison = compare_motions(
            sources[0], sources[1], body_a, body_b,
            align=align, shift=shift, mapping=mapping, fps=source_fps, floor=floor, folder=bodies, progress=progress,
        )  # fmt: skip
        if run is not None:
            _write(comparison, run)
    if as_json:
        print(json.dumps(comparison.figures, indent=2, ensure_ascii=False, allow_nan=False))
    elif not quiet:
        _print_figures(comparison)
        if place is not None:
            print_place(place)
    return _exit_status(comparison, fail_above)


def _write(comparison: Comparison, run: RunFolder) -> None:
    from vitruve.compare.tables import frames_csv
    from vitruve.report.compare_page import comparison_page

    run.results(comparison.figures)
    (run.path / "frames.csv").write_text(frames_csv(comparison), encoding="utf-8")
    run.report(comparison_page(comparison))
    run.note(**{word: comparison.figures[word]["body"] or comparison.figures[word]["kind"] for word in _SIDES})


def _print_figures(comparison: Comparison) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from vitruve.compare.notes import verdict
    from vitruve.compare.tables import part_rows, side_rows, sides_said, summary

    console, figures = Console(highlight=False), comparison.figures
    console.print(f"[bold]{escape(' and '.join(sides_said(figures)))}[/bold]")
    console.print(escape(verdict(figures)))
    shown: list[tuple[tuple[str, ...], list[tuple[object, ...]]]] = [
        (("", ""), [*summary(figures)]),
        (("", "first", "second", "difference"), [*side_rows(figures)]),
        (("part", "vertices, mm", "joints, mm"), [*part_rows(figures)]),
    ]
    for header, rows in shown:
        table = Table(box=None, show_header=any(header), padding=(0, 2, 0, 2))
        for column, name in enumerate(header):
            table.add_column(name, justify="left" if column == 0 or len(header) == 2 else "right")
        for row in rows:
            table.add_row(*(_cell(value) for value in row))
        console.print(table)
    for warning in comparison.warnings:
        console.print(f"[yellow]warning: {escape(warning)}[/yellow]")
    for note in comparison.notes:
        console.print(f"[dim]note: {escape(note)}[/dim]")


def _cell(value: object) -> str:
    from rich.markup import escape

    return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else escape(str(value))


def _exit_status(comparison: Comparison, fail_above: float | None) -> int:
    if fail_above is None or comparison.mean_mm <= fail_above:
        return 0
    what = "surfaces" if comparison.measure == "vertex_mm" else "joints"
    print(f"vitruve: the {what} are {comparison.mean_mm:.2f} mm apart, more than {fail_above:g} mm", file=sys.stderr)
    return _TOO_FAR
