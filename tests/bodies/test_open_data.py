"""The baked files of the open body: counts, symmetry, weights, joints, meshes. Needs the files only."""

from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import vitruve

FOLDER = Path(vitruve.__file__).parent / "bodies" / "open_data"
LAYOUTS = {"smplh": (6890, 52), "smplx": (10475, 55)}
GENDERS = ("neutral", "female", "male")
FACE_JOINTS = (22, 23, 24)
TIPS = {744: "thumb", 320: "index", 443: "middle", 554: "ring", 671: "pinky"}
TIP_IDS = {
    "smplh": {"thumb": (2746, 6191), "index": (2319, 5782), "middle": (2445, 5905)}
    | {"ring": (2556, 6016), "pinky": (2673, 6133)},
    "smplx": {"thumb": (5361, 8079), "index": (4933, 7669), "middle": (5058, 7794)}
    | {"ring": (5169, 7905), "pinky": (5286, 8022)},
}

both = pytest.mark.parametrize("name", LAYOUTS)


@cache
def data(name: str) -> dict[str, np.ndarray]:
    return load_file(FOLDER / f"{name}.safetensors")


def regressor(name: str) -> np.ndarray:
    d = data(name)
    out = np.zeros((LAYOUTS[name][1], LAYOUTS[name][0]))
    out[d["regressor_rows"], d["regressor_columns"]] = d["regressor_values"]
    return out


def skin(name: str) -> np.ndarray:
    d = data(name)
    out = np.zeros(LAYOUTS[name])
    rows = np.repeat(np.arange(len(out)), d["skin_joints"].shape[1])
    np.add.at(out, (rows, d["skin_joints"].ravel()), d["skin_values"].ravel())
    return out


def body(name: str, gender: str, betas: np.ndarray) -> np.ndarray:
    d = data(name)
    coefficients = d[f"shape_mean_{gender}"] + d[f"shape_mix_{gender}"] @ betas
    return d["template"] + d["shape_space"].astype(float) @ coefficients


def joint_mirror(name: str) -> np.ndarray:
    first = LAYOUTS[name][1] - 30
    mirror = np.arange(LAYOUTS[name][1])
    pairs = [(1, 2), (4, 5), (7, 8), (10, 11), (13, 14), (16, 17), (18, 19), (20, 21)]
    pairs += [(23, 24)] if name == "smplx" else []
    for left, right in pairs + [(first + i, first + 15 + i) for i in range(15)]:
        mirror[left], mirror[right] = right, left
    return mirror


@both
def test_counts_are_those_of_the_layouts(name):
    d, (vertices, joints) = data(name), LAYOUTS[name]
    assert d["template"].shape == (vertices, 3)
    assert d["shape_space"].shape[:2] == (vertices, 3)
    assert d["skin_joints"].max() == joints - 1
    assert np.array_equal(np.unique(d["regressor_rows"]), np.arange(joints))
    for gender in GENDERS:
        assert d[f"shape_mix_{gender}"].shape == (d["shape_space"].shape[2], 32)
        assert d[f"shape_mean_{gender}"].shape == d["shape_space"].shape[2:]
    assert all(np.isfinite(v).all() for v in d.values() if v.dtype.kind == "f")


@both
def test_the_mesh_is_closed_and_sound(name):
    d = data(name)
    faces, points = d["faces"].astype(int), d["template"]
    assert faces.max() == len(points) - 1 and faces.min() == 0
    assert len(np.unique(faces)) == len(points)
    directed = Counter((f[i], f[(i + 1) % 3]) for f in faces.tolist() for i in range(3))
    assert set(directed.values()) == {1}, "two triangles run along an edge the same way"
    assert all((b, a) in directed for a, b in directed), "the mesh has a hole"
    for gender in GENDERS:
        v = body(name, gender, np.zeros(32))
        a, b, c = (v[faces[:, i]] for i in range(3))
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
        longest = np.max([((x - y) ** 2).sum(1) for x, y in ((a, b), (b, c), (c, a))], axis=0)
        assert (area > 1e-9).all()
        assert (area / longest > 5e-3).all(), "slivers"
    volume = (points[faces[:, 0]] * np.cross(points[faces[:, 1]], points[faces[:, 2]])).sum() / 6
    assert 0.04 < volume < 0.12, "triangles face outwards and enclose a person"


@both
def test_left_and_right_mirror_each_other(name):
    d = data(name)
    mirror, flip = d["mirror"], np.array([-1, 1, 1])
    assert np.array_equal(mirror[mirror], np.arange(len(mirror)))
    assert np.abs(d["template"][mirror] * flip - d["template"]).max() < 1e-6
    assert np.abs(d["shape_space"][mirror] * flip[:, None] - d["shape_space"]).max() < 1e-6
    faces = {frozenset(f) for f in d["faces"].tolist()}
    assert {frozenset(f) for f in mirror[d["faces"]].tolist()} == faces
    assert np.abs(skin(name)[mirror][:, joint_mirror(name)] - skin(name)).max() < 1e-6
    assert np.abs(regressor(name)[joint_mirror(name)][:, mirror] - regressor(name)).max() < 1e-6


@both
def test_weights_and_regressor_are_convex(name):
    d = data(name)
    assert d["skin_joints"].shape[1] <= 6
    assert d["skin_values"].min() >= 0 and np.abs(d["skin_values"].sum(1) - 1).max() < 1e-5
    assert d["regressor_values"].min() > 0
    assert np.abs(regressor(name).sum(1) - 1).max() < 1e-5


@both
def test_joints_hang_on_vertices_near_them(name):
    rows, points = regressor(name), data(name)["template"]
    joints = rows @ points
    reach = np.array([np.linalg.norm(points[r > 0] - j, axis=1).max() for r, j in zip(rows, joints)])
    assert reach.max() < 0.32, "a joint hangs on a vertex far away"
    assert reach[-30:].max() < 0.07, "fingers"


@pytest.mark.parametrize("gender", GENDERS)
def test_both_topologies_have_the_same_joints(gender):
    random = np.random.default_rng(3)
    for betas in [np.zeros(32), *random.normal(size=(20, 32))]:
        a = regressor("smplh") @ body("smplh", gender, betas)
        b = np.delete(regressor("smplx") @ body("smplx", gender, betas), FACE_JOINTS, axis=0)
        gap = np.linalg.norm(a - b, axis=1)
        assert gap.max() < 0.003
        assert gap.mean() < 0.001


@pytest.mark.parametrize("gender", GENDERS)
def test_betas_have_unit_variance_axes_in_order_and_the_first_is_stature(gender):
    for name in LAYOUTS:
        d = data(name)
        axes = d["shape_space"].astype(float) @ d[f"shape_mix_{gender}"]
        weight = np.sqrt(_areas(name))[:, None, None]
        size = np.sqrt((weight * axes**2).sum((0, 1)) / weight.sum())
        assert size[0] > 0.02 and (size[3:] / size[2:-1]).max() < 1.4, "ordered by variance from the third on"
        assert size[-1] > 2e-4
        tall, short = (np.ptp(body(name, gender, s * np.eye(32)[0])[:, 1]) for s in (2, -2))
        assert 0.1 < tall - short < 0.5
        heavy, thin = (_volume(name, body(name, gender, s * np.eye(32)[1])) for s in (2, -2))
        assert heavy > 1.1 * thin


def _areas(name: str) -> np.ndarray:
    d = data(name)
    a, b, c = (d["template"][d["faces"].astype(int)[:, i]] for i in range(3))
    thirds = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    return np.bincount(d["faces"].astype(int).ravel(), np.repeat(thirds, 3))


def _volume(name: str, v: np.ndarray) -> float:
    f = data(name)["faces"].astype(int)
    return (v[f[:, 0]] * np.cross(v[f[:, 1]], v[f[:, 2]])).sum() / 6


@both
def test_people_have_the_size_of_people(name):
    statures = {g: np.ptp(body(name, g, np.zeros(32))[:, 1]) for g in GENDERS}
    assert 1.58 < statures["female"] < 1.72 and 1.70 < statures["male"] < 1.84
    assert statures["female"] < statures["neutral"] < statures["male"]
    pelvis = (regressor(name) @ data(name)["template"])[0]
    assert np.abs(pelvis - [0, -0.24, 0.03]).max() < 0.02
    assert (regressor(name) @ data(name)["template"])[1, 0] > 0.05, "left is +x"


@both
def test_hands_are_the_mano_part_with_its_tips(name):
    d = data(name)
    left, right = d["mano_left_ids"], d["mano_right_ids"]
    assert len(np.unique(left)) == len(np.unique(right)) == 778
    assert np.array_equal(d["mirror"][left], right)
    for slot, tip in TIPS.items():
        assert (left[slot], right[slot]) == TIP_IDS[name][tip]
    points = d["template"]
    assert points[left, 0].min() > 0.6 * points[left, 0].max()
    inside = np.isin(d["faces"], left).all(1)
    edges = Counter(tuple(sorted((f[i], f[i - 1]))) for f in d["faces"][inside].tolist() for i in range(3))
    rim = [e for e, n in edges.items() if n == 1]
    assert inside.sum() == 1538, "as many triangles as MANO"
    assert set(Counter(v for e in rim for v in e).values()) == {2}, "the cut is one clean ring"


def test_fixed_vertices_are_where_their_names_say():
    for name, ids in (
        ("smplh", (332, 6260, 2800, 4071, 583, 3216, 3387)),
        ("smplx", (9120, 9929, 9448, 616, 6, 5770, 8846)),
    ):
        nose, right_eye, left_eye, right_ear, left_ear, toe, heel = data(name)["template"][list(ids)]
        joints = regressor(name) @ data(name)["template"]
        assert abs(nose[0]) < 1e-6 and nose[2] > left_eye[2]
        assert left_eye[0] > 0.02 and np.allclose(left_eye * [-1, 1, 1], right_eye)
        assert left_ear[0] > 0.06 and np.allclose(left_ear * [-1, 1, 1], right_ear)
        assert toe[2] > joints[10, 2] > joints[7, 2] > heel[2]


def test_expressions_move_the_face_only():
    d = data("smplx")
    moves = np.abs(d["expression_basis"].astype(float)).max(1)
    assert moves.shape == (10475, 10)
    assert (moves.max(0) > 2e-3).all() and (moves.max(0) < 0.04).all()
    head = skin("smplx")[:, [12, 15, 22, 23, 24]].sum(1)
    assert moves[head < 0.5].max() < 2e-3
    columns = d["regressor_columns"]
    assert moves[columns].max() < 1e-3, "no joint hangs on a vertex that an expression moves"


def test_landmarks_lie_on_the_face():
    d = data("smplx")
    assert d["landmark_faces"].shape == (51,) and d["contour_faces"].shape == (79, 17)
    for faces, bary in ((d["landmark_faces"], d["landmark_bary"]), (d["contour_faces"][0], d["contour_bary"][0])):
        assert faces.min() >= 0 and faces.max() < len(d["faces"])
        assert bary.min() >= 0 and np.abs(bary.sum(1) - 1).max() < 1e-5
        points = np.einsum("nk,nkc->nc", bary, d["template"][d["faces"][faces]])
        eyes = (regressor("smplx") @ d["template"])[[23, 24]].mean(0)
        assert np.abs(points - eyes).max() < 0.13
    inner = np.einsum("nk,nkc->nc", d["landmark_bary"], d["template"][d["faces"][d["landmark_faces"]]])
    assert inner[19:25, 0].max() < 0 < inner[25:31, 0].min(), "the person's right eye comes first"


def test_eyes_turn_about_their_centres():
    d = data("smplx")
    joints = regressor("smplx") @ d["template"]
    for region, joint in ((8, 23), (9, 24)):
        ball = np.flatnonzero(d["regions"] == region)
        assert skin("smplx")[ball, joint].min() > 0.99
        radii = np.linalg.norm(d["template"][ball] - joints[joint], axis=1)
        assert np.quantile(radii, 0.9) - np.quantile(radii, 0.1) < 0.1 * np.median(radii)


@both
def test_texture_coordinates_cover_every_triangle(name):
    d = data(name)
    assert d["uv_faces"].shape == d["faces"].shape
    assert d["uv_faces"].max() == len(d["uv"]) - 1
    assert d["uv"].min() >= 0 and d["uv"].max() <= 1
    pairs = np.unique(np.stack([d["uv_faces"].ravel(), d["faces"].ravel()], 1), axis=0)
    assert len(pairs) == len(d["uv"]), "a texture vertex belongs to one vertex"


@both
def test_the_relaxed_hand_and_its_axes(name):
    d = data(name)
    assert d["hand_mean_left"].shape == (45,)
    assert np.linalg.norm(d["hand_mean_left"].reshape(15, 3), axis=1).min() > 0.05
    assert np.linalg.norm(d["hand_mean_left"].reshape(15, 3), axis=1).max() < 0.8
    flip = np.tile([1, -1, -1], 15)
    assert np.allclose(d["hand_mean_left"] * flip, d["hand_mean_right"])
    for side in ("left", "right"):
        axes = d[f"hand_components_{side}"]
        assert np.allclose(axes @ axes.T, np.eye(45), atol=1e-5)
    assert np.allclose(d["hand_components_left"] * flip, d["hand_components_right"])


@both
def test_pose_correctives_are_small_sparse_and_symmetric(name):
    d = data(name)
    joint, vertex, values = (d[f"pose_basis_{k}"] for k in ("joints", "vertices", "values"))
    assert joint.min() >= 1 and joint.max() <= 21, "no corrective hangs on the root, the face or a finger"
    assert values.shape == (len(joint), 3, 9)
    assert len({(j, v) for j, v in zip(joint.tolist(), vertex.tolist())}) == len(joint) < 2 * len(d["template"])
    assert np.abs(values.astype(float)).max() < 0.05
    dense = np.zeros((22, len(d["template"]), 3, 9))
    dense[joint, vertex] = values
    flip = np.array([-1, 1, 1])
    twin = joint_mirror(name)[:22]
    mirrored = dense[twin][:, d["mirror"]] * flip[:, None] * np.outer(flip, flip).ravel()
    assert np.abs(mirrored - dense).max() < 1e-5


@both
def test_texture_triangles_are_not_folded(name):
    d = data(name)
    uv = d["uv"][d["uv_faces"].astype(int)]
    a, b = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    turn = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    assert (turn > -1e-6).mean() > 0.99 or (turn < 1e-6).mean() > 0.99


def test_correspondences_connect_the_topologies():
    for name, other in (("smplh", "smplx"), ("smplx", "smplh")):
        faces, bary = data(name)[f"to_{other}_face"], data(name)[f"to_{other}_bary"]
        target = data(other)["template"][data(other)["faces"].astype(int)[faces]]
        gap = np.linalg.norm(np.einsum("nk,nkc->nc", bary, target) - data(name)["template"], axis=1)
        assert gap.mean() < 1e-3 and gap.max() < 0.01


def test_the_folder_is_small_and_says_where_it_comes_from():
    assert sum(p.stat().st_size for p in FOLDER.iterdir()) < 12e6
    assert "CC0" in (FOLDER / "LICENCE").read_text()
    assert (FOLDER / "PROVENANCE.md").exists()
