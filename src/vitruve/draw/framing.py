"""Cameras fitted to points, points in pictures, and what all drawing shares: colours of text, evenly spread frames."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from vitruve.geometry.camera import Camera, camera_axes, look_at
from vitruve.skeletons import Skeleton

Floats = NDArray[np.float64]

INK, PAPER, BAND = (60, 66, 76), (255, 255, 255), (236, 238, 242)
"""Colours of text, of its outline, and of the bands between pictures."""

VIEWS = {"front": (0.0, 8.0), "side": (90.0, 8.0), "back": (180.0, 8.0), "top": (0.0, 90.0)}
"""Name to azimuth and elevation in degrees, see `direction`; azimuth 0 is where the body faces."""


def rgb(colour: Iterable[float]) -> tuple[int, int, int]:
    """Red, green and blue from 0 to 255 of a colour from 0 to 1."""
    red, green, blue = (round(255 * float(part)) for part in colour)
    return red, green, blue


def spread(available: int, wanted: int) -> list[int]:
    """At most `wanted` of `available` indices at equal distances, the first and the last among them."""
    return np.linspace(0, available - 1, min(available, wanted)).round().astype(int).tolist()


def direction(azimuth_deg: float, elevation_deg: float = 8.0) -> tuple[float, float, float]:
    """Unit vector from the body to the camera.

    For a body that faces -y (a body at rest, stood up), azimuth 0 sees its front, 90 its left side, 180 its back.
    """
    azimuth, elevation = math.radians(azimuth_deg), math.radians(elevation_deg)
    flat = math.cos(elevation)
    return flat * math.sin(azimuth), -flat * math.cos(azimuth), math.sin(elevation)


def rightward(azimuth_deg: float) -> tuple[float, float]:
    """Unit vector on the ground that points to the right in a picture taken from an azimuth."""
    return math.cos(math.radians(azimuth_deg)), math.sin(math.radians(azimuth_deg))


def facing_deg(joints: Float[Tensor, "frames joints 3"], skeleton: Skeleton) -> float:
    """Which way a body faces on average: the azimuth of `direction` that sees its front, degrees.

    The line from right to left, summed over the pairs of joints where limbs begin, and over the frames, runs across the
    body. 0 for a skeleton without pairs, a body on its side, and frames without data.
    """
    paired = {joint for pair in skeleton.pairs for joint in pair}
    parents = skeleton.parents or (-1,) * len(skeleton)  # keypoints have none
    roots = [pair for pair in skeleton.pairs if not paired & {parents[joint] for joint in pair}]
    if not roots:
        return 0.0
    left, right = (joints[:, [pair[side] for pair in roots]] for side in (0, 1))
    x, y, z = (left - right).nansum((0, 1)).tolist()
    # A body that faces -y has its left on +x.
    return 0.0 if math.hypot(x, y) <= 0.1 * math.hypot(x, y, z) else math.degrees(math.atan2(y, x))


def fit_camera(
    points: ArrayLike,
    towards: tuple[float, float, float],
    size: tuple[int, int],
    fov_deg: float = 25.0,
    margin: float = 1.12,
) -> Camera:
    """The nearest camera in a given direction that has all points in the picture.

    Args:
        points: [..., 3] metres.
        towards: direction from the points to the camera, as `direction` gives.
        size: width and height of the picture in pixels.
        fov_deg: vertical angle of view.
        margin: size of the picture over that of the points.
    """
    points = np.asarray(points, np.float64).reshape(-1, 3)
    axes = camera_axes(-torch.tensor(towards, dtype=torch.float64)).numpy()
    local = points @ axes.T
    centre = (local.min(0) + local.max(0)) / 2
    tangent = math.tan(math.radians(fov_deg) / 2) / margin
    tangents = np.array([tangent * size[0] / size[1], tangent])
    offset = local - centre
    distance = max(float((np.abs(offset[:, :2]) / tangents - offset[:, 2:]).max()), 1e-3)
    target = centre @ axes
    return look_at((target - distance * axes[2]).tolist(), target.tolist(), size, fov_deg)


def target_of(camera: Camera, points: ArrayLike) -> Floats:
    """The point in the middle of the picture that is as far away as the points [..., 3] are; metres."""
    position, forward = camera.position.numpy(), camera.axes[2].numpy()
    depth = (np.asarray(points, np.float64).reshape(-1, 3) - position) @ forward
    return position + (np.nanmin(depth) + np.nanmax(depth)) / 2 * forward


def focal_px(camera: Camera, size: tuple[int, int]) -> float:
    """Focal length in pixels for a picture of any size."""
    return float(camera.intrinsics[0, 0]) * size[0] / camera.size[0]


def on_picture(camera: Camera, points: ArrayLike, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Positions [..., 2] and depths [...] of points [..., 3] in a picture of any size taken by the camera.

    The centre of the first pixel is at 0.5, 0.5 here, so that positions scale with the size of the picture. Points that
    the camera cannot see, such as those behind it, have NaN as their position.
    """
    pixels, depth = camera.project(torch.from_numpy(np.ascontiguousarray(np.asarray(points, np.float64))))
    scale = (size[0] / camera.size[0], size[1] / camera.size[1])
    return (pixels.numpy() + 0.5) * scale, depth.numpy()
