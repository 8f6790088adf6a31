"""Clip stores: motions prepared once and memory-mapped, with samples, windows and splits.

Names load on first use, so that commands without torch start fast.
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
