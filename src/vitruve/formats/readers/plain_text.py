"""What the readers of text formats share: opening a file, turning its world to z up, recognising its joint tree."""

from __future__ import annotations

from collections.abc import Sequence
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

# Rows are the z-up world's x, y, z in terms of a y-up file's: up is the file's y, its z comes towards the viewer.
_Z_UP_FROM_Y_UP = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))

# What numpy has read at last if it has read all of a text: with what is not a number, since no good file holds one.
_END = b" nan 1"

# Endings of a bone chain: (joint, end relative to it in metres). No arrays, so that slicing a motion leaves them alone.
EndSites = tuple[tuple[str, tuple[float, float, float]], ...]


def read_bytes(path: str | PathLike[str]) -> bytes:
    """The content of a file; a folder, a missing or an unreadable file is an error that says so."""
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


def numbers(text: bytes) -> NDArray[np.float64] | None:
    """All numbers of a text with blanks between them; None where it holds anything else.

    numpy stops at what is no number, and warns. Whether it did is seen by an end of our own: to catch warnings would
    change their filters for other threads, of which each may read a file.
    """
    try:
        values = np.fromstring(text + _END, sep=" ")  # type: ignore[call-overload]
    except (ValueError, DeprecationWarning):  # newer numpy; where a user has made errors of warnings
        return None
    whole = values.size >= 2 and np.isnan(values[-2]) and values[-1] == 1
    return values[:-2] if whole else None


def z_up_from(up: str, like: Tensor) -> Tensor:
    """[3, 3] that turns a world with the axis `up` ("y" or "z") upwards into the z-up world."""
    return like.new_tensor(_Z_UP_FROM_Y_UP) if up == "y" else torch.eye(3, dtype=like.dtype, device=like.device)


def tree_skeleton(name: str, names: Sequence[str], parents: Sequence[int], rest: Tensor) -> Skeleton:
    """A tree read from a file, with its lines and with the pairs that the names tell."""
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
    """The motion with its joints in the order, and under the name, of the shipped tree that has the same joints."""
    found = shipped_tree(motion.skeleton.names, motion.skeleton.parents)
    if found is None or motion.skeleton.rest is None:
        return motion
    shipped, order = found
    return motion.replace(
        skeleton=replace(shipped, rest=motion.skeleton.rest[order]),
        rotations=motion.rotations[:, order],
        offsets=None if motion.offsets is None else motion.offsets[:, order],
    )
