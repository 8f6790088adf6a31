"""Correct feet and hands that are rolled over about their own axis in the source.

Marker software often solves an ankle or a wrist with two axes. Two pairs of angles then give the same bone direction,
one of them with the sole or palm on the wrong side. No ankle or wrist rolls that far relative to the limb above it:
there, half a turn about the bone corrects it and leaves the bone in place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vitruve.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle, swing_twist

# A roll beyond this is wrong, radians. Real rolls are within 1.6, wrong ones within 0.8 of pi.
_ROLLED = 2 / 3 * math.pi
# The joints that can be rolled over, each with the joint above it, and the body's joint at the far end of its bone.
_ABOVE = {
    f"{side}_{joint}": (f"{side}_{above}", f"{side}_{end}" if end else "")
    for side in ("left", "right")
    for joint, above, end in (("ankle", "knee", "foot"), ("foot", "ankle", ""), ("wrist", "elbow", ""))
}


def unrolled(
    rotations: Mapping[str, Float[Tensor, "frames 3 3"]],
    positions: Mapping[str, Float[Tensor, "frames 3"]],
    valid: Bool[Tensor, "frames"],
    rest: Mapping[str, Float[Tensor, "3"]],
) -> dict[str, Tensor]:
    """World rotations without feet and hands that are rolled over.

    Args:
        rotations: in the body's axes, by joint of the body.
        positions: metres, by joint of the body.
        valid: frames with data.
        rest: positions at rest, metres, by joint of the body.

    Returns:
        [frames, 3, 3] by joint, only for joints that were corrected in some frame.
    """
    out: dict[str, Tensor] = {}
    for joint, (above, end) in _ABOVE.items():
        if joint not in rotations or above not in rotations:
            continue
        own = rotations[joint]
        # The bone in the body's axes at rest: the source's own if known, so that it stays in place.
        if joint in positions and end in positions:
            bone = (own.mT @ (positions[end] - positions[joint])[..., None])[valid, :, 0].median(0).values
        elif joint.endswith("_foot"):
            bone = own.new_tensor([0.0, 0.0, 1.0])
        else:
            bone = (rest[joint] - rest[above]).to(own)
        bone = torch.nn.functional.normalize(bone, dim=0)
        _, roll = swing_twist(out.get(above, rotations[above]).mT @ own, bone)
        rolled = matrix_to_axis_angle(roll).norm(dim=-1) > _ROLLED
        if bool(rolled.any()):
            half = axis_angle_to_matrix(math.pi * bone)
            out[joint] = torch.where(rolled[:, None, None], own @ half, own)
    return out
