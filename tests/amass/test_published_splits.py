"""The published splits: what they hold, by whatever name the sets are called, and the counts that can be checked."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitruve.amass.published_splits import assign, named_split, split_names, split_notes
from vitruve.amass.sets import SETS
from vitruve.errors import UsageError

CLIP_SPLITS = [name for name in split_names() if named_split(name).divides == "clips"]


@dataclass(frozen=True)
class Clip:
    set: str
    subject: str = "s1"
    name: str = "walk_poses"
    frames: int = 1200
    fps: float = 120.0


def rub(number: int, name: str = "0005_jumping1_poses") -> Clip:
    return Clip("BMLrub", f"rub{number:03d}", name)


def test_the_splits_that_are_promised_are_there():
    promised = {"vposer-v1", "amass-repo", "vposer-v02_05", "posendf", "dposer", "humor", "llamass", "egoallo"}
    assert promised | {"bmlrub-soma", "posescript"} <= set(split_names())


@pytest.mark.parametrize("name", split_names())
def test_every_split_says_where_it_is_from(name: str):
    split = named_split(name)
    assert split.title and split.source
    assert split.parts == (() if split.divides == "poses" else ("train", "val", "test"))


@pytest.mark.parametrize("name", CLIP_SPLITS)
def test_no_set_or_subject_is_in_two_parts(name: str):
    split = named_split(name)
    parts = list((split.contents or {}).values())
    whole = [each for part in parts for each in part.sets]
    assert len(whole) == len(set(whole))
    ranges = [(each.set, number) for part in parts for each in part.subjects for number in range(each.first, each.last)]
    assert len(ranges) == len(set(ranges))
    assert not {set for set, _ in ranges} & set(whole)


@pytest.mark.parametrize("name", CLIP_SPLITS)
@given(data=st.data())
def test_a_clip_falls_in_the_same_part_by_every_name_of_its_set(name: str, data: st.DataObject):
    row = data.draw(st.sampled_from(list(SETS.values())))
    subject = f"rub{data.draw(st.integers(1, 115)):03d}"
    parts = {
        named_split(name).part_of(Clip(change(alias), subject))
        for alias in row.aliases
        for change in (str, str.lower, str.upper)
    }
    assert len(parts) == 1


def test_letter_case_of_the_source_is_resolved():
    assert named_split("dposer").part_of(Clip("Mosh")) == "val"
    assert named_split("DPoser").name == "dposer"
    assert named_split("vposer_v02_05").name == "vposer-v02_05"


def test_vposer_v02_05_by_subject():
    clips = [Clip("CMU", "01"), rub(1), rub(67), rub(68), rub(91), rub(92), rub(114), rub(115), Clip("KIT")]
    expected = ["train", "train", "train", "test", "test", "val", "val", None, None]
    assert assign("vposer-v02_05", clips) == expected
    expected = ["train", "test", "train", "train", "val", "val", "val", "val", None]
    assert assign("vposer-v02_05-thirds", clips) == expected
    assert named_split("vposer-v02_05").part_of(Clip("BMLrub", "nobody")) is None


def test_humor_drops_treadmills_skating_and_short_clips():
    split = named_split("humor")
    assert (split.fps, split.min_seconds) == (30, 1)
    dropped = [
        rub(1, "0000_treadmill_norm_poses"),
        rub(1, "0012_normal_walk1_stageii.npz"),
        rub(1, "0012_normal"),
        Clip("MPI_HDM05", "dg", "HDM_dg_07-01_01_120_poses"),
        Clip("CMU", "01", "01_01_poses", frames=119),
    ]
    kept = [
        rub(1, "0012_jumping_normal1_poses"),
        Clip("HDM05", "bd", "HDM_dg_07-01_01_120_poses"),
        Clip("HDM05", "dg", "HDM_dg_07-02_01_120_poses"),
        Clip("CMU", "01", "01_01_poses", frames=120),
    ]
    assert assign(split, dropped) == [None] * 5
    assert assign(split, kept) == ["train", "val", "val", "train"]
    assert assign("vposer-v1", [*dropped, *kept]) == ["train"] * 3 + ["val", "train"] + ["train", "val", "val", "train"]
    # The same cleaning by another expression: anywhere in the name, not its second word alone.
    assert assign("egoallo", [dropped[0], kept[0], rub(1, "0012_jumping_normal_2")]) == [None, "train", None]


def sampled(sets: tuple[str, ...], repeated: bool = False) -> int:
    """Poses that the published preparation takes; as released it takes set i of k k-i+1 times."""
    counts = [SETS[name].vposer_frames or 0 for name in sets]
    return sum((len(counts) - i if repeated else 1) * count for i, count in enumerate(counts))


def test_the_published_counts_of_training_poses_come_out():
    # 30 % of the central 80 % of each file, as the facts on VPoser's preparation have it.
    assert SETS["CMU"].vposer_frames == 841_324
    assert SETS["BMLrub"].vposer_frames == 901_763
    train = named_split("vposer-v1").sets["train"]
    assert sampled(train) == 3_556_281
    assert sampled(train, repeated=True) == 20_793_908
    # CMU twice, and the middle third of BMLrub: the other two thirds have 245,618 and 336,983.
    assert 2 * 841_324 + (901_763 - 245_618 - 336_983) == 2_001_810


@pytest.mark.parametrize("row", [row for row in SETS.values() if row.files], ids=lambda row: row.name)
def test_the_sampled_frames_fit_the_counts_of_files_and_frames(row):
    # A file loses less than one frame to rounding down.
    assert 0.24 * row.frames - row.files < row.vposer_frames <= 0.24 * row.frames


def test_what_is_missing_and_what_no_part_asks_for_is_said():
    split = named_split("vposer-v02_05")
    assert split.missing({"BioMotionLab_NTroje", "KIT"}) == {"train": ("CMU",), "val": (), "test": ()}
    assert split.extra(["BioMotionLab_NTroje", "KIT", "own"]) == ("KIT", "own")


def test_what_is_in_no_part_is_told_with_the_reason():
    told = split_notes("vposer-v02_05", [rub(1), rub(115), Clip("KIT"), Clip("own")])
    assert "V02_05.yaml" in told[0] and "probable" in told[1]
    assert told[-2:] == ["1 clips are of subjects that no part has", "in no part: KIT, own"]
    clips = [rub(1, "0000_treadmill_norm_poses"), Clip("CMU", frames=9), Clip("CMU"), Clip("MPI_HDM05")]
    told = split_notes("humor", clips)
    assert told[-3:] == [
        "it is used at 30 frames per second",
        "1 clips are dropped, as in the source",
        "1 clips are shorter than 1 s",
    ]
    assert "vitruve data poses" in split_notes("posescript", clips)[-1]


def test_a_split_of_poses_says_how_its_parts_are_had():
    with pytest.raises(UsageError, match="divides poses") as error:
        assign("posescript", [Clip("CMU")])
    assert "vitruve data poses" in error.value.fix


def test_an_unknown_split_names_the_nearest():
    with pytest.raises(UsageError) as error:
        named_split("posenfd")
    assert "posendf" in error.value.fix
