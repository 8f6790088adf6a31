"""The folder a run leaves: its results, and in `run.toml` every option, version and input they came from.

    with run_folder("out", "demo", options={"frames": 8}, inputs=[clip]) as run:
        (run.path / "motion.npz").write_bytes(...)
        run.results({"height_m": 1.71})

The folder is filled under a temporary name beside its place and renamed when the block ends well. A run that fails or
is interrupted leaves nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vitruve.errors import BadData, MissingAsset, UsageError
from vitruve.runs.toml import to_toml
from vitruve.runs.versions import versions

RUN_FILE = "run.toml"


@dataclass
class RunFolder:
    """A folder being filled.

    Attributes:
        path: where to write now; a temporary name.
        place: where it will stand in the end.
    """

    path: Path
    place: Path
    _notes: dict[str, Any] = field(default_factory=dict)

    def results(self, values: Mapping[str, Any]) -> None:
        """Write `results.json`: numbers with their unit in the key, such as `height_m`. Whole or not at all."""
        write_json(self.path / "results.json", values)

    def note(self, **values: Any) -> None:
        """Add to the table `[notes]` of `run.toml`: what only showed while it ran, such as the body that was found."""
        self._notes.update(values)


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
        overwrite: replace the folder of an earlier run. A folder that holds no `run.toml` is never replaced.
    """
    place = Path(os.path.abspath(out))  # not resolve(): a link stays a link
    check_out(place, overwrite)
    started, clock = datetime.now(UTC), time.monotonic()
    hashes = {str(path): file_hash(path) for path in inputs}
    partial = _make_partial(place)
    try:
        run = RunFolder(partial, place)
        yield run
        record = {
            "command": f"vitruve {command}",
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - clock, 3),
            "options": {key: str(value) if isinstance(value, Path) else value for key, value in options.items()},
            "versions": versions(),
            "inputs": hashes,
            "notes": run._notes,
        }
        (partial / RUN_FILE).write_text(to_toml(record), encoding="utf-8")
        _move(partial, place, overwrite)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_out(place: str | Path, overwrite: bool = False) -> None:
    """Raise UsageError where a run may not write to a folder: something is there, and it may not be replaced."""
    place = Path(place)
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise UsageError("the output is not a folder", where=str(place), fix="choose another: --out FOLDER")
    if not place.exists() or not any(place.iterdir()):
        return
    if not (place / RUN_FILE).is_file():
        raise UsageError(
            "the output folder holds files that no run has made; they will not be replaced",
            where=f"{place} has no {RUN_FILE}",
            fix="choose another: --out FOLDER",
        )
    if not overwrite:
        raise UsageError(
            "the output folder exists already", where=str(place), fix="choose another with --out, or give --overwrite"
        )


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file's content."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MissingAsset(f"cannot read the input: {error.strerror}", where=str(path), fix="check the path") from None


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON under a temporary name and rename it. NaN and infinity are no JSON, so they are an error."""
    partial = path.with_name(path.name + ".partial")
    try:
        text = json.dumps(_plain(values, ""), indent=2, ensure_ascii=False, allow_nan=False)
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _plain(value: Any, where: str) -> Any:
    """Numbers and arrays of numpy and torch as plain Python."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise BadData(f"a result is {value}", where=where.lstrip("."), fix="check the input for frames without data")
    return str(value) if isinstance(value, Path) else value


def _make_partial(place: Path) -> Path:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{place.name}.partial-", dir=place.parent))
    except OSError as error:
        raise UsageError(
            f"the output folder cannot be made: {error.strerror}", where=str(place), fix="choose another: --out FOLDER"
        ) from None
    umask = os.umask(0)
    os.umask(umask)
    partial.chmod(0o777 & ~umask)  # mkdtemp makes it private; a result is as readable as any other file
    return partial


def _move(partial: Path, place: Path, overwrite: bool) -> None:
    """Put the finished folder in its place; an earlier one goes only when the new one stands."""
    check_out(place, overwrite)  # again: another run may have finished meanwhile
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
