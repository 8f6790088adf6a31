"""The table of what is odd about motions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vitruve.report.blocks import Table


def findings_table(rows: Sequence[Mapping[str, Any]], counted: str = "clips") -> Table:
    """Rows of `summarise_findings`; `counted` is the header of their counts, empty for a single motion."""
    header = ["", *([counted, "first"] if counted else ()), "what is odd there", "where", "what to do"]
    counts = [(f"{row['clips']:,}", row["first"]) if counted else () for row in rows]
    cells = [(row["severity"], *count, row["what"], row["where"], row["hint"]) for row, count in zip(rows, counts)]
    return Table(header, cells)
