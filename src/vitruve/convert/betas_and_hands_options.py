"""The options --betas and --hands: words, or files with numbers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from vitruve.errors import BadData, UsageError, nearest
from vitruve.fit.initial_pose import HANDS
from vitruve.fit.known_shape import BETAS
from vitruve.formats import load_motion

_HAND_VALUES = 90


def read_betas_option(value: str) -> str | tuple[float, ...]:
    """A word ("fit", "zero", "keep-if-same") as it is, or the betas of a file: numbers, an npz, a motion."""
    if value in BETAS:
        return value
    path = _file(value, "betas", BETAS)
    numbers = _numbers(path, "betas")
    return _finite(tuple(load_motion(path).betas.tolist()) if numbers is None else numbers, path, "betas")


def read_hands_option(value: str) -> str | tuple[float, ...]:
    """A word ("flat", "mean") as it is, or the 90 axis-angle values of a file: the left hand's 45, then the right's."""
    if value in HANDS:
        return value
    path = _file(value, "hands", HANDS)
    numbers = _numbers(path, "hands") or ()
    if len(numbers) != _HAND_VALUES:
        raise BadData(
            "the file does not hold two hands",
            where=f"{path}: {len(numbers)} numbers, expected {_HAND_VALUES}",
            fix="give 15 rotations as axis-angle for the left hand, then for the right",
        )
    return _finite(numbers, path, "hands")


def _file(value: str, key: str, words: tuple[str, ...]) -> Path:
    path = Path(value).expanduser()
    if not path.is_file():
        raise UsageError(f"'{value}' is not an option for {key}", fix=f"give a file, or {nearest(value, words)}")
    return path


def _numbers(path: Path, key: str) -> tuple[float, ...] | None:
    """The numbers of a text or npy file, or of one array of an npz; None if it has no such array or is a motion."""
    suffix, content = path.suffix.lower(), None
    try:
        if suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                content = arrays.get(key)
        elif suffix == ".npy":
            content = np.load(path, allow_pickle=False)
        elif suffix in (".txt", ".csv"):
            content = [float(word) for word in path.read_text(encoding="utf-8").replace(",", " ").split()]
        if content is None:
            return None
        values = np.asarray(content, np.float64)
    except Exception as error:  # numpy and zipfile raise many types for a damaged file
        where = f"{path}: {error}"
        raise BadData(f"no {key} can be read from {path.name}", where=where, fix="give numbers, one row") from None
    if key == "betas" and values.ndim > 1 and len(values) > 1:
        values = values.reshape(len(values), -1)
        if not np.allclose(values, values[:1], atol=1e-6):
            where = f"{path}: {values.shape}"
            raise BadData("the betas change from row to row", where=where, fix="give one row")
        values = values[0]
    return tuple(values.ravel().tolist())


def _finite(numbers: tuple[float, ...], path: Path, what: str) -> tuple[float, ...]:
    if not numbers or not all(math.isfinite(number) for number in numbers):
        raise BadData(f"the {what} are not all numbers", where=str(path), fix="give numbers, one row")
    return numbers
