"""Laws of the motion features: units, frame rates, masks."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.material import small_body, small_motion
from tests.motion.material import gappy, seeds, standing_tree, tree_motion
from vitruve.errors import BadData, UsageError
from vitruve.geometry.rotations import rotation_about
from vitruve.motion import (
    Motion,
    accelerations,
    angular_velocities,
    derivative,
    foot_contacts,
    foot_sliding,
    ground_speed,
    heading,
    rotate_world,
    translate_world,
    velocities,
)

ANKLES = ("left_ankle", "right_ankle")
BODY = small_body("smplh", vertices=60)


def moving(fps: float, path: torch.Tensor) -> Motion:
    """The upright tree with its root moved along a path [frames, 3]."""
    still = standing_tree(frames=len(path), fps=fps)
    return still.replace(translation=still.translation + path)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([20.0, 30.0, 120.0]), st.floats(-2, 2), st.floats(-3, 3))
def test_a_parabola_has_its_speed_and_acceleration_at_every_rate(fps: float, speed: float, rate: float):
    time = torch.arange(9, dtype=torch.float64) / fps
    path = torch.stack([speed * time + rate * time**2 / 2, 0 * time, 0 * time], -1)
    motion = moving(fps, path)
    along = velocities(motion)[..., 0]
    assert torch.allclose(along[1:-1], (speed + rate * time[1:-1])[:, None].expand(-1, 6), atol=1e-7)
    assert torch.allclose(accelerations(motion)[1:-1, :, 0], torch.tensor(rate, dtype=torch.float64), atol=1e-6)
    assert accelerations(motion)[[0, -1]].isnan().all()
    assert torch.allclose(ground_speed(motion), along[:, 0].abs(), atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_speeds_do_not_depend_on_where_the_world_is(seed: int):
    motion = small_motion(seed=seed)
    turn = rotation_about("Z", torch.tensor(1.2, dtype=torch.float64))
    other = translate_world(rotate_world(motion, turn, BODY), torch.tensor([5.0, 1.0, 0.0]))
    assert torch.allclose(velocities(other, BODY), velocities(motion, BODY) @ turn.T, atol=1e-8)
    assert torch.allclose(angular_velocities(other)[:, 1:], angular_velocities(motion)[:, 1:], atol=1e-8)
    assert torch.allclose(angular_velocities(other)[:, 0], angular_velocities(motion)[:, 0] @ turn.T, atol=1e-8)
    change = heading(other, BODY) - heading(motion, BODY)
    # Where the random body lies on its side both headings are unknown.
    assert torch.equal(heading(other, BODY).isnan(), heading(motion, BODY).isnan())
    known = change[~change.isnan()]
    assert torch.allclose(torch.cos(known - 1.2), torch.ones_like(known), atol=1e-8)


@pytest.mark.parametrize("fps", [30.0, 120.0])
def test_a_steady_turn_has_its_rate_and_an_unwrapped_heading(fps: float):
    angles = 5.0 * torch.arange(int(2 * fps), dtype=torch.float64) / fps
    still = standing_tree(frames=len(angles), fps=fps)
    rotations = still.rotations.clone()
    rotations[:, 0] = rotation_about("Z", angles) @ rotations[:, 0]
    motion = still.replace(rotations=rotations)
    rates = angular_velocities(motion)
    assert torch.allclose(rates[:, 0], torch.tensor([0, 0, 5.0], dtype=torch.float64).expand(len(angles), 3), atol=1e-7)
    assert float(rates[:, 1:].abs().max()) < 1e-7
    facing = heading(motion, across=[("left_hip", "right_hip")])
    assert torch.allclose(facing, angles, atol=1e-9)


def test_masks_leave_nan_only_where_nothing_is_known():
    values = torch.arange(8, dtype=torch.float64)[:, None] ** 2
    mask = torch.tensor([1, 1, 1, 0, 1, 0, 1, 1], dtype=torch.bool)
    rates = derivative(values.masked_fill(~mask[:, None], torch.nan), 1.0, mask)[:, 0]
    assert rates.isnan().tolist() == [False, False, False, True, True, True, False, False]
    assert rates[[0, 1, 2, 6, 7]].tolist() == [1, 2, 3, 13, 13]
    motion = gappy(tree_motion(), (4, 6))
    assert motion.mask is not None
    for rate in (velocities(motion), angular_velocities(motion)):
        assert not rate[motion.mask].isnan().any() and rate[~motion.mask].isnan().all()
    facing = heading(motion, across=[("left_hip", "right_hip")])
    assert torch.equal(facing.isnan(), ~motion.mask)
    assert not foot_contacts(motion, joints=ANKLES)[~motion.mask].any()


def test_heading_is_unknown_on_the_side():
    motion = standing_tree(frames=2)
    roll = rotation_about("X", torch.tensor(math.pi / 2, dtype=torch.float64))
    assert heading(motion, across=[("left_hip", "right_hip")]).tolist() == [0, 0]
    assert heading(rotate_world(motion, roll), across=[("left_hip", "right_hip")]).isnan().all()


def steps(fps: float) -> Motion:
    """Stand for 1 s, hop forward 0.6 m within 0.5 s, stand for 1 s."""
    time = torch.arange(int(2.5 * fps), dtype=torch.float64) / fps
    part = ((time - 1) / 0.5).clamp(0, 1)
    share = part**3 * (10 - 15 * part + 6 * part**2)
    return moving(fps, torch.stack([0.6 * share, 0 * time, 0.2 * torch.sin(math.pi * part) ** 2], -1))


@pytest.mark.parametrize("fps", [20.0, 30.0, 60.0, 120.0])
def test_contacts_are_found_at_every_frame_rate(fps: float):
    motion = steps(fps)
    contacts = foot_contacts(motion, joints=ANKLES)
    time = torch.arange(len(motion)) / fps
    assert contacts[(time < 0.95) | (time > 1.55)].all()
    assert not contacts[(time > 1.15) & (time < 1.35)].any()
    assert (contacts[1:] != contacts[:-1]).sum(0).tolist() == [2, 2]
    assert foot_sliding(motion, contacts=contacts, joints=ANKLES) < 0.05


def test_a_contact_needs_the_inner_threshold_once_and_lasts_to_the_outer_one():
    heights = torch.tensor([0.0, 0.03, 0.058, 0.05, 0.058, 0.07, 0.058, 0.05], dtype=torch.float64)
    path = torch.stack([0 * heights, 0 * heights, heights], -1)
    contacts = foot_contacts(moving(1.0, path), joints=("right_ankle",), speed=1.0)
    assert contacts[:, 0].tolist() == [True] * 5 + [False] * 3


def test_a_body_knows_how_high_its_ankles_stand():
    body = small_body("smplh", vertices=60)
    sole = body.template[:, 1].min()
    upright = torch.tensor([[0, 0, 1], [1, 0, 0], [0, 1, 0]], dtype=torch.float64)
    rotations = body.rest_rotations(10)
    rotations[:, 0] = upright
    root = body.shaped().rest_joints[0]
    # The rest pose turned upright with its sole on the ground, then lifted off it.
    translation = (upright @ root - root - torch.tensor([0, 0, 1.0]).double() * sole).expand(10, 3)
    motion = small_motion(frames=10).replace(rotations=rotations, translation=translation, betas=torch.zeros(0))
    assert foot_contacts(motion, body).all()
    lifted = translate_world(motion, torch.tensor([0, 0, 0.2]))
    assert not foot_contacts(lifted, body).any()
    assert foot_contacts(lifted, body, ground=0.2).all()


def test_sliding_is_measured_in_metres_per_second():
    time = torch.arange(60, dtype=torch.float64) / 30
    motion = moving(30.0, torch.stack([0.1 * time, 0 * time, 0 * time], -1))
    assert foot_sliding(motion, joints=ANKLES) == pytest.approx(0.1)
    nowhere = torch.zeros(60, 2, dtype=torch.bool)
    assert math.isnan(foot_sliding(motion, contacts=nowhere, joints=ANKLES))
    with pytest.raises(BadData, match="do not fit"):
        foot_sliding(motion, contacts=nowhere[:5], joints=ANKLES)


def test_a_skeleton_without_the_joints_says_which_argument_helps():
    with pytest.raises(UsageError, match="joints"):
        foot_contacts(tree_motion())
    with pytest.raises(UsageError, match="across"):
        heading(tree_motion())
