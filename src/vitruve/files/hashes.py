"""Hashes of files."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from vitruve.errors import BadData, MissingAsset


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file's content."""
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe or a device might never end
        raise BadData(f"{Path(path).name} is not a file", where=str(path), fix="copy it to a file first")
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MissingAsset(f"cannot read the input: {error.strerror}", where=str(path), fix="check the path") from None
