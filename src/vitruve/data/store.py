"""Read a clip store: frames are numbered through all clips, and are memory-mapped."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from vitruve.data import sampling
from vitruve.data.clips import (
    CLIPS_FILE,
    MASK_FILE,
    Clip,
    FieldInfo,
    check_size,
    check_store,
    clip_of,
    field_file,
    field_infos,
    map_field,
    read_lines,
    shard_folders,
    widths,
)
from vitruve.errors import BadData, UsageError, nearest
from vitruve.geometry.rotations import axis_angle_to_matrix
from vitruve.motion import Motion, Source
from vitruve.skeletons import load_skeleton

Rows = NDArray[np.int64]
Numbers = Sequence[int] | Rows | Tensor


def open_store(path: str | os.PathLike[str]) -> Store:
    """Open a store that `vitruve data prepare` wrote. Only the indexes are read; frames are read on demand.

    Clips are ordered by set, then as they were prepared. Frame numbers change only when more is prepared.
    """
    folder = Path(path).expanduser()
    check_store(folder)
    blocks: list[_Block] = []
    clips: list[Clip] = []
    start = 0
    for shard in shard_folders(folder):
        by_block: dict[tuple[Any, Any], list[dict[str, Any]]] = {}
        for line in read_lines(shard / CLIPS_FILE):
            by_block.setdefault((line.get("skeleton"), line.get("expressions")), []).append(line)
        for lines in by_block.values():
            first = start
            for line in lines:
                clips.append(clip_of(line, start))
                start += clips[-1].frames
            last = clips[-1]
            blocks.append(_Block(shard / last.block, first, start - first, last.skeleton, last.expressions))
    return Store(folder, tuple(clips), tuple(blocks))


@dataclass(frozen=True, eq=False)
class _Block:
    """Frames with the same fields; each array is mapped on first use."""

    folder: Path
    start: int
    frames: int
    skeleton: str
    expressions: int
    _mapped: dict[str, np.ndarray] = field(default_factory=dict)

    def array(self, name: str) -> np.ndarray | None:
        """[frames, values] of a body field or an added field; None where the block does not have it."""
        if name not in self._mapped:
            if name == "mask":
                self._mapped[name] = self._map(MASK_FILE, np.uint8, 1)
            elif name in (own := widths(self.skeleton, self.expressions)):
                self._mapped[name] = self._map(field_file(name), np.float32, own[name])
            elif name in self.added:
                info = self.added[name]
                self._mapped[name] = map_field(self.folder.parent, name, self.folder.name, self.frames, info)
            else:
                return None
        return self._mapped[name]

    @cached_property
    def added(self) -> dict[str, FieldInfo]:
        """The added fields of its shard."""
        return field_infos(self.folder.parent)

    def _map(self, file: str, dtype: type, width: int) -> np.ndarray:
        path = self.folder / file
        check_size(path, self.frames * width * np.dtype(dtype).itemsize)
        return np.asarray(np.memmap(path, dtype, mode="r", shape=(self.frames, width)))


@dataclass(frozen=True, eq=False)
class Store:
    """An open clip store.

    Attributes:
        path: the folder.
        clips: in the order of their frames.
    """

    path: Path
    clips: tuple[Clip, ...]
    _blocks: tuple[_Block, ...]

    def __len__(self) -> int:
        """Number of frames."""
        return self._blocks[-1].start + self._blocks[-1].frames if self._blocks else 0

    def __repr__(self) -> str:
        return f"Store({self.path}: {len(self):,} frames in {len(self.clips):,} clips of {len(self.sets)} sets)"

    @property
    def sets(self) -> tuple[str, ...]:
        """The names of the data sets."""
        return tuple(sorted({clip.set for clip in self.clips}))

    @cached_property
    def fields(self) -> dict[str, FieldInfo]:
        """The added fields by name, without those of the body."""
        out: dict[str, FieldInfo] = {}
        for block in self._blocks:
            for name, info in block.added.items():
                if out.setdefault(name, info).kind != info.kind:
                    raise BadData(
                        f"the field '{name}' is not of one kind throughout the store",
                        where=f"{block.folder.parent}: found {info.kind}, expected {out[name].kind}",
                        fix="add it again with overwrite=True",
                    )
        return out

    def shards(self) -> dict[Path, list[Clip]]:
        """The folder of each shard with its clips."""
        out: dict[Path, list[Clip]] = {}
        for clip in self.clips:
            out.setdefault(self._block_of(clip).folder.parent, []).append(clip)
        return out

    @cached_property
    def starts(self) -> Rows:
        """[clips] the number of each clip's first frame."""
        return np.array([clip.start for clip in self.clips], dtype=np.int64)

    @cached_property
    def _by_key(self) -> dict[str, Clip]:
        return {clip.key: clip for clip in self.clips}

    @cached_property
    def _block_starts(self) -> Rows:
        return np.array([block.start for block in self._blocks], dtype=np.int64)

    def clip(self, key: str) -> Clip:
        """The clip with a key; the error for an unknown key names the nearest."""
        if key not in self._by_key:
            raise UsageError(f"the store has no clip '{key}'", where=str(self.path), fix=nearest(key, self._by_key))
        return self._by_key[key]

    def locate(self, rows: Numbers) -> tuple[Rows, Rows]:
        """For each row, the index of its clip in `clips` and the frame within the clip."""
        numbers = self._checked(rows)
        which = np.searchsorted(self.starts, numbers, side="right") - 1
        return which, numbers - self.starts[which]

    def root(self, rows: Numbers) -> Float[Tensor, "rows 3"]:
        """Axis-angle of the root in the world, z up."""
        return self._rows("root", rows, 3)

    def body(self, rows: Numbers) -> Float[Tensor, "rows 21 3"]:
        """Axis-angle of joints 1 to 21, relative to their parents, no longer than pi."""
        return self._rows("body", rows, 63).view(-1, 21, 3)

    def hands(self, rows: Numbers) -> Float[Tensor, "rows 30 3"]:
        """Axis-angle of the fingers, left hand first; zero (a flat hand) for bodies without fingers."""
        return self._rows("hands", rows, 90).view(-1, 30, 3)

    def jaw(self, rows: Numbers) -> Float[Tensor, "rows 3"]:
        """Axis-angle of the jaw; zero for bodies without one."""
        return self._rows("jaw", rows, 3)

    def eyes(self, rows: Numbers) -> Float[Tensor, "rows 2 3"]:
        """Axis-angle of the left and right eye; zero for bodies without eyes."""
        return self._rows("eyes", rows, 6).view(-1, 2, 3)

    def translation(self, rows: Numbers) -> Float[Tensor, "rows 3"]:
        """Metres; the root joint is at its rest position plus this."""
        return self._rows("translation", rows, 3)

    def expression(self, rows: Numbers) -> Float[Tensor, "rows expressions"]:
        """Expression values, padded with zeros to the widest clip."""
        return self._rows("expression", rows, max((block.expressions for block in self._blocks), default=0))

    def mask(self, rows: Numbers) -> Bool[Tensor, "rows"]:
        """True where the frame is valid; the values of invalid frames are meaningless."""
        return self._rows("mask", rows, 1, np.uint8)[:, 0].bool()

    def betas(self, rows: Numbers) -> Float[Tensor, "rows betas"]:
        """The shape of each frame's clip, padded with zeros."""
        return torch.from_numpy(self._betas[self.locate(rows)[0]])

    @cached_property
    def _betas(self) -> NDArray[np.float32]:
        out = np.zeros((len(self.clips), max((len(clip.betas) for clip in self.clips), default=0)), dtype=np.float32)
        for row, clip in zip(out, self.clips):
            row[: len(clip.betas)] = clip.betas
        return out

    def field(self, name: str, rows: Numbers) -> Tensor:
        """[rows, ...] of an added field; an error where one of the rows does not have it."""
        info = self.field_info(name)
        numbers = self._checked(rows)
        for clip in np.unique(self.locate(numbers)[0]):
            self.view(self.clips[clip], name)
        width = int(np.prod(info.shape, dtype=np.int64))
        return self._rows(name, numbers, width, np.dtype(info.dtype).type).view(-1, *info.shape)

    def field_info(self, name: str) -> FieldInfo:
        """Shape and type of an added field; the error for an unknown name names the nearest."""
        if name not in self.fields:
            hint = nearest(name, self.fields) if self.fields else "add it: vitruve.data.fields.add_field"
            raise UsageError(f"the store has no field '{name}'", where=str(self.path), fix=hint)
        return self.fields[name]

    def fields_of(self, clip: Clip) -> dict[str, FieldInfo]:
        """The added fields of a clip."""
        return self._block_of(clip).added

    def view(self, clip: Clip, name: str) -> np.ndarray | None:
        """[frames, values] of a field, or of the mask, of a clip, memory-mapped and read-only.

        None where the clip's body has no such field; an error where the clip lacks an added field.
        """
        block = self._block_of(clip)
        array = block.array(name)
        if array is None:
            if name in self.fields:
                raise BadData(
                    f"a part of the store lacks the field '{name}'",
                    where=f"{block.folder.parent}, clip {clip.key}",
                    fix="add the field again: only the missing parts are computed",
                )
            return None
        return array[clip.start - block.start :][: clip.frames]

    def motion(self, clip: Clip | str) -> Motion:
        """A clip as a motion, with every field of its body."""
        clip = self.clip(clip) if isinstance(clip, str) else clip

        def part(name: str) -> Tensor:
            array = self.view(clip, name)
            assert array is not None
            return torch.from_numpy(array.copy())

        names = [name for name in widths(clip.skeleton, 0) if name != "translation"]
        vectors = torch.cat([part(name) for name in names], 1).unflatten(1, (-1, 3))
        return Motion(
            rotations=axis_angle_to_matrix(vectors),
            translation=part("translation"),
            fps=clip.fps,
            skeleton=load_skeleton(clip.skeleton),
            body=clip.body,
            gender=clip.gender,
            betas=torch.tensor(clip.betas, dtype=torch.float32),
            expression=part("expression") if clip.expressions else None,
            mask=part("mask")[:, 0].bool() if clip.masked else None,
            source=Source(file=clip.source, format="store", notes=clip.notes),
        )

    # Becomes a method: its first argument is the store.
    sample = sampling.sample

    def _block_of(self, clip: Clip) -> _Block:
        return self._blocks[int(np.searchsorted(self._block_starts, clip.start, side="right")) - 1]

    def _rows(self, name: str, rows: Numbers, width: int, dtype: type = np.float32) -> Tensor:
        numbers = self._checked(rows)
        out = np.zeros((len(numbers), width), dtype=dtype)
        which = np.searchsorted(self._block_starts, numbers, side="right") - 1
        order = np.argsort(which, kind="stable")
        sorted_blocks = which[order]
        bounds = np.flatnonzero(np.diff(sorted_blocks, prepend=-1, append=-1))
        for first, last in itertools.pairwise(bounds):
            block = self._blocks[sorted_blocks[first]]
            array = block.array(name)
            if array is not None:
                places = order[first:last]
                out[places, : array.shape[1]] = array[numbers[places] - block.start]
        return torch.from_numpy(out)

    def _checked(self, rows: Numbers) -> Rows:
        return checked_numbers(rows, len(self), "frame", f"{self.path}: {len(self)} frames")


def checked_numbers(numbers: Numbers, count: int, noun: str, where: str) -> Rows:
    """The numbers as a 1-D array; an error where one is not from 0 to count - 1."""
    array = np.asarray(numbers, dtype=np.int64).reshape(-1)
    if len(array) and (array.min() < 0 or array.max() >= count):
        bad = array.min() if array.min() < 0 else array.max()
        raise UsageError(f"there is no {noun} {bad}", where=where, fix="count from 0")
    return array
