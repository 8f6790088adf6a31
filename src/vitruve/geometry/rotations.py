"""Rotations: every conversion, distance and average that the package uses.

In memory, rotations are matrices [*batch, 3, 3]. Files and networks use other forms, whose names say the convention:

- axis_angle: [*batch, 3], the axis times the angle in radians;
- quaternion_wxyz, quaternion_xyzw: [*batch, 4], unit length;
- sixd_columns: [*batch, 6], the first column then the second (HumanML3D and most trajectory code);
- sixd_rows: [*batch, 6], the first row then the second (PyTorch3D, WHAM);
- sixd_interleaved: [*batch, 6], the first two columns read row by row (SPIN, VPoser, MotionBERT);
- euler: [*batch, 3] with an `order` such as "ZXY": about moving axes, multiplied from left to right as BVH does.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.errors import UsageError

Matrix = Float[Tensor, "*batch 3 3"]

# Bounds the gradient of `nearest_rotation` where two singular values nearly cancel.
_DAMPED = 1e-5


def axis_angle_to_matrix(axis_angle: Float[Tensor, "*batch 3"]) -> Matrix:
    """Rotation matrices of axis-angle vectors (radians). The gradient is exact at zero."""
    square = (axis_angle * axis_angle).sum(-1)[..., None, None]
    small = square < (1e-4 if axis_angle.dtype == torch.float64 else 1e-2)
    safe = torch.where(small, torch.ones_like(square), square)
    angle = safe.sqrt()
    # Rodrigues: I + a K + b K K. Near zero the quotients lose precision, so a and b are series.
    a = torch.where(small, 1 - square / 6 * (1 - square / 20 * (1 - square / 42)), angle.sin() / angle)
    b = torch.where(small, 0.5 - square / 24 * (1 - square / 30 * (1 - square / 56)), (1 - angle.cos()) / safe)
    k = cross_matrix(axis_angle)
    return torch.eye(3, dtype=k.dtype, device=k.device) + a * k + b * (k @ k)


def matrix_to_axis_angle(matrix: Matrix) -> Float[Tensor, "*batch 3"]:
    """Axis-angle vectors (radians, length at most pi) of rotation matrices, accurate near zero and near pi."""
    quaternion = matrix_to_quaternion_xyzw(matrix)
    vector = quaternion[..., :3] * torch.where(quaternion[..., 3:] < 0, -1.0, 1.0)
    cosine = quaternion[..., 3:].abs()
    square = (vector * vector).sum(-1, keepdim=True)
    small = square < 1e-6
    sine = torch.where(small, torch.ones_like(square), square).sqrt()
    # The angle over the sine of its half; a series near zero.
    factor = torch.where(small, 2 + square / 3, 2 * torch.atan2(sine, cosine) / sine)
    return vector * factor


def quaternion_wxyz_to_matrix(quaternion: Float[Tensor, "*batch 4"]) -> Matrix:
    """Rotation matrices of quaternions, scalar first; the length is normalised."""
    return quaternion_xyzw_to_matrix(quaternion.roll(-1, -1))


def matrix_to_quaternion_wxyz(matrix: Matrix) -> Float[Tensor, "*batch 4"]:
    """Unit quaternions, scalar first, of rotation matrices."""
    return matrix_to_quaternion_xyzw(matrix).roll(1, -1)


def quaternion_xyzw_to_matrix(quaternion: Float[Tensor, "*batch 4"]) -> Matrix:
    """Rotation matrices of quaternions, scalar last; the length is normalised."""
    x, y, z, w = torch.nn.functional.normalize(quaternion, dim=-1).unbind(-1)
    rows = [
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def matrix_to_quaternion_xyzw(matrix: Matrix) -> Float[Tensor, "*batch 4"]:
    """Unit quaternions, scalar last, of rotation matrices."""
    (a, b, c), (d, e, f), (g, h, i) = (row.unbind(-1) for row in matrix.unbind(-2))
    # Four times the outer product of the quaternion with itself. Its longest row is free of cancellation.
    outer = torch.stack(
        [
            torch.stack([1 + a - e - i, b + d, c + g, h - f], -1),
            torch.stack([b + d, 1 - a + e - i, f + h, c - g], -1),
            torch.stack([c + g, f + h, 1 - a - e + i, d - b], -1),
            torch.stack([h - f, c - g, d - b, 1 + a + e + i], -1),
        ],
        -2,
    )
    longest = outer.diagonal(dim1=-2, dim2=-1).argmax(-1)
    row = outer.gather(-2, longest[..., None, None].expand(*longest.shape, 1, 4))[..., 0, :]
    return torch.nn.functional.normalize(row, dim=-1)


def sixd_columns_to_matrix(sixd: Float[Tensor, "*batch 6"]) -> Matrix:
    """Rotation matrices by Gram-Schmidt from [first column, second column]."""
    return _orthonormal_columns(sixd[..., :3], sixd[..., 3:])


def matrix_to_sixd_columns(matrix: Matrix) -> Float[Tensor, "*batch 6"]:
    """[first column, second column] of rotation matrices."""
    return torch.cat([matrix[..., 0], matrix[..., 1]], -1)


def sixd_interleaved_to_matrix(sixd: Float[Tensor, "*batch 6"]) -> Matrix:
    """Rotation matrices by Gram-Schmidt from the first two columns, read row by row."""
    return _orthonormal_columns(sixd[..., 0::2], sixd[..., 1::2])


def euler_to_matrix(angles: Float[Tensor, "*batch 3"], order: str) -> Matrix:
    """Rotation matrices of Euler angles (radians) in the given order of axes, for example "ZXY"."""
    _check_order(order)
    first, second, third = (rotation_about(axis, angles[..., i]) for i, axis in enumerate(order))
    return first @ second @ third


def matrix_to_euler(matrix: Matrix, order: str) -> Float[Tensor, "*batch 3"]:
    """Euler angles (radians) of rotation matrices; at gimbal lock the third is zero and the rotation still correct."""
    _check_order(order)
    i, j = "XYZ".index(order[0]), "XYZ".index(order[1])
    k = 3 - i - j
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    # The second angle from sine and cosine: the arcsine alone loses half the digits near 90 degrees.
    if order[0] == order[2]:
        lever = sine = torch.hypot(matrix[..., i, j], matrix[..., i, k])
        cosine = matrix[..., i, i]
        first = torch.atan2(matrix[..., j, i], -sign * matrix[..., k, i])
        third = torch.atan2(matrix[..., i, j], sign * matrix[..., i, k])
    else:
        sine = (sign * matrix[..., i, k]).clamp(-1, 1)
        lever = cosine = torch.hypot(matrix[..., i, i], matrix[..., i, j])
        first = torch.atan2(-sign * matrix[..., j, k], matrix[..., k, k])
        third = torch.atan2(-sign * matrix[..., i, j], matrix[..., i, i])
    locked = lever < 10 * torch.finfo(matrix.dtype).eps
    first_locked = torch.atan2(sign * matrix[..., k, j], matrix[..., j, j])
    angles = (torch.where(locked, first_locked, first), torch.atan2(sine, cosine), third.masked_fill(locked, 0.0))
    return torch.stack(angles, -1)


def rotation_about(axis: str, angle: Float[Tensor, "*batch"]) -> Matrix:
    """Rotation by `angle` radians about the coordinate axis "X", "Y" or "Z"."""
    i = "XYZ".index(axis)
    j, k = (i + 1) % 3, (i + 2) % 3
    cosine, sine = angle.cos(), angle.sin()
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    entries = [zero] * 9
    entries[3 * i + i] = one
    entries[3 * j + j] = entries[3 * k + k] = cosine
    entries[3 * j + k], entries[3 * k + j] = -sine, sine
    return torch.stack(entries, -1).unflatten(-1, (3, 3))


def rotation_between(start: Float[Tensor, "*batch 3"], end: Float[Tensor, "*batch 3"]) -> Matrix:
    """The smallest rotation that turns the direction `start` into the direction `end`."""
    start = torch.nn.functional.normalize(start, dim=-1)
    end = torch.nn.functional.normalize(end, dim=-1)
    cosine = (start * end).sum(-1, keepdim=True)
    # Opposite directions: half a turn about any perpendicular axis.
    opposite = cosine[..., 0] < -1 + 1e-7
    least = torch.nn.functional.one_hot(start.abs().argmin(-1), 3).to(start.dtype)
    across = torch.nn.functional.normalize(torch.linalg.cross(start, least), dim=-1)
    half_turn = 2 * across[..., :, None] * across[..., None, :] - torch.eye(3, dtype=start.dtype, device=start.device)
    k = cross_matrix(torch.linalg.cross(start, end))
    scale = (1 / (1 + cosine).clamp_min(1e-12))[..., None]
    swing = torch.eye(3, dtype=start.dtype, device=start.device) + k + scale * (k @ k)
    return torch.where(opposite[..., None, None], half_turn, swing)


def cross_matrix(vector: Float[Tensor, "*batch 3"]) -> Matrix:
    """The matrix K with K y = vector x y."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))


def geodesic_distance(a: Matrix, b: Matrix) -> Float[Tensor, "*batch"]:
    """The angle of the rotation from `a` to `b`, in [0, pi] radians; its gradient is finite also at 0 and at pi."""
    between = a.transpose(-1, -2) @ b
    lower = torch.stack([between[..., 2, 1], between[..., 0, 2], between[..., 1, 0]], -1)
    upper = torch.stack([between[..., 1, 2], between[..., 2, 0], between[..., 0, 1]], -1)
    twice_sine_axis = lower - upper
    square = (twice_sine_axis * twice_sine_axis).sum(-1)
    zero = square <= torch.finfo(square.dtype).tiny
    sine = torch.where(zero, torch.zeros_like(square), torch.where(zero, torch.ones_like(square), square).sqrt()) / 2
    cosine = (between.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    return torch.atan2(sine, cosine)


def slerp(start: Matrix, end: Matrix, fraction: Float[Tensor, "*#batch"] | float) -> Matrix:
    """The rotation at `fraction` of the shortest way from `start` (0) to `end` (1); exact at both ends."""
    step = matrix_to_axis_angle(start.transpose(-1, -2) @ end)
    fraction = torch.as_tensor(fraction, dtype=start.dtype, device=start.device)[..., None]
    return start @ axis_angle_to_matrix(step * fraction)


def mean_rotation(rotations: Float[Tensor, "*batch count 3 3"], weights: Tensor | None = None) -> Matrix:
    """The rotation nearest (in the chordal sense) to a weighted set of rotations.

    Args:
        rotations: the set, along the axis before the matrices.
        weights: [*batch, count] or broadcastable to it; equal where not given.
    """
    if weights is not None:
        rotations = rotations * weights[..., None, None]
    return nearest_rotation(rotations.sum(-3))


def nearest_rotation(matrix: Matrix) -> Matrix:
    """The rotation nearest to any 3 x 3 matrix (orthogonal Procrustes, determinant +1); NaN where it is not finite.

    The gradient is finite everywhere, even where the nearest rotation is not unique.
    """
    return _Nearest.apply(matrix)  # type: ignore[return-value]


def swing_twist(rotation: Matrix, axis: Float[Tensor, "*#batch 3"]) -> tuple[Matrix, Matrix]:
    """Split a rotation into swing @ twist: the twist turns about `axis`, the swing does not.

    Args:
        axis: unit direction in the frame before the rotation.
    """
    quaternion = matrix_to_quaternion_xyzw(rotation)
    along = (quaternion[..., :3] * axis).sum(-1, keepdim=True)
    twist = torch.cat([along * axis, quaternion[..., 3:]], -1)
    # The twist of a half turn about a perpendicular axis is undefined: take the identity.
    none = (twist * twist).sum(-1, keepdim=True) < 1e-12
    identity = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=twist.dtype, device=twist.device)
    twist = quaternion_xyzw_to_matrix(torch.where(none, identity, twist))
    return rotation @ twist.transpose(-1, -2), twist


class _Nearest(torch.autograd.Function):
    """U V^T of the singular value decomposition U S V^T, the last direction turned round where that is a reflection."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        known = matrix.isfinite().all(-1, keepdim=True).all(-2, keepdim=True)
        left, sizes, right = torch.linalg.svd(matrix.masked_fill(~known, 0.0))
        sign = torch.linalg.det(left @ right).sign()
        turned = torch.stack([torch.ones_like(sign), torch.ones_like(sign), sign], -1)
        left, sizes = left * turned[..., None, :], sizes * turned
        ctx.save_for_backward(left, sizes, right)
        return (left @ right).masked_fill(~known, torch.nan)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        left, sizes, right = ctx.saved_tensors
        inner = left.mT @ gradient @ right.mT
        # The derivative divides by the sums of two singular values, which may be zero.
        sums = sizes[..., :, None] + sizes[..., None, :]
        return left @ ((inner - inner.mT) * sums / (sums * sums + _DAMPED * _DAMPED)) @ right


def mirrored(rotation: Matrix, axis: str = "X") -> Matrix:
    """The rotation mirrored across the plane perpendicular to the given axis."""
    sign = torch.ones(3, dtype=rotation.dtype, device=rotation.device)
    sign["XYZ".index(axis)] = -1.0
    return rotation * sign[:, None] * sign


def rotation_error(matrix: Matrix) -> Float[Tensor, "*batch"]:
    """How far 3 x 3 matrices are from being rotations: the largest entry of |R R^T - I|, or 2 for reflections."""
    identity = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
    error = (matrix @ matrix.transpose(-1, -2) - identity).abs().flatten(-2).amax(-1)
    return torch.where(torch.linalg.det(matrix) < 0, torch.full_like(error, 2.0), error)


def continuous_axis_angle(
    axis_angle: Float[Tensor, "frames *joints 3"], *, in_place: bool = False
) -> Float[Tensor, "frames *joints 3"]:
    """The same rotations, unwrapped: whole turns are added so that each joint's vectors have no jumps over time."""
    out = axis_angle if in_place else axis_angle.clone()
    if len(out) < 2:
        return out
    # Joints without any jump need nothing; the few others are unwrapped frame by frame.
    # In blocks of frames, so that long clips need little memory beside the result.
    odd = torch.zeros(out.shape[1:-1], dtype=torch.bool, device=out.device)
    for start in range(0, len(out) - 1, 4096):
        stop = min(start + 4096, len(out) - 1)
        odd |= _turn_to_follow(out[start + 1 : stop + 1], out[start:stop]).ne(0).any(-1).any(0)
    if odd.any():
        some = out[:, odd]
        for frame in range(1, len(some)):
            some[frame] += _turn_to_follow(some[frame], some[frame - 1])
        out[:, odd] = some
    return out


def _turn_to_follow(vector: Float[Tensor, "*batch 3"], before: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """The whole turns to add to axis-angle vectors to bring them closest to those of the frame before."""
    turn = 2 * torch.pi
    angle = vector.norm(dim=-1, keepdim=True)
    # At a whole number of turns there is no axis: keep the previous one.
    whole = angle < 10 * torch.finfo(vector.dtype).eps
    axis = torch.nn.functional.normalize(torch.where(whole, before, vector), dim=-1)
    along = (before * axis).sum(-1, keepdim=True)
    return torch.round((along - angle) / turn) * turn * axis


def _orthonormal_columns(a: Tensor, b: Tensor) -> Tensor:
    """Gram-Schmidt on two columns. A zero vector becomes the identity's column, to avoid NaN gradients."""
    first = _unit_or(a, 0)
    second = _unit_or(b - (first * b).sum(-1, keepdim=True) * first, 1)
    second = _unit_or(second - (first * second).sum(-1, keepdim=True) * first, 2)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)


def _unit_or(vector: Tensor, fallback: int) -> Tensor:
    square = (vector * vector).sum(-1, keepdim=True)
    zero = square < 1e-20
    unit = vector / torch.where(zero, torch.ones_like(square), square).sqrt()
    other = torch.eye(3, dtype=vector.dtype, device=vector.device)[fallback]
    return torch.where(zero, other, unit)


def _check_order(order: str) -> None:
    if len(order) != 3 or set(order) - set("XYZ") or order[0] == order[1] or order[1] == order[2]:
        raise UsageError(f"'{order}' is not an order of rotation axes", fix="use three of X, Y, Z, such as 'ZXY'")
