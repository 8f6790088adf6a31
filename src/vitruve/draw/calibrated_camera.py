"""Calibrated cameras from a file, so that a body is drawn where a real camera saw it.

A camera file is TOML or JSON:

    intrinsics = [[1200, 0, 639.5], [0, 1200, 359.5], [0, 0, 1]]      # pixels
    T_camera_world = [[1, 0, 0, 0], [0, 0, -1, 1], [0, 1, 0, 4], [0, 0, 0, 1]]   # or one for each frame, [frames, 4, 4]
    size = [1280, 720]
    distortion = [-0.1, 0.01, 0, 0]   # optional: k1, k2, p1, p2, and k3, and k4, k5, k6
    fps = 30                          # optional: of T_camera_world; that of the video where left out

It is OpenCV's camera: x to the right, y down, z forward, and the middle of the first pixel is at 0, 0. The world is
that of the motion: metres, z up.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitruve.errors import BadData, MissingAsset, UsageError, nearest

Floats = NDArray[np.float64]
_KEYS = ("intrinsics", "T_camera_world", "size", "distortion", "fps")
_COUNTS = (0, 4, 5, 8)


@dataclass(frozen=True, eq=False)
class CalibratedCamera:
    """A camera with known lens and place.

    Attributes:
        intrinsics: [3, 3] pixels.
        T_camera_world: [frames, 4, 4]; one frame for a camera that stands still.
        size: width and height of its pictures in pixels.
        distortion: none, or k1, k2, p1, p2, k3, k4, k5, k6 as OpenCV has them, with zeros for those left out.
        fps: how many of T_camera_world a second has; None where it is the rate of the video.
    """

    intrinsics: Floats
    T_camera_world: Floats
    size: tuple[int, int]
    distortion: Floats
    fps: float | None = None

    def at(self, frame: int) -> CalibratedEye:
        """What the camera sees at one of its frames; the last one holds on."""
        place = self.T_camera_world[min(frame, len(self.T_camera_world) - 1)]
        return CalibratedEye(self.intrinsics, place, self.size, self.distortion)

    def resized(self, size: tuple[int, int]) -> CalibratedCamera:
        """The same camera with pictures of another size; the shape of the picture must stay."""
        scale = (size[0] / self.size[0], size[1] / self.size[1])
        if abs(scale[0] / scale[1] - 1) > 0.01:
            raise UsageError(
                "the camera and the video have pictures of another shape",
                where=f"the camera's size is {self.size[0]}x{self.size[1]}, the video's {size[0]}x{size[1]}",
                fix="give the camera of this video (upright, as a player shows it)",
            )
        half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # to corners of pixels, which scaling keeps, and back
        lens = np.linalg.inv(half) @ np.diag([*scale, 1.0]) @ half @ self.intrinsics
        return replace(self, intrinsics=lens, size=size)


@dataclass(frozen=True, eq=False)
class CalibratedEye:
    """A calibrated camera at one moment; draws as `Viewpoint` does."""

    intrinsics: Floats
    T_camera_world: Floats
    size: tuple[int, int]
    distortion: Floats

    @property
    def axes(self) -> Floats:
        """[3, 3]: the unit vectors right, down and forward as rows, in world coordinates."""
        return np.ascontiguousarray(self.T_camera_world[:3, :3])

    def focal_px(self, size: tuple[int, int]) -> float:
        """How many pixels one metre is, one metre away."""
        return float(self.intrinsics[0, 0]) * size[0] / self.size[0]

    def project(self, points: ArrayLike, size: tuple[int, int]) -> tuple[Floats, Floats]:
        """Pixel positions [..., 2] and depths [...] in metres, in a picture of any size.

        The first pixel's centre is at 0.5, 0.5 here. Points that the lens model does not hold for (far outside of the
        picture, where it would fold them back) and points behind the camera get NaN.
        """
        local = np.asarray(points, np.float64) @ self.T_camera_world[:3, :3].T + self.T_camera_world[:3, 3]
        depth = local[..., 2]
        flat = local[..., :2] / np.where(depth > 0, depth, np.nan)[..., None]
        if self.distortion.any():
            flat = _distorted(flat, self.distortion)
        pixels = flat @ self.intrinsics[:2, :2].T + self.intrinsics[:2, 2]
        return (pixels + 0.5) * (size[0] / self.size[0], size[1] / self.size[1]), depth


def read_camera(path: str | Path) -> CalibratedCamera:
    """Read a camera file, TOML or JSON, and check it."""
    values = _values(Path(path))
    for key in values:
        if key not in _KEYS:
            raise BadData(f"'{key}' is no key of a camera file", where=str(path), fix=nearest(key, _KEYS))
    for key in _KEYS[:3]:
        if key not in values:
            raise BadData(f"the camera file has no '{key}'", where=str(path), fix="see docs/render.md for its keys")
    intrinsics = _array(values, "intrinsics", path, ((3, 3),))
    place = _array(values, "T_camera_world", path, ((4, 4), (-1, 4, 4)))
    size = _array(values, "size", path, ((2,),))
    distortion = _array(values, "distortion", path, tuple((n,) for n in _COUNTS)) if "distortion" in values else None
    place = place[None] if place.ndim == 2 else place
    _check(intrinsics, place, size, path)
    fps = values.get("fps")
    if fps is not None and not (isinstance(fps, int | float) and fps > 0):
        raise BadData("the camera's fps is not a positive number", where=f"{path}: fps = {fps}", fix="write fps = 30")
    lens = np.zeros(8)
    if distortion is not None:
        lens[: len(distortion)] = distortion
    return CalibratedCamera(intrinsics, place, (int(size[0]), int(size[1])), lens, fps)


def _values(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingAsset("the camera file does not exist", where=str(path), fix="check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadData("the camera file cannot be read", where=f"{path}: {error}", fix="give a TOML or JSON") from None
    try:
        found = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadData("the camera file cannot be read", where=f"{path}: {error}", fix="mend its syntax") from None
    if not isinstance(found, dict):
        raise BadData("the camera file is no table of keys", where=str(path), fix="see docs/render.md for its keys")
    return found


def _array(values: Mapping[str, Any], key: str, path: str | Path, shapes: tuple[tuple[int, ...], ...]) -> Floats:
    try:
        found = np.array(values[key], np.float64)
    except (TypeError, ValueError):
        found = np.array(np.nan)
    fits = any(len(shape) == found.ndim and all(n in (-1, m) for n, m in zip(shape, found.shape)) for shape in shapes)
    if not fits or not np.isfinite(found).all() or (found.ndim == 3 and not len(found)):
        expected = " or ".join(str(list(shape)).replace("-1", "frames") for shape in shapes)
        raise BadData(
            f"the camera's {key} are not what they must be",
            where=f"{path}: {key} has shape {list(found.shape)}, expected finite numbers {expected}",
            fix="see docs/render.md for the keys of a camera file",
        )
    return found


def _check(intrinsics: Floats, place: Floats, size: Floats, path: str | Path) -> None:
    if intrinsics[0, 0] <= 0 or intrinsics[1, 1] <= 0 or (np.abs(intrinsics[2] - [0, 0, 1]) > 1e-9).any():
        raise BadData(
            "the camera's intrinsics are no camera matrix",
            where=f"{path}: intrinsics = {intrinsics.tolist()}",
            fix="write [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels",
        )
    turn = place[:, :3, :3]
    off = np.abs(turn @ turn.transpose(0, 2, 1) - np.eye(3)).max((1, 2))
    bad = (off > 1e-3) | (np.linalg.det(turn) < 0) | (np.abs(place[:, 3] - [0, 0, 0, 1]).max(1) > 1e-9)
    if bad.any():
        raise BadData(
            "the camera's place is no rigid transform",
            where=f"{path}: T_camera_world, frame {int(bad.argmax())}",
            fix="its upper left 3x3 must be a rotation, its last row 0, 0, 0, 1",
        )
    if (size < 1).any() or (size != np.round(size)).any():
        raise BadData("the camera's size is no picture", where=f"{path}: size = {size.tolist()}", fix="[width, height]")


def _distorted(flat: Floats, lens: Floats) -> Floats:
    """Where the lens puts points of the plane at depth one; NaN beyond where its model grows outwards."""
    k1, k2, p1, p2, k3, k4, k5, k6 = lens
    x, y = flat[..., 0], flat[..., 1]
    r2 = x * x + y * y
    r2 = np.where(r2 < _reach(lens) ** 2, r2, np.nan)
    radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    return np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        -1,
    )


def _reach(lens: Floats) -> float:
    """The radius up to which the lens moves farther points farther out."""
    k1, k2, _, _, k3, k4, k5, k6 = lens
    r = np.linspace(0, 5, 5001)
    below = 1 + r**2 * (k4 + r**2 * (k5 + r**2 * k6))
    moved = r * (1 + r**2 * (k1 + r**2 * (k2 + r**2 * k3))) / np.where(below > 0, below, np.nan)
    wrong = np.flatnonzero(~(np.diff(moved) > 0))
    return float(r[wrong[0]]) if len(wrong) else float(r[-1])
