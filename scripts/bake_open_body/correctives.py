"""Pose correctives: offsets of the rest vertices, linear in the entries of R - I of each joint, as SMPL has them.

Blended rotations flatten a bent knee and pinch a twisted wrist. The remedy is taught joint by joint: turn one joint at
random, pose the surface with rotations that keep their distance from the joint, smooth the crease with the detail of
the rest shape put back (delta mush), express what that changes as an offset before skinning, and fit it by ridge
regression to the nine entries of R - I.
"""

import numpy as np
import rig
import scipy.sparse as sparse
from surface import Surface, adjacency, edges_of, vertex_normals

# Turns that are practised, as axis-angle in the T-pose: (lowest, highest) about x, y, z; left side and middle (rad).
# Collars and shoulders are left out: MakeHuman's people were modelled with lowered arms, and skinning the T-pose back
# down returns just that shape, whereas its raised shoulder is no detail to be kept. Hips are left out because their
# plain skinning makes the softer groin.
RANGES = {
    4: ((-0.1, 2.4), (-0.2, 0.2), (-0.15, 0.15)),
    7: ((-0.5, 0.8), (-0.3, 0.3), (-0.4, 0.4)),
    10: ((-0.9, 0.5), (-0.1, 0.1), (-0.1, 0.1)),
    3: ((-0.4, 0.8), (-0.5, 0.5), (-0.5, 0.5)),
    6: ((-0.4, 0.7), (-0.5, 0.5), (-0.5, 0.5)),
    9: ((-0.4, 0.6), (-0.5, 0.5), (-0.4, 0.4)),
    12: ((-0.6, 0.8), (-0.8, 0.8), (-0.5, 0.5)),
    15: ((-0.5, 0.6), (-0.7, 0.7), (-0.4, 0.4)),
    18: ((-0.6, 0.6), (-2.5, 0.1), (-0.2, 0.2)),
    20: ((-1.2, 1.2), (-0.6, 0.6), (-1.2, 1.2)),
}
SAMPLES, SEED = 80, 77
SMOOTHING = 16  # passes of averaging over neighbours
# Share of the distance-keeping pose in what is aimed at, the rest is the blended pose; little where the body is thick.
KEEP_DISTANCE, KEEP_DISTANCE_OF_TRUNK, TRUNK = 0.7, 0.25, (3, 6, 9)
RIDGE = 0.3
FAINTEST, FADE = 2.5e-4, 7.5e-4  # m: weaker correctives are dropped, those up to FADE more are faded


def fit_correctives(template: np.ndarray, joints: np.ndarray, weights: np.ndarray, surface: Surface) -> np.ndarray:
    """[21, V, 3, 9] for joints 1 to 21: offset = values @ (R - I).ravel(). template [V, 3], weights [V, 55]."""
    random = np.random.default_rng(SEED)
    smooth = _smoother(surface, len(template))
    detail = _detail(template, smooth(template), surface.triangles)
    basis = np.zeros((21, len(template), 3, 9))
    flips = np.array([-1, 1, 1])
    entries = np.outer(flips, flips).ravel()
    for joint, ranges in RANGES.items():
        carried = weights[:, _subtree(joint)].sum(1)
        turns = random.uniform(*np.array(ranges).T, (SAMPLES, 3))
        keep = KEEP_DISTANCE_OF_TRUNK if joint in TRUNK else KEEP_DISTANCE
        one = _fit_joint(template - joints[joint], carried, turns, keep, smooth, detail, surface.triangles)
        mirrored = one[surface.mirror] * flips[:, None] * entries
        twin = rig.MIRROR[joint]
        if twin == joint:
            basis[joint - 1] = 0.5 * (one + mirrored)
        else:
            basis[joint - 1], basis[twin - 1] = one, mirrored
    return basis


def _fit_joint(arm, carried, turns, keep: float, smooth, detail, triangles) -> np.ndarray:
    """[V, 3, 9] the corrective of one joint.

    arm [V, 3]: vertices seen from the joint; carried [V]: how much of each the joint carries along; turns [N, 3].
    """
    features, offsets = [], []
    for turn in turns:
        rotation = rotation_matrix(turn)
        linear = (1 - carried)[:, None, None] * np.eye(3) + carried[:, None, None] * rotation
        blended = np.einsum("vab,vb->va", linear, arm)
        kept = _rotate(arm, turn, _shares(carried, np.linalg.norm(turn)))
        level = smooth((1 - keep) * blended + keep * kept)
        aim = level + np.einsum("vab,vb->va", _frames(level, triangles), detail)
        normal = np.einsum("vba,vbc->vac", linear, linear) + 0.02 * np.eye(3)
        pull = np.einsum("vba,vb->va", linear, aim - blended)
        offsets.append(np.linalg.solve(normal, pull[..., None])[..., 0])
        features.append((rotation - np.eye(3)).ravel())
    x, y = np.array(features), np.array(offsets).reshape(len(turns), -1)
    solution = np.linalg.solve(x.T @ x + RIDGE * np.eye(9), x.T @ y).reshape(9, -1, 3).transpose(1, 2, 0)
    strength = np.sqrt(np.mean((np.einsum("vck,nk->nvc", solution, x)) ** 2, axis=(0, 2)) * 3)
    fade = np.clip((strength - FAINTEST) / FADE, 0, 1)
    return solution * fade[:, None, None]


def _subtree(joint: int) -> list[int]:
    """The joint and everything below it."""
    members = [joint]
    for j in range(joint + 1, rig.JOINTS):
        if rig.PARENTS[j] in members:
            members.append(j)
    return members


def _shares(carried: np.ndarray, angle: float) -> np.ndarray:
    """[V] the angle by which each vertex turns when two rotations are blended on the sphere of rotations."""
    return 2 * np.arctan2(carried * np.sin(angle / 2), 1 - carried + carried * np.cos(angle / 2))


def _rotate(points: np.ndarray, axis: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """[V, 3] points turned about one axis through the origin, each by its own angle."""
    axis = axis / max(np.linalg.norm(axis), 1e-12)
    c, s = np.cos(angles)[:, None], np.sin(angles)[:, None]
    return c * points + s * np.cross(axis, points) + (1 - c) * np.outer(points @ axis, axis)


def rotation_matrix(turn: np.ndarray) -> np.ndarray:
    """[3, 3] of an axis-angle."""
    return _rotate(np.eye(3), turn, np.full(3, np.linalg.norm(turn))).T


def _smoother(surface: Surface, count: int):
    """A function that averages [V, 3] points over their neighbours, SMOOTHING times."""
    neighbours = adjacency(edges_of(surface.triangles), count)
    mean = sparse.diags(1 / np.asarray(neighbours.sum(1)).ravel()) @ neighbours
    step = 0.5 * (sparse.identity(count) + mean).tocsr()

    def smooth(points: np.ndarray) -> np.ndarray:
        for _ in range(SMOOTHING):
            points = step @ points
        return points

    return smooth


def _frames(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[V, 3, 3] a frame on the surface at each vertex, columns: towards a fixed neighbour, across, normal."""
    normal = vertex_normals(points, triangles)
    towards = np.zeros(len(points), int)
    towards[triangles[:, 0]] = triangles[:, 1]
    towards[triangles[:, 1]] = triangles[:, 2]
    towards[triangles[:, 2]] = triangles[:, 0]
    along = points[towards] - points
    along -= (along * normal).sum(1, keepdims=True) * normal
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-12)
    return np.stack([along, np.cross(normal, along), normal], axis=2)


def _detail(points: np.ndarray, level: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[V, 3] what smoothing takes away, in the frames of the smoothed surface."""
    return np.einsum("vba,vb->va", _frames(level, triangles), points - level)


def pack_correctives(basis: np.ndarray) -> dict[str, np.ndarray]:
    """Sparse storage: joint u8 [N], vertex u16 [N], values f16 [N, 3, 9] of the pairs that are not zero."""
    joint, vertex = np.nonzero(np.abs(basis).max((2, 3)) > 1e-5)
    return {
        "pose_basis_joints": (joint + 1).astype(np.uint8),
        "pose_basis_vertices": vertex.astype(np.uint16),
        "pose_basis_values": basis[joint, vertex].astype(np.float16),
    }
