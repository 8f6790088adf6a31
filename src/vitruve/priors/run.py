"""The folder of a training, and the poses of a store that it learns from."""

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

# Where no split is given, this part of the clips is held out, by a hash of their keys.
_HELD_OUT = 0.05
_TRAIN, _VALID = ("train", "training"), ("val", "vald", "valid", "validation", "test")


def pose_data(store: Store, recipe: Recipe, split: str | Path | None = None) -> PoseData:
    """The poses of a store, in two parts.

    Args:
        store: from `vitruve.data.open_store`.
        recipe: says which part of each clip is used to learn; held-out clips are used in the same way.
        split: a file of `vitruve data split`; a twentieth of the clips where left out, by a hash of its key.
    """
    rules = {"central": recipe.central, "fraction": recipe.fraction, "seed": recipe.training.seed}
    if split is None:
        if len(store.clips) < 2:
            raise UsageError("one clip cannot be divided", where=str(store.path), fix="give a split: --split FILE")
        by_mark = sorted((clip.key for clip in store.clips), key=lambda key: hashlib.sha256(key.encode()).digest())
        held = max(1, round(_HELD_OUT * len(by_mark)))
        train, valid = (store.sample(clips=keys, **rules) for keys in (by_mark[held:], by_mark[:held]))
    else:
        names = [_part(Path(split), wanted) for wanted in (_TRAIN, _VALID)]
        train, valid = (store.sample(split=f"{split}:{name}", **rules) for name in names)
    used = {store.clips[i].licence for rows in (train, valid) for i in set(store.locate(rows)[0].tolist())}
    return PoseData(store.body, train, valid, tuple(sorted(used)), str(store.path))


def check_run(folder: Path, overwrite: bool) -> None:
    """Raise UsageError where there is a run already, or anything else, that may not be replaced."""
    if (folder / STATE).is_file() and not overwrite:
        raise UsageError(
            "there is a training in this folder already",
            where=str(folder / STATE),
            fix="go on with it: --resume; or begin anew: --overwrite",
        )
    check_out(folder, "prior train", overwrite)


@contextmanager
def only_training(folder: Path, resume: bool) -> Iterator[None]:
    """Work in the folder of a run, a new one or one that is there; no other training may write to it meanwhile."""
    if resume and not folder.is_dir():
        yield  # it will be missed
        return
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with alone(folder, "another training in this folder is at work"):
        yield


def begin_run(folder: Path, options: Mapping[str, Any], overwrite: bool) -> None:
    """Say in the run.toml of a folder how its run began; the run fills it in place, so it can go on."""
    check_run(folder, overwrite)
    with writing(folder):
        for name in (*RUN_FILES, *(f".{name}.partial" for name in RUN_FILES)):
            (folder / name).unlink(missing_ok=True)
    record(folder, options, {"state": "running"})


RUN_FILES = (
    *("best.safetensors", "last.safetensors", STATE, "curves.csv", "curves.svg", "samples.png"),
    *("report.html", "results.json"),
)
"""What a training leaves beside run.toml."""


def record(folder: Path, options: Mapping[str, Any], notes: Mapping[str, Any]) -> None:
    """Write run.toml: every option, versions, and how it stands."""
    values = {
        "command": "vitruve prior train",
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "options": {key: str(value) if isinstance(value, Path) else value for key, value in options.items()},
        "versions": versions(),
        "notes": dict(notes),
    }
    write_bytes(folder / RUN_FILE, to_toml(values).encode(), durable=True, then=GO_ON)


def _part(split: Path, wanted: tuple[str, ...]) -> str:
    names = read_split(split)
    for name in wanted:
        if name in names:
            return name
    raise UsageError(
        f"the split has no part to {'learn from' if wanted == _TRAIN else 'hold out'}",
        where=f"{split}: its parts are {', '.join(names)}",
        fix=f"name one of them {wanted[0]}",
    )
