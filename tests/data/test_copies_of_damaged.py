"""A damaged file does not stand in the way of a whole copy of it; what cannot be read is said."""

import os

import pytest

from tests.amass.amass import content, tree, write
from vitruve.data import open_store
from vitruve.data.prepare import prepare
from vitruve.errors import BadData


def damaged(path):
    """Change a byte of the rotations: the index of the file still says what they were."""
    data = bytearray(path.read_bytes())
    data[2000] ^= 0xFF
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("name", ["clip_poses.npz", "another_poses.npz"])
def test_a_whole_copy_is_taken_where_the_first_is_damaged(tmp_path, name):
    damaged(write(tmp_path / "one" / "CMU" / "a1" / "clip_poses.npz", seed=1))
    write(tmp_path / "two" / "CMU" / "z1" / name, seed=1)
    write(tmp_path / "one" / "CMU" / "z1" / "other_poses.npz", seed=2)
    outcome = prepare([tmp_path / "one", tmp_path / "two"], tmp_path / "store")
    assert [line["file"] for line in outcome.failed] == [str(tmp_path / "one" / "CMU" / "a1" / "clip_poses.npz")]
    assert outcome.clips == 2 and outcome.frames == 40 and outcome.plan.skipped == ()
    kept = {clip.key for clip in open_store(tmp_path / "store").clips}
    assert kept == {"CMU/z1/other", f"CMU/z1/{name.removesuffix('_poses.npz')}"}
    before = content(tmp_path / "store")
    prepare([tmp_path / "one", tmp_path / "two"], tmp_path / "store")
    after = content(tmp_path / "store")
    assert {k: v for k, v in after.items() if k != "failed.csv"} == {
        k: v for k, v in before.items() if k != "failed.csv"
    }


def test_a_link_to_nowhere_fails_alone(tmp_path):
    root = tree(tmp_path / "AMASS", {"CMU": 2})
    (root / "CMU" / "s0" / "lost_poses.npz").symlink_to(tmp_path / "nowhere")
    outcome = prepare([root], tmp_path / "store")
    assert outcome.clips == 2
    assert [line["file"] for line in outcome.failed] == [str(root / "CMU" / "s0" / "lost_poses.npz")]


def test_a_folder_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    root = tree(tmp_path / "AMASS", {"CMU": 2, "KIT": 2})
    real = os.scandir

    def scandir(path):
        if os.path.basename(path) == "KIT":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(BadData, match="Permission denied") as caught:
        prepare([root], tmp_path / "store")
    assert caught.value.where.endswith("KIT")
    assert not (tmp_path / "store").exists()
