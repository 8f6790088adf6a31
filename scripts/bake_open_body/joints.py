"""Joints as non-negative means of vertices, and skin weights for a topology."""

import numpy as np
import rig
from scipy.optimize import nnls
from surface import REGIONS
from topology import Topology

WEIGHTS_PER_VERTEX = 4
NEAREST, NEAREST_OF_TRUNK, NEAREST_OF_FINGERS, SMALLEST = 240, 600, 80, 1e-3
SPREAD = 1e-3  # how much a regressor prefers many vertices, against metres of error
TRUNK = (0, 3, 6, 9, 12, 13, 15)
# Where joints are put relative to MakeHuman's bone heads in the mean body, left side (m). Hips and collars come nearer
# to where motion data of SMPL-like bodies turns them, knuckles to the middle of the finger.
OFFSETS = {1: (-0.010, -0.012, 0.0), 13: (0.030, 0.0, 0.0)} | {j: (0.0, -0.002, 0.0) for j in range(25, 37)}


def joint_targets(bone_heads: np.ndarray, eyes: np.ndarray) -> np.ndarray:
    """[N, 55, 3] where the joints should be. bone_heads [N, 55, 3]; eyes [N, 2, 3] centres of the eyeballs."""
    targets = bone_heads.copy()
    for joint, offset in OFFSETS.items():
        targets[:, joint] += offset
        targets[:, rig.MIRROR[joint]] += np.array(offset) * [-1, 1, 1]
    targets[:, [rig.LEFT_EYE, rig.RIGHT_EYE]] = eyes
    return targets


def sphere_centres(points: np.ndarray) -> np.ndarray:
    """[N, 3] centres of the spheres that fit [N, P, 3] points best, robust to a bulging cornea."""
    centres = np.empty((len(points), 3))
    for n, p in enumerate(points.astype(float)):
        keep = np.ones(len(p), bool)
        for _ in range(3):
            rows = np.concatenate([2 * p[keep], np.ones((keep.sum(), 1))], 1)
            solution = np.linalg.lstsq(rows, (p[keep] ** 2).sum(1), rcond=None)[0]
            radii = np.linalg.norm(p - solution[:3], axis=1)
            keep = np.abs(radii - np.median(radii)) < 0.06 * np.median(radii)
        centres[n] = solution[:3]
    return centres


def fit_regressor(vertices: np.ndarray, targets: np.ndarray, weights: np.ndarray, moving: np.ndarray, top: Topology):
    """[55, K] rows that are non-negative, sum to one, and give the targets; the right side mirrors the left.

    vertices [N, K, 3] and targets [N, 55, 3]: bodies of the shape space, the first the mean; weights [K, 55];
    moving [K] bool: vertices that expressions move, which no joint may hang on.
    """
    regressor = np.zeros((rig.JOINTS, vertices.shape[1]))
    for j in range(rig.JOINTS):
        twin = rig.MIRROR[j]
        if twin < j:
            continue
        near = _candidates(j, vertices[0], targets[0, j], weights, moving, top)
        regressor[j, near] = _convex_fit(vertices[:, near], targets[:, j])
        if twin == j:
            regressor[j] = 0.5 * (regressor[j] + regressor[j, top.mirror])
        else:
            regressor[twin] = regressor[j, top.mirror]
    return regressor


def _candidates(j: int, mean: np.ndarray, target: np.ndarray, weights: np.ndarray, moving: np.ndarray, top: Topology):
    """Vertices near the joint on the two bodies parts that meet there; for an eye, the eyeball."""
    if j in (rig.LEFT_EYE, rig.RIGHT_EYE):
        return np.flatnonzero(top.regions == REGIONS.index("left_eye" if j == rig.LEFT_EYE else "right_eye"))
    family = {j, rig.PARENTS[j]} - {-1} | ({1, 2, 3} if j == 0 else set())
    skin = top.regions < REGIONS.index("mouth_cavity")
    usable = skin & ~moving & (weights[:, sorted(family)].sum(1) > 0.5)
    ids = np.flatnonzero(usable)
    count = NEAREST_OF_TRUNK if j in TRUNK else NEAREST_OF_FINGERS if j > rig.RIGHT_EYE else NEAREST
    return ids[np.argsort(np.linalg.norm(mean[ids] - target, axis=1), kind="stable")[:count]]


def _convex_fit(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """[P] non-negative weights of sum one with weights @ points close to target; spread out where that is free.

    points [N, P, 3], target [N, 3]; body 0 is the mean and counts most.
    """
    count = points.shape[1]
    scale = np.ones(len(points))
    scale[0] = 6.0
    rows = (points * scale[:, None, None]).transpose(0, 2, 1).reshape(-1, count).astype(float)
    aim = (target * scale[:, None]).ravel().astype(float)
    spread = SPREAD * np.eye(count)
    matrix = np.concatenate([rows, spread, np.full((1, count), 100.0)])
    solution = nnls(matrix, np.concatenate([aim, np.full(count, SPREAD / count), [100.0]]))[0]
    solution[solution < SMALLEST * solution.max()] = 0
    return solution / solution.sum()


def pack_weights(weights: np.ndarray, mirror: np.ndarray, mirror_of_joints: np.ndarray):
    """(joints u8 [K, W], values f32 [K, W]): the largest weights of each vertex, rows of sum one, mirrored exactly."""
    weights = 0.5 * (weights + weights[mirror][:, mirror_of_joints])
    order = np.argsort(-weights, axis=1, kind="stable")
    keep = np.zeros_like(weights, bool)
    np.put_along_axis(keep, order[:, :WEIGHTS_PER_VERTEX], True, axis=1)
    keep &= weights > 0.002
    middle = mirror == np.arange(len(mirror))
    keep[middle] &= keep[middle][:, mirror_of_joints]  # on the mid-line a pair of joints stays or goes together
    other = ~middle & (np.arange(len(mirror)) > mirror)
    keep[other] = keep[mirror[other]][:, mirror_of_joints]
    weights = np.where(keep, weights, 0)
    weights /= weights.sum(1, keepdims=True)
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :WEIGHTS_PER_VERTEX]
    values = np.take_along_axis(weights, joints, 1)
    return np.where(values > 0, joints, 0).astype(np.uint8), values.astype(np.float32)
