"""The plan: which input goes where, what is done already, what is left to do.

Each input is hashed once, and its header is read unless a ledger knows the content. Nothing is written here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import vitruve
from vitruve.errors import UsageError, VitruveError
from vitruve.jobs.failures import failure
from vitruve.jobs.fingerprint import content_hash, is_unchanged
from vitruve.jobs.inputs import Input
from vitruve.jobs.ledger import Entry, Ledger
from vitruve.jobs.shards import WHOLE, Shard, in_shard
from vitruve.jobs.work import Task, Work
from vitruve.runs.progress import Progress


@dataclass(frozen=True)
class Plan:
    """What is to do.

    Attributes:
        done: ledger entries of finished files.
        failed: entries of inputs that cannot be processed.
        notes: decisions, one sentence each.
    """

    tasks: tuple[Task, ...]
    done: tuple[Entry, ...]
    failed: tuple[dict[str, Any], ...]
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Units of work to do."""
        return sum(task.size for task in self.tasks)


class _Row(NamedTuple):
    """An input, its output, and the output's name in the ledger."""

    path: Path
    output: Path
    name: str


class _Checked(NamedTuple):
    """An input's content hash and facts, or why it cannot be read; whether its output is as a run has written it."""

    content: str
    facts: Any
    error: VitruveError | None
    intact: bool


@dataclass
class _Draft:
    """A plan being made."""

    work: Work
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
    """Look at the inputs and decide what is to do.

    Args:
        inputs: from `find_inputs`.
        ledger: of earlier runs into that folder.
        shard: (i, n): only the i-th of n parts. A file stays in its part whatever other files there are.
        overwrite: replace files that no earlier run has made.
        progress: called with inputs checked and inputs in all.

    Raises:
        UsageError: two inputs have one output, or an output is an input.
        VitruveError: all inputs fail for the same reason.
    """
    _refuse_clashes(inputs, outputs)
    rows = [
        _Row(entry.path, output, Path(os.path.relpath(output, folder)).as_posix())
        for entry, output in zip(inputs, outputs, strict=True)
    ]
    rows = [row for row in rows if in_shard(row.name, shard)]
    draft = _Draft(work, ledger, overwrite)
    # Reading and hashing wait for the disk and release the GIL, so threads help.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        checks = pool.map(lambda row: _check(row, draft), rows)
        for count, (row, checked) in enumerate(zip(rows, checks), start=1):
            _add(row, checked, draft)
            if progress:
                progress(count, len(rows))
    reasons = {(type(error), error.what) for error in draft.errors}
    if not draft.tasks and not draft.done and len(reasons) == 1:
        raise draft.errors[0]
    if draft.damaged:
        first, *others = draft.damaged
        more = f", and {len(others)} more" if others else ""
        draft.notes[f"made again, since the earlier result is damaged: {first}{more}"] = None
    return Plan(tuple(draft.tasks), tuple(draft.done), tuple(draft.failed), tuple(draft.notes))


def _refuse_clashes(inputs: Sequence[Input], outputs: Sequence[Path]) -> None:
    taken: dict[Path, Path] = {}
    sources = {os.path.realpath(entry.path) for entry in inputs}  # resolve() fails on circular links
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


def _check(row: _Row, draft: _Draft) -> _Checked:
    ledger, last = draft.ledger, draft.ledger.last.get(row.name)
    # A ledger without fingerprints is of an earlier version: its results count as changed.
    intact = last is not None and last.get("event") == "done" and is_unchanged(row.output, last.get("result") or {})
    try:
        content = content_hash(row.path)
        known = ledger.facts.get(content)
        facts = None if known is None else draft.work.recall(known)
        return _Checked(content, draft.work.look(row.path) if facts is None else facts, None, intact)
    except VitruveError as error:
        return _Checked("", None, error, intact)


def _add(row: _Row, checked: _Checked, draft: _Draft) -> None:
    try:
        if checked.error is not None:
            raise checked.error
        task = _task(row, checked, draft)
        done = draft.ledger.done(row.name, task.key) if checked.intact else None
        if done is not None:
            draft.done.append(done)
            return
        _check_output(row, checked.intact, draft)
        ours = draft.overwrite or row.name in draft.ledger.last
        draft.tasks.append(replace(task, overwrite=ours))
    except VitruveError as error:
        draft.failed.append(failure(error, input=str(row.path), output=row.name))
        draft.errors.append(error)


def _task(row: _Row, checked: _Checked, draft: _Draft) -> Task:
    settled = draft.work.settle(row.path, row.output, checked.facts)
    draft.notes |= dict.fromkeys(settled.notes)
    text = "\n".join((vitruve.__version__, checked.content, *settled.depends_on))
    key = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
    size = draft.work.size(checked.facts)
    place = str(row.path), str(row.output), row.name
    return Task(*place, key, checked.content, checked.facts, size, settled.settings, settled.notes)


def _check_output(row: _Row, intact: bool, draft: _Draft) -> None:
    """Raise UsageError where the output holds something that may not be replaced; note a damaged result."""
    if not row.output.exists():
        return
    last = draft.ledger.last.get(row.name)
    if last is None and not draft.overwrite:
        raise UsageError(
            "the output exists already, and no run into this folder has made it",
            where=str(row.output),
            fix="choose another --out, or give --overwrite",
        )
    if last is None or not last.get("result") or intact:
        return
    if not draft.work.is_result(row.output):
        draft.damaged.append(row.output)
    elif not draft.overwrite:
        raise UsageError(
            "the result of an earlier run was changed since",
            where=str(row.output),
            fix="move it elsewhere, and it is made again; or give --overwrite",
        )
