"""A table as plain text: nothing of it is cut where the output is no terminal."""

from __future__ import annotations

from collections.abc import Sequence


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: bool = False) -> None:
    """Print rows of text in columns as wide as their widest cells; of numbers, all but the first stand on the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        first, *others = (cell.ljust(width) for cell, width in zip(row, widths))
        if numbers:
            others = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join([first, *others]).rstrip())
