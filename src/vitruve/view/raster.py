"""Which triangle is seen at each pixel: a z-buffer in numpy, without a display or a graphics driver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitruve.view.viewpoint import Viewpoint

# Pixels tested at a time: bounds the memory, at about 200 bytes each.
_BATCH = 250_000
# A pixel centre this far outside an edge (as a share of the triangle) still counts: rounding leaves no pinholes.
_EDGE = -1e-9


@dataclass(frozen=True)
class Raster:
    """What is seen at each pixel.

    Attributes:
        face: [height, width] index of the nearest triangle, -1 where there is none.
        depth: [height, width] metres along the line of sight, inf where there is nothing.
        weights: [height, width, 3] weights of the triangle's corners, right in perspective; their sum is one.
    """

    face: NDArray[np.int64]
    depth: NDArray[np.float64]
    weights: NDArray[np.float64]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """[height, width], True where something is seen."""
        return self.face >= 0


def rasterise(
    vertices: ArrayLike,
    faces: ArrayLike,
    viewpoint: Viewpoint,
    size: tuple[int, int],
    cull: bool = True,
    near: float = 0.01,
) -> Raster:
    """Find the nearest triangle at every pixel centre.

    Args:
        vertices: [vertices, 3] metres.
        faces: [faces, 3] vertex indices, counter-clockwise seen from outside.
        viewpoint: where it is seen from.
        size: width and height in pixels.
        cull: leave out triangles seen from behind.
        near: triangles with a corner nearer than this to the eye (or behind it) are left out, metres.
    """
    width, height = size
    faces = np.asarray(faces, np.int64).reshape(-1, 3)
    screen, depth = viewpoint.project(np.asarray(vertices, np.float64), size)
    triangles = _Triangles.visible(screen, depth, faces, size, cull, near)
    # Inverse depth (linear on the screen) in the upper half of the key, the triangle in the lower: the largest key is
    # the nearest, and where two are equally near the result does not depend on the batches.
    keys = np.zeros(height * width, np.uint64)
    for owner, x, y in triangles.candidates():
        a, b, c = triangles.at(owner, x, y)
        inside = (a >= _EDGE) & (b >= _EDGE) & (c >= _EDGE)
        owner, x, y = owner[inside], x[inside], y[inside]
        inverse = triangles.inverse_depth[owner]
        inverse = a[inside] * inverse[:, 0] + b[inside] * inverse[:, 1] + c[inside] * inverse[:, 2]
        key = inverse.astype(np.float32).view(np.uint32).astype(np.uint64) << np.uint64(32)
        np.maximum.at(keys, y * width + x, key | owner.astype(np.uint64))

    seen = np.flatnonzero(keys)
    owner = (keys[seen] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    flat = np.stack(triangles.at(owner, seen % width, seen // width), -1).clip(0)
    flat = flat * triangles.inverse_depth[owner]
    total = flat.sum(-1, keepdims=True)
    face, distance, weights = (
        np.full(height * width, -1, np.int64),
        np.full(height * width, np.inf),
        np.zeros((height * width, 3)),
    )
    weights[seen] = flat / total
    face[seen] = triangles.face[owner]
    distance[seen] = (weights[seen] * depth[faces[face[seen]]]).sum(-1)
    return Raster(face.reshape(height, width), distance.reshape(height, width), weights.reshape(height, width, 3))


@dataclass(frozen=True)
class _Triangles:
    """Triangles that can be seen: corner weights as linear functions of the pixel, and the pixels each may cover."""

    face: NDArray[np.int64]  # [n] index in the mesh
    linear: NDArray[np.float64]  # [n, 2, 3]: weights of the first two corners = x, y, 1 times these
    inverse_depth: NDArray[np.float64]  # [n, 3]
    first: NDArray[np.int64]  # [n, 2] first pixel x, y
    span: NDArray[np.int64]  # [n, 2] columns, rows

    @classmethod
    def visible(
        cls,
        screen: NDArray[np.float64],
        depth: NDArray[np.float64],
        faces: NDArray[np.int64],
        size: tuple[int, int],
        cull: bool,
        near: float,
    ) -> _Triangles:
        corners = screen[faces]
        edge1, edge2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        area = edge1[:, 0] * edge2[:, 1] - edge1[:, 1] * edge2[:, 0]
        # Pixel rows run downwards, so a triangle that is counter-clockwise to the viewer has a negative area here.
        facing = area < 0 if cull else area != 0
        ok = facing & (depth[faces] > near).all(1) & np.isfinite(corners).all((1, 2))
        bounds = np.where(ok[:, None, None], corners, 0.0)
        first = np.ceil(bounds.min(1) - 0.5).clip(0, size).astype(np.int64)
        last = np.floor(bounds.max(1) - 0.5).clip(-1, np.subtract(size, 1)).astype(np.int64)
        span = last - first + 1
        keep = np.flatnonzero(ok & (span > 0).all(1))
        corners, area = corners[keep], area[keep]

        def weight(a: int, b: int) -> NDArray[np.float64]:
            """Weight of the corner opposite the edge a-b as x, y, 1 coefficients."""
            (ax, ay), (bx, by) = corners[:, a].T, corners[:, b].T
            return np.stack([ay - by, bx - ax, ax * by - ay * bx], -1) / area[:, None]

        linear = np.stack([weight(1, 2), weight(2, 0)], 1) if len(keep) else np.zeros((0, 2, 3))
        return cls(keep, linear, 1 / depth[faces[keep]], first[keep], span[keep])

    def candidates(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
        """Pixels of the triangles' bounding boxes in batches: triangle, x, y."""
        counts = self.span.prod(1)
        ends = counts.cumsum()
        start = 0
        while start < len(counts):
            before = ends[start] - counts[start]
            stop = max(start + 1, int(np.searchsorted(ends, before + _BATCH, side="right")))
            owner = np.repeat(np.arange(start, stop), counts[start:stop])
            starts = ends[start:stop] - counts[start:stop] - before
            local = np.arange(len(owner)) - np.repeat(starts, counts[start:stop])
            row, column = np.divmod(local, self.span[owner, 0])
            yield owner, self.first[owner, 0] + column, self.first[owner, 1] + row
            start = stop

    def at(
        self, owner: NDArray[np.int64], x: NDArray[np.int64], y: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Corner weights on the screen of triangles at pixel centres."""
        linear = self.linear[owner]
        a = linear[:, 0, 0] * (x + 0.5) + linear[:, 0, 1] * (y + 0.5) + linear[:, 0, 2]
        b = linear[:, 1, 0] * (x + 0.5) + linear[:, 1, 1] * (y + 0.5) + linear[:, 1, 2]
        return a, b, 1 - a - b
