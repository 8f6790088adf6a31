"""Motion files as inputs, for every command that takes many of them."""

from __future__ import annotations

from pathlib import Path

from vitruve.errors import VitruveError
from vitruve.formats import FORMATS, recognise
from vitruve.formats.glimpse import glimpse, is_mesh_folder, is_transfer_folder
from vitruve.jobs.work import InputKind

_ENDINGS = frozenset(ending for row in FORMATS.values() for ending in row.endings if ending != "/")


def _is_motion(path: Path) -> bool:
    try:
        look = glimpse(path)
    except VitruveError:
        return True  # damaged: to be reported, not skipped
    if look.kind in ("npz", "safetensors") and look.shapes:
        try:
            recognise(look)
        except VitruveError:
            return False
    return True


def _is_one_motion(folder: Path) -> bool:
    """A folder with one pickle or one mesh a frame, and no other motion files."""
    look = glimpse(folder)
    others = sum(count for ending, count in look.endings.items() if ending in _ENDINGS - {".pkl"})
    return (is_transfer_folder(look) or is_mesh_folder(look)) and not others


MOTION_FILES = InputKind(
    noun="motion",
    endings=_ENDINGS,
    is_input=_is_motion,
    is_one_folder=_is_one_motion,
    example="vitruve convert walk.npz --to smplx",
)
