"""A body's hands as hands of their own, and back again."""

from __future__ import annotations

import functools

import pytest
import torch

from vitruve.bodies import load_body
from vitruve.convert.convert import convert_motion
from vitruve.convert.hands import convert_hands, with_hands
from vitruve.errors import BadData, UsageError
from vitruve.formats import load_motion, save_motion
from vitruve.geometry.rotations import geodesic_distance
from vitruve.motion import Motion, bundled_clip_path

SIDES = ("left", "right")


@functools.cache
def body_motion(layout: str = "smplh") -> Motion:
    """Frames of the bundled clip in which arms and fingers move, on a body of some shape."""
    clip = load_motion(bundled_clip_path(), dtype=torch.float32)
    clip = clip[380:500:12].replace(body="open-smplh", betas=torch.tensor([1.0, -1.0, 0.5]))
    return clip if layout == "smplh" else convert_motion(clip, f"open-{layout}").motion


@pytest.mark.parametrize(("layout", "side"), [("smplh", "left"), ("smplh", "right"), ("smplx", "right")])
def test_a_hand_stands_where_the_body_has_it(layout: str, side: str):
    motion = body_motion(layout)
    found = convert_hands(motion, f"open-mano-{side}")
    assert found.trusted and not found.warnings
    assert found.error.mean < 1.0
    assert found.motion.body_name == f"open-mano-{side}"
    hand, body = load_body(f"open-mano-{side}"), load_body(f"open-{layout}-neutral")
    joints = found.motion.joints(hand)
    names = [f"{side}_{name}" for name in hand.skeleton.names]
    places = motion.joints(body)[:, [body.skeleton.names.index(name) for name in names]]
    assert (joints - places).norm(dim=-1).mean() < 0.004


@pytest.mark.parametrize("side", SIDES)
def test_there_and_back_again(side: str):
    motion = body_motion()
    hand = convert_hands(motion, f"open-mano-{side}").motion
    flat = motion.replace(rotations=motion.rotations.clone())
    first = motion.skeleton.index(f"{side}_index1")
    flat.rotations[:, first : first + 15] = torch.eye(3)
    back = with_hands(flat, **{side: hand}, wrists=True)
    turned = torch.rad2deg(geodesic_distance(back.rotations, motion.rotations))
    assert turned.mean(0).max() < 3.5
    assert turned[:, first : first + 15].mean() < 1.0
    body = load_body("open-smplh-neutral")
    assert (back.joints(body) - motion.joints(body)).norm(dim=-1).max() < 0.005


def test_putting_a_hand_in_changes_only_that_hand():
    motion = body_motion()
    hand = convert_hands(motion, "open-mano-left").motion
    back = with_hands(motion, left=hand)
    first = motion.skeleton.index("left_index1")
    others = [joint for joint in range(len(motion.skeleton)) if not first <= joint < first + 15]
    assert torch.equal(back.rotations[:, others], motion.rotations[:, others])
    assert torch.equal(back.rotations[:, first : first + 15], hand.rotations[:, 1:])
    assert torch.equal(with_hands(motion).rotations, motion.rotations)


def test_wrists_point_where_the_hand_motion_does():
    motion = body_motion()
    hand = convert_hands(motion, "open-mano-right").motion
    turned = hand.replace(rotations=hand.rotations.clone())
    turned.rotations[:, 0] = torch.eye(3)
    back = with_hands(motion, right=turned, wrists=True)
    body = load_body("open-smplh-neutral")
    world, places = body.shaped(back.betas).world_joints(back.rotations, back.translation)
    wrist = motion.skeleton.index("right_wrist")
    assert (world[:, wrist] - torch.eye(3)).abs().max() < 1e-5
    assert torch.allclose(places[:, wrist], motion.joints(body)[:, wrist], atol=1e-5)


def test_masked_frames_stay_masked():
    mask = torch.ones(len(body_motion()), dtype=torch.bool)
    mask[4] = False
    hand = convert_hands(body_motion().replace(mask=mask), "open-mano-left")
    assert hand.motion.mask is not None and torch.equal(hand.motion.mask, mask)
    assert not hand.failed.any()
    back = with_hands(body_motion(), left=hand.motion)
    assert back.mask is not None and torch.equal(back.mask, mask)


def test_a_hand_has_the_betas_asked_for():
    hand = load_body("open-mano-left")
    assert not convert_hands(body_motion(), hand, betas="zero").motion.betas.any()
    own = torch.tensor([0.5, -0.5])
    assert torch.equal(convert_hands(body_motion(), hand, betas=own).motion.betas, own)


def test_a_hand_motion_is_written_and_read(tmp_path):
    hand = convert_hands(body_motion(), "open-mano-left").motion
    again = load_motion(save_motion(hand, tmp_path / "hand.safetensors"))
    assert again.body_name == "open-mano-left"
    assert torch.equal(again.rotations, hand.rotations)


def test_what_has_no_fingers_is_an_error():
    stiff = convert_motion(body_motion()[:4], "open-smpl").motion
    with pytest.raises(UsageError, match="has no fingers"):
        convert_hands(stiff, "open-mano-left")
    with pytest.raises(UsageError, match="not a hand"):
        convert_hands(body_motion(), "open-smplx-neutral")


def test_hands_that_do_not_fit_the_body_are_errors():
    hand = convert_hands(body_motion()[:6], "open-mano-left", betas="zero").motion
    with pytest.raises(UsageError, match="right hand"):
        with_hands(body_motion()[:6], right=hand)
    with pytest.raises(BadData, match="different numbers of frames"):
        with_hands(body_motion(), left=hand)
    with pytest.raises(UsageError, match="left hand"):
        with_hands(body_motion(), left=body_motion())
