"""Canonical windows do not depend on where and which way the motion was recorded, and lead back to it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.window_stores import window_store
from tests.material import small_body, small_motion
from vitruve import load_body
from vitruve.data.canonical import canonical, heading_of_root
from vitruve.data.windows import make_windows
from vitruve.errors import UsageError
from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance, matrix_to_axis_angle, rotation_about
from vitruve.motion import heading, rotate_world, translate_world


def batch_of(*motions):
    root = torch.stack([matrix_to_axis_angle(motion.rotations[:, 0]) for motion in motions])
    return {"root": root, "translation": torch.stack([motion.translation for motion in motions])}


def turned(motion, body, yaw, x, y):
    about_z = rotation_about("Z", torch.tensor(yaw, dtype=torch.float64))
    return translate_world(rotate_world(motion, about_z, body), torch.tensor([x, y, 0.0], dtype=torch.float64))


def close(a, b, tolerance=1e-5):
    apart = geodesic_distance(axis_angle_to_matrix(a["root"].double()), axis_angle_to_matrix(b["root"].double()))
    return apart.max() < tolerance and torch.allclose(a["translation"], b["translation"], atol=tolerance)


@given(st.floats(-10, 10), st.floats(-50, 50), st.floats(-50, 50), st.integers(0, 11), st.booleans(), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_turning_and_moving_the_world_changes_nothing(yaw, x, y, frame, rests, seed):
    body, motion = small_body("smplh"), small_motion("smplh", seed=seed)
    other = turned(motion, body, yaw, x, y)
    rest = body.shaped(motion.betas).rest_joints[:1] if rests else None
    a, _ = canonical(batch_of(motion), frame, root_rest=rest)
    b, placement = canonical(batch_of(other), frame, root_rest=rest)
    assert close(a, b)
    assert close(placement.undo(b), batch_of(other))
    assert torch.equal(b["translation"][..., 2], other.translation[None, :, 2])
    assert heading_of_root(b["root"][:, frame]).abs().max() < 1e-6
    root = b["translation"][:, frame] + (0 if rest is None else rest)
    assert root[:, :2].abs().max() < 1e-9


def test_points_go_with_the_body():
    body, motion = small_body("smplh"), small_motion("smplh", seed=3)
    rest = body.shaped(motion.betas).rest_joints[:1]
    out, placement = canonical(batch_of(motion), 4, facing=0.7, root_rest=rest)
    moved = motion.replace(
        rotations=torch.cat([axis_angle_to_matrix(out["root"][0])[:, None], motion.rotations[:, 1:]], 1),
        translation=out["translation"][0],
    )
    joints = motion.joints(body)[None]
    assert torch.allclose(placement.points(joints)[0], moved.joints(body), atol=1e-9)
    assert torch.allclose(placement.points_undone(placement.points(joints)), joints, atol=1e-9)


@pytest.mark.parametrize("yaw", [-3.0, 0.0, 1.0, math.pi])
@pytest.mark.parametrize("pitch", [-0.6, 0.0, 0.9])
def test_an_upright_body_faces_where_its_chest_does(yaw, pitch):
    body, motion = load_body("open-smplh-neutral"), small_motion("smplh", frames=3).to(dtype=torch.float32)
    stand, turn, lean = (
        rotation_about(axis, torch.tensor(angle)) for axis, angle in (("X", math.pi / 2), ("Z", yaw), ("X", pitch))
    )
    rest = torch.eye(3).repeat(3, len(motion.skeleton), 1, 1)
    rest[:, 0] = turn @ stand @ lean  # leans about its own left-right axis
    chest = heading(motion.replace(rotations=rest), body)[0].double()
    ours = heading_of_root(matrix_to_axis_angle(rest[0, 0]))
    assert torch.cos(chest - ours) > math.cos(math.radians(3))


def test_windows_give_the_view_and_the_way_back(tmp_path):
    store = window_store(tmp_path)
    plain, view = (make_windows(store, 12, 30, hop=6, canonical_frame=frame) for frame in (None, 3))
    rows = range(len(plain))
    recorded, batch = plain.fetch(rows), view.fetch(rows)
    expected, placement = canonical(recorded, 3)
    assert all(torch.equal(batch[key], expected[key]) for key in expected)
    assert torch.allclose(batch["yaw"], placement.yaw.float()) and batch["origin"].shape == (len(plain), 3)
    assert close(placement.undo(batch), recorded)
    assert torch.equal(batch["body"], recorded["body"])
    single = view.fetch([2])
    assert all(torch.allclose(single[key][0].double(), batch[key][2].double(), atol=1e-6) for key in single)


def test_the_nearest_valid_frame_stands_in_for_an_invalid_one():
    motion = small_motion("smplh")
    batch = batch_of(motion) | {"mask": torch.tensor([[False, False, *[True] * 10]])}
    with_mask, _ = canonical(batch, 0)
    without, _ = canonical(batch_of(motion), 2)
    assert torch.equal(with_mask["translation"], without["translation"])
    with pytest.raises(UsageError, match="no frame"):
        canonical(batch, 12)
    with pytest.raises(UsageError, match="root"):
        canonical({"root": batch["root"]})
