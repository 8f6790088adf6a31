"""A store gets each motion once, whatever happens on the way, and the same bytes in the end."""

import errno
import fcntl
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import njit

from tests.amass.amass import arrays, content, tree, write
from tests.material import shared_data
from vitruve.data import open_store, planning, write_shard
from vitruve.data import read_arrays as reading
from vitruve.data.prepare import plan_preparation, prepare
from vitruve.errors import MissingAsset, NotWritten, UsageError

SETS = {"ACCAD": 3, "CMU": 4, "KIT": 2}


@pytest.fixture
def small_shards(monkeypatch):
    """Two clips a shard, so that a few files make several."""
    monkeypatch.setattr(planning, "_BODY_BYTES", 70_000)


def rows_by_the_known_loop(data: Path, sets: list[str]) -> int:
    """How many frames the published preparation dumps: its loop over clips goes over all found so far."""
    names, dumped = [], 0
    for name in sets:
        names.extend(sorted(data.glob(f"{name}/*/*_poses.npz")))
        for clip in names:
            dumped += int(0.3 * 0.8 * len(np.load(clip)["poses"]))
    return dumped


def test_no_set_is_counted_twice_as_the_known_preparation_does(tmp_path):
    data = tree(tmp_path / "AMASS", SETS, frames=50)
    prepare([data], tmp_path / "store")
    store = open_store(tmp_path / "store")
    each = {name: sum(int(0.3 * 0.8 * clip.frames) for clip in store.clips if clip.set == name) for name in SETS}
    ours = store.sample(fraction=0.3, central=0.8)
    assert len(ours) == len(set(ours.tolist())) == sum(each.values())
    # The first of three sets is dumped three times there, the second twice.
    known = rows_by_the_known_loop(data, list(SETS))
    assert known == 3 * each["ACCAD"] + 2 * each["CMU"] + each["KIT"] > sum(each.values())


def test_copies_are_taken_once_whatever_they_are_called(tmp_path):
    data = tree(tmp_path / "AMASS", {"BMLrub": 2})
    shutil.copytree(data / "BMLrub", data / "BioMotionLab_NTroje")  # the other name of the set
    shutil.copytree(data / "BMLrub", tmp_path / "backup" / "copy of it")  # another name altogether
    packed = np.load(data / "BMLrub" / "s0" / "clip_0_poses.npz")
    write(tmp_path / "packed" / "x" / "anew_poses.npz", packed=True, **{key: packed[key] for key in packed})
    (tmp_path / "link").symlink_to(data)
    more = [tmp_path / "link", tmp_path / "backup", tmp_path / "packed"]
    outcome = prepare([data, data / "BMLrub", *more], tmp_path / "s")
    assert outcome.clips == 2 and len(outcome.plan.skipped) == 5
    assert {clip.key for clip in open_store(tmp_path / "s").clips} == {"BMLrub/s0/clip_0", "BMLrub/s0/clip_1"}
    again = prepare([tmp_path / "backup", tmp_path / "packed"], tmp_path / "s")
    assert again.clips == 0 and len(again.plan.skipped) == 3
    assert all("the same motion as BMLrub" in skipped.why for skipped in again.plan.skipped)


def test_of_two_makes_of_a_clip_the_one_named_first_is_taken(tmp_path):
    first, second = tree(tmp_path / "H", {"CMU": 1}), tree(tmp_path / "X", {"CMU": 2}, make="smplx")
    outcome = prepare([second, first], tmp_path / "store")
    assert [clip.body for clip in open_store(tmp_path / "store").clips] == ["smplx", "smplx"]
    assert "another make" in outcome.plan.skipped[0].why


def test_more_data_leaves_what_is_there_untouched(tmp_path):
    data = tree(tmp_path / "AMASS", {"CMU": 3})
    prepare([data], tmp_path / "store")
    before = content(tmp_path / "store")
    stamps = {file: file.stat().st_mtime_ns for file in (tmp_path / "store" / "CMU").rglob("*")}
    tree(data, {"KIT": 2}, seed=500)
    write(data / "CMU" / "s9" / "later_poses.npz", seed=77)
    outcome = prepare([data], tmp_path / "store")
    assert outcome.clips == 3 and outcome.plan.done == 3
    after = content(tmp_path / "store")
    assert {name: after[name] for name in before} == before
    assert all(file.stat().st_mtime_ns == stamp for file, stamp in stamps.items() if file.is_file())
    assert len(open_store(tmp_path / "store").clips) == 6
    assert prepare([data], tmp_path / "store").clips == 0 and content(tmp_path / "store") == after


@pytest.mark.slow
def test_several_processes_write_the_same_bytes(tmp_path, small_shards):
    data = tree(tmp_path / "AMASS", {"CMU": 4})
    prepare([data], tmp_path / "one")
    prepare([data], tmp_path / "two", workers=2)
    assert len(list((tmp_path / "one").glob("CMU/*/clips.jsonl"))) > 1
    assert content(tmp_path / "two") == content(tmp_path / "one")


_KILLED_RUN = """
import os, signal, sys
from vitruve.data import planning, prepare, write_shard
planning._BODY_BYTES = 70_000
read, left = write_shard.read_arrays, int(sys.argv[3])
def killing(*what):
    global left
    if left == 0: os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return read(*what)
write_shard.read_arrays = killing
prepare.prepare([sys.argv[1]], sys.argv[2])
"""


@pytest.mark.parametrize(("files_read", "shards_done"), [pytest.param(1, 0, marks=pytest.mark.slow), (4, 2)])
def test_a_run_killed_at_any_moment_goes_on_to_the_same_bytes(tmp_path, small_shards, files_read, shards_done):
    data = tree(tmp_path / "AMASS", SETS)
    (data / "KIT" / "s0" / "clip_1_poses.npz").write_bytes(b"PK\x03\x04 not a zip")
    prepare([data], tmp_path / "whole")
    store = tmp_path / "killed"
    command = [sys.executable, "-c", _KILLED_RUN, str(data), str(store), str(files_read)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    done = [file.parent for file in store.glob("*/[0-9]*/clips.jsonl")]
    assert len(done) == shards_done and (store / "plan.json").is_file()
    assert list(store.glob("*/.partial*"))
    outcome = prepare([data], store)
    assert outcome.plan.done == sum(len((folder / "clips.jsonl").read_text().splitlines()) for folder in done)
    assert content(store) == content(tmp_path / "whole")
    assert len(open_store(store).clips) == 8


def test_code_is_compiled_before_the_first_file_is_read(tmp_path, monkeypatch):
    """Whatever a file holds, so that processes that begin together compile nothing each by itself."""
    compiled = njit(nogil=True)(reading._shortened.py_func)
    monkeypatch.setattr(reading, "_shortened", compiled)
    reading.prepare_kernels()
    known = set(compiled.signatures)
    for packed in (False, True):
        for kind in (np.float32, np.float64):
            poses = arrays()["poses"].astype(kind)
            reading.read_arrays(write(tmp_path / f"{packed}{kind.__name__}_poses.npz", packed=packed, poses=poses))
    assert set(compiled.signatures) == known


def test_bad_files_are_listed_and_the_others_done(tmp_path):
    data = tree(tmp_path / "AMASS", {"CMU": 3})
    whole = (data / "CMU" / "s0" / "clip_0_poses.npz").read_bytes()
    (data / "CMU" / "s0" / "clip_8_poses.npz").write_bytes(whole[: len(whole) // 2])
    (data / "CMU" / "s0" / "clip_9_poses.npz").write_bytes(b"")
    damaged = bytearray(write(tmp_path / "other.npz", seed=50).read_bytes())
    damaged[600] ^= 255  # within the poses: only the check sum tells
    (data / "CMU" / "s1" / "clip_7_poses.npz").write_bytes(damaged)
    write(data / "CMU" / "s1" / "clip_6_poses.npz", poses=np.zeros((20, 66)))
    outcome = prepare([data], tmp_path / "store")
    assert outcome.clips == 3 and len(outcome.failed) == 4 and len(outcome.plan.passed) == 1
    table = (tmp_path / "store" / "failed.csv").read_text().splitlines()
    assert len(table) == 5 and all(word in "\n".join(table) for word in ("clip_6", "clip_7", "clip_8", "clip_9"))
    for name in ("s0/clip_8", "s0/clip_9", "s1/clip_6"):
        (data / "CMU" / f"{name}_poses.npz").unlink()
    write(data / "CMU" / "s1" / "clip_7_poses.npz", seed=5)  # mended
    outcome = prepare([data], tmp_path / "store")
    assert outcome.clips == 1 and not outcome.failed and not (tmp_path / "store" / "failed.csv").exists()


def test_a_full_disk_loses_nothing(tmp_path, small_shards, monkeypatch):
    data = tree(tmp_path / "AMASS", SETS)
    prepare([data], tmp_path / "whole")
    add, written = write_shard._Writer.add, []

    def full(writer, clip, arrays_):
        written.append(clip)
        if len(written) > 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        add(writer, clip, arrays_)

    with monkeypatch.context() as broken:
        broken.setattr(write_shard._Writer, "add", full)
        with pytest.raises(NotWritten, match="cannot be written: no space left") as caught:
            prepare([data], tmp_path / "store")
    assert "run the same again" in caught.value.fix
    assert not list((tmp_path / "store").glob("*/.partial*"))
    outcome = prepare([data], tmp_path / "store")
    assert outcome.plan.done == 3 and content(tmp_path / "store") == content(tmp_path / "whole")


def test_two_runs_at_once_are_refused(tmp_path):
    data = tree(tmp_path / "AMASS", {"CMU": 1})
    prepare([data], tmp_path / "store")
    with (tmp_path / "store" / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another preparation"):
            prepare([data], tmp_path / "store")
    prepare([data], tmp_path / "store")


def test_overwrite_writes_the_sets_anew_and_no_other(tmp_path):
    data = tree(tmp_path / "AMASS", {"CMU": 2, "KIT": 1})
    prepare([data], tmp_path / "store")
    stamp = next((tmp_path / "store" / "KIT").rglob("body.f32")).stat().st_mtime_ns
    write(data / "CMU" / "s0" / "clip_0_poses.npz", seed=99)
    kept = prepare([data], tmp_path / "store")
    assert kept.clips == 0 and "another make" in kept.plan.skipped[0].why
    prepare([data / "CMU"], tmp_path / "store", overwrite=True)
    store = open_store(tmp_path / "store")
    assert len(store.clips) == 3
    clip = store.clip("CMU/s0/clip_0")
    assert np.allclose(store.translation([clip.start])[0], arrays(seed=99)["trans"][0], atol=1e-6)
    assert next((tmp_path / "store" / "KIT").rglob("body.f32")).stat().st_mtime_ns == stamp


def test_overwrite_never_drops_clips_of_files_that_were_not_given(tmp_path):
    data = tree(tmp_path / "AMASS", {"CMU": 3, "KIT": 1})
    prepare([data], tmp_path / "store")
    one = data / "CMU" / "s0" / "clip_0_poses.npz"
    for call in (plan_preparation, prepare):
        with pytest.raises(UsageError, match="lose clips") as raised:
            call([one], tmp_path / "store", overwrite=True)
        assert "and 1 more" in raised.value.where and str(tmp_path / "store" / "CMU") in raised.value.fix
    assert len(open_store(tmp_path / "store").clips) == 4


def test_what_cannot_be_prepared_is_said_before_anything_is_made(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no motion"):
        prepare([tmp_path / "empty"], tmp_path / "store")
    with pytest.raises(MissingAsset, match="AMAS"):
        prepare([tmp_path / "AMAS"], tmp_path / "store")
    assert not (tmp_path / "store").exists()
    data = tree(tmp_path / "AMASS", {"CMU": 1})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="not a clip store"):
        prepare([data], tmp_path / "other")
    with pytest.raises(UsageError, match="not a clip store"):
        plan_preparation([data], tmp_path / "other")
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError):
        prepare([data], tmp_path / "file")
    with pytest.raises(UsageError, match="cannot be written"):
        prepare([data], tmp_path / "file" / "below")
    with pytest.raises((UsageError, MissingAsset), match="open-smplq"):
        prepare([data], tmp_path / "new", to="open-smplq")
    with pytest.raises(MissingAsset, match="cmu99"):
        prepare([data], tmp_path / "new", mapping="cmu99")
    assert plan_preparation([data], tmp_path / "new").files and not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("CMU", "CMU/01/a"),
        ("CMU/01", "CMU/01/a"),
        ("CMU/01/a_poses.npz", "CMU/01/a"),
        (".", "CMU/01/a"),
    ],
)
def test_the_set_is_known_from_wherever_it_is_named(tmp_path, given, key):
    write(tmp_path / "CMU" / "01" / "a_poses.npz")
    assert plan_preparation([tmp_path / given], tmp_path / "s").files[0].key == key


def test_sets_of_no_release_get_their_folders_names(tmp_path):
    write(tmp_path / "lab" / "anna" / "walk.npz")
    assert plan_preparation([tmp_path / "lab"], tmp_path / "s").files[0].key == "lab/anna/walk"
    assert plan_preparation([tmp_path], tmp_path / "s").files[0].key == "lab/anna/walk"
    assert plan_preparation([tmp_path / "lab"], tmp_path / "s", set_name="Our lab").files[0].key == "Our_lab/anna/walk"


def test_foreign_skeletons_are_retargeted_with_one_shape_for_each_person(tmp_path):
    source, data = shared_data("bandai-namco-2"), tmp_path / "bandai"
    data.mkdir()
    for name in ("run_active_001", "walk_normal_001"):
        shutil.copy(source / f"dataset-2_{name}.bvh", data)
    (data / "broken.bvh").write_text("HIERARCHY\nROOT Hips\n{\n")
    outcome = prepare([data], tmp_path / "store", licence="CC BY-NC 4.0")
    assert outcome.clips == 2 and [Path(line["file"]).name for line in outcome.failed] == ["broken.bvh"]
    store = open_store(tmp_path / "store")
    first, second = store.clips
    assert first.betas == second.betas and first.fps == 30 and first.body == "open-smplh"
    assert max(first.error_mm, second.error_mm) < 20 and first.licence == "CC BY-NC 4.0"
    # A clip that comes later gets the shape that its person has already.
    shutil.copy(source / "dataset-2_walk_normal_002.bvh", data)
    prepare([data], tmp_path / "store")
    assert {clip.betas for clip in open_store(tmp_path / "store").clips} == {first.betas}


def test_a_rate_that_files_do_not_say_can_be_given(tmp_path):
    data = tree(tmp_path / "AMASS", {"CMU": 2})
    silent = data / "CMU" / "s0" / "clip_0_poses.npz"
    members = {key: value for key, value in np.load(silent).items() if key != "mocap_framerate"}
    np.savez(silent, **members)
    outcome = prepare([data], tmp_path / "store")
    assert outcome.clips == 1 and "--source-fps" in outcome.failed[0]["do"]
    assert prepare([data], tmp_path / "store", source_fps=60).clips == 1
    assert [clip.fps for clip in open_store(tmp_path / "store").clips] == [120, 60]


def test_the_body_that_a_file_names_is_kept_and_does_not_slow_its_reading(tmp_path, monkeypatch):
    write(tmp_path / "clips" / "a_poses.npz", vitruve_body="open-smplh-male")
    monkeypatch.setattr(reading, "load_motion_at", None)  # the careful reader is not needed
    prepare([tmp_path / "clips"], tmp_path / "store")
    (clip,) = open_store(tmp_path / "store").clips
    assert (clip.body, clip.gender) == ("open-smplh", "male")


def test_what_is_odd_about_the_files_is_told(tmp_path):
    data = tree(tmp_path / "AMASS", {"CMU": 4})
    names = sorted((data / "CMU" / "s0").glob("*.npz"))
    np.savez(names[0], **{**np.load(names[0]), "gender": np.array(3)})
    np.savez(names[1], **{**np.load(names[1]), "poses": 60 + np.rad2deg(np.load(names[1])["poses"])})
    outcome = prepare([data], tmp_path / "store")
    assert outcome.clips == 4
    assert {row["first"].rpartition("/")[2] for row in outcome.warned if not row["trusted"]} == {"clip_0", "clip_1"}
    assert any("'3'" in row["what"] for row in outcome.warned)
    assert any("degrees" in row["what"] for row in outcome.warned)


def test_a_wrong_rate_of_a_recording_is_told(tmp_path):
    source, data = shared_data("cmu-more"), tmp_path / "cmu"
    data.mkdir()
    for name in ("16.asf", "16_01.amc"):
        shutil.copy(source / name, data)
    assert prepare([data], tmp_path / "store").warned == ()
    (row,) = prepare([data], tmp_path / "fast", source_fps=240).warned
    assert "probably 120, not 240" in row["what"] and "--source-fps 120" in row["hint"]
