"""Conversions between the layouts of the open body: exact where they can be, within millimetres elsewhere."""

from __future__ import annotations

import functools

import pytest
import torch

import vitruve
from vitruve.bodies import load_body
from vitruve.convert import convert_motion
from vitruve.errors import BadData, MissingAsset, UsageError
from vitruve.geometry.rotations import geodesic_distance
from vitruve.motion import Motion
from vitruve.motion.clips import bundled_clip_path


@functools.cache
def walk(frames: int = 24) -> Motion:
    """Every eighth frame of walking, waving and finger motion in the bundled clip, on a person of some shape."""
    motion = vitruve.load_motion(bundled_clip_path())[60 : 60 + 8 * frames : 8]
    betas = torch.zeros(16, dtype=torch.float64)
    betas[:4] = torch.tensor([1.0, -0.8, 0.6, 0.4])
    return motion.replace(betas=betas, body="open-smplh", gender="neutral")


@pytest.fixture(scope="module")
def there():
    return convert_motion(walk(), "open-smplx")


def degrees(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(geodesic_distance(a.double(), b.double()).max().rad2deg())


def test_across_topologies_the_surface_stays_within_millimetres(there):
    assert there.motion.body_name == "open-smplx-neutral" and there.motion.skeleton.name == "smplx55"
    assert there.trusted and not there.warnings and not there.failed.any()
    assert there.error.mean < 2.0 and there.error.p95 < 6.0
    assert set(there.error.groups) == {"hands", "head", "feet", "legs", "arms", "torso"}
    assert there.motion.betas.shape == (16,) and there.motion.fps == walk().fps


def test_the_figures_are_those_of_the_surfaces(there):
    """The report against a plain computation with all vertices."""
    from vitruve.correspondence.body_maps import correspondence

    source, target = load_body("open-smplh-neutral"), load_body("open-smplx-neutral")
    surface = correspondence(source, target)
    mapped = surface.apply(walk().vertices(source))
    distance = 1000 * (there.motion.vertices(target) - mapped).norm(dim=-1)[:, surface.valid]
    assert abs(float(distance.mean()) - there.error.mean) < 0.1 * float(distance.mean())
    assert float(distance.max()) >= there.error.max - 1e-3


def test_there_and_back(there):
    back = convert_motion(there.motion, "open-smplh-neutral")
    joints = walk().joints(load_body("open-smplh-neutral")).float()
    difference = 1000 * (back.motion.joints(load_body("open-smplh-neutral")) - joints).norm(dim=-1)
    assert float(difference.mean()) < 3.0 and float(difference.mean(-1).max()) < 10.0
    assert (back.motion.betas - walk().betas).abs().max() < 0.5


def test_onto_the_same_body_nothing_changes():
    same = convert_motion(walk(), "open-smplh-neutral")
    assert same.error.max < 0.05
    assert degrees(same.motion.rotations, walk().rotations) < 0.1
    assert (same.motion.betas[:16] - walk().betas).abs().max() < 1e-6


def test_to_fewer_joints_and_to_hands_made_up():
    smpl = convert_motion(walk(), "open-smpl")
    assert smpl.motion.skeleton.name == "smpl24"
    relaxed = convert_motion(smpl.motion, "open-smplh", hands="mean")
    body = load_body("open-smplh-neutral")
    expected = body.hands["left"].rotations(torch.zeros(1, 1))[0]
    assert degrees(relaxed.motion.rotations[:, 22:37], expected.expand(len(walk()), 15, 3, 3)) < 1e-3
    assert any("no fingers" in warning for warning in relaxed.warnings)
    flat = convert_motion(smpl.motion, "open-smplx", hands="flat")
    assert degrees(flat.motion.rotations[:, 25:], torch.eye(3).expand(len(walk()), 30, 3, 3)) < 1e-3


def test_another_gender_gets_its_own_shape():
    male = convert_motion(walk(), "open-smplx-male")
    assert male.motion.gender == "male" and male.error.mean < 6.0


def test_known_betas_are_taken():
    zero = convert_motion(walk(), "open-smplx", betas="zero")
    assert not zero.motion.betas.any()
    given = torch.tensor([0.5, -0.5])
    assert torch.equal(convert_motion(walk(), "open-smplx", betas=given).motion.betas[:2], given)
    other = convert_motion(walk(), "open-smplx", betas=torch.tensor([4.0, 4.0, 4.0]))
    assert not other.trusted and "the given shape differs" in other.warnings[-1]
    with pytest.raises(BadData, match="betas do not fit"):
        convert_motion(walk(), "open-smplx", betas=torch.zeros(200))
    with pytest.raises(UsageError, match="betas"):
        convert_motion(walk(), "open-smplx", betas="fitt")


@pytest.mark.parametrize("to", ["open-smplx", "open-smplh"])
def test_a_motion_without_any_data_is_an_error(to):
    with pytest.raises(BadData, match="no frame of the motion is valid"):
        convert_motion(walk().replace(mask=torch.zeros(24, dtype=torch.bool)), to)


def test_masked_frames_stay_masked_and_do_not_count():
    mask = torch.ones(len(walk()), dtype=torch.bool)
    mask[3:5] = False
    rotations = walk().rotations.clone()
    rotations[3:5] = torch.eye(3, dtype=torch.float64)
    conversion = convert_motion(walk().replace(rotations=rotations, mask=mask), "open-smplx")
    assert conversion.motion.mask is not None and conversion.motion.mask.tolist() == mask.tolist()
    assert conversion.trusted and len(conversion.error.frames) == len(walk()) - 2
    assert not set(conversion.error.frames.tolist()) & {3, 4}


def test_the_face_is_kept_where_both_bodies_have_one(there):
    rotations = there.motion.rotations.clone()
    rotations[:, 22] = torch.tensor([[1.0, 0, 0], [0, 0.98, -0.199], [0, 0.199, 0.98]])
    expression = torch.zeros(len(rotations), 10)
    expression[:, 0] = torch.linspace(0, 1, len(rotations))
    talking = there.motion.replace(rotations=rotations, expression=expression)
    female = convert_motion(talking, "open-smplx-female")
    assert degrees(female.motion.rotations[:, 22], rotations[:, 22]) < 0.5
    assert female.motion.expression is not None and torch.equal(female.motion.expression, expression)


def test_what_is_not_there_is_an_error():
    with pytest.raises(MissingAsset):
        convert_motion(walk(), "smplx-female")
    with pytest.raises(UsageError, match="unknown"):
        convert_motion(walk().replace(body=""), "open-smplx")
    with pytest.raises(UsageError, match="hands"):
        convert_motion(convert_motion(walk(), "open-smpl").motion, "open-smplx", hands="fist")


def test_progress_is_told():
    seen = []
    convert_motion(walk(), "open-smplx", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(walk()), len(walk()))


def test_without_licensed_files_the_open_body_serves_and_this_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    conversion = convert_motion(walk().replace(body="smplh", gender="male"), "smplx")
    assert conversion.motion.body_name == "open-smplx-male"
    assert sum("no smplh file" in warning for warning in conversion.warnings) == 1
    assert sum("no smplx file" in warning for warning in conversion.warnings) == 1
