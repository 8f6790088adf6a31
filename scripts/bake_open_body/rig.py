"""The joint tree in SMPL's order and how MakeHuman's bones fold into it."""

import numpy as np
from makehuman import Source

PARENTS = np.array(
    [
        *(-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15),
        *(20, 25, 26, 20, 28, 29, 20, 31, 32, 20, 34, 35, 20, 37, 38),
        *(21, 40, 41, 21, 43, 44, 21, 46, 47, 21, 49, 50, 21, 52, 53),
    ]
)
JOINTS = 55
JAW, LEFT_EYE, RIGHT_EYE, HEAD, NECK = 22, 23, 24, 15, 12
FINGERS = ("2", "3", "5", "4", "1")  # MakeHuman's finger numbers in SMPL's order: index, middle, pinky, ring, thumb
FACE_JOINTS = (JAW, LEFT_EYE, RIGHT_EYE)


def _mirror_of_joints() -> np.ndarray:
    pairs = [(1, 2), (4, 5), (7, 8), (10, 11), (13, 14), (16, 17), (18, 19), (20, 21), (23, 24)]
    pairs += [(25 + i, 40 + i) for i in range(15)]
    mirror = np.arange(JOINTS)
    for left, right in pairs:
        mirror[left], mirror[right] = right, left
    return mirror


MIRROR = _mirror_of_joints()
# SMPL+H has no face joints: the numbers above them move down by three.
SMPLH_MIRROR = np.delete(MIRROR, FACE_JOINTS)
SMPLH_MIRROR = np.where(SMPLH_MIRROR > RIGHT_EYE, SMPLH_MIRROR - 3, SMPLH_MIRROR)
NAMES = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle"),
    *("spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder"),
    *("right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "jaw", "left_eye", "right_eye"),
    *(
        f"{side}_{finger}{i}"
        for side in ("left", "right")
        for finger in ("index", "middle", "pinky", "ring", "thumb")
        for i in (1, 2, 3)
    ),
)


def _bones_of_joints() -> dict[int, list[str]]:
    """{joint: bones whose weights it takes}; the first bone's head is where the joint stands."""
    table = {
        0: ["spine05", "root", "pelvis.L", "pelvis.R"],
        3: ["spine04"],
        6: ["spine03", "spine02"],
        9: ["spine01", "breast.L", "breast.R"],
        12: ["neck01", "neck02", "neck03"],
        15: ["head"],
        22: ["jaw"],
    }
    sides = {
        1: ["upperleg01", "upperleg02"],
        4: ["lowerleg01", "lowerleg02"],
        7: ["foot"],
        10: [f"toe{i}-1" for i in range(1, 6)],
        13: ["clavicle", "shoulder01"],
        16: ["upperarm01", "upperarm02"],
        18: ["lowerarm01", "lowerarm02"],
        20: ["wrist"],
        23: ["eye"],
    }
    for k, finger in enumerate(FINGERS):
        for i in range(3):
            sides[25 + 3 * k + i] = [f"finger{finger}-{i + 1}"]
    for joint, bones in sides.items():
        table[joint] = [f"{bone}.L" for bone in bones]
        table[MIRROR[joint]] = [f"{bone}.R" for bone in bones]
    return table


BONES = _bones_of_joints()


def skin_weights(source: Source) -> np.ndarray:
    """[V, 55] weights of the joints: those of the bones; a bone not listed goes to its nearest listed ancestor."""
    owner = {bone: joint for joint, bones in BONES.items() for bone in bones}
    weights = np.zeros((len(source.vertices), JOINTS))
    for bone, rows in source.weights.items():
        listed = bone
        while listed not in owner:
            listed = source.bones[listed]["parent"]
        if rows:
            ids, values = np.array(rows, float).T
            np.add.at(weights[:, owner[listed]], ids.astype(int), values)
    total = weights.sum(1, keepdims=True)
    weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    for joint, ball in zip((LEFT_EYE, RIGHT_EYE), source.eyes):
        weights[ball] = np.eye(JOINTS)[joint]
    return 0.5 * (weights + weights[source.mirror][:, MIRROR])


def bone_end_weights(source: Source, end: str) -> np.ndarray:
    """[55, V] the vertices (of joint cubes, mostly) whose mean is the "head" or "tail" of each joint's first bone."""
    regressor = np.zeros((JOINTS, len(source.vertices)))
    for joint, bones in BONES.items():
        heads = bones if bones[0].startswith("toe") else bones[:1]
        for bone in heads:
            ids = _end_vertices(source, source.bones[bone][end])
            regressor[joint, ids] += 1 / (len(ids) * len(heads))
    return 0.5 * (regressor + regressor[MIRROR][:, source.mirror])


def _end_vertices(source: Source, end: dict) -> np.ndarray:
    if end["strategy"] == "CUBE":
        return source.groups[end["cube_name"]]
    return np.atleast_1d(end["vertex_index"] if end["strategy"] == "VERTEX" else end["vertex_indices"])


def rotation_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[3, 3] the smallest rotation that turns direction a into direction b."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    axis, cosine = np.cross(a, b), a @ b
    cross = np.cross(axis, np.eye(3)).T  # the matrix of v -> axis x v
    return np.eye(3) + cross + cross @ cross / (1 + cosine)


def pose_rotations(joints: np.ndarray, tips: np.ndarray) -> np.ndarray:
    """[55, 3, 3] world rotations that take MakeHuman's A-pose to the T-pose, palms down, fingers straight.

    joints, tips: [55, 3] where the joints of the mean body and the ends of their bones are.
    """
    turn = np.tile(np.eye(3), (JOINTS, 1, 1))
    for left in (True, False):
        side = 1.0 if left else -1.0
        out = np.array([side, 0, 0])
        hip, knee, ankle, shoulder, elbow, wrist = (1, 4, 7, 16, 18, 20) if left else (2, 5, 8, 17, 19, 21)
        index, middle, pinky = np.array([25, 28, 31]) + (0 if left else 15)
        down = np.array([0.02 * side, -1, 0])
        turn[hip] = rotation_between(joints[knee] - joints[hip], down)
        turn[knee] = rotation_between(joints[ankle] - joints[knee], down)
        turn[shoulder] = rotation_between(joints[elbow] - joints[shoulder], out)
        turn[elbow] = rotation_between(joints[wrist] - joints[elbow], out)
        bent = turn[elbow] @ (joints[middle] - joints[wrist])
        turn[wrist] = rotation_between(bent, out) @ turn[elbow]
        # What is left is roll about the arm: the knuckles must lie level, so that the palm looks down.
        across = turn[wrist] @ (joints[index] - joints[pinky])
        roll = np.arctan2(across[1], across[2])
        turn[wrist] = _about_x(roll) @ turn[wrist]
        turn[elbow] = _about_x(0.5 * roll) @ turn[elbow]
        first = 25 if left else 40
        turn[first : first + 15] = turn[wrist]
        for knuckle in range(first, first + 12, 3):
            _straighten(turn, joints, tips, knuckle)
    return turn


def _straighten(turn: np.ndarray, joints: np.ndarray, tips: np.ndarray, knuckle: int) -> None:
    """Lay the three bones of a finger level and in line, keeping where the finger points seen from above."""
    hand = turn[knuckle].copy()
    ends = np.stack([*joints[knuckle : knuckle + 3], tips[knuckle + 2]]) @ hand.T
    level = (ends[3] - ends[0]) * [1, 0, 1]
    for i in range(3):
        turn[knuckle + i] = rotation_between(ends[i + 1] - ends[i], level) @ hand


def _about_x(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def to_t_pose(vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray, turn: np.ndarray):
    """Skin [N, V, 3] vertices and [N, 55, 3] joints with fixed world rotations; affine in the shape."""
    posed = np.empty_like(joints)
    posed[:, 0] = joints[:, 0]
    for j in range(1, JOINTS):
        posed[:, j] = posed[:, PARENTS[j]] + (joints[:, j] - joints[:, PARENTS[j]]) @ turn[PARENTS[j]].T
    shift = posed - np.einsum("jab,njb->nja", turn, joints)
    blended = np.einsum("vj,jab->vab", weights, turn)
    out = np.einsum("vab,nvb->nva", blended, vertices)
    out += np.einsum("vj,njc->nvc", weights, shift, optimize=True)
    return out, posed
