"""Skeleton files of one's own: what may stand in them, and what a wrong one says; the queries on a skeleton."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vitruve.errors import BadData, MissingAsset, UsageError
from vitruve.skeletons import Skeleton, load_skeleton, skeleton_names
from vitruve.skeletons.recognise import left_right_pairs, shipped_tree

BIPED = """
name = "biped"
names = ["pelvis", "left_hip", "right_hip", "head"]
parents = [-1, "pelvis", 0, 0]
pairs = [["left_hip", "right_hip"]]
rest = [[0, 0, 0], [0.1, 0, 0], [-0.1, 0, 0], [0, 0.6, 0]]
oks_sigmas = [0.1, 0.1, 0.1, 0.05]
source = "a drawing"
note = "three bones"
"""


def load(tmp_path: Path, text: str) -> Skeleton:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return load_skeleton(path)


def test_a_file_of_ones_own(tmp_path: Path):
    skeleton = load(tmp_path, BIPED)
    assert skeleton.name == "biped"
    assert skeleton.parents == (-1, 0, 0, 0)
    assert skeleton.edges == ((0, 1), (0, 2), (0, 3)), "the bones of the tree are drawn where no lines are given"
    assert skeleton.pairs == ((1, 2),)
    assert skeleton.root == (0,)
    assert skeleton.flip == (0, 2, 1, 3)
    assert skeleton.rest is not None
    assert skeleton.rest[3, 1] == 0.6
    assert (skeleton.source, skeleton.note) == ("a drawing", "three bones")


def test_the_file_name_names_a_skeleton_without_a_name(tmp_path: Path):
    assert load(tmp_path, BIPED.replace('name = "biped"', "")).name == "mine"


def test_a_plain_set_of_points(tmp_path: Path):
    skeleton = load(tmp_path, 'names = ["a", "b"]\nroot = ["a", "b"]')
    assert (skeleton.parents, skeleton.edges, skeleton.root) == ((), (), (0, 1))
    assert load(tmp_path, 'names = ["a", "b"]\nroot = "b"').root == (1,)


BAD = {
    "not toml": ("names = [", "not TOML"),
    "unknown key": (BIPED.replace("pairs", "pears"), "did you mean 'pairs'"),
    "no names": ("root = []", "needs 'names'"),
    "names a text": ('names = "abc"', "needs 'names'"),
    "name twice": (BIPED.replace('"head"', '"pelvis"'), "duplicate name"),
    "unknown joint": (BIPED.replace('"left_hip", "right_hip"]]', '"left_hop", "right_hip"]]'), "mean 'left_hip'"),
    "parents few": (BIPED.replace('[-1, "pelvis", 0, 0]', "[-1, 0, 0]"), "3 parents for 4 joints"),
    "parents late": (BIPED.replace('[-1, "pelvis", 0, 0]', "[-1, 2, 0, 0]"), "before its parent"),
    "two roots": (BIPED.replace('[-1, "pelvis", 0, 0]', "[-1, 0, 0, -1]"), "2 roots"),
    "parents a number": (BIPED.replace('[-1, "pelvis", 0, 0]', "3"), "wrong type"),
    "edges numbers": (BIPED + "edges = [1, 2]", "wrong type"),
    "edge of three": (BIPED + "edges = [[0, 1, 2]]", "does not join two points"),
    "edge beyond": (BIPED + "edges = [[0, 4]]", "'4' is not a joint"),
    "pair twice": (BIPED.replace("pairs = [", 'pairs = [["left_hip", "head"], '), "two pairs"),
    "pair of one": (BIPED.replace('"left_hip", "right_hip"]]', '"left_hip"]]'), "two pairs"),
    "rest short": (BIPED.replace(", [0, 0.6, 0]]", "]"), "rest has shape"),
    "rest ragged": (BIPED.replace("[0, 0.6, 0]", "[0, 0.6]"), "wrong type"),
    "rest nan": (BIPED.replace("0.6", "nan"), "not finite"),
    "sigmas few": (BIPED.replace("0.1, 0.05]", "0.1]"), "3 sigmas for 4 points"),
    "sigma text": (BIPED.replace("0.05", '"small"'), "wrong type"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_file_says_what_and_where(tmp_path: Path, case: str):
    text, message = BAD[case]
    with pytest.raises(BadData) as error:
        load(tmp_path, text)
    assert message in str(error.value)
    assert "mine.toml" in error.value.where
    assert error.value.fix


def test_unknown_names_are_answered_with_near_ones():
    with pytest.raises(MissingAsset, match="did you mean 'smplx55'"):
        load_skeleton("smplx5")
    with pytest.raises(MissingAsset, match="does not exist"):
        load_skeleton("nowhere/mine.toml")
    with pytest.raises(UsageError, match="did you mean 'left_hip'"):
        load_skeleton("smpl24").index("left_hp")


# Queries


@given(name=st.sampled_from(skeleton_names()), data=st.data())
def test_a_subset_keeps_what_it_holds(name: str, data: st.DataObject):
    skeleton = load_skeleton(name)
    some = data.draw(st.sets(st.sampled_from(range(len(skeleton))), min_size=1))
    if skeleton.parents:
        some |= {0}
    names = [skeleton.names[i] for i in sorted(some)]
    part = skeleton.subset(names)
    assert list(part.names) == names
    assert part.map_to(skeleton) == {new: old for new, old in enumerate(sorted(some))}
    assert {(part.names[a], part.names[b]) for a, b in part.pairs} == {
        (skeleton.names[a], skeleton.names[b]) for a, b in skeleton.pairs if {a, b} <= some
    }
    for i, parent in enumerate(part.parents):
        assert parent < i
        if parent >= 0:
            assert skeleton.index(names[i]) in skeleton.below(skeleton.index(names[parent]))


def test_below_and_children():
    smpl = load_skeleton("smpl24")
    assert [smpl.names[i] for i in smpl.children(smpl.index("spine3"))] == ["neck", "left_collar", "right_collar"]
    arm = ["left_shoulder", "left_elbow", "left_wrist", "left_hand"]
    assert [smpl.names[i] for i in smpl.below(smpl.index("left_shoulder"))] == arm


# Foreign names


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("left_hip", "right_hip"),
        ("LeftUpLeg", "RightUpLeg"),
        ("mixamorig:LeftArm", "mixamorig:RightArm"),
        ("LEFT_WRIST", "RIGHT_WRIST"),
        ("Hand_L", "Hand_R"),
        ("hand.l", "hand.r"),
        ("upper_arm.L.001", "upper_arm.R.001"),
        ("L_Hip", "R_Hip"),
        ("LHip", "RHip"),
        ("lfemur", "rfemur"),
        ("Bip01 L Thigh", "Bip01 R Thigh"),
    ],
)
def test_pairs_are_found_in_the_usual_spellings(left: str, right: str):
    assert left_right_pairs(["Hips", right, "Spine", left]) == ((3, 1),)


def test_names_without_a_side_make_no_pairs():
    assert left_right_pairs(["Hips", "lower", "upper", "L", "Leg", "Reg", "l1"]) == ()
    assert left_right_pairs(["left_hip", "Right_hip", "lefthip"]) == ()


@pytest.mark.parametrize("name", ["smpl24", "smplh52", "smplx55", "bandai_namco22", "cmu31"])
def test_the_names_of_a_tree_tell_its_pairs_and_which_it_is(name: str):
    skeleton = load_skeleton(name)
    assert left_right_pairs(skeleton.names) == skeleton.pairs
    # The same tree from its last branch to its first.
    order, waiting = [], [0]
    while waiting:
        order.append(waiting.pop())
        waiting += skeleton.children(order[-1])
    names = [skeleton.names[i] for i in order]
    parents = [order.index(skeleton.parents[i]) if skeleton.parents[i] >= 0 else -1 for i in order]
    found = shipped_tree(names, parents)
    assert found is not None
    assert found[0].name == name
    assert [names[i] for i in found[1]] == list(skeleton.names)
    parents[-1] = 0 if parents[-1] else 1
    assert shipped_tree(names, parents) is None


def test_rest_positions_follow_a_subset():
    rest = torch.arange(12.0).reshape(4, 3)
    part = Skeleton("x", ("a", "b", "c", "d"), (-1, 0, 1, 2), rest=rest).subset(["a", "c", "d"])
    assert part.parents == (-1, 0, 1)
    assert part.rest is not None
    assert torch.equal(part.rest, rest[[0, 2, 3]])
