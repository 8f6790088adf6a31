"""The process of a command: seconds since its start, quick imports, a quick end."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_start = time.perf_counter()


def begin(is_script: bool) -> None:
    """Start the clock; in a process of the command's own, the start of Python counts too."""
    global _start
    # Until here Python has hardly waited for anything, so its processor time is the time it took.
    _start = time.perf_counter() - (time.process_time() if is_script else 0.0)


def seconds() -> float:
    """Seconds since the command was started."""
    return time.perf_counter() - _start


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import without the garbage collector, which scans all loaded modules again and again and frees nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # modules stay until the end: later collections skip them
        if was_on:
            gc.enable()


def end(status: int) -> None:
    """End the process at once: unloading torch takes a fifth of the time of its import.

    Does nothing where other threads run or a profiler has to write.
    """
    if threading.active_count() > 1 or sys.getprofile() or sys.gettrace():
        return
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        atexit._run_exitfuncs()
        os._exit(status)
