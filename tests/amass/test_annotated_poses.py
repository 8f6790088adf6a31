"""Annotated poses: the right frame of the right file under the right id, and each that cannot be had is told."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruve.amass import sequences
from vitruve.amass.annotated_poses import extract_poses
from vitruve.amass.pose_lists import read_ids, read_pairs, read_pose_list
from vitruve.amass.sequences import read_frames
from vitruve.cli import main
from vitruve.cli.data_poses import poses as command
from vitruve.convert.poses import read_poses, write_poses
from vitruve.errors import BadData, MissingAsset, UsageError
from vitruve.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle, rotation_about

# As PoseScript's list names them: SMPL+H folders.
SEQUENCES = {
    "BioMotionLab_NTroje/rub001/0005_jumping1_poses.npz": 30,
    "CMU/01/01_01_poses.npz": 50,
    "MPI_HDM05/bk/HDM_bk_01-01_01_120_poses.npz": 20,
}
# As a user may have them: the newer names, the archive's folder around, another letter case.
RENAMED = {"BioMotionLab_NTroje": "BMLrub/BioMotionLab_NTroje", "CMU": "cmu", "MPI_HDM05": "HDM05"}


def values(sequence: str, frames: int) -> np.ndarray:
    return np.random.default_rng(len(sequence)).normal(size=(frames, 156)) * 0.4


def tree(root: Path, renamed: dict[str, str] | None = None, save: Any = np.savez) -> Path:
    for sequence, frames in SEQUENCES.items():
        folder, _, rest = sequence.partition("/")
        path = root / (renamed or {}).get(folder, folder) / rest
        path.parent.mkdir(parents=True)
        rest = {"trans": np.full((frames, 3), 0.5), "gender": np.array("male"), "betas": np.arange(16.0) / 16}
        save(path, poses=values(sequence, frames), mocap_framerate=120.0, **rest)
    return root


def listing(path: Path, wanted: dict[str, Any] | None = None) -> Path:
    a, b, c = SEQUENCES
    every = {"3": ["AMASS", a, 7], "0": ["AMASS", b, 49], "12": ["AMASS", c, 0], "7": ["AMASS", a, 29]}
    path.write_text(json.dumps(every if wanted is None else wanted))
    return path


def expected(*names: str) -> torch.Tensor:
    a, b, c = SEQUENCES
    rows = {"3": values(a, 30)[7], "0": values(b, 50)[49], "12": values(c, 20)[0], "7": values(a, 30)[29]}
    return axis_angle_to_matrix(torch.from_numpy(np.stack([rows[name] for name in names])).unflatten(1, (-1, 3)))


@pytest.mark.parametrize("renamed", [None, RENAMED])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_every_pose_is_the_frame_that_its_id_names(renamed: dict[str, str] | None, save: Any, tmp_path: Path):
    found = extract_poses(listing(tmp_path / "ids.json"), tree(tmp_path / "AMASS", renamed, save))
    assert found.poses.ids == ("3", "0", "12", "7") and not found.failed and found.sequences == 3
    assert torch.allclose(found.poses.rotations, expected("3", "0", "12", "7"), atol=1e-12)
    assert found.poses.genders == ("neutral",) * 4 and not found.poses.betas.any()
    assert not found.poses.translation.any() and found.poses.betas.shape == (4, 16)
    assert any("found as cmu" in note for note in found.notes) == bool(renamed)


def test_as_recorded_keeps_gender_shape_and_place(tmp_path: Path):
    found = extract_poses(listing(tmp_path / "ids.json"), tree(tmp_path / "AMASS"), as_recorded=True)
    assert found.poses.genders == ("male",) * 4
    assert torch.equal(found.poses.betas[0], torch.arange(16.0, dtype=torch.float64) / 16)
    assert torch.equal(found.poses.translation, torch.full((4, 3), 0.5, dtype=torch.float64))
    turned = extract_poses(tmp_path / "ids.json", tmp_path / "AMASS", as_recorded=True, normalise="heading")
    assert turned.poses.genders == ("male",) * 4 and not turned.poses.translation.any()


def test_what_is_written_is_read_by_convert_under_the_same_ids(tmp_path: Path):
    found = extract_poses(listing(tmp_path / "ids.json"), tree(tmp_path / "AMASS"))
    again = read_poses(write_poses(found.poses, tmp_path / "poses.npz"))
    assert again.ids == found.poses.ids and again.body == "smplh"
    assert torch.allclose(again.rotations, found.poses.rotations, atol=1e-12)


def euler(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The published angles: R = Rz(tz) Ry(ty) Rx(tx)."""
    tx = torch.atan2(matrix[:, 2, 1], matrix[:, 2, 2])
    ty = torch.atan2(-matrix[:, 2, 0], torch.hypot(matrix[:, 2, 1], matrix[:, 2, 2]))
    return tx, ty, torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0])


def test_without_heading_the_published_angles_remain_but_for_the_last(tmp_path: Path):
    folder = tree(tmp_path / "AMASS")
    plain = extract_poses(listing(tmp_path / "ids.json"), folder).poses.rotations
    turned = extract_poses(tmp_path / "ids.json", folder, normalise="heading").poses.rotations
    tx, ty, _ = euler(plain[:, 0])
    zero = torch.zeros_like(tx)
    built = rotation_about("Z", zero) @ rotation_about("Y", ty) @ rotation_about("X", tx)
    assert torch.allclose(turned[:, 0], built, atol=1e-12)
    assert torch.equal(turned[:, 1:], plain[:, 1:])


@settings(max_examples=15, deadline=None)
@given(turn=st.floats(-3.1, 3.1))
def test_without_heading_nothing_depends_on_how_the_world_is_turned(
    turn: float, tmp_path_factory: pytest.TempPathFactory
):
    folder = tmp_path_factory.mktemp("turned")
    about = rotation_about("Z", torch.tensor(turn, dtype=torch.float64))
    results = []
    for number in range(2):
        poses = values("x", 4)
        if number:
            root = about @ axis_angle_to_matrix(torch.from_numpy(poses[:, :3]))
            poses[:, :3] = matrix_to_axis_angle(root).numpy()
        path = folder / str(number) / "CMU" / "01" / "a_poses.npz"
        path.parent.mkdir(parents=True)
        np.savez(path, poses=poses, trans=np.zeros((4, 3)))
        ids = listing(folder / "ids.json", {str(k): ["AMASS", "CMU/01/a_poses.npz", k] for k in range(4)})
        results.append(extract_poses(ids, folder / str(number), normalise="heading").poses.rotations)
    assert torch.allclose(*results, atol=1e-9)


def test_the_second_pose_of_a_pair_of_one_sequence_is_turned_as_the_first(tmp_path: Path):
    folder, ids = tree(tmp_path / "AMASS"), listing(tmp_path / "ids.json")
    (tmp_path / "pairs.json").write_text(json.dumps([[3, 7], [3, 12], [7, 3]]))
    (tmp_path / "chosen.json").write_text(json.dumps({"0": "up", "1": "down"}))
    options: Any = {"pairs": tmp_path / "pairs.json", "pair_ids": [tmp_path / "chosen.json"]}
    plain = extract_poses(ids, folder, **options)
    assert plain.poses.ids == ("3", "7", "12")
    found = extract_poses(ids, folder, normalise="heading", **options).poses
    assert found.ids == ("0_a", "0_b", "1_a", "1_b")
    alone = extract_poses(ids, folder, normalise="heading").poses
    by_id = dict(zip(alone.ids, alone.rotations[:, 0]))
    assert torch.allclose(found.rotations[[0, 2], 0], torch.stack([by_id["3"]] * 2))
    assert torch.allclose(found.rotations[3, 0], by_id["12"])
    # R_A = A' A^-1, applied to B.
    a, b = expected("3", "7")[:, 0]
    assert torch.allclose(found.rotations[1, 0], by_id["3"] @ a.T @ b, atol=1e-12)
    both = extract_poses(ids, folder, normalise="heading", ids=[tmp_path / "chosen.json"], **options)
    assert both.poses.ids == ("0", "0_a", "0_b", "1_a", "1_b")
    assert [each.id for each in both.failed] == ["1"]


def test_chosen_ids_come_in_their_order_each_once(tmp_path: Path):
    folder, ids = tree(tmp_path / "AMASS"), listing(tmp_path / "ids.json")
    (tmp_path / "train.json").write_text(json.dumps([12, 3, 12]))
    (tmp_path / "human.json").write_text(json.dumps({"0": "a text", "3": ["two", "texts"]}))
    found = extract_poses(ids, folder, ids=[tmp_path / "train.json", tmp_path / "human.json"])
    assert found.poses.ids == ("12", "3", "0")
    assert torch.allclose(found.poses.rotations, expected("12", "3", "0"), atol=1e-12)


def test_what_cannot_be_had_is_told_for_each_pose_and_the_others_are_done(tmp_path: Path):
    folder = tree(tmp_path / "AMASS")
    (folder / "MPI_HDM05" / "bk" / "cut_poses.npz").write_bytes(b"PK\x03\x04 cut")
    np.savez(folder / "CMU" / "01" / "smplx_poses.npz", poses=np.zeros((5, 165)))
    (folder / "Eyes_Japan").mkdir()
    sequence = next(iter(SEQUENCES))
    wanted = {
        "good": [sequence, 0],
        "end": [sequence, 30],
        "negative": [sequence, -1],
        "spelling": ["BioMotionLab_NTroje/rub001/0005_jumping2_poses.npz", 0],
        "set": ["KIT/3/walk_poses.npz", 0],
        "near": ["Eyes_Japan_Dataset/aita/walk_poses.npz", 0],
        "none": ["BML/rub001/walk_poses.npz", 0],
        "cut": ["MPI_HDM05/bk/cut_poses.npz", 0],
        "smplx": ["CMU/01/smplx_poses.npz", 0],
        "out": ["../AMASS/CMU/01/01_01_poses.npz", 0],
    }
    ids = listing(
        tmp_path / "ids.json", {name: ["AMASS", *place] for name, place in wanted.items()} | {"h": ["H36M", "x", 1]}
    )
    found = extract_poses(ids, folder)
    said = {each.id: str(each.error) for each in found.failed}
    assert found.poses.ids == ("good",) and set(said) == {*wanted, "h"} - {"good"}
    assert "frame 30, the sequence has 30" in said["end"] and "frame -1" in said["negative"]
    assert "the most similar there is BioMotionLab_NTroje/rub001/0005_jumping1_poses.npz" in said["spelling"]
    assert "no folder of KIT" in said["set"] and "unpack KIT" in said["set"]
    assert "Eyes_Japan is probably EyesJapanDataset" in said["near"]
    assert "probably BMLrub" in said["none"]
    assert "not a complete npz" in said["cut"] and "165" in said["smplx"]
    assert "leads out" in said["out"] and "H36M" in said["h"]


def test_the_smplx_release_is_not_taken_for_the_other(tmp_path: Path):
    path = tmp_path / "AMASS" / "CMU" / "01" / "01_01_stageii.npz"
    path.parent.mkdir(parents=True)
    np.savez(path, poses=np.zeros((50, 165)))
    with pytest.raises(MissingAsset, match="01_01_poses") as error:
        extract_poses(listing(tmp_path / "ids.json", {"0": ["AMASS", "CMU/01/01_01_poses.npz", 1]}), tmp_path / "AMASS")
    assert "SMPL-X release" in str(error.value)


def test_blanks_and_letter_case_in_names_do_not_matter_where_one_file_is_meant(tmp_path: Path):
    place = tmp_path / "ACCAD" / "Female1General_c3d"
    place.mkdir(parents=True)
    np.savez(place / "A1_-_Stand_poses.npz", poses=values("a", 3))
    ids = listing(tmp_path / "ids.json", {"0": ["AMASS", "ACCAD/Female1General_c3d/A1 - stand_poses.npz", 1]})
    assert len(extract_poses(ids, tmp_path).poses) == 1
    np.savez(place / "A1 - Stand_poses.npz", poses=values("b", 3))
    with pytest.raises(MissingAsset):
        extract_poses(ids, tmp_path)


def test_values_that_are_not_numbers_are_masked_and_told(tmp_path: Path):
    folder = tree(tmp_path / "AMASS")
    path = folder / "CMU/01/01_01_poses.npz"
    content = dict(np.load(path))
    content["poses"][49, 5] = np.nan
    np.savez(path, **content)
    found = extract_poses(listing(tmp_path / "ids.json"), folder)
    assert found.poses.mask.tolist() == [True, False, True, True]
    assert "1 poses hold values that are not numbers" in found.notes[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_frames_are_read_alike_however_the_array_lies_in_the_file(dtype: Any, order: Any, tmp_path: Path):
    poses = np.asarray(values("x", 9), dtype=dtype, order=order)
    np.savez(tmp_path / "a.npz", trans=np.zeros(3), poses=poses)
    rows, count = read_frames(tmp_path / "a.npz", [8, 0, 9])
    assert count == 9 and np.array_equal(rows[:2], poses[[8, 0]]) and np.isnan(rows[2]).all()


def test_files_as_amass_has_them_are_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    np.savez(tmp_path / "a.npz", trans=np.zeros(3), poses=values("x", 9))
    monkeypatch.setattr(sequences, "read_npz", lambda path: pytest.fail("the file was read whole"))
    assert np.array_equal(read_frames(tmp_path / "a.npz", [4])[0], values("x", 9)[[4]])


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"1": [1, 2]}', '{"1": ["AMASS", "x", "3"]}', "[" * 5000])
def test_what_is_no_list_of_poses_is_an_error(text: str, tmp_path: Path):
    (tmp_path / "ids.json").write_text(text)
    with pytest.raises(BadData):
        read_pose_list(tmp_path / "ids.json")


def test_what_is_no_list_of_ids_or_pairs_is_an_error(tmp_path: Path):
    file = tmp_path / "x.json"
    for text, read in (("3", read_ids), ("[[1]]", read_ids), ("[1, 2]", read_pairs), ("[]", read_pairs)):
        file.write_text(text)
        with pytest.raises(BadData):
            read(file)
    folder, ids = tree(tmp_path / "AMASS"), listing(tmp_path / "ids.json")
    with pytest.raises(UsageError, match="file of pairs"):
        extract_poses(ids, folder, pair_ids=[file])
    with pytest.raises(UsageError) as error:
        extract_poses(ids, folder, normalise="headings")
    assert "heading" in error.value.fix


def test_extracted_poses_are_converted_in_one_batch(tmp_path: Path):
    ids, folder = listing(tmp_path / "ids.json"), tree(tmp_path / "AMASS")
    out = tmp_path / "poses.npz"
    assert command(ids, amass=folder, out=out, normalise="heading", quiet=True) == 0
    arguments = ["convert", str(out), "--from", "open-smplh", "--to", "open-smplx", "--quiet"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--out", str(tmp_path / "converted.npz")])
    assert ended.value.code == 0
    converted = read_poses(tmp_path / "converted.npz")
    assert converted.ids == ("3", "0", "12", "7") and converted.body == "open-smplx"
    assert converted.rotations.shape == (4, 55, 3, 3) and converted.mask.all()


def test_the_command_says_where_each_pose_is_from_and_never_overwrites(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder, out = tree(tmp_path / "AMASS"), tmp_path / "out" / "poses.npz"
    a = next(iter(SEQUENCES))
    ids = listing(tmp_path / "ids.json", {"1": ["AMASS", a, 3], "2": ["AMASS", a, 99], "3": ["AMASS", "KIT/x.npz", 0]})
    assert command(ids, amass=folder, out=out, dry_run=True) == 4
    assert not out.parent.exists()
    assert command(ids, amass=folder, out=out) == 4
    said = capsys.readouterr()
    assert "pose 2 skipped: the frame is beyond the end" in said.err and "1 poses of 1 sequences; 2 failed" in said.out
    rows = list(csv.DictReader(out.with_suffix(".csv").open()))
    assert [(row["id"], row["sequence"], row["frame"], row["state"]) for row in rows] == [
        ("1", a, "3", "done"),
        ("2", "", "", "failed"),
        ("3", "", "", "failed"),
    ]
    assert rows[0]["normalise"] == "none"
    before = out.read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        command(ids, amass=folder, out=out)
    with pytest.raises(UsageError, match="unsupported file type"):
        command(ids, amass=folder, out=tmp_path / "poses.obj")
    assert out.read_bytes() == before
    assert command(ids, amass=folder, out=out, overwrite=True, quiet=True) == 4


def test_a_pose_that_is_listed_twice_is_an_error_unless_it_is_the_same(tmp_path: Path):
    entry, path = '"1": ["AMASS", "CMU/01/01_01_poses.npz", %d]', tmp_path / "ids.json"
    path.write_text(f"{{{entry % 3}, {entry % 3}}}")
    assert len(read_pose_list(path)) == 1
    path.write_text(f"{{{entry % 3}, {entry % 4}}}")
    with pytest.raises(BadData) as caught:
        read_pose_list(path)
    assert "the key 1 has two" in caught.value.where


def test_a_name_that_no_disk_holds_is_told_for_its_pose_alone(tmp_path: Path):
    root = tree(tmp_path / "AMASS")
    wanted = json.loads(listing(tmp_path / "ids.json").read_text())
    long = {"long": ["AMASS", f"CMU/01/{'a' * 300}_poses.npz", 0], "none": ["AMASS", "Zorg/1/2_poses.npz", 0]}
    found = extract_poses(listing(tmp_path / "more.json", {**wanted, **long}), root)
    assert [each.id for each in found.failed] == ["long", "none"]
    assert len(found.poses) == len(wanted)
    assert "no set of that name" in found.failed[1].error.fix
