"""Tasks on a Dask cluster; Dask itself moves a task when its worker dies."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from vitruve.errors import MissingAsset
from vitruve.jobs.workers import Do, largest_first, lost_task, one_thread_task, worker_error
from vitruve.runs.progress import Progress


class Cluster:
    """A connection to a Dask scheduler, until the block ends.

    Args:
        address: of the scheduler, or the file that it wrote its address to.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def __enter__(self) -> Cluster:
        address = self._address
        try:
            from distributed import Client
        except ImportError:
            raise MissingAsset(
                "a cluster needs dask.distributed, which is not installed",
                where=f"--cluster {address}",
                fix="pip install 'vitruve[cluster]'",
            ) from None
        file = address if os.path.isfile(address) else None
        try:
            self._client = Client(None if file else address, scheduler_file=file, timeout=10, set_as_default=False)
        except (OSError, ValueError) as error:
            raise MissingAsset(
                "no Dask scheduler answers",
                where=f"{address}: {error}",
                fix="start one with `dask scheduler` and workers with `dask worker ADDRESS`",
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):
            self._client.close()

    def run(
        self,
        do: Do,
        tasks: Sequence[Any],
        *,
        size: Callable[[Any], float] = lambda task: 1.0,
        where: Callable[[Any], str] = str,
        begin: Callable[[Any], None] = lambda task: None,
        progress: Progress | None = None,
    ) -> Iterator[tuple[Any, Any]]:
        """As `jobs.workers.RunTasks`."""
        from distributed import as_completed

        futures = {}
        for task in largest_first(tasks, size):
            begin(task)
            # Not pure: a task is done again if it is asked for again.
            futures[self._client.submit(one_thread_task, do, task, pure=False)] = task
        for future in as_completed(list(futures), loop=self._client.loop):
            task = futures.pop(future)
            error = future.exception()
            if error is None:
                yield task, future.result()
            elif type(error).__name__ == "KilledWorker":
                yield task, lost_task(where(task))
            else:
                yield task, worker_error(error, where(task))
