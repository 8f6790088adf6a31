"""Laws of turning, moving and grounding the world."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.material import small_body, small_motion
from tests.motion.material import gappy, seeds, standing_tree, tree_motion
from vitruve.errors import UsageError
from vitruve.geometry.rotations import axis_angle_to_matrix
from vitruve.motion import (
    change_up_axis,
    heading,
    put_on_ground,
    rotate_world,
    start_at_origin,
    translate_world,
)

angles = st.floats(-3, 3)
BODY = small_body("smplx", vertices=120)


@settings(max_examples=25, deadline=None)
@given(seeds, angles, angles, angles)
def test_every_joint_and_vertex_turns_with_the_world(seed: int, x: float, y: float, z: float):
    motion = small_motion("smplx", frames=4, seed=seed)
    turn = axis_angle_to_matrix(torch.tensor([x, y, z], dtype=torch.float64))
    centre = torch.tensor([0.3, y, -1.0], dtype=torch.float64)
    out = rotate_world(motion, turn, BODY, about=centre)
    expected = (motion.joints(BODY) - centre) @ turn.T + centre
    assert torch.allclose(out.joints(BODY), expected, atol=1e-10)
    assert torch.allclose(out.vertices(BODY), (motion.vertices(BODY) - centre) @ turn.T + centre, atol=1e-10)
    back = rotate_world(out, turn.T, BODY, about=centre)
    assert torch.allclose(back.translation, motion.translation, atol=1e-10)
    assert torch.equal(out.rotations[:, 1:], motion.rotations[:, 1:])


@settings(max_examples=15, deadline=None)
@given(seeds, angles)
def test_a_plain_tree_turns_about_its_own_rest_positions(seed: int, angle: float):
    motion = tree_motion(seed)
    turn = axis_angle_to_matrix(torch.tensor([angle, 0.5, -angle], dtype=torch.float64))
    assert torch.allclose(rotate_world(motion, turn).joints(), motion.joints() @ turn.T, atol=1e-10)


def test_turning_without_the_body_explains_what_is_missing():
    with pytest.raises(UsageError, match="the body"):
        rotate_world(small_motion(), torch.eye(3))
    with pytest.raises(UsageError, match="not a rotation"):
        rotate_world(tree_motion(), 2 * torch.eye(3))


def test_moving_needs_no_body():
    motion = small_motion("smplx")
    step = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    assert torch.allclose(translate_world(motion, step).joints(BODY), motion.joints(BODY) + step)


def test_y_up_becomes_z_up_and_x_stays():
    motion = tree_motion()
    joints, turned = motion.joints(), change_up_axis(motion, "y").joints()
    assert torch.allclose(turned, torch.stack([joints[..., 0], -joints[..., 2], joints[..., 1]], -1))
    assert torch.allclose(change_up_axis(change_up_axis(motion, "y"), "z", "y").joints(), joints)
    assert torch.allclose(change_up_axis(motion, "z").joints(), joints)
    assert torch.allclose(change_up_axis(motion, "-z").joints()[..., 2], -joints[..., 2])
    with pytest.raises(UsageError, match="not an axis"):
        change_up_axis(motion, "up")


@pytest.mark.parametrize("chunk", [1, 5, 256])
def test_the_lowest_vertex_of_valid_frames_comes_to_zero(chunk: int):
    motion = gappy(small_motion("smplx"), (4, 6))
    assert motion.mask is not None
    out = put_on_ground(motion, BODY, chunk=chunk)
    assert abs(float(out.vertices(BODY)[motion.mask][..., 2].min())) < 1e-9
    assert torch.equal(out.translation[motion.mask][:, :2], motion.translation[motion.mask][:, :2])


def test_the_lowest_joint_comes_to_zero_with_and_without_a_body():
    assert abs(float(put_on_ground(tree_motion(), method="lowest_joint").joints()[..., 2].min())) < 1e-12
    out = put_on_ground(small_motion("smplx"), BODY, method="lowest_joint")
    assert abs(float(out.joints(BODY)[..., 2].min())) < 1e-9


def test_one_bad_frame_does_not_move_the_ground_found_by_contacts():
    still = standing_tree(frames=40, height=0.7)
    dipped = still.replace(translation=still.translation.clone())
    dipped.translation[7, 2] -= 0.5
    out = put_on_ground(dipped, method="contacts", joints=("left_ankle", "right_ankle"))
    assert float(out.joints()[0, :, 2].min()) == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(UsageError, match="unknown ground method"):
        put_on_ground(dipped, method="floor")
    with pytest.raises(UsageError, match="needs a body"):
        put_on_ground(dipped)


@settings(max_examples=20, deadline=None)
@given(seeds, angles, angles)
def test_takes_of_one_movement_start_alike(seed: int, angle: float, facing: float):
    motion = small_motion("smplx", seed=seed, frames=5)
    assume(not bool(heading(motion, BODY)[0].isnan()))
    turn = axis_angle_to_matrix(torch.tensor([0, 0, angle], dtype=torch.float64))
    other = translate_world(rotate_world(motion, turn, BODY), torch.tensor([2.0, -3.0, 0.0]))
    a, b = (start_at_origin(m, BODY, facing=facing) for m in (motion, other))
    assert torch.allclose(a.joints(BODY), b.joints(BODY), atol=1e-8)
    assert torch.allclose(a.joints(BODY)[0, 0, :2], torch.zeros(2, dtype=torch.float64), atol=1e-8)
    error = (float(heading(a, BODY)[0]) - facing + math.pi) % (2 * math.pi) - math.pi
    assert abs(error) < 1e-8
    assert torch.allclose(a.joints(BODY)[..., 2], motion.joints(BODY)[..., 2], atol=1e-8)
