"""Smoothing filters for whole clips: no delay, and invalid frames do not affect valid ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from vitruve.errors import UsageError, nearest
from vitruve.geometry.rotations import matrix_to_quaternion_wxyz, quaternion_wxyz_to_matrix
from vitruve.motion.motion import Motion


def smooth(motion: Motion, filter: str = "butterworth", **settings: float) -> Motion:
    """Smooth a clip.

    Rotations are filtered as quaternions with continuous sign and normalised again; the result does not depend on the
    orientation of the world or the rest pose. Each run of valid frames is filtered separately; invalid frames stay as
    they are. It runs on the CPU in float64, without gradients.

    Args:
        filter: "butterworth" runs forwards and backwards: at `cutoff_hz` (6) both passes together halve the power,
            `order` (4, even) is that of both together. "gaussian" has `sigma` in seconds (0.05). "savgol" fits
            polynomials of degree `order` (3) to a `window` in seconds (0.25), which keeps peaks best.
        settings: the filter's settings where they differ from the defaults above.
    """
    function, used = chosen_filter(filter, settings)
    runs = valid_runs(motion.mask, len(motion))

    def filtered(values: Tensor | None) -> Tensor | None:
        if values is None:
            return None
        out = values.detach().cpu().double().numpy().copy()
        for start, stop in runs:
            if stop - start > 1:
                out[start:stop] = function(out[start:stop], motion.fps, used)
        return torch.from_numpy(out).to(values)

    numbers = ", ".join(f"{key} {value:g}" for key, value in used.items())
    return motion.edited(
        f"smoothed with {filter} ({numbers})",
        rotations=_filtered_rotations(motion, runs, function, used),
        translation=filtered(motion.translation),
        expression=filtered(motion.expression),
        offsets=filtered(motion.offsets),
    )


def chosen_filter(name: str, settings: Mapping[str, float]) -> tuple[_Filter, dict[str, float]]:
    """A filter by name, and its settings completed with the defaults."""
    if name not in FILTERS:
        raise UsageError(f"unknown filter '{name}'", fix=nearest(name, FILTERS))
    function, defaults = FILTERS[name]
    unknown = [key for key in settings if key not in defaults]
    if unknown:
        raise UsageError(f"the filter '{name}' has no setting '{unknown[0]}'", fix=nearest(unknown[0], defaults))
    return function, {**defaults, **settings}


def valid_runs(mask: Tensor | None, frames: int) -> list[tuple[int, int]]:
    """(start, stop) of every run of valid frames."""
    return [(0, frames)] if mask is None else runs_of_true(mask.cpu().numpy())


def runs_of_true(mask: np.ndarray) -> list[tuple[int, int]]:
    """(start, stop) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _filtered_rotations(
    motion: Motion, runs: list[tuple[int, int]], function: _Filter, settings: Mapping[str, float]
) -> Tensor:
    out = motion.rotations.detach().clone()
    for start, stop in runs:
        if stop - start < 2:
            continue
        quaternion = matrix_to_quaternion_wxyz(motion.rotations[start:stop].detach().double().cpu())
        steps = (quaternion[1:] * quaternion[:-1]).sum(-1, keepdim=True)
        sign = torch.where(steps < 0, -1.0, 1.0).to(steps).cumprod(0)
        quaternion[1:] *= sign
        smoothed = torch.from_numpy(function(quaternion.numpy(), motion.fps, settings))
        out[start:stop] = quaternion_wxyz_to_matrix(smoothed).to(out)
    return out


_Filter = Callable[[np.ndarray, float, Mapping[str, float]], np.ndarray]


def _butterworth(values: np.ndarray, fps: float, settings: Mapping[str, float]) -> np.ndarray:
    from scipy import signal

    cutoff, order = settings["cutoff_hz"], settings["order"]
    if not 0 < cutoff < fps / 2:
        raise UsageError(
            f"a cutoff of {cutoff:g} Hz is invalid for a clip at {fps:g} fps",
            where=f"cutoff_hz = {cutoff:g}, must be between 0 and {fps / 2:g}",
            fix=f"smooth(motion, 'butterworth', cutoff_hz={min(6.0, fps / 4):g})",
        )
    if order < 2 or order % 2:
        raise UsageError(
            "the order must be even: both passes share it", where=f"order = {order:g}", fix="use 2, 4, 6 or 8"
        )
    single = int(order) // 2
    # Two passes square the gain: widen the single pass so that both together halve the power at the cutoff.
    widened = math.tan(math.pi * cutoff / fps) / (math.sqrt(2) - 1) ** (1 / (2 * single))
    sections = signal.butter(single, math.atan(widened) * fps / math.pi, fs=fps, output="sos")
    padding = min(len(values) - 1, int(2 * fps / cutoff))
    return np.ascontiguousarray(signal.sosfiltfilt(sections, values, axis=0, padlen=padding))


def _gaussian(values: np.ndarray, fps: float, settings: Mapping[str, float]) -> np.ndarray:
    from scipy import ndimage

    if settings["sigma"] <= 0:
        raise UsageError("sigma must be positive", where=f"sigma = {settings['sigma']:g} s", fix="use sigma=0.05")
    return ndimage.gaussian_filter1d(values, settings["sigma"] * fps, axis=0, mode="nearest")


def _savgol(values: np.ndarray, fps: float, settings: Mapping[str, float]) -> np.ndarray:
    from scipy import signal

    order = int(settings["order"])
    window = 2 * round(settings["window"] * fps / 2) + 1
    if order < 0 or window <= order:
        raise UsageError(
            f"a window of {window} frames is too short for polynomials of degree {order}",
            where=f"window = {settings['window']:g} s at {fps:g} fps",
            fix=f"use window={(order + 2) / fps:.3g} or more",
        )
    window = min(window, len(values) - 1 + len(values) % 2)
    return values if window <= order else np.asarray(signal.savgol_filter(values, window, order, axis=0, mode="interp"))


# name -> (filter, its settings with their defaults)
FILTERS: dict[str, tuple[_Filter, dict[str, float]]] = {
    "butterworth": (_butterworth, {"cutoff_hz": 6.0, "order": 4}),
    "gaussian": (_gaussian, {"sigma": 0.05}),
    "savgol": (_savgol, {"window": 0.25, "order": 3}),
}
