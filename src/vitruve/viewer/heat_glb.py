"""Errors as colours on a surface for the browser: GLB with vertex colours."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def coloured_glb(vertices: ArrayLike, faces: ArrayLike, colours: ArrayLike, opacity: float = 1.0) -> bytes:
    """A mesh with vertex colours as binary glTF.

    Args:
        vertices: [vertices, 3] metres, in the axes of the scene.
        faces: [faces, 3] vertex indices.
        colours: [vertices, 3] red, green, blue from 0 to 1 as on a screen; they are converted to glTF's linear light.
        opacity: below 1 for a transparent surface.
    """
    positions = np.ascontiguousarray(vertices, np.float32)
    linear = np.asarray(colours, np.float64).clip(0, 1) ** 2.2
    shades = (65535 * np.c_[linear, np.full(len(linear), opacity)] + 0.5).astype(np.uint16)
    # The browser computes the normals; without any in the file it would draw flat triangles.
    arrays = (np.asarray(faces, np.uint32).ravel(), positions, np.zeros_like(positions), shades)
    return _glb(arrays, positions.min(0).tolist(), positions.max(0).tolist(), opacity < 1)


def _glb(arrays: Sequence[NDArray], low: list[float], high: list[float], blend: bool) -> bytes:
    views, offset = [], 0
    for i, array in enumerate(arrays):
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": array.nbytes, "target": 34962 + (i == 0)})
        offset += array.nbytes
    kinds = ((5125, "SCALAR"), (5126, "VEC3"), (5126, "VEC3"), (5123, "VEC4"))
    accessors = [
        {"bufferView": i, "componentType": component, "type": kind, "count": len(array)}
        for i, ((component, kind), array) in enumerate(zip(kinds, arrays))
    ]
    accessors[1] |= {"min": low, "max": high}
    accessors[3]["normalized"] = True
    material: dict[str, Any] = {"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.9}}
    material |= {"alphaMode": "BLEND"} if blend else {}
    primitive = {"indices": 0, "attributes": {"POSITION": 1, "NORMAL": 2, "COLOR_0": 3}, "material": 0}
    tree = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [material],
        "buffers": [{"byteLength": offset}],
        "bufferViews": views,
        "accessors": accessors,
    }
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    data = b"".join(array.tobytes() for array in arrays)
    total = 12 + 8 + len(text) + 8 + len(data)
    head = struct.pack("<4sII", b"glTF", 2, total) + struct.pack("<I4s", len(text), b"JSON")
    return head + text + struct.pack("<I4s", len(data), b"BIN\0") + data
