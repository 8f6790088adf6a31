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

from vitruve.errors import BadData, nearest
from vitruve.formats.readers.plain_text import damaged, read_bytes
from vitruve.geometry.camera import Camera

Floats = NDArray[np.float64]
_SEE = "see docs/render.md for the keys of a camera file"
_KEYS = ("intrinsics", "T_camera_world", "size", "distortion", "lens", "fps")


def read_camera(path: str | Path) -> Camera:
    """Read a camera file, TOML or JSON, and check it."""
    values = _values(Path(path))
    for key in values:
        if key not in _KEYS:
            raise BadData(f"unknown key '{key}' in the camera file", where=str(path), fix=nearest(key, _KEYS))
    for key in _KEYS[:3]:
        if key not in values:
            raise damaged(f"the camera file has no '{key}'", str(path), _SEE)
    intrinsics = _array(values, "intrinsics", path, ((3, 3),))
    place = _array(values, "T_camera_world", path, ((4, 4), (-1, 4, 4)))
    size = _array(values, "size", path, ((2,),))
    distortion = _array(values, "distortion", path, ((-1,),)) if values.get("distortion") else np.zeros(0)
    fps, lens = values.get("fps"), values.get("lens", "opencv")
    if fps is not None and not isinstance(fps, int | float):
        raise damaged("the camera's fps is not a positive number", f"{path}: fps = {fps}", "write fps = 30")
    if (size != np.round(size)).any():
        raise damaged("the camera's image size is invalid", f"{path}: size = {size.tolist()}", "give [width, height]")
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
    data = read_bytes(path)
    try:
        text = data.decode("utf-8")
        values = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (UnicodeDecodeError, json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise damaged("the camera file cannot be read", f"{path}: {error}", "write it as TOML or JSON") from None
    if not isinstance(values, dict):
        raise damaged("the camera file is not a table of keys", str(path), _SEE)
    return values


def _array(values: Mapping[str, Any], key: str, path: str | Path, shapes: tuple[tuple[int, ...], ...]) -> Floats:
    try:
        array = np.array(values[key], np.float64)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    fits = any(len(shape) == array.ndim and all(n in (-1, m) for n, m in zip(shape, array.shape)) for shape in shapes)
    if not fits or not np.isfinite(array).all() or (array.ndim == 3 and not len(array)):
        expected = " or ".join(str(list(shape)).replace("-1", "frames") for shape in shapes)
        where = f"{path}: {key} has shape {list(array.shape)}, expected finite numbers {expected}"
        raise damaged(f"the camera's '{key}' has the wrong shape", where, _SEE)
    return array
