"""The bundled clip: its file, its quality on the open body, and that the committed code makes it."""

from __future__ import annotations

import functools
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import vitruve
from vitruve.bodies import BodyModel
from vitruve.geometry.rotations import matrix_to_axis_angle, rotation_error
from vitruve.motion import (
    Motion,
    angular_velocities,
    bundled_clip_path,
    crop,
    derivative,
    foot_contacts,
    foot_sliding,
    ground_speed,
    heading,
    resample,
)
from vitruve.motion.world import lowest_vertices

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_clip"


@functools.cache
def open_body() -> BodyModel:
    return vitruve.load_body("open-smplh-neutral")


@functools.cache
def clip() -> Motion:
    return vitruve.load_motion(bundled_clip_path())


@functools.cache
def knee_bend() -> torch.Tensor:
    """[frames, 2] bend of both knees in degrees."""
    knees = [clip().skeleton.index(f"{side}_knee") for side in ("left", "right")]
    return torch.rad2deg(matrix_to_axis_angle(clip().rotations[:, knees]).norm(dim=-1))


def at(values: torch.Tensor, start: float, end: float) -> torch.Tensor:
    return values[round(start * 30) : round(end * 30)]


def test_the_file_has_the_layout_of_amass():
    assert bundled_clip_path().stat().st_size < 800_000
    with np.load(bundled_clip_path()) as file:
        shapes = {key: file[key].shape for key in file.files}
        assert str(file["gender"]) == "neutral" and float(file["mocap_framerate"]) == 30.0
    assert shapes == {
        "poses": (600, 156),
        "trans": (600, 3),
        "betas": (16,),
        "dmpls": (600, 8),
        "gender": (),
        "mocap_framerate": (),
        "vitruve_body": (),
    }
    assert clip().body_name == open_body().name


def test_rotations_are_sound_and_nothing_jumps():
    motion = clip()
    assert float(rotation_error(motion.rotations).max()) < 1e-9
    rates = angular_velocities(motion).norm(dim=-1)
    assert float(rates.max()) < 15.0
    speeds = derivative(motion.joints(open_body()), motion.fps).norm(dim=-1)
    assert float(speeds.max()) < 6.0


def test_feet_stand_on_the_ground_and_do_not_slide():
    motion, body = clip(), open_body()
    lowest = lowest_vertices(motion, body)
    assert float(lowest.min()) > -0.02 and float(lowest.max()) < 0.01
    contacts = foot_contacts(motion, body)
    assert contacts.any(1).all()
    assert foot_sliding(motion, body, contacts) < 0.02
    # The joint that carries the weight, the slower one of each frame, hardly moves at all.
    feet = [motion.skeleton.index(name) for name in ("left_ankle", "left_foot", "right_ankle", "right_foot")]
    speeds = derivative(motion.joints(body)[:, feet], motion.fps).norm(dim=-1)
    assert float(speeds.amin(1).mean()) < 0.005 and float(speeds.amin(1).max()) < 0.2


def test_the_walk_is_a_walk():
    motion, body = clip(), open_body()
    walking = crop(motion, 4.5, 7.0)
    assert 0.9 < float(ground_speed(walking).mean()) < 1.3
    # Knees: nearly straight in stance, about 60 degrees in swing; both, in turn.
    bend = at(knee_bend(), 4.5, 7.0)
    assert ((bend.amin(0) > 0) & (bend.amin(0) < 12)).all() and ((bend.amax(0) > 50) & (bend.amax(0) < 70)).all()
    # The arms swing against the legs.
    joints = walking.joints(body)
    facing = heading(walking, body)
    ahead = torch.stack([facing.cos(), facing.sin()], -1)[:, None]
    index = {name: i for i, name in enumerate(motion.skeleton.names)}
    along = ((joints - joints[:, :1])[..., :2] * ahead).sum(-1)
    arms = along[:, index["left_wrist"]] - along[:, index["right_wrist"]]
    legs = along[:, index["left_ankle"]] - along[:, index["right_ankle"]]
    assert float(torch.corrcoef(torch.stack([arms, legs]))[0, 1]) < -0.8


def test_it_turns_sits_and_stands_up():
    motion, body = clip(), open_body()
    facing = heading(motion, body)
    assert float(facing[0] - facing[240]) > math.radians(90)
    on_the_spot = crop(motion, 8.3, 10.5)
    root = on_the_spot.joints(body)[:, 0, :2]
    assert float(facing[249] - facing[315]) > math.radians(120) and float((root - root[0]).norm(dim=-1).max()) < 0.1
    height = motion.joints(body)[:, 0, 2]
    assert float(at(height, 15.5, 17.0).max()) < 0.6 * float(height[0])
    assert ((at(knee_bend(), 15.5, 17.0) > 80) & (at(knee_bend(), 15.5, 17.0) < 110)).all()
    assert float((height[-1] - height[0]).abs()) < 0.01


def test_the_hands_move_finger_by_finger():
    motion = clip()
    bend = torch.rad2deg(matrix_to_axis_angle(motion.rotations[:, 22:37]).norm(dim=-1))
    # Index, middle, pinky, ring: the middle joint is straight from the moment its number is counted.
    counted = {"index": 1, "middle": 2, "ring": 3, "pinky": 4}
    for finger, number in counted.items():
        joint = motion.skeleton.index(f"left_{finger}2") - 22
        for shown in range(1, 6):
            frame = round((11.2 + 0.36 * (shown - 1)) * 30)
            assert (float(bend[frame, joint]) < 30) == (shown >= number), (finger, shown)
    wave = motion.joints(open_body())[:, motion.skeleton.index("right_wrist")]
    assert float(at(wave[:, 2], 1.7, 2.9).min()) > 1.2


def test_the_committed_code_makes_the_clip(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(SCRIPT))
    try:
        from acting import make_motion  # type: ignore[import-not-found]

        made = make_motion(open_body())
    finally:
        for name in ("acting", "footsteps", "gait_curves", "limbs", "schedule"):
            sys.modules.pop(name, None)
    assert torch.allclose(made.rotations, clip().rotations, atol=1e-5)
    assert torch.allclose(made.translation, clip().translation, atol=1e-5)


def test_it_resamples_to_other_rates_with_its_contacts():
    motion, body = crop(clip(), 3.0, 9.0), open_body()
    faster = resample(motion, 120.0)
    a, b = foot_contacts(motion, body), foot_contacts(faster, body)[::4]
    assert float((a == b).float().mean()) > 0.97
