"""Euler angles without jumps over time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vitruve.errors import UsageError

ORDERS = ("XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX")


def matrices_to_curves(matrices: NDArray[np.float64], order: str) -> NDArray[np.float64]:
    """Euler angles [frames, joints, 3] in radians that are continuous in time; they may leave [-pi, pi].

    Args:
        matrices: [frames, joints, 3, 3] rotations.
        order: the three axes, multiplied from left to right, such as "ZXY".
    """
    if order not in ORDERS:
        raise UsageError(f"'{order}' is not an order of Euler angles", fix=f"use one of {', '.join(ORDERS)}")
    i, j, k = ("XYZ".index(axis) for axis in order)
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    first = np.arctan2(-sign * matrices[..., j, k], matrices[..., k, k])
    # At gimbal lock the first angle is free: it keeps its last value.
    locked = np.hypot(matrices[..., j, k], matrices[..., k, k]) < 1e-10
    first = np.take_along_axis(np.where(locked, 0.0, first), _last_free(locked), axis=0)
    # The rest of the rotation gives the other two angles without loss of precision, even close to gimbal lock.
    cosine, sine = np.cos(first)[..., None], np.sin(first)[..., None]
    row_j = cosine * matrices[..., j, :] + sign * sine * matrices[..., k, :]
    row_k = cosine * matrices[..., k, :] - sign * sine * matrices[..., j, :]
    second = np.arctan2(sign * matrices[..., i, k], row_k[..., k])
    third = np.arctan2(sign * row_j[..., i], row_j[..., j])
    angles = np.stack([first, second, third], -1)
    return np.unwrap(_nearer_branch(angles), axis=0)


def _last_free(locked: NDArray[np.bool_]) -> NDArray[np.intp]:
    """For each frame, the last frame up to it that is not locked, or 0."""
    frames = np.arange(len(locked)).reshape(-1, *[1] * (locked.ndim - 1))
    return np.maximum.accumulate(np.where(locked, 0, frames), axis=0)


def _nearer_branch(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Choose in each frame between (a, b, c) and its twin (a + pi, pi - b, c + pi): the closer to the frame before."""
    twin = np.stack([angles[..., 0] + math.pi, math.pi - angles[..., 1], angles[..., 2] + math.pi], -1)

    def distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.abs(np.remainder(a - b + math.pi, 2 * math.pi) - math.pi).sum(-1)

    # From twin to twin is as far as from plain to plain, so each frame changes side or does not, whatever came before.
    changes = distance(twin[1:], angles[:-1]) < distance(angles[1:], angles[:-1])
    on_twin = np.zeros(angles.shape[:-1], bool)
    on_twin[1:] = np.cumsum(changes, axis=0) % 2 == 1
    return np.where(on_twin[..., None], twin, angles)
