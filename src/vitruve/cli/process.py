"""The process that a command runs in: how long it has been at work, a quick start and a quick end."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_begun = time.perf_counter()


def begin(alone: bool) -> None:
    """Begin to count the seconds.

    Args:
        alone: the process was started for this command, so what Python itself has taken so far counts too.
    """
    global _begun
    # Until here Python has hardly waited for anything, so its processor time is the time it took.
    _begun = time.perf_counter() - (time.process_time() if alone else 0.0)


def seconds() -> float:
    """Seconds by the clock since the process was started."""
    return time.perf_counter() - _begun


@contextmanager
def quick_imports() -> Iterator[None]:
    """Imports without the garbage collector, which looks at all that is loaded again and again, and finds nothing.

    What was loaded stays until the end, so it is never looked at later either.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def end(status: int) -> None:
    """End the process at once, where nothing is left to do: to take torch apart again takes a fifth of its import.

    Returns where something might be: threads that run on, a profiler that will write.
    """
    if threading.active_count() > 1 or sys.getprofile() or sys.gettrace():
        return
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        atexit._run_exitfuncs()
        os._exit(status)
