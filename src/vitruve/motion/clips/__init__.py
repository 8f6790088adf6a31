"""Clips that ship with the package. They are made by code (scripts/make_clip) and free of rights (CC0)."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def bundled_clip_path() -> Path:
    """The walk that ships with the package: 20 s at 30 fps on 52 joints, in AMASS's layout, made for the open body.

    Standing, waving, walking forward and round a curve, turning on the spot, counting to five, a fist, sitting down and
    standing up.
    """
    return Path(str(resources.files(__name__) / "vitruve_walk_poses.npz"))
