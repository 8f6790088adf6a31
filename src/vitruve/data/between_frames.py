"""Interpolate between the frames of a clip; values that fall on a frame are exact copies."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numba import njit
from numpy.typing import NDArray


def frame_positions(step: Fraction, start: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Positions of `count` new frames among the old ones, as in `vitruve.motion.resample`; `step` old frames per new.

    Returns:
        ([count] the old frame at or before each new one; [count] the fraction of the way to the next, 0 to 1)
    """
    position = np.arange(start, start + count, dtype=np.int64) * step.numerator
    return position // step.denominator, (position % step.denominator) / step.denominator


def between_frames(
    values: np.ndarray, left: NDArray[np.int64], share: NDArray[np.float64], interpolation: str
) -> np.ndarray:
    """[count, values] of a field at positions between frames.

    Args:
        values: [frames, values] of the field; only the required frames are read.
        left, share: from `frame_positions`.
        interpolation: "linear", "rotation" for consecutive axis-angle vectors, or "nearest".
    """
    if interpolation == "nearest":
        return values[left + (share >= 0.5)]
    if not share.any():
        return values[left]
    if interpolation == "rotation":
        out = np.empty((len(left), values.shape[1]), np.float32)
        _turned(values, left, share, out)
        return out
    start = values[left]
    end = values[np.where(share == 0, left, left + 1)]
    return start + share[:, None].astype(np.float32) * (end - start)


@njit(cache=True, nogil=True)
def _turned(values, left, share, out) -> None:
    """Slerp. Compiled, since the matrices of `geometry.slerp` cost several times as much as reading the frames."""
    start, end = np.empty(4), np.empty(4)
    for row in range(len(left)):
        frame, part = left[row], share[row]
        if part == 0:
            out[row] = values[frame]
            continue
        for column in range(0, values.shape[1], 3):
            _quaternion(values[frame, column : column + 3], start)
            _quaternion(values[frame + 1, column : column + 3], end)
            sign = -1.0 if (start * end).sum() < 0 else 1.0
            apart, along = 0.0, 0.0
            for i in range(4):
                end[i] *= sign
                apart += (end[i] - start[i]) ** 2
                along += (end[i] + start[i]) ** 2
            angle = 2 * np.arctan2(np.sqrt(apart), np.sqrt(along))
            first, second = 1 - part, part
            if angle > 1e-6:
                first, second = np.sin(first * angle) / np.sin(angle), np.sin(part * angle) / np.sin(angle)
            for i in range(4):
                start[i] = first * start[i] + second * end[i]
            sine = np.sqrt(start[1] ** 2 + start[2] ** 2 + start[3] ** 2)
            factor = 2.0
            if sine > 1e-9:
                factor = 2 * np.arctan2(sine, abs(start[0])) / sine
            if start[0] < 0:
                factor = -factor
            for i in range(3):
                out[row, column + i] = factor * start[1 + i]


@njit(cache=True, nogil=True)
def _quaternion(vector, out) -> None:
    """Scalar first."""
    x, y, z = np.float64(vector[0]), np.float64(vector[1]), np.float64(vector[2])
    angle = np.sqrt(x * x + y * y + z * z)
    factor = 0.5 if angle < 1e-9 else np.sin(angle / 2) / angle
    out[0], out[1], out[2], out[3] = np.cos(angle / 2), factor * x, factor * y, factor * z
