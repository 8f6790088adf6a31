"""Resample keypoints, fill their gaps and smooth them, like `resample`, `fill_gaps` and `smooth` for motions.

Every point has its own gaps. Nothing is extrapolated: long gaps stay, and so do missing frames at the start and end.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import torch

from vitruve.motion.keypoints import Keypoints
from vitruve.motion.resampling import frames_between
from vitruve.motion.smoothing import chosen_filter, runs_of_true

# Confidence of interpolated points, relative to the less certain neighbour.
_MADE = 0.5


def resample_keypoints(keypoints: Keypoints, fps: float) -> Keypoints:
    """Resample the points to another frame rate by linear interpolation.

    Frame k of the result is at time k / fps. A new frame on an old one is a copy; elsewhere a point is present only if
    both neighbours are, with the lower of their confidences. Frame numbers start again at 0.
    """
    if fps == keypoints.fps:
        return keypoints
    left, share = frames_between(len(keypoints), keypoints.fps, fps)
    right = torch.where(share == 0, left, left + 1)
    device = keypoints.positions.device
    left, right = left.to(device), right.to(device)
    along = share.to(keypoints.positions)[:, None, None]
    old = keypoints.positions
    camera = keypoints.camera
    if camera is not None and camera.moves:
        camera = replace(camera[left], fps=float(fps))  # no interpolation: the earlier camera
    return keypoints.edited(
        f"resampled from {keypoints.fps:g} to {fps:g} fps",
        positions=torch.where(along == 0, old[left], old[left] + along * (old[right] - old[left])),
        confidence=torch.minimum(keypoints.confidence[left], keypoints.confidence[right]),
        fps=float(fps),
        frame_ids=torch.arange(len(left), device=device),
        camera=camera,
    )


def fill_keypoint_gaps(keypoints: Keypoints, longest: float = 0.5) -> Keypoints:
    """Fill gaps of single points by interpolation.

    A cubic through two frames on either side if they are present, a straight line otherwise. Filled points have half
    the confidence of their less certain neighbour.

    Args:
        longest: longer gaps, in seconds, stay missing, and so do missing frames at either end.
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
    """Smooth the points, with the filters and settings of `smooth`; each run of present frames separately."""
    function, used = chosen_filter(filter, settings)
    positions = keypoints.positions.detach().cpu().double().numpy().copy()
    # Points that are present in the same frames are filtered together.
    for runs, points in _by_runs(keypoints.seen.cpu().numpy()).items():
        for start, stop in runs:
            if stop - start > 1:
                positions[start:stop, points] = function(positions[start:stop, points], keypoints.fps, used)
    numbers = ", ".join(f"{key} {value:g}" for key, value in used.items())
    return keypoints.edited(
        f"smoothed with {filter} ({numbers})", positions=torch.from_numpy(positions).to(keypoints.positions)
    )


def _gaps(seen: np.ndarray) -> list[tuple[int, int]]:
    """(start, stop) of the gaps between present frames."""
    runs = runs_of_true(seen)
    return [(end, start) for (_, end), (start, _) in itertools.pairwise(runs)]


def _is_seen(seen: np.ndarray, frame: int, point: int) -> bool:
    return 0 <= frame < len(seen) and bool(seen[frame, point])


def _by_runs(seen: np.ndarray) -> dict[tuple[tuple[int, int], ...], list[int]]:
    groups: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for point in range(seen.shape[1]):
        groups.setdefault(tuple(runs_of_true(seen[:, point])), []).append(point)
    return groups
