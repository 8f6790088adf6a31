"""A motion as arguments for the `smplx` package, which poses SMPL, SMPL+H, SMPL-X and MANO in most research code.

    model = smplx.create("body_models", **motion.smplx_create_arguments())
    vertices = model(**motion.smplx_arguments()).vertices

The package need not be installed: these are plain tensors and values. docs/smplx.md explains each choice.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor

from vitruve.errors import UsageError
from vitruve.geometry.rotations import continuous_axis_angle, matrix_to_axis_angle
from vitruve.motion import Motion

# Joint tree -> the parts of a pose in joint order, with their numbers of joints.
PARTS: dict[str, dict[str, int]] = {
    "smpl24": {"global_orient": 1, "body_pose": 23},
    "smplh52": {"global_orient": 1, "body_pose": 21, "left_hand_pose": 15, "right_hand_pose": 15},
    "smplx55": {
        "global_orient": 1,
        "body_pose": 21,
        "jaw_pose": 1,
        "leye_pose": 1,
        "reye_pose": 1,
        "left_hand_pose": 15,
        "right_hand_pose": 15,
    },
    "mano16": {"global_orient": 1, "hand_pose": 15},
}
_LAYOUTS = {"smpl24": "smpl", "smplh52": "smplh", "smplx55": "smplx", "mano16": "mano"}
# The package's default number of betas; all its files have that many columns.
USUAL = 10


def part_slices(skeleton: str) -> dict[str, slice]:
    """The joints of each part of a pose, by the part's name in the package."""
    parts = PARTS[skeleton]
    stops = itertools.accumulate(parts.values())
    return {key: slice(stop - count, stop) for (key, count), stop in zip(parts.items(), stops, strict=True)}


def smplx_arguments(
    motion: Motion, *, num_betas: int | None = None, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """Arguments for a model of the package; see `Motion.smplx_arguments`."""
    slices = part_slices(_tree(motion))
    vectors = continuous_axis_angle(matrix_to_axis_angle(motion.rotations.double()))
    arguments = {key: vectors[:, joints].flatten(1) for key, joints in slices.items()}
    # One row per frame: the package's SMPL+H and SMPL-X do not broadcast a single row.
    columns = _betas_taken(motion, num_betas)
    arguments["betas"] = _columns(motion.betas, columns).expand(len(motion), -1)
    if "jaw_pose" in slices:
        expression = motion.expression
        given = motion.rotations.new_zeros(len(motion), 0) if expression is None else expression
        arguments["expression"] = _columns(given, _expressions_taken(motion))
    arguments["transl"] = motion.translation
    return {key: value.to(dtype=dtype).contiguous() for key, value in arguments.items()}


def smplx_create_arguments(motion: Motion, *, num_betas: int | None = None) -> dict[str, Any]:
    """Arguments to create the package's model; see `Motion.smplx_create_arguments`."""
    layout = _LAYOUTS[_tree(motion)]
    # No batch_size: with the default of 1, and only with it, SMPL-X accepts any number of frames.
    arguments: dict[str, Any] = {"model_type": layout, "num_betas": _betas_taken(motion, num_betas)}
    if layout == "mano":
        arguments["is_rhand"] = motion.body.endswith("right")
    else:
        arguments["gender"] = motion.gender
    if layout != "smpl":
        arguments |= {"use_pca": False, "flat_hand_mean": True}
    if layout == "smplx":
        arguments["num_expression_coeffs"] = _expressions_taken(motion)
    return arguments


def _tree(motion: Motion) -> str:
    """The joint tree; raises if the package does not support it."""
    if not motion.body or motion.skeleton.name not in PARTS:
        raise UsageError(
            "the smplx package has no body for this motion",
            where=f"a motion on '{motion.body_name or motion.skeleton.name}'",
            fix="convert it first: vitruve convert FILE --to smplx --out FILE.npz",
        )
    return motion.skeleton.name


def _betas_taken(motion: Motion, asked: int | None) -> int:
    """Number of betas: as requested, else those in use, but at least the package's default."""
    in_use = int(motion.betas.ne(0).nonzero().max()) + 1 if bool(motion.betas.any()) else 0
    if asked is None:
        return max(USUAL, in_use)
    if asked < in_use:
        raise UsageError(
            f"the motion uses more than {asked} betas, and dropping them would change its body",
            where=f"num_betas={asked}; betas[{in_use - 1}] is {float(motion.betas[in_use - 1]):.4g}",
            fix=f"num_betas={in_use}, with a model file that has them; or fit fewer: "
            "vitruve.convert_motion(motion, to=motion.body, num_betas=10)",
        )
    return asked


def _expressions_taken(motion: Motion) -> int:
    return max(USUAL, 0 if motion.expression is None else motion.expression.shape[1])


def _columns(values: Tensor, count: int) -> Tensor:
    """The first `count` columns, padded with zeros."""
    values = values[..., :count]
    return torch.nn.functional.pad(values, (0, count - values.shape[-1]))
