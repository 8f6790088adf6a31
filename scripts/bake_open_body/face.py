"""Expressions from the face units, named and symmetric where faces are."""

import numpy as np

# {name: {face unit: weight}}; "+" stands for Left and Right alike. A value of one is a clear, natural expression.
EXPRESSIONS = {
    "smile": {"mouthSmile+": 0.9, "cheekSquint+": 0.4, "mouthDimple+": 0.2},
    "frown": {"mouthFrown+": 0.9, "mouthShrugLower": 0.3},
    "mouth_open": {"mouthLowerDown+": 1.0, "mouthUpperUp+": 0.6},
    "pucker": {"mouthPucker": 0.9},
    "brows_up": {"browInnerUp": 1.1, "browOuterUp+": 1.1},
    "brows_down": {"browDown+": 0.9, "eyeSquint+": 0.2},
    "blink": {"eyeBlink+": 1.0},
    "cheek_puff": {"cheekPuff": 1.4},
    "nose_sneer": {"noseSneer+": 0.9, "mouthUpperUp+": 0.3},
    "mouth_left": {"mouthLeft": 0.9},
}


def expression_basis(faceunits: dict[str, np.ndarray], mirror: np.ndarray) -> np.ndarray:
    """[V, 3, E] m; columns in the order of EXPRESSIONS. faceunits {name: [V, 3]}, mirror [V]."""
    columns = []
    for parts in EXPRESSIONS.values():
        total = 0.0
        for unit, amount in parts.items():
            for name in (unit[:-1] + "Left", unit[:-1] + "Right") if unit.endswith("+") else (unit,):
                total = total + amount * faceunits[name].astype(float)
        columns.append(total)
    basis = np.stack(columns, -1)
    even = 0.5 * (basis + basis[mirror] * np.array([-1, 1, 1])[:, None])
    lopsided = [name.endswith("_left") for name in EXPRESSIONS]
    return np.where(lopsided, basis, even)


# Landmarks of iBUG's 68, seen from the front: millimetres from the midpoint between the eyes of the mean body, on the
# person's left (+x); the right side mirrors them.
_BROW = ((9, 13), (18, 18), (28, 20), (38, 18), (46, 12))  # inner to outer
_BRIDGE = ((0, 1), (0, -11), (0, -23), (0, -36))
_NOSTRIL = ((0, -47.5), (7, -45), (14, -44))  # middle to side
_EYE = (
    (19, -3.2),
    (26, 2.8),
    (36, 2.8),
    (44.5, -1.8),
    (36, -6.6),
    (26, -6.6),
)  # inner corner, over the lid, back below
_LIP = ((0, -64.5), (6, -63.5), (14, -65.5), (24.5, -71), (15, -79), (7, -82.5), (0, -83))  # above to below
_INNER_LIP = ((0, -68.6), (9, -68.8), (22.6, -71.0), (9, -72.2), (0, -72.2))
_CONTOUR = ((0, -110), (19, -107), (36, -99), (49, -86), (57, -71), (62, -55), (65.5, -38), (67.5, -20), (69, -2))
CONTOUR_TURNS = 79  # rows of the contour table of SMPL-X, one per degree of head turn


def landmark_places() -> tuple[np.ndarray, np.ndarray]:
    """(51 landmarks [51, 2], contour [17, 2]) in mm seen from the front, in iBUG's order: the person's right first."""

    def right(points):
        return [(-x, y) for x, y in points]

    inner, above, upper, outer, lower, below = _EYE
    places = right(_BROW[::-1]) + list(_BROW) + list(_BRIDGE)
    places += right(_NOSTRIL[:0:-1]) + list(_NOSTRIL)
    places += right([outer, upper, above, inner, below, lower])
    places += [inner, above, upper, outer, lower, below]
    places += right(_LIP[3:0:-1]) + list(_LIP[:4]) + list(_LIP[4:]) + right(_LIP[5:3:-1])
    places += right(_INNER_LIP[2:0:-1]) + list(_INNER_LIP[:3]) + list(_INNER_LIP[3:]) + right(_INNER_LIP[3:4])
    contour = right(_CONTOUR[:0:-1]) + list(_CONTOUR)
    return np.array(places, float), np.array(contour, float)


def pick_from_front(places: np.ndarray, template: np.ndarray, triangles: np.ndarray, skin: np.ndarray):
    """(triangle [N], barycentric [N, 3]) of the foremost skin seen at places [N, 2] (m, x and y) from the front.

    template [V, 3]; skin [F] bool says which triangles may be picked.
    """
    faces, bary = np.zeros(len(places), int), np.zeros((len(places), 3))
    ids = np.flatnonzero(skin)
    a, b, c = (template[triangles[ids, i]] for i in range(3))
    area = _turn(a, b, c[:, :2])
    for n, p in enumerate(places):
        weights = np.stack([_turn(b, c, p), _turn(c, a, p), _turn(a, b, p)], 1) / np.where(area == 0, 1, area)[:, None]
        hit = np.flatnonzero((area > 1e-10) & (weights.min(1) > -1e-6))
        if not len(hit):
            raise ValueError(f"no skin is seen from the front at {1e3 * p} mm (landmark {n})")
        depth = (weights[hit] * np.stack([a[hit, 2], b[hit, 2], c[hit, 2]], 1)).sum(1)
        best = hit[depth.argmax()]
        inside = np.clip(weights[best], 0, None)
        faces[n], bary[n] = ids[best], inside / inside.sum()
    return faces, bary


def _turn(a: np.ndarray, b: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Twice the signed area of triangles (a, b, p) seen from the front."""
    u, v = b[:, :2] - a[:, :2], p - a[:, :2]
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]


def landmark_tensors(template: np.ndarray, triangles: np.ndarray, skin: np.ndarray, eyes: np.ndarray):
    """The landmark arrays of the SMPL-X layout; the contour does not turn with the head: its 79 rows are alike."""
    middle = eyes.mean(0)[:2]
    inner, contour = (middle + 1e-3 * places for places in landmark_places())
    faces, bary = pick_from_front(inner, template, triangles, skin)
    contour_faces, contour_bary = pick_from_front(contour, template, triangles, skin)
    return {
        "landmark_faces": faces.astype(np.int32),
        "landmark_bary": bary.astype(np.float32),
        "contour_faces": np.tile(contour_faces.astype(np.int32), (CONTOUR_TURNS, 1)),
        "contour_bary": np.tile(contour_bary.astype(np.float32), (CONTOUR_TURNS, 1, 1)),
    }
