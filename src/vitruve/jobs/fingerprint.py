"""Recognise files and folders: inputs by a hash of their content, results by size, date and hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vitruve.errors import VitruveError
from vitruve.files.hashes import file_hash


def content_hash(path: Path) -> str:
    """SHA-256 of a file, of all files of a folder, or of an AMC file and the skeletons beside it."""
    if path.is_dir():
        files = _files(path)
    elif path.suffix.lower() == ".amc":
        files = [path, *sorted(path.parent.glob("*.[aA][sS][fF]"))]
    else:
        return file_hash(path)
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} {file_hash(file)}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def fingerprint(path: Path) -> dict[str, Any]:
    """`bytes`, `mtime_ns` and `sha256` of a new result, for the ledger. A folder has the sum and the latest date."""
    return {**_size_and_date(path), "sha256": content_hash(path)}


def is_unchanged(path: Path, known: Mapping[str, Any]) -> bool:
    """Whether a result still has its fingerprint.

    Equal size and date are enough, so that unchanged results are not read. Where only the date differs, as after
    copying a folder, the content decides.
    """
    try:
        now = _size_and_date(path)
        if now["bytes"] != known.get("bytes"):
            return False
        return now["mtime_ns"] == known.get("mtime_ns") or content_hash(path) == known.get("sha256")
    except (OSError, VitruveError):
        return False


def _size_and_date(path: Path) -> dict[str, int]:
    stats = [file.stat() for file in (_files(path) if path.is_dir() else [path])]
    return {"bytes": sum(s.st_size for s in stats), "mtime_ns": max((s.st_mtime_ns for s in stats), default=0)}


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file())
