"""A motion as arguments for the `smplx` package, which poses SMPL, SMPL+H, SMPL-X and MANO in most research code.

    model = smplx.create("body_models", **motion.smplx_create_arguments())
    vertices = model(**motion.smplx_arguments()).vertices

The package need not be installed: these are plain tensors and values. docs/smplx.md explains each choice.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vitruve.errors import UsageError
from vitruve.files.smpl_layouts import BY_SKELETON, Layout, slices
from vitruve.geometry.rotations import continuous_axis_angle, matrix_to_axis_angle
from vitruve.motion import Motion

# The package's default number of betas and expressions; all its files have that many.
_USUAL = 10


def smplx_arguments(
    motion: Motion, *, num_betas: int | None = None, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """See `Motion.smplx_arguments`."""
    parts = slices(_layout(motion).parts)
    vectors = continuous_axis_angle(matrix_to_axis_angle(motion.rotations.double()))
    arguments = {key: vectors[:, joints].flatten(1) for key, joints in parts.items()}
    # One row per frame: the package's SMPL+H and SMPL-X do not broadcast a single row.
    columns = _num_betas(motion, num_betas)
    arguments["betas"] = _columns(motion.betas, columns).expand(len(motion), -1)
    if "jaw_pose" in parts:
        none = motion.rotations.new_zeros(len(motion), 0)
        expression = none if motion.expression is None else motion.expression
        arguments["expression"] = _columns(expression, _num_expressions(motion))
    arguments["transl"] = motion.translation
    return {key: value.to(dtype=dtype).contiguous() for key, value in arguments.items()}


def smplx_create_arguments(motion: Motion, *, num_betas: int | None = None) -> dict[str, Any]:
    """See `Motion.smplx_create_arguments`."""
    layout = _layout(motion).body
    # No batch_size: with the default of 1, and only with it, SMPL-X accepts any number of frames.
    arguments: dict[str, Any] = {"model_type": layout, "num_betas": _num_betas(motion, num_betas)}
    if layout == "mano":
        arguments["is_rhand"] = motion.body.endswith("right")
    else:
        arguments["gender"] = motion.gender
    if layout != "smpl":
        arguments |= {"use_pca": False, "flat_hand_mean": True}
    if layout == "smplx":
        arguments["num_expression_coeffs"] = _num_expressions(motion)
    return arguments


def _layout(motion: Motion) -> Layout:
    if not motion.body or motion.skeleton.name not in BY_SKELETON:
        raise UsageError(
            "the smplx package has no body for this motion",
            where=f"a motion on '{motion.body_name or motion.skeleton.name}'",
            fix="convert it first: vitruve convert FILE --to smplx --out FILE.npz",
        )
    return BY_SKELETON[motion.skeleton.name]


def _num_betas(motion: Motion, wanted: int | None) -> int:
    """Number of betas: as requested, else those in use, but at least the package's default."""
    in_use = int(motion.betas.ne(0).nonzero().max()) + 1 if bool(motion.betas.any()) else 0
    if wanted is None:
        return max(_USUAL, in_use)
    if wanted < in_use:
        raise UsageError(
            f"the motion uses more than {wanted} betas, and dropping them would change its body",
            where=f"num_betas={wanted}; betas[{in_use - 1}] is {float(motion.betas[in_use - 1]):.4g}",
            fix=f"num_betas={in_use}, with a model file that has them; or fit fewer: "
            "vitruve.convert_motion(motion, to=motion.body, num_betas=10)",
        )
    return wanted


def _num_expressions(motion: Motion) -> int:
    return max(_USUAL, 0 if motion.expression is None else motion.expression.shape[1])


def _columns(values: Tensor, count: int) -> Tensor:
    """The first `count` columns, padded with zeros."""
    values = values[..., :count]
    return torch.nn.functional.pad(values, (0, count - values.shape[-1]))
