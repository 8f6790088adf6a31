"""Closest points on a triangle surface with matching normals and part labels. Plain numpy and scipy.

scipy is imported lazily: a cached map does not need it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
Bools = NDArray[np.bool_]

# Candidate triangles per point, nearest first in the space of positions and normals.
_CANDIDATES = 16
# A unit of difference between normals counts as this many metres when candidates are searched and compared.
_NORMAL_LENGTH = 0.02


@dataclass(frozen=True)
class Closest:
    """The closest surface point of each of n points.

    Attributes:
        face: [n] index of the triangle.
        bary: [n, 3] barycentric coordinates.
        positions, normals: [n, 3] metres, and unit length.
        distance: [n] metres.
        cosine: [n] of the angle between the normals.
        compatible: [n] False if no triangle of an allowed part was near; then it is the nearest of all.
        on_open_edge: [n] whether the point is on a boundary edge.
    """

    face: Ints
    bary: Floats
    positions: Floats
    normals: Floats
    distance: Floats
    cosine: Floats
    compatible: Bools
    on_open_edge: Bools


class ClosestPointMesh:
    """A triangle mesh with an index for closest points; `parts` [V] has the part of each vertex."""

    def __init__(self, vertices: Floats, faces: Ints, parts: Ints) -> None:
        from scipy.spatial import KDTree

        self.vertices, self.faces, self.parts = vertices, faces, parts
        self.normals = vertex_normals(vertices, faces)
        self.corners = vertices[faces]
        centres = self.corners.mean(1)
        self._face_parts = parts[faces]
        self._on_boundary = boundary_vertices(faces, len(vertices))[faces]
        self._tree = KDTree(np.hstack([centres, _NORMAL_LENGTH * _unit(_face_cross(self.corners))]))

    def closest(
        self, points: Floats, normals: Floats, allowed: Bools, parts: Ints, normal_length: float = 0
    ) -> Closest:
        """The closest surface point of each point.

        Args:
            points, normals: [n, 3] metres, and unit length.
            allowed: [point parts, surface parts] which parts may match.
            parts: [n] part of each point.
            normal_length: metres that a unit of difference between normals counts; 0 compares distances alone, among
                triangles that face the same way.
        """
        count = min(_CANDIDATES, len(self.faces))
        _, near = self._tree.query(np.hstack([points, _NORMAL_LENGTH * normals]), k=count)
        near = near.reshape(len(points), count)
        bary = closest_on_triangles(points[:, None], self.corners[near])
        positions = np.einsum("nkc,nkcx->nkx", bary, self.corners[near])
        surface_normals = _unit(np.einsum("nkc,nkcx->nkx", bary, self.normals[self.faces[near]]))
        squared = ((positions - points[:, None]) ** 2).sum(-1)
        cosine = np.einsum("nkx,nx->nk", surface_normals, normals)
        fits = np.any(allowed[parts[:, None, None], self._face_parts[near]], -1)
        cost = squared + normal_length**2 * (2 - 2 * cosine) + np.where(fits, 0, 1e3) + np.where(cosine > 0, 0, 1e2)
        row, best = np.arange(len(points)), np.argmin(cost, 1)
        face, at = near[row, best], bary[row, best]
        return Closest(
            face=face,
            bary=at,
            positions=positions[row, best],
            normals=surface_normals[row, best],
            distance=np.sqrt(squared[row, best]),
            cosine=cosine[row, best],
            compatible=fits[row, best],
            on_open_edge=np.all(self._on_boundary[face] | (at < 1e-6), 1) & np.any(at < 1e-6, 1),
        )


def closest_on_triangles(points: Floats, corners: Floats) -> Floats:
    """Barycentric coordinates [..., 3] of the points closest to `points` [..., 3] on triangles [..., 3 corners, 3]."""
    a, b, c = corners[..., 0, :], corners[..., 1, :], corners[..., 2, :]
    ab, ac, ap = b - a, c - a, points - a
    d1, d2 = (ab * ap).sum(-1), (ac * ap).sum(-1)
    aa, bb, cc = (ab * ab).sum(-1), (ab * ac).sum(-1), (ac * ac).sum(-1)
    area = np.maximum(aa * cc - bb * bb, 1e-30)
    v, w = (cc * d1 - bb * d2) / area, (aa * d2 - bb * d1) / area
    inside = np.stack([1 - v - w, v, w], -1)
    # Outside the triangle, the closest point is on one of the three edges: take the best of the three.
    best, best_squared = inside, np.where((inside >= 0).all(-1), -1.0, np.inf)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        start, edge = corners[..., i, :], corners[..., j, :] - corners[..., i, :]
        length = np.maximum((edge * edge).sum(-1), 1e-30)
        along = np.clip(((points - start) * edge).sum(-1) / length, 0, 1)
        squared = ((points - start - along[..., None] * edge) ** 2).sum(-1)
        on_edge = np.zeros(np.broadcast_shapes(inside.shape))
        on_edge[..., i], on_edge[..., j] = 1 - along, along
        better = squared < best_squared
        best = np.where(better[..., None], on_edge, best)
        best_squared = np.where(better, squared, best_squared)
    return best


def rays_hit(starts: Floats, directions: Floats, corners: Floats, length: float) -> Bools:
    """Whether rays hit a triangle within `length`: [n]. Starts [n, 3], unit directions [n, 3], corners [F, 3, 3]."""
    a, ab, ac = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    cross = np.cross(ab, ac)
    hit = np.zeros(len(starts), bool)
    for i, (start, direction) in enumerate(zip(starts, directions)):
        slope = cross @ direction
        slope = np.where(np.abs(slope) < 1e-12, np.nan, slope)
        away = start - a
        along = -(cross * away).sum(1) / slope
        side = np.cross(away, direction)
        v, w = -(ac * side).sum(1) / slope, (ab * side).sum(1) / slope
        # Ignore hits at the start itself, on the triangles around it.
        hit[i] = ((along > 1e-6) & (along < length) & (v >= 0) & (w >= 0) & (v + w <= 1)).any()
    return hit


def vertex_normals(vertices: Floats, faces: Ints) -> Floats:
    """Unit vertex normals, weighted by face area: [V, 3]."""
    return _unit(_sum_at_corners(_face_cross(vertices[faces]), faces, len(vertices)))


def vertex_areas(vertices: Floats, faces: Ints) -> Floats:
    """A third of the area of the faces around each vertex: [V] square metres."""
    areas = np.linalg.norm(_face_cross(vertices[faces]), axis=-1)[:, None] / 6
    return _sum_at_corners(areas, faces, len(vertices))[:, 0]


def boundary_vertices(faces: Ints, count: int) -> Bools:
    """Vertices on an edge with only one face: [V]."""
    edges, times = edges_of(faces)
    on_boundary = np.zeros(count, bool)
    on_boundary[edges[times == 1]] = True
    return on_boundary


def components(faces: Ints, count: int) -> Ints:
    """The connected component of each vertex: [V], 0 for the largest."""
    from scipy import sparse

    edges, _ = edges_of(faces)
    graph = sparse.coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    _, piece = sparse.csgraph.connected_components(graph, directed=False)
    order = np.argsort(-np.bincount(piece), kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[piece]


def edges_of(faces: Ints) -> tuple[Ints, Ints]:
    """Each edge once [E, 2], smaller index first, and its number of faces [E]."""
    ends = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64), axis=1)
    # Encode each edge as one number: sorting numbers is many times faster than sorting rows.
    base = int(ends.max(initial=0)) + 1
    numbers, times = np.unique(ends[:, 0] * base + ends[:, 1], return_counts=True)
    return np.stack(np.divmod(numbers, base), 1), times


def _face_cross(corners: Floats) -> Floats:
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def _sum_at_corners(values: Floats, faces: Ints, count: int) -> Floats:
    from scipy import sparse

    rows, columns = faces.ravel(), np.repeat(np.arange(len(faces)), 3)
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(count, len(faces))) @ values


def _unit(vectors: Floats) -> Floats:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-30)
