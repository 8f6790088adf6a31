"""The output folder of a run: its files, `results.json`, `report.html`, and `run.toml` with its provenance.

    with run_folder("out", "demo", options={"frames": 8}, inputs=[clip]) as run:
        (run.path / "motion.npz").write_bytes(...)
        run.results({"height_m": 1.71})                    # results.json
        run.report(page("The demo", blocks))               # report.html

The folder is filled under a temporary name beside its final path and renamed when the block ends. A run that fails or
is interrupted leaves nothing. A command that adds to one folder over several runs creates a `RunFolder` itself and
calls `record` at its start and end.
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
# The user of an output path with one of these suffixes expects a file.
_FILE_ENDINGS = (".npz", ".npy", ".pkl", ".json", ".csv", ".html", ".png", ".jpg", ".mp4", ".bvh", ".glb", ".txt")


@dataclass
class RunFolder:
    """A folder being filled.

    Attributes:
        path: where to write now.
        place: its final path.
        suffix: added to the stems of the run's own files, if several runs share a folder.
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
        """The path of one of the run's own files, such as "results.json"."""
        return self.path / f"{Path(name).stem}{self.suffix}{Path(name).suffix}"

    def results(self, values: Mapping[str, Any]) -> None:
        """Write `results.json` atomically: numbers with their unit in the key, such as `height_m`."""
        write_json(self.file("results.json"), values)

    def report(self, html: str) -> None:
        """Write `report.html` atomically."""
        write_text(self.file("report.html"), html)

    def note(self, **values: Any) -> None:
        """Add facts known only at run time, such as the body in use, to the table `[notes]` of `run.toml`."""
        self._notes.update(values)

    def record(self, inputs: Mapping[str, str], done: bool = True) -> None:
        """Write `run.toml` atomically; `run_folder` calls it.

        Args:
            inputs: path of each input to the hash of its content.
            done: False while the run continues; the duration is left out then.
        """
        options = {key: str(value) if isinstance(value, Path) else value for key, value in self.options.items()}
        record = {
            "command": f"vitruve {self.command}",
            "started": self._started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._clock, 3) if done else None,
            "options": options,
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
    """Create the folder of one run.

    Args:
        inputs: files that were read; their hashes are recorded.
        overwrite: replace a folder that the same command has made; any other is never replaced.
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
        error.where = error.where.replace(str(partial), str(place))  # the name the user knows
        raise
    except OSError as error:
        if is_unwritable(error):
            raise not_written(error, place, "run it again; nothing was kept") from None
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_out(place: str | Path, command: str, overwrite: bool = False) -> None:
    """Raise UsageError where a command may not write to a folder, since what is there may not be replaced."""
    place = Path(place)
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise UsageError("the output is not a folder", where=str(place), fix="choose another: --out FOLDER")
    if not place.exists() and place.suffix.lower() in _FILE_ENDINGS:
        raise UsageError(
            f"the output is a folder, but {place.name} is a file name",
            where=f"--out {place}",
            fix=f"omit the suffix: --out {place.stem}",
        )
    if not place.exists() or all(file.name == LOCK_FILE for file in place.iterdir()):
        return
    if not (place / RUN_FILE).is_file():
        raise UsageError(
            "the output folder holds files that are not from a run and will not be replaced",
            where=f"{place} has no {RUN_FILE}",
            fix="choose another: --out FOLDER",
        )
    try:
        made_by = str(tomllib.loads((place / RUN_FILE).read_text(encoding="utf-8")).get("command", ""))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        made_by = ""
    if made_by != f"vitruve {command}":
        raise UsageError(
            f"the output folder is not one of `vitruve {command}`; it will not be replaced",
            where=f"{place / RUN_FILE}: made by `{made_by}`" if made_by else f"{place / RUN_FILE} cannot be read",
            fix="choose another: --out FOLDER",
        )
    if not overwrite:
        raise UsageError(
            "the output folder exists already", where=str(place), fix="choose another with --out, or use --overwrite"
        )


def _make_partial(place: Path) -> Path:
    with writing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{place.name}.partial-", dir=place.parent))
    umask = os.umask(0)
    os.umask(umask)
    partial.chmod(0o777 & ~umask)  # mkdtemp makes it private; give it the usual permissions
    return partial


def _move(partial: Path, place: Path, command: str, overwrite: bool) -> None:
    """Move the finished folder to its place; an earlier one is removed only after that."""
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
