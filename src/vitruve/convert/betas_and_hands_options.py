"""Betas and hands that a user gives by a file."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from vitruve.errors import BadData, UsageError, VitruveError, nearest
from vitruve.fit.initial_pose import HANDS
from vitruve.fit.known_shape import BETAS
from vitruve.formats import load_motion

_HAND_VALUES = 90


def given_betas(value: str) -> str | tuple[float, ...]:
    """A word ("fit", "zero", "keep-if-same") as it is, or the betas of a file: numbers, an npz, a motion."""
    if value in BETAS:
        return value
    path = Path(value).expanduser()
    if not path.is_file():
        raise UsageError(f"'{value}' says nothing about the betas", fix=f"give a file, or {nearest(value, BETAS)}")
    numbers = _numbers(path, "betas")
    if numbers is None:
        numbers = tuple(load_motion(path).betas.tolist())
    return _finite(numbers, path, "betas")


def given_hands(value: str) -> str | tuple[float, ...]:
    """A word ("flat", "mean") as it is, or the 90 axis-angle values of a file: the left hand's 45, then the right's."""
    if value in HANDS:
        return value
    path = Path(value).expanduser()
    if not path.is_file():
        raise UsageError(f"there are no '{value}' hands", fix=f"give a file, or {nearest(value, HANDS)}")
    numbers = _numbers(path, "hands") or ()
    if len(numbers) != _HAND_VALUES:
        raise BadData(
            "the file does not hold two hands",
            where=f"{path}: {len(numbers)} numbers, expected {_HAND_VALUES}",
            fix="give 15 rotations as axis-angle for the left hand, then for the right",
        )
    return _finite(numbers, path, "hands")


def _numbers(path: Path, key: str) -> tuple[float, ...] | None:
    """The numbers of a text or npy file, or of one array of an npz; None where there is none."""
    try:
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                content = dict(arrays).get(key)
        elif path.suffix.lower() == ".npy":
            content = np.load(path, allow_pickle=False)
        elif path.suffix.lower() in (".txt", ".csv"):
            content = [float(word) for word in path.read_text(encoding="utf-8").replace(",", " ").split()]
        else:
            return None
        if content is None:
            return None
        values = np.asarray(content, np.float64)
    except Exception as error:  # numpy and zipfile have many ways to say that a file is damaged
        if isinstance(error, VitruveError):
            raise
        where = f"{path}: {error}"
        raise BadData(f"no {key} can be read from {path.name}", where=where, fix="give numbers, one row") from None
    if key == "betas" and values.ndim > 1 and len(values) > 1:
        values = values.reshape(len(values), -1)
        if not np.allclose(values, values[:1], atol=1e-6):
            where = f"{path}: {values.shape}"
            raise BadData("the betas change from row to row", where=where, fix="give one row")
        values = values[0]
    return tuple(float(number) for number in values.ravel())


def _finite(numbers: tuple[float, ...], path: Path, what: str) -> tuple[float, ...]:
    if not numbers or not all(math.isfinite(number) for number in numbers):
        raise BadData(f"the {what} are not all numbers", where=str(path), fix="give numbers, one row")
    return numbers
