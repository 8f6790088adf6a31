"""Tables of which nothing is cut: as plain text, or of rich as wide as its longest path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# Wider than any path.
_NO_LIMIT = 100_000


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: bool = False) -> None:
    """Print rows of text in columns as wide as their widest cells; of numbers, all but the first stand on the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        first, *others = (cell.ljust(width) for cell, width in zip(row, widths))
        if numbers:
            others = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join([first, *others]).rstrip())


def print_whole(console: Console, table: Table) -> None:
    """Print a table of paths: a path in pieces can be neither copied nor searched for, so rows may be too wide."""
    needed = console.measure(table, options=console.options.update(max_width=_NO_LIMIT)).maximum
    if needed > console.width:
        table.width = needed
    console.print(table, crop=False)
