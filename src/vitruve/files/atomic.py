"""Atomic writing: under a temporary name in the same folder, which is renamed at the end."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vitruve.errors import BadData, UsageError, not_written, writing


@contextmanager
def replacing(path: Path, *, overwrite: bool = False, folder_of: tuple[str, ...] = ()) -> Iterator[Path]:
    """Yield a temporary path to write to; it is renamed to `path` at the end, or removed if writing fails.

    Args:
        path: the file, or the folder if `folder_of` is given. Parent folders are created.
        folder_of: suffixes of the files that the folder will hold. A folder with any other file is never replaced.
    """
    check_place(path, overwrite, folder_of)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    # A temporary folder keeps the file's name and suffix, which some writers check, and allows several files.
    temporary = scratch / path.name
    try:
        if folder_of:
            temporary.mkdir()
        yield temporary
        check_place(path, overwrite, folder_of)
        if folder_of and path.is_dir():
            os.replace(path, scratch / "old")
        os.replace(temporary, path)
    except OSError as error:
        raise not_written(error, path) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def check_place(path: Path, overwrite: bool = False, folder_of: tuple[str, ...] = ()) -> None:
    """Raise UsageError where `replacing` with the same arguments would refuse to overwrite."""
    if path.is_dir() and not folder_of:
        raise UsageError(f"{path} is a folder, not a file", where=str(path), fix=f"give a file name: {path / 'name'}")
    if folder_of and path.is_dir():
        others = [file.name for file in path.iterdir() if file.is_dir() or file.suffix.lower() not in folder_of]
        if others:
            raise UsageError(
                "the output folder holds other files and is not replaced",
                where=f"{path}: {', '.join(sorted(others)[:3])}",
                fix="choose a new folder",
            )
        if not any(path.iterdir()):
            return
    if path.exists() and not overwrite:
        raise UsageError(
            f"{path} exists already", where=str(path), fix="choose another name, or use overwrite (--overwrite)"
        )


def write_bytes(path: Path, data: bytes, *, durable: bool = False, then: str = "run it again") -> None:
    """Replace a file atomically.

    Args:
        durable: wait until the content is on the disk before the rename.
        then: what the error tells the user to do after fixing the cause.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with writing(path, then):
            with partial.open("wb") as file:
                file.write(data)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            partial.replace(path)
    finally:
        with suppress(OSError):  # the error above is the one to report
            partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a text file atomically. Names of files need not be valid text: the rest becomes question marks."""
    write_bytes(path, text.encode("utf-8", errors="replace"))


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Replace a JSON file atomically. NaN and infinity are invalid in JSON, so they are an error."""
    text = json.dumps(_plain(values, ""), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def _plain(value: Any, where: str) -> Any:
    """Convert numbers and arrays of numpy and torch to plain Python."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise BadData(f"a result is {value}", where=where.lstrip("."), fix="check the input for frames without data")
    return str(value) if isinstance(value, Path) else value
