"""Choose frames of a store: a list of frame numbers, the same on every machine for the same seed.

The draw from a clip depends only on the seed, the clip's key and its frames. Only `balanced` compares sets.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vitruve.data.clips import Clip, ClipSource
from vitruve.data.splits import clips_of_part
from vitruve.errors import UsageError

Item = TypeVar("Item")
# Products such as 0.3 * 0.8 * 1000 can be slightly below the exact integer.
_HAIR = 1e-9


def sample(
    store: ClipSource,
    split: str | None = None,
    fraction: float = 1.0,
    central: float = 1.0,
    every: int = 1,
    fps: float | None = None,
    balanced: bool = False,
    seed: int = 0,
    clips: Sequence[Clip | str] | None = None,
) -> NDArray[np.int64]:
    """Numbers of valid frames of a store, ascending and unique.

    The rules apply in this order: clips, central part, rate, every n-th, fraction, balance.

    Args:
        store: an open store.
        split: "FILE:PART", a part of a split file of `vitruve data split`; all clips where None.
        fraction: share of each clip's remaining frames, drawn at random.
        central: the middle part of each clip; 0.8 leaves out a tenth at either end.
        every: every n-th frame.
        fps: thin out to about this frame rate; slower clips keep all frames.
        balanced: draw as many frames from each set as the smallest set has.
        seed: of the draws.
        clips: only these clips, or their keys; with a split, those in both.
    """
    _check(fraction, central, every, fps)
    chosen = chosen_clips(store, split, clips)
    drawn = {clip: _of_clip(store, clip, fraction, central, every, fps, seed) for clip in chosen}
    if balanced:
        drawn = _balanced(drawn, seed)
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *drawn.values()])
    if not len(rows):
        raise UsageError(
            "the sample has no frames",
            where=f"{len(chosen)} clips of {store.path}",
            fix="take a larger fraction or central part, or other clips",
        )
    return np.sort(rows)


def chosen_clips(store: ClipSource, split: str | None, clips: Sequence[Clip | str] | None) -> list[Clip]:
    """The clips that are in a part of a split, "FILE:PART", and among `clips`; None for either means all."""
    chosen = list(store.clips) if split is None else clips_of_part(store, split)
    if clips is not None:
        wanted = {clip if isinstance(clip, str) else clip.key for clip in clips}
        for key in wanted:
            store.clip(key)  # raises the error that names the nearest
        chosen = [clip for clip in chosen if clip.key in wanted]
    return chosen


def evenly(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` items, spread evenly."""
    count = min(count, len(items))
    return [items[i * len(items) // count] for i in range(count)]


def _check(fraction: float, central: float, every: int, fps: float | None) -> None:
    for name, value in (("fraction", fraction), ("central", central)):
        if not 0 < value <= 1:
            raise UsageError(f"{name} = {value} is out of range", fix="give a number above 0, up to 1")
    if every < 1:
        raise UsageError(f"every = {every} is out of range", fix="give 1 or more")
    if fps is not None and not 0 < fps < math.inf:
        raise UsageError(f"fps = {fps} is not a frame rate", fix="give a positive number")


def _of_clip(
    store: ClipSource, clip: Clip, fraction: float, central: float, every: int, fps: float | None, seed: int
) -> NDArray[np.int64]:
    edge = (1 - central) / 2
    first, last = int(edge * clip.frames + _HAIR), int((1 - edge) * clip.frames + _HAIR)
    frames = np.arange(first, last, dtype=np.int64)
    wanted = fraction * central * clip.frames  # of the exact length, not of the rounded one above
    if fps is not None and fps < clip.fps:
        steps = np.arange(int(len(frames) * fps / clip.fps + _HAIR) + 1) * (clip.fps / fps)
        steps = np.floor(steps + 0.5).astype(np.int64)
        frames = frames[steps[steps < len(frames)]]
    frames = frames[::every]
    wanted *= len(frames) / max(last - first, 1)
    if clip.masked:
        frames = frames[store.mask(clip.start + frames).numpy()]
    if fraction < 1:
        count = min(int(wanted + _HAIR), len(frames))
        frames = np.sort(_generator(seed, clip.key).choice(frames, count, replace=False, shuffle=False))
    return clip.start + frames


def _balanced(drawn: dict[Clip, NDArray[np.int64]], seed: int) -> dict[Clip, NDArray[np.int64]]:
    """The same number of frames from each set: those with the smallest random marks, drawn per clip."""
    by_set: dict[str, list[Clip]] = defaultdict(list)
    for clip, rows in drawn.items():
        if len(rows):
            by_set[clip.set].append(clip)
    count = min((sum(len(drawn[clip]) for clip in clips) for clips in by_set.values()), default=0)
    out: dict[Clip, NDArray[np.int64]] = {}
    for clips in by_set.values():
        rows = np.concatenate([drawn[clip] for clip in clips])
        marks = np.concatenate([_generator(seed, f"balance {clip.key}").random(len(drawn[clip])) for clip in clips])
        out[clips[0]] = rows[np.argsort(marks, kind="stable")[:count]]
    return out


def _generator(seed: int, key: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed} {key}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))
