"""The plan: which input goes where, what is done already, what is left to do.

Looking at an input means hashing it once and, unless a ledger knows that content, looking at its header. Nothing is
written here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import vitruve
from vitruve.errors import UsageError, VitruveError
from vitruve.jobs.failures import failure
from vitruve.jobs.fingerprint import content_hash, is_unchanged
from vitruve.jobs.inputs import Input
from vitruve.jobs.ledger import Entry, Ledger
from vitruve.jobs.shards import WHOLE, Shard, in_shard
from vitruve.jobs.work import Task, Work
from vitruve.runs.progress import Progress

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Plan:
    """What is to do.

    Attributes:
        tasks: to do.
        done: ledger entries of what is done.
        failed: entries of inputs that cannot be done.
        notes: what was decided, one sentence each.
    """

    tasks: tuple[Task, ...]
    done: tuple[Entry, ...]
    failed: tuple[dict[str, Any], ...]
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Units of work to do."""
        return sum(task.size for task in self.tasks)


@dataclass
class _Draft:
    """A plan being made."""

    work: Work
    folder: Path
    ledger: Ledger
    overwrite: bool
    tasks: list[Task] = field(default_factory=list)
    done: list[Entry] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)  # in order, each once
    errors: list[VitruveError] = field(default_factory=list)
    damaged: list[Path] = field(default_factory=list)


def make_plan(
    work: Work,
    inputs: Sequence[Input],
    outputs: Sequence[Path],
    folder: Path,
    ledger: Ledger,
    *,
    shard: Shard = WHOLE,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Plan:
    """Look at the inputs and say what is to do.

    Args:
        work: the feature.
        inputs: from `find_inputs`.
        outputs: one for each input.
        folder: holds the ledger.
        ledger: what earlier runs have done there.
        shard: (i, n): only the i-th of n parts. A file stays in its part whatever else is there.
        overwrite: replace files that no earlier run has made.
        progress: called with inputs looked at and inputs in all.

    Raises:
        UsageError: two inputs with one output, or an output that is an input.
        VitruveError: no input can be done, all for the same reason.
    """
    _refuse_clashes(inputs, outputs)
    named = [(entry.path, output, _name(output, folder)) for entry, output in zip(inputs, outputs, strict=True)]
    named = [row for row in named if in_shard(row[2], shard)]
    draft = _Draft(work, folder, ledger, overwrite)
    seen = _look_at_all([path for path, _, _ in named], draft, progress)
    intact = _in_threads(partial(_is_intact, ledger=ledger), [(output, name) for _, output, name in named])
    for (path, output, name), found, whole in zip(named, seen, intact, strict=True):
        try:
            if isinstance(found, VitruveError):
                raise found
            task = _task(path, output, name, found, draft)
            done = ledger.done(name, task.key) if whole else None
            if done is None:
                draft.tasks.append(_allowed(task, output, whole, draft))
            else:
                draft.done.append(done)
        except VitruveError as error:
            draft.failed.append(failure(error, input=str(path), output=name))
            draft.errors.append(error)
    reasons = {(type(error), error.what) for error in draft.errors}
    if not draft.tasks and not draft.done and len(reasons) == 1:
        raise draft.errors[0]
    if draft.damaged:
        first, *others = draft.damaged
        more = f", and {len(others)} more" if others else ""
        draft.notes[f"made again, since the earlier result is damaged: {first}{more}"] = None
    return Plan(tuple(draft.tasks), tuple(draft.done), tuple(draft.failed), tuple(draft.notes))


def _refuse_clashes(inputs: Sequence[Input], outputs: Sequence[Path]) -> None:
    """Raise UsageError where two inputs have the same output, or an output is an input."""
    taken: dict[Path, Path] = {}
    sources = {os.path.realpath(entry.path) for entry in inputs}  # resolve() fails on links that go in a circle
    for entry, output in zip(inputs, outputs, strict=True):
        if output in taken:
            raise UsageError(
                "two inputs would get the same output",
                where=f"{taken[output]} and {entry.path}: both {output}",
                fix="use a folder for each, or give the folder that holds both",
            )
        if os.path.realpath(output) in sources:
            raise UsageError(
                "an output would replace an input", where=str(output), fix="choose another folder: --out results"
            )
        taken[output] = entry.path


def _look_at_all(
    paths: Sequence[Path], draft: _Draft, progress: Progress | None
) -> list[tuple[str, Any] | VitruveError]:
    found = []
    for result in _in_threads(partial(_look_at, work=draft.work, ledger=draft.ledger), paths):
        found.append(result)
        if progress:
            progress(len(found), len(paths))
    return found


def _in_threads(look_at: Callable[[Any], _Found], paths: Sequence[Any]) -> Iterator[_Found]:
    """Reading and hashing wait for the disk and leave Python free, so threads help."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        yield from pool.map(look_at, paths)


def _is_intact(result: tuple[Path, str], ledger: Ledger) -> bool:
    """Whether a result stands there as a run has written it; a ledger that does not tell is of an earlier version."""
    output, name = result
    last = ledger.last.get(name)
    return last is not None and last.get("event") == "done" and is_unchanged(output, last.get("result") or {})


def _look_at(path: Path, work: Work, ledger: Ledger) -> tuple[str, Any] | VitruveError:
    try:
        content = content_hash(path)
        known = ledger.facts.get(content)
        facts = None if known is None else work.recall(known)
        return content, work.look(path) if facts is None else facts
    except VitruveError as error:
        return error


def _task(path: Path, output: Path, name: str, found: tuple[str, Any], draft: _Draft) -> Task:
    content, facts = found
    settled = draft.work.settle(path, output, facts)
    draft.notes |= dict.fromkeys(settled.notes)
    parts = (vitruve.__version__, content, *settled.depends_on)
    key = hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest()
    size = draft.work.size(facts)
    return Task(str(path), str(output), name, key, content, facts, size, settled.settings, settled.notes)


def _allowed(task: Task, output: Path, intact: bool, draft: _Draft) -> Task:
    last = draft.ledger.last.get(task.name)
    ours = last is not None
    if last is not None and last.get("result") and output.exists() and not intact:
        if draft.work.is_result(output):
            ours = _refuse_changed(output, draft.overwrite)
        else:
            draft.damaged.append(output)
    if output.exists() and not ours and not draft.overwrite:
        raise UsageError(
            "the output exists already, and no run into this folder has made it",
            where=str(output),
            fix="choose another --out, or give --overwrite",
        )
    return replace(task, overwrite=ours or draft.overwrite)


def _refuse_changed(output: Path, overwrite: bool) -> bool:
    if not overwrite:
        raise UsageError(
            "the result of an earlier run was changed since",
            where=str(output),
            fix="move it elsewhere, and it is made again; or give --overwrite",
        )
    return True


def _name(output: Path, folder: Path) -> str:
    return Path(os.path.relpath(output, folder)).as_posix()
