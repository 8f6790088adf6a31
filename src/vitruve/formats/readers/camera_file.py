"""Read cameras from a file, to draw a body as a real camera saw it.

A camera file is TOML or JSON:

    intrinsics = [[1200, 0, 639.5], [0, 1200, 359.5], [0, 0, 1]]      # pixels
    T_camera_world = [[1, 0, 0, 0], [0, 0, -1, 1], [0, 1, 0, 4], [0, 0, 0, 1]]   # or one for each frame, [frames, 4, 4]
    size = [1280, 720]
    distortion = [-0.1, 0.01, 0, 0]   # optional: k1, k2, p1, p2, and k3, and k4, k5, k6
    lens = "opencv"                   # optional: or "fisheye", whose distortion is k1, k2, k3, k4
    fps = 30                          # optional: of T_camera_world; by default that of the video

The camera follows OpenCV: x to the right, y down, z forward, and the centre of the first pixel is at 0, 0. The world is
that of the motion: metres, z up.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vitruve.errors import BadData, MissingAsset, nearest
from vitruve.geometry.camera import Camera

Floats = NDArray[np.float64]
_KEYS = ("intrinsics", "T_camera_world", "size", "distortion", "lens", "fps")


def read_camera(path: str | Path) -> Camera:
    """Read a camera file, TOML or JSON, and check it."""
    values = _values(Path(path))
    for key in values:
        if key not in _KEYS:
            raise BadData(f"unknown key '{key}' in the camera file", where=str(path), fix=nearest(key, _KEYS))
    for key in _KEYS[:3]:
        if key not in values:
            raise BadData(f"the camera file has no '{key}'", where=str(path), fix="see docs/render.md for its keys")
    intrinsics = _array(values, "intrinsics", path, ((3, 3),))
    place = _array(values, "T_camera_world", path, ((4, 4), (-1, 4, 4)))
    size = _array(values, "size", path, ((2,),))
    distortion = _array(values, "distortion", path, ((-1,),)) if values.get("distortion") else np.zeros(0)
    fps, lens = values.get("fps"), values.get("lens", "opencv")
    if fps is not None and not isinstance(fps, int | float):
        raise BadData("the camera's fps is not a positive number", where=f"{path}: fps = {fps}", fix="write fps = 30")
    if (size != np.round(size)).any():
        raise BadData(
            "the camera's image size is invalid", where=f"{path}: size = {size.tolist()}", fix="give [width, height]"
        )
    try:
        return Camera(
            torch.from_numpy(intrinsics),
            torch.from_numpy(place[0] if len(place) == 1 else place),
            (int(size[0]), int(size[1])),
            torch.from_numpy(distortion),
            str(lens),
            fps,
        )
    except BadData as error:
        raise BadData(error.what, where=f"{path}: {error.where}", fix=error.fix) from None


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
        raise BadData("the camera file cannot be read", where=f"{path}: {error}", fix="fix its syntax") from None
    if not isinstance(found, dict):
        raise BadData("the camera file is not a table of keys", where=str(path), fix="see docs/render.md for its keys")
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
            f"the camera's '{key}' has the wrong shape",
            where=f"{path}: {key} has shape {list(found.shape)}, expected finite numbers {expected}",
            fix="see docs/render.md for the keys of a camera file",
        )
    return found
