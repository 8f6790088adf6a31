"""Splits: every clip in one part at most, subjects together, published ones with what they lack."""

import json
import shutil
from dataclasses import replace

import pytest

from tests.amass.amass import tree, write
from vitruve.data import open_store
from vitruve.data.prepare import prepare
from vitruve.data.splits import (
    divide,
    leaks,
    notes_on,
    parse_fractions,
    read_split,
    split_by_hash,
    split_by_lists,
    split_by_name,
    split_by_subject,
    subject_of,
    table,
    write_split,
)
from vitruve.errors import BadData, MissingAsset, UsageError


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    room = tmp_path_factory.mktemp("partition")
    tree(room / "AMASS", {"CMU": 40, "KIT": 20, "SFU": 4, "BML": 2}, frames=5)
    prepare([room / "AMASS"], room / "store")
    return open_store(room / "store")


@pytest.mark.parametrize("by", ["subject", "hash"])
def test_every_clip_is_in_one_part(store, by):
    parts = divide(store.clips, by)
    keys = [clip.key for clips in parts.values() for clip in clips]
    assert sorted(keys) == sorted(clip.key for clip in store.clips) and list(parts) == ["train", "val", "test"]
    share = sum(clip.frames for clip in parts["train"]) / len(store)
    assert 0.65 < share < 0.95 and all(parts.values())
    assert divide(store.clips, by) == parts != divide(store.clips, by, seed=1)


def test_subjects_stay_together(store):
    parts = split_by_subject(store.clips)
    found = [{subject_of(clip) for clip in clips} for clips in parts.values()]
    assert not found[0] & found[1] and not found[0] & found[2] and not found[1] & found[2]
    assert not leaks(parts)
    shares = [sum(clip.frames for clip in clips) / len(store) for clips in parts.values()]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.04)


def test_few_subjects_leave_no_part_empty(store):
    three = [clip for clip in store.clips if clip.set == "CMU" and clip.subject in ("s0", "s1", "s2")]
    for seed in range(5):
        assert all(len(clips) == 2 for clips in split_by_subject(three, seed=seed).values())


def test_fractions_below_one_leave_the_rest_out(store):
    parts = split_by_subject(store.clips, {"a": 0.3, "b": 0.2})
    shares = [sum(clip.frames for clip in clips) / len(store) for clips in parts.values()]
    assert shares == pytest.approx([0.3, 0.2], abs=0.05)


def test_a_clip_keeps_its_part_when_others_come(store):
    some = split_by_hash(store.clips[::2])
    all_of_them = split_by_hash(store.clips)
    for part, clips in some.items():
        assert set(clips) <= set(all_of_them[part])


def test_leaks_are_found_by_subject_and_by_content(store):
    clips = store.clips
    first = clips[0]
    second = next(clip for clip in clips[1:] if subject_of(clip) == subject_of(first))
    found = leaks({"a": [first], "b": [second]})
    assert [(leak.what, leak.parts) for leak in found] == [("subject", ("a", "b"))]
    other = next(clip for clip in clips if clip.set != first.set)
    found = leaks({"a": [first], "b": [replace(other, content=first.content)]})
    assert [leak.what for leak in found] == ["motion"]


def test_a_published_split_says_what_it_lacks(store):
    with pytest.raises(MissingAsset, match="vposer-v1") as caught:
        split_by_name(store.clips, "vposer-v1")
    assert "TotalCapture" in caught.value.where and "HumanEva" in caught.value.where
    assert "'BML' is probably BMLrub" in caught.value.fix
    parts = split_by_name(store.clips, "vposer-v1", allow_missing=True)
    assert {clip.set for clip in parts["train"]} == {"CMU", "KIT"} and {clip.set for clip in parts["val"]} == {"SFU"}
    header, rows = table(parts, "vposer-v1")
    assert header[-1] == "lacks" and "BMLrub" in rows[0][-1] and "CMU" not in rows[0][-1]
    with pytest.raises(UsageError, match="the part 'test' of the split is empty"):
        write_split(parts, "never-written.json")
    with pytest.raises(UsageError, match="vposer-v1"):
        divide(store.clips, "vposer-v11")


def test_what_a_published_split_infers_stands_in_its_file(store, tmp_path):
    notes = notes_on(store.clips, "vposer-v1")
    assert any(line.startswith("inferred: ") for line in notes)
    parts = {"train": store.clips[:2], "val": store.clips[2:]}
    write_split(parts, tmp_path / "s.json", how="vposer-v1", notes=notes)
    assert json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))["notes"] == notes
    assert set(read_split(tmp_path / "s.json")) == {"train", "val"}


def test_a_split_file_is_the_same_each_time_and_read_back(store, tmp_path):
    parts = split_by_subject(store.clips)
    write_split(parts, tmp_path / "a.json", how="subject")
    write_split(split_by_subject(list(reversed(store.clips))), tmp_path / "b.json", how="subject")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    rows = store.sample(f"{tmp_path / 'a.json'}:val")
    which, _ = store.locate(rows)
    assert {store.clips[i].key for i in which} == {clip.key for clip in parts["val"]}
    with pytest.raises(UsageError, match="exists"):
        write_split(parts, tmp_path / "a.json")


def test_lists_of_files_name_clips_by_key_or_path(store, tmp_path):
    file = tmp_path / "lists.toml"
    file.write_text('[parts]\ntrain = ["CMU/s0/clip_0", "CMU/s1/clip_2_poses.npz"]\ntest = ["KIT/s3/clip_6_poses"]\n')
    parts = split_by_lists(store.clips, file)
    assert {part: [clip.key for clip in clips] for part, clips in parts.items()} == {
        "train": ["CMU/s0/clip_0", "CMU/s1/clip_2"],
        "test": ["KIT/s3/clip_6"],
    }
    file.write_text('[parts]\ntrain = ["CMU/s0/clip_99"]\n')
    with pytest.raises(UsageError, match="clip_99"):
        split_by_lists(store.clips, file)
    file.write_text('[parts]\ntrain = ["clip_0_poses.npz"]\n')
    with pytest.raises(UsageError, match="names 4 clips"):
        split_by_lists(store.clips, file)


def test_bad_split_files_are_named(store, tmp_path):
    with pytest.raises(MissingAsset, match=r"none\.json"):
        store.sample(f"{tmp_path / 'none.json'}:train")
    (tmp_path / "bad.json").write_text("[1, 2")
    with pytest.raises(BadData, match="cannot be read"):
        read_split(tmp_path / "bad.json")
    (tmp_path / "s.json").write_text(json.dumps({"parts": {"train": ["CMU/s0/clip_0", "gone/1"]}}))
    with pytest.raises(UsageError, match="1 of 2 clips of the split are not in the store"):
        store.sample(f"{tmp_path / 's.json'}:train")
    with pytest.raises(UsageError, match="no part 'trian'") as caught:
        store.sample(f"{tmp_path / 's.json'}:trian")
    assert "train" in caught.value.fix
    with pytest.raises(UsageError, match="not a part of a split"):
        store.sample("train")


@pytest.mark.parametrize("text", ["train", "train=0.9,test=0.9", "train=-1", "train=x", "", "train=nan", "a=0.2,a=0.5"])
def test_fractions_that_are_none_are_refused(text):
    with pytest.raises(UsageError):
        parse_fractions(text)


def test_a_clip_copied_under_another_subject_leaks_nowhere_since_it_is_taken_once(tmp_path):
    path = write(tmp_path / "CMU" / "01" / "a_poses.npz")
    (tmp_path / "CMU" / "02").mkdir()
    shutil.copy(path, tmp_path / "CMU" / "02" / "b_poses.npz")
    assert prepare([tmp_path / "CMU"], tmp_path / "store").clips == 1


def test_lists_lose_no_empty_part_and_name_no_clip_twice(store, tmp_path):
    first, second = store.clips[0].key, store.clips[1].key
    (tmp_path / "list.json").write_text(json.dumps({"parts": {"train": [first, first], "test": [second], "val": []}}))
    parts = divide(store.clips, str(tmp_path / "list.json"))
    assert [clip.key for clip in parts["train"]] == [first] and parts["val"] == []
    with pytest.raises(UsageError, match="'val' of the split is empty"):
        write_split(parts, tmp_path / "out.json")
    (tmp_path / "list.json").write_text(json.dumps({"parts": {"train": first}}))
    with pytest.raises(BadData) as caught:
        divide(store.clips, str(tmp_path / "list.json"))
    assert "'train' is not a list" in caught.value.where
