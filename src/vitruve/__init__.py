"""Vitruve: human motion on SMPL-family bodies.

    import vitruve
    motion = vitruve.load_motion("walk.npz")
    body = vitruve.load_body("open-smplh-neutral")
    vertices = motion.vertices(body)

Names load on first use, so that importing the package stays fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitruve.lazy_names import lazy_names

__version__ = "0.1.0"

# name -> module it lives in
_PUBLIC = {
    "BodyModel": "vitruve.bodies",
    "Motion": "vitruve.motion",
    "Skeleton": "vitruve.skeletons",
    "VitruveError": "vitruve.errors",
    "compare_motions": "vitruve.compare",
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
    "compare_motions",
    "convert_motion",
    "load_body",
    "load_motion",
    "load_skeleton",
    "save_motion",
]

if TYPE_CHECKING:
    from vitruve.bodies import BodyModel, load_body
    from vitruve.compare import compare_motions
    from vitruve.convert import convert_motion
    from vitruve.errors import VitruveError
    from vitruve.formats import load_motion, save_motion
    from vitruve.motion import Motion
    from vitruve.skeletons import Skeleton, load_skeleton


__getattr__ = lazy_names(globals(), _PUBLIC)


def __dir__() -> list[str]:
    return sorted(__all__)
