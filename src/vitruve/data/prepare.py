"""Motion files of any make become a clip store: each clip once, by several processes, at any pace.

    outcome = prepare(["AMASS", "bandai-namco-2"], "motions", workers=8)
    print(outcome.frames, outcome.failed)

What is to be written is planned first: files are put together to shards, in the order of their keys. The plan lies in
the store until all is done. A run that was killed is continued by the same call and ends with the same bytes, since a
shard stands whole or not at all.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from vitruve.data.clips import STORE_FILE, VERSION, check_store, shard_folders
from vitruve.data.planning import PLAN_FILE, Plan, make_plan
from vitruve.data.read_arrays import prepare_kernels
from vitruve.data.shards import (
    KEPT,
    PARTIAL,
    ShardJob,
    Target,
    Written,
    actor_of,
    checked_target,
    shape_of_actor,
    write_shard,
)
from vitruve.data.sources import SourceFile
from vitruve.errors import BadData, UsageError, not_written, writing
from vitruve.files.atomic import write_json, write_text
from vitruve.files.toml import to_toml
from vitruve.motion.found import gathered
from vitruve.runs.lock import alone
from vitruve.runs.run_folder import RUN_FILE
from vitruve.runs.versions import versions
from vitruve.threads import one_torch_thread

Progress = Callable[[int, int], None]
FAILED_FILE = "failed.csv"


@dataclass(frozen=True)
class Outcome:
    """What a preparation came to.

    Attributes:
        plan: what it was to do.
        clips, frames: that were written now.
        failed: a line for each file that could not be read: file, what, where, do.
        warned: what is odd about those that were, as `motion.found.gathered` has it.
    """

    plan: Plan
    clips: int
    frames: int
    failed: tuple[dict[str, Any], ...]
    warned: tuple[dict[str, Any], ...] = ()


def prepare(
    given: Sequence[str | Path],
    out: str | Path,
    *,
    to: str = Target.body,
    mapping: str = "",
    source_fps: float | None = None,
    gender: str | None = None,
    set_name: str = "",
    licence: str = "",
    workers: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Bring motion files into a store. What is in it already is not read again, and nothing of it is changed.

    Args:
        given: files and folders: AMASS of either make, Vitruve's own files, BVH and ASF/AMC.
        out: the store; it is made if it is not there.
        to: the body that motions on foreign skeletons are brought to, one shape for each person.
        mapping: for these, a mapping's name or file; the shipped one that fits where empty.
        source_fps: frames per second, for files that do not say.
        gender: likewise.
        set_name: the data set that all files are of, where their folders do not say it.
        licence: of these sets, in one line; known for AMASS, and for others by the names of their files.
        workers: processes.
        overwrite: write the sets of these files anew; refused where the store has clips of files that are not given.
        progress: called with files done and files in all.

    Raises:
        UsageError: nothing to prepare; another run is at work; the folder is something else; clips would be lost.
        NotWritten: the disk is full, say. BadData: a process died. The same call goes on from there.
    """
    store = Path(os.path.abspath(Path(out).expanduser()))
    plan_now = _planner(given, store, checked_target(Target(to, mapping, source_fps, gender)), set_name, licence)
    # Where there is nothing to prepare, this raises before anything is made.
    early = None if store.exists() else plan_now(overwrite)
    _make_store(store)
    with alone(store, "another preparation into this store is at work"):
        plan = early if early and not shard_folders(store) else plan_now(overwrite)
        if overwrite:
            for name in {source.set for source in plan.files}:
                shutil.rmtree(store / name, ignore_errors=True)
        for left in store.glob(f"*/{PARTIAL}*"):
            shutil.rmtree(left, ignore_errors=True)
        options = {"given": [str(entry) for entry in given], "out": str(store), "to": to, "mapping": mapping,
                   "source_fps": source_fps, "gender": gender, "set_name": set_name,
                   "licence": licence, "workers": workers, "overwrite": overwrite}  # fmt: skip
        try:
            outcome = _carry_out(plan, store, workers, progress)
            # A damaged file must not stand in the way of a whole copy of it.
            while (failed := _failed(outcome)) & {skipped.taken for skipped in outcome.plan.skipped}:
                again = _carry_out(plan_now(without=failed), store, workers, progress)
                outcome = _together(outcome, again)
            _write_records(store, options, outcome)
        except OSError as error:
            raise not_written(error, store, KEPT) from None
    return outcome


def plan_preparation(
    given: Sequence[str | Path],
    out: str | Path,
    *,
    to: str = Target.body,
    mapping: str = "",
    source_fps: float | None = None,
    gender: str | None = None,
    set_name: str = "",
    licence: str = "",
    overwrite: bool = False,
) -> Plan:
    """What `prepare` would do; nothing is written."""
    store = Path(os.path.abspath(Path(out).expanduser()))
    _refuse_foreign(store)
    return _planner(given, store, checked_target(Target(to, mapping, source_fps, gender)), set_name, licence)(overwrite)


def _planner(
    given: Sequence[str | Path], store: Path, target: Target, set_name: str, licence: str
) -> Callable[..., Plan]:
    def plan(overwrite: bool = False, without: Collection[Path] = ()) -> Plan:
        options = {"set_name": set_name, "licence": licence, "overwrite": overwrite, "without": without}
        return make_plan(given, store, target, **options)

    return plan


def _failed(outcome: Outcome) -> set[Path | None]:
    return {Path(line["file"]) for line in outcome.failed}


def _together(first: Outcome, second: Outcome) -> Outcome:
    """Of two passes over the same files: the second has taken copies of what failed in the first."""
    return Outcome(
        replace(first.plan, skipped=second.plan.skipped),
        first.clips + second.clips,
        first.frames + second.frames,
        tuple(sorted([*first.failed, *second.failed], key=lambda line: line["file"])),
        (*first.warned, *second.warned),
    )


def _refuse_foreign(store: Path) -> None:
    if (store / STORE_FILE).is_file():
        check_store(store)
    elif store.exists() and (not store.is_dir() or any(store.iterdir())):
        raise UsageError(
            "the output is something else than a clip store, and is not touched",
            where=f"{store} has no {STORE_FILE}",
            fix="choose another folder: --out STORE",
        )


def _make_store(store: Path) -> None:
    with writing(store):
        _refuse_foreign(store)
        store.mkdir(parents=True, exist_ok=True)
        if not (store / STORE_FILE).is_file():
            write_json(store / STORE_FILE, {"format": "vitruve clip store", "version": VERSION})


def _carry_out(plan: Plan, store: Path, workers: int, progress: Progress | None) -> Outcome:
    done, total = 0, sum(len(job.files) for job in plan.shards)

    def count(files: int) -> None:
        nonlocal done
        done += files
        if progress:
            progress(done, total)

    written: list[Written] = []
    with _hands(workers if total > 1 else 1) as run:
        jobs = _with_shapes(plan, store, run)
        for job, result in run(_write, jobs, None if workers > 1 else lambda: count(1)):
            written.append(result)
            if workers > 1:
                count(len(job.files))
    (store / PLAN_FILE).unlink(missing_ok=True)
    failed = [*plan.failed, *(line for result in written for line in result.failed)]
    return Outcome(
        plan,
        sum(result.clips for result in written),
        sum(result.frames for result in written),
        tuple(sorted(failed, key=lambda line: line["file"])),
        tuple(gathered(sorted((pair for result in written for pair in result.warned), key=lambda pair: pair[0]))),
    )


def _with_shapes(plan: Plan, store: Path, run: Any) -> list[ShardJob]:
    """The jobs with the shapes of all actors, which go into the plan on disk before the first shard is written."""
    open_actors = [(actor, tuple(files), plan.target) for actor, files in plan.actors.items()]
    found = {task[0]: betas for task, betas in run(_shape, open_actors, None) if betas is not None}
    shapes = plan.betas | found
    jobs = [ShardJob(**{**job.__dict__, "betas": _of_shard(job, shapes)}) for job in plan.shards]
    if jobs:
        write_json(store / PLAN_FILE, plan.as_dict(shapes))
    return jobs


def _of_shard(job: ShardJob, shapes: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
    actors = {actor_of(source) for source in job.files if source.is_tree}
    return {actor: shapes[actor] for actor in sorted(actors) if actor in shapes}


def _shape(task: tuple[str, tuple[SourceFile, ...], Target], each: None = None) -> tuple[float, ...] | None:
    return shape_of_actor(task[1], task[2])


def _write(job: ShardJob, each: Callable[[], None] | None = None) -> Written:
    return write_shard(job, each)


@contextmanager
def _hands(workers: int) -> Iterator[Any]:
    """A function that does tasks, in this process or in several, and gives each with its result.

    Torch has one thread in all of them: results then do not depend on how many there are.
    """
    if workers == 1:
        with one_torch_thread():
            yield lambda work, tasks, each: ((task, work(task, each)) for task in tasks)
        return
    # Here first: processes that compile the same for different types at once can mix up the files that numba keeps.
    prepare_kernels()
    # Forked children of a process with threads can hang; spawned ones begin clean.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker)

    def run(work: Any, tasks: Sequence[Any], _: None) -> Iterator[tuple[Any, Any]]:
        waiting = {pool.submit(work, task): task for task in tasks}
        for future in as_completed(waiting):
            yield waiting[future], future.result()

    try:
        yield run
    except BrokenProcessPool:
        raise BadData(
            "a process that prepared data died",
            where=f"one of {workers}",
            fix="memory may have run out: use fewer --workers, and run the same again; what is done is kept",
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin_worker() -> None:
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    prepare_kernels()


def _end_with(parent: Any) -> None:
    """A worker whose parent was killed would wait for work for ever, and might write after the next run has begun."""
    parent.join()
    os._exit(1)


def _write_records(store: Path, options: dict[str, Any], outcome: Outcome) -> None:
    """The table of failed files, and how the last run was called."""
    table = store / FAILED_FILE
    table.unlink(missing_ok=True)
    if outcome.failed:
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["file", "what", "where", "do"])
            writer.writeheader()
            writer.writerows(outcome.failed)
    record = {"command": "vitruve data prepare", "options": options, "versions": versions()}
    write_text(store / RUN_FILE, to_toml(record))
