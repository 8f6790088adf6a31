"""Files of the smplx transfer tool: frame by frame, joined, and all the forms their arrays come in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.formats.files import assert_tells, transfer_frame, write_pickle
from tests.material import small_motion
from vitruve.bodies.pickles import read_pickle
from vitruve.errors import BadData
from vitruve.formats import load_motion, save_motion
from vitruve.formats.readers.transfer import read_transfer
from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance


def folder_of(tmp_path: Path, *frames: dict) -> Path:
    for number, content in enumerate(frames):
        write_pickle(tmp_path / "frames" / f"{number}.pkl", content)
    return tmp_path / "frames"


def test_frames_become_one_motion(tmp_path: Path) -> None:
    contents = [transfer_frame(seed) for seed in range(12)]  # more than ten: 10.pkl stands before 2.pkl in text order
    motion = load_motion(folder_of(tmp_path, *contents), fps=30)
    assert (len(motion), motion.body, motion.fps, motion.dtype) == (12, "smplx", 30, torch.float32)
    for frame, content in enumerate(contents):
        assert torch.equal(motion.translation[frame], content["transl"][0])
        assert torch.equal(motion.rotations[frame, 0], content["global_orient"][0, 0])
        assert torch.equal(motion.rotations[frame, 1:22], content["body_pose"][0])
        assert torch.equal(motion.rotations[frame, 22], content["jaw_pose"][0, 0])
        assert torch.equal(motion.rotations[frame, 23], axis_angle_to_matrix(content["leye_pose"][0, 0]))
        assert torch.equal(motion.rotations[frame, 25:40], content["left_hand_pose"][0])
        assert torch.equal(motion.rotations[frame, 40:55], content["right_hand_pose"][0])
        assert torch.equal(motion.expression[frame], content["expression"][0])
    assert torch.allclose(motion.betas, torch.cat([content["betas"] for content in contents]).mean(0))
    assert any("its own shape" in note for note in motion.source.notes)


def test_axes_of_one_make_no_difference(tmp_path: Path) -> None:
    content = transfer_frame()
    odd = content | {
        "global_orient": content["global_orient"][None],
        "body_pose": content["body_pose"][0],
        "jaw_pose": content["jaw_pose"][0, 0],
        "leye_pose": content["leye_pose"].reshape(3),
        "reye_pose": axis_angle_to_matrix(content["reye_pose"]),
        "betas": content["betas"][0],
        "transl": content["transl"].reshape(1, 1, 3),
    }
    plain = load_motion(write_pickle(tmp_path / "a.pkl", content), fps=30)
    other = load_motion(write_pickle(tmp_path / "b.pkl", odd), fps=30)
    assert torch.equal(plain.rotations, other.rotations) and torch.equal(plain.translation, other.translation)


def test_numpy_and_tensors_read_alike(tmp_path: Path) -> None:
    content = transfer_frame()
    arrays = {key: value.numpy() if isinstance(value, torch.Tensor) else value for key, value in content.items()}
    a = load_motion(write_pickle(tmp_path / "a.pkl", content), fps=30)
    b = load_motion(write_pickle(tmp_path / "b.pkl", arrays), fps=30)
    assert torch.equal(a.rotations, b.rotations)


@pytest.mark.parametrize("layout", ["smpl", "smplh", "smplx"])
@pytest.mark.parametrize("merged", [False, True])
def test_write_then_read_is_the_identity(layout, merged, tmp_path: Path) -> None:
    motion = small_motion(layout, frames=11)
    path = tmp_path / ("merged.pkl" if merged else "frames")
    save_motion(motion, path, format=None if merged else "transfer")
    again = load_motion(path, fps=motion.fps)
    assert geodesic_distance(again.rotations, motion.rotations).max() < 1e-12
    assert torch.equal(again.translation, motion.translation) and torch.equal(again.betas, motion.betas)
    assert (again.gender, again.body) == ("female", layout)
    assert (again.expression is None) == (motion.expression is None)
    if motion.expression is not None:
        assert torch.equal(again.expression, motion.expression)


def test_three_frames_of_merged_are_no_matrix(tmp_path: Path) -> None:
    motion = small_motion("smplx", frames=3)  # global_orient is (3, 3)
    again = load_motion(save_motion(motion, tmp_path / "merged.pkl"), fps=30)
    assert geodesic_distance(again.rotations, motion.rotations).max() < 1e-12


def test_frames_are_written_as_the_tool_writes_them(tmp_path: Path) -> None:
    save_motion(small_motion("smplx", frames=2), tmp_path / "frames", format="transfer")
    assert [file.name for file in sorted((tmp_path / "frames").iterdir())] == ["000000.pkl", "000001.pkl"]
    shapes = {key: np.shape(value) for key, value in read_pickle(tmp_path / "frames" / "000001.pkl").items()}
    expected = {
        "transl": (1, 3),
        "global_orient": (1, 1, 3, 3),
        "body_pose": (1, 21, 3, 3),
        "betas": (1, 10),
        "left_hand_pose": (1, 15, 3, 3),
        "right_hand_pose": (1, 15, 3, 3),
        "jaw_pose": (1, 1, 3, 3),
        "leye_pose": (1, 1, 3),
        "reye_pose": (1, 1, 3),
        "expression": (1, 10),
        "full_pose": (1, 55, 3, 3),
        "gender": (),
        "vitruve_body": (),
    }
    assert shapes == expected


def test_no_translation_is_told_loudly(tmp_path: Path) -> None:
    motion = load_motion(folder_of(tmp_path, transfer_frame(transl=None), transfer_frame(1, transl=None)), fps=30)
    assert not motion.translation.any() and any(note.startswith("NO TRANSLATION") for note in motion.source.notes)


def test_gaps_and_a_merged_file_beside_the_frames_are_noted(tmp_path: Path) -> None:
    for number in (1, 2, 3, 7, 8):
        write_pickle(tmp_path / f"frame_{number:03}.pkl", transfer_frame(number))
    write_pickle(tmp_path / "merged.pkl", transfer_frame())
    motion = load_motion(tmp_path, fps=30)
    told = " ".join(motion.source.notes)
    assert len(motion) == 5 and "gaps (3 to 7)" in told and "merged.pkl" in told


def test_frames_that_are_no_numbers_are_masked(tmp_path: Path) -> None:
    broken = transfer_frame(1)
    broken["body_pose"][0, 3] = torch.nan
    broken["betas"][:] = torch.nan
    motion = load_motion(folder_of(tmp_path, transfer_frame(0), broken, transfer_frame(2)), fps=30)
    assert motion.mask is not None and motion.mask.tolist() == [True, False, True]
    assert motion.betas.isfinite().all()
    again = load_motion(save_motion(motion, tmp_path / "again", format="transfer"), fps=30)
    assert again.mask is not None and again.mask.tolist() == [True, False, True]


def test_a_list_of_files_is_read_in_its_order(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, transfer_frame(0), transfer_frame(1))
    motion = read_transfer([folder / "1.pkl", folder / "0.pkl"], fps=30)
    assert torch.equal(motion.translation[0], transfer_frame(1)["transl"][0])


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([{}, {"body_pose": torch.eye(3).expand(1, 20, 3, 3)}], ["body_pose", "21 joints", "1.pkl"]),
        ([{}, {"betas": torch.zeros(1, 16)}], ["betas", "agree"]),
        ([{}, {"transl": None}], ["transl", "agree"]),
        ([{"body_pose": 2 * torch.eye(3).expand(1, 21, 3, 3)}], ["not rotations", "0.pkl"]),
        ([{"jaw_pose": torch.eye(3).expand(2, 1, 3, 3)}], ["jaw_pose", "2 frames"]),
        ([{"transl": torch.zeros(4, 3)}], ["transl", "4 frames"]),
        ([{"betas": np.zeros((1, 0))}, {}], ["betas", "agree"]),
        ([{"global_orient": None}], ["not a file of the transfer tool"]),
        ([{"body_pose": "text"}], ["body_pose", "numeric"]),
    ],
)
def test_files_that_do_not_fit(frames, words, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, *(transfer_frame(i, **changes) for i, changes in enumerate(frames)))
    with pytest.raises(BadData) as error:
        load_motion(folder, fps=30)
    assert_tells(error, *words)


def test_two_bodies_in_one_folder(tmp_path: Path) -> None:
    smpl = {key: transfer_frame(1)[key] for key in ("transl", "global_orient", "betas")}
    smpl["body_pose"] = torch.eye(3).expand(1, 23, 3, 3)
    with pytest.raises(BadData) as error:
        load_motion(folder_of(tmp_path, transfer_frame(0), smpl), fps=30)
    assert_tells(error, "two bodies", "smplx and smpl", "1.pkl")


def test_no_frame_rate(tmp_path: Path) -> None:
    with pytest.raises(BadData) as error:
        load_motion(folder_of(tmp_path, transfer_frame()))
    assert_tells(error, "frame rate", "fps=30")
