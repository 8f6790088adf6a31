"""Prepare motion files of any make into a clip store: each clip once, by several processes, in any number of runs.

The plan, which files go into which shard, stays in the store until all shards are written. Shards are atomic, so
calling `prepare` again resumes a killed run and gives the same bytes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from vitruve.data.clips import STORE_FILE, VERSION, check_store, shard_folders
from vitruve.data.planning import PLAN_FILE, Plan, is_finished, make_plan
from vitruve.data.read_arrays import prepare_kernels
from vitruve.data.write_shard import (
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
from vitruve.errors import UsageError, VitruveError, not_written, writing
from vitruve.files.atomic import write_json, write_text
from vitruve.files.toml import to_toml
from vitruve.jobs.failures import failure, write_failures
from vitruve.jobs.shards import WHOLE, Shard, shard_suffix
from vitruve.jobs.workers import RunTasks, task_workers
from vitruve.motion.finding import summarise_findings
from vitruve.runs.folder import RUN_FILE
from vitruve.runs.lock import LOCK_FILE, alone
from vitruve.runs.progress import Progress
from vitruve.runs.versions import versions
from vitruve.threads import one_torch_thread

FAILED_FILE = "failed.csv"


@dataclass(frozen=True)
class Outcome:
    """The result of a preparation.

    Attributes:
        plan: what was planned.
        clips, frames: written by this run.
        failed: for each file that could not be read: file, what, where, do.
        warned: oddities of the other files, as from `summarise_findings`.
    """

    plan: Plan
    clips: int
    frames: int
    failed: tuple[dict[str, Any], ...]
    warned: tuple[dict[str, Any], ...] = ()


def prepare(  # noqa: PLR0913 (one parameter per option)
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
    shard: Shard = WHOLE,
    cluster: str = "",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Add motion files to a store. Clips that it has are neither read again nor changed.

    Args:
        given: files and folders: AMASS of either make, Vitruve's own files, BVH and ASF/AMC.
        out: the store; created if missing.
        to: the body that motions on foreign skeletons are retargeted to, with one shape per person.
        mapping: name or file of the mapping for these; the shipped one that fits where empty.
        source_fps: frames per second, for files that do not state it.
        gender: for files that do not state it.
        set_name: the data set of all files, where their folders do not name it.
        licence: of these sets, in one line; known for AMASS, and for some others by their file names.
        workers: processes on this machine.
        shard: (i, n), one part of the work. Parts can run at the same time on machines that share the store. Intact
            copies of damaged files are left to a call without parts.
        cluster: address of a Dask scheduler to use instead of local workers.
        overwrite: replace the sets of these files; an error where the store has clips of files that are not given.
        progress: called with files done and files in all.

    Raises:
        UsageError: nothing to prepare; another run is active; the folder is not a store; clips would be lost.
        NotWritten: the disk is full, for example. The same call resumes.
    """
    if overwrite and shard != WHOLE:
        fix = "leave out one of the two, or prepare a new store: --out STORE"
        raise UsageError("a part of the work cannot replace what other parts write", "--overwrite --shard", fix)
    store = _absolute(out)
    target = checked_target(Target(to, mapping, source_fps, gender))
    plan_now = partial(make_plan, given, store, target, set_name=set_name, licence=licence, in_parts=shard != WHOLE)
    # Planned before the store is created: where there is nothing to prepare, this raises.
    early = None if store.exists() else plan_now(overwrite=overwrite)
    _make_store(store)
    with _locked(store, shard):
        plan = early if early and not shard_folders(store) and shard == WHOLE else plan_now(overwrite=overwrite)
        _remove_old(store, plan, overwrite, shard)
        options = {"given": [str(entry) for entry in given], "out": str(store), "to": to, "mapping": mapping,
                   "source_fps": source_fps, "gender": gender, "set_name": set_name, "licence": licence,
                   "workers": workers, "shard": list(shard), "cluster": cluster, "overwrite": overwrite}  # fmt: skip
        run_plan = partial(_run, store=store, workers=workers, cluster=cluster, shard=shard, progress=progress)
        try:
            outcome = run_plan(plan)
            # Where a damaged file has an intact copy, prepare the copy.
            while shard == WHOLE and (failed := _failed(outcome)) & {copy.taken for copy in outcome.plan.skipped}:
                outcome = _merged(outcome, run_plan(plan_now(without=failed)))
            _write_records(store, options, outcome, shard)
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
    shard: Shard = WHOLE,
    overwrite: bool = False,
) -> Plan:
    """What `prepare` would do; nothing is written."""
    store = _absolute(out)
    _check_output(store)
    target = checked_target(Target(to, mapping, source_fps, gender))
    options: dict[str, Any] = {"set_name": set_name, "licence": licence, "in_parts": shard != WHOLE}
    return make_plan(given, store, target, overwrite=overwrite, **options).part(shard)


def _absolute(out: str | Path) -> Path:
    return Path(os.path.abspath(Path(out).expanduser()))


@contextmanager
def _locked(store: Path, shard: Shard) -> Iterator[None]:
    """Exclude runs of the same part, and runs of all parts while one part runs."""
    taken = "another preparation into this store is running"
    if shard == WHOLE:
        with alone(store, taken):
            yield
    else:
        with alone(store, taken, shared=True), alone(store, taken, LOCK_FILE + shard_suffix(shard)):
            yield


def _remove_old(store: Path, plan: Plan, overwrite: bool, shard: Shard) -> None:
    """Remove the sets to replace, and what a killed run left; a part removes only its own leftovers (`write_shard`)."""
    if overwrite:
        for name in {source.set for source in plan.files}:
            shutil.rmtree(store / name, ignore_errors=True)
    for left in store.glob(f"*/{PARTIAL}*") if shard == WHOLE else ():
        shutil.rmtree(left, ignore_errors=True)


def _failed(outcome: Outcome) -> set[Path | None]:
    return {Path(line["file"]) for line in outcome.failed}


def _merged(first: Outcome, second: Outcome) -> Outcome:
    """The outcome of two runs, where the second prepared copies of files that failed in the first."""
    return Outcome(
        replace(first.plan, skipped=second.plan.skipped),
        first.clips + second.clips,
        first.frames + second.frames,
        tuple(sorted([*first.failed, *second.failed], key=lambda line: line["file"])),
        (*first.warned, *second.warned),
    )


def _check_output(store: Path) -> None:
    if (store / STORE_FILE).is_file():
        check_store(store)
    elif store.exists() and (not store.is_dir() or any(store.iterdir())):
        raise UsageError(
            "the output is not a clip store, and is left as it is",
            where=f"{store} has no {STORE_FILE}",
            fix="choose another folder: --out STORE",
        )


def _make_store(store: Path) -> None:
    with writing(store):
        _check_output(store)
        store.mkdir(parents=True, exist_ok=True)
        if not (store / STORE_FILE).is_file():
            write_json(store / STORE_FILE, {"format": "vitruve clip store", "version": VERSION})


def _run(plan: Plan, store: Path, workers: int, cluster: str, shard: Shard, progress: Progress | None) -> Outcome:
    """Write the shards of a plan, or of one part of it."""
    shards = plan.part(shard).shards
    done, total = 0, sum(len(job.files) for job in shards)
    written: list[Written] = []
    failed: list[dict[str, Any]] = []

    def count(files: int, _: int = 0) -> None:
        if progress:
            progress(done + files, total)

    # One thread in every process: results do not depend on the number of processes.
    with one_torch_thread(), task_workers(workers if total > 1 else 1, cluster, prepare_kernels) as run:
        shapes = _shapes(plan, store, run)
        jobs = [replace(job, betas=_shapes_of(job, shapes)) for job in shards]
        for job, result in run(
            write_shard,
            jobs,
            size=lambda job: sum(source.size for source in job.files),
            where=lambda job: str(job.folder),
            progress=count,
        ):
            if isinstance(result, Written):
                written.append(result)
                failed += result.failed
            elif type(result) is VitruveError:  # its worker was lost
                failed += [failure(result, file=str(source.path)) for source in job.files]
            else:
                raise result
            done += len(job.files)
            count(0)
    if shard == WHOLE or is_finished(store):
        (store / PLAN_FILE).unlink(missing_ok=True)
    return Outcome(
        plan,
        sum(result.clips for result in written),
        sum(result.frames for result in written),
        tuple(sorted(failed, key=lambda line: line["file"])),
        tuple(
            summarise_findings(sorted((pair for result in written for pair in result.warned), key=lambda pair: pair[0]))
        ),
    )


def _shapes(plan: Plan, store: Path, run: RunTasks) -> dict[str, tuple[float, ...]]:
    """The shape of every actor. Saved in the plan file before the first shard is written."""
    tasks = [(actor, tuple(files), plan.target) for actor, files in plan.actors.items()]
    shapes = dict(plan.betas)
    for task, betas in run(shape_of_actor, tasks, size=lambda task: len(task[1]), where=lambda task: task[0]):
        if isinstance(betas, VitruveError):
            raise betas
        if betas is not None:
            shapes[task[0]] = betas
    if plan.shards:
        write_json(store / PLAN_FILE, plan.as_dict(shapes))
    return shapes


def _shapes_of(job: ShardJob, shapes: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
    actors = {actor_of(source) for source in job.files if source.is_tree}
    return {actor: shapes[actor] for actor in sorted(actors) if actor in shapes}


def _write_records(store: Path, options: dict[str, Any], outcome: Outcome, shard: Shard) -> None:
    """The table of failed files and the options of the last run; each part of the work has its own."""
    table, record = Path(FAILED_FILE), Path(RUN_FILE)
    write_failures(store / f"{table.stem}{shard_suffix(shard)}{table.suffix}", outcome.failed, ("file",))
    content = {"command": "vitruve data prepare", "options": options, "versions": versions()}
    write_text(store / f"{record.stem}{shard_suffix(shard)}{record.suffix}", to_toml(content))
