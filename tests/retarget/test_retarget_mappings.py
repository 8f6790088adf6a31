"""Mapping files: those that ship fit the shipped trees and are the same on both sides; wrong ones say what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vitruve.errors import BadData, MissingAsset, UsageError
from vitruve.geometry.rotations import rotation_error
from vitruve.retarget.choose_mapping import find_mapping
from vitruve.retarget.mapping import load_mapping, mapping_from_toml, mapping_names
from vitruve.skeletons import load_skeleton, skeleton_names

# Those of skeletons that ship as data; the others are tested in test_mapping_kinds.
WITH_TREE = [name for name in mapping_names() if name in skeleton_names()]
SMALL = '[joints]\npelvis = "hip"\n'


@pytest.mark.parametrize("name", WITH_TREE)
def test_shipped_mappings_fit_the_shipped_tree_of_their_name(name: str):
    mapping, source, target = load_mapping(name), load_skeleton(name), load_skeleton("smplx55")
    assert set(mapping.sources) <= set(source.names)
    assert {row.joint for row in mapping.joints} == set(target.names[:22])
    assert find_mapping(source).joints == mapping.joints
    assert all(float(rotation_error(frame)) < 1e-9 for frame in mapping.frames.values())


@pytest.mark.parametrize("name", WITH_TREE)
def test_shipped_mappings_are_the_same_on_both_sides(name: str):
    mapping, source = load_mapping(name), load_skeleton(name)
    rows = {row.joint: row for row in mapping.joints}
    for joint, row in rows.items():
        other = rows[joint.replace("left", "RIGHT").replace("right", "left").replace("RIGHT", "right")]
        mirrored = {source.names[source.flip[source.index(part)]] for part in row.sources}
        assert mirrored == set(other.sources)
        assert (row.weight, row.hold, bool(row.bone)) == (other.weight, other.hold, bool(other.bone))


def test_the_file_in_the_docs_is_a_mapping():
    page = (Path(__file__).parents[2] / "docs" / "retarget.md").read_text(encoding="utf-8")
    mapping = mapping_from_toml(page.split("```toml\n")[1].split("```")[0], "docs")
    assert mapping.name == "robot" and len(mapping.joints) == 6
    assert all(f"`{name}`" in page for name in mapping_names())


def test_a_body_in_a_bvh_file_is_asked_for_by_its_layout():
    with pytest.raises(UsageError, match="joints of smplh") as caught:
        find_mapping(load_skeleton("smplh52"))
    assert "--from smplh" in str(caught.value)


def test_axes_and_turns_say_where_a_joints_own_axes_point():
    text = 'frames = "y -x z"\n[source_frames]\nknee = { axes = "-y x z", turn = { x = 90 } }\n[joints]\n'
    mapping = mapping_from_toml(text + 'pelvis = "hip"\nleft_knee = "knee"\n', "test")
    own_x = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    assert torch.allclose(mapping.frames["hip"] @ own_x, torch.tensor([0.0, 1.0, 0.0]).double())
    # -y, turned by 90 degrees about x, is -z.
    assert torch.allclose(mapping.frames["knee"] @ own_x, torch.tensor([0.0, 0.0, -1.0]).double(), atol=1e-12)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("joints = [", "not TOML"),
        ("name = 'x'", "needs a table"),
        (SMALL + "knees = 3\n[extra]\n", "unknown key 'extra'"),
        ('[joints]\npelvis = { source = "hip", wieght = 2 }', "unknown key 'wieght'"),
        ('[joints]\npelvis = { source = "hip", weight = -1 }', "invalid weight"),
        ("[joints]\npelvis = { weight = 1 }", "names no joint"),
        ("[joints]\npelvis = 4", "a name or a table"),
        ('scale = "arms"\n' + SMALL, "unknown scale rule"),
        ('frames = "x y"\n' + SMALL, "right-handed"),
        ('frames = "x z y"\n' + SMALL, "right-handed"),
        ('frames = "x x y"\n' + SMALL, "right-handed"),
        ("frames = { turn = { q = 3 } }\n" + SMALL, "invalid turn"),
        ('[source_frames]\nknee = "x y z"\n' + SMALL, "used by no joint"),
    ],
)
def test_wrong_files_say_what_is_wrong(text: str, what: str):
    with pytest.raises(BadData, match=what):
        mapping_from_toml(text, "mine.toml")


def test_unknown_names_get_a_hint(tmp_path: Path):
    with pytest.raises(MissingAsset, match="cmu31"):
        load_mapping("cmu32")
    with pytest.raises(MissingAsset, match="does not exist"):
        load_mapping(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="no shipped mapping"):
        find_mapping(load_skeleton("coco17"))


def test_a_file_of_the_users_own_is_read(tmp_path: Path):
    file = tmp_path / "mine.toml"
    file.write_text(SMALL, encoding="utf-8")
    assert load_mapping(file).name == "mine" and load_mapping(str(file)).sources == ("hip",)
