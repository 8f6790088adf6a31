"""The progress bar of a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


@contextmanager
def bar(title: str, stream: TextIO, rate: Callable[[float], str]) -> Iterator[Callable[[int, int], None]]:
    """Show a bar while the block runs.

    Args:
        title: what is being done.
        stream: where to write.
        rate: formats a number of units per second.

    Yields:
        A callback that takes (done, total).
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(rate), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=stream)) as shown:
        task = shown.add_task(title, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


class _Rate(ProgressColumn):
    """Units per second."""

    def __init__(self, rate: Callable[[float], str]) -> None:
        super().__init__()
        self.rate = rate

    def render(self, task: Task) -> Text:
        return Text(self.rate(task.speed) if task.speed else "")
