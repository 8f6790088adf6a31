"""Process many files: plan, run, record. An interrupted run is resumed by the same call.

batch = plan_batch(work, inputs, outputs, folder)
print(len(batch.plan.tasks), "to do,", len(batch.plan.done), "done")
outcome = run_batch(batch, workers=8)
"""

from __future__ import annotations

import glob
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitruve.errors import NotWritten, UsageError, VitruveError
from vitruve.jobs.failures import failure, write_failures
from vitruve.jobs.inputs import Input
from vitruve.jobs.ledger import Entry, LedgerWriter, read_ledgers
from vitruve.jobs.plan import Plan, make_plan
from vitruve.jobs.shards import WHOLE, Shard, shard_suffix
from vitruve.jobs.work import Task, TaskRunner, Work
from vitruve.jobs.workers import task_workers
from vitruve.runs.folder import RunFolder
from vitruve.runs.progress import Progress

RECORDS = ("run.toml", "results.json", "report.html", "failures.csv")


@dataclass(frozen=True)
class Batch:
    """A planned run over many files.

    Attributes:
        folder: holds the ledger and the records of the run.
        out: where the results go: the same folder, or a file.
        passed: skipped files, and why.
        shard: (i, n), the part of the work.
    """

    work: Work
    plan: Plan
    folder: Path
    out: Path
    passed: Mapping[Path, str]
    shard: Shard

    def record(self, name: str) -> Path:
        """The path of one of the run's own files; each shard has its own."""
        return self.run().file(name)

    def run(self, **how: Any) -> RunFolder:
        """The run folder of this shard. `how` adds options that results do not depend on, such as `workers`."""
        options = {**self.work.options, "out": str(self.out), **how, "shard": list(self.shard)}
        return RunFolder(self.folder, self.folder, self.work.verb, options, shard_suffix(self.shard))

    def estimate(self, workers: int, assumed_rate: float) -> Estimate:
        """How long the work will take; `assumed_rate` is used if nothing was measured: units a second of a process."""
        measured = [entry for entry in self.plan.done if entry["seconds"]]
        seconds = sum(entry["seconds"] for entry in measured)
        rate = sum(entry[self.work.unit] for entry in measured) / seconds if measured else assumed_rate
        return Estimate(self.plan.size / rate / workers, rate, bool(measured))


@dataclass(frozen=True)
class Estimate:
    """Seconds in all, units a second of one process, and whether that rate was measured."""

    seconds: float
    rate: float
    measured: bool


@dataclass(frozen=True)
class Outcome:
    """Ledger entries of all finished and of failed files, `results.json`, and how many files this run has finished."""

    entries: tuple[Entry, ...]
    failed: tuple[Entry, ...]
    results: dict[str, Any]
    now: int


def plan_batch(
    work: Work,
    inputs: Sequence[Input],
    outputs: Sequence[Path],
    folder: Path,
    *,
    out: Path | None = None,
    passed: Mapping[Path, str] | None = None,
    shard: Shard = WHOLE,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Batch:
    """Plan the work as `make_plan` does; nothing is written.

    `out` is where the results go, if not into the folder; `passed` are skipped files, and why.
    """
    _refuse_foreign(folder, overwrite)
    ledger = read_ledgers(folder)
    plan = make_plan(work, inputs, outputs, folder, ledger, shard=shard, overwrite=overwrite, progress=progress)
    return Batch(work, plan, folder, out or folder, passed or {}, shard)


def run_batch(batch: Batch, *, workers: int = 1, cluster: str = "", progress: Progress | None = None) -> Outcome:
    """Run the plan, and write the ledger, `results.json`, `failures.csv` and `run.toml`.

    Args:
        workers: processes on this machine.
        cluster: address of a Dask scheduler, used instead.
        progress: called with units of work done and units in all.
    """
    plan, clock, run = batch.plan, time.monotonic(), batch.run(workers=workers, cluster=cluster)
    entries, failed = list(plan.done), list[Entry](plan.failed)
    with closing(LedgerWriter(batch.record("ledger.jsonl"))) as ledger:
        run.record({}, done=False)
        if workers > 1 or cluster:
            batch.work.before_workers(plan.tasks)
        for entry in _run_tasks(batch, workers, cluster, ledger, progress):
            if entry["event"] == "done":
                ledger.append(entry)
                entries.append(entry)
            elif entry["exit_code"] == NotWritten.exit_code:
                # The next file could not be written either.
                raise NotWritten(entry["what"], where=entry["where"], fix=f"{entry['do']}; what is done is kept")
            else:
                failed.append(entry)
    fresh = entries[len(plan.done) :]
    results = _results(batch.work, entries, failed, fresh, time.monotonic() - clock)
    run.results(results)
    write_failures(run.file("failures.csv"), failed, ("input", "output"))
    run.record({str(entry["input"]): str(entry["content"]) for entry in entries})
    return Outcome(tuple(entries), tuple(failed), results, len(fresh))


def _run_tasks(
    batch: Batch, workers: int, cluster: str, ledger: LedgerWriter, progress: Progress | None
) -> Iterator[Entry]:
    """The entries of all tasks, as they are completed."""
    plan, done, leftovers = batch.plan, 0, _Leftovers(batch.plan.tasks)

    def begin(task: Task) -> None:
        leftovers.remove(task)
        ledger.append({"event": "begun", "key": task.key, "input": task.input, "output": task.name})

    def count(units: int, _: int = 0) -> None:
        if progress:
            progress(done + units, plan.size)

    # A single task runs in another process, too, if several were requested: it may be the one that kills its process.
    with task_workers(workers if plan.tasks else 1, cluster if plan.tasks else "") as run:
        for task, result in run(
            TaskRunner(batch.work.do),
            plan.tasks,
            size=lambda task: task.size,
            where=lambda task: task.input,
            begin=begin,
            progress=count,
        ):
            died = isinstance(result, VitruveError)
            yield failure(result, input=task.input, output=task.name) if died else result
            done += task.size
            count(0)


def _results(
    work: Work, entries: list[Entry], failed: list[Entry], fresh: list[Entry], seconds: float
) -> dict[str, Any]:
    units = sum(entry[work.unit] for entry in fresh)
    this_run = {
        "files": len(fresh),
        work.unit: units,
        "seconds": seconds,
        f"{work.unit}_per_second": units / seconds if units and seconds else None,
    }
    return {**work.summarise(entries, failed), "this_run": this_run}


class _Leftovers:
    """Temporary folders beside outputs, left by a killed run or a worker that died."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        # Each folder is listed once: looking for each of a thousand files in a folder of a thousand takes seconds.
        folders = {Path(task.output).parent for task in tasks}
        partial = [path for folder in sorted(folders) for path in folder.glob(".*.????????")]
        self._outputs = {str(path.with_name(path.name[1:-9])) for path in partial if path.is_dir()}

    def remove(self, task: Task) -> None:
        """Remove those of a task that begins; on a retry, those of the first attempt."""
        if task.output in self._outputs:
            output = Path(task.output)
            for partial in output.parent.glob(f".{glob.escape(output.name)}.????????"):
                shutil.rmtree(partial, ignore_errors=True)
        self._outputs.add(task.output)


def _refuse_foreign(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that another command has made: it may hold a report of its own."""
    others = [name for name in RECORDS if (folder / name).exists()]
    if others and not overwrite and not any(folder.glob("ledger*.jsonl")):
        raise UsageError(
            "the output folder holds the record of another command",
            where=f"{folder}: {', '.join(others)}",
            fix="choose another folder, or give --overwrite",
        )
