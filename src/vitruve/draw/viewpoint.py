"""Where a picture is taken from: a perspective view given by position and target, or fitted to what is to be seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Viewpoint:
    """A perspective view of the z-up world.

    Attributes:
        position: where the eye is, metres.
        target: the point in the middle of the picture, metres.
        fov_deg: angle between the lower and upper edge of the picture, degrees.
        up: the direction that is up in the picture; must not be the direction of sight.
    """

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    fov_deg: float = 25.0
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)

    @property
    def axes(self) -> Floats:
        """[3, 3]: the unit vectors right, down and forward as rows, in world coordinates."""
        return _axes(np.subtract(self.target, self.position), self.up)

    def focal_px(self, size: tuple[int, int]) -> float:
        """How many pixels one metre is, one metre away."""
        return size[1] / 2 / math.tan(math.radians(self.fov_deg) / 2)

    def project(self, points: ArrayLike, size: tuple[int, int]) -> tuple[Floats, Floats]:
        """Pixel positions [..., 2] and depths [...] in metres along the line of sight.

        The first pixel's centre is at 0.5, 0.5. Points at or behind the eye have a depth of zero or less; their pixel
        positions mean nothing.
        """
        width, height = size
        local = (np.asarray(points, np.float64) - self.position) @ self.axes.T
        depth = local[..., 2]
        focal = self.focal_px(size)
        safe = np.where(depth > 0, depth, 1.0)[..., None]
        return focal * local[..., :2] / safe + (width / 2, height / 2), depth

    def rays(self, size: tuple[int, int]) -> Floats:
        """[height, width, 3]: direction of sight through each pixel's centre, one metre long in depth."""
        width, height = size
        focal = self.focal_px(size)
        x = (np.arange(width) + 0.5 - width / 2) / focal
        y = (np.arange(height) + 0.5 - height / 2) / focal
        right, down, forward = self.axes
        return x[None, :, None] * right + y[:, None, None] * down + forward


def direction(azimuth_deg: float, elevation_deg: float = 8.0) -> tuple[float, float, float]:
    """Unit vector from the body to the eye.

    Azimuth 0 looks a body that faces -y (a body at rest, stood up) in the face, 90 sees its left side, 180 its back.
    """
    azimuth, elevation = math.radians(azimuth_deg), math.radians(elevation_deg)
    flat = math.cos(elevation)
    return flat * math.sin(azimuth), -flat * math.cos(azimuth), math.sin(elevation)


def fit_viewpoint(
    points: ArrayLike,
    towards: tuple[float, float, float],
    size: tuple[int, int],
    fov_deg: float = 25.0,
    margin: float = 1.12,
) -> Viewpoint:
    """The nearest viewpoint in a given direction that has all points in the picture.

    Args:
        points: [..., 3] metres.
        towards: direction from the points to the eye, as `direction` gives.
        size: width and height of the picture in pixels.
        fov_deg: vertical angle of view.
        margin: how much larger than the points the picture is.
    """
    points = np.asarray(points, np.float64).reshape(-1, 3)
    axes = _axes(-np.asarray(towards, np.float64), (0.0, 0.0, 1.0))
    local = points @ axes.T
    centre = (local.min(0) + local.max(0)) / 2
    tangent = math.tan(math.radians(fov_deg) / 2) / margin
    tangents = np.array([tangent * size[0] / size[1], tangent])
    offset = local - centre
    distance = max(float((np.abs(offset[:, :2]) / tangents - offset[:, 2:]).max()), 1e-3)
    target = centre @ axes
    position = target - distance * axes[2]
    return Viewpoint(tuple(position.tolist()), tuple(target.tolist()), fov_deg)


def _axes(forward: ArrayLike, up: tuple[float, float, float]) -> Floats:
    forward = np.asarray(forward, np.float64)
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, np.asarray(up, np.float64))
    length = np.linalg.norm(right)
    # Straight down or up: any direction will do as "right"; the x axis keeps maps the usual way round.
    right = right / length if length > 1e-9 else np.array([1.0, 0.0, 0.0])
    return np.stack([right, np.cross(forward, right), forward])
