"""Lock a folder, so that one run at a time works in it.

The system releases the lock when the process ends; the lock file stays. On a file system without locks, two runs are
not kept apart.
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
    """Hold the lock on a folder.

    Args:
        taken: the error message if another run holds the lock.
        shared: several runs may hold a shared lock; it excludes an exclusive one.
    """
    with writing(folder):
        file = (folder / name).open("a")
    with file:
        lock(file, folder, taken, shared)
        yield


def lock(file: IO[Any], folder: Path, taken: str, shared: bool = False) -> None:
    """Lock an open file until it is closed; raises UsageError if another process holds the lock."""
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
