"""The skeletons that ship: every file loads, has the size it should, and mirrors left onto right."""

from __future__ import annotations

import re

import pytest

from vitruve.skeletons import Skeleton, load_skeleton, skeleton_names

# name: (points, lines, pairs, root)
COUNTS = {
    "bandai_namco22": (22, 21, 8, (0,)),
    "cmu31": (31, 30, 12, (0,)),
    "coco17": (17, 19, 8, (11, 12)),
    "coco_wholebody133": (133, 65, 61, (11, 12)),
    "h36m17": (17, 16, 6, (0,)),
    "halpe26": (26, 27, 11, (19,)),
    "halpe136": (136, 67, 61, (19,)),
    "hand21_openpose": (21, 20, 0, (0,)),
    "humanart21": (21, 23, 10, (11, 12)),
    "mano16": (16, 15, 0, (0,)),
    "mano21": (21, 20, 0, (0,)),
    "mediapipe33": (33, 35, 16, (23, 24)),
    "mediapipe75": (75, 77, 37, (23, 24)),
    "mediapipe_hand21": (21, 21, 0, (0,)),
    "mpi_inf_3dhp17": (17, 16, 6, (14,)),
    "mpi_inf_3dhp28": (28, 27, 10, (4,)),
    "openpose18_coco": (18, 17, 8, (8, 11)),
    "openpose137": (137, 64, 62, (8,)),
    "openpose_body25": (25, 24, 11, (8,)),
    "panoptic19": (19, 14, 8, (2,)),
    "posetrack18": (17, 16, 7, (11, 12)),
    "smpl24": (24, 23, 9, (0,)),
    "smplh52": (52, 51, 23, (0,)),
    "smplh73": (73, 51, 33, (0,)),
    "smplx55": (55, 54, 24, (0,)),
    "smplx127": (127, 54, 55, (0,)),
    "smplx144": (144, 54, 63, (0,)),
    "ubhand48": (48, 46, 24, (0, 1)),
    "vehs24_config6": (24, 16, 10, (21,)),
    "vehs37": (37, 28, 15, (0,)),
    "vehs66_v1": (66, 64, 28, (57,)),
    "vehs66_v2": (66, 65, 28, (57,)),
    "vehs_h36m17": (17, 16, 6, (0,)),
}
TREES = ("bandai_namco22", "cmu31", "mano16", "smpl24", "smplh52", "smplx55")

# iBUG-68 face landmarks that stand on the right side of the face, with OpenPose's right pupil.
RIGHT_FACE = {*range(8), *range(17, 22), 31, 32, *range(36, 42), 48, 49, 50, 58, 59, 60, 61, 67, 68}


def right_of(left: str) -> str:
    """The name of the right-hand partner of a left-hand point."""
    for pattern, partner in (
        (r"(^|_)left(_|$)", r"\1right\2"),
        (r"(^|_)LEFT(_|$)", r"\1RIGHT\2"),
        (r"_L$", "_R"),
        (r"^L", "R"),
        (r"^l", "r"),
    ):
        if re.search(pattern, left):
            return re.sub(pattern, partner, left)
    raise AssertionError(f"'{left}' is not the name of a left-hand point")


def test_the_table_of_counts_covers_every_shipped_skeleton():
    assert set(COUNTS) == set(skeleton_names())


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name: str):
    skeleton = load_skeleton(name)
    found = (len(skeleton), len(skeleton.edges), len(skeleton.pairs), skeleton.root)
    assert found == COUNTS[name]
    assert skeleton.name == name
    assert skeleton.source
    assert len(skeleton.oks_sigmas) in (0, len(skeleton))


@pytest.mark.parametrize("name", COUNTS)
def test_pairs_are_left_then_right_and_the_flip_undoes_itself(name: str):
    skeleton = load_skeleton(name)
    flip = skeleton.flip
    assert [flip[i] for i in flip] == list(range(len(skeleton)))
    for left, right in skeleton.pairs:
        if skeleton.names[left].startswith("face-"):
            assert int(skeleton.names[right][5:]) in RIGHT_FACE
            assert int(skeleton.names[left][5:]) not in RIGHT_FACE
        else:
            assert right_of(skeleton.names[left]) == skeleton.names[right]


@pytest.mark.parametrize("name", COUNTS)
def test_a_point_with_a_side_in_its_name_has_a_partner(name: str):
    skeleton = load_skeleton(name)
    paired = {i for pair in skeleton.pairs for i in pair}
    alone = [joint for i, joint in enumerate(skeleton.names) if i not in paired]
    assert not [joint for joint in alone if re.search(r"left|right|_[LR]$", joint, re.IGNORECASE)]


@pytest.mark.parametrize("name", COUNTS)
def test_trees_have_their_parents_first_and_point_sets_have_none(name: str):
    skeleton = load_skeleton(name)
    if name not in TREES:
        assert skeleton.parents == ()
        return
    assert skeleton.parents[0] == -1
    assert all(0 <= parent < i for i, parent in enumerate(skeleton.parents) if i)
    assert skeleton.below(0) == tuple(range(len(skeleton)))
    # A mirrored tree is the same tree.
    flip = (*skeleton.flip, -1)
    assert all(flip[parent] == skeleton.parents[flip[i]] for i, parent in enumerate(skeleton.parents))


@pytest.mark.parametrize("name", COUNTS)
def test_lines_join_two_different_points_once(name: str):
    skeleton = load_skeleton(name)
    lines = [frozenset(edge) for edge in skeleton.edges]
    assert all(len(line) == 2 for line in lines)
    assert len(set(lines)) == len(lines)


def test_sets_that_share_a_beginning_share_it_in_order():
    def names(name: str) -> tuple[str, ...]:
        return load_skeleton(name).names

    assert names("smplx127")[:55] == names("smplx55")
    assert names("smplx144")[:127] == names("smplx127")
    assert names("smplh73")[:52] == names("smplh52")
    assert names("smplh52")[:22] == names("smplx55")[:22] == names("smpl24")[:22]
    assert names("mano21")[:16] == names("mano16")
    assert names("openpose137")[:25] == names("openpose_body25")
    assert names("mediapipe75")[:33] == names("mediapipe33")
    assert names("halpe136")[:26] == names("halpe26")
    assert names("coco_wholebody133")[:17] == names("coco17")


def test_the_mano_order_of_fingers_is_that_of_both_hands_of_smplh():
    mano, smplh = load_skeleton("mano16"), load_skeleton("smplh52")
    for side, start in (("left", 22), ("right", 37)):
        assert smplh.names[start : start + 15] == tuple(f"{side}_{name}" for name in mano.names[1:])
        assert hand_parents(smplh, start) == tuple(mano.parents[1:])


def hand_parents(smplh: Skeleton, start: int) -> tuple[int, ...]:
    """Parents within a hand, the wrist counted as 0."""
    return tuple(max(0, parent - start + 1) for parent in smplh.parents[start : start + 15])


def test_mano_joints_map_to_the_openpose_hand_as_the_note_says():
    mano, hand = load_skeleton("mano21"), load_skeleton("hand21_openpose")
    order = [int(i) for i in re.findall(r"\d+", mano.note.split("these are")[1])]
    finger = {"thumb": "thumb", "index": "forefinger", "middle": "middle_finger", "ring": "ring_finger"}
    finger["pinky"] = "pinky_finger"

    def translated(name: str) -> str:
        if name == "wrist":
            return name
        stem, end = (name[:-4], "4") if name.endswith("_tip") else (name[:-1], name[-1])
        return finger[stem] + end

    assert tuple(translated(mano.names[i]) for i in order) == hand.names


def test_sigmas_belong_to_the_points_of_the_same_name():
    coco = load_skeleton("coco17")
    known = dict(zip(coco.names, coco.oks_sigmas, strict=True))
    for name in ("coco_wholebody133", "halpe26", "halpe136", "humanart21", "openpose18_coco", "posetrack18"):
        skeleton = load_skeleton(name)
        for point, sigma in zip(skeleton.names, skeleton.oks_sigmas, strict=True):
            assert sigma == known.get(point, sigma), (name, point)
