"""AMASS files and related ones: one npz per clip with axis-angle vectors, z up, metres, absolute hands.

`poses` has 72, 156 or 165 values per frame, or [55, 3] in files of the Blender add-on; SMPL-X files may have separate
arrays (`root_orient`, `pose_body` ...) instead. Other fields (soft tissue, markers ...) are kept in
`motion.source.extras` and written back.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vitruve.bodies.pickles import read_npz
from vitruve.errors import BadData
from vitruve.files.smpl_layouts import BY_COLUMNS, LAYOUTS, Layout, slices
from vitruve.formats.axis_angle import arrays_of_file, rotations_of_file, turn_notes
from vitruve.formats.fields import BODY_KEY, MissingFrameRate, one_shape, read_body_and_gender, real_array
from vitruve.formats.glimpse import ROTATION_KEYS
from vitruve.motion import Motion, Source
from vitruve.skeletons import load_skeleton

# Body -> format.
_FORMATS = {"smpl": "smpl-npz", "smplh": "amass-smplh", "smplx": "amass-smplx"}
_MEANING = {
    63: "21 body joints without the root",
    66: "the root and 21 body joints, without hands",
    69: "SMPL without the root",
}
TRANSLATION_KEYS = ("trans", "transl", "translation", "smpl_trans")
_RATES = ("mocap_frame_rate", "mocap_framerate", "fps", "frame_rate", "framerate")
# Extras with original arrays of the file: the chosen axis-angle vectors, NaN, betas in rows.
_ORIGINALS = {
    "poses": "file_axis_angle",
    "trans": "file_translation",
    "expression": "file_expression",
    "betas": "file_betas",
}
_HELD = {*ROTATION_KEYS, *TRANSLATION_KEYS, "betas", "gender", BODY_KEY}


def read_amass(
    path: str | os.PathLike[str],
    *,
    fps: float | None = None,
    gender: str | None = None,
    dtype: torch.dtype | None = None,
) -> Motion:
    """Read an npz of the AMASS family; the body is the named one, or follows from the number of values per frame.

    Args:
        path: the file.
        fps: frames per second; overrides the file's own, with a note.
        gender: "neutral", "female" or "male", if the file has none.
        dtype: precision; by default that of the file.
    """
    path = Path(path)
    notes: list[str] = []
    arrays = _members(path, notes)
    vectors = _vectors(arrays, path, notes)
    layout = BY_COLUMNS[vectors.shape[1] * 3]
    skeleton = load_skeleton(layout.skeleton)
    frames = len(vectors)
    translation = _translation(arrays, frames, path, notes)
    expression = _expression(arrays, frames, path) if layout.body == "smplx" else None
    betas = one_shape(arrays.get("betas"), frames, path, notes)
    per_frame = {"trans": translation} | ({} if expression is None else {"expression": expression})
    double = torch.float64 in {tensor.dtype for tensor in (vectors, betas, *per_frame.values())}
    precision = dtype or (torch.float64 if double else torch.float32)
    rotations, valid = rotations_of_file(vectors.to(precision))
    notes += turn_notes(vectors, skeleton.names)
    extras = {key: value for key, value in arrays.items() if key not in _HELD | _always_written(layout)}
    extras[_ORIGINALS["poses"]] = vectors.flatten(1).numpy()
    if np.ndim(arrays.get("betas", [])) != 1:
        extras[_ORIGINALS["betas"]] = np.asarray(arrays["betas"])
    for value in per_frame.values():
        valid &= value.isfinite().all(-1)
    if not valid.all():
        notes.append(f"{int((~valid).sum())} of {frames} frames hold NaN or infinity; they are masked")
        extras |= {_ORIGINALS[key]: value.numpy() for key, value in per_frame.items()}
    filled = {key: torch.nan_to_num(value.to(precision), 0.0, 0.0, 0.0) for key, value in per_frame.items()}
    rate = frame_rate(arrays, fps, path, notes)
    body, gender = read_body_and_gender(arrays, layout.body, path, notes, gender)
    return Motion(
        rotations=rotations,
        translation=filled["trans"],
        fps=rate,
        skeleton=skeleton,
        body=body,
        gender=gender,
        betas=betas.to(precision),
        expression=filled.get("expression"),
        mask=None if valid.all() else valid,
        source=Source(file=str(path), format=_FORMATS[layout.body], extras=extras, notes=tuple(notes)),
    )


def write_amass_smplh(motion: Motion, path: str | os.PathLike[str]) -> None:
    """Write AMASS's SMPL+H layout: `poses` [frames, 156], `mocap_framerate`, and the original file's other fields."""
    _write(motion, path, LAYOUTS["smplh"])


def write_smpl_npz(motion: Motion, path: str | os.PathLike[str]) -> None:
    """Write SMPL's 24 joints with AMASS's keys: `poses` [frames, 72]."""
    _write(motion, path, LAYOUTS["smpl"])


def write_amass_smplx(motion: Motion, path: str | os.PathLike[str]) -> None:
    """Write one file that AMASS readers (`*_stageii.npz`) and the SMPL-X Blender add-on both accept."""
    _write(motion, path, LAYOUTS["smplx"])


def _write(motion: Motion, path: str | os.PathLike[str], layout: Layout) -> None:
    extras = motion.source.extras if motion.source.format == _FORMATS[layout.body] else {}
    extras = {key: value for key, value in extras.items() if key not in _ORIGINALS.values()}
    arrays = _arrays(motion)
    # Fields that follow from the motion are computed again, never copied from the file.
    wanted = _always_written(layout) | extras.keys()
    derived = {key: value for key, value in _derived(motion, arrays, layout).items() if key in wanted}
    _save(path, _no_markers(layout) | extras | derived | arrays)


def _save(path: str | os.PathLike[str], arrays: Mapping[str, Any]) -> None:
    # np.savez takes arrays as keyword arguments, so a field named "file" would clash with its own argument.
    with zipfile.ZipFile(path, "w") as archive:
        for key, value in arrays.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(value))


def _always_written(layout: Layout) -> set[str]:
    if layout.body != "smplx":
        return {"mocap_framerate"}
    words = {"surface_model_type", "mocap_time_length", "num_betas", "num_expressions", "expression"}
    return {*_RATES[:3], *words, *layout.arrays}


def _derived(motion: Motion, arrays: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    # The add-on reads `mocap_frame_rate` first and truncates it. A rate just below an integer would lose a whole frame
    # per second, so that key holds the rounded rate, and the others the exact one.
    whole = round(motion.fps)
    cut_wrongly = motion.fps < whole and whole - motion.fps < 1e-3
    values: dict[str, Any] = {key: np.float64(motion.fps) for key in _RATES}
    values |= {
        "mocap_frame_rate": np.float64(whole if cut_wrongly and layout.body == "smplx" else motion.fps),
        "surface_model_type": np.array(layout.body),
        "mocap_time_length": np.float64(motion.duration),
        "num_betas": np.int64(len(motion.betas)),
    }
    if motion.expression is not None:
        values["num_expressions"] = np.int64(motion.expression.shape[1])
    return values | {key: arrays["poses"][:, columns] for key, columns in slices(layout.arrays, 3).items()}


def _no_markers(layout: Layout) -> dict[str, Any]:
    """Empty marker fields, which readers of SMPL-X files may need; the file's own replace them."""
    if layout.body != "smplx":
        return {}
    return {
        "markers_latent": np.zeros((0, 3)),
        "latent_labels": np.zeros(0, dtype="<U1"),
        "markers_latent_vids": np.zeros(0, dtype=np.int64),
    }


def _arrays(motion: Motion) -> dict[str, Any]:
    """The fields of every npz of the family."""
    read = {key: motion.source.extras.get(kept) for key, kept in _ORIGINALS.items()}
    betas = motion.betas.detach().cpu().numpy()
    rows = read["betas"]
    if isinstance(rows, np.ndarray) and rows.shape in ((1, len(betas)), (len(motion), len(betas))):
        betas = rows if np.allclose(rows, betas, rtol=0, atol=1e-6) else betas
    # The gender is unicode always: the add-on calls str() on it, which turns bytes into "b'male'".
    words = {"gender": np.array(motion.gender)}
    if motion.body:
        words[BODY_KEY] = np.array(motion.body_name)
    return {**arrays_of_file(motion, read), "betas": betas, **words}


def _members(path: Path, notes: list[str]) -> dict[str, Any]:
    """All arrays of the file. An optional one that cannot be read is skipped, with a note."""
    file, arrays = read_npz(path), {}
    needed = {*_HELD, *_RATES, *LAYOUTS["smplx"].arrays, "expression"}
    for key in file:
        try:
            arrays[key] = file[key]
        except BadData as error:
            if key in needed:
                raise
            notes.append(f"'{key}' was left out: {error.what}")
    return arrays


def _vectors(arrays: Mapping[str, Any], path: Path, notes: list[str]) -> Tensor:
    """[frames, joints, 3] axis-angle vectors."""
    key = next((key for key in ROTATION_KEYS if key in arrays), None)
    if key is None:
        smplh = "surface_model_type" in arrays and str(arrays["surface_model_type"]) == "smplh"
        return _joined_parts(arrays, LAYOUTS["smplh" if smplh else "smplx"], path, notes)
    poses = real_array(arrays[key], key, path)
    flat = poses.reshape(len(poses), -1) if poses.ndim == 3 and poses.shape[-1] == 3 else poses
    if flat.ndim != 2 or flat.shape[1] not in BY_COLUMNS:
        columns = flat.shape[1] if flat.ndim == 2 else 0
        meaning = f" ({_MEANING[columns]})" if columns in _MEANING else ""
        raise BadData(
            f"'{key}' has {columns or 'no'} values per frame, which fits no supported body{meaning}",
            where=f"{path}: {key} has shape {poses.shape}, expected (frames, {' or '.join(map(str, BY_COLUMNS))})",
            fix="72 is SMPL, 156 SMPL+H, 165 SMPL-X; pad missing joints with zeros (63 lacks the root, 66 the hands)",
        )
    if len(flat) == 0:
        raise BadData("the file has no frames", where=f"{path}: {key} has shape {poses.shape}", fix="leave it out")
    layout = BY_COLUMNS[flat.shape[1]]
    if layout.arrays and layout.arrays.keys() <= arrays.keys():
        parts = _joined_parts(arrays, layout, path, []).flatten(1).numpy()
        if parts.shape != flat.shape or not np.allclose(parts, flat, atol=1e-6, equal_nan=True):
            notes.append(f"the parts (root_orient, pose_body ...) differ from '{key}'; using '{key}'")
    return torch.from_numpy(flat).unflatten(1, (-1, 3))


def _joined_parts(arrays: Mapping[str, Any], layout: Layout, path: Path, notes: list[str]) -> Tensor:
    missing = [key for key in ("root_orient", "pose_body") if key not in arrays]
    if missing:
        raise BadData(
            f"there is no '{'poses' if len(missing) == 2 else missing[0]}' in the file",
            where=f"{path}: it has {', '.join(sorted(arrays)[:12]) or 'no keys'}",
            fix="give a motion file: an AMASS clip has 'poses'; shape files and body models have not",
        )
    frames = len(np.atleast_1d(real_array(arrays["root_orient"], "root_orient", path)))
    parts = []
    for key, joints in layout.arrays.items():
        expected = (frames, 3 * joints)
        if key not in arrays:
            notes.append(f"'{key}' is missing in the file; using zeros")
            parts.append(np.zeros(expected))
            continue
        part = np.atleast_1d(real_array(arrays[key], key, path))
        part = part.reshape(len(part), -1) if len(part) else part
        if part.shape != expected:
            raise BadData(
                f"'{key}' has the wrong shape",
                where=f"{path}: found {part.shape}, expected {expected}",
                fix="all parts need one row per frame, as SMPL-X or SMPL+H lays them out",
            )
        parts.append(part)
    if frames == 0:
        raise BadData("the file has no frames", where=f"{path}: root_orient", fix="leave it out")
    return torch.from_numpy(np.concatenate(parts, 1)).unflatten(1, (-1, 3))


def _translation(arrays: Mapping[str, Any], frames: int, path: Path, notes: list[str]) -> Tensor:
    key = next((key for key in TRANSLATION_KEYS if key in arrays), None)
    if key is None:
        notes.append("NO TRANSLATION in the file: the body stays at the origin")
        return torch.zeros(frames, 3)
    translation = real_array(arrays[key], key, path)
    if translation.shape != (frames, 3):
        where = f"{path}: {key} has shape {translation.shape}, expected {(frames, 3)}"
        fix = "the file is damaged, or only one of its arrays was cropped"
        raise BadData("translation and rotations differ in length", where, fix)
    return torch.from_numpy(translation)


def _expression(arrays: Mapping[str, Any], frames: int, path: Path) -> Tensor | None:
    value = arrays.get("expression")
    if value is None or np.size(value) == 0:
        return None
    expression = real_array(value, "expression", path)
    if expression.ndim != 2 or len(expression) not in (1, frames):
        where = f"{path}: expression has shape {expression.shape}, expected ({frames}, expressions)"
        raise BadData("the expression does not fit the frames", where, fix="give one row per frame, or omit it")
    return torch.from_numpy(expression).expand(frames, -1).clone()


def frame_rate(arrays: Mapping[str, Any], requested: float | None, path: Path, notes: list[str]) -> float:
    """Frames per second from any of the usual keys of an npz; a requested rate wins, and differences are noted."""
    rates = {key: _one_number(arrays[key]) for key in _RATES if key in arrays}
    if requested is not None:
        notes += [
            f"the frame rate of the file, {key} = {value:g}, was replaced by {requested:g} as requested"
            for key, value in rates.items()
            if value != requested
        ]
        return float(requested)
    if not rates:
        raise MissingFrameRate(path, f"none of {', '.join(_RATES[:3])} is in the file")
    key, value = next(iter(rates.items()))
    if not (value > 0 and math.isfinite(value)):
        raise MissingFrameRate(path, f"{key}: the frame rate is {value:g}")
    for other, rate in rates.items():
        if not abs(rate - value) <= 1e-3:
            notes.append(f"the file has two frame rates: {key} = {value:g} was used, not {other} = {rate:g}")
        elif not rate.is_integer():
            value = rate  # the exact rate, which the other key has rounded
    return value


def _one_number(value: Any) -> float:
    array = np.asarray(value).reshape(-1)
    try:
        return float(array[0]) if array.dtype.kind in "fiuO" else math.nan
    except (TypeError, ValueError, IndexError):
        return math.nan
