"""Between the rotations of a motion and the axis-angle arrays that files of the SMPL family hold."""

from __future__ import annotations

import math

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


def rotations_of_file(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Rotation matrices of a file's axis-angle vectors, and the frames where all of them are finite.

    Args:
        vectors: [frames, joints, 3]. A vector with a value that is not finite becomes the identity.

    Returns:
        [frames, joints, 3, 3] and [frames].
    """
    finite = vectors.isfinite().all(-1)
    return axis_angle_to_matrix(torch.where(finite[..., None], vectors, 0.0)), finite.all(-1)


def file_axis_angle(motion: Motion, original: object = None) -> Tensor:
    """The axis-angle vectors to write for a motion, [frames, joints, 3].

    A rotation has many axis-angle vectors, 2 pi apart. Where a rotation is still the one that was read, the file's own
    vector is written again, so that an unchanged motion comes back bit for bit. Elsewhere the vectors run on from frame
    to frame without a jump by 2 pi. Masked frames are written as NaN, the only way these files have to say "no value".

    Args:
        motion: what to write.
        original: the array that was read, where the reader kept it; used where its shape still fits.
    """
    kept = _still_as_read(motion, original)
    if kept is not None and kept[1].all():
        return kept[0]
    vectors = continuous_axis_angle(matrix_to_axis_angle(motion.rotations))
    if motion.mask is not None:
        vectors[~motion.mask] = math.nan
    return vectors if kept is None else torch.where(kept[1][..., None], kept[0], vectors)


def file_values(values: Tensor, mask: Tensor | None, original: object = None) -> Tensor:
    """Per-frame values to write, [frames, n]: NaN in masked frames, except where they are still as they were read."""
    if mask is None:
        return values
    out = torch.where(mask[:, None], values, math.nan)
    if isinstance(original, np.ndarray) and original.shape == tuple(values.shape):
        read = torch.from_numpy(original).to(values)
        same = (torch.nan_to_num(read, 0.0, 0.0, 0.0) == values).all(-1, keepdim=True)
        out = torch.where(same, read, out)
    return out


def turn_notes(vectors: Tensor, names: tuple[str, ...]) -> list[str]:
    """What there is to say about turns of 2 pi in a file's vectors [frames, joints, 3]: too long ones, and jumps."""
    notes = []
    lengths = vectors.norm(dim=-1)
    long = int((lengths > math.pi + 1e-6).sum())
    if long:
        where = sorted({names[int(joint)] for joint in (lengths > math.pi + 1e-6).any(0).nonzero()[:, 0]})
        notes.append(
            f"axis-angle vectors are longer than pi in {long} of {lengths.numel()} places ({_some(where)}); "
            "they are the same rotations"
        )
    frames, joints = ((vectors[1:] - vectors[:-1]).norm(dim=-1) > math.pi).nonzero(as_tuple=True)
    turns = geodesic_distance(
        axis_angle_to_matrix(vectors[frames, joints]), axis_angle_to_matrix(vectors[frames + 1, joints])
    )
    frames, joints = frames[turns < 1], joints[turns < 1]
    if len(frames):
        notes.append(
            f"axis-angle vectors jump by 2 pi {len(frames)} times, first at frame {int(frames[0]) + 1} "
            f"({names[int(joints[0])]}); the rotations themselves run on"
        )
    return notes


def _still_as_read(motion: Motion, original: object) -> tuple[Tensor, Tensor] | None:
    frames, joints = motion.rotations.shape[:2]
    if not isinstance(original, np.ndarray) or original.size != frames * joints * 3 or len(original) != frames:
        return None
    vectors = torch.from_numpy(original.reshape(frames, joints, 3)).to(motion.rotations)
    same = (rotations_of_file(vectors)[0] == motion.rotations).all(-1).all(-1)
    if motion.mask is None:
        same &= vectors.isfinite().all(-1)
    return vectors, same


def _some(words: list[str]) -> str:
    return ", ".join(words[:4]) + (", ..." if len(words) > 4 else "")
