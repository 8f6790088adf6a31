"""The ledger of finished work: JSON lines beside the results, one file per shard, only ever appended to.

| line | when |
|---|---|
| `{"event": "begun", "output": ...}` | before a file is written: from now on that output is ours |
| `{"event": "done", "key": ..., "output": ..., ...}` | after its rename, with all that the summary needs |

The last line about an output counts. A line that a crash has truncated is skipped.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vitruve.errors import not_written, writing
from vitruve.runs.lock import lock

Entry = Mapping[str, Any]
_LOCKED = "another run is writing into this folder; several can share it as --shard 1/2 and 2/2"


@dataclass(frozen=True)
class Ledger:
    """All ledgers of an output folder together.

    Attributes:
        last: output (relative to the folder) to the last entry about it.
        facts: hash of an input's content to the facts of its last look.
    """

    last: dict[str, Entry] = field(default_factory=dict)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def done(self, output: str, key: str) -> Entry | None:
        """The entry of an output that was made with the same key, or None."""
        entry = self.last.get(output)
        return entry if entry is not None and entry.get("event") == "done" and entry.get("key") == key else None


def read_ledgers(folder: Path) -> Ledger:
    """Read every ledger of a folder, in the order of time."""
    lines = [entry for path in sorted(folder.glob("ledger*.jsonl")) for entry in _entries(path)]
    lines.sort(key=lambda entry: entry["time"])  # stable: a ledger's lines keep their order
    ledger = Ledger()
    for entry in lines:
        ledger.last[entry["output"]] = entry
        if "content" in entry and "facts" in entry:
            ledger.facts[entry["content"]] = entry["facts"]
    return ledger


class LedgerWriter:
    """Appends to one ledger and locks it; every line is written at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with writing(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: what a full disk has refused must not be retried when the file is closed.
            self._file = path.open("a+b", buffering=0)
        lock(self._file, path.parent, _LOCKED)
        # A line that a crash has truncated ends here, so that it does not spoil the next one.
        if self._file.seek(0, os.SEEK_END):
            self._file.seek(-1, os.SEEK_END)
            if self._file.read(1) != b"\n":
                self._write(b"\n")

    def append(self, entry: Entry) -> None:
        """Add a line, with the time."""
        line = json.dumps({**entry, "time": time.time()}, ensure_ascii=False) + "\n"
        self._write(line.encode("utf-8", errors="surrogateescape"))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, data: bytes) -> None:
        try:
            while data:  # a disk that is nearly full takes a part
                data = data[self._file.write(data) :]
        except OSError as error:
            raise not_written(error, self._path, "run the same again: what is done is kept") from None


def _entries(path: Path) -> list[Entry]:
    entries = []
    for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("output"), str) and isinstance(entry.get("time"), float):
            entries.append(entry)
    return entries
