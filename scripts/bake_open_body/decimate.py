"""Mirrored half-edge-collapse decimation: fewer vertices, the same left as right, no vertex moved.

A half-edge collapse u -> v removes vertex u and joins its triangles to its neighbour v, so every vertex that stays
keeps its shape basis, weights and texture coordinates exactly. Each collapse on the left is done on the right too.
Texture seams stay: a vertex on a seam only slides along it.
"""

import heapq
from dataclasses import dataclass

import numpy as np

LENGTH_TERM = 0.03  # share of squared edge length in the cost: spreads the vertices evenly where the surface is flat
MOST_NEIGHBOURS, FLATTEST, NORMAL_TURN = 9, 0.10, 0.4
LOCKED = -1


@dataclass
class Mesh:
    """A triangle mesh that is being thinned. `corner` gives the texture vertex of (face, vertex)."""

    points: np.ndarray  # [V, 3]
    mirror: np.ndarray  # [V]
    faces: dict[int, tuple[int, int, int]]
    corner: dict[tuple[int, int], int]
    around: list[set[int]]  # faces around each vertex

    def neighbours(self, u: int) -> set[int]:
        return {w for f in self.around[u] for w in self.faces[f]} - {u}


def make_mesh(points, mirror, triangles, triangle_uv) -> Mesh:
    around = [set() for _ in points]
    corner = {}
    for f, (tri, uv) in enumerate(zip(triangles.tolist(), triangle_uv.tolist())):
        for v, t in zip(tri, uv):
            around[v].add(f)
            corner[f, v] = t
    return Mesh(points, mirror, dict(enumerate(map(tuple, triangles.tolist()))), corner, around)


def decimate(mesh: Mesh, region: np.ndarray, importance: np.ndarray, remove: dict[int, int]) -> None:
    """Thin in place. region [V]: which budget a vertex counts against, LOCKED ones stay; remove {region: how many}.

    Vertices of a region in `remove` may collapse onto any neighbour that is allowed by `_candidates`.
    importance [V] multiplies the cost of removing a vertex.
    """
    quadrics, area = _quadrics(mesh)
    left = dict(remove)
    heap: list[tuple[float, int, int, int]] = []
    stamp = np.zeros(len(mesh.points), int)

    def push(u: int) -> None:
        stamp[u] += 1
        if mesh.around[u] and left.get(int(region[u]), 0) > 0:
            for v in _candidates(mesh, u, region):
                q = quadrics[u] + quadrics[v]
                p = np.append(mesh.points[v], 1.0)
                length = mesh.points[u] - mesh.points[v]
                cost = importance[u] * (p @ q @ p + LENGTH_TERM * area[u] * (length @ length))
                heapq.heappush(heap, (cost, u, int(stamp[u]), v))

    one_side = [u for u in range(len(mesh.points)) if u <= mesh.mirror[u]]
    for u in one_side:
        push(u)
    while heap and any(left.values()):
        _, u, when, v = heapq.heappop(heap)
        r, twin = int(region[u]), int(mesh.mirror[u])
        if when != stamp[u] or left[r] < (1 if twin == u else 2) or not _allowed(mesh, u, v):
            continue
        touched = mesh.neighbours(u)
        for a, b in {(u, v), (twin, int(mesh.mirror[v]))}:
            quadrics[b] += quadrics[a]
            area[b] += area[a]
            _collapse(mesh, a, b)
            left[r] -= 1
        for w in {min(w, int(mesh.mirror[w])) for w in touched}:
            push(w)
    if any(left.values()):
        raise RuntimeError(f"decimation stopped short; still to remove: {left}")


def _quadrics(mesh: Mesh):
    """[V, 4, 4] sums of area times plane times plane^T around each vertex, and [V] a third of the area around it."""
    quadrics, area = np.zeros((len(mesh.points), 4, 4)), np.zeros(len(mesh.points))
    for tri in mesh.faces.values():
        a, b, c = mesh.points[list(tri)]
        normal = np.cross(b - a, c - a)
        size = np.linalg.norm(normal)
        if size > 0:
            plane = np.append(normal, -normal @ a) / size
            for v in tri:
                quadrics[v] += 0.5 * size * np.outer(plane, plane)
                area[v] += size / 6
    return quadrics, area


def _candidates(mesh: Mesh, u: int, region: np.ndarray) -> list[int]:
    """Neighbours that u may collapse onto: a mid-line vertex stays on the mid-line, a ring vertex on its ring."""
    mid, twin = mesh.mirror[u] == u, mesh.mirror[u]
    out = [v for v in mesh.neighbours(u) if v != twin and (not mid or mesh.mirror[v] == v)]
    if region[u] > 0 and region[u] % 2:  # odd regions are rings: along the ring only
        out = [v for v in out if region[v] == region[u]]
    return sorted(out)


def _allowed(mesh: Mesh, u: int, v: int) -> bool:
    twin, other = int(mesh.mirror[u]), int(mesh.mirror[v])
    if not _shared(mesh, u, v) or not _sound(mesh, u, v):
        return False
    if twin == u:
        return True
    near, near_twin = mesh.neighbours(u), mesh.neighbours(twin)
    if mesh.around[u] & mesh.around[twin] or not (near & near_twin) <= (mesh.neighbours(v) | {v}):
        return False  # the two collapses would disturb one another
    return _sound(mesh, twin, other)


def _shared(mesh: Mesh, u: int, v: int) -> set[int]:
    return mesh.around[u] & mesh.around[v]


def _sound(mesh: Mesh, u: int, v: int) -> bool:
    """Would u -> v keep the mesh manifold, the seams whole and the triangles neither flipped nor slivers?"""
    shared = _shared(mesh, u, v)
    common = mesh.neighbours(u) & mesh.neighbours(v)
    if len(shared) != 2 or len(common) != 2 or any(len(mesh.around[w]) <= 4 for w in common):
        return False
    if len(mesh.around[u]) + len(mesh.around[v]) - 4 > MOST_NEIGHBOURS:
        return False
    slide: dict[int, int] = {}
    for f in shared:
        a, b = mesh.corner[f, u], mesh.corner[f, v]
        if slide.setdefault(a, b) != b:
            return False
    if len(set(slide.values())) != len(slide):
        return False
    p = mesh.points
    for f in mesh.around[u] - shared:
        if mesh.corner[f, u] not in slide:
            return False
        old, new = p[list(mesh.faces[f])], p[[v if w == u else w for w in mesh.faces[f]]]
        n0, n1 = np.cross(old[1] - old[0], old[2] - old[0]), np.cross(new[1] - new[0], new[2] - new[0])
        longest = max(((new[i] - new[i - 1]) ** 2).sum() for i in range(3))
        size = np.sqrt(n1 @ n1)
        if size < FLATTEST * longest or n0 @ n1 < NORMAL_TURN * size * np.sqrt(n0 @ n0):
            return False
    return True


def _collapse(mesh: Mesh, u: int, v: int) -> None:
    shared = _shared(mesh, u, v)
    slide = {mesh.corner[f, u]: mesh.corner[f, v] for f in shared}
    for f in shared:
        for w in mesh.faces[f]:
            mesh.around[w].discard(f)
        del mesh.faces[f]
    for f in mesh.around[u]:
        mesh.faces[f] = tuple(v if w == u else w for w in mesh.faces[f])
        mesh.corner[f, v] = slide[mesh.corner.pop((f, u))]
        mesh.around[v].add(f)
    mesh.around[u] = set()


def result(mesh: Mesh):
    """(kept vertex ids [K], triangles [F, 3] of those ids, texture triangles [F, 3])."""
    triangles = np.array(list(mesh.faces.values()))
    uv = np.array([[mesh.corner[f, v] for v in tri] for f, tri in mesh.faces.items()])
    return np.unique(triangles), triangles, uv
