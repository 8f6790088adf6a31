"""Shared code of the readers of text files and meshes: open, parse numbers, turn to z up, recognise the joint tree."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitruve.errors import BadData, MissingAsset
from vitruve.motion import Motion
from vitruve.skeletons import Skeleton
from vitruve.skeletons.recognise import left_right_pairs, shipped_tree

# Rows are the z-up world's x, y, z in terms of a y-up file's axes.
_Z_UP_FROM_Y_UP = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))

# A sentinel after the text shows whether numpy parsed all of it; it contains NaN, which no valid file has.
_END = b" nan 1"

# End of a bone chain: (joint, end relative to it in metres). Tuples, so that slicing a motion leaves them alone.
EndSites = tuple[tuple[str, tuple[float, float, float]], ...]


def read_bytes(path: str | PathLike[str]) -> bytes:
    """The content of a file; raises for a folder, a missing or an unreadable file."""
    path = Path(path)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise MissingAsset(f"there is no file {path}", where=str(path.parent), fix="check the name") from None
    except IsADirectoryError:
        raise BadData(f"{path.name} is a folder, a file is needed", where=str(path), fix="name a file in it") from None
    except OSError as error:
        where = f"{path}: {error.strerror}"
        raise BadData(f"{path.name} cannot be read", where=where, fix="check the file's permissions") from None


def damaged(what: str, where: str, fix: str = "export or copy the file again") -> BadData:
    """The error for a file that does not follow its format."""
    return BadData(what, where=where, fix=fix)


def check_finite(table: NDArray[np.float64], what: str, where: Callable[[int], str]) -> None:
    """Raise if a row [rows, values] is not finite; `where` makes the place of the first such row."""
    finite = np.isfinite(table)
    if not finite.all():
        raise damaged(f"{what} is not finite", where(int(finite.all(1).argmin())))


def numbers(text: bytes) -> NDArray[np.float64] | None:
    """All whitespace-separated numbers of a text; None if it contains anything else.

    numpy stops at the first non-number and warns. A sentinel at the end shows whether it did, because catching warnings
    is not thread-safe.
    """
    try:
        values = np.fromstring(text + _END, sep=" ")  # type: ignore[call-overload]
    except (ValueError, DeprecationWarning):  # newer numpy, or warnings turned into errors
        return None
    complete = values.size >= 2 and np.isnan(values[-2]) and values[-1] == 1
    return values[:-2] if complete else None


def by_number(file: Path) -> tuple[list[tuple[int, str]], str]:
    """Sort key of files that puts frame2 before frame10."""
    parts = re.split(r"(\d+)", file.stem.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], file.name


def z_up_from(up: str, like: Tensor) -> Tensor:
    """[3, 3] rotation from a world with up axis `up` ("y" or "z") to the z-up world."""
    return like.new_tensor(_Z_UP_FROM_Y_UP) if up == "y" else torch.eye(3, dtype=like.dtype, device=like.device)


def tree_skeleton(name: str, names: Sequence[str], parents: Sequence[int], rest: Tensor) -> Skeleton:
    """A tree read from a file, with its edges and the left-right pairs from its names."""
    return Skeleton(
        name=name,
        names=tuple(names),
        parents=tuple(parents),
        pairs=left_right_pairs(names),
        edges=tuple((parent, i) for i, parent in enumerate(parents) if parent >= 0),
        root=(0,),
        rest=rest,
    )


def recognised(motion: Motion) -> Motion:
    """The motion on the shipped tree with the same joints (its name and joint order), if there is one."""
    match = shipped_tree(motion.skeleton.names, motion.skeleton.parents)
    if match is None or motion.skeleton.rest is None:
        return motion
    shipped, order = match
    return motion.replace(
        skeleton=replace(shipped, rest=motion.skeleton.rest[order]),
        rotations=motion.rotations[:, order],
        offsets=None if motion.offsets is None else motion.offsets[:, order],
    )
