"""The names of the sets: every name of every release is known, near misses are told, counts agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitruve.amass.sets import (
    SETS,
    archive_set,
    canonical_set,
    clip_frames,
    count_clips,
    count_differs,
    find_sets,
    probable_set,
    set_licence,
)
from vitruve.errors import BadData, MissingAsset

# Name, older archive, SMPL+H folder, SMPL-X folder, as the releases spell them.
SPELLINGS = [
    ("ACCAD", "ACCAD", "ACCAD", "ACCAD"),
    ("BMLhandball", "BMLhandball", "BMLhandball", ""),
    ("BMLmovi", "BMLmovi", "BMLmovi", "BMLmovi"),
    ("BMLrub", "BMLrub", "BioMotionLab_NTroje", "BMLrub"),
    ("CMU", "CMU", "CMU", "CMU"),
    ("DFaust", "DFaust67", "DFaust_67", "DFaust"),
    ("DanceDB", "DanceDB", "DanceDB", "DanceDB"),
    ("EKUT", "EKUT", "EKUT", "EKUT"),
    ("EyesJapanDataset", "EyesJapanDataset", "Eyes_Japan_Dataset", "Eyes_Japan_Dataset"),
    ("HDM05", "MPIHDM05", "MPI_HDM05", "HDM05"),
    ("HumanEva", "HumanEva", "HumanEva", "HumanEva"),
    ("KIT", "KIT", "KIT", "KIT"),
    ("MoSh", "MPImosh", "MPI_mosh", "MoSh"),
    ("PosePrior", "MPILimits", "MPI_Limits", "PosePrior"),
    ("SFU", "SFU", "SFU", "SFU"),
    ("SSM", "SSMsynced", "SSM_synced", "SSM"),
    ("TCDHands", "TCDhandMocap", "TCD_handMocap", "TCDHands"),
    ("TotalCapture", "TotalCapture", "TotalCapture", "TotalCapture"),
    ("Transitions", "Transitionsmocap", "Transitions_mocap", "Transitions"),
]


def clip(path: Path, frames: int = 5, columns: int = 156) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, poses=np.zeros((frames, columns)), trans=np.zeros((frames, 3)), mocap_framerate=120.0)
    return path


@pytest.mark.parametrize("row", SPELLINGS, ids=lambda row: row[0])
def test_every_spelling_of_the_releases_is_known(row: tuple[str, ...]):
    name, archive, smplh, smplx = row
    assert (SETS[name].smplh, SETS[name].smplx) == (smplh, smplx)
    for spelling in filter(None, row):
        assert canonical_set(spelling) == canonical_set(spelling.lower()) == canonical_set(spelling.upper()) == name
    for ending in (".tar.bz2", ".tar.gz", ".tar", ".zip", " (1).tar.bz2"):
        assert archive_set(archive + ending) == archive_set(name + ending) == name


def test_no_name_means_two_sets():
    names = {}
    for each in SETS.values():
        for alias in (*each.aliases, *each.probably):
            assert names.setdefault(alias.lower().replace("_", ""), each.name) == each.name


def test_the_totals_are_those_of_the_release():
    assert len([each for each in SETS.values() if each.files]) == 19
    assert sum(each.files or 0 for each in SETS.values()) == 14_096
    assert sum(each.frames or 0 for each in SETS.values()) == 19_775_902


@pytest.mark.parametrize(
    "name, meant",
    [("BML", "BMLrub"), ("BioMotionLab", "BMLrub"), ("HDM", "HDM05"), ("Eyes_Japan_Datasets", "EyesJapanDataset")],
)
def test_what_is_no_name_is_never_taken_for_one_but_probably_means_it(name: str, meant: str):
    assert canonical_set(name) is None
    assert probable_set(name) == meant


@given(st.text(max_size=12))
def test_any_text_may_be_asked_about(text: str):
    for found in (canonical_set(text), probable_set(text), archive_set(text + ".zip")):
        assert found is None or found in SETS


def test_licences_are_said_of_known_sets_only():
    assert "non-commercial" in (set_licence("BioMotionLab_NTroje") or "")
    assert set_licence("bandai-namco") is None


def test_sets_are_found_at_the_top_in_their_archive_s_folder_and_misspelt(tmp_path: Path):
    clip(tmp_path / "BMLrub" / "BioMotionLab_NTroje" / "rub001" / "0005_jumping1_poses.npz")
    clip(tmp_path / "CMU" / "01" / "01_01_stageii.npz", columns=165)
    clip(tmp_path / "Eyes_Japan_dataset" / "aita" / "walk_poses.npz")
    clip(tmp_path / "BML" / "x" / "walk_poses.npz")
    (tmp_path / ".hidden").mkdir()
    found = find_sets(tmp_path)
    assert {(each.set, each.path.name, each.generation, each.exact) for each in found.folders} == {
        ("BMLrub", "BioMotionLab_NTroje", "smplh", True),
        ("CMU", "CMU", "smplx", True),
        ("EyesJapanDataset", "Eyes_Japan_dataset", "smplh", False),
    }
    assert "Eyes_Japan_dataset is probably Eyes_Japan_Dataset" in found.notes()
    assert "BML is not a set; it is probably BMLrub = BioMotionLab_NTroje" in found.notes()
    assert len(found.missing) == 16 and "SOMA" not in found.missing
    assert [each.set for each in find_sets(tmp_path / "CMU").folders] == ["CMU"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(MissingAsset):
        find_sets(tmp_path / "none")


def test_clips_and_frames_are_counted_and_compared_with_the_release(tmp_path: Path):
    for number in range(28):
        clip(tmp_path / "S1" / f"{number}_poses.npz", frames=number + 1)
    clip(tmp_path / "S1" / "shape.npz")
    count = count_clips(tmp_path)
    assert (count.files, count.frames, count.bad) == (28, sum(range(29)), ())
    assert count_differs("HumanEva", "smplh", count) == "406 frames, the release has 61,020"
    assert count_differs("HumanEva", "smplx", count) == ""
    assert count_differs("KIT", "smplh", count) == "28 clips, the release has 4,232"
    assert count_differs("SOMA", "smplx", count) == ""


def test_a_clip_that_is_cut_short_is_counted_and_named(tmp_path: Path):
    whole = clip(tmp_path / "S1" / "a_poses.npz")
    clip(tmp_path / "S1" / "b_poses.npz").write_bytes(whole.read_bytes()[:700])
    count = count_clips(tmp_path)
    assert (count.files, count.frames) == (2, 5)
    assert [path.name for path, _ in count.bad] == ["b_poses.npz"]
    with pytest.raises(BadData):
        np.savez(tmp_path / "other.npz", betas=np.zeros(10))
        clip_frames(tmp_path / "other.npz")
