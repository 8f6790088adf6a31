"""Data sets made ready once: a memory-mapped store of clips, samples, windows and splits of it.

    from vitruve.data import make_windows, open_store

    store = open_store("motions")
    rows = store.sample(fraction=0.3, central=0.8, seed=0)      # frame numbers, nothing is copied
    rotations = store.body(rows[:512])                          # [512, 21, 3] axis-angle
    windows = make_windows(store, length=128, fps=30)           # of all clips, at one rate
    batch = windows.fetch([0, 5, 99])                           # a dict of tensors [3, 128, ...]

Names load on first use, so that what needs no torch starts without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# name -> module it lives in
_PUBLIC = {
    "Clip": "vitruve.data.clips",
    "Store": "vitruve.data.store",
    "Windows": "vitruve.data.windows",
    "make_windows": "vitruve.data.windows",
    "open_store": "vitruve.data.store",
}

__all__ = ["Clip", "Store", "Windows", "make_windows", "open_store"]

if TYPE_CHECKING:
    from vitruve.data.clips import Clip
    from vitruve.data.store import Store, open_store
    from vitruve.data.windows import Windows, make_windows


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'vitruve.data' has no attribute '{name}'")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
