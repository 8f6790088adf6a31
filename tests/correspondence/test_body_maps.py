"""The surface correspondence of two bodies: laws, the open body's known truth, hands, bodies that lack parts.

The two meshes of the open body were cut from one surface, and its files say which point of the other mesh each vertex
is. The computed map does not look at that; here it is measured against it.
"""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest
import torch
from safetensors import safe_open
from scipy.spatial import cKDTree
from torch import Tensor

from vitruve.bodies import BodyModel, load_body
from vitruve.correspondence.body_maps import CLOSEST, IDENTITY, Correspondence, correspondence, same_topology
from vitruve.errors import BadData, UsageError
from vitruve.geometry.rotations import axis_angle_to_matrix

_MOUTH_CAVITY, _EYE_SOCKETS, _EYES = 6, 7, (8, 9)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory):
    return tmp_path_factory.mktemp("maps")


@pytest.fixture(scope="module")
def smplh() -> BodyModel:
    return load_body("open-smplh-neutral")


@pytest.fixture(scope="module")
def smplx() -> BodyModel:
    return load_body("open-smplx-neutral")


@pytest.fixture(scope="module")
def there(smplh, smplx, cache) -> Correspondence:
    return correspondence(smplh, smplx, cache=cache)


@pytest.fixture(scope="module")
def back(smplh, smplx, there, cache) -> Correspondence:
    return correspondence(smplx, smplh, cache=cache)


@pytest.fixture(scope="module")
def other(smplx) -> BodyModel:
    return _other_body(smplx)


@pytest.fixture(scope="module")
def to_other(smplh, other, cache) -> Correspondence:
    return correspondence(smplh, other, cache=cache)


@pytest.fixture(scope="module")
def to_hand(smplx, cache) -> Correspondence:
    return correspondence(smplx, load_body("open-mano-left"), cache=cache)


# -- laws ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", [("smplh-neutral", "smplh-male"), ("smpl-neutral", "smplh-female")])
def test_one_topology_is_the_identity(pair):
    source, target = (load_body(f"open-{name}") for name in pair)
    found = correspondence(source, target, cache=False)
    points = torch.randn(2, source.num_vertices, 3)
    assert found.method == IDENTITY
    assert torch.equal(found.apply(points), points)
    assert found.valid.all()
    assert found.residual_mm == {"mean": 0, "p95": 0, "max": 0}


def test_the_order_of_faces_does_not_matter_their_sense_does():
    body, shuffled, flipped = (load_body("open-mano-left") for _ in range(3))
    shuffled.faces = shuffled.faces[torch.randperm(len(body.faces))].roll(1, 1)
    flipped.faces = flipped.faces.flip(1)
    assert same_topology(body, shuffled)
    assert not same_topology(body, flipped)


def test_rows_are_weighted_means(there, back, to_hand):
    for found in (there, back, to_hand):
        assert found.method == CLOSEST
        assert (found.weights >= 0).all()
        assert torch.allclose(found.weights.sum(1), torch.ones(len(found), dtype=torch.float64))
        assert found.vertices.max() < found.source_vertices


def test_the_matrix_does_what_apply_does(there, smplh):
    points = torch.randn(smplh.num_vertices, 3, dtype=torch.float64)
    assert torch.allclose(there.matrix() @ points, there.apply(points))


def test_a_batch_is_its_members(there, smplh):
    points = torch.randn(2, 3, smplh.num_vertices, 3)
    assert torch.equal(there.apply(points)[1, 2], there.apply(points[1, 2]))


def test_a_constant_is_kept_and_turning_the_source_turns_the_target(there, smplh):
    turn = axis_angle_to_matrix(torch.tensor([0.3, -1.0, 0.5]))
    shift = torch.tensor([1.0, 2.0, 3.0])
    moved = there.apply(smplh.template @ turn.T + shift)
    assert torch.allclose(moved, there.apply(smplh.template) @ turn.T + shift, atol=1e-5)


def test_a_subset_is_the_rows_asked_for_and_needs_few_source_vertices(there, smplh):
    ids = torch.tensor([9000, 5, 77, 5])
    some = there.subset(ids)
    used, compact = some.compact()
    points = torch.randn(2, smplh.num_vertices, 3)
    assert torch.equal(some.apply(points), there.apply(points)[:, ids])
    assert torch.equal(compact.apply(points[:, used]), some.apply(points))
    assert len(used) <= 9
    assert torch.equal(some.valid, there.valid[ids])


def test_vertices_of_another_body_are_refused(there, smplx):
    with pytest.raises(BadData, match="do not fit body 'open-smplh-neutral'"):
        there.apply(smplx.template)


def test_regions_say_why_each_vertex_is_left_out(there, to_hand, to_other):
    for found in (there, to_hand, to_other):
        masks = list(found.regions.values())
        total = torch.stack(masks).sum(0) if masks else torch.zeros(len(found))
        assert torch.equal(total, (~found.valid).to(total))


def test_two_hands_of_different_sides_have_nothing_in_common(cache):
    with pytest.raises(UsageError, match="no part in common"):
        correspondence(load_body("open-mano-left"), load_body("open-mano-right"), cache=cache)


# -- against the truth -----------------------------------------------------------------------------------------------


def test_the_open_body_onto_its_other_mesh(there, back, smplh, smplx):
    for found, source, target in ((there, smplh, smplx), (back, smplx, smplh)):
        error, _ = _sliding_mm(found, source, target)
        assert found.valid.float().mean() > 0.99
        assert error.mean() < 1.2
        assert error.quantile(0.95) < 2.5


def test_onto_a_body_of_other_shape_pose_skin_and_joints(to_other, smplh, other):
    error, regions = _sliding_mm(to_other, smplh, other)
    assert to_other.valid.float().mean() > 0.98
    assert error.mean() < 1.5
    assert error.quantile(0.95) < 4
    assert error[torch.isin(regions, torch.tensor([2, 3]))].mean() < 1.5  # hands


@pytest.mark.slow
def test_from_a_woman_to_a_man(cache):
    source, target = load_body("open-smplh-female"), load_body("open-smplx-male")
    found = correspondence(source, target, cache=cache)
    error, _ = _sliding_mm(found, source, target)
    assert found.valid.float().mean() > 0.99
    assert error.mean() < 2
    assert error.quantile(0.95) < 6


def test_the_round_trip_is_small_and_said_in_metres(there, back):
    for found in (there, back):
        residual = found.residual_mm
        assert residual["mean"] < 1
        assert residual["p95"] < 3
        assert residual["mean"] <= residual["p95"] <= residual["max"] < 15
        assert found.residual.isnan().float().mean() < 0.02


def test_left_is_to_right_as_right_is_to_left(there, smplh):
    mirrored = there.apply(smplh.template) * torch.tensor([-1.0, 1, 1])
    twin = _stored("smplx", "mirror").long()
    away = 1000 * (mirrored - there.apply(smplh.template)[twin]).norm(dim=1)
    assert away.mean() < 0.5
    assert away.quantile(0.95) < 1.5


def test_no_finger_becomes_another(there, to_other, smplh, smplx):
    for found in (there, to_other):
        carried = found.apply(smplh.skin_weights)
        for side in ("left", "right"):
            fingers = ("index", "middle", "ring", "pinky", "thumb")
            ours = torch.stack([_weight(carried, smplh, f"{side}_{finger}") for finger in fingers], 1)
            theirs = torch.stack([_weight(smplx.skin_weights, smplx, f"{side}_{finger}") for finger in fingers], 1)
            clear = (ours.max(1).values > 0.6) & (theirs.max(1).values > 0.6) & found.valid
            assert clear.sum() > 300
            assert torch.equal(ours.argmax(1)[clear], theirs.argmax(1)[clear])


# -- parts that only one body has ------------------------------------------------------------------------------------


def test_a_hand_is_found_on_the_body(to_hand, smplx, smplh):
    # The open hand is the hand of the SMPL+H mesh.
    truth = smplh.template[_stored("smplh", "mano_left_ids").long()]
    error = 1000 * (to_hand.apply(smplx.template) - truth).norm(dim=1)
    assert to_hand.valid.float().mean() > 0.98
    assert error[to_hand.valid].mean() < 1


def test_the_body_beyond_the_hand_is_left_out(smplx, to_hand, cache):
    found = correspondence(load_body("open-mano-left"), smplx, cache=cache)
    left_hand = torch.zeros(smplx.num_vertices, dtype=torch.bool)
    left_hand[_stored("smplx", "mano_left_ids").long()] = True
    assert found.valid[left_hand].float().mean() > 0.95
    assert found.valid[~left_hand].sum() < 40
    assert found.regions["beyond the shared part"].sum() > 9000


def test_a_hand_meets_a_body_without_fingers(cache):
    found = correspondence(load_body("open-smpl-neutral"), load_body("open-mano-right"), cache=cache)
    ids = _stored("smplh", "mano_right_ids").long()
    template = load_body("open-smpl-neutral").template
    assert found.valid.float().mean() > 0.98
    assert 1000 * (found.apply(template) - template[ids]).norm(dim=1)[found.valid].mean() < 1


def test_eyes_and_mouth_that_the_source_lacks_are_left_out_and_named(smplh, smplx, cache):
    regions = _stored("smplh", "regions")
    closed = _without(smplh, torch.isin(regions, torch.tensor([_MOUTH_CAVITY, _EYE_SOCKETS, *_EYES])))
    found = correspondence(closed, smplx, cache=cache)
    where = _stored("smplx", "regions")
    eyes, mouth = torch.isin(where, torch.tensor(_EYES)), where == _MOUTH_CAVITY
    assert torch.equal(found.regions["eyes"], eyes)
    assert found.regions["inner head"][mouth].float().mean() > 0.95
    assert found.valid[~(eyes | mouth | (where == _EYE_SOCKETS))].float().mean() > 0.99


# -- material --------------------------------------------------------------------------------------------------------


def _stored(layout: str, key: str) -> Tensor:
    path = resources.files("vitruve.bodies") / "open_data" / f"{layout}.safetensors"
    with safe_open(str(path), framework="pt") as file:
        return file.get_tensor(key)


def _sliding_mm(found: Correspondence, source: BodyModel, target: BodyModel) -> tuple[Tensor, Tensor]:
    """How far each valid vertex's point lies from its true one on the source's template, and its region."""
    known = {"smplh": "to_smplx", "smplx": "to_smplh"}[target.layout]
    face, bary = _stored(target.layout, f"{known}_face").long(), _stored(target.layout, f"{known}_bary")
    truth = (source.template[source.faces[face]] * bary[..., None]).sum(1)
    error = 1000 * (found.apply(source.template) - truth).norm(dim=1)
    return error[found.valid], _stored(target.layout, "regions")[found.valid]


def _other_body(body: BodyModel) -> BodyModel:
    """Another person in another rest pose: arms lowered and fingers bent; blunter skin, shifted joints, 10 betas."""
    random = np.random.default_rng(1)
    rotations = body.rest_rotations()
    turns = {"shoulder": (0, 0, -0.6), "elbow": (0, -0.2, 0), "hip": (0, 0, 0.1)}
    turns |= {f"{finger}{k}": (0, 0, -0.15) for finger in ("index", "middle", "ring", "pinky") for k in (1, 2, 3)}
    for name, (x, y, z) in turns.items():
        for side, sign in (("left", 1), ("right", -1)):
            turn = torch.tensor([x, sign * y, sign * z], dtype=torch.float32)
            rotations[body.skeleton.index(f"{side}_{name}")] = axis_angle_to_matrix(turn)
    betas = torch.zeros(11, body.num_betas)
    betas[:, :4] = torch.tensor([0.5, -0.3, 0, 0.4])
    betas[1:] += torch.eye(10, body.num_betas) + 0.1 * torch.from_numpy(random.normal(size=(10, body.num_betas)))
    shapes = body.shaped(betas).vertices(rotations.expand(11, -1, -1, -1))
    template = shapes[0]
    _, near = cKDTree(template.numpy()).query(template.numpy(), k=12)
    weights = body.skin_weights[near].mean(1)[near].mean(1)
    regressor = 0.85 * body.joint_regressor
    for joint, place in enumerate(body.joint_regressor @ template):
        ids = (template - place).norm(dim=1).topk(60, largest=False).indices
        regressor[joint, ids] += 0.15 * torch.from_numpy(random.dirichlet(np.ones(60))).float()
    return BodyModel(
        name="other",
        layout=body.layout,
        gender=body.gender,
        skeleton=body.skeleton,
        template=template,
        shape_basis=(shapes[1:] - template).movedim(0, -1).contiguous(),
        joint_regressor=regressor,
        skin_weights=weights,
        faces=body.faces,
    )


def _without(body: BodyModel, dropped: Tensor) -> BodyModel:
    """A body that lacks some of its vertices and all faces at them."""
    keep = (~dropped).nonzero()[:, 0]
    new = torch.full((body.num_vertices,), -1)
    new[keep] = torch.arange(len(keep))
    faces = new[body.faces]
    regressor = body.joint_regressor[:, keep]
    return BodyModel(
        name="closed",
        layout=body.layout,
        gender=body.gender,
        skeleton=body.skeleton,
        template=body.template[keep],
        shape_basis=body.shape_basis[keep],
        joint_regressor=regressor / regressor.sum(1, keepdim=True),
        skin_weights=body.skin_weights[keep],
        faces=faces[(faces >= 0).all(1)],
    )


def _weight(weights: Tensor, body: BodyModel, finger: str) -> Tensor:
    return weights[:, [body.skeleton.index(f"{finger}{k}") for k in (1, 2, 3)]].sum(1)
