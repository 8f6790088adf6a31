"""The same jobs in this process, in several processes, or on a Dask cluster; results as they are completed."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch

from vitruve.convert.job import Job, Progress, convert_job, failure
from vitruve.errors import MissingAsset, VitruveError

Result = tuple[Job, dict[str, Any]]
Begin = Callable[[Job], None]
# How often a job may lose its worker before it is given up.
_LOSSES = 2


def run_jobs(
    jobs: Iterable[Job],
    *,
    workers: int = 1,
    cluster: str = "",
    begin: Begin = lambda job: None,
    progress: Progress | None = None,
) -> Iterator[Result]:
    """Do jobs and give each with its ledger entry, in the order of completion.

    Args:
        jobs: what to do.
        workers: processes on this machine; 1 works in this one, with all its threads.
        cluster: address of a Dask scheduler, or the file it has written; used instead.
        begin: called before a job is handed out.
        progress: for the work in this process: called with frames done and frames in all of the job at hand.
    """
    if cluster:
        # The longest first, so that none is left over at the end.
        yield from _on_cluster(_longest_first(jobs), cluster, begin)
    elif workers > 1:
        yield from _in_processes(_longest_first(jobs), workers, begin)
    else:
        for job in jobs:
            begin(job)
            yield job, convert_job(job, progress)


def one_thread_job(job: Job) -> dict[str, Any]:
    """`convert_job` for a worker that shares its machine with others."""
    torch.set_num_threads(1)
    return convert_job(job)


def _longest_first(jobs: Iterable[Job]) -> list[Job]:
    return sorted(jobs, key=lambda job: -job.facts.frames)


@dataclass
class _Queue:
    """Jobs that wait; those that were at hand when a worker died are tried again one by one, to find the culprit."""

    waiting: deque[Job]
    suspects: deque[Job] = field(default_factory=deque)
    losses: dict[str, int] = field(default_factory=dict)

    def next(self, running: int, workers: int) -> Job | None:
        if self.suspects:
            return self.suspects.popleft() if running == 0 else None
        return self.waiting.popleft() if self.waiting and running < workers else None


def _in_processes(jobs: list[Job], workers: int, begin: Begin) -> Iterator[Result]:
    workers = max(1, min(workers, len(jobs)))
    queue, pool, running = _Queue(deque(jobs)), _pool(workers), dict[Future[dict[str, Any]], Job]()
    try:
        while True:
            broken = False
            while not broken and (job := queue.next(len(running), workers)) is not None:
                begin(job)
                try:
                    running[pool.submit(one_thread_job, job)] = job
                except BrokenProcessPool:  # a process died since the last look
                    queue.suspects.append(job)
                    broken = True
            if not running and not broken:
                return
            finished = wait(running, return_when=FIRST_COMPLETED).done if running else set()
            if broken or any(isinstance(future.exception(), BrokenProcessPool) for future in finished):
                # One dead process takes the whole pool with it.
                broken, finished = True, wait(running).done
            for future in finished:
                job = running.pop(future)
                error = future.exception()
                if error is None:
                    yield job, future.result()
                elif not isinstance(error, BrokenProcessPool):
                    yield job, _worker_error(job, error)
                elif _is_given_up(job, queue.losses):
                    yield job, _lost(job)
                else:
                    queue.suspects.append(job)
            if broken:
                pool.shutdown(wait=False, cancel_futures=True)
                pool = _pool(workers)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _is_given_up(job: Job, losses: dict[str, int]) -> bool:
    losses[job.name] = losses.get(job.name, 0) + 1
    return losses[job.name] >= _LOSSES


def _lost(job: Job) -> dict[str, Any]:
    error = VitruveError(
        "the process that converted it died, twice",
        where=f"{job.input}: {job.facts.frames} frames",
        fix="memory may have run out: use fewer --workers, or convert it alone",
    )
    return failure(job.input, job.name, error)


def _pool(workers: int) -> ProcessPoolExecutor:
    # Forked children of a process with threads can hang; spawned ones begin clean.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker)


def _begin_worker() -> None:
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent.join()
    os._exit(1)


def _on_cluster(jobs: list[Job], address: str, begin: Begin) -> Iterator[Result]:
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise MissingAsset(
            "a cluster needs dask.distributed, which is not installed",
            where=f"--cluster {address}",
            fix="pip install 'vitruve[cluster]'",
        ) from None
    # An address, or the file that a scheduler writes its own into.
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
        futures = {}
        for job in jobs:
            begin(job)
            # Not pure: a job is done again if it is asked for again. Dask itself moves it when its worker dies.
            futures[client.submit(one_thread_job, job, pure=False)] = job
        for future in as_completed(list(futures), loop=client.loop):
            job = futures.pop(future)
            error = future.exception()
            yield job, future.result() if error is None else _worker_error(job, error)
    finally:
        with suppress(Exception):
            client.close()


def _worker_error(job: Job, error: BaseException) -> dict[str, Any]:
    if type(error).__name__ == "KilledWorker":
        return _lost(job)
    odd = VitruveError(
        f"a worker could not do it: {type(error).__name__}: {error}",
        where=job.input,
        fix="on a cluster, install the same version of vitruve on every worker",
    )
    return failure(job.input, job.name, odd)
