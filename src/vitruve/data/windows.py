"""Windows of a store: so many frames of a clip at a common rate, read when asked for; nothing is copied beforehand.

    windows = make_windows(store, length=128, fps=30, hop=64, split="split.json:train", labels=["style"])
    len(windows)
    batch = windows.fetch([0, 5, 99])
    batch["body"]                      # [3, 128, 21, 3] axis-angle
    batch["mask"]                      # [3, 128] True where the frame is valid

Where the rates divide, frames are left out, and those that stay are the store's, bit for bit. Otherwise rotations are
interpolated by slerp and the rest linearly, as `vitruve.motion.resample` does. A window is the same in any batch, and
on any number of threads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitruve.data.between_frames import between_frames, frame_positions
from vitruve.data.canonical import canonical
from vitruve.data.clips import Clip
from vitruve.data.labels import Label
from vitruve.data.sampling import chosen_clips
from vitruve.data.store import Store
from vitruve.data.window_index import WindowIndex, WindowRule, lay_windows
from vitruve.data.window_labels import WindowLabels, window_labels
from vitruve.errors import BadData, UsageError, nearest

# Fields of the body: the shape of a frame's values, and what stands between two frames.
BODY_FIELDS: dict[str, tuple[tuple[int, ...], str]] = {
    "root": ((3,), "rotation"),
    "body": ((21, 3), "rotation"),
    "hands": ((30, 3), "rotation"),
    "jaw": ((3,), "rotation"),
    "eyes": ((2, 3), "rotation"),
    "translation": ((3,), "linear"),
    "expression": ((-1,), "linear"),
}
DEFAULT_FIELDS = ("root", "body", "hands", "translation")


@dataclass(frozen=True)
class WindowField:
    """What is fetched under a name: the shape and type of a frame's values, and what stands between two frames."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    interpolation: str

    @property
    def width(self) -> int:
        """How many values a frame has."""
        return int(np.prod(self.shape, dtype=np.int64))


def make_windows(
    store: Store,
    length: int,
    fps: float,
    hop: int | None = None,
    tails: str = "shift",
    longest_gap: int = 0,
    split: str | None = None,
    clips: Sequence[Clip | str] | None = None,
    fields: Sequence[str] = DEFAULT_FIELDS,
    labels: Sequence[str] | Sequence[Label] = (),
    canonical_frame: int | None = None,
    num_betas: int | None = None,
) -> Windows:
    """Lay windows over the clips of a store, so that every valid frame is in one.

    Args:
        store: an open store.
        length: frames of a window, at the common rate.
        fps: the common rate.
        hop: frames from one window's start to the next one's; the length where not given.
        tails, longest_gap: what becomes of ends and of invalid frames, see `WindowRule`.
        split: "FILE:PART", a part of a split file of `vitruve data split`; all clips where None.
        clips: only these clips, or their keys; together with a split, those that are in both.
        fields: of BODY_FIELDS, or added by `vitruve.data.fields`. Zeros stand for what a clip's body does not have.
        labels: kinds of the store's labels, such as "style"; or labels that are not in the store, all kinds of them.
        canonical_frame: turn and move each window so that this frame faces +x at the origin, see
            `vitruve.data.canonical`.
        num_betas: how many betas are fetched, so that windows of several stores go together: the first ones, zeros
            where a clip has fewer. As many as the clip of the store with the most where not given.

    Raises:
        UsageError: no windows; an unknown field or kind of labels.
    """
    rule = WindowRule(length, float(fps), length if hop is None else hop, tails, longest_gap)
    chosen = chosen_clips(store, split, clips)
    found = tuple(_field(store, name) for name in fields)
    found_labels = window_labels(store, labels)
    _check_fields(store, chosen, found, found_labels.kinds)
    if canonical_frame is not None and not (0 <= canonical_frame < length and {"root", "translation"} <= set(fields)):
        raise UsageError(
            "canonical windows need root and translation, and one of their frames to begin with",
            where=f"canonical_frame={canonical_frame}, length={length}, fields: {', '.join(fields)}",
            fix="give a frame from 0 to the length - 1, and these fields",
        )
    index = lay_windows(store, chosen, rule)
    if not len(index.clips):
        raise UsageError(
            "there are no windows",
            where=f"{len(chosen)} clips of {store.path}, windows of {length} frames at {fps:g} fps",
            fix="take other clips, or shorter windows; tails='shift' also takes clips shorter than a window",
        )
    return Windows(store, rule, found, index, found_labels, canonical_frame, num_betas)


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of a store, numbered from 0 in the order of its clips. Made by `make_windows`.

    Attributes:
        store: the store.
        rule: how they were laid.
        fields: what is fetched.
        index: where each window lies.
        labels: that are fetched.
        canonical_frame: the frame of each window that stands at the origin; None where windows are as recorded.
        num_betas: how many betas are fetched; None for all.
    """

    store: Store
    rule: WindowRule
    fields: tuple[WindowField, ...]
    index: WindowIndex
    labels: WindowLabels
    canonical_frame: int | None = None
    num_betas: int | None = None

    def __len__(self) -> int:
        """How many windows there are."""
        return len(self.index.clips)

    def __repr__(self) -> str:
        return f"Windows({len(self):,} of {self.rule.length} frames at {self.rule.fps:g} fps, {self.store.path})"

    def fetch(self, rows: Sequence[int] | NDArray[np.int64] | Tensor) -> dict[str, Tensor]:
        """The data of some windows; the first axis of every tensor is the windows, in the order of `rows`.

        Returns:
            Each field as [windows, frames, ...], float32 unless it was added with another type; `mask` [windows,
            frames], True where a frame is valid and not filled up (values elsewhere mean nothing; what is filled up
            repeats the last frame); `betas` [windows, betas]; `fps` [windows]; for each kind of labels [windows,
            frames] numbers of `classes`, -1 where there is none; with a canonical frame `yaw` [windows] and `origin`
            [windows, 3], see `Placement`.
        """
        numbers = self._checked(rows)
        count, length = len(numbers), self.rule.length
        # Fields that a clip's body does not have stay zero.
        arrays = {each.name: np.zeros((count, length, each.width), each.dtype) for each in self.fields}
        arrays |= {kind: np.full((count, length), -1, np.int64) for kind in self.labels.kinds}
        mask = np.zeros((count, length), np.bool_)
        for place, number in enumerate(numbers):
            self._read(int(number), place, arrays, mask)
        out = {each.name: torch.from_numpy(arrays[each.name]).view(count, length, *each.shape) for each in self.fields}
        out |= {kind: torch.from_numpy(arrays[kind]) for kind in self.labels.kinds}
        out["mask"] = torch.from_numpy(mask)
        betas = self.store.betas(self.store.starts[self.index.clips[numbers]])
        width = betas.shape[1] if self.num_betas is None else self.num_betas
        out["betas"] = torch.nn.functional.pad(betas, (0, width - betas.shape[1]))
        out["fps"] = torch.full((count,), self.rule.fps, dtype=torch.float32)
        if self.canonical_frame is not None:
            out, placement = canonical(out, self.canonical_frame)
            out |= {"yaw": placement.yaw.float(), "origin": placement.origin.float()}
        return out

    def locate(self, row: int) -> tuple[Clip, float, float]:
        """The clip of a window, and where it lies in it: from and to, seconds."""
        number = int(self._checked([row])[0])
        start, frames = int(self.index.starts[number]), int(self.index.frames[number])
        clip = self.store.clips[self.index.clips[number]]
        return clip, start / self.rule.fps, (start + frames) / self.rule.fps

    def labels_of(self, row: int) -> list[Label]:
        """All labels of the fetched kinds that a window meets, also those that overlap: texts for the whole window."""
        return self.labels.between(*self.locate(row))

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Kind -> its labels in order: what the numbers of a batch mean. The same for all splits of a store."""
        return self.labels.classes

    @cached_property
    def fingerprint(self) -> str:
        """A hash of what would be fetched: the clips' content, the fields, the rule. Where the store lies and what else
        is in it does not matter."""
        hashed = hashlib.sha256()
        clips = [self.store.clips[number] for number in np.unique(self.index.clips)]
        # A clip's content is that of its source; how a retargeted one came out shows in its shape and its error.
        told = [
            (each.key, each.content, each.frames, each.fps, each.body, each.masked, each.betas, each.error_mm)
            for each in clips
        ]
        added = [self.store.fields_of(clip) for clip in clips]
        values = [[fields[each.name].sha256 for each in self.fields if each.name in fields] for fields in added]
        fields = [asdict(each) for each in self.fields]
        hashed.update(json.dumps([asdict(self.rule), fields, self.canonical_frame, told, values]).encode())
        for array in (np.unique(self.index.clips, return_inverse=True)[1], self.index.starts, self.index.frames):
            hashed.update(array.astype("<i8").tobytes())
        return hashed.hexdigest()

    def _read(self, number: int, place: int, arrays: dict[str, np.ndarray], mask: NDArray[np.bool_]) -> None:
        """One window, into row `place` of the arrays."""
        clip = self.store.clips[self.index.clips[number]]
        start, frames = int(self.index.starts[number]), int(self.index.frames[number])
        left, share = frame_positions(self.rule.step(clip), start, frames)
        for each in self.fields:
            values = self.store.view(clip, each.name)
            if values is not None:
                room = arrays[each.name][place, :, : values.shape[1]]
                room[:frames] = between_frames(values, left, share, each.interpolation)
                room[frames:] = room[frames - 1]
        mask[place, :frames] = True
        if clip.masked and (valid := self.store.view(clip, "mask")) is not None:
            mask[place, :frames] = (valid[left] & valid[left + (share > 0)])[:, 0]
        if self.labels.kinds:
            moments = np.minimum(np.arange(start, start + self.rule.length), start + frames - 1) / self.rule.fps
            for kind, numbers in self.labels.at(clip, moments).items():
                arrays[kind][place] = numbers

    def _checked(self, rows: Sequence[int] | NDArray[np.int64] | Tensor) -> NDArray[np.int64]:
        numbers = np.asarray(rows, dtype=np.int64).reshape(-1)
        if len(numbers) and (numbers.min() < 0 or numbers.max() >= len(self)):
            bad = numbers.min() if numbers.min() < 0 else numbers.max()
            raise UsageError(f"there is no window {bad}", where=f"{len(self)} windows", fix="count from 0")
        return numbers


def _field(store: Store, name: str) -> WindowField:
    if name in BODY_FIELDS:
        shape, interpolation = BODY_FIELDS[name]
        if name == "expression":
            shape = (max((clip.expressions for clip in store.clips), default=0),)
        return WindowField(name, shape, "float32", interpolation)
    if name not in store.fields:
        raise UsageError(
            f"the store has no field '{name}'",
            where=str(store.path),
            fix=nearest(name, [*BODY_FIELDS, *store.fields]),
        )
    info = store.fields[name]
    return WindowField(name, info.shape, info.dtype, info.interpolation)


def _check_fields(store: Store, clips: Sequence[Clip], fields: Sequence[WindowField], kinds: Sequence[str]) -> None:
    names = [*(each.name for each in fields), *kinds, "mask", "betas", "fps", "yaw", "origin"]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UsageError(f"'{twice}' would be fetched twice", where="fields, labels", fix="give each name once")
    for each in fields:
        lacking = [clip for clip in clips if each.name not in BODY_FIELDS and each.name not in store.fields_of(clip)]
        if lacking:
            raise BadData(
                f"a part of the store lacks the field '{each.name}'",
                where=f"{len(lacking)} clips, the first {lacking[0].key}",
                fix="add the field again: only what lacks it is computed; then open the store again",
            )
