"""Whether a motion's frame rate is doubted where falling and walking show another, and only there."""

from __future__ import annotations

import math

import pytest
import torch

from tests.material import shared_data
from vitruve.formats import load_motion
from vitruve.geometry.rotations import rotation_about
from vitruve.motion import Motion
from vitruve.motion.checks import inspect_motion
from vitruve.motion.rate_check import seen_pace
from vitruve.skeletons import Skeleton, load_skeleton

FPS = 120
NAMES, PARENTS = ("hips", "head", "left_foot", "right_foot"), (-1, 0, 0, 0)


def figure(hips: torch.Tensor, left: torch.Tensor, right: torch.Tensor, fps: float = FPS) -> Motion:
    """A person of four joints at these places [frames, 3]."""
    head = hips + torch.tensor([0, 0, 0.7], dtype=hips.dtype)
    offsets = torch.stack([torch.zeros_like(hips), head - hips, left - hips, right - hips], 1)
    return Motion(
        torch.eye(3, dtype=hips.dtype).expand(len(hips), 4, 3, 3),
        hips,
        fps,
        Skeleton("four", NAMES, PARENTS, rest=offsets[0]),
        offsets=offsets,
    )


def jump(speed: float = 2.0) -> torch.Tensor:
    """[frames] how far above the ground someone is who stands, jumps up, and stands."""
    time = torch.arange(round(1.5 * FPS), dtype=torch.float64) / FPS - 0.5
    return (speed * time - 9.81 / 2 * time**2).clamp(min=0)


def jumper() -> Motion:
    up = jump()[:, None] * torch.tensor([0, 0, 1.0], dtype=torch.float64)
    sides = torch.tensor([[0, 0, 0.9], [0.1, 0, 0.02], [-0.1, 0, 0.02]], dtype=torch.float64)
    return figure(*(up + side for side in sides))


def walker(speed: float = 1.5, seconds: float = 4) -> Motion:
    """Feet that stand half of the time each, and then overtake."""
    time = torch.arange(round(seconds * FPS), dtype=torch.float64) / FPS
    feet = []
    for phase in (0.0, 0.5):
        step = (time + phase) % 1
        swing = ((step - 0.5) / 0.5).clamp(min=0)
        along = speed * (torch.floor(time + phase) - phase + swing)
        lifted = 0.1 * torch.sin(math.pi * swing)
        feet.append(torch.stack([along, torch.full_like(time, 0.1 - 0.4 * phase), lifted], -1))
    return figure(torch.stack([speed * time, 0 * time, 0.9 + 0 * time], -1), *feet)


def test_a_jump_at_its_rate_is_not_doubted() -> None:
    assert seen_pace(jumper()) is None


@pytest.mark.parametrize("factor", [2, 4, 0.5, 0.25])
def test_a_jump_tells_the_rate(factor: float) -> None:
    seen = seen_pace(jumper().replace(fps=FPS * factor))
    assert seen is not None and seen.fps == FPS
    assert "m/s²" in seen.where and ("faster" if factor > 1 else "slower") in seen.why


def test_a_body_that_jumps() -> None:
    skeleton = load_skeleton("smplh52")
    rotations = torch.eye(3, dtype=torch.float64).repeat(len(jump()), len(skeleton), 1, 1)
    rotations[:, 0] = rotation_about("X", torch.tensor(math.pi / 2, dtype=torch.float64))
    up = (jump()[:, None] + 0.9) * torch.tensor([0, 0, 1.0], dtype=torch.float64)
    motion = Motion(rotations, up, 2.0 * FPS, skeleton, body="smplh")
    finding = next(finding for finding in inspect_motion(motion) if "frame rate" in finding.what)
    assert "probably 120, not 240" in finding.what and "--source-fps 120" in finding.hint
    assert finding.severity == "warning" and finding.trusted
    assert not any("frame rate" in finding.what for finding in inspect_motion(motion.replace(fps=float(FPS))))


def test_walking_tells_a_rate_that_is_too_high() -> None:
    assert seen_pace(walker()) is None
    seen = seen_pace(walker().replace(fps=2.0 * FPS))
    assert seen is not None and seen.fps == FPS and "walks" in seen.why


def test_rolling_is_no_walking() -> None:
    time = torch.arange(400, dtype=torch.float64)[:, None] / FPS
    along = 6 * time * torch.tensor([1.0, 0, 0], dtype=torch.float64)
    sides = torch.tensor([[0, 0, 0.9], [0, 0.1, 0], [0, -0.1, 0]], dtype=torch.float64)
    assert seen_pace(figure(*(along + side for side in sides))) is None


def test_hanging_is_no_falling() -> None:
    """Feet that are off the ground for long, while the body sways like a pendulum."""
    time = torch.arange(5 * FPS, dtype=torch.float64) / FPS
    sway = 1 + 0.3 * torch.sin(math.pi * time / 5)
    sway[:30] = sway[-30:] = 0
    up = sway[:, None] * torch.tensor([0, 0, 1.0], dtype=torch.float64)
    sides = torch.tensor([[0, 0, 0.9], [0.1, 0, 0], [-0.1, 0, 0]], dtype=torch.float64)
    assert seen_pace(figure(*(up + side for side in sides))) is None


def test_masked_frames_tell_nothing() -> None:
    motion = jumper().replace(fps=2.0 * FPS)
    height = motion.translation[:, 2] - 0.9
    assert seen_pace(motion.replace(mask=height < 0.05)) is None


def test_recorded_clips_are_doubted_at_a_wrong_rate_only() -> None:
    folder = shared_data("cmu-more")
    jumps = ("13_11", "13_39", "16_01", "16_04", "131_04")
    for name in (*jumps, "16_22", "07_01", "05_10", "14_35", "127_33"):
        motion = load_motion(folder / f"{name}.amc")
        assert motion.fps == FPS and seen_pace(motion) is None, name
        if name in jumps:
            seen = seen_pace(motion.replace(fps=2.0 * FPS))
            assert seen is not None and seen.fps == FPS, name
