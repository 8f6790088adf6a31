"""Writing without harm: a temporary name in the same folder, renamed when all is written."""

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
    """Give a temporary path to write to; it takes the name `path` at the end, or leaves no trace where writing failed.

    Args:
        path: the file, or the folder where `folder_of` is given. Parent folders are made.
        overwrite: replace what stands there.
        folder_of: the endings of the files a folder will hold. A folder is replaced only if it holds nothing else.
    """
    check_place(path, overwrite, folder_of)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        room = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    # A room of its own keeps the name and its ending, which some writers look at, and lets several files be written.
    temporary = room / path.name
    try:
        if folder_of:
            temporary.mkdir()
        yield temporary
        check_place(path, overwrite, folder_of)
        if folder_of and path.is_dir():
            os.replace(path, room / "old")
        os.replace(temporary, path)
    except OSError as error:
        raise not_written(error, path) from None
    finally:
        shutil.rmtree(room, ignore_errors=True)


def check_place(path: Path, overwrite: bool = False, folder_of: tuple[str, ...] = ()) -> None:
    """Raise UsageError where `replacing` with the same arguments would refuse what stands there."""
    if path.is_dir() and not folder_of:
        raise UsageError(
            f"{path} is a folder; a file is to be written", where=str(path), fix=f"give a file name: {path / 'name'}"
        )
    if folder_of and path.is_dir():
        others = [file.name for file in path.iterdir() if file.is_dir() or file.suffix.lower() not in folder_of]
        if others:
            raise UsageError(
                "the folder to write holds other files, and is not replaced",
                where=f"{path}: {', '.join(sorted(others)[:3])}",
                fix="choose a new folder",
            )
        if not any(path.iterdir()):
            return
    if path.exists() and not overwrite:
        raise UsageError(
            f"{path} exists already", where=str(path), fix="choose another name, or give overwrite (--overwrite)"
        )
