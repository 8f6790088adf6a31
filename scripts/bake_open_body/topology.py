"""A body topology: which points of the source surface are its vertices, in which order, and how they are joined."""

from dataclasses import dataclass

import numpy as np
import rig
import scipy.sparse as sparse
from decimate import LOCKED, decimate, make_mesh, result
from surface import REGIONS, Surface, adjacency, edges_of, face_normals, project, vertex_normals

MANO_VERTICES, MANO_RING = 778, 16
# Ids that the smplx package and its kin hard-code (left side; "r" for the right), and those of the tips in MANO.
FIXED_IDS = {
    "smplh": {
        "nose": 332, "leye": 2800, "reye": 6260, "lear": 583, "rear": 4071,
        "lthumb": 2746, "lindex": 2319, "lmiddle": 2445, "lring": 2556, "lpinky": 2673,
        "rthumb": 6191, "rindex": 5782, "rmiddle": 5905, "rring": 6016, "rpinky": 6133,
        "lbigtoe": 3216, "lsmalltoe": 3226, "lheel": 3387, "rbigtoe": 6617, "rsmalltoe": 6624, "rheel": 6787,
    },
    "smplx": {
        "nose": 9120, "leye": 9448, "reye": 9929, "lear": 6, "rear": 616,
        "lthumb": 5361, "lindex": 4933, "lmiddle": 5058, "lring": 5169, "lpinky": 5286,
        "rthumb": 8079, "rindex": 7669, "rmiddle": 7794, "rring": 7905, "rpinky": 8022,
        "lbigtoe": 5770, "lsmalltoe": 5780, "lheel": 8846, "rbigtoe": 8463, "rsmalltoe": 8474, "rheel": 8635,
    },
}  # fmt: skip
MANO_TIPS = {"thumb": 744, "index": 320, "middle": 443, "ring": 554, "pinky": 671}
VERTICES = {"smplh": 6890, "smplx": 10475}
# How dearly a region's vertices are sold: the cost of removing them is multiplied by this.
IMPORTANCE = {
    "smplh": {"body": 1, "head": 200, "foot": 10, "cavity": 1},
    "smplx": {"body": 1, "head": 5, "foot": 2, "cavity": 0.1},
}
RELAX_STEPS, RELAX_SHARE = {"smplh": 8, "smplx": 0}, 0.5


@dataclass(frozen=True)
class Topology:
    """K vertices on a Surface. Vertex data of the source become vertex data here by `points @ data`."""

    name: str
    points: sparse.csr_matrix  # [K, V] barycentric coordinates
    triangles: np.ndarray  # [F, 3]
    mirror: np.ndarray  # [K]
    regions: np.ndarray  # [K] rows of REGIONS
    uv: np.ndarray  # [T, 2]
    uv_triangles: np.ndarray  # [F, 3]
    hands: tuple[np.ndarray, np.ndarray]  # the MANO part of the left and of the right hand, in MANO's order
    fixed: dict[str, int]


def landmarks(template: np.ndarray, joints: np.ndarray, tips: np.ndarray, weights: np.ndarray, surface: Surface):
    """{name: source vertex} for FIXED_IDS. template [V, 3], joints, tips (ends of bones) [55, 3] of the mean body."""
    v, named = template, {}
    region = np.array(REGIONS)[surface.regions]

    def pick(score: np.ndarray, where: np.ndarray) -> int:
        return int(np.flatnonzero(where)[score[where].argmax()])

    middle = surface.mirror == np.arange(len(v))
    skin = region == "head"
    brow = joints[rig.LEFT_EYE, 1]
    named["nose"] = pick(v[:, 2], middle & skin & (np.abs(v[:, 1] - brow + 0.035) < 0.02))
    named["leye"] = pick(v[:, 2], region == "left_eye")
    named["lear"] = pick(v[:, 0], skin & (np.abs(v[:, 1] - brow) < 0.04))
    for k, name in enumerate(("index", "middle", "pinky", "ring", "thumb")):
        joint = 27 + 3 * k
        axis = tips[joint] - joints[joint]
        axis /= np.linalg.norm(axis)
        offset = v - tips[joint]
        along = offset @ axis
        aside = np.linalg.norm(offset - np.outer(along, axis), axis=1)
        named["l" + name] = pick(along - aside, weights[:, joint] > 0.5)
    foot = region == "left_foot"
    front = foot & (v[:, 2] > joints[10, 2])
    named["lbigtoe"] = pick(v[:, 2], front & (v[:, 0] < joints[10, 0]))
    named["lsmalltoe"] = pick(v[:, 0] + 0.5 * v[:, 2], front)
    named["lheel"] = pick(-v[:, 2] - 0.5 * np.abs(v[:, 1] - v[foot, 1].min() - 0.02), foot)
    return named | {"r" + n[1:]: int(surface.mirror[i]) for n, i in named.items() if n[0] == "l"}


def make_topology(name: str, template: np.ndarray, wrist: float, surface: Surface, special: dict[str, int]) -> Topology:
    """Thin the source mesh (mean body `template` [V, 3]) to the vertices of `name`; wrist: |x| of the wrists (m)."""
    hand = np.abs(template[:, 0]) > wrist - 0.045
    ring = _inner_rim(hand, surface)
    mesh = make_mesh(template, surface.mirror, surface.triangles, surface.triangle_uv)
    region = np.where(hand, 4, 2)
    region[ring] = 5
    region[np.isin(surface.regions, [REGIONS.index("left_eye"), REGIONS.index("right_eye")])] = LOCKED
    region[list(special.values())] = LOCKED
    importance = np.ones(len(template))
    table = IMPORTANCE[name]
    for i, label in enumerate(REGIONS):
        kind = "foot" if "foot" in label else "cavity" if label in ("mouth_cavity", "eye_sockets") else label
        importance[surface.regions == i] = table.get(kind, 1)
    spare = {
        2: int((~hand).sum()) - (VERTICES[name] - 2 * MANO_VERTICES),
        4: int(hand.sum()) - len(ring) - 2 * (MANO_VERTICES - MANO_RING),
        5: len(ring) - 2 * MANO_RING,
    }
    decimate(mesh, region, importance, spare)
    kept, triangles, triangle_uv = result(mesh)
    fixed = np.isin(kept, ring) | np.isin(kept, list(special.values()))
    corners, bary, lies_in = _relax(kept, triangles, triangle_uv, template, surface, fixed, RELAX_STEPS[name])
    left_hand = hand & (template[:, 0] > 0)
    return _assemble(name, surface, kept, triangles, triangle_uv, corners, bary, lies_in, left_hand, special)


def _inner_rim(part: np.ndarray, surface: Surface) -> np.ndarray:
    """Vertices of a part that have a neighbour outside it."""
    edges = edges_of(surface.triangles)
    edges = np.concatenate([edges, edges[:, ::-1]])
    return np.unique(edges[part[edges[:, 0]] & ~part[edges[:, 1]], 0])


def _relax(kept, triangles, triangle_uv, template, surface: Surface, fixed, steps: int):
    """Even the vertices out along the surface, the left half first and the right half as its mirror image.

    The mid-line, seams, cavities, eyes and `fixed` vertices stay. Returns (source corners [K, 3], barycentric
    coordinates [K, 3], the source triangle the vertex was moved into or -1 [K]).
    """
    number = np.full(len(template), -1)
    number[kept] = np.arange(len(kept))
    tri, mirror, regions = number[triangles], number[surface.mirror[kept]], surface.regions[kept]
    rest = (regions >= REGIONS.index("mouth_cavity")) | (mirror == np.arange(len(kept)))
    still = fixed | rest | _on_seam(tri, triangle_uv, len(kept))
    free = ~still & (template[kept, 0] > 0)
    share = RELAX_SHARE * np.where(regions == REGIONS.index("head"), 0.4, 1.0)[:, None]
    neighbours = adjacency(edges_of(tri), len(kept))
    degree = np.asarray(neighbours.sum(1))
    normals = vertex_normals(template, surface.triangles)[kept]
    corners, bary = np.repeat(kept[:, None], 3, 1), np.tile([1.0, 0, 0], (len(kept), 1))
    lies_in = np.full(len(kept), -1)
    p = template[kept]
    reference = face_normals(p, tri)
    target = (template, surface.triangles, surface.triangle_regions)
    for _ in range(steps):
        rows = np.flatnonzero(free)
        wish = (p + share * (neighbours @ p / degree - p))[rows]
        face, weights = project(wish, normals[rows], regions[rows], *target)
        new = p.copy()
        new[rows] = np.einsum("nk,nkc->nc", weights, template[surface.triangles[face]])
        new[mirror[rows]] = new[rows] * [-1, 1, 1]
        undo = np.zeros(len(kept), bool)
        undo[tri[_crushed(new, tri, reference)]] = True
        undo |= undo[mirror]
        good = ~undo[rows]
        rows = rows[good]
        corners[rows], bary[rows], lies_in[rows] = surface.triangles[face[good]], weights[good], face[good]
        p[rows], p[mirror[rows]] = new[rows], new[mirror[rows]]
        free &= ~undo
    moved = np.flatnonzero(lies_in >= 0)
    twins = mirror[moved]
    corners[twins], bary[twins] = surface.mirror[corners[moved]], bary[moved]
    lies_in[twins] = _mirrored_triangles(surface)[lies_in[moved]]
    return corners, bary, lies_in


def _on_seam(triangles: np.ndarray, triangle_uv: np.ndarray, count: int) -> np.ndarray:
    """[count] vertices that have more than one texture vertex."""
    pairs = np.unique(np.stack([triangles.ravel(), triangle_uv.ravel()], 1), axis=0)
    return np.bincount(pairs[:, 0], minlength=count) > 1


def _crushed(points: np.ndarray, triangles: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """[F] triangles that have turned by more than 45 degrees from their reference normals or become slivers."""
    normals = face_normals(points, triangles)
    size = np.linalg.norm(normals, axis=1)
    turned = (normals * reference).sum(1) < 0.7 * size * np.linalg.norm(reference, axis=1)
    sides = [((points[triangles[:, i]] - points[triangles[:, i - 1]]) ** 2).sum(1) for i in range(3)]
    return turned | (size < 0.15 * np.max(sides, axis=0))


def _mirrored_triangles(surface: Surface) -> np.ndarray:
    """[F] the triangle on the other side."""
    index = {frozenset(t): i for i, t in enumerate(surface.triangles.tolist())}
    return np.array([index[frozenset(t)] for t in surface.mirror[surface.triangles].tolist()])


def _assemble(name, surface, kept, triangles, triangle_uv, corners, bary, lies_in, left_hand, special) -> Topology:
    """Put the vertices in their final order and number everything by it."""
    number = np.full(len(surface.ids), -1)
    number[kept] = np.arange(len(kept))
    slots = {slot: int(number[special[landmark]]) for landmark, slot in FIXED_IDS[name].items()}
    order = _place(np.arange(len(kept)), slots)  # order[new] = old
    rank = np.argsort(order)
    points = sparse.coo_matrix(
        (bary[order].ravel(), (np.repeat(np.arange(len(kept)), 3), corners[order].ravel())),
        (len(kept), len(surface.ids)),
    ).tocsr()
    points.eliminate_zeros()
    mirror = rank[number[surface.mirror[kept[order]]]]
    mine = np.sort(rank[number[kept[left_hand[kept]]]])
    left = _place(mine, {slot: int(rank[number[special["l" + tip]]]) for tip, slot in MANO_TIPS.items()})
    uv, uv_triangles = _texture(surface, number[triangles], triangle_uv, corners, bary, lies_in)
    return Topology(
        name=name,
        points=points,
        triangles=rank[number[triangles]],
        mirror=mirror,
        regions=surface.regions[kept[order]],
        uv=uv,
        uv_triangles=uv_triangles,
        hands=(left, mirror[left]),
        fixed={landmark: int(rank[number[v]]) for landmark, v in special.items()},
    )


def _place(items: np.ndarray, slots: dict[int, int]) -> np.ndarray:
    """The items in their order, but slots[i] at place i."""
    out = np.full(len(items), -1)
    for slot, item in slots.items():
        out[slot] = item
    out[out < 0] = items[~np.isin(items, list(slots.values()))]
    return out


def _texture(surface: Surface, triangles, triangle_uv, corners, bary, lies_in):
    """(texture vertices [T, 2], texture triangles [F, 3]); a vertex that was moved looks its place up in the source."""
    keys, inverse = np.unique(np.stack([triangles.ravel(), triangle_uv.ravel()], 1), axis=0, return_inverse=True)
    vertex = keys[:, 0]
    uv = surface.uv[keys[:, 1]]
    moved = lies_in[vertex] >= 0
    source, at = surface.triangles[lies_in[vertex[moved]]], corners[vertex[moved]]
    slot = (source[:, None, :] == at[:, :, None]).argmax(2)
    looked_up = surface.uv[np.take_along_axis(surface.triangle_uv[lies_in[vertex[moved]]], slot, 1)]
    uv[moved] = np.einsum("nk,nkc->nc", bary[vertex[moved]], looked_up)
    return uv, inverse.reshape(-1, 3)
