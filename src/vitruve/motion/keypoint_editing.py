"""Keypoints at other times, with gaps filled, and smoothed: as `resample`, `fill_gaps` and `smooth` do for motions.

Every point has gaps of its own. Nothing is invented: a gap that is too long stays, and so does what is missing at the
beginning and at the end.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from vitruve.errors import UsageError
from vitruve.motion.keypoints import Keypoints
from vitruve.motion.motion import FASTEST, SLOWEST
from vitruve.motion.resampling import frame_step
from vitruve.motion.smoothing import chosen_filter, valid_runs

# Points that were made by interpolation count as this much of the less certain neighbour.
_MADE = 0.5


def resample_keypoints(keypoints: Keypoints, fps: float) -> Keypoints:
    """The same points at another frame rate, linearly between frames.

    Frame k of the result shows the time k / fps. A new frame on an old one is a copy of it; elsewhere a point is known
    only where both neighbours are, with the confidence of the lower. Frames are numbered anew from 0.

    Args:
        keypoints: at any frame rate.
        fps: the new frame rate.
    """
    if not SLOWEST <= fps <= FASTEST:
        raise UsageError(
            f"a frame rate is a positive number, from {SLOWEST:g} to {FASTEST:,}",
            where=f"fps = {fps}",
            fix="resample_keypoints(keypoints, 30), say",
        )
    if fps == keypoints.fps:
        return keypoints
    step = frame_step(keypoints.fps / fps)
    count = int((len(keypoints) - 1) / step) + 1
    position = torch.arange(count) * step.numerator
    left = position // step.denominator
    share = (position % step.denominator).double() / step.denominator
    right = torch.where(share == 0, left, left + 1)
    device = keypoints.positions.device
    left, right = left.to(device), right.to(device)
    along = share.to(keypoints.positions)[:, None, None]
    old = keypoints.positions
    camera = keypoints.camera
    if camera is not None and camera.moves:
        camera = replace(camera[left], fps=float(fps))  # between two places it is at the earlier one
    return keypoints.edited(
        f"resampled from {keypoints.fps:g} to {fps:g} fps",
        positions=torch.where(along == 0, old[left], old[left] + along * (old[right] - old[left])),
        confidence=torch.minimum(keypoints.confidence[left], keypoints.confidence[right]),
        fps=float(fps),
        frame_ids=torch.arange(count, device=device),
        camera=camera,
    )


def fill_keypoint_gaps(keypoints: Keypoints, longest: float = 0.5) -> Keypoints:
    """Gaps of single points, filled between the frames around them.

    A cubic through two frames on either side where they are known, a straight line otherwise. What was made has half
    the confidence of its less certain neighbour.

    Args:
        keypoints: with gaps.
        longest: gaps of more seconds than this stay, as does what is missing at either end.
    """
    from scipy.interpolate import CubicSpline

    seen = keypoints.seen.cpu().numpy()
    positions = keypoints.positions.detach().cpu().double().numpy().copy()
    confidence = keypoints.confidence.detach().cpu().double().numpy().copy()
    filled = 0
    for point in range(seen.shape[1]):
        for start, stop in _gaps(seen[:, point]):
            if (stop - start) > longest * keypoints.fps + 1e-6:
                continue
            around = [frame for frame in (start - 2, start - 1, stop, stop + 1) if _is_seen(seen, frame, point)]
            curve = positions[around, point]
            inside = np.arange(start, stop)
            if len(around) == 4:
                positions[start:stop, point] = CubicSpline(around, curve)(inside)
            else:
                share = (inside - start + 1)[:, None] / (stop - start + 1)
                ends = positions[start - 1, point], positions[stop, point]
                positions[start:stop, point] = (1 - share) * ends[0] + share * ends[1]
            confidence[start:stop, point] = _MADE * min(confidence[start - 1, point], confidence[stop, point])
            filled += stop - start
    if not filled:
        return keypoints
    return keypoints.edited(
        f"filled {filled} missing points by interpolation",
        positions=torch.from_numpy(positions).to(keypoints.positions),
        confidence=torch.from_numpy(confidence).to(keypoints.confidence),
    )


def smooth_keypoints(keypoints: Keypoints, filter: str = "butterworth", **settings: float) -> Keypoints:
    """Smoother points, by the filters of `smooth`. Each run of known frames of a point is filtered by itself.

    Args:
        keypoints: any.
        filter: "butterworth", "gaussian" or "savgol".
        settings: the filter's numbers where they differ from its defaults, as for `smooth`.
    """
    function, used = chosen_filter(filter, settings)
    seen = keypoints.seen
    positions = keypoints.positions.detach().cpu().double().numpy().copy()
    # Points that are known in the same frames are filtered together: most are known throughout.
    for runs, points in _by_runs(seen).items():
        for start, stop in runs:
            if stop - start > 1:
                positions[start:stop, points] = function(positions[start:stop, points], keypoints.fps, used)
    numbers = ", ".join(f"{key} {value:g}" for key, value in used.items())
    return keypoints.edited(
        f"smoothed with {filter} ({numbers})", positions=torch.from_numpy(positions).to(keypoints.positions)
    )


def _gaps(seen: np.ndarray) -> list[tuple[int, int]]:
    """(start, stop) of the missing frames between known ones."""
    known = np.flatnonzero(seen)
    breaks = np.flatnonzero(np.diff(known) > 1)
    return [(int(known[i]) + 1, int(known[i + 1])) for i in breaks]


def _is_seen(seen: np.ndarray, frame: int, point: int) -> bool:
    return 0 <= frame < len(seen) and bool(seen[frame, point])


def _by_runs(seen: Tensor) -> dict[tuple[tuple[int, int], ...], list[int]]:
    groups: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for point in range(seen.shape[1]):
        groups.setdefault(tuple(valid_runs(seen[:, point], len(seen))), []).append(point)
    return groups
