"""The numbers of a training over time, as a CSV file that is whole at any moment."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from vitruve.files.atomic import write_bytes
from vitruve.learn.checkpoint import GO_ON


class Curves:
    """One row for each validation.

    Args:
        path: the CSV file.

    Attributes:
        rows: numbers by name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []

    def read(self, step: float = math.inf) -> None:
        """Take up the rows of a file up to a step; later ones belong to work that was lost."""
        if not self.path.is_file():
            return
        with self.path.open(newline="", encoding="utf-8") as file:
            rows = [{key: _number(value) for key, value in row.items() if value} for row in csv.DictReader(file)]
        self.rows = [row for row in rows if row["step"] <= step]

    def add(self, row: dict[str, float]) -> None:
        """Write one more row."""
        self.rows.append(row)
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_bytes(self.path, text.getvalue().encode(), durable=True, then=GO_ON)

    def last_step(self) -> int:
        """The step of the last row; -1 where there is none."""
        return int(self.rows[-1]["step"]) if self.rows else -1


def _number(text: str) -> float:
    return int(text) if text.isdecimal() else float(text)
