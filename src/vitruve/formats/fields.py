"""Fields shared by several formats: body, gender, shape, numbers of any type, and a missing frame rate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vitruve.bodies.catalogue import is_own
from vitruve.errors import BadData
from vitruve.motion.motion import DOUBTFUL, GENDERS

_SHORT = {"m": "male", "f": "female", "n": "neutral"}
# Values that files write for an unknown gender.
_UNKNOWN = ("", "none", "nan", "null", "unknown", "unspecified", "other", "n/a")
_CONSTANT = 1e-6
# Our own field with the exact body name; other fields only give the layout.
BODY_KEY = "vitruve_body"


class MissingFrameRate(BadData):
    """The file has no frame rate."""

    def __init__(self, path: Path, where: str) -> None:
        super().__init__(
            f"{path.name} has no frame rate",
            where=f"{path}: {where}",
            fix="set it: --source-fps 30; in Python load_motion(path, fps=30)",
        )


def real_array(value: Any, key: str, path: Path) -> np.ndarray:
    """A float array from a file's value of any number type, tensor or object array."""
    array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype == object:
        try:
            array = np.asarray(array.tolist(), dtype=np.float64)
        except (TypeError, ValueError):
            array = np.empty(array.shape, dtype="U1")
    if array.dtype.kind not in "fiu":
        raise BadData(
            f"'{key}' is not a numeric array",
            where=f"{path}: {key} has dtype {np.asarray(value).dtype} and shape {np.shape(value)}",
            fix="write it as one array of floats",
        )
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def read_body_and_gender(
    content: Mapping[str, Any], layout: str, path: Path, notes: list[str], given: str | None = None
) -> tuple[str, str]:
    """The body of a motion (without gender, as in `Motion.body`) and its gender.

    Args:
        content: the fields of the file. Our own field with the body name wins over the layout.
        layout: from the number of rotations.
        path: for errors.
        notes: decisions are appended to it.
        given: the gender if the file has none.
    """
    named = word(content.get(BODY_KEY, "")).strip()
    if not named or is_own(named):
        return named or layout, read_gender(content.get("gender"), path, notes, given)
    body, _, gender = named.rpartition("-")
    if body.removeprefix("open-") != layout or gender not in GENDERS:
        raise BadData(
            "the body named in the file does not fit its rotations",
            where=f"{path}: {BODY_KEY} is '{named[:40]}', the rotations are of {layout}",
            fix=f"write the body it was made on, such as 'open-{layout}-{GENDERS[0]}', or remove the key",
        )
    stated = _gender_word(content.get("gender", gender))
    if stated != gender and stated not in _UNKNOWN:
        what = f"the gender in the file, {stated[:40]!r}, is not that of the body it names, {named}"
        notes.append(f"{DOUBTFUL}{what}; taken as {gender}")
    return body, read_gender(gender, path, notes, given)


def read_gender(value: Any, path: Path, notes: list[str], given: str | None = None) -> str:
    """The gender in a file: text or bytes, bare or in an array.

    The file's own gender wins. If it is missing or unknown, the given one or neutral is used, with a note.
    """
    if value is None:
        if given is None:
            notes.append("the file has no gender; using neutral")
        return given or "neutral"
    text, gender = word(value), _gender_word(value)
    if gender not in GENDERS:
        if gender in _UNKNOWN:
            notes.append(f"the file has no gender ({text[:40]!r}); using {given or 'neutral'}")
        else:
            what = f"the gender in the file, {text[:40]!r}, is unknown"
            notes.append(f"{DOUBTFUL}{what}; using {given or 'neutral'}")
        return given or "neutral"
    notes += kept_gender(gender, given)
    return gender


def _gender_word(value: Any) -> str:
    """The gender in a file, lower case and not abbreviated."""
    text = word(value).strip().strip("\0").lower()
    return _SHORT.get(text, text)


def kept_gender(own: str, given: str | None) -> list[str]:
    """A note if a file has a gender and another was given: the file's is kept."""
    if not given or given == own:
        return []
    return [f"the file's own gender, {own}, is kept; '{given}' is only for files without a gender"]


def read_elsewhere(body: str, layout: str) -> str:
    """A note if other software will misread the betas of a body in a file of a layout; empty if it reads them right."""
    if not (body.startswith("open-") or is_own(body)):
        return ""
    official = {"smpl": "SMPL", "smplh": "SMPL+H", "smplx": "SMPL-X"}.get(layout, layout)
    what = "other software (the Blender add-on, smplx) will show another shape"
    return f"{what}: it reads the betas of {body} as {official}'s"


def word(value: Any) -> str:
    """A text value of a file: text or bytes, bare or in an array of one."""
    while isinstance(value, np.ndarray | list | tuple) and np.size(value) == 1:
        value = np.asarray(value, dtype=object).reshape(-1)[0]
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def one_shape(value: Any, frames: int, path: Path, notes: list[str]) -> Tensor:
    """The betas of a clip, [betas]: from one row, or from equal rows of all frames."""
    if value is None:
        notes.append("the file has no betas; using the mean shape")
        return torch.zeros(0)
    betas = real_array(value, "betas", path)
    if betas.ndim == 0 or betas.ndim > 2 or (betas.ndim == 2 and len(betas) not in (1, frames)):
        raise BadData(
            "the betas have the wrong shape",
            where=f"{path}: found {betas.shape}, expected (betas,), (1, betas) or ({frames}, betas)",
            fix="give one row for the clip",
        )
    if not np.isfinite(betas).all():
        raise BadData("the betas hold NaN or infinity", where=f"{path}: betas", fix="repair the file")
    if betas.ndim == 1:
        return torch.from_numpy(betas)
    spread = np.ptp(betas, axis=0)
    if betas.size and spread.max() > _CONSTANT:
        row = int(np.abs(betas - betas[0]).max(1).argmax())
        raise BadData(
            "the shape changes from frame to frame, but a motion has one shape",
            where=f"{path}: betas {betas.shape} vary by up to {spread.max():.3g}, most at frame {row}",
            fix="average them if it is one person: betas.mean(0); cut the file if there are several",
        )
    # The mean of equal numbers can differ in the last digit: take the first row.
    return torch.from_numpy(betas[0] if len(betas) else betas.reshape(-1))
