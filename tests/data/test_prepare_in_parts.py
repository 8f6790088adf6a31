"""`data prepare --shard` and `--cluster`: the parts write one store, the same as a single run."""

import fcntl

import pytest

from tests.amass.amass import content, tree
from vitruve.data import planning
from vitruve.data.prepare import prepare
from vitruve.errors import UsageError

SETS = {"ACCAD": 3, "CMU": 4, "KIT": 2}


@pytest.fixture
def small_shards(monkeypatch):
    """Two clips a shard, so that a few files make several."""
    monkeypatch.setattr(planning, "_BODY_BYTES", 70_000)


def only_clips(store):
    """The files of the shards, without what tells about the runs."""
    return {name: held for name, held in content(store).items() if "/" in name}


def test_parts_write_the_same_store_together(tmp_path, small_shards):
    data = tree(tmp_path / "AMASS", SETS)
    prepare([data], tmp_path / "whole")
    first = prepare([data], tmp_path / "store", shard=(1, 2))
    assert 0 < first.clips < 9 and (tmp_path / "store" / "plan.json").is_file()
    second = prepare([data], tmp_path / "store", shard=(2, 2))
    assert first.clips + second.clips == 9
    assert only_clips(tmp_path / "store") == only_clips(tmp_path / "whole")
    assert not (tmp_path / "store" / "plan.json").exists()
    assert (tmp_path / "store" / "run-1of2.toml").is_file() and (tmp_path / "store" / "run-2of2.toml").is_file()
    assert prepare([data], tmp_path / "store").clips == 0


def test_parts_that_begin_at_once_have_one_plan(tmp_path, small_shards, monkeypatch):
    """The second part looks at the store when the first has planned and written a shard."""
    data = tree(tmp_path / "AMASS", SETS)
    (data / "CMU" / "s0" / "clip_1_poses.npz").write_bytes(b"PK\x03\x04 not a zip")
    prepare([data], tmp_path / "whole")
    looked = planning._earlier

    def late(store):
        monkeypatch.setattr(planning, "_earlier", looked)
        prepare([data], tmp_path / "store", shard=(1, 2))
        return looked(store)

    monkeypatch.setattr(planning, "_earlier", late)
    outcome = prepare([data], tmp_path / "store", shard=(2, 2))
    assert outcome.clips and only_clips(tmp_path / "store") == only_clips(tmp_path / "whole")


def test_a_file_that_one_part_could_not_read_is_its_own_to_tell(tmp_path, small_shards):
    data = tree(tmp_path / "AMASS", SETS)
    (data / "CMU" / "s0" / "clip_1_poses.npz").write_bytes(b"PK\x03\x04 not a zip")
    parts = [prepare([data], tmp_path / "store", shard=(part, 3)) for part in (1, 2, 3)]
    assert [len(outcome.failed) for outcome in parts].count(1) == 1
    assert len(list((tmp_path / "store").glob("failed-*of3.csv"))) == 1
    assert sum(outcome.clips for outcome in parts) == 8


def test_a_part_does_not_replace_what_others_write(tmp_path):
    with pytest.raises(UsageError, match="part of the work"):
        prepare([tree(tmp_path / "AMASS", {"CMU": 1})], tmp_path / "store", shard=(1, 2), overwrite=True)


def test_parts_share_a_store_and_the_whole_is_kept_out(tmp_path):
    data = tree(tmp_path / "AMASS", {"CMU": 1})
    prepare([data], tmp_path / "store")
    with (tmp_path / "store" / ".lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_SH)  # as another part does
        prepare([data], tmp_path / "store", shard=(1, 2))
        with pytest.raises(UsageError, match="running"):
            prepare([data], tmp_path / "store")
    with (tmp_path / "store" / ".lock-1of2").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        prepare([data], tmp_path / "store", shard=(2, 2))
        with pytest.raises(UsageError, match="running"):
            prepare([data], tmp_path / "store", shard=(1, 2))


@pytest.mark.slow
def test_a_cluster_writes_the_same_bytes(tmp_path, small_shards):
    distributed = pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    data = tree(tmp_path / "AMASS", {"CMU": 4})
    prepare([data], tmp_path / "one")
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        prepare([data], tmp_path / "two", cluster=cluster.scheduler_address)
    assert content(tmp_path / "two") == content(tmp_path / "one")
