"""PLY meshes, ASCII and binary: vertex positions and faces in file order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitruve.errors import BadData
from vitruve.formats.readers.obj import fans, rectangle
from vitruve.formats.readers.plain_text import check_finite, damaged

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
    """Parse a PLY file; `where` is its name in errors.

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
    axes = [found.get("vertex", {}).get(axis, (np.zeros(0), None)) for axis in "xyz"]
    if any(sizes is not None or not len(values) for values, sizes in axes):
        raise damaged("the PLY file has no vertices with x, y and z", where)
    vertices = np.stack([values for values, _ in axes], -1)
    check_finite(vertices, "a vertex", f"{where}, vertex {{}}".format)
    faces = found.get("face", {})
    corners, sizes = faces.get("vertex_indices", faces.get("vertex_index", (np.zeros(0), None)))
    if sizes is None or not len(sizes):
        return vertices, np.zeros((0, 3), np.int64)
    if sizes.min() < 3:
        raise damaged(f"a face has {sizes.min()} corners", f"{where}, face {int(sizes.argmin())}")
    return vertices, fans(corners.astype(np.int64), sizes, len(vertices), where, first=0)


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
        raise damaged("this is not a PLY file", f"{where}: it does not begin with 'ply'", "check the file")
    end = data.find(b"end_header")
    stop = data.find(b"\n", end)
    if end < 0 or stop < 0:
        raise damaged("the PLY header ends early", where)
    order, elements = None, []
    for number, line in enumerate(data[:end].decode("ascii", "replace").splitlines()[1:], start=2):
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
                raise damaged("a line of the PLY header is invalid", f"{where}, line {number}: '{line[:60]}'")
    if order is None:
        raise damaged("the PLY header names no format", where)
    return order, elements, data[stop + 1 :]


def _too_short(element: _Element, where: str) -> BadData:
    return damaged("the PLY file is shorter than its header says", f"{where}: {element.count} of '{element.name}'")


def _binary(element: _Element, body: bytes, order: str, where: str) -> tuple[Values, bytes]:
    if element.count == 0:
        return {}, body
    # Fast path: all lists have the length of the first one, as in nearly every file.
    dtype: list[Any] = []
    lists: dict[str, int] = {}
    for i, (_, kind, length) in enumerate(element.properties):
        count = 1
        if length:
            at = np.dtype(dtype).itemsize
            if at + int(length[1]) > len(body):
                raise _too_short(element, where)
            count = lists[f"n{i}"] = int(np.frombuffer(body, order + length, 1, at)[0])
            dtype.append((f"n{i}", order + length))
        dtype.append((f"v{i}", order + kind, (max(count, 0),)))
    row = np.dtype(dtype)
    if row.itemsize * element.count <= len(body) and min(lists.values(), default=0) >= 0:
        rows = np.frombuffer(body, row, element.count)
        if all((rows[key] == count).all() for key, count in lists.items()):
            values: Values = {}
            for i, (name, _, length) in enumerate(element.properties):
                sizes = np.full(element.count, lists[f"n{i}"]) if length else None
                values[name] = (rows[f"v{i}"].reshape(-1).astype(np.float64), sizes)
            return values, body[row.itemsize * element.count :]
    smallest = sum(int((length or kind)[1]) for _, kind, length in element.properties)
    if smallest * element.count > len(body):
        raise _too_short(element, where)
    at = 0

    def take(_: int, kind: str, count: int) -> NDArray[np.float64]:
        nonlocal at
        begin, at = at, at + count * int(kind[1])
        if count < 0 or at > len(body):
            raise _too_short(element, where)
        return np.frombuffer(body, order + kind, count, begin)

    return _one_by_one(element, take), body[at:]


def _ascii(element: _Element, body: bytes, where: str) -> tuple[Values, bytes]:
    if 2 * element.count > len(body) + 1:
        raise _too_short(element, where)
    lines = body.lstrip().split(b"\n", element.count)
    rest = lines.pop() if len(lines) > element.count else b""
    if len(lines) < element.count:
        raise _too_short(element, where)
    if element.count and not any(length for _, _, length in element.properties):
        columns = rectangle(lines)
        if columns is not None and columns.shape[1] == len(element.properties):
            return {name: (columns[:, i], None) for i, (name, _, _) in enumerate(element.properties)}, rest
    used = [0] * element.count

    def take(number: int, _: str, count: int) -> NDArray[np.float64]:
        begin = used[number]
        end = used[number] = begin + count
        row = table[number]
        if not begin <= end <= len(row):
            what = f"an element has {len(row)} values, fewer than it needs"
            raise damaged(what, f"{where}, {element.name} {number}")
        return row[begin:end]

    try:
        table = [np.array(line.split(), dtype=np.float64) for line in lines]
        return _one_by_one(element, take), rest
    except (ValueError, OverflowError):
        raise damaged(f"a value of '{element.name}' is no number", where) from None


def _one_by_one(element: _Element, take: Callable[[int, str, int], NDArray[np.float64]]) -> Values:
    """Elements whose lists differ in length; `take` gives the next values: (element, type, count)."""
    parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name, _, _ in element.properties}
    for number in range(element.count):
        for name, kind, length in element.properties:
            count = int(take(number, length, 1)[0]) if length else 1
            parts[name].append(take(number, kind, count))
    values: Values = {}
    for name, _, length in element.properties:
        sizes = np.array([len(part) for part in parts[name]], dtype=np.int64) if length else None
        values[name] = (np.concatenate([np.zeros(0), *parts[name]]), sizes)
    return values
