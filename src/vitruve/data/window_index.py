"""The positions of windows in the clips of a store."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from vitruve.data.between_frames import frame_positions
from vitruve.data.clips import Clip, ClipSource
from vitruve.errors import UsageError, nearest
from vitruve.motion.motion import FASTEST, SLOWEST
from vitruve.motion.resampling import frame_step

TAILS = ("shift", "pad", "drop")


@dataclass(frozen=True)
class WindowRule:
    """How clips are cut into windows. Frames are counted at the windows' frame rate.

    Attributes:
        length: frames per window.
        fps: frame rate of the windows.
        hop: frames between the starts of two windows, at most `length`.
        tails: what to do with the frames after the last full window. "shift" adds a window that ends with the last
            frame, so it overlaps the one before more; "pad" adds one that starts a hop later and is padded; "drop"
            leaves them out. Runs shorter than a window are padded, or left out by "drop".
        longest_gap: invalid frames in a row that a window may contain. No window crosses a longer gap.
    """

    length: int
    fps: float
    hop: int
    tails: str = "shift"
    longest_gap: int = 0

    def __post_init__(self) -> None:
        if self.length < 1 or not 1 <= self.hop <= self.length or self.longest_gap < 0:
            raise UsageError(
                "windows have a length of at least 1 and a hop from 1 to the length",
                where=f"length {self.length}, hop {self.hop}, longest_gap {self.longest_gap}",
                fix="for example length=128, hop=64",
            )
        if not SLOWEST <= self.fps <= FASTEST:
            raise UsageError(f"fps = {self.fps} is not a frame rate", fix="give a positive number, such as 30")
        if self.tails not in TAILS:
            raise UsageError(f"there is no rule '{self.tails}' for tails", fix=nearest(self.tails, TAILS))

    def step(self, clip: Clip) -> Fraction:
        """Frames of the clip per frame of a window."""
        return _step(clip.fps, self.fps)

    def frames(self, clip: Clip) -> int:
        """Frames of the clip at the windows' frame rate."""
        return int((clip.frames - 1) / self.step(clip)) + 1 if clip.frames else 0


@dataclass(frozen=True, eq=False)
class WindowIndex:
    """Windows in the order of their clips.

    Attributes:
        clips: [windows] index of the clip in the store.
        starts: [windows] first frame in the clip, at the windows' frame rate.
        frames: [windows] frames without padding.
    """

    clips: NDArray[np.int64]
    starts: NDArray[np.int64]
    frames: NDArray[np.int64]


def lay_windows(store: ClipSource, clips: Sequence[Clip], rule: WindowRule) -> WindowIndex:
    """Cut clips into windows."""
    numbers = {clip.key: number for number, clip in enumerate(store.clips)}
    found: list[tuple[int, NDArray[np.int64], NDArray[np.int64]]] = []
    for clip in clips:
        found += [(numbers[clip.key], *_of_run(first, end, rule)) for first, end in _runs(store, clip, rule)]
    none = np.zeros(0, np.int64)
    return WindowIndex(
        np.repeat(np.array([n for n, _, _ in found], np.int64), [len(starts) for _, starts, _ in found]),
        np.concatenate([none, *(starts for _, starts, _ in found)]),
        np.concatenate([none, *(frames for _, _, frames in found)]),
    )


@functools.lru_cache(maxsize=1024)
def _step(clip_fps: float, fps: float) -> Fraction:
    return frame_step(clip_fps / fps)


def _of_run(first: int, end: int, rule: WindowRule) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and frames of the windows over the frames from `first` to `end`."""
    starts = list(range(first, end - rule.length + 1, rule.hop))
    if rule.tails != "drop" and (not starts or starts[-1] + rule.length < end):
        if not starts:
            starts = [first]
        else:
            starts.append(end - rule.length if rule.tails == "shift" else starts[-1] + rule.hop)
    array = np.array(starts, np.int64)
    return array, np.minimum(rule.length, end - array)


def _runs(store: ClipSource, clip: Clip, rule: WindowRule) -> list[tuple[int, int]]:
    """(first, end) of the runs of frames to cut into windows; each begins and ends with a valid frame."""
    count = rule.frames(clip)
    if not clip.masked:
        return [(0, count)] if count else []
    left, share = frame_positions(rule.step(clip), 0, count)
    mask = store.mask(np.arange(clip.start, clip.start + clip.frames)).numpy()
    valid = np.flatnonzero(mask[left] & mask[left + (share > 0)])
    if not len(valid):
        return []
    breaks = np.flatnonzero(np.diff(valid) > rule.longest_gap + 1)
    firsts, lasts = valid[[0, *(breaks + 1)]], valid[[*breaks, -1]]
    return [(int(first), int(last) + 1) for first, last in zip(firsts, lasts)]
