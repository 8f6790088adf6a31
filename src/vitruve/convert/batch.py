"""A conversion of many files: planned, done, recorded; it can be stopped at any time.

batch = prepare(["AMASS"], Options(to="smplx"), "converted")
print(len(batch.plan.jobs), "to do,", len(batch.plan.done), "done")
outcome = carry_out(batch, workers=8)
print(outcome.results["error_mm"]["mean"], outcome.failed)
"""

from __future__ import annotations

import glob
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vitruve.convert.execute import run_jobs
from vitruve.convert.inputs import find_inputs
from vitruve.convert.job import Job, Options, Progress, find_map
from vitruve.convert.ledger import Entry, LedgerWriter, read_ledgers
from vitruve.convert.plan import Place, Plan, make_plan, place_of, refuse_misspelt
from vitruve.convert.summary import summarise, write_failures
from vitruve.errors import NotWritten, UsageError, VitruveError
from vitruve.runs.run_folder import RunFolder

RECORDS = ("run.toml", "results.json", "report.html", "failures.csv")


@dataclass(frozen=True)
class Batch:
    """A conversion that is planned.

    Attributes:
        plan: what is to do, and what is done.
        place: where it goes.
        options: as asked for.
        passed: files that are passed over, and why.
        shard: (i, n), the part of the work.
    """

    plan: Plan
    place: Place
    options: Options
    passed: Mapping[Path, str]
    shard: tuple[int, int]

    def record(self, name: str) -> Path:
        """The path of one of the files that tell about the run; each shard has its own."""
        return self.run().file(name)

    def run(self, **how: Any) -> RunFolder:
        """The run folder that this part of the work writes to.

        Args:
            how: options of how the work is done, kept beside those that results depend on.
        """
        asked = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self.options).items()}
        more = {"out": str(self.place.file or self.place.folder), **how, "shard": list(self.shard)}
        suffix = f"-{self.shard[0]}of{self.shard[1]}" if self.shard[1] > 1 else ""
        return RunFolder(self.place.folder, self.place.folder, "convert", {**asked, **more}, suffix)


@dataclass(frozen=True)
class Outcome:
    """What a conversion of many came to.

    Attributes:
        entries: ledger lines of all that is done, earlier and now.
        failed: lines of what failed.
        results: the content of `results.json`.
        now: how many files were converted by this run.
    """

    entries: tuple[Entry, ...]
    failed: tuple[Entry, ...]
    results: dict[str, Any]
    now: int


def prepare(
    inputs: Sequence[str | Path],
    options: Options,
    out: str | Path = "vitruve-convert",
    *,
    folder: str | Path | None = None,
    shard: tuple[int, int] = (1, 1),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Batch:
    """Find the inputs and plan the work; nothing is written. Arguments as in `find_inputs` and `make_plan`."""
    asked = place_of(out, 1)
    found, passed = find_inputs(inputs, skip=None if asked.file else asked.folder)
    place = place_of(out, len(found))
    if len(found) == 1 and str(found[0].path) == os.path.abspath(Path(inputs[0]).expanduser()):
        refuse_misspelt(place, out)
    bodies = None if folder is None else str(Path(folder).expanduser().absolute())
    _refuse_foreign(place.folder, overwrite)
    plan = make_plan(
        found,
        options,
        place,
        read_ledgers(place.folder),
        folder=bodies,
        shard=shard,
        overwrite=overwrite,
        progress=progress,
    )
    return Batch(plan, place, options, passed, shard)


def carry_out(
    batch: Batch,
    *,
    workers: int = 1,
    cluster: str = "",
    progress: Progress | None = None,
) -> Outcome:
    """Do what is planned, and write the ledger, `results.json`, `failures.csv` and `run.toml`.

    Args:
        batch: from `prepare`.
        workers: processes on this machine.
        cluster: address of a Dask scheduler, used instead.
        progress: called with frames done and frames in all.
    """
    plan, clock, run = batch.plan, time.monotonic(), batch.run(workers=workers, cluster=cluster)
    entries, failed = list(plan.done), list[Entry](plan.failed)
    with closing(LedgerWriter(batch.record("ledger.jsonl"))) as ledger:
        run.record({}, done=False)
        if workers > 1 or cluster:
            _find_maps(plan.jobs)

        def begin(job: Job) -> None:
            _clear_rooms(Path(job.output))
            ledger.append({"event": "begun", "key": job.key, "input": job.input, "output": job.name})

        done = 0

        def within(frames: int, _: int) -> None:
            if progress:
                progress(done + frames, plan.frames)

        for job, entry in run_jobs(plan.jobs, workers=workers, cluster=cluster, begin=begin, progress=within):
            if entry["event"] == "done":
                ledger.append(entry)
                entries.append(entry)
            elif entry["exit_code"] == NotWritten.exit_code:
                # The next one would not be written either.
                raise NotWritten(entry["what"], where=entry["where"], fix=f"{entry['do']}; what is done is kept")
            else:
                failed.append(entry)
            done += job.facts.frames
            within(0, 0)
    now = len(entries) - len(plan.done)
    results = _results(entries, failed, entries[len(plan.done) :], time.monotonic() - clock)
    run.results(results)
    write_failures(run.file("failures.csv"), failed)
    run.record({str(entry["input"]): str(entry["content"]) for entry in entries})
    return Outcome(tuple(entries), tuple(failed), results, now)


def _results(entries: list[Entry], failed: list[Entry], fresh: list[Entry], seconds: float) -> dict[str, Any]:
    frames = sum(entry["frames"] for entry in fresh)
    this_run = {
        "files": len(fresh),
        "frames": frames,
        "seconds": seconds,
        "frames_per_second": frames / seconds if frames and seconds else None,
    }
    return {**summarise(entries, failed), "this_run": this_run}


def _find_maps(jobs: Sequence[Job]) -> None:
    """Work out the surface maps once, before every worker does; a job whose bodies have none will say so."""
    for job in jobs:
        if job.facts.kind == "motion":
            with suppress(VitruveError):
                find_map(job)


def _clear_rooms(output: Path) -> None:
    """Remove what a killed run has left beside an output: folders that its file was being written in."""
    for room in output.parent.glob(f".{glob.escape(output.name)}.????????"):
        if room.is_dir():
            shutil.rmtree(room, ignore_errors=True)


def _refuse_foreign(folder: Path, overwrite: bool) -> None:
    """A folder that something else has made may hold a report of its own."""
    others = [name for name in RECORDS if (folder / name).exists()]
    if others and not overwrite and not any(folder.glob("ledger*.jsonl")):
        raise UsageError(
            "the output folder holds the record of something else",
            where=f"{folder}: {', '.join(others)}",
            fix="choose another folder, or give --overwrite",
        )
