"""The folder of a training run, and its data from a store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vitruve.data import Store
from vitruve.data.splits import read_split
from vitruve.errors import UsageError, writing
from vitruve.files.atomic import write_bytes
from vitruve.files.toml import to_toml
from vitruve.learn.checkpoint import GO_ON
from vitruve.learn.loop import STATE
from vitruve.priors.recipe import Recipe
from vitruve.priors.training import PoseData
from vitruve.runs.folder import RUN_FILE, check_out
from vitruve.runs.lock import alone
from vitruve.runs.versions import versions

# The share of clips that is held out without a split, by a hash of their keys.
_HELD_OUT = 0.05
_TRAIN, _VALID = ("train", "training"), ("val", "vald", "valid", "validation", "test")


def pose_data(store: Store, recipe: Recipe, split: str | Path | None = None) -> PoseData:
    """Training and validation poses of a store.

    Args:
        store: from `vitruve.data.open_store`.
        recipe: selects the frames of each clip.
        split: a file of `vitruve data split`; by default a twentieth of the clips is held out, by a hash of their keys.
    """
    rules = {"central": recipe.central, "fraction": recipe.fraction, "seed": recipe.training.seed}
    if split is None:
        if len(store.clips) < 2:
            raise UsageError("one clip cannot be split", where=str(store.path), fix="give a split: --split FILE")
        by_hash = sorted((clip.key for clip in store.clips), key=lambda key: hashlib.sha256(key.encode()).digest())
        held = max(1, round(_HELD_OUT * len(by_hash)))
        train, valid = (store.sample(clips=keys, **rules) for keys in (by_hash[held:], by_hash[:held]))
    else:
        names = train_part(Path(split)), _part(Path(split), _VALID, "hold out")
        train, valid = (store.sample(split=f"{split}:{name}", **rules) for name in names)
    used = {store.clips[i].licence for rows in (train, valid) for i in set(store.locate(rows)[0].tolist())}
    return PoseData(store.body, train, valid, tuple(sorted(used)), str(store.path))


def check_run(folder: Path, overwrite: bool) -> None:
    """Raise UsageError if the folder has a run or other files that may not be replaced."""
    if (folder / STATE).is_file() and not overwrite:
        raise UsageError(
            "the folder already holds a training run",
            where=str(folder / STATE),
            fix="continue it with --resume, or start again with --overwrite",
        )
    check_out(folder, "prior train", overwrite)


@contextmanager
def only_training(folder: Path, resume: bool) -> Iterator[None]:
    """Create and lock the folder of a run, so that only one training writes to it."""
    if resume and not folder.is_dir():
        yield  # the training reports the missing folder
        return
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with alone(folder, "another training is running in this folder"):
        yield


def begin_run(folder: Path, options: Mapping[str, Any], overwrite: bool) -> None:
    """Delete the files of an earlier run and write run.toml."""
    check_run(folder, overwrite)
    with writing(folder):
        for name in (*RUN_FILES, *(f".{name}.partial" for name in RUN_FILES)):
            (folder / name).unlink(missing_ok=True)
    record(folder, options, {"state": "running"})


RUN_FILES = (
    *("best.safetensors", "last.safetensors", STATE, "curves.csv", "curves.svg", "samples.png"),
    *("report.html", "results.json"),
)
"""Files of a training besides run.toml."""


def record(folder: Path, options: Mapping[str, Any], notes: Mapping[str, Any]) -> None:
    """Write run.toml: options, versions, and the state of the run."""
    values = {
        "command": "vitruve prior train",
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "options": {key: str(value) if isinstance(value, Path) else value for key, value in options.items()},
        "versions": versions(),
        "notes": dict(notes),
    }
    write_bytes(folder / RUN_FILE, to_toml(values).encode(), durable=True, then=GO_ON)


def train_part(split: Path) -> str:
    """The name of the training part of a split."""
    return _part(split, _TRAIN, "learn from")


def _part(split: Path, names: tuple[str, ...], purpose: str) -> str:
    parts = read_split(split)
    name = next((name for name in names if name in parts), None)
    if name is None:
        raise UsageError(
            f"the split has no part to {purpose}",
            where=f"{split}: its parts are {', '.join(parts)}",
            fix=f"name one of them {names[0]}",
        )
    return name
