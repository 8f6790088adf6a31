"""What a user prints in the first hour is a line of words and figures, not pages of tensors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import vitruve
from tests.material import small_body, small_motion
from vitruve.bodies.hands import HandSpace
from vitruve.convert.convert import Conversion
from vitruve.convert.poses import PoseConversion
from vitruve.fit.quality import ErrorReport
from vitruve.formats.readers.mesh_sequence import MeshSequence
from vitruve.formats.readers.poses_by_id import Poses
from vitruve.motion import Source

FRAMES = 12
ERROR = ErrorReport(
    frames=torch.arange(FRAMES),
    per_frame=torch.ones(FRAMES),
    per_frame_max=torch.ones(FRAMES),
    groups={"head": 1.0},
    mean=0.984,
    p95=2.321,
    max=13.67,
    jitter=0.01,
    map_residual=0.49,
    points=450,
)
FAILED = torch.zeros(FRAMES, dtype=torch.bool)
MOTION = small_motion(frames=FRAMES)
POSES = Poses(
    ids=tuple(f"p{i}" for i in range(FRAMES)),
    rotations=MOTION.rotations,
    translation=MOTION.translation,
    betas=torch.zeros(FRAMES, 0),
    genders=("female",) * FRAMES,
    body="smplh",
    expression=None,
    mask=~FAILED,
)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (ERROR, ("mean 0.98 mm", "2.32 mm", "largest 13.67 mm", "450 points", "12 frames")),
        (Conversion(ERROR, (), True, FAILED, {}, MOTION), ("12 frames", "smplh", "mean 0.98 mm")),
        (POSES, ("12 poses", "p0 to p11", "smplh", "female")),
        (PoseConversion(ERROR, (), True, FAILED, {}, POSES), ("12 poses", "mean 0.98 mm")),
        (Source("a.npz", "amass-smplh", {"marker_data": torch.zeros(FRAMES, 50, 3)}), ("a.npz", "['marker_data']")),
        (small_body("smplh").shaped(torch.zeros(10)), ("small-smplh", "one shape")),
        (small_body("smplh").shaped(torch.zeros(5, 10)), ("shapes [5]",)),
        (MeshSequence(torch.zeros(3, 40, 3), torch.zeros(76, 3).long(), (Path("a.obj"),)), ("3 frames", "76 faces")),
        (HandSpace(torch.zeros(45), torch.zeros(6, 45)), ("6 components",)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_it_is_one_line(what: object, words: tuple[str, ...]) -> None:
    text = str(what)
    assert "tensor(" not in text and "\n" not in text and len(text) < 300
    for word in words:
        assert word in text


def test_a_conversion_says_what_is_wrong_with_it() -> None:
    failed = FAILED.clone()
    failed[:3] = True
    text = str(Conversion(ERROR, ("the hands are made up",), False, failed, {}, MOTION))
    assert "NOT TRUSTED" in text and "3 of 12 failed" in text and "warning: the hands are made up" in text


def test_a_comparison_in_a_line() -> None:
    body = small_body("smplh", vertices=60)
    comparison = vitruve.compare_motions(MOTION, MOTION, body, body)
    text = str(comparison)
    assert "tensor(" not in text and "\n" not in text and "0.00 mm apart on average" in text
