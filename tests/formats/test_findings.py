"""Each odd thing that can be planted in a motion is found, where it is; a plain motion has none."""

from __future__ import annotations

import math
import time

import pytest
import torch

from tests.formats.files import turning
from vitruve.geometry.rotations import axis_angle_to_matrix, rotation_about
from vitruve.motion import Motion, Source
from vitruve.motion.checks import inspect_motion, inspect_with_notes
from vitruve.motion.finding import Finding, summarise_findings
from vitruve.skeletons import Skeleton, load_skeleton


def clip(layout: str = "smplh", frames: int = 60, **changes) -> Motion:
    """A plain upright motion in which everything moves a little."""
    skeleton = load_skeleton({"smpl": "smpl24", "smplh": "smplh52", "smplx": "smplx55"}[layout])
    vectors = torch.from_numpy(turning(frames, len(skeleton))).unflatten(1, (-1, 3))
    time_ = torch.linspace(0, 2, frames, dtype=torch.float64)
    fields = {
        "rotations": axis_angle_to_matrix(vectors),
        "translation": torch.stack([time_, time_.sin(), 0.9 + 0 * time_], -1),
        "fps": 30.0,
        "skeleton": skeleton,
        "body": layout,
        "betas": torch.tensor([0.5, -1.0], dtype=torch.float64),
    }
    return Motion(**(fields | changes))


def told(motion: Motion) -> list[str]:
    return [finding.what for finding in inspect_motion(motion)]


def the_one(motion: Motion, words: str) -> Finding:
    found = [finding for finding in inspect_motion(motion) if words in finding.what]
    assert len(found) == 1, told(motion)
    return found[0]


@pytest.mark.parametrize("layout", ["smplh", "smplx"])
def test_a_plain_motion_has_nothing_odd(layout) -> None:
    assert told(clip(layout)) == []


@pytest.mark.parametrize(
    ("axis", "angle", "name"), [("X", -90, "+y"), ("X", 180, "-z"), ("Y", 90, "+x"), ("X", 90, "-y")]
)
def test_up_axis(axis, angle, name) -> None:
    motion = clip()
    turn = rotation_about(axis, torch.tensor(math.radians(angle), dtype=torch.float64))
    rotations = motion.rotations.clone()
    rotations[:, 0] = turn @ rotations[:, 0]
    assert the_one(motion.replace(rotations=rotations), "the body stands").what.startswith(
        f"the body stands along {name}"
    )


def test_up_axis_of_a_plain_tree() -> None:
    rest = torch.tensor([[0, 0, 1], [0, 0, 1.6], [0.1, 0, 0.1]], dtype=torch.float64)
    skeleton = Skeleton("three", ("hips", "head", "left_foot"), (-1, 0, 0), rest=rest)
    upright = torch.eye(3, dtype=torch.float64).expand(10, 3, 3, 3)
    motion = Motion(upright, torch.rand(10, 3, dtype=torch.float64), 30, skeleton)
    assert not any("stands" in what for what in told(motion))
    fallen = rotation_about("X", torch.full((10,), math.pi / 2, dtype=torch.float64))
    rotations = torch.cat([fallen[:, None], upright[:, 1:]], 1)
    assert "along -y" in the_one(motion.replace(rotations=rotations), "stands").what


def test_translation_jump() -> None:
    motion = clip()
    translation = motion.translation.clone()
    translation[40:] += torch.tensor([0.5, 0, 0])
    assert "frame 40 (0.5" in the_one(motion.replace(translation=translation), "the translation jumps once").where
    assert "2 times" in the_one(motion.replace(translation=_glitch(motion.translation, 17)), "translation jumps").what


def _glitch(values: torch.Tensor, frame: int) -> torch.Tensor:
    values = values.clone()
    values[frame] += 1
    return values


def test_rotation_jump() -> None:
    motion = clip()
    rotations = motion.rotations.clone()
    rotations[25:, 18] = rotations[25:, 18] @ rotation_about("Y", torch.tensor(2.0, dtype=torch.float64))
    finding = the_one(motion.replace(rotations=rotations), "rotations jump once")
    assert "frame 25 (left_elbow, 1" in finding.where


def test_joints_turned_the_wrong_way_round() -> None:
    motion = clip()
    wrist = motion.skeleton.index("right_wrist")
    rotations = motion.rotations.clone()
    rotations[:, wrist] = rotation_about("X", torch.tensor(math.radians(170), dtype=torch.float64))
    rotations[:, 0] = rotation_about("Z", torch.tensor(math.pi, dtype=torch.float64)) @ rotations[:, 0]
    found = the_one(motion.replace(rotations=rotations), "joints are turned by more than 150")
    assert found.where == "in the median: right_wrist 170°" and found.severity == "warning"
    # Single bad stretches are for other checks.
    rotations[:40, wrist] = motion.rotations[:40, wrist]
    assert not any("are turned by" in what for what in told(motion.replace(rotations=rotations)))


def test_fast_motion_is_no_jump() -> None:
    motion = clip()
    spin = rotation_about("Z", torch.arange(60, dtype=torch.float64) * 0.9)  # 52 degrees per frame
    rotations = motion.rotations.clone()
    rotations[:, 0] = spin @ rotations[:, 0]
    assert not any("jump" in what for what in told(motion.replace(rotations=rotations)))


def test_masked_frames_and_values_that_are_no_numbers() -> None:
    mask = torch.ones(60, dtype=torch.bool)
    mask[[3, 10, 11, 12]] = False
    finding = the_one(clip(mask=mask), "4 of 60 frames are masked")
    assert finding.severity == "warning" and finding.where == "frames 3, 10-12"
    motion = clip()
    translation = motion.translation.clone()
    translation[5] = math.nan
    finding = inspect_motion(motion.replace(translation=translation))[0]
    assert (finding.severity, finding.where) == ("error", "frames 5") and "translation" in finding.what


def test_there_is_no_jump_into_or_out_of_a_masked_frame() -> None:
    motion, mask = clip(), torch.ones(60, dtype=torch.bool)
    mask[20:23] = False
    translation, rotations = motion.translation.clone(), motion.rotations.clone()
    translation[20:23], rotations[20:23] = 0, torch.eye(3, dtype=torch.float64)
    blanked = motion.replace(translation=translation, rotations=rotations)
    assert sum("jump" in what for what in told(blanked)) == 2
    assert told(blanked.replace(mask=mask)) == ["3 of 60 frames are masked as invalid"]


def test_matrices_that_are_no_rotations() -> None:
    motion = clip()
    rotations = motion.rotations.clone()
    rotations[8, 3] *= 1.1
    finding = the_one(motion.replace(rotations=rotations), "not rotations")
    assert finding.severity == "error" and finding.where.startswith("frames 8:")


def test_repeated_frames() -> None:
    assert "all frames are equal" in " ".join(told(clip().replace(**_repeated(clip(), [5] * 40))))
    doubled = clip().replace(**_repeated(clip(), [i // 2 for i in range(60)]))
    finding = the_one(doubled, "equal the frame before")
    assert "15 fps" in finding.hint and finding.severity == "warning"
    held = clip().replace(**_repeated(clip(), [*range(50), 49, 49, 49]))
    assert the_one(held, "3 of 53 frames equal").where == "frames 50-52"
    assert "a single frame" in " ".join(told(clip()[:1]))


def _repeated(motion: Motion, frames: list[int]) -> dict:
    return {"rotations": motion.rotations[frames], "translation": motion.translation[frames]}


@pytest.mark.parametrize("layout", ["smplh", "smplx"])
def test_hands(layout) -> None:
    motion = clip(layout)
    first = 22 if layout == "smplh" else 25
    eye = torch.eye(3, dtype=torch.float64)
    rotations = motion.rotations.clone()
    rotations[:, first : first + 15] = eye
    assert "the left hand is constant: flat" in the_one(motion.replace(rotations=rotations), "hand").what
    rotations[:, first : first + 30] = eye
    assert "both hands are constant: flat" in the_one(motion.replace(rotations=rotations), "hand").what
    relaxed = torch.tensor([[0.1, 0.05, 0.25]], dtype=torch.float64).expand(15, 3)
    rotations[:, first : first + 15] = axis_angle_to_matrix(relaxed)
    rotations[:, first + 15 : first + 30] = axis_angle_to_matrix(relaxed * torch.tensor([1, -1, -1]))
    assert "MANO" in the_one(motion.replace(rotations=rotations), "hands are constant").what
    rotations[:, first + 15 : first + 30] = axis_angle_to_matrix(relaxed)
    assert "one fixed shape" in the_one(motion.replace(rotations=rotations), "hands are constant").what


def test_no_fingers_and_still_toes() -> None:
    assert "no fingers" in " ".join(told(clip("smpl")))
    motion = clip()
    rotations = motion.rotations.clone()
    rotations[:, 10:12] = torch.eye(3, dtype=torch.float64)
    assert the_one(motion.replace(rotations=rotations), "toes").severity == "note"


def test_shape() -> None:
    assert "no betas" in the_one(clip(betas=torch.zeros(0)), "mean shape").where
    assert "16 betas, all zero" in the_one(clip(betas=torch.zeros(16)), "mean shape").where
    finding = the_one(clip(betas=torch.tensor([0.0, 0, -7.5])), "far from that of a person")
    assert "betas[2] = -7.50" in finding.where and finding.severity == "warning"


@pytest.mark.parametrize(("factor", "unit"), [(100, "centimetres"), (1000, "millimetres")])
def test_units(factor, unit) -> None:
    assert unit in the_one(clip(translation=clip().translation * factor), "not metres").what


def test_units_of_a_tree() -> None:
    rest = torch.tensor([[0.0, 0, 0], [0, 0, 90.0]])
    motion = Motion(
        torch.eye(3).expand(2, 2, 3, 3), torch.rand(2, 3), 30, Skeleton("two", ("a", "b"), (-1, 0), rest=rest)
    )
    assert "measures 90 m" in the_one(motion, "chain").what


def test_frame_rate() -> None:
    assert "37 fps" in the_one(clip(fps=37), "unusual").what
    for fps in (29.97, 23.976, 59.94, 120.00004577636719, 30):
        assert not any("unusual" in what for what in told(clip(fps=fps)))


def test_errors_stand_first() -> None:
    motion = clip("smpl", fps=37, betas=torch.tensor([9.0]))
    rotations = motion.rotations.clone()
    rotations[0, 0] *= 2
    severities = [finding.severity for finding in inspect_motion(motion.replace(rotations=rotations))]
    assert severities == sorted(severities, key=("error", "warning", "note").index)
    assert set(severities) == {"error", "warning", "note"}


def test_a_long_clip_is_inspected_in_seconds() -> None:
    motion = clip(frames=10_000)
    started = time.process_time()  # of this process alone, whatever else the machine does
    inspect_motion(motion)
    assert time.process_time() - started < 20  # 0.4 s when it was written


def test_what_spoils_all_that_is_made_of_a_motion() -> None:
    def spoilt(motion: Motion) -> list[str]:
        return [finding.what for finding in inspect_with_notes(motion) if not finding.trusted]

    assert spoilt(clip()) == []
    assert "centimetres" in spoilt(clip(translation=clip().translation * 100))[0]
    assert "the shape" in spoilt(clip(betas=torch.tensor([0.0, 40])))[0]
    assert spoilt(clip(betas=torch.tensor([0.0, 6]))) == []  # odd, but a shape
    assert spoilt(clip(source=Source(notes=("DOUBTFUL: gender 3", "A WARNING", "a note")))) == ["gender 3"]


def test_notes_of_readers_are_findings() -> None:
    found = inspect_with_notes(clip(source=Source(notes=("a note", "NO TRANSLATION in the file"))))
    assert [(finding.severity, finding.what) for finding in found] == [
        ("warning", "NO TRANSLATION in the file"),
        ("note", "a note"),
    ]


def test_the_same_finding_of_several_motions_is_one_row() -> None:
    found = [("a", Finding("note", "1 frame")), ("a", Finding("note", "2 frame")), ("b", Finding("note", "30 frame"))]
    rows = summarise_findings([*found, ("b", Finding("error", "broken"))])
    assert [(row["what"], row["clips"], row["first"]) for row in rows] == [("broken", 1, "b"), ("1 frame", 2, "a")]


def test_blocks_of_frames_find_what_the_whole_clip_shows(monkeypatch) -> None:
    motion = clip(frames=40)
    rotations = motion.rotations.clone()
    rotations[21], rotations[28:] = rotations[20], rotations[28:].flip(0)
    rotations[35, 4] *= 1.1
    motion = motion.replace(rotations=rotations, translation=torch.zeros(40, 3).double())
    whole = inspect_motion(motion)
    for module in ("checks", "rate_check"):
        monkeypatch.setattr(f"vitruve.motion.{module}._FRAMES_AT_A_TIME", 7)
    assert inspect_motion(motion) == whole
    assert {"some matrices are not rotations", "1 of 40 frames equal the frame before"} <= {row.what for row in whole}
