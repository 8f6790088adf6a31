"""The source surface: symmetric triangles, named regions, and points that lie on it by barycentric coordinates."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from makehuman import Source
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

REGIONS = (
    *("body", "head", "left_hand", "right_hand", "left_foot", "right_foot"),
    *("mouth_cavity", "eye_sockets", "left_eye", "right_eye"),
)
# MakeHuman's texture islands from the one with most triangles to the one with fewest.
_ISLANDS = ("body", "head", "hand", "hand", "foot", "foot", "mouth_cavity", "eye_sockets", "eye_sockets") + 4 * ("eye",)
# Where islands meet, the later one owns the vertices.
_OWNERS = ("mouth_cavity", "eye_sockets", "body", "left_foot", "right_foot", "left_hand", "right_hand", "head")
_OWNERS += ("left_eye", "right_eye")


@dataclass(frozen=True)
class Surface:
    """The part of the source mesh that is kept, numbered 0..V-1: skin, mouth cavity, eye sockets and both eyeballs."""

    ids: np.ndarray  # [V] the source's vertex ids
    mirror: np.ndarray  # [V]
    triangles: np.ndarray  # [F, 3] symmetric
    triangle_uv: np.ndarray  # [F, 3] rows of uv
    uv: np.ndarray  # [T, 2]
    regions: np.ndarray  # [V] rows of REGIONS
    triangle_regions: np.ndarray  # [F]


def make_surface(source: Source) -> Surface:
    ids = np.unique(source.quads)
    number = np.full(len(source.vertices), -1)
    number[ids] = np.arange(len(ids))
    triangles, triangle_uv = _split_quads(source)
    triangle_regions = _name_islands(triangle_uv, source.vertices[triangles].mean(1))
    triangles = number[triangles]
    regions = np.zeros(len(ids), int)
    for name in _OWNERS:
        regions[triangles[triangle_regions == REGIONS.index(name)]] = REGIONS.index(name)
    return Surface(ids, number[source.mirror[ids]], triangles, triangle_uv, source.uv, regions, triangle_regions)


def _split_quads(source: Source):
    """Cut every quad along its shorter diagonal; a quad and its mirror image are cut alike."""
    quads, v = source.quads, source.vertices
    mirrored = source.mirror[quads]
    lengths = [np.linalg.norm(v[q[:, a]] - v[q[:, b]], axis=1) for q in (quads, mirrored) for a, b in ((0, 2), (1, 3))]
    first = lengths[0] + lengths[2] <= lengths[1] + lengths[3] + 1e-9
    order = np.where(first[:, None, None], [[0, 1, 2], [0, 2, 3]], [[0, 1, 3], [1, 2, 3]])
    rows = np.arange(len(quads))[:, None, None]
    return quads[rows, order].reshape(-1, 3), source.quad_uv[rows, order].reshape(-1, 3)


def _name_islands(triangle_uv: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """[F] the region of each triangle, from the texture island it lies in."""
    edges = np.concatenate([triangle_uv[:, [0, 1]], triangle_uv[:, [1, 2]]])
    _, labels = connected_components(adjacency(edges, triangle_uv.max() + 1), directed=False)
    island = labels[triangle_uv[:, 0]]
    names, sizes = np.unique(island, return_counts=True)
    regions = np.zeros(len(triangle_uv), int)
    for name, label in zip(_ISLANDS, names[np.argsort(-sizes, kind="stable")], strict=True):
        mine = island == label
        side = "left_" if centres[mine, 0].mean() > 0 else "right_"
        regions[mine] = REGIONS.index(name if name in REGIONS else side + name)
    return regions


def adjacency(edges: np.ndarray, count: int) -> sparse.csr_matrix:
    """Symmetric 0/1 matrix of [E, 2] edges."""
    both = np.concatenate([edges, edges[:, ::-1]])
    matrix = sparse.coo_matrix((np.ones(len(both)), both.T), (count, count)).tocsr()
    matrix.data[:] = 1
    return matrix


def edges_of(triangles: np.ndarray) -> np.ndarray:
    """[E, 2] the edges of triangles, each once."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    return np.unique(np.sort(edges, axis=1), axis=0)


def face_normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[F, 3] not normalised: twice the area long."""
    a, b, c = (points[triangles[:, i]] for i in range(3))
    return np.cross(b - a, c - a)


def vertex_normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[V, 3] unit normals, area weighted."""
    normals = face_normals(points, triangles)
    total = np.zeros_like(points)
    for i in range(3):
        np.add.at(total, triangles[:, i], normals)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)


def vertex_areas(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[V] a third of the area of the triangles around each vertex, m^2."""
    thirds = np.linalg.norm(face_normals(points, triangles), axis=1) / 6
    return np.bincount(triangles.ravel(), np.repeat(thirds, 3), len(points))


def closest_on_triangle(p: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """[N, 3] barycentric coordinates of the points of triangles (a, b, c) closest to the points p, all [N, 3]."""
    best = np.zeros((len(p), 3))
    best_distance = np.full(len(p), np.inf)

    def consider(weights: np.ndarray) -> None:
        nonlocal best, best_distance
        at = weights[:, :1] * a + weights[:, 1:2] * b + weights[:, 2:] * c
        distance = ((at - p) ** 2).sum(1)
        better = distance < best_distance - 1e-18
        best[better], best_distance[better] = weights[better], distance[better]

    corners = (a, b, c)
    for i in range(3):  # along each edge, its ends included
        k = (i + 1) % 3
        edge = corners[k] - corners[i]
        t = ((p - corners[i]) * edge).sum(1) / np.maximum((edge**2).sum(1), 1e-18)
        weights = np.zeros((len(p), 3))
        weights[:, k] = np.clip(t, 0, 1)
        weights[:, i] = 1 - weights[:, k]
        consider(weights)
    u, v, w = b - a, c - a, p - a
    uu, uv, vv, wu, wv = ((x * y).sum(1) for x, y in ((u, u), (u, v), (v, v), (w, u), (w, v)))
    det = np.maximum(uu * vv - uv * uv, 1e-24)
    s, t = (vv * wu - uv * wv) / det, (uu * wv - uv * wu) / det
    inside = (s >= 0) & (t >= 0) & (s + t <= 1)
    consider(np.where(inside[:, None], np.stack([1 - s - t, s, t], 1), [1.0, 0.0, 0.0]))
    return best


def project(points, normals, labels, target, triangles, triangle_labels, nearest: int = 24):
    """Closest points on a target surface, among triangles of the same label that face the same way.

    points, normals [N, 3], labels [N]; returns (triangle [N], barycentric [N, 3]).
    """
    centres = target[triangles].mean(1)
    face = face_normals(target, triangles)
    found, weights = np.zeros(len(points), int), np.zeros((len(points), 3))
    for label in np.unique(labels):
        rows, pool = np.flatnonzero(labels == label), np.flatnonzero(triangle_labels == label)
        tree = cKDTree(centres[pool])
        count = min(nearest, len(pool))
        near = pool[tree.query(points[rows], count)[1].reshape(len(rows), count)]
        flat = near.ravel()
        repeated = np.repeat(points[rows], count, axis=0)
        bary = closest_on_triangle(repeated, *(target[triangles[flat, i]] for i in range(3)))
        at = np.einsum("nk,nkc->nc", bary, target[triangles[flat]])
        distance = np.linalg.norm(at - repeated, axis=1)
        away = (face[flat] * np.repeat(normals[rows], count, axis=0)).sum(1) <= 0
        distance = (distance + 10.0 * away).reshape(len(rows), count)
        pick = distance.argmin(1)
        found[rows] = near[np.arange(len(rows)), pick]
        weights[rows] = bary.reshape(len(rows), count, 3)[np.arange(len(rows)), pick]
    return found, weights
