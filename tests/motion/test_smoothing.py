"""Laws of the smoothing filters."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.material import small_motion
from tests.motion.material import gappy, seeds
from vitruve.errors import UsageError
from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance, rotation_about, rotation_error
from vitruve.motion import Motion, smooth
from vitruve.motion.smoothing import FILTERS

filters = st.sampled_from(sorted(FILTERS))


def noisy(frames: int = 60, seed: int = 0) -> Motion:
    motion = small_motion(frames=frames, fps=60.0, seed=seed)
    noise = 0.05 * torch.randn(frames, 52, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return motion.replace(
        rotations=motion.rotations @ axis_angle_to_matrix(noise), translation=motion.translation + noise[:, 0]
    )


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_noise_shrinks_and_rotations_stay_rotations(name: str):
    clean, raw = small_motion(frames=60, fps=60.0), noisy()
    out = smooth(raw, name)
    assert float(rotation_error(out.rotations).max()) < 1e-9
    before = geodesic_distance(raw.rotations, clean.rotations).mean()
    after = geodesic_distance(out.rotations, clean.rotations).mean()
    assert after < 0.75 * before
    assert (out.translation - clean.translation).norm() < 0.75 * (raw.translation - clean.translation).norm()


@settings(max_examples=20, deadline=None)
@given(filters, seeds, st.integers(1, 30))
def test_a_constant_motion_is_unchanged(name: str, seed: int, frames: int):
    still = small_motion("smplx", frames=1, seed=seed)
    still = still.replace(
        rotations=still.rotations.expand(frames, -1, -1, -1).clone(),
        translation=still.translation.expand(frames, -1).clone(),
        expression=None,
    )
    out = smooth(still, name)
    assert float((out.rotations - still.rotations).abs().max()) < 1e-9
    assert float((out.translation - still.translation).abs().max()) < 1e-9


@settings(max_examples=15, deadline=None)
@given(filters, seeds)
def test_turning_the_world_before_or_after_is_the_same(name: str, seed: int):
    motion = noisy(30, seed)
    turn = axis_angle_to_matrix(torch.tensor([2.0, -1.0, 0.7], dtype=torch.float64))
    first = smooth(motion.replace(rotations=turn @ motion.rotations), name)
    assert float((first.rotations - turn @ smooth(motion, name).rotations).abs().max()) < 1e-8


@settings(max_examples=15, deadline=None)
@given(filters, seeds)
def test_invalid_frames_do_not_bleed(name: str, seed: int):
    motion = noisy(30, seed)
    out = smooth(gappy(motion, (12, 15)), name)
    for part in (slice(0, 12), slice(15, 30)):
        alone = smooth(motion[part], name)
        assert torch.equal(out.rotations[part], alone.rotations)
        assert torch.equal(out.translation[part], alone.translation)
    assert out.rotations[12:15].isnan().all()


def test_the_butterworth_halves_the_power_at_its_cutoff_without_delay():
    time = torch.arange(600, dtype=torch.float64) / 60
    wave = torch.sin(2 * math.pi * 5 * time)[:, None].expand(-1, 3).clone()
    motion = small_motion(frames=600, fps=60.0).replace(translation=wave)
    for order in (2, 4, 8):
        out = smooth(motion, "butterworth", cutoff_hz=5, order=order)
        inside = slice(150, 450)
        gain = (out.translation[inside, 0] * wave[inside, 0]).sum() / (wave[inside, 0] ** 2).sum()
        assert float(gain) == pytest.approx(1 / math.sqrt(2), rel=2e-3)
        assert float((out.translation[inside, 0] - gain * wave[inside, 0]).abs().max()) < 5e-3


def test_a_fast_turn_through_half_a_turn_keeps_its_way():
    angles = torch.linspace(0, 4 * math.pi, 60, dtype=torch.float64)
    motion = small_motion(frames=60).replace(
        rotations=rotation_about("Z", angles)[:, None].expand(60, 52, 3, 3).clone()
    )
    out = smooth(motion, "gaussian", sigma=0.05)
    assert float(geodesic_distance(out.rotations[10:50], motion.rotations[10:50]).max()) < 0.02


@pytest.mark.parametrize(
    ("name", "numbers", "message"),
    [
        ("median", {}, "unknown filter"),
        ("gaussian", {"cutoff_hz": 3}, "no setting"),
        ("butterworth", {"cutoff_hz": 15}, "cutoff"),
        ("butterworth", {"order": 3}, "order"),
        ("gaussian", {"sigma": 0}, "positive"),
        ("savgol", {"window": 0.01}, "too short"),
    ],
)
def test_settings_that_make_no_sense_are_errors(name: str, numbers: dict[str, float], message: str):
    with pytest.raises(UsageError, match=message):
        smooth(small_motion(), name, **numbers)
