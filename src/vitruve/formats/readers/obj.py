"""OBJ meshes: vertices and faces in file order; textures, normals, groups and materials are ignored."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from vitruve.errors import BadData
from vitruve.formats.readers.plain_text import check_finite, damaged, numbers


def parse_obj(data: bytes, where: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Parse an OBJ file; `where` is its name in errors.

    Returns:
        [vertices, 3] unchanged, and [faces, 3] from 0; polygons are split into triangle fans.
    """
    lines = re.sub(rb"\\\r?\n", b" ", data).split(b"\n")
    if any(line[:1] in (b" ", b"\t") for line in lines):
        lines = [line.lstrip() for line in lines]
    vertex_lines = [line[2:] for line in lines if line.startswith((b"v ", b"v\t"))]
    if not vertex_lines:
        raise damaged("the OBJ file has no vertices", where, "check that it is a complete OBJ file")
    vertices = rectangle(vertex_lines)
    if vertices is None or vertices.shape[1] not in (3, 4, 6, 7):  # with a weight, a colour, or both
        raise _bad_line(lines, where)
    check_finite(vertices, "a vertex", f"{where}, vertex {{}}".format)
    return vertices[:, :3].copy(), _faces(lines, len(vertices), where)


def format_obj(vertices: NDArray[np.floating], faces_text: str, comment: str = "") -> str:
    """The text of an OBJ file at full precision; `faces_text` comes from `format_faces`."""
    head = f"# {comment}\n" if comment else ""
    row = "v %.9g %.9g %.9g" if vertices.dtype == np.float32 else "v %.17g %.17g %.17g"
    return head + "\n".join([row % tuple(vertex) for vertex in vertices.tolist()]) + "\n" + faces_text


def format_faces(faces: NDArray[np.integer]) -> str:
    """The face lines of an OBJ file."""
    return "".join(f"f {a} {b} {c}\n" for a, b, c in (faces + 1).tolist())


def rectangle(lines: list[bytes]) -> NDArray[np.float64] | None:
    """The numbers of lines that all have the same count, or None."""
    values, width = numbers(b"\n".join(lines)), len(lines[0].split())
    # The reshape is only safe if all lines have the same number of words.
    if values is None or values.size != width * len(lines) or not width:
        return None
    return values.reshape(-1, width) if all(len(line.split()) == width for line in lines) else None


def _faces(lines: list[bytes], vertices: int, where: str) -> NDArray[np.int64]:
    face_lines = [line for line in lines if line.startswith((b"f ", b"f\t"))]
    if not face_lines:
        return np.zeros((0, 3), np.int64)
    corners = [re.sub(rb"/\S*", b"", line[2:]) for line in face_lines]
    sizes = np.array([len(line.split()) for line in corners])
    try:
        flat = np.array(b" ".join(corners).split(), dtype=np.int64)
    except (ValueError, OverflowError):
        raise _bad_line(lines, where) from None
    if sizes.min() < 3:
        raise _bad_line(lines, where)
    if (flat < 0).any():
        # Negative indices count back from the vertices read so far.
        seen = np.cumsum([line.startswith((b"v ", b"v\t")) for line in lines])
        so_far = seen[[i for i, line in enumerate(lines) if line.startswith((b"f ", b"f\t"))]]
        flat = np.where(flat < 0, flat + np.repeat(so_far, sizes) + 1, flat)
    return fans(flat, sizes, vertices, where, first=1)


def fans(
    corners: NDArray[np.int64], sizes: NDArray[np.integer], vertices: int, where: str, first: int
) -> NDArray[np.int64]:
    """Triangles [triangles, 3] of polygons, each a fan around its polygon's first corner, counted from 0.

    Args:
        corners: vertex numbers of all polygons, one after the other.
        sizes: corners of each polygon, at least 3.
        vertices: how many there are; a number outside is an error.
        where: name of the file in errors.
        first: number of the first vertex in the file, 0 or 1.
    """
    corners = corners - first
    if corners.min() < 0 or corners.max() >= vertices:
        outside = corners[(corners < 0) | (corners >= vertices)][0] + first
        where = f"{where}: {outside} of {vertices}, counted from {first}"
        raise damaged("a face names a vertex that does not exist", where)
    starts = np.cumsum(sizes) - sizes
    counts = np.asarray(sizes) - 2
    start = np.repeat(starts, counts)
    step = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.stack([corners[start], corners[start + step + 1], corners[start + step + 2]], -1)


def _bad_line(lines: list[bytes], where: str) -> BadData:
    """Find the invalid line."""
    width = None
    for number, line in enumerate(lines, start=1):
        key, *words = line.split() or [b""]
        here = f"{where}, line {number}: '{line[:40].decode('ascii', 'replace').strip()}'"
        if key == b"v":
            try:
                [float(word) for word in words]
            except ValueError:
                return damaged("a vertex is not numbers", here)
            width = width or len(words)
            if len(words) not in (3, 4, 6, 7) or len(words) != width:
                return damaged(f"a vertex has {len(words)} numbers", here)
        elif key == b"f":
            if len(words) < 3:
                return damaged(f"a face has {len(words)} corners", here)
            if not all(re.fullmatch(rb"-?\d{1,18}(/\S*)?", word) for word in words):
                return damaged("a face is not vertex numbers", here)
    return damaged("the OBJ file is invalid", where)
