"""Windows of a store: a fixed number of frames of a clip at a common frame rate, read on demand.

Where the frame rate divides the clip's, the frames are exact copies of the store's. Otherwise rotations are
interpolated by slerp and the rest linearly, as by `vitruve.motion.resample`.
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
from vitruve.data.labels import Label, WindowLabels, window_labels
from vitruve.data.sampling import chosen_clips
from vitruve.data.store import Numbers, Store, checked_numbers
from vitruve.data.window_index import WindowIndex, WindowRule, lay_windows
from vitruve.errors import BadData, UsageError, nearest

# Body field -> shape of a frame's values, interpolation.
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
    """A field to fetch: shape and type of a frame's values, and the interpolation between frames."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    interpolation: str

    @property
    def width(self) -> int:
        """Values per frame."""
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
    """Cut the clips of a store into windows, so that every valid frame is in at least one.

    Args:
        store: an open store.
        length: frames per window.
        fps: frame rate of all windows.
        hop: frames between the starts of two windows; `length` where None.
        tails, longest_gap: how ends and invalid frames are treated, see `WindowRule`.
        split: "FILE:PART", a part of a split file of `vitruve data split`; all clips where None.
        clips: only these clips, or their keys; with a split, those in both.
        fields: of BODY_FIELDS, or added by `vitruve.data.fields`. Zero where a clip's body does not have the field.
        labels: kinds of the store's labels, such as "style"; or labels to use instead of the store's.
        canonical_frame: turn and move each window so that this frame faces +x at the origin, see
            `vitruve.data.canonical`.
        num_betas: number of betas, cut or padded with zeros, to mix windows of several stores; the most that a clip of
            the store has where None.

    Raises:
        UsageError: no windows; an unknown field or kind of labels.
    """
    rule = WindowRule(length, float(fps), length if hop is None else hop, tails, longest_gap)
    chosen = chosen_clips(store, split, clips)
    window_fields = tuple(_field(store, name) for name in fields)
    chosen_labels = window_labels(store, labels)
    _check_fields(store, chosen, window_fields, chosen_labels.kinds)
    if canonical_frame is not None and not (0 <= canonical_frame < length and {"root", "translation"} <= set(fields)):
        raise UsageError(
            "canonical windows need root, translation and a frame of the window",
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
    return Windows(store, rule, window_fields, index, chosen_labels, canonical_frame, num_betas)


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of a store, numbered from 0 in the order of its clips. Made by `make_windows`, see there."""

    store: Store
    rule: WindowRule
    fields: tuple[WindowField, ...]
    index: WindowIndex
    labels: WindowLabels
    canonical_frame: int | None = None
    num_betas: int | None = None

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.index.clips)

    def __repr__(self) -> str:
        return f"Windows({len(self):,} of {self.rule.length} frames at {self.rule.fps:g} fps, {self.store.path})"

    def fetch(self, rows: Numbers) -> dict[str, Tensor]:
        """Read some windows. They do not depend on what else is in the batch, or on the number of threads.

        Returns:
            Each field as [windows, frames, ...], float32 unless it was added with another type. `mask` [windows,
            frames]: False where a frame is invalid, so that its values are meaningless, or is padding, which repeats
            the last frame. `betas` [windows, betas]. `fps` [windows]. For each kind of labels [windows, frames]
            indices into `classes`, -1 where there is none. With a canonical frame `yaw` [windows] and `origin`
            [windows, 3], see `Placement`.
        """
        numbers = self._checked(rows)
        count, length = len(numbers), self.rule.length
        # Fields that a clip's body does not have remain zero.
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
        """The clip of a window, and the start and end of the window in it, seconds."""
        number = int(self._checked([row])[0])
        start, frames = int(self.index.starts[number]), int(self.index.frames[number])
        clip = self.store.clips[self.index.clips[number]]
        return clip, start / self.rule.fps, (start + frames) / self.rule.fps

    def labels_of(self, row: int) -> list[Label]:
        """All labels of the chosen kinds that overlap a window."""
        return self.labels.between(*self.locate(row))

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Kind -> its labels in order; the same for all splits of a store."""
        return self.labels.classes

    @cached_property
    def fingerprint(self) -> str:
        """A hash of what `fetch` gives: the clips' content, the fields, the rule. It is the same in any store."""
        hashed = hashlib.sha256()
        clips = [self.store.clips[number] for number in np.unique(self.index.clips)]
        # `content` is a hash of the source; the shape and error tell results of retargeting apart.
        about = [
            (each.key, each.content, each.frames, each.fps, each.body, each.masked, each.betas, each.error_mm)
            for each in clips
        ]
        added = [self.store.fields_of(clip) for clip in clips]
        values = [[fields[each.name].sha256 for each in self.fields if each.name in fields] for fields in added]
        fields = [asdict(each) for each in self.fields]
        hashed.update(json.dumps([asdict(self.rule), fields, self.canonical_frame, about, values]).encode())
        for array in (np.unique(self.index.clips, return_inverse=True)[1], self.index.starts, self.index.frames):
            hashed.update(array.astype("<i8").tobytes())
        return hashed.hexdigest()

    def _read(self, number: int, place: int, arrays: dict[str, np.ndarray], mask: NDArray[np.bool_]) -> None:
        """Read one window into row `place` of the arrays."""
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

    def _checked(self, rows: Numbers) -> NDArray[np.int64]:
        return checked_numbers(rows, len(self), "window", f"{len(self)} windows")


def _field(store: Store, name: str) -> WindowField:
    if name in BODY_FIELDS:
        shape, interpolation = BODY_FIELDS[name]
        if name == "expression":
            shape = (max((clip.expressions for clip in store.clips), default=0),)
        return WindowField(name, shape, "float32", interpolation)
    if name not in store.fields:
        hint = nearest(name, [*BODY_FIELDS, *store.fields])
        raise UsageError(f"the store has no field '{name}'", where=str(store.path), fix=hint)
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
                fix="add the field again: only the missing parts are computed; then open the store again",
            )
