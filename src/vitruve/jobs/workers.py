"""Run tasks in this process, in several processes, or on a Dask cluster; results come as they are completed.

with task_workers(8) as run:
    for task, result in run(do, tasks):
        ...
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from vitruve.errors import MissingAsset, VitruveError
from vitruve.runs.progress import Progress

Do = Callable[[Any, Progress | None], Any]
Results = Iterator[tuple[Any, Any]]
# A task is given up after so many deaths of its process.
_MOST_DEATHS = 2


@dataclass(frozen=True)
class RunTasks:
    """Runs tasks on a backend, which yields each task with its result or with the exception that ended it."""

    _backend: Callable[[Do, Sequence[Any], Callable[[Any], None], Progress | None], Results]
    _parallel: bool = True

    def __call__(
        self,
        do: Do,
        tasks: Sequence[Any],
        *,
        size: Callable[[Any], float] = lambda task: 1.0,
        where: Callable[[Any], str] = str,
        begin: Callable[[Any], None] = lambda task: None,
        progress: Progress | None = None,
    ) -> Results:
        """Yield each task with its result, or with the VitruveError that ended it.

        Args:
            do: called with a task and with `progress`, which is None in other processes. Several workers need a
                module-level function. It raises VitruveError only.
            size: how much work a task is. Several workers begin with the largest, so that none is left for the end.
            where: the place that an error about a task names.
            begin: called with each task before it is submitted.
        """
        ordered = sorted(tasks, key=size, reverse=True) if self._parallel else tasks
        for task, result in self._backend(do, ordered, begin, progress):
            yield task, _user_error(result, where(task)) if isinstance(result, BaseException) else result


@contextmanager
def task_workers(workers: int = 1, cluster: str = "", ready: Callable[[], None] | None = None) -> Iterator[RunTasks]:
    """Provide workers for the duration of the block.

    Args:
        workers: processes on this machine; 1 runs in this process, with all its threads.
        cluster: address of a Dask scheduler, or its scheduler file; used instead.
        ready: called by each process before its first task, to load compiled code.
    """
    if cluster:
        with _dask_client(cluster) as client:
            yield RunTasks(partial(_run_on_cluster, client))
        return
    if ready is not None:
        # Here first: processes that compile the same at once can mix up the files that numba keeps.
        ready()
    if workers == 1:
        yield RunTasks(_run_here, _parallel=False)
        return
    pool = _Pool(workers, ready)
    try:
        yield RunTasks(pool.run)
    finally:
        pool.close(wait=True)  # files still being written must not overlap with the next run


def _run_here(do: Do, tasks: Sequence[Any], begin: Callable[[Any], None], progress: Progress | None) -> Results:
    for task in tasks:
        begin(task)
        try:
            result = do(task, progress)
        except VitruveError as error:
            result = error
        yield task, result


def _run_on_one_thread(do: Do, task: Any) -> Any:
    """Run a task in a worker that shares its machine with others."""
    torch.set_num_threads(1)
    return do(task, None)


def _user_error(error: BaseException, where: str) -> VitruveError:
    if isinstance(error, VitruveError):
        return error
    if isinstance(error, BrokenProcessPool) or type(error).__name__ == "KilledWorker":
        return VitruveError(
            "the process that worked on it died, twice",
            where=where,
            fix="memory may have run out: use fewer --workers, or run it alone; what is done is kept",
        )
    return VitruveError(
        f"a worker failed: {type(error).__name__}: {error}",
        where=where,
        fix="on a cluster, install the same version of vitruve on every worker",
    )


@dataclass
class _Queue:
    """Waiting tasks. Those that ran when a worker died are retried one by one, to find the one that kills it."""

    waiting: deque[Any]
    suspects: deque[Any] = field(default_factory=deque)
    deaths: Counter[int] = field(default_factory=Counter)

    def next(self, running: int, workers: int) -> Any:
        if self.suspects:
            return self.suspects.popleft() if running == 0 else None
        return self.waiting.popleft() if self.waiting and running < workers else None

    def retry(self, task: Any) -> bool:
        """Count a death; False where the task is given up."""
        self.deaths[id(task)] += 1
        if self.deaths[id(task)] >= _MOST_DEATHS:
            return False
        self.suspects.append(task)
        return True


class _Pool:
    """Processes on this machine, started with the first task and again when one of them has died."""

    def __init__(self, workers: int, ready: Callable[[], None] | None) -> None:
        self._workers, self._ready = workers, ready
        self._executor: ProcessPoolExecutor | None = None

    def close(self, wait: bool = False) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=wait, cancel_futures=True)
            self._executor = None

    def run(self, do: Do, tasks: Sequence[Any], begin: Callable[[Any], None], progress: Progress | None) -> Results:
        workers = min(self._workers, max(len(tasks), 1))
        queue, running = _Queue(deque(tasks)), dict[Future[Any], Any]()
        while True:
            broken = False
            while not broken and (task := queue.next(len(running), workers)) is not None:
                begin(task)
                try:
                    running[self._submit(workers, do, task)] = task
                except BrokenProcessPool:  # a process died since the last look
                    queue.suspects.append(task)
                    broken = True
            if not running and not broken:
                return
            finished = wait(running, return_when=FIRST_COMPLETED).done if running else set()
            if broken or any(isinstance(future.exception(), BrokenProcessPool) for future in finished):
                # One dead process takes the whole pool with it.
                broken, finished = True, wait(running).done
            for future in finished:
                task = running.pop(future)
                error = future.exception()
                if error is None:
                    yield task, future.result()
                elif not isinstance(error, BrokenProcessPool) or not queue.retry(task):
                    yield task, error
            if broken:
                self.close()

    def _submit(self, workers: int, do: Do, task: Any) -> Future[Any]:
        if self._executor is None:
            # Forked children of a process with threads can hang; spawned ones begin clean.
            context = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(workers, context, _begin_worker, (self._ready,))
        return self._executor.submit(_run_on_one_thread, do, task)


def _begin_worker(ready: Callable[[], None] | None) -> None:
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_with, args=(parent,), daemon=True).start()
    if ready is not None:
        ready()


def _exit_with(parent: Any) -> None:
    """A worker whose parent was killed would wait forever, or write after the next run has begun."""
    parent.join()
    os._exit(1)


@contextmanager
def _dask_client(address: str) -> Iterator[Any]:
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
        client = Client(None if file else address, scheduler_file=file, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise MissingAsset(
            "no Dask scheduler answers",
            where=f"{address}: {error}",
            fix="start one with `dask scheduler` and workers with `dask worker ADDRESS`",
        ) from None
    try:
        yield client
    finally:
        with suppress(Exception):
            client.close()


def _run_on_cluster(
    client: Any, do: Do, tasks: Sequence[Any], begin: Callable[[Any], None], progress: Progress | None
) -> Results:
    """Dask itself retries a task when its worker dies."""
    from distributed import as_completed

    futures = {}
    for task in tasks:
        begin(task)
        # Not pure: a task that is submitted again runs again.
        futures[client.submit(_run_on_one_thread, do, task, pure=False)] = task
    for future in as_completed(list(futures), loop=client.loop):
        error = future.exception()
        yield futures.pop(future), future.result() if error is None else error
