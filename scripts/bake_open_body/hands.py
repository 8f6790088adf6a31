"""A relaxed hand and axes of hand motion, as axis-angle of the 15 finger joints in SMPL's order."""

import numpy as np

FINGERS = ("index", "middle", "pinky", "ring", "thumb")
# Flexion of the three joints of each finger at rest, radians.
_RELAXED = {
    "index": (0.25, 0.35, 0.20),
    "middle": (0.32, 0.42, 0.24),
    "pinky": (0.38, 0.40, 0.24),
    "ring": (0.36, 0.42, 0.24),
    "thumb": (0.10, 0.12, 0.20),
}
_SPREAD = {"index": 1.0, "middle": 0.25, "pinky": -1.2, "ring": -0.55}


def flexion_axes(joints: np.ndarray, tips: np.ndarray) -> np.ndarray:
    """[15, 3] axes about which the joints of the left hand close (right-handed turn), from the mean T-pose.

    joints [15, 3]; tips [15, 3] the ends of the last bones (rows of the third joints are used). Fingers close about
    the level axis across the finger; the thumb about the axis that takes it across the palm.
    """
    axes = np.zeros((15, 3))
    down = np.array([0.0, -1.0, 0.0])
    for f, finger in enumerate(FINGERS):
        bone = tips[3 * f + 2] - joints[3 * f]
        towards = np.array([0.2, -0.75, -0.65]) if finger == "thumb" else down
        axis = np.cross(bone, towards)
        axes[3 * f : 3 * f + 3] = axis / np.linalg.norm(axis)
    return axes


def hand_data(joints: np.ndarray, tips: np.ndarray) -> dict[str, np.ndarray]:
    """hand_mean_* [45] and hand_components_* [45, 45] (orthonormal rows, natural synergies first) for both hands."""
    axes = flexion_axes(joints, tips)
    mean = np.concatenate([_RELAXED[f] for f in FINGERS])[:, None] * axes
    close = {f: np.zeros((15, 3)) for f in FINGERS}
    for i, finger in enumerate(FINGERS):
        close[finger][3 * i : 3 * i + 3] = np.array([1.0, 1.1, 0.7])[:, None] * axes[3 * i : 3 * i + 3]
    spread = np.zeros((15, 3))
    for i, finger in enumerate(FINGERS[:4]):
        spread[3 * i] = [0, -_SPREAD[finger], 0]
    knuckles, bends = np.zeros((15, 3)), np.zeros((15, 3))
    for i in range(4):
        knuckles[3 * i] = axes[3 * i]
        bends[3 * i + 1 : 3 * i + 3] = axes[3 * i + 1 : 3 * i + 3]
    fingers = close["index"] + close["middle"] + close["ring"] + close["pinky"]
    across = np.zeros((15, 3))
    across[12] = [0.0, 0.6, 0.0]
    wishes = [fingers + 0.6 * close["thumb"], spread, close["thumb"], close["index"], close["pinky"] + close["ring"]]
    wishes += [knuckles - bends, across, close["middle"] - close["ring"], close["pinky"] - close["ring"]]
    rows = np.concatenate([np.stack(wishes).reshape(len(wishes), 45), np.eye(45)])
    basis = _orthonormal(rows)
    flip = np.tile([1.0, -1.0, -1.0], 15)  # mirroring a rotation in x keeps its x and turns y and z round
    return {
        "hand_mean_left": mean.ravel().astype(np.float32),
        "hand_mean_right": (mean.ravel() * flip).astype(np.float32),
        "hand_components_left": basis.astype(np.float32),
        "hand_components_right": (basis * flip).astype(np.float32),
    }


def _orthonormal(rows: np.ndarray) -> np.ndarray:
    """[45, 45] Gram-Schmidt of the rows, those that add nothing left out."""
    out: list[np.ndarray] = []
    for row in rows:
        row = row / np.linalg.norm(row)
        for _ in range(2):
            for have in out:
                row = row - (row @ have) * have
        size = np.linalg.norm(row)
        if size > 1e-6:
            out.append(row / size)
    return np.stack(out)
