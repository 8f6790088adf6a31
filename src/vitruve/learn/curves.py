"""The learning curves of a training as a CSV file, written atomically."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from vitruve.files.atomic import write_bytes
from vitruve.learn.checkpoint import GO_ON


class Curves:
    """`rows` has the numbers of each validation by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []

    def read(self, step: float = math.inf) -> None:
        """Read the rows up to a step, if the file exists."""
        if not self.path.is_file():
            return
        with self.path.open(newline="", encoding="utf-8") as file:
            rows = [{key: _number(value) for key, value in row.items() if value} for row in csv.DictReader(file)]
        self.rows = [row for row in rows if row["step"] <= step]

    def add(self, row: dict[str, float]) -> None:
        """Append a row and write the file."""
        self.rows.append(row)
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_bytes(self.path, text.getvalue().encode(), durable=True, then=GO_ON)

    def last_step(self) -> int:
        """The step of the last row; -1 without rows."""
        return int(self.rows[-1]["step"]) if self.rows else -1


def _number(text: str) -> float:
    return int(text) if text.isdecimal() else float(text)
