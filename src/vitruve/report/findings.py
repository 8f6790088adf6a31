"""What is odd about motions, as a table of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vitruve.report.blocks import Table


def findings_table(rows: Sequence[Mapping[str, Any]], counted: str = "clips") -> Table:
    """Rows of `motion.finding.summarise_findings`.

    Args:
        rows: one for each thing.
        counted: what `clips` counts; empty where there is but one.
    """
    header, cells = ["", counted, "first", "what is odd there", "where", "what to do"], []
    for row in rows:
        whose = (f"{row['clips']:,}", row["first"]) if counted else ()
        cells.append((row["severity"], *whose, row["what"], row["where"], row["hint"]))
    return Table(tuple(header if counted else header[:1] + header[3:]), cells)
