"""Laws of resampling and gap filling."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.material import small_motion
from tests.motion.material import gappy, rates, seeds
from vitruve.errors import BadData, UsageError
from vitruve.geometry.rotations import geodesic_distance, rotation_about, rotation_error
from vitruve.motion import Source, fill_gaps, resample


def test_a_quarter_of_the_rate_takes_every_fourth_frame_bit_for_bit():
    for frames in (1, 4, 5, 17):
        motion = small_motion("smplx", frames=frames, fps=120.0)
        quarter = resample(motion, 30.0)
        assert torch.equal(quarter.rotations, motion.rotations[::4])
        assert torch.equal(quarter.translation, motion.translation[::4])
        assert quarter.expression is not None and motion.expression is not None
        assert torch.equal(quarter.expression, motion.expression[::4])
        assert quarter.fps == 30.0


def test_a_rate_with_a_rounding_error_is_the_rate_that_is_meant():
    motion = small_motion(frames=2001, fps=120.00004577636719)
    assert torch.equal(resample(motion, 30.0).rotations, motion.rotations[::4])


@settings(max_examples=25, deadline=None)
@given(seeds, st.sampled_from([1.5, 2, 3, 4, 2.5]))
def test_up_and_down_again_is_the_identity(seed: int, factor: float):
    motion = small_motion(frames=13, seed=seed)
    there = resample(motion, motion.fps * factor)
    assert torch.equal(there.rotations[0], motion.rotations[0])
    if factor == int(factor):
        back = resample(there, motion.fps)
        assert torch.equal(back.rotations, motion.rotations)
        assert torch.equal(back.translation, motion.translation)


@settings(max_examples=40, deadline=None)
@given(rates, rates, st.integers(1, 40))
def test_the_time_span_is_kept_and_nothing_is_invented(start: float, end: float, frames: int):
    motion = small_motion(frames=frames, fps=start)
    out = resample(motion, end)
    span, new_span = (frames - 1) / start, (len(out) - 1) / end
    assert new_span <= span * (1 + 2e-6) and span - new_span < (1 + 1e-4) / end
    assert float(rotation_error(out.rotations).max()) < 1e-9
    assert out.body_name == motion.body_name and torch.equal(out.betas, motion.betas)


def test_a_steady_turn_stays_steady():
    angles = torch.linspace(0, 2, 9, dtype=torch.float64)
    motion = small_motion(frames=9)
    motion = motion.replace(rotations=rotation_about("Z", angles)[:, None].expand(9, 52, 3, 3).clone())
    out = resample(motion, 45.0)
    expected = rotation_about("Z", torch.arange(len(out)).double() * (angles[1] * 30 / 45))
    assert float(geodesic_distance(out.rotations[:, 5], expected).max()) < 1e-9


def test_a_frame_between_is_valid_only_if_both_neighbours_are():
    motion = gappy(small_motion(frames=6), (2, 3))
    out = resample(motion, 60.0)
    assert out.mask is not None
    assert out.mask.tolist() == [True, True, True, False, False, False, True, True, True, True, True]
    assert not out.rotations[out.mask].isnan().any()


def test_per_frame_extras_are_dropped_and_named():
    source = Source(file="walk.npz", extras={"dmpls": torch.zeros(12, 8), "labels": ["a"]})
    out = resample(small_motion().replace(source=source), 29.97)
    assert set(out.source.extras) == {"labels"} and "dmpls" in out.source.notes[-1]


@pytest.mark.parametrize("fps", [0.0, -30.0, float("nan"), float("inf"), 1e300, 1e-300])
def test_no_frame_rate_is_an_error(fps: float):
    with pytest.raises(UsageError, match="frame rate is not between"):
        resample(small_motion(), fps)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(0, 12), st.integers(0, 12))
def test_filling_keeps_valid_frames_and_leaves_rotations(seed: int, a: int, b: int):
    start, stop = min(a, b), max(a, b)
    motion = gappy(small_motion(seed=seed), (start, stop))
    if stop - start == 12:
        with pytest.raises(BadData, match="no frame is valid"):
            fill_gaps(motion)
        return
    filled = fill_gaps(motion)
    valid = motion.mask
    assert valid is not None and filled.mask is None
    assert torch.equal(filled.rotations[valid], motion.rotations[valid])
    assert torch.equal(filled.translation[valid], motion.translation[valid])
    assert float(rotation_error(filled.rotations).max()) < 1e-9


def test_a_filled_gap_lies_on_the_line_and_ends_are_held():
    motion = small_motion(frames=8)
    steady = motion.replace(translation=torch.arange(24, dtype=torch.float64).view(8, 3))
    filled = fill_gaps(gappy(steady, (0, 1), (3, 5), (7, 8)))
    assert torch.allclose(filled.translation[1:7], steady.translation[1:7])
    assert torch.equal(filled.translation[0], steady.translation[1])
    assert torch.equal(filled.translation[7], steady.translation[6])


def test_gaps_that_are_too_long_stay():
    motion = gappy(small_motion(frames=12, fps=10.0), (2, 3), (5, 9))
    filled = fill_gaps(motion, longest=0.2)
    assert filled.mask is not None and filled.mask.tolist() == [True] * 5 + [False] * 4 + [True] * 3
    assert filled.translation[5:9].isnan().all()


def test_a_rate_that_is_no_plain_fraction_of_the_other_does_not_overflow():
    frames = torch.arange(6000).double()[:, None]
    rotations = torch.eye(3).expand(len(frames), 52, 3, 3)
    motion = small_motion(frames=2).replace(rotations=rotations, translation=frames.expand(-1, 3), fps=30.003)
    out = resample(motion, 30.0)
    assert len(out) == 5999
    assert torch.allclose(out.translation[:, 0], frames[:5999, 0] * 1.0001, atol=1e-6)
