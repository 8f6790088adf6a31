"""Inputs that failed: as ledger entries, and as a table."""

from __future__ import annotations

import csv
import io
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vitruve.errors import VitruveError
from vitruve.files.atomic import write_text


def failure(error: VitruveError, **about: str) -> dict[str, Any]:
    """The entry of a failed input; `about` names it, for example by `input` and `output`."""
    reason = {"what": error.what, "where": error.where, "do": error.fix, "exit_code": error.exit_code}
    return {"event": "failed", **about, **reason}


def unexpected(error: BaseException, path: str | Path) -> VitruveError:
    """An error that Vitruve should not have raised, with the line that raised it."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{path}: in {Path(last.filename).name}, line {last.lineno}"
    return VitruveError(f"{type(error).__name__}: {error}", where, "this is a fault of Vitruve: please report it")


def write_failures(path: Path, failed: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write failures as a CSV table, with columns that name an input and what, where, do; without any, remove it."""
    if not failed:
        path.unlink(missing_ok=True)
        return
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, (*columns, "what", "where", "do"), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(failed)
    write_text(path, table.getvalue())
