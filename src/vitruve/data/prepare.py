"""Motion files of any make become a clip store: each clip once, by several processes, at any pace.

    outcome = prepare(["AMASS", "bandai-namco-2"], "motions", workers=8)
    print(outcome.frames, outcome.failed)

What is to be written is planned first: files are put together to shards, in the order of their keys. The plan lies in
the store until all is done. A run that was killed is continued by the same call and ends with the same bytes, since a
shard stands whole or not at all.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vitruve.data.clips import STORE_FILE, VERSION, check_store, shard_folders
from vitruve.data.planning import PLAN_FILE, Plan, is_finished, make_plan
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
    """What a preparation came to.

    Attributes:
        plan: what it was to do.
        clips, frames: that were written now.
        failed: a line for each file that could not be read: file, what, where, do.
        warned: what is odd about those that were, as `motion.finding.summarise_findings` has it.
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
        workers: processes on this machine.
        shard: (i, n), one part of the work; the parts can run at the same time, on machines that share the store. Where
            a file turns out to be damaged, a whole copy of it is left to a call without parts.
        cluster: address of a Dask scheduler that does the work instead.
        overwrite: write the sets of these files anew; refused where the store has clips of files that are not given.
        progress: called with files done and files in all.

    Raises:
        UsageError: nothing to prepare; another run is at work; the folder is something else; clips would be lost.
        NotWritten: the disk is full, say. The same call goes on from there.
    """
    if overwrite and shard != WHOLE:
        fix = "leave out one of the two, or prepare a new store: --out STORE"
        raise UsageError("a part of the work cannot replace what other parts write", "--overwrite --shard", fix)
    store = Path(os.path.abspath(Path(out).expanduser()))
    target = checked_target(Target(to, mapping, source_fps, gender))
    plan_now = _planner(given, store, target, set_name, licence, in_parts=shard != WHOLE)
    # Where there is nothing to prepare, this raises before anything is made.
    early = None if store.exists() else plan_now(overwrite)
    _make_store(store)
    with _locked(store, shard):
        plan = early if early and not shard_folders(store) and shard == WHOLE else plan_now(overwrite)
        _remove_old(store, plan, overwrite, shard)
        options = {"given": [str(entry) for entry in given], "out": str(store), "to": to, "mapping": mapping,
                   "source_fps": source_fps, "gender": gender, "set_name": set_name, "licence": licence,
                   "workers": workers, "shard": list(shard), "cluster": cluster, "overwrite": overwrite}  # fmt: skip
        how = _How(workers, cluster, shard, progress)
        try:
            outcome = _carry_out(plan, store, how)
            # A damaged file must not stand in the way of a whole copy of it.
            while shard == WHOLE and (failed := _failed(outcome)) & {copy.taken for copy in outcome.plan.skipped}:
                again = _carry_out(plan_now(without=failed), store, how)
                outcome = _together(outcome, again)
            _write_records(store, options, outcome, shard)
        except OSError as error:
            raise not_written(error, store, KEPT) from None
    return outcome


@dataclass(frozen=True)
class _How:
    """How the work is done, on which its result does not depend."""

    workers: int
    cluster: str
    shard: Shard
    progress: Progress | None


@contextmanager
def _locked(store: Path, shard: Shard) -> Iterator[None]:
    """Keep out runs for the same part, and for the whole from those for a part."""
    taken = "another preparation into this store is at work"
    if shard == WHOLE:
        with alone(store, taken):
            yield
    else:
        with alone(store, taken, shared=True), alone(store, taken, LOCK_FILE + shard_suffix(shard)):
            yield


def _remove_old(store: Path, plan: Plan, overwrite: bool, shard: Shard) -> None:
    """Remove what is written anew, and what a killed run has left; of that, parts know only their own."""
    if overwrite:
        for name in {source.set for source in plan.files}:
            shutil.rmtree(store / name, ignore_errors=True)
    for left in store.glob(f"*/{PARTIAL}*") if shard == WHOLE else ():
        shutil.rmtree(left, ignore_errors=True)


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
    store = Path(os.path.abspath(Path(out).expanduser()))
    _refuse_foreign(store)
    target = checked_target(Target(to, mapping, source_fps, gender))
    return _planner(given, store, target, set_name, licence, in_parts=shard != WHOLE)(overwrite).part(shard)


def _planner(
    given: Sequence[str | Path], store: Path, target: Target, set_name: str, licence: str, in_parts: bool
) -> Callable[..., Plan]:
    def plan(overwrite: bool = False, without: Collection[Path] = ()) -> Plan:
        options: dict[str, Any] = {"set_name": set_name, "licence": licence, "in_parts": in_parts}
        return make_plan(given, store, target, overwrite=overwrite, without=without, **options)

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


def _carry_out(plan: Plan, store: Path, how: _How) -> Outcome:
    mine = plan.part(how.shard)
    done, total = 0, sum(len(job.files) for job in mine.shards)
    written: list[Written] = []
    failed = list(plan.failed)

    def count(files: int, _: int = 0) -> None:
        if how.progress:
            how.progress(done + files, total)

    # One thread in all processes: results then do not depend on how many there are.
    with one_torch_thread(), task_workers(how.workers if total > 1 else 1, how.cluster, prepare_kernels) as run:
        shapes = _shapes(plan, store, run)
        jobs = [replace(job, betas=_of_shard(job, shapes)) for job in mine.shards]
        for job, result in run(write_shard, jobs, size=_bytes, where=lambda job: str(job.folder), progress=count):
            if isinstance(result, Written):
                written.append(result)
                failed += result.failed
            elif type(result) is VitruveError:  # its worker was lost
                failed += [failure(result, file=str(source.path)) for source in job.files]
            else:
                raise result
            done += len(job.files)
            count(0)
    if how.shard == WHOLE or is_finished(store):
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
    """The shapes of all actors, which go into the plan on disk before the first shard is written."""
    open_actors = [(actor, tuple(files), plan.target) for actor, files in plan.actors.items()]
    shapes = dict(plan.betas)
    for task, betas in run(_shape, open_actors, size=lambda task: len(task[1]), where=lambda task: task[0]):
        if isinstance(betas, VitruveError):
            raise betas
        if betas is not None:
            shapes[task[0]] = betas
    if plan.shards:
        write_json(store / PLAN_FILE, plan.as_dict(shapes))
    return shapes


def _of_shard(job: ShardJob, shapes: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
    actors = {actor_of(source) for source in job.files if source.is_tree}
    return {actor: shapes[actor] for actor in sorted(actors) if actor in shapes}


def _shape(task: tuple[str, tuple[SourceFile, ...], Target], progress: Progress | None) -> tuple[float, ...] | None:
    return shape_of_actor(task[1], task[2])


def _bytes(job: ShardJob) -> int:
    return sum(source.size for source in job.files)


def _write_records(store: Path, options: dict[str, Any], outcome: Outcome, shard: Shard) -> None:
    """The table of failed files, and how the last run was called; each part of the work has its own."""
    table, record = Path(FAILED_FILE), Path(RUN_FILE)
    write_failures(store / f"{table.stem}{shard_suffix(shard)}{table.suffix}", outcome.failed, ("file",))
    told = {"command": "vitruve data prepare", "options": options, "versions": versions()}
    write_text(store / f"{record.stem}{shard_suffix(shard)}{record.suffix}", to_toml(told))
