"""Convert between the rotations of a motion and the axis-angle arrays of SMPL-family files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vitruve.geometry.rotations import (
    axis_angle_to_matrix,
    continuous_axis_angle,
    geodesic_distance,
    matrix_to_axis_angle,
)
from vitruve.motion import Motion
from vitruve.motion.motion import DOUBTFUL
from vitruve.words import few

# Longest plausible vectors in radians: of a joint, and of the root, which may turn many times.
LONGEST_TURN, LONGEST_ROOT_TURN = 4 * math.pi, 1000.0

_FRAMES_AT_A_TIME = 1024


def rotations_of_file(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Rotation matrices of a file's axis-angle vectors, and which frames are finite.

    Args:
        vectors: [frames, joints, 3]. A non-finite vector becomes the identity.

    Returns:
        [frames, joints, 3, 3] and [frames].
    """
    rotations = vectors.new_empty(*vectors.shape, 3)
    valid = torch.empty(len(vectors), dtype=torch.bool, device=vectors.device)
    for rows in _blocks(len(vectors)):
        part = vectors[rows]
        finite = part.square().sum(-1).isfinite()
        rotations[rows] = axis_angle_to_matrix(torch.where(finite[..., None], part, 0.0))
        valid[rows] = finite.all(-1)
    return rotations, valid


def _blocks(frames: int) -> list[slice]:
    """Blocks of frames that limit the memory of intermediate results."""
    return [slice(start, start + _FRAMES_AT_A_TIME) for start in range(0, frames, _FRAMES_AT_A_TIME)]


def arrays_of_file(motion: Motion, read: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The per-frame arrays to write for a motion: `poses` [frames, joints * 3], `trans`, and `expression` if any.

    A rotation has many axis-angle vectors, 2 pi apart. An unchanged rotation gets the file's own vector, so that an
    unchanged motion round-trips exactly. Other vectors are unwrapped over time, without jumps by 2 pi. In these files
    NaN means missing: a masked frame has at least one.

    Args:
        motion: what to write.
        read: the original arrays of the same names, if the reader kept them; used where they still match.
    """
    arrays = {"poses": _vectors(motion, read.get("poses")).flatten(1), "trans": motion.translation}
    if motion.expression is not None:
        arrays["expression"] = motion.expression
    if motion.mask is not None:
        for key in arrays.keys() - {"poses"}:
            arrays[key] = _as_read(arrays[key], read.get(key))
        finite = torch.stack([array.isfinite().all(1) for array in arrays.values()]).all(0)
        blank = (finite & ~motion.mask)[:, None]
        arrays = {key: array.masked_fill(blank, math.nan) for key, array in arrays.items()}
    return {key: array.detach().cpu().numpy() for key, array in arrays.items()}


def _vectors(motion: Motion, read: Any) -> Tensor:
    """[frames, joints, 3]"""
    frames, joints = motion.rotations.shape[:2]
    if not isinstance(read, np.ndarray) or len(read) != frames or read.size != frames * joints * 3:
        return _vectors_anew(motion)
    original = torch.from_numpy(read.reshape(frames, joints, 3)).to(motion.rotations)
    same = (rotations_of_file(original)[0] == motion.rotations).all(-1).all(-1)
    if motion.mask is None:
        same &= original.isfinite().all(-1)
    if same.all():
        return original
    return torch.where(same[..., None], original.double(), _vectors_anew(motion))


def _vectors_anew(motion: Motion) -> Tensor:
    # In float64, as in these files: rounding twice would add jitter.
    vectors = torch.empty(*motion.rotations.shape[:-1], dtype=torch.float64)
    for rows in _blocks(len(motion)):
        vectors[rows] = matrix_to_axis_angle(motion.rotations[rows].detach().cpu().double())
    return continuous_axis_angle(vectors, in_place=True)


def _as_read(values: Tensor, read: Any) -> Tensor:
    """Values [frames, n], with the file's NaN restored in unchanged rows."""
    if not isinstance(read, np.ndarray) or read.shape != tuple(values.shape):
        return values
    original = torch.from_numpy(read).to(values)
    same = (torch.nan_to_num(original, 0.0, 0.0, 0.0) == values).all(-1, keepdim=True)
    return torch.where(same, original, values)


def turn_notes(vectors: Tensor, names: tuple[str, ...]) -> list[str]:
    """Notes about turns of 2 pi in a file's vectors [frames, joints, 3]: long vectors, and jumps."""
    notes = []
    lengths = vectors.norm(dim=-1)
    too_long = (lengths > math.pi + 1e-6) & lengths.isfinite()
    long = int(too_long.sum())
    if long:
        where = sorted({names[int(joint)] for joint in too_long.any(0).nonzero()[:, 0]})
        notes.append(
            f"axis-angle vectors are longer than pi in {long} of {lengths.numel()} places ({few(where)}); "
            "they are the same rotations"
        )
    notes += doubtful_turns(vectors, names)
    frames, joints = ((vectors[1:] - vectors[:-1]).norm(dim=-1) > math.pi).nonzero(as_tuple=True)
    turns = geodesic_distance(
        axis_angle_to_matrix(vectors[frames, joints]), axis_angle_to_matrix(vectors[frames + 1, joints])
    )
    frames, joints = frames[turns < 1], joints[turns < 1]
    if len(frames):
        notes.append(
            f"axis-angle vectors jump by 2 pi, {len(frames)} in all, first at frame {int(frames[0]) + 1} "
            f"({names[int(joints[0])]}); the rotations themselves are continuous"
        )
    return notes


def doubtful_turns(vectors: Tensor, names: tuple[str, ...]) -> list[str]:
    """A note if vectors [frames, joints, 3] are implausibly long."""
    lengths = vectors.norm(dim=-1)
    longest = lengths.masked_fill(~lengths.isfinite(), 0.0).amax(0).tolist()
    nonsense = [i for i, length in enumerate(longest) if length > (LONGEST_TURN if i else LONGEST_ROOT_TURN)]
    if not nonsense:
        return []
    return [
        f"{DOUBTFUL}axis-angle vectors are as long as {max(longest):.3g} rad "
        f"({few([names[i] for i in nonsense])}): the file is damaged, or its rotations are in degrees"
    ]
