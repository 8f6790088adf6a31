"""Licences of data sets outside AMASS, which are known by the names of their files: tables/file_names.toml.

licence_by_name("01_02.amc")     # "CMU Graphics Lab Motion Capture Database: free for all uses, ..."
"""

from __future__ import annotations

import functools
import re
import tomllib
from importlib import resources


def licence_by_name(file: str) -> str | None:
    """One line about the licence of a file's data set; None where its name belongs to none that is known."""
    return next((licence for pattern, licence in _table() if pattern.fullmatch(file)), None)


@functools.cache
def _table() -> tuple[tuple[re.Pattern[str], str], ...]:
    text = (resources.files("vitruve.data") / "tables" / "file_names.toml").read_text(encoding="utf-8")
    rows = tomllib.loads(text).values()
    return tuple((re.compile(row["files"], re.IGNORECASE), row["licence"]) for row in rows)
