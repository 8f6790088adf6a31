"""A small reader of GLB files for tests, after the specification of glTF 2.0; it shares no code with the writer."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

_COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_SHAPES = {"SCALAR": (), "VEC2": (2,), "VEC3": (3,), "VEC4": (4,), "MAT4": (4, 4)}


class Glb:
    """A GLB file, and its scene at any time."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        magic, version, total = struct.unpack_from("<4sII", data)
        assert (magic, version, total) == (b"glTF", 2, len(data))
        length, kind = struct.unpack_from("<I4s", data, 12)
        assert kind == b"JSON" and length % 4 == 0
        self.json: dict[str, Any] = json.loads(data[20 : 20 + length])
        self.length, kind = struct.unpack_from("<I4s", data, 20 + length)
        assert kind == b"BIN\0" and self.length % 4 == 0
        self.binary = data[28 + length :]
        assert len(self.binary) == self.length

    def accessor(self, index: int) -> np.ndarray:
        accessor = self.json["accessors"][index]
        view = self.json["bufferViews"][accessor["bufferView"]]
        dtype, shape = np.dtype(_COMPONENTS[accessor["componentType"]]), _SHAPES[accessor["type"]]
        count = accessor["count"] * int(np.prod(shape))
        start = view["byteOffset"] + accessor.get("byteOffset", 0)
        assert accessor.get("byteOffset", 0) + count * dtype.itemsize <= view["byteLength"]
        return np.frombuffer(self.binary, dtype, count, start).reshape(-1, *shape)

    @property
    def mesh(self) -> dict[str, Any]:
        return self.json["meshes"][0]

    @property
    def attributes(self) -> dict[str, np.ndarray]:
        return {key: self.accessor(index) for key, index in self.mesh["primitives"][0]["attributes"].items()}

    def at(self, time: float) -> dict[int, dict[str, np.ndarray]]:
        """The animated properties of every node at a time, interpolated as the specification says."""
        animation, values = self.json["animations"][0], {}
        for channel in animation["channels"]:
            sampler = animation["samplers"][channel["sampler"]]
            assert sampler["interpolation"] == "LINEAR"
            times = self.accessor(sampler["input"]).astype(float)
            rows = self.accessor(sampler["output"]).astype(float).reshape(len(times), -1)
            time_in = np.clip(time, times[0], times[-1])
            after = min(max(int(np.searchsorted(times, time_in)), 1), len(times) - 1)
            before = max(after - 1, 0)
            share = 0.0 if after == before else (time_in - times[before]) / (times[after] - times[before])
            path = channel["target"]["path"]
            row = (1 - share) * rows[before] + share * rows[after]
            if path == "rotation":
                row = _slerp(rows[before], rows[after], share)
            values.setdefault(channel["target"]["node"], {})[path] = row
        return values

    def globals(self, time: float | None = None) -> np.ndarray:
        """[nodes, 4, 4]: where every node is at a time; at rest where None."""
        moved = {} if time is None else self.at(time)
        out = np.full((len(self.json["nodes"]), 4, 4), np.nan)

        def visit(index: int, above: np.ndarray) -> None:
            node = self.json["nodes"][index] | moved.get(index, {})
            local = np.eye(4)
            local[:3, :3] = _matrix(np.array(node.get("rotation", (0, 0, 0, 1))))
            local[:3, 3] = node.get("translation", (0, 0, 0))
            out[index] = above @ local
            for child in node.get("children", ()):
                visit(child, out[index])

        for root in self.json["scenes"][0]["nodes"]:
            visit(root, np.eye(4))
        return out

    def joints(self, time: float | None = None) -> dict[str, np.ndarray]:
        """Positions of the nodes that are joints, by name."""
        where = self.globals(time)
        nodes = self.json["skins"][0]["joints"]
        return {self.json["nodes"][node]["name"]: where[node, :3, 3] for node in nodes}

    def vertices(self, time: float | None = None) -> np.ndarray:
        """[vertices, 3]: morphed, then skinned."""
        where, skin, read = self.globals(time), self.json["skins"][0], self.attributes
        holder = next(i for i, node in enumerate(self.json["nodes"]) if "mesh" in node)
        weights = self.mesh.get("weights", [])
        if time is not None:
            weights = self.at(time).get(holder, {}).get("weights", weights)
        points = read["POSITION"].astype(float)
        for weight, target in zip(weights, self.mesh["primitives"][0].get("targets", [])):
            points = points + weight * self.accessor(target["POSITION"])
        inverse = self.accessor(skin["inverseBindMatrices"]).transpose(0, 2, 1).astype(float)
        moving = where[skin["joints"]] @ inverse
        blended = np.einsum("vk,vkij->vij", read["WEIGHTS_0"].astype(float), moving[read["JOINTS_0"]])
        return np.einsum("vij,vj->vi", blended[:, :3], np.pad(points, ((0, 0), (0, 1)), constant_values=1))


def check_structure(glb: Glb) -> None:
    """Everything the specification asks of the parts that are used, beyond what reading has checked."""
    document, used = glb.json, set()
    assert document["asset"]["version"] == "2.0" and document["buffers"] == [{"byteLength": glb.length}]
    for view in document["bufferViews"]:
        assert view["byteOffset"] % 4 == 0 and view["byteOffset"] + view["byteLength"] <= glb.length
    for index, accessor in enumerate(document["accessors"]):
        values = glb.accessor(index)
        assert len(values) == accessor["count"] > 0 and np.isfinite(values).all()
        if "min" in accessor:
            assert np.array_equal(np.atleast_1d(values.min(0)), np.array(accessor["min"], values.dtype))
            assert np.array_equal(np.atleast_1d(values.max(0)), np.array(accessor["max"], values.dtype))
    parents = [child for node in document["nodes"] for child in node.get("children", ())]
    assert sorted([*parents, *document["scenes"][0]["nodes"]]) == list(range(len(document["nodes"])))  # one tree each
    for animation in document["animations"]:
        targets = [(channel["target"]["node"], channel["target"]["path"]) for channel in animation["channels"]]
        assert len(set(targets)) == len(targets)
        for channel in animation["channels"]:
            sampler = animation["samplers"][channel["sampler"]]
            times, rows = glb.accessor(sampler["input"]), glb.accessor(sampler["output"])
            assert times[0] >= 0 and (np.diff(times) > 0).all()
            assert {"min", "max"} <= document["accessors"][sampler["input"]].keys()
            width = len(document["meshes"][0].get("weights", [])) if channel["target"]["path"] == "weights" else 1
            assert len(rows) == len(times) * width
            if channel["target"]["path"] == "rotation":
                assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
                assert ((rows[1:] * rows[:-1]).sum(1) >= 0).all()  # the sign runs on
            used |= {sampler["input"], sampler["output"]}
    for mesh in document.get("meshes", ()):
        primitive = mesh["primitives"][0]
        read = glb.attributes
        assert {"min", "max"} <= document["accessors"][primitive["attributes"]["POSITION"]].keys()
        assert len({len(values) for values in read.values()}) == 1
        assert np.allclose(np.linalg.norm(read["NORMAL"], axis=1), 1, atol=1e-5)
        assert np.abs(read["WEIGHTS_0"].sum(1, dtype=float) - 1).max() < 2e-7 and read["WEIGHTS_0"].min() >= 0
        assert read["JOINTS_0"].max() < len(document["skins"][0]["joints"])
        assert (read["JOINTS_0"][read["WEIGHTS_0"] == 0] == 0).all()
        assert glb.accessor(primitive["indices"]).max() < len(read["POSITION"])
        assert len(mesh.get("weights", [])) == len(primitive.get("targets", []))
        used |= {primitive["indices"], *primitive["attributes"].values()}
        used |= {target["POSITION"] for target in primitive.get("targets", ())}
    used |= {skin["inverseBindMatrices"] for skin in document.get("skins", ())}
    assert used == set(range(len(document["accessors"])))


def _matrix(q: np.ndarray) -> np.ndarray:
    x, y, z, w = q / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def _slerp(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    cosine = float(np.clip(a @ b, -1, 1))
    b, cosine = (-b, -cosine) if cosine < 0 else (b, cosine)
    angle = np.arccos(min(cosine, 1.0))
    if angle < 1e-6:
        return a
    return (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
