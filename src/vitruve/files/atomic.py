"""Atomic writing: a temporary name in the same folder, renamed once everything is written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vitruve.errors import UsageError, not_written, writing


@contextmanager
def replacing(path: Path, *, overwrite: bool = False, folder_of: tuple[str, ...] = ()) -> Iterator[Path]:
    """Yield a temporary path to write to; it is renamed to `path` at the end, or removed where writing failed.

    Args:
        path: the file, or the folder where `folder_of` is given. Parent folders are created.
        overwrite: replace an existing file or folder.
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
