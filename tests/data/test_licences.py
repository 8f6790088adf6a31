"""Licences of data sets that are known by the names of their files."""

import pytest

from vitruve.data.licences import licence_by_name
from vitruve.data.planning import make_plan
from vitruve.data.show import is_non_commercial
from vitruve.data.write_shard import Target


@pytest.mark.parametrize(
    ("file", "words", "barred"),
    [
        ("01_02.amc", "mocap.cs.cmu.edu", False),
        ("144_12.AMC", "mocap.cs.cmu.edu", False),
        ("dataset-2_walk-turn-left_active_041.bvh", "CC BY-NC 4.0", True),
        ("dataset-1_bow_normal_001.bvh", "CC BY-NC 4.0", True),
    ],
)
def test_known_names_have_a_licence(file, words, barred):
    licence = licence_by_name(file)
    assert licence and words in licence and is_non_commercial(licence) is barred


@pytest.mark.parametrize("file", ["walk.amc", "1_2.amc", "01_02.bvh", "my dataset-2_walk_active_041.bvh", "x01_02.amc"])
def test_other_names_have_none(file):
    assert licence_by_name(file) is None


def test_files_of_known_names_are_planned_with_it_unless_another_is_stated(tmp_path):
    # Both sets are called as AMASS's; its licence is not theirs.
    for name in ("CMU/01/01_02.amc", "KIT/dataset-2_run_active_001.bvh", "KIT/own.bvh"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)  # alike they would count as copies

    def licences(stated: str) -> dict[str, str]:
        plan = make_plan([tmp_path], tmp_path / "s", Target(), set_name="", licence=stated, overwrite=False)
        return {file.path.name: file.licence for job in plan.shards for file in job.files}

    found = licences("")
    assert "mocap.cs.cmu.edu" in found["01_02.amc"]
    assert "BY-NC" in found["dataset-2_run_active_001.bvh"] and found["own.bvh"] == ""
    assert set(licences("CC0").values()) == {"CC0"}
