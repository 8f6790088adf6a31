"""Tasks done in this process, in several, or on a Dask cluster; each result is given as it is completed.

    with task_workers(8) as run:
        for task, result in run(do, tasks):
            ...

A process that dies takes its task with it. The task is tried again, and given up when that happens twice.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from vitruve.errors import VitruveError
from vitruve.runs.progress import Progress

Do = Callable[[Any, Progress | None], Any]
# How often a task may lose its worker before it is given up.
_LOSSES = 2


class RunTasks(Protocol):
    """Does tasks and gives each with its result, or with the VitruveError it ended with."""

    def __call__(
        self,
        do: Do,
        tasks: Sequence[Any],
        *,
        size: Callable[[Any], float] = ...,
        where: Callable[[Any], str] = ...,
        begin: Callable[[Any], None] = ...,
        progress: Progress | None = ...,
    ) -> Iterator[tuple[Any, Any]]:
        """Run.

        Args:
            do: called with a task and with `progress`, which is None in other processes. Several workers need a
                function of a module. It raises VitruveError only.
            tasks: what to do; several workers begin with the largest, so that none of these is left over at the end.
            size: how much work a task is.
            where: what a task is about, for an error.
            begin: called with a task before it is handed out.
            progress: for the work in this process.
        """
        ...


@contextmanager
def task_workers(workers: int = 1, cluster: str = "", ready: Callable[[], None] | None = None) -> Iterator[RunTasks]:
    """The workers, until the block ends.

    Args:
        workers: processes on this machine; 1 works in this one, with all its threads.
        cluster: address of a Dask scheduler, or the file that it wrote its address to; used instead.
        ready: called by each process before its first task, to load what is compiled.
    """
    if cluster:
        from vitruve.jobs.cluster import Cluster

        with Cluster(cluster) as on_cluster:
            yield on_cluster.run
    elif workers > 1:
        pool = _Pool(workers, ready)
        try:
            yield pool.run
        finally:
            pool.close(wait=True)  # what is being written must not overlap with the next run
    else:
        if ready is not None:
            ready()
        yield _in_this_process


def _in_this_process(
    do: Do,
    tasks: Sequence[Any],
    *,
    size: Callable[[Any], float] = lambda task: 1.0,
    where: Callable[[Any], str] = str,
    begin: Callable[[Any], None] = lambda task: None,
    progress: Progress | None = None,
) -> Iterator[tuple[Any, Any]]:
    for task in tasks:
        begin(task)
        try:
            result = do(task, progress)
        except VitruveError as error:
            result = error
        yield task, result


def one_thread_task(do: Do, task: Any) -> Any:
    """A task in a worker that shares its machine with others."""
    torch.set_num_threads(1)
    return do(task, None)


def lost_task(where: str) -> VitruveError:
    """The error of a task that is given up."""
    return VitruveError(
        "the process that worked on it died, twice",
        where=where,
        fix="memory may have run out: use fewer --workers, or do it alone; what is done is kept",
    )


def worker_error(error: BaseException, where: str) -> VitruveError:
    """What a task ended with in a worker, as an error for the user."""
    if isinstance(error, VitruveError):
        return error
    return VitruveError(
        f"a worker could not do it: {type(error).__name__}: {error}",
        where=where,
        fix="on a cluster, install the same version of vitruve on every worker",
    )


@dataclass
class _Queue:
    """Tasks that wait; those in progress when a worker died are tried again one by one, to find the culprit."""

    waiting: deque[Any]
    suspects: deque[Any] = field(default_factory=deque)
    losses: dict[int, int] = field(default_factory=dict)

    def next(self, running: int, workers: int) -> Any:
        if self.suspects:
            return self.suspects.popleft() if running == 0 else None
        return self.waiting.popleft() if self.waiting and running < workers else None

    def lose(self, task: Any) -> bool:
        """Count a loss; whether the task is to be tried again."""
        self.losses[id(task)] = self.losses.get(id(task), 0) + 1
        if self.losses[id(task)] >= _LOSSES:
            return False
        self.suspects.append(task)
        return True


class _Pool:
    """Processes of this machine; started with the first task, and again when one of them has died."""

    def __init__(self, workers: int, ready: Callable[[], None] | None) -> None:
        if ready is not None:
            # Here first: processes that compile the same at once can mix up the files that numba keeps.
            ready()
        self._workers, self._ready = workers, ready
        self._processes: ProcessPoolExecutor | None = None

    def close(self, wait: bool = False) -> None:
        if self._processes is not None:
            self._processes.shutdown(wait=wait, cancel_futures=True)
            self._processes = None

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
        workers = min(self._workers, max(len(tasks), 1))
        queue, running = _Queue(deque(largest_first(tasks, size))), dict[Future[Any], Any]()
        while True:
            broken = False
            while not broken and (task := queue.next(len(running), workers)) is not None:
                begin(task)
                try:
                    running[self._started(workers).submit(one_thread_task, do, task)] = task
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
                elif not isinstance(error, BrokenProcessPool):
                    yield task, worker_error(error, where(task))
                elif not queue.lose(task):
                    yield task, lost_task(where(task))
            if broken:
                self.close()

    def _started(self, workers: int) -> ProcessPoolExecutor:
        if self._processes is None:
            # Forked children of a process with threads can hang; spawned ones begin clean.
            context = multiprocessing.get_context("spawn")
            self._processes = ProcessPoolExecutor(
                workers, mp_context=context, initializer=_begin_worker, initargs=(self._ready,)
            )
        return self._processes


def largest_first(tasks: Sequence[Any], size: Callable[[Any], float]) -> list[Any]:
    """Tasks in the order in which several workers take them."""
    return sorted(tasks, key=lambda task: -size(task))


def _begin_worker(ready: Callable[[], None] | None) -> None:
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if ready is not None:
        ready()


def _end_with(parent: Any) -> None:
    """A worker whose parent was killed would wait for ever, or write after the next run has begun."""
    parent.join()
    os._exit(1)
