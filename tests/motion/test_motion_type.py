"""The Motion type: checked when made, sliced with its extras, joints of bodies and of plain trees."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.material import small_body, small_motion
from vitruve.errors import BadData, OutOfRange, UsageError
from vitruve.motion import Motion, Source
from vitruve.skeletons import Skeleton

TREE = Skeleton(
    name="arm",
    names=("root", "upper", "lower"),
    parents=(-1, 0, 1),
    root=(0,),
    rest=torch.tensor([[0.0, 0, 1], [0, 0, 1.5], [0, 0, 2.0]], dtype=torch.float64),
)


def tree_motion(frames: int = 4, **changes) -> Motion:
    fields = {
        "rotations": torch.eye(3, dtype=torch.float64).expand(frames, 3, 3, 3).clone(),
        "translation": torch.zeros(frames, 3, dtype=torch.float64),
        "fps": 30.0,
        "skeleton": TREE,
    }
    return Motion(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"translation": torch.zeros(3, 3)}, "translation"),
        ({"rotations": torch.eye(3).expand(4, 2, 3, 3)}, "rotations"),
        ({"betas": torch.zeros(4, 10)}, "one shape"),
        ({"expression": torch.zeros(3, 10)}, "expression"),
        ({"offsets": torch.zeros(4, 2, 3)}, "offsets"),
        ({"mask": torch.ones(5, dtype=torch.bool)}, "mask"),
        ({"fps": 0.0}, "frame rate"),
        ({"fps": float("nan")}, "frame rate"),
        ({"fps": -30.0}, "frame rate"),
        ({"fps": 1e300}, "frame rate"),
        ({"translation": torch.full((4, 3), 1e30)}, "translation is too large"),
        ({"betas": torch.tensor([0.0, float("inf")])}, "betas is too large"),
        ({"fps": 1e-300}, "frame rate"),
        ({"gender": "robot"}, "gender"),
        ({"rotations": torch.zeros(0, 3, 3, 3), "translation": torch.zeros(0, 3)}, "no frames"),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_made(changes, words):
    with pytest.raises(BadData) as caught:
        tree_motion(**changes)
    assert words in caught.value.what and caught.value.where and caught.value.fix
    assert len(str(caught.value).splitlines()) == 3


def test_slicing_takes_everything_that_runs_over_the_frames():
    motion = small_motion("smplx", frames=12)
    extras = {"markers": np.arange(12 * 2).reshape(12, 2), "labels": ["a", "b"], "mass": np.float64(70.0)}
    motion = motion.replace(source=Source("x.npz", "amass", extras), mask=torch.arange(12) % 2 == 0)
    part = motion[3:9:2]
    assert len(part) == 3 and part.fps == 15 and part.duration == pytest.approx(0.2)
    assert torch.equal(part.rotations, motion.rotations[3:9:2])
    assert part.expression is not None and torch.equal(part.expression, motion.expression[3:9:2])
    assert part.mask is not None and part.mask.tolist() == [False, False, False]
    assert part.source.extras["markers"].tolist() == extras["markers"][3:9:2].tolist()
    assert part.source.extras["labels"] == ["a", "b"] and part.source.extras["mass"] == 70.0


def test_other_frames_drop_the_extras_that_no_longer_fit():
    motion = small_motion(frames=12).replace(source=Source("x", "amass", {"markers": np.zeros((12, 5)), "note": "n"}))
    longer = motion.replace(
        rotations=torch.cat([motion.rotations] * 2), translation=torch.cat([motion.translation] * 2)
    )
    assert set(longer.source.extras) == {"note"}


def test_a_number_is_one_frame_and_a_loop_ends():
    motion = tree_motion(4, translation=torch.arange(12.0, dtype=torch.float64).view(4, 3))
    for number, frame in ((1, motion[1]), (3, motion[-1]), (0, motion[-4]), (2, motion[np.int64(2)])):
        assert len(frame) == 1 and frame.fps == motion.fps
        assert torch.equal(frame.translation[0], motion.translation[number])
    frames = list(motion)
    assert [float(frame.translation[0, 0]) for frame in frames] == [0, 3, 6, 9]
    for index in (4, -5):
        with pytest.raises(IndexError) as caught:
            motion[index]
        assert isinstance(caught.value, OutOfRange) and len(str(caught.value).splitlines()) == 3
        assert f"no frame {index}" in caught.value.what and "4 frames" in caught.value.where
    for index in (1.5, "2", None, [0, 1]):
        with pytest.raises(UsageError, match="slice"):
            motion[index]  # type: ignore[index]


def test_slices_only_forwards():
    motion = tree_motion()
    with pytest.raises(UsageError):
        motion[::-1]
    with pytest.raises(BadData, match="no frames"):
        motion[4:]


def test_a_tree_stands_on_its_rest_positions():
    motion = tree_motion(translation=torch.arange(12.0, dtype=torch.float64).view(4, 3))
    assert TREE.rest is not None
    assert torch.equal(motion.joints(), TREE.rest + motion.translation[:, None])


def test_moving_bones_with_rest_offsets_give_the_rest_bones():
    generator = torch.Generator().manual_seed(0)
    rotations = torch.linalg.qr(torch.randn(4, 3, 3, 3, generator=generator, dtype=torch.float64))[0]
    assert TREE.rest is not None
    offsets = torch.stack([TREE.rest[0] * 0, TREE.rest[1] - TREE.rest[0], TREE.rest[2] - TREE.rest[1]])
    stiff = tree_motion(rotations=rotations)
    moving = tree_motion(rotations=rotations, offsets=offsets.expand(4, 3, 3))
    assert (stiff.joints() - moving.joints()).abs().max() < 1e-12


def test_joints_of_a_body_motion_need_the_body():
    with pytest.raises(UsageError) as caught:
        small_motion("smplh").joints()
    assert "smplh-female" in str(caught.value)
    assert small_motion("smplh").joints(small_body("smplh")).shape == (12, 52, 3)


def test_precision_and_device_move_every_field():
    motion = small_motion("smplx").to(dtype=torch.float32)
    for value in (motion.rotations, motion.translation, motion.betas, motion.expression):
        assert value is not None and value.dtype == torch.float32
