"""One run at a time in a folder.

    with alone(out, "another preparation into this store is at work"):
        ...

The system lets go of the lock when its process ends, however it ends; the file stays. Where a file system has no locks,
nothing keeps two runs apart.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from vitruve.errors import UsageError, writing

LOCK_FILE = ".lock"


@contextmanager
def alone(folder: Path, taken: str, name: str = LOCK_FILE, shared: bool = False) -> Iterator[None]:
    """Work in a folder that no other run works in.

    Args:
        folder: exists.
        taken: what to say where another does.
        name: of the file that is locked.
        shared: other runs may share the lock, and one that does not share it is kept out.
    """
    with writing(folder):
        file = (folder / name).open("a")
    with file:
        lock(file, folder, taken, shared)
        yield


def lock(file: IO[Any], folder: Path, taken: str, shared: bool = False) -> None:
    """Lock an open file until it is closed; raises UsageError where another process has."""
    try:
        if os.name == "nt":
            import msvcrt

            if shared:  # Windows has no such lock
                return
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(file.fileno(), (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        raise UsageError(taken, where=str(folder), fix="wait until it has ended, or choose another --out") from None
    except OSError:  # a network file system without locks
        return
