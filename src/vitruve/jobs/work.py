"""What a feature provides to the engine: how to look at an input, how to process it, what to record.

    work = Work(verb="convert", unit="frames", options={...}, look=look, settle=settle, do=convert_file, ...)

`do` runs in other processes, so it is a module-level function and gets everything it needs in its task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vitruve.errors import VitruveError
from vitruve.jobs.failures import failure, unexpected
from vitruve.jobs.fingerprint import fingerprint
from vitruve.jobs.ledger import Entry
from vitruve.runs.progress import Progress


@dataclass(frozen=True)
class InputKind:
    """Which files and folders are inputs of a feature.

    Attributes:
        noun: what an input is called in messages: "motion".
        endings: suffixes that a folder is searched for, in lower case.
        is_input: whether a file with such a suffix, found in a folder, is an input.
        example: a command line, for the error that no input was given.
    """

    noun: str
    endings: frozenset[str]
    is_input: Callable[[Path], bool]
    is_one_folder: Callable[[Path], bool] = lambda folder: False
    example: str = ""


@dataclass(frozen=True)
class Settled:
    """Decisions about one input before any work.

    Attributes:
        settings: what `do` needs to know; it is pickled.
        depends_on: what the result depends on, besides the input's content and the version.
        notes: decisions that the user must know.
    """

    settings: Any
    depends_on: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """One input, ready for a worker.

    Attributes:
        input, output: absolute paths.
        name: the output relative to the folder of the ledger.
        key: a hash of all that the result depends on.
        content: the hash of the input's content.
        facts: from `Work.look`, a dataclass of the feature.
        size: how much work it is, in the feature's unit.
        settings, notes: from `Settled`.
        overwrite: whether a file at the output may be replaced.
    """

    input: str
    output: str
    name: str
    key: str
    content: str
    facts: Any
    size: int
    settings: Any
    notes: tuple[str, ...] = ()
    overwrite: bool = False


@dataclass(frozen=True)
class Work:
    """A feature that takes many files.

    Attributes:
        verb: the command, for `run.toml`.
        unit: what work is counted in, such as "frames"; also the key of the count in a ledger entry.
        options: of the command, for `run.toml`.
        look: a cheap look at an input; returns a frozen dataclass. Raises what its reader raises.
        recall: the same from the fields that an earlier ledger has for that content; None to look again.
        size: units of work, from what `look` returned.
        settle: (path, output, facts) to decisions; raises where the input cannot be processed.
        do: reads the input, writes `task.output`, returns fields of the ledger entry. Called with a task and
            `progress`, which is None in other processes.
        is_result: whether an output can be read, so that it was changed by hand and is not damaged.
        summarise: entries of finished and of failed files to the figures for `results.json`.
        before_workers: called with the tasks before several workers begin, to compute once what all of them need.
    """

    verb: str
    unit: str
    options: Mapping[str, Any]
    look: Callable[[Path], Any]
    recall: Callable[[Mapping[str, Any]], Any]
    size: Callable[[Any], int]
    settle: Callable[[Path, Path, Any], Settled]
    do: Callable[[Task, Progress | None], dict[str, Any]]
    is_result: Callable[[Path], bool]
    summarise: Callable[[Sequence[Entry], Sequence[Entry]], dict[str, Any]]
    before_workers: Callable[[Sequence[Task]], None] = lambda tasks: None


@dataclass(frozen=True)
class TaskRunner:
    """Calls a feature's `do` and returns a ledger entry. It raises nothing, so that one bad file does not end a run."""

    do: Callable[[Task, Progress | None], dict[str, Any]]

    def __call__(self, task: Task, progress: Progress | None = None) -> dict[str, Any]:
        """The entry: "done" with the figures, or "failed" with the error."""
        try:
            figures = self.do(task, progress)
            done = {"event": "done", "key": task.key, "input": task.input, "output": task.name, "content": task.content}
            return {**done, "result": fingerprint(Path(task.output)), "facts": asdict(task.facts), **figures}
        except Exception as error:
            known = error if isinstance(error, VitruveError) else unexpected(error, task.input)
            return failure(known, input=task.input, output=task.name)
