"""The labels of windows: a class index per frame, and all labels that overlap a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vitruve.data.clips import Clip
from vitruve.data.labels import Label, read_labels
from vitruve.data.store import Store
from vitruve.errors import UsageError, nearest

# Seconds. Tolerance for times that are meant to fall on a frame.
_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class WindowLabels:
    """Labels of the chosen kinds; `labels` of other kinds are ignored."""

    kinds: tuple[str, ...]
    labels: tuple[Label, ...]

    @cached_property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Kind -> its labels in order; a class index counts into it."""
        return {kind: tuple(sorted({each.label for each in self.labels if each.kind == kind})) for kind in self.kinds}

    @cached_property
    def _by_clip(self) -> dict[str, list[tuple[Label, int]]]:
        """Key of a clip -> its labels with their class index, the longest first, so that shorter ones override it."""
        numbers = {(kind, name): place for kind, names in self.classes.items() for place, name in enumerate(names)}
        out: dict[str, list[tuple[Label, int]]] = {}
        for label in sorted(self.labels, key=lambda each: -each.seconds):
            if label.kind in self.kinds:
                out.setdefault(label.clip, []).append((label, numbers[label.kind, label.label]))
        return out

    def at(self, clip: Clip, moments: NDArray[np.float64]) -> dict[str, NDArray[np.int64]]:
        """Kind -> the class index at each moment (seconds) of a clip, -1 where there is none."""
        out = {kind: np.full(len(moments), -1, np.int64) for kind in self.kinds}
        for label, number in self._by_clip.get(clip.key, ()):
            end = np.inf if label.end is None else label.end
            out[label.kind][(moments + _TOLERANCE >= label.start) & (moments + _TOLERANCE < end)] = number
        return out

    def between(self, clip: Clip, start: float, end: float) -> list[Label]:
        """All labels of a clip that overlap the time from `start` to `end`, seconds."""
        labels = [label for label, _ in self._by_clip.get(clip.key, ())]
        return [label for label in labels if label.start < end and (label.end is None or label.end > start)]


def window_labels(store: Store, labels: Sequence[str] | Sequence[Label]) -> WindowLabels:
    """The store's labels of some kinds; or the labels that were passed, of all kinds."""
    passed = tuple(label for label in labels if isinstance(label, Label))
    if passed:
        return WindowLabels(tuple(sorted({label.kind for label in passed})), passed)
    kinds = tuple(str(kind) for kind in labels)
    stored = tuple(read_labels(store)) if kinds else ()
    known = sorted({label.kind for label in stored})
    for kind in kinds:
        if kind not in known:
            hint = nearest(kind, known) if known else "add labels: vitruve data label STORE --by labels.csv"
            raise UsageError(f"there are no labels of the kind '{kind}'", where=str(store.path), fix=hint)
    return WindowLabels(kinds, stored)
