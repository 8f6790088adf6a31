"""Data sets made ready once: a memory-mapped store of clips, samples and splits of it.

    from vitruve.data import open_store

    store = open_store("motions")
    rows = store.sample(fraction=0.3, central=0.8, seed=0)      # frame numbers, nothing is copied
    rotations = store.body(rows[:512])                          # [512, 21, 3] axis-angle

Names load on first use, so that what needs no torch starts without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# name -> module it lives in
_PUBLIC = {
    "Clip": "vitruve.data.clips",
    "Store": "vitruve.data.store",
    "open_store": "vitruve.data.store",
}

__all__ = ["Clip", "Store", "open_store"]

if TYPE_CHECKING:
    from vitruve.data.clips import Clip
    from vitruve.data.store import Store, open_store


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'vitruve.data' has no attribute '{name}'")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
