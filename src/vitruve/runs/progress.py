"""The progress bar: rate and time left on a terminal; elsewhere a plain line per tenth of longer work."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

Progress = Callable[[int, int], None]
"""The `progress` callback of library functions, called with (done, total)."""

# Seconds: shorter work prints no lines to a log.
_SOON = 5.0


@contextmanager
def progress_bar(title: str, unit: str = "", quiet: bool = False, stream: TextIO | None = None) -> Iterator[Progress]:
    """Show the progress of a task; yields the callback to pass as `progress`.

    Args:
        unit: what is counted, for example "frames".
        stream: where to write; standard error by default.
    """
    out: TextIO = stream or sys.stderr
    if quiet:
        yield lambda done, total: None
    elif not out.isatty():
        yield _plain_lines(title, unit, out)
    else:
        with _bar(title, unit, out) as show:
            yield show


@contextmanager
def _bar(title: str, unit: str, stream: TextIO) -> Iterator[Progress]:
    from rich import progress as bars  # only a terminal needs it
    from rich.console import Console

    rate, title_column = bars.TextColumn("{task.fields[rate]}"), bars.TextColumn("{task.description}")
    columns = title_column, bars.BarColumn(), bars.MofNCompleteColumn(), rate, bars.TimeRemainingColumn()
    with bars.Progress(*columns, console=Console(file=stream)) as shown:
        task = shown.add_task(title, total=None, rate="")

        def show(done: int, total: int) -> None:
            shown.update(task, completed=done, total=total)
            speed = shown.tasks[0].finished_speed or shown.tasks[0].speed
            shown.update(task, rate=_rate(speed, unit) if speed else "")

        yield show


def _plain_lines(title: str, unit: str, stream: TextIO) -> Progress:
    start, last_tenth = time.monotonic(), 0

    def show(done: int, total: int) -> None:
        nonlocal last_tenth
        tenth = 10 * done // max(total, 1)
        seconds = max(time.monotonic() - start, 1e-9)
        if tenth <= last_tenth or seconds < _SOON:
            return
        last_tenth = tenth
        left = "" if done >= total else f", {(total - done) * seconds / done:.0f} s left"
        print(f"{title}: {done}/{total}{' ' + unit if unit else ''}, {_rate(done / seconds, unit)}{left}", file=stream)

    return show


def _rate(per_second: float, unit: str) -> str:
    return f"{per_second:,.0f} {unit}/s".replace(" /s", "/s") if per_second >= 10 else f"{per_second:.2g} {unit}/s"
