"""What several verbs print: tables whose cells are never cut, notes, shortened lists, where the result is."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# Wider than any path.
_NO_LIMIT = 100_000


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: bool = False) -> None:
    """Print text in columns as wide as their widest cells; with `numbers`, all columns but the first align right."""
    widths = [max(map(len, column)) for column in zip(header, *rows)]
    for first, *others in [header, *rows]:
        align = str.rjust if numbers else str.ljust
        cells = [first.ljust(widths[0]), *(align(cell, width) for cell, width in zip(others, widths[1:]))]
        print("  ".join(cells).rstrip())


def print_full_width(console: Console, table: Table) -> None:
    """Print a table of paths without wrapping: a path in pieces can be neither copied nor searched for."""
    needed = console.measure(table, options=console.options.update(max_width=_NO_LIMIT)).maximum
    if needed > console.width:
        table.width = needed
    console.print(table, crop=False)


def print_notes(notes: Iterable[str]) -> None:
    """Print notes on standard error, a line each."""
    for note in notes:
        print(f"vitruve: note: {note}", file=sys.stderr)


def print_first(lines: Sequence[str], most: int, rest: str) -> None:
    """Print the first lines on standard error, then how many are left and where: "and 5 more; see failures.csv"."""
    for line in lines[:most]:
        print(f"vitruve: {line}", file=sys.stderr)
    if len(lines) > most:
        print(f"vitruve: and {len(lines) - most:,} {rest}", file=sys.stderr)


def print_warnings(findings: Iterable[Mapping[str, Any]], most: int, rest: str, names: bool = True) -> None:
    """Print rows of `summarise_findings` as warnings; with `names`, say which files have them."""
    from vitruve.motion.finding import finding_text

    lines = []
    for row in findings:
        more = f" and {row['clips'] - 1:,} more" if row["clips"] > 1 else ""
        whose = f"{row['first']}{more}: " if names else ""
        lines.append(f"warning: {whose}{finding_text(row)}")
    print_first(lines, most, rest)


def print_place(out: Path) -> None:
    """Say where the result and its page are."""
    print(f"Written to {out}; open {out / 'report.html'} in a browser.")
