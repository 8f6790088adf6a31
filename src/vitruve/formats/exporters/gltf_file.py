"""Build a glTF 2.0 document in one binary file (GLB): JSON, then one binary chunk that its accessors point into."""

from __future__ import annotations

import json
import struct
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitruve.errors import BadData

# Targets of a bufferView: vertices, triangles.
VERTICES, TRIANGLES = 34962, 34963
_COMPONENTS = {"u1": 5121, "u2": 5123, "u4": 5125, "f4": 5126}
_TYPES = {(): "SCALAR", (2,): "VEC2", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
_MAGIC, _JSON, _BIN = 0x46546C67, 0x4E4F534A, 0x004E4942
# Lengths in a GLB are unsigned 32-bit integers.
_LARGEST = 2**32 - 1


class GltfFile:
    """A document under construction: entries are appended and referred to by index, as in glTF."""

    def __init__(self, asset: dict[str, Any]) -> None:
        self.entries: dict[str, list[dict[str, Any]]] = {}
        self.size = 0
        self._asset = {"version": "2.0", **asset}
        self._parts: list[bytes] = []

    def add(self, kind: str, **entry: Any) -> int:
        """Append an entry to a list of the document, such as "nodes"; returns its index."""
        entries = self.entries.setdefault(kind, [])
        entries.append(entry)
        return len(entries) - 1

    def accessor(self, values: NDArray[Any], target: int | None = None, bounds: bool = False) -> int:
        """Append numbers to the binary chunk, with an accessor; returns its index.

        Args:
            values: [count], [count, 2 to 4] or [count, 4, 4] (column-major) as float32, uint8, uint16 or uint32.
            target: VERTICES or TRIANGLES for mesh data.
            bounds: add the minimum and maximum of every component.
        """
        little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
        data = little.tobytes()
        view = {"buffer": 0, "byteOffset": self.size, "byteLength": len(data)}
        if target is not None:
            view["target"] = target
        # Views are aligned to four bytes.
        padding = -len(data) % 4
        self._parts.append(data + b"\0" * padding)
        self.size += len(data) + padding
        entry: dict[str, Any] = {
            "bufferView": self.add("bufferViews", **view),
            "componentType": _COMPONENTS[little.dtype.str[1:]],
            "count": len(little),
            "type": _TYPES[little.shape[1:]],
        }
        if bounds:
            entry["min"], entry["max"] = (np.atleast_1d(edge).tolist() for edge in (little.min(0), little.max(0)))
        return self.add("accessors", **entry)

    def write(self, path: str | PathLike[str]) -> None:
        """Write the GLB; the default scene is the first."""
        document = {"asset": self._asset, "scene": 0, "buffers": [{"byteLength": self.size}], **self.entries}
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        total = 12 + 8 + len(text) + 8 + self.size
        if total > _LARGEST:
            raise BadData(
                "the clip is too long for one GLB",
                where=f"{total / 2**30:.1f} GiB, a GLB holds less than 4",
                fix="write it in parts: --frames 0:10000 and so on",
            )
        with open(Path(path), "wb") as file:
            file.write(struct.pack("<III", _MAGIC, 2, total))
            file.write(struct.pack("<II", len(text), _JSON) + text)
            file.write(struct.pack("<II", self.size, _BIN))
            file.writelines(self._parts)


def add_channel(animation: dict[str, Any], node: int, path: str, times: int, output: int) -> None:
    """Animate a property of a node with an accessor of values."""
    animation["samplers"].append({"input": times, "output": output, "interpolation": "LINEAR"})
    sampler = len(animation["samplers"]) - 1
    animation["channels"].append({"sampler": sampler, "target": {"node": node, "path": path}})
