"""Labels come from tables, from names and from BABEL's files, and windows carry them frame by frame."""

import json
import shutil

import pytest
import torch

from tests.amass.amass import arrays, write
from tests.data.window_stores import window_store
from vitruve.data import open_store
from vitruve.data.labels import Label, add_labels, find_labels, label_figures, read_labels
from vitruve.data.prepare import prepare
from vitruve.data.windows import make_windows
from vitruve.errors import BadData, MissingAsset, UsageError

CSV = """clip,start,end,style,action
CMU/01/a,,,calm,walk
CMU/01/a,0.5,1,,"turn, left"
KIT/*,,,angry,
SFU/2/d_poses.npz,0,0.5,,sit
CMU/99/nothing,,,calm,walk
"""


@pytest.fixture
def store(tmp_path):
    return window_store(tmp_path)


def test_a_table_names_clips_by_key_by_pattern_and_by_path(store, tmp_path):
    (tmp_path / "labels.csv").write_text(CSV)
    labels, unknown = find_labels(store, str(tmp_path / "labels.csv"))
    assert unknown == ["CMU/99/nothing"]
    assert labels == [
        Label("CMU/01/a", "action", "walk"),
        Label("CMU/01/a", "action", "turn, left", 0.5, 1.0),
        Label("CMU/01/a", "style", "calm"),
        Label("KIT/3/c", "style", "angry"),
        Label("SFU/2/d", "action", "sit", 0.0, 0.5),
    ]
    rows = [{"clip": "CMU/01/a", "style": "calm", "action": "walk"}]
    (tmp_path / "labels.json").write_text(json.dumps(rows))
    assert find_labels(store, str(tmp_path / "labels.json"))[0] == [labels[0], labels[2]]


def test_what_is_added_is_kept_once(store, tmp_path):
    (tmp_path / "labels.csv").write_text(CSV)
    labels, _ = find_labels(store, str(tmp_path / "labels.csv"))
    assert add_labels(store, labels[:3]) == 3 and add_labels(store, labels) == 5 == add_labels(store, reversed(labels))
    assert read_labels(open_store(store.path)) == labels
    # The store's own file is a label file, too.
    assert find_labels(store, str(store.path / "labels.jsonl"))[0] == labels
    figures = label_figures(store)
    assert {kind: list(rows) for kind, rows in figures.items()} == {
        "action": ["sit", "turn, left", "walk"],
        "style": ["angry", "calm"],
    }
    assert figures["action"]["sit"] == {"clips": 1, "hours": pytest.approx(0.5 / 3600)}
    assert figures["style"]["angry"]["hours"] == pytest.approx(1.51 / 3600)
    assert add_labels(store, labels[:1], overwrite=True) == 1
    with pytest.raises(UsageError, match="CMU/01/x"):
        add_labels(store, [Label("CMU/01/x", "style", "calm")])


def test_labels_of_a_clip_that_is_gone_do_no_harm(store):
    add_labels(store, [Label("KIT/3/c", "style", "calm"), Label("CMU/01/a", "style", "calm")])
    shutil.rmtree(store.path / "KIT")
    left = open_store(store.path)
    assert label_figures(left)["style"]["calm"]["clips"] == 1
    assert add_labels(left, [Label("CMU/01/b", "style", "calm")]) == 3
    assert make_windows(left, 8, 30, labels=["style"]).classes == {"style": ("calm",)}


def test_names_of_files_tell(tmp_path):
    names = ("dataset-2_walk-turn-left_active_003", "dataset-1_bow_normal_001", "Angry_FW", "Angry_TR2", "free_01")
    for number, name in enumerate(names):
        write(tmp_path / "lab" / "x" / f"{name}.npz", **arrays(frames=10, seed=number))
    prepare([tmp_path / "lab"], tmp_path / "store")
    store = open_store(tmp_path / "store")

    def told(rule):
        return {(label.clip.rpartition("/")[2], label.kind, label.label) for label in find_labels(store, rule)[0]}

    assert told("bandai-namco") == {
        (names[0], "action", "walk-turn-left"), (names[0], "style", "active"),
        (names[1], "action", "bow"), (names[1], "style", "normal"),
    }  # fmt: skip
    assert told("100style") == {
        ("Angry_FW", "action", "walk"), ("Angry_FW", "style", "Angry"),
        ("Angry_TR2", "action", "transition"), ("Angry_TR2", "style", "Angry"),
    }  # fmt: skip
    with pytest.raises(UsageError, match="100stile"):
        find_labels(store, "100stile")


def test_babel_is_read_as_it_is(store, tmp_path):
    entry = {
        "feat_p": "CMU/CMU/01/a_poses.npz",
        "seq_ann": {"labels": [{"raw_label": "he walks", "act_cat": ["walk"]}]},
        "frame_ann": {"labels": [{"raw_label": "turns", "act_cat": ["turn", "step"], "start_t": 0.2, "end_t": 0.9}]},
    }
    # Another set's clip of the same folder and name is not this store's.
    other = {"feat_p": "ACCAD/ACCAD/3/c_poses.npz", "seq_ann": {"labels": [{"raw_label": "x"}]}, "frame_ann": None}
    (tmp_path / "babel.json").write_text(json.dumps({"1": entry, "2": other}))
    labels, unknown = find_labels(store, str(tmp_path / "babel.json"))
    assert set(labels) == {
        Label("CMU/01/a", "text", "he walks"), Label("CMU/01/a", "action", "walk"),
        Label("CMU/01/a", "text", "turns", 0.2, 0.9), Label("CMU/01/a", "action", "turn", 0.2, 0.9),
        Label("CMU/01/a", "action", "step", 0.2, 0.9),
    }  # fmt: skip
    assert unknown == ["ACCAD/ACCAD/3/c_poses.npz"]


def test_windows_carry_labels_frame_by_frame_and_the_shorter_one_counts(store, tmp_path):
    (tmp_path / "labels.csv").write_text(CSV)
    add_labels(store, find_labels(store, str(tmp_path / "labels.csv"))[0])
    windows = make_windows(store, 20, 20, hop=10, labels=["style", "action"])
    assert windows.classes == {"style": ("angry", "calm"), "action": ("sit", "turn, left", "walk")}
    batch = windows.fetch(range(len(windows)))
    first = next(row for row in range(len(windows)) if windows.locate(row)[0].key == "CMU/01/a")
    assert windows.locate(first)[1:] == (0.0, 1.0)
    assert batch["action"][first].tolist() == [2] * 10 + [1] * 10 and (batch["style"][first] == 1).all()
    assert batch["action"].dtype == torch.int64
    assert {label.label for label in windows.labels_of(first)} == {"calm", "walk", "turn, left"}
    short = next(row for row in range(len(windows)) if windows.locate(row)[0].key == "own/someone/talk")
    assert (batch["style"][short] == -1).all() and windows.labels_of(short) == []
    # The numbers are the same for any part of the store.
    part = make_windows(store, 20, 20, labels=["style"], clips=["CMU/01/a"])
    assert part.classes["style"] == ("angry", "calm")
    given = make_windows(store, 20, 20, labels=[Label("CMU/01/a", "mood", "fine")])
    assert given.classes == {"mood": ("fine",)}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "name,style\nx,y\n"),
        ("a.csv", "clip,start,end,style\nCMU/01/a,2,1,calm\n"),
        ("a.csv", "clip,start,style\nCMU/01/a,soon,calm\n"),
        ("a.json", "{"),
        ("a.json", '[{"clip": ""}]'),
        ("a.json", '{"1": {"seq_ann": {"labels": [{}]}}}'),
        ("a.jsonl", "[1]\n"),
    ],
)
def test_a_wrong_label_file_is_named(store, tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadData) as caught:
        find_labels(store, str(tmp_path / name))
    assert name in caught.value.where


def test_other_errors(store, tmp_path):
    with pytest.raises(MissingAsset):
        find_labels(store, str(tmp_path / "none.csv"))
    (tmp_path / "a.csv").write_text("clip,style\nXYZ/1/b,calm\n")
    with pytest.raises(UsageError, match="no label for any clip"):
        find_labels(store, str(tmp_path / "a.csv"))
    (store.path / "labels.jsonl").write_text("{")
    with pytest.raises(BadData, match="labels"):
        read_labels(store)
