"""PLY meshes, ASCII and binary: vertex positions and faces in file order."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vitruve.errors import BadData
from vitruve.formats.readers.obj import fans

_FIX = "export or copy the file anew"
_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}


@dataclass
class _Element:
    """One element of the header; a property is (name, type, type of a list's length or empty)."""

    name: str
    count: int
    properties: list[tuple[str, str, str]] = field(default_factory=list)


# Values of an element by property: an array, or for a list property (concatenated values, length of each).
Values = dict[str, tuple[NDArray[np.float64], NDArray[np.int64] | None]]


def parse_ply(data: bytes, where: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Parse a PLY file.

    Args:
        data: the file.
        where: its name in errors.

    Returns:
        [vertices, 3] unchanged, and [faces, 3]; polygons are split into triangle fans.
    """
    order, elements, body = _header(data, where)
    found: dict[str, Values] = {}
    for element in elements:
        if order:
            found[element.name], body = _binary(element, body, order, where)
        else:
            found[element.name], body = _ascii(element, body, where)
        if "face" in found and "vertex" in found:
            break
    axes = [found.get("vertex", {}).get(axis) for axis in "xyz"]
    if any(axis is None or axis[1] is not None for axis in axes) or not len(axes[0][0]):  # type: ignore[index]
        raise BadData("the PLY file has no vertices with x, y and z", where=where, fix=_FIX)
    vertices = np.stack([axis[0] for axis in axes if axis is not None], -1)
    if not np.isfinite(vertices).all():
        vertex = int(np.flatnonzero(~np.isfinite(vertices).all(1))[0])
        raise BadData("a vertex is not finite", where=f"{where}, vertex {vertex}", fix=_FIX)
    faces = found.get("face", {})
    corners = faces.get("vertex_indices", faces.get("vertex_index"))
    if corners is None or corners[1] is None or not len(corners[1]):
        return vertices, np.zeros((0, 3), np.int64)
    flat, sizes = corners[0].astype(np.int64), corners[1]
    if sizes.min() < 3:
        raise BadData(f"a face has {sizes.min()} corners", where=f"{where}, face {int(sizes.argmin())}", fix=_FIX)
    if flat.min() < 0 or flat.max() >= len(vertices):
        corner = int(flat.min() if flat.min() < 0 else flat.max())
        where = f"{where}: {corner}, counted from 0, of {len(vertices)}"
        raise BadData("a face names a vertex that is not there", where=where, fix=_FIX)
    return vertices, fans(flat, sizes)


def format_ply(vertices: NDArray[np.floating], faces: NDArray[np.integer], comment: str = "") -> bytes:
    """A binary little-endian PLY file with vertices in their own precision, and an ASCII comment."""
    single = vertices.dtype == np.float32
    kind = "float" if single else "double"
    header = ["ply", "format binary_little_endian 1.0", *([f"comment {comment}"] if comment else [])]
    header.append(f"element vertex {len(vertices)}")
    header += [f"property {kind} {axis}" for axis in "xyz"]
    header += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header", ""]
    rows = np.empty(len(faces), dtype=[("n", "u1"), ("corners", "<i4", 3)])
    rows["n"], rows["corners"] = 3, faces
    return "\n".join(header).encode() + vertices.astype("<f4" if single else "<f8").tobytes() + rows.tobytes()


def _header(data: bytes, where: str) -> tuple[str, list[_Element], bytes]:
    """The byte order ("" for ASCII), the elements, and what follows the header."""
    if not data.startswith((b"ply\n", b"ply\r")):
        raise BadData("this is not a PLY file", where=f"{where}: it does not begin with 'ply'", fix="check the file")
    end = data.find(b"end_header")
    stop = data.find(b"\n", end)
    if end < 0 or stop < 0:
        raise BadData("the PLY header breaks off", where=where, fix=_FIX)
    order, elements = None, []
    for number, line in enumerate(data[:end].decode("ascii", "replace").splitlines()[1:], start=2):
        here = f"{where}, line {number}: '{line[:60]}'"
        match line.split():
            case [] | ["comment" | "obj_info", *_]:
                continue
            case ["format", name, "1.0"] if name in _FORMATS:
                order = _FORMATS[name]
            case ["element", name, count] if count.isdigit() and len(count) < 19:
                elements.append(_Element(name, int(count)))
            case ["property", "list", length, kind, name] if elements and {length, kind} <= set(_TYPES):
                elements[-1].properties.append((name, _TYPES[kind], _TYPES[length]))
            case ["property", kind, name] if elements and kind in _TYPES:
                elements[-1].properties.append((name, _TYPES[kind], ""))
            case _:
                raise BadData("a line of the PLY header cannot be understood", where=here, fix=_FIX)
    if order is None:
        raise BadData("the PLY header names no format", where=where, fix=_FIX)
    return order, elements, data[stop + 1 :]


def _too_short(element: _Element, where: str) -> BadData:
    announced = f"{where}: {element.count} of '{element.name}' announced"
    return BadData("the PLY file is shorter than its header says", where=announced, fix=_FIX)


def _binary(element: _Element, body: bytes, order: str, where: str) -> tuple[Values, bytes]:
    if element.count == 0:
        return {}, body
    # Fast path: all lists have the length of the first one, as in nearly every file.
    lengths, at = [], 0
    for _, kind, length in element.properties:
        count = 1
        if length:
            size = int(length[1])
            if at + size > len(body):
                raise _too_short(element, where)
            count = int(np.frombuffer(body, order + length, 1, at)[0])
            at += size
        lengths.append(count)
        at += max(count, 0) * int(kind[1])
    if at * element.count <= len(body) and min(lengths) >= 0:
        dtype = []
        for i, ((_, kind, length), count) in enumerate(zip(element.properties, lengths, strict=True)):
            dtype += [(f"n{i}", order + length)] * bool(length) + [(f"v{i}", order + kind, (count,))]
        rows = np.frombuffer(body, np.dtype(dtype), element.count)
        lists = [(i, count) for i, count in enumerate(lengths) if element.properties[i][2]]
        if all((rows[f"n{i}"] == count).all() for i, count in lists):
            values: Values = {}
            for i, (name, _, length) in enumerate(element.properties):
                sizes = np.full(element.count, lengths[i]) if length else None
                values[name] = (rows[f"v{i}"].reshape(-1).astype(np.float64), sizes)
            return values, body[at * element.count :]
    return _binary_one_by_one(element, body, order, where)


def _binary_one_by_one(element: _Element, body: bytes, order: str, where: str) -> tuple[Values, bytes]:
    """Elements whose lists differ in length."""
    smallest = sum(int((length or kind)[1]) for _, kind, length in element.properties)
    if smallest * element.count > len(body):
        raise _too_short(element, where)
    parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name, _, _ in element.properties}
    at = 0
    for _ in range(element.count):
        for name, kind, length in element.properties:
            count = 1
            if length:
                if at + int(length[1]) > len(body):
                    raise _too_short(element, where)
                count = int(np.frombuffer(body, order + length, 1, at)[0])
                at += int(length[1])
            if count < 0 or at + count * int(kind[1]) > len(body):
                raise _too_short(element, where)
            parts[name].append(np.frombuffer(body, order + kind, count, at).astype(np.float64))
            at += count * int(kind[1])
    return _joined(element, parts), body[at:]


def _ascii(element: _Element, body: bytes, where: str) -> tuple[Values, bytes]:
    if 2 * element.count > len(body) + 1:
        raise _too_short(element, where)
    lines = body.lstrip().split(b"\n", element.count)
    rest = lines.pop() if len(lines) > element.count else b""
    if len(lines) < element.count:
        raise _too_short(element, where)
    parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name, _, _ in element.properties}
    scalars = not any(length for _, _, length in element.properties)
    try:
        table = [np.array(line.split(), dtype=np.float64) for line in lines]
    except ValueError:
        raise BadData(f"a value of '{element.name}' is no number", where=where, fix=_FIX) from None
    if scalars and all(len(row) == len(element.properties) for row in table):
        columns = np.array(table).reshape(element.count, -1).T
        return {name: (columns[i], None) for i, (name, _, _) in enumerate(element.properties)}, rest
    for number, row in enumerate(table):
        at = 0
        for name, _, length in element.properties:
            count = 1
            if length:
                announced = row[at] if at < len(row) else -1.0
                count = int(announced) if 0 <= announced < len(row) else len(row)  # the latter is more than is left
                at += 1
            if at + count > len(row):
                here = f"{where}, {element.name} {number}"
                raise BadData(f"an element has {len(row)} values, fewer than it needs", where=here, fix=_FIX)
            parts[name].append(row[at : at + count])
            at += count
    return _joined(element, parts), rest


def _joined(element: _Element, parts: dict[str, list[NDArray[np.float64]]]) -> Values:
    values: Values = {}
    for name, _, length in element.properties:
        flat = np.concatenate(parts[name]) if parts[name] else np.zeros(0)
        values[name] = (flat, np.array([len(part) for part in parts[name]], dtype=np.int64) if length else None)
    return values
