"""Keypoints: what is missing is never a number, gaps are filled with a limit, other rates, filters, and bad input."""

from __future__ import annotations

import math

import pytest
import torch

from vitruve.errors import BadData, UsageError
from vitruve.geometry.camera import look_at
from vitruve.motion import Keypoints, fill_keypoint_gaps, resample_keypoints, smooth_keypoints
from vitruve.skeletons import load_skeleton


def walk(frames: int = 60, fps: float = 30.0, dims: int = 3) -> Keypoints:
    """Each point on a smooth curve of its own."""
    time = torch.arange(frames, dtype=torch.float64)[:, None, None] / fps
    offset = torch.rand(17, dims, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return Keypoints(0.3 * torch.sin(math.pi * time + 6 * offset) + offset, fps, load_skeleton("coco17"))


def with_gap(start: int, stop: int, name: str = "nose") -> Keypoints:
    keypoints = walk()
    positions = keypoints.positions.clone()
    positions[start:stop, keypoints.skeleton.index(name)] = torch.nan
    return Keypoints(positions, keypoints.fps, keypoints.skeleton)


def test_what_is_missing_is_nan_with_confidence_zero_whichever_of_the_two_said_so():
    positions = walk().positions.clone()
    positions[3, 0] = torch.nan
    confidence = torch.full((60, 17), 0.8, dtype=torch.float64)
    confidence[4, 1] = 0
    keypoints = Keypoints(positions, 30.0, load_skeleton("coco17"), confidence)
    assert keypoints.positions[4, 1].isnan().all() and keypoints.confidence[3, 0] == 0
    assert int((~keypoints.seen).sum()) == 2
    assert "missing" in repr(keypoints)


def test_points_are_picked_by_name_in_the_order_given():
    picked = walk().select(["right_wrist", "nose"])
    assert picked.names == ("right_wrist", "nose")
    assert torch.equal(picked.point("nose"), walk().point("nose"))
    with pytest.raises(UsageError, match="left_wrist"):
        walk().select(["left_wirst"])


def test_points_are_picked_from_a_joint_tree_whether_or_not_they_hang_together():
    keypoints = Keypoints(torch.zeros(3, 24, 3), 30.0, load_skeleton("smpl24"))
    assert keypoints.select(["left_wrist", "right_wrist"]).skeleton.parents == ()
    assert keypoints.select(["left_wrist", "left_elbow"]).skeleton.parents == ()
    assert keypoints.select(["left_hip", "left_ankle"]).skeleton.parents == (-1, 0)


def test_frames_are_cut_with_their_numbers_rate_and_camera():
    camera = look_at((0, -4, 1), (0, 0, 1), (640, 480))
    seen = walk().projected(camera)
    assert seen.dims == 2 and seen.camera is camera
    part = seen[10:20:2]
    assert part.frame_ids.tolist() == [10, 12, 14, 16, 18] and part.fps == 15
    assert len(seen[-1]) == 1 and seen[-1].frame_ids.tolist() == [59]
    with pytest.raises(IndexError):
        seen[60]
    assert len(list(seen)) == 60


def test_projection_marks_what_is_behind_the_camera():
    inside = walk().projected(look_at((0, 0.3, 0.5), (0, 5, 0.5), (640, 480)))
    assert 0 < float(inside.seen.double().mean()) < 1
    with pytest.raises(UsageError, match="projected"):
        inside.projected(look_at((0, -4, 1), (0, 0, 1), (640, 480)))


def test_a_short_gap_is_filled_near_the_truth_and_said():
    filled = fill_keypoint_gaps(with_gap(20, 26))
    assert float((filled.positions - walk().positions).abs().max()) < 0.005
    assert filled.confidence[22, 0] == 0.5 and filled.confidence[19, 0] == 1
    assert "filled 6" in filled.source.notes[-1]


def test_what_is_too_long_or_at_an_end_stays_missing():
    assert fill_keypoint_gaps(with_gap(20, 40), longest=0.5).positions[20:40, 0].isnan().all()
    assert not fill_keypoint_gaps(with_gap(20, 35), longest=0.5).positions.isnan().any()
    for gap in ((0, 5), (55, 60), (0, 60)):
        kept = with_gap(*gap)
        assert fill_keypoint_gaps(kept) is kept


def test_a_gap_beside_another_is_bridged_straight():
    keypoints = with_gap(20, 22)
    positions = keypoints.positions.clone()
    positions[23, 0] = torch.nan
    filled = fill_keypoint_gaps(Keypoints(positions, 30.0, keypoints.skeleton))
    ends = positions[19, 0], positions[22, 0]
    assert torch.allclose(filled.positions[20, 0], ends[0] + (ends[1] - ends[0]) / 3)


def test_another_rate_keeps_frames_that_fall_on_old_ones_bit_for_bit():
    half = resample_keypoints(walk(61), 15)
    assert torch.equal(half.positions, walk(61).positions[::2]) and half.fps == 15
    again = resample_keypoints(half, 30)
    assert torch.equal(again.positions[::2], half.positions)
    assert float((again.positions - walk(61).positions).abs().max()) < 0.03
    gap = resample_keypoints(with_gap(20, 21), 60)
    assert gap.positions[39:42, 0].isnan().all() and not gap.positions[[38, 42], 0].isnan().any()


@pytest.mark.parametrize("filter", ["butterworth", "gaussian", "savgol"])
def test_a_filter_takes_noise_away_and_does_not_cross_a_gap(filter):
    noise = 0.02 * torch.randn(60, 17, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    noisy = Keypoints(walk().positions + noise, 30.0, walk().skeleton)
    smoothed = smooth_keypoints(noisy, filter)
    middle = slice(10, 50)
    assert float((smoothed.positions - walk().positions)[middle].norm()) < 0.8 * float(noise[middle].norm())
    gap = smooth_keypoints(with_gap(30, 31), filter)
    assert gap.positions[30, 0].isnan().all() and not gap.positions[29, 0].isnan().any()
    alone = smooth_keypoints(walk()[:30], filter)
    assert torch.allclose(gap.positions[:30, 0], alone.positions[:, 0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"positions": torch.zeros(4, 16, 3)}, "17"),
        ({"positions": torch.zeros(4, 17, 4)}, "2 or 3"),
        ({"positions": torch.zeros(0, 17, 3)}, "frames"),
        ({"confidence": torch.full((60, 17), 4.0)}, "0 and 1"),
        ({"confidence": torch.full((60, 17), math.nan)}, "0 and 1"),
        ({"confidence": torch.ones(17)}, "confidence"),
        ({"frame_ids": torch.zeros(60, dtype=torch.long)}, "increase"),
        ({"fps": 0.0}, "fps"),
        ({"positions": torch.full((60, 17, 3), 1e12)}, "large"),
    ],
)
def test_bad_numbers_are_named(change, words):
    good = {"positions": walk().positions, "fps": 30.0, "skeleton": walk().skeleton}
    with pytest.raises(BadData) as error:
        Keypoints(**{**good, **change})
    assert words in str(error.value)
