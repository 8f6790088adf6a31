"""The pkl files of the smplx package's transfer tool: one per frame in a folder, or all in merged.pkl.

A frame's file holds rotation matrices for every part but the eyes, which are axis-angle (matrices in some versions),
and its own betas. merged.pkl holds axis-angle vectors of all frames. Neither has a frame rate.
"""

from __future__ import annotations

import itertools
import math
import os
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vitruve.bodies.pickles import read_pickle
from vitruve.errors import BadData, UsageError
from vitruve.files.smpl_layouts import BY_SKELETON, LAYOUTS, slices
from vitruve.formats.axis_angle import arrays_of_file
from vitruve.formats.fields import BODY_KEY, MissingFrameRate, read_body_and_gender, real_array, word
from vitruve.formats.readers.plain_text import by_number
from vitruve.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle, rotation_error
from vitruve.motion import Motion, Source
from vitruve.skeletons import load_skeleton
from vitruve.words import few

_EYES = ("leye_pose", "reye_pose")
# Tolerated deviation of a file's matrix from a rotation (float32, from an optimiser).
_NOT_A_ROTATION = 1e-2


def read_transfer(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    fps: float | None = None,
    gender: str | None = None,
    dtype: torch.dtype | None = None,
) -> Motion:
    """Read a folder of pkl files, a list of them, a single one, or merged.pkl.

    Files are read in natural order (frame2 before frame10). The tool writes betas that differ from frame to frame: the
    motion gets their mean, and a note gives the spread.

    Args:
        path: folder, file, or list of files in order.
        fps: frames per second, which the files never have.
        gender: "neutral", "female" or "male", if the files have none.
        dtype: precision; by default that of the files.
    """
    notes: list[str] = []
    files, shown = _files(path, notes)
    layout = _layout(_content(files[0]))
    if fps is None:
        raise MissingFrameRate(shown, "files of the transfer tool hold no frame rate")
    frames = [_content(file) for file in files]
    for content, file in zip(frames, files, strict=True):
        if _body(content) != _body(frames[0]):
            raise BadData(
                f"the files are of two bodies: {_body(frames[0])} and {_body(content)}",
                where=f"{files[0]} and {file.name}",
                fix="keep the files of each body in a separate folder",
            )
    parts = LAYOUTS[layout].parts
    values = [_frames_of(content, parts, file) for content, file in zip(frames, files, strict=True)]
    joined = {key: _joined(key, values, files) for key in values[0]}
    rotations, betas, translation, expression = (joined[key] for key in ("rotations", "betas", "transl", "expression"))
    assert rotations is not None and betas is not None  # every file has them
    if translation is None:
        notes.append("NO TRANSLATION in the files: the body stays at the origin")
        translation = torch.zeros(len(rotations), 3)
    per_frame = [value for value in (rotations, translation, expression) if value is not None]
    valid = torch.stack([value.isfinite().flatten(1).all(1) for value in per_frame]).all(0)
    if not valid.all():
        notes.append(f"{int((~valid).sum())} of {len(valid)} frames hold NaN or infinity; they are masked")
        rotations[~valid] = torch.eye(3, dtype=rotations.dtype)
        for value in per_frame[1:]:
            value[~valid] = 0.0
    precision = dtype or rotations.dtype
    body, gender = read_body_and_gender(frames[0], layout, shown, notes, gender)
    return Motion(
        rotations=rotations.to(precision),
        translation=translation.to(precision),
        fps=float(fps),
        skeleton=load_skeleton(LAYOUTS[layout].skeleton),
        body=body,
        gender=gender,
        betas=_mean_shape(betas, notes).to(precision),
        expression=None if expression is None else expression.to(precision),
        mask=None if valid.all() else valid,
        source=Source(file=str(shown), format="transfer", notes=tuple(notes)),
    )


def _mean_shape(betas: Tensor, notes: list[str]) -> Tensor:
    """[betas]: the mean of the finite rows."""
    betas = betas[betas.isfinite().all(1)]
    if betas.numel() == 0:
        return torch.zeros(betas.shape[1], dtype=betas.dtype)
    spread = float((betas.amax(0) - betas.amin(0)).max())
    if spread < 1e-6:
        return betas[0]  # the mean of equal numbers can differ in the last digit
    notes.append(f"EVERY FRAME has its own shape; using the mean (the betas vary by up to {spread:.3g})")
    return betas.mean(0)


def write_transfer(motion: Motion, path: str | os.PathLike[str]) -> None:
    """Write one pkl per frame as the transfer tool does, with numpy arrays: matrices, and axis-angle for the eyes.

    Vertices and joints, which the tool writes too, need a body and are not written. Masked frames are NaN.
    """
    rotations = motion.rotations.detach().clone()
    if motion.mask is not None:
        rotations[~motion.mask] = math.nan
    arrays = _renamed(arrays_of_file(motion, {})) | {"full_pose": rotations.cpu().numpy()}
    for key, joints in slices(BY_SKELETON[motion.skeleton.name].parts).items():
        of_part = rotations[:, joints]
        arrays[key] = (matrix_to_axis_angle(of_part) if key in _EYES else of_part).cpu().numpy()
    betas = motion.betas.detach().cpu().numpy()[None]
    width = max(6, len(str(len(motion))))
    for frame in range(len(motion)):
        content = {key: value[frame : frame + 1] for key, value in arrays.items()}
        _dump(content | {"betas": betas, **_words(motion)}, Path(path) / f"{frame:0{width}d}.pkl")


def write_transfer_merged(motion: Motion, path: str | os.PathLike[str]) -> None:
    """Write a merged.pkl: axis-angle vectors of each part over the frames, one shape, the gender."""
    arrays = arrays_of_file(motion, {})
    vectors = arrays["poses"].reshape(len(motion), -1, 3)
    content: dict[str, Any] = _renamed(arrays)
    for key, joints in slices(BY_SKELETON[motion.skeleton.name].parts).items():
        # The tool flattens every part but the eyes.
        content[key] = vectors[:, joints] if key in _EYES else vectors[:, joints].reshape(len(motion), -1)
    _dump(content | {"betas": motion.betas.detach().cpu().numpy(), **_words(motion)}, Path(path))


def _words(motion: Motion) -> dict[str, str]:
    return {"gender": motion.gender} | ({BODY_KEY: motion.body_name} if motion.body else {})


def _renamed(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    names = {"poses": "full_pose", "trans": "transl"}
    return {names.get(key, key): value for key, value in arrays.items()}


def _dump(content: Mapping[str, Any], path: Path) -> None:
    with path.open("wb") as file:
        pickle.dump(dict(content), file, protocol=4)


def _files(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], notes: list[str]
) -> tuple[list[Path], Path]:
    """The files in order, and the path to show in errors."""
    if not isinstance(path, str | os.PathLike):
        files = [Path(file) for file in path]
        if not files:
            raise UsageError("the list of files is empty", fix="give the pkl files of the frames in order")
        return files, files[0]
    path = Path(path)
    if not path.is_dir():
        return [path], path
    files = sorted((file for file in path.iterdir() if file.suffix.lower() == ".pkl"), key=by_number)
    merged = [file for file in files if file.name == "merged.pkl"]
    frames = [file for file in files if file not in merged]
    if merged and frames:
        notes.append("merged.pkl in the same folder was not read")
    if not files:
        fix = "give the folder the transfer tool wrote to"
        raise BadData("the folder holds no pkl files", where=str(path), fix=fix)
    notes += _gaps([file.stem for file in frames])
    return frames or merged, path


def _gaps(stems: list[str]) -> list[str]:
    found = [re.search(r"(\d+)\D*$", stem) for stem in stems]
    numbers = [int(match.group(1)) for match in found if match]
    if len(numbers) != len(stems) or len(numbers) < 2:
        return []
    steps = [b - a for a, b in itertools.pairwise(numbers)]
    usual = max(set(steps), key=steps.count)
    gaps = [f"{a} to {b}" for a, b in itertools.pairwise(numbers) if b - a != usual]
    if not gaps:
        return []
    return [f"the numbering of the files has gaps ({few(gaps)}); the frames are read as evenly spaced"]


def _content(file: Path) -> Mapping[str, Any]:
    content = read_pickle(file)
    if not isinstance(content, Mapping) or content.get("global_orient") is None or content.get("body_pose") is None:
        keys = ", ".join(sorted(map(str, content))[:12]) if isinstance(content, Mapping) else type(content)
        raise BadData(
            f"{file.name} is not a file of the transfer tool",
            where=f"{file}: it holds {keys}",
            fix="such files hold 'global_orient' and 'body_pose'; a body model is looked at by `vitruve bodies check`",
        )
    # Vertices and faces are most of a file; dropping them lets a long folder fit in memory.
    wanted = {"transl", "betas", "expression", "gender", BODY_KEY, *LAYOUTS["smplx"].parts}
    return {key: value for key, value in content.items() if key in wanted and value is not None}


def _body(content: Mapping[str, Any]) -> str:
    """The body name in a file, or its layout."""
    return word(content.get(BODY_KEY, "")) or _layout(content)


def _layout(content: Mapping[str, Any]) -> str:
    if {"jaw_pose", "leye_pose", "reye_pose", "expression"} & content.keys():
        return "smplx"
    return "smplh" if {"left_hand_pose", "right_hand_pose"} & content.keys() else "smpl"


def _frames_of(content: Mapping[str, Any], parts: Mapping[str, int], file: Path) -> dict[str, Tensor | None]:
    """Rotations, betas, transl and expression of one file, each with an axis of frames in front."""
    frames = len(_part(content["global_orient"], "global_orient", 1, file))

    def checked(key: str, value: Tensor) -> Tensor:
        if len(value) != frames:
            raise BadData(
                f"'{key}' has {len(value)} frames, global_orient has {frames}",
                where=f"{file}: {key} has shape {np.shape(content[key])}",
                fix="the file is damaged; write it again",
            )
        return value

    def rows(key: str) -> Tensor:
        value = torch.from_numpy(real_array(content[key], key, file))
        return value.reshape(math.prod(value.shape[:-1]), value.shape[-1]) if value.ndim else value.reshape(1, 1)

    rotations = []
    for key, joints in parts.items():
        if key not in content:
            rotations.append(torch.eye(3, dtype=rotations[0].dtype).expand(frames, joints, 3, 3))
            continue
        rotations.append(checked(key, _part(content[key], key, joints, file)))

    precision = torch.promote_types(rotations[0].dtype, rotations[-1].dtype)
    rotations = torch.cat([part.to(precision) for part in rotations], 1)
    values = {"rotations": rotations, "betas": rows("betas") if "betas" in content else torch.zeros(1, 0)}
    return values | {key: checked(key, rows(key)) if key in content else None for key in ("transl", "expression")}


def _part(value: Any, key: str, joints: int, file: Path) -> Tensor:
    """Rotations [frames, joints, 3, 3] of a part, from matrices or axis-angle with axes of one anywhere."""
    array = torch.from_numpy(real_array(value, key, file))
    # Three frames of axis-angle for one joint look like one matrix: treat only rotations as matrices.
    matrix = array.shape[-2:] == (3, 3) and (array.ndim > 2 or bool(rotation_error(array) < _NOT_A_ROTATION))
    if array.numel() == 0 or array.numel() % (joints * (9 if matrix else 3)):
        raise BadData(
            f"'{key}' does not hold {joints} joints",
            where=f"{file}: found shape {tuple(array.shape)}, expected {joints} matrices or {3 * joints} values",
            fix="the file is damaged, or of an unsupported body (SMPL, SMPL+H and SMPL-X are supported)",
        )
    if not matrix:
        return axis_angle_to_matrix(array.reshape(-1, joints, 3))
    matrices = array.reshape(-1, joints, 3, 3)
    error = rotation_error(matrices)
    if (error > _NOT_A_ROTATION).any():
        raise BadData(
            f"'{key}' holds matrices that are not rotations",
            where=f"{file}: R R^T differs from the identity by {float(error.max()):.3g}",
            fix="write the file again; scaled or mirrored matrices are unsupported",
        )
    return matrices


def _joined(key: str, values: list[dict[str, Tensor | None]], files: list[Path]) -> Tensor | None:
    """One field of all files, concatenated along the frames; None if no file has it."""
    tensors = [of_file[key] for of_file in values]
    shapes = {None if tensor is None else tuple(tensor.shape[1:]): file for tensor, file in zip(tensors, files)}
    if len(shapes) > 1:
        (first, one), (second, other), *_ = shapes.items()
        raise BadData(
            f"the files disagree on '{key}'",
            where=f"{one}: {first or 'none'}; {other.name}: {second or 'none'}",
            fix="take files of one run of the tool",
        )
    present = [tensor for tensor in tensors if tensor is not None]
    return torch.cat(present) if present else None
