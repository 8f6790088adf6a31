"""Licences of data sets outside AMASS, by their file names: tables/file_names.toml."""

from __future__ import annotations

import functools
import re
import tomllib
from importlib import resources


def licence_by_name(file: str) -> str | None:
    """The licence of a file's data set in one line; None where no known data set has such file names."""
    return next((licence for pattern, licence in _table() if pattern.fullmatch(file)), None)


@functools.cache
def _table() -> tuple[tuple[re.Pattern[str], str], ...]:
    text = (resources.files("vitruve.data") / "tables" / "file_names.toml").read_text(encoding="utf-8")
    rows = tomllib.loads(text).values()
    return tuple((re.compile(row["files"], re.IGNORECASE), row["licence"]) for row in rows)
