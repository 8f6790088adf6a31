"""The folder a run leaves: its results, their figures, a page, and in `run.toml` all that they came from.

    with run_folder("out", "demo", options={"frames": 8}, inputs=[clip]) as run:
        (run.path / "motion.npz").write_bytes(...)
        run.results({"height_m": 1.71})                    # results.json
        run.report(page("The demo", blocks))               # report.html

The folder is filled under a temporary name beside its place and renamed when the block ends well. A run that fails or
is interrupted leaves nothing. A command whose folder grows over several runs makes a `RunFolder` itself and calls
`record` when it begins and when it ends; each of its files is whole or not there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vitruve.errors import NotWritten, UsageError, is_unwritable, not_written, writing
from vitruve.files.atomic import write_json, write_text
from vitruve.files.hashes import file_hash
from vitruve.files.toml import to_toml
from vitruve.runs.lock import LOCK_FILE
from vitruve.runs.versions import versions

RUN_FILE = "run.toml"
# What the name of a folder that is to be made does not end in, unless a file was meant.
_FILE_ENDINGS = (".npz", ".npy", ".pkl", ".json", ".csv", ".html", ".png", ".jpg", ".mp4", ".bvh", ".glb", ".txt")


@dataclass
class RunFolder:
    """A folder being filled.

    Attributes:
        path: where to write now.
        place: where it will stand in the end.
        command: the verb, for example "demo".
        options: every option with the value it had.
        suffix: stands before the endings of the files that tell about the run, where several runs share a folder.
    """

    path: Path
    place: Path
    command: str
    options: Mapping[str, Any]
    suffix: str = ""
    _notes: dict[str, Any] = field(default_factory=dict)
    _started: datetime = field(default_factory=lambda: datetime.now(UTC))
    _clock: float = field(default_factory=time.monotonic)

    def file(self, name: str) -> Path:
        """The path of a file that tells about the run, such as "results.json"."""
        return self.path / f"{Path(name).stem}{self.suffix}{Path(name).suffix}"

    def results(self, values: Mapping[str, Any]) -> None:
        """Write `results.json`: numbers with their unit in the key, such as `height_m`. Whole or not at all."""
        write_json(self.file("results.json"), values)

    def report(self, html: str) -> None:
        """Write `report.html`, whole or not at all."""
        write_text(self.file("report.html"), html)

    def note(self, **values: Any) -> None:
        """Add to the table `[notes]` of `run.toml`: what only showed while it ran, such as the body that was found."""
        self._notes.update(values)

    def record(self, inputs: Mapping[str, str], done: bool = True) -> None:
        """Write `run.toml`, whole or not at all; `run_folder` does it by itself.

        Args:
            inputs: path of each input to the hash of its content.
            done: False where the run goes on: no time is told then.
        """
        told = {key: str(value) if isinstance(value, Path) else value for key, value in self.options.items()}
        record = {
            "command": f"vitruve {self.command}",
            "started": self._started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._clock, 3) if done else None,
            "options": told,
            "versions": versions(),
            "inputs": dict(inputs),
            "notes": self._notes,
        }
        write_text(self.file(RUN_FILE), to_toml(record))


@contextmanager
def run_folder(
    out: str | Path,
    command: str,
    options: Mapping[str, Any],
    inputs: Sequence[str | Path] = (),
    overwrite: bool = False,
) -> Iterator[RunFolder]:
    """Make the folder of one run.

    Args:
        out: where it is to stand.
        command: the verb, for example "demo".
        options: every option with the value it had.
        inputs: files that were read; their hashes are kept.
        overwrite: replace the folder of an earlier run. One that another command or no run has made is never replaced.
    """
    place = Path(os.path.abspath(out))  # not resolve(): a link stays a link
    check_out(place, command, overwrite)
    hashes = {str(path): file_hash(path) for path in inputs}
    partial = _make_partial(place)
    try:
        run = RunFolder(partial, place, command, options)
        yield run
        run.record(hashes)
        _move(partial, place, command, overwrite)
    except NotWritten as error:
        error.where = error.where.replace(str(partial), str(place))  # the name that it was to have
        raise
    except OSError as error:
        if is_unwritable(error):
            raise not_written(error, place, "run it again; nothing of it was kept") from None
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_out(place: str | Path, command: str, overwrite: bool = False) -> None:
    """Raise UsageError where a run may not write to a folder: something is there, and it may not be replaced.

    Args:
        place: the folder.
        command: the verb that is to write it. Only a folder that the same verb has made can be replaced.
        overwrite: whether it may be.
    """
    place = Path(place)
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise UsageError("the output is not a folder", where=str(place), fix="choose another: --out FOLDER")
    if not place.exists() and place.suffix.lower() in _FILE_ENDINGS:
        raise UsageError(
            f"a folder is written, and {place.name} is the name of a file",
            where=f"--out {place}",
            fix=f"leave out the ending: --out {place.stem}",
        )
    if not place.exists() or all(file.name == LOCK_FILE for file in place.iterdir()):
        return
    if not (place / RUN_FILE).is_file():
        raise UsageError(
            "the output folder holds files that no run has made; they will not be replaced",
            where=f"{place} has no {RUN_FILE}",
            fix="choose another: --out FOLDER",
        )
    made_by = _made_by(place / RUN_FILE)
    if made_by != f"vitruve {command}":
        raise UsageError(
            f"the output folder is not one of `vitruve {command}`; it will not be replaced",
            where=f"{place / RUN_FILE}: made by `{made_by}`" if made_by else f"{place / RUN_FILE} cannot be read",
            fix="choose another: --out FOLDER",
        )
    if not overwrite:
        raise UsageError(
            "the output folder exists already", where=str(place), fix="choose another with --out, or give --overwrite"
        )


def _made_by(record: Path) -> str:
    """The command in a run.toml; empty where it does not tell."""
    try:
        return str(tomllib.loads(record.read_text(encoding="utf-8")).get("command", ""))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return ""


def _make_partial(place: Path) -> Path:
    with writing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{place.name}.partial-", dir=place.parent))
    umask = os.umask(0)
    os.umask(umask)
    partial.chmod(0o777 & ~umask)  # mkdtemp makes it private; a result is as readable as any other file
    return partial


def _move(partial: Path, place: Path, command: str, overwrite: bool) -> None:
    """Put the finished folder in its place; an earlier one goes only when the new one stands."""
    check_out(place, command, overwrite)  # again: another run may have finished meanwhile
    if not place.exists():
        partial.rename(place)
        return
    earlier = partial.with_name(partial.name + "-earlier")
    place.rename(earlier)
    try:
        partial.rename(place)
    except BaseException:  # also an interrupt: the earlier run must not be lost
        if not place.exists():
            earlier.rename(place)
        raise
    shutil.rmtree(earlier, ignore_errors=True)
