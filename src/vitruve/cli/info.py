"""`vitruve info`: what a file is, and what is odd about it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitruve.cli.options import Gender, Json, SourceFps
from vitruve.cli.output import print_full_width
from vitruve.words import counted

if TYPE_CHECKING:
    from vitruve.errors import VitruveError
    from vitruve.formats.describe import Description

_COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def info(*files: Path, source_fps: SourceFps = None, gender: Gender = None, as_json: Json = False) -> int:
    """Describe a motion or body file, or a folder of them, and what is odd about it.

    Reads every format of `docs/formats.md`, poses keyed by id, body models and skeleton files. Prints one line for each
    of several files, and a summary of a folder with all below it, such as a data set. The exit status is 4 where a file
    is bad.

    Examples: `vitruve info walk_poses.npz`, `vitruve info *.bvh`, `vitruve info AMASS`,
    `vitruve info frames/ --source-fps 30 --json`.

    Args:
        files: motions, poses, body models, skeletons; files or folders.
    """
    from vitruve.data.describe import describe
    from vitruve.errors import UsageError, VitruveError
    from vitruve.runs import progress_bar

    if not files:
        raise UsageError("no file was given", fix="vitruve info walk.npz")
    described: list[tuple[Path, Description | VitruveError]] = []
    for file in files:
        try:
            with progress_bar("looking", "files", as_json or not file.is_dir()) as progress:
                described.append((file, describe(file, fps=source_fps, gender=gender, progress=progress)))
        except VitruveError as error:
            described.append((file, error))
    if as_json:
        print(json.dumps([_as_json(file, result) for file, result in described], indent=2))
    elif len(files) == 1:
        only = described[0][1]
        if isinstance(only, VitruveError):
            raise only
        _print_one(only)
    else:
        _print_many(described)
    return 4 if any(_is_bad(result) for _, result in described) else 0


def _is_bad(result: Description | VitruveError) -> bool:
    return isinstance(result, Exception) or any(finding.severity == "error" for finding in result.findings)


def _as_json(file: Path, result: Description | VitruveError) -> dict[str, Any]:
    if isinstance(result, Exception):
        return {"path": str(file), "error": {"what": result.what, "where": result.where, "do": result.fix}}
    return result.as_json()


def _print_one(result: Description) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.padding import Padding
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"[bold]{escape(str(result.path))}[/bold]  {result.kind}", soft_wrap=True)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    for key, value in result.facts.items():
        if value is not None and value not in ([], {}):
            table.add_row(key.replace("_", " "), escape(_text(value)))
    console.print(table)
    for finding in result.findings:
        console.print(f"[{_COLOURS[finding.severity]}]{finding.severity:>7}[/]  {escape(finding.what)}")
        for line in (finding.where, finding.hint):
            if line:
                console.print(Padding(f"[dim]{escape(line)}[/dim]", (0, 0, 0, 9)))
    if not result.findings:
        console.print("  [green]nothing odd[/green]")


def _print_many(described: list[tuple[Path, Description | VitruveError]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("file", no_wrap=True)
    for column in ("format", "body", "frames", "fps", "seconds", "odd"):
        table.add_column(column, justify="right" if column in ("frames", "fps", "seconds") else "left", no_wrap=True)
    lines = []
    for file, result in described:
        if isinstance(result, Exception):
            table.add_row(escape(str(file)), "[bold red]bad[/bold red]")
            lines.append(f"[bold red]{escape(str(file))}[/bold red]: {escape(str(result))}")
            continue
        facts = result.facts
        numbers = ("" if facts.get(key) is None else f"{facts[key]:g}" for key in ("frames", "fps", "seconds"))
        body = "-".join(str(facts[key]) for key in ("body", "gender") if facts.get(key))
        table.add_row(escape(str(file)), facts.get("format", result.kind), body, *numbers, _counts(result))
        serious = [finding.what for finding in result.findings if finding.severity != "note"]
        if serious:
            lines.append(f"[yellow]{escape(str(file))}[/yellow]: {escape('; '.join(serious))}")
    print_full_width(console, table)
    for line in lines:
        console.print(line, soft_wrap=True)
    bad = sum(_is_bad(result) for _, result in described)
    console.print(f"{len(described) - bad} of {len(described)} files can be used")


def _counts(result: Description) -> str:
    """Such as "1 warning, 2 notes"."""
    counts = Counter(finding.severity for finding in result.findings)
    return ", ".join(counted(counts[severity], severity) for severity in _COLOURS if counts[severity])


def _text(value: Any) -> str:
    if isinstance(value, dict):  # shapes, or counts
        return ", ".join(
            f"{key} {'x'.join(map(str, of))}".strip() if isinstance(of, list) else f"{key} ({of:,})"
            for key, of in value.items()
        )
    if isinstance(value, list):
        return ", ".join(f"{entry:g}" if isinstance(entry, float) else str(entry) for entry in value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.10g}" if isinstance(value, float) else str(value)
