"""Find results of earlier runs among the inputs: beside their own sources, they would be processed twice."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from vitruve.jobs.fingerprint import is_unchanged
from vitruve.jobs.ledger import read_ledgers


def earlier_results(paths: Sequence[Path]) -> set[Path]:
    """The files that an earlier run has made from another of these files, by the ledgers beside them.

    A result that was changed since counts as a file of its own. So does one whose source is not among the paths:
    whoever names the folder of results alone wants them.
    """
    by_place = {os.path.realpath(path): path for path in paths}
    results = set()
    for folder in _ledger_folders(paths):
        for name, entry in read_ledgers(folder).last.items():
            path = by_place.get(os.path.realpath(folder / name))
            if path is None or os.path.realpath(str(entry.get("input", ""))) not in by_place:
                continue
            if entry.get("event") != "done" or is_unchanged(path, entry.get("result") or {}):
                results.add(path)
    return results


def _ledger_folders(paths: Sequence[Path]) -> list[Path]:
    """Folders with ledgers: those of the paths up to the one that holds all, and reports in them."""
    if not paths:
        return []
    top = Path(os.path.commonpath([path.parent for path in paths]))
    folders = {folder for path in paths for folder in path.parents if folder.is_relative_to(top)}
    patterns = ("ledger*.jsonl", "*-report/ledger*.jsonl")
    return sorted({ledger.parent for folder in folders for pattern in patterns for ledger in folder.glob(pattern)})
