"""Pictures without a display, a page in the browser, and reports. Names load on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# name -> module it lives in; the viewer's server must start before torch has loaded
_PUBLIC = {
    "Figure": "vitruve.view.page",
    "Heading": "vitruve.view.page",
    "Note": "vitruve.view.page",
    "Table": "vitruve.view.page",
    "picture": "vitruve.view.pictures",
    "save_picture": "vitruve.view.pictures",
    "strip": "vitruve.view.pictures",
}

__all__ = ["Figure", "Heading", "Note", "Table", "picture", "save_picture", "strip"]

if TYPE_CHECKING:
    from vitruve.view.page import Figure, Heading, Note, Table
    from vitruve.view.pictures import picture, save_picture, strip


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'vitruve.view' has no attribute '{name}'")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value
