"""Feet and hands that a source shows rolled over come out as if they were not; the mean of two rotations stays near."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.material import shared_data
from tests.retarget.test_retarget import body, clip, disguised, mapping, random_frames
from vitruve import load_motion
from vitruve.geometry.rotations import (
    axis_angle_to_matrix,
    geodesic_distance,
    matrix_to_axis_angle,
    rotation_about,
)
from vitruve.motion import Motion
from vitruve.retarget.alignment import align
from vitruve.retarget.mapping import JointMap, Mapping
from vitruve.retarget.retarget import retarget_motion
from vitruve.skeletons import Skeleton


def half_turn(bone: Tensor) -> Tensor:
    return axis_angle_to_matrix(math.pi * torch.nn.functional.normalize(bone.double(), dim=0))


def rolled_over(motion: Motion, frames: Tensor, joint: str, since: int) -> Motion:
    """The foreign motion with an ankle, or a wrist, on the wrong side from a frame on: the stick figure is the same."""
    names, rest = body().skeleton.names, motion.skeleton.rest
    side, place, rotations = joint.partition("_")[0], names.index(joint), motion.rotations.clone()
    if joint.endswith("wrist"):
        # The hand goes on along the forearm.
        along = body().shaped(clip().betas).rest_joints.double()
        along = along[place] - along[names.index(f"{side}_elbow")]
        rotations[since:, place] = rotations[since:, place] @ half_turn(frames[place].T @ along)
        return motion.replace(rotations=rotations)
    toes = names.index(f"{side}_foot")
    turn = half_turn(rest[toes] - rest[place])
    rotations[since:, place] = rotations[since:, place] @ turn
    ahead = torch.tensor([0.0, 0.0, 1.0]).double()
    rotations[since:, toes] = turn.T @ rotations[since:, toes] @ half_turn(frames[toes].T @ ahead)
    return motion.replace(rotations=rotations)


@pytest.mark.parametrize("joint", ["left_ankle", "right_ankle", "right_wrist"])
def test_what_is_rolled_over_is_turned_back(joint: str):
    frames = random_frames(22, 3)
    straight = disguised(clip(), frames, 1.0)
    rolled = rolled_over(straight, frames, joint, since=11)
    assert torch.allclose(rolled.joints(), straight.joints(), atol=1e-9)
    ours, theirs = (
        retarget_motion(motion, body(), mapping=mapping(frames), betas=clip().betas) for motion in (rolled, straight)
    )
    assert float(geodesic_distance(ours.motion.rotations, theirs.motion.rotations).max()) < 1e-3
    assert any(f"{joint} in {len(straight) - 11} frames" in text for text in ours.warnings)
    assert not any("rolled over" in text for text in theirs.warnings)


def test_a_head_upside_down_is_said_and_not_trusted():
    frames = random_frames(22, 4)
    motion, head = disguised(clip(), frames, 1.0), body().skeleton.names.index("head")
    rotations = motion.rotations.clone()
    rotations[:, head] = rotations[:, head] @ half_turn(frames[head].T @ torch.tensor([0.0, 0.0, 1.0]).double())
    result = retarget_motion(motion.replace(rotations=rotations), body(), mapping=mapping(frames), betas=clip().betas)
    assert not result.trusted
    assert any("anatomically impossible" in text and "head by" in text for text in result.warnings)


def test_a_mean_of_rotations_does_not_stay_on_the_far_side():
    # The forearm turns on and on, by steps and with one jump, and at the end lies nearly as at the beginning.
    degrees = torch.tensor([0.0, 60, 120, 170, 200, 240, 350, 355, 360, 365]).double()
    turns = torch.stack([torch.eye(3).double().expand(10, 3, 3), rotation_about("X", degrees.deg2rad())], 1)
    source = Skeleton("arm", ("upper", "lower"), (-1, 0), rest=torch.tensor([[0.0, 0, 0], [1, 0, 0]]).double())
    motion = Motion(turns, torch.zeros(10, 3).double(), 30.0, source)
    identity = torch.eye(3).double()
    rows = (JointMap("pelvis", ("upper",), ("upper",)), JointMap("left_elbow", ("lower",), ("upper", "lower")))
    arm = Mapping("arm", rows, {"upper": identity, "lower": identity})
    seen = align(motion, arm, body(), body().shaped().rest_joints)
    angle = matrix_to_axis_angle(seen.rotations[:, 1]).norm(dim=-1).rad2deg()
    assert torch.allclose(angle[:6], degrees[:6] / 2, atol=1e-6)
    assert float(angle[6:].max()) < 5.1


def test_the_feet_of_a_dancer_are_not_turned_round():
    folder = shared_data("cmu-more")
    motion = load_motion(folder / "05_06.amc")[::6]
    result = retarget_motion(motion, body())
    names = body().skeleton.names
    for side in ("left", "right"):
        turn = matrix_to_axis_angle(result.motion.rotations[:, names.index(f"{side}_ankle")]).norm(dim=-1).rad2deg()
        assert float(turn.median()) < 60 and float(turn.max()) < 120
        ours = result.motion.joints(body())[:, [names.index(f"{side}_{end}") for end in ("ankle", "foot")]]
        theirs = motion.joints()[:, [motion.skeleton.index(f"{side[0]}{end}") for end in ("foot", "toes")]]
        facing = torch.cosine_similarity((ours[:, 1] - ours[:, 0]).double(), theirs[:, 1] - theirs[:, 0], dim=-1)
        assert float(facing.min()) > 0.98
    assert any("rolled over" in text for text in result.warnings)
