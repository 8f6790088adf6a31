"""Vitruve: human motion on SMPL-family bodies.

    import vitruve
    motion = vitruve.load_motion("walk.npz")
    body = vitruve.load_body("open-smplh-neutral")
    vertices = motion.vertices(body)

Names load on first use, so that importing the package stays fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# name -> module it lives in
_PUBLIC = {
    "BodyModel": "vitruve.bodies",
    "Motion": "vitruve.motion",
    "Skeleton": "vitruve.skeletons",
    "VitruveError": "vitruve.errors",
    "convert_motion": "vitruve.convert",
    "load_body": "vitruve.bodies",
    "load_motion": "vitruve.formats",
    "load_skeleton": "vitruve.skeletons",
    "save_motion": "vitruve.formats",
}

__all__ = [
    "BodyModel",
    "Motion",
    "Skeleton",
    "VitruveError",
    "__version__",
    "convert_motion",
    "load_body",
    "load_motion",
    "load_skeleton",
    "save_motion",
]

if TYPE_CHECKING:
    from vitruve.bodies import BodyModel, load_body
    from vitruve.convert import convert_motion
    from vitruve.errors import VitruveError
    from vitruve.formats import load_motion, save_motion
    from vitruve.motion import Motion
    from vitruve.skeletons import Skeleton, load_skeleton


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'vitruve' has no attribute '{name}'")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
