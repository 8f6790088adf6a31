"""The figures about a store add up, and what is odd in its clips is found."""

import json

import numpy as np
import pytest

from tests.amass.amass import arrays, tree, write
from vitruve.data import open_store
from vitruve.data.fields import add_field
from vitruve.data.labels import Label, add_labels
from vitruve.data.prepare import prepare
from vitruve.data.show import is_non_commercial, store_figures
from vitruve.motion.finding import Finding
from vitruve.report.data_page import data_page, licence_rows, set_rows


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    room = tmp_path_factory.mktemp("show")
    tree(room / "AMASS", {"CMU": 3, "KIT": 2}, frames=30)
    members = arrays(frames=30, seed=99)
    members["poses"][3] = np.nan
    write(room / "AMASS" / "CMU" / "s7" / "odd_poses.npz", **members)
    write(room / "lab" / "x" / "slow.npz", frames=60, seed=100, mocap_framerate=np.array(30.0))
    prepare([room / "AMASS"], room / "store")
    prepare([room / "lab"], room / "store", licence="CC0")
    return open_store(room / "store")


def test_counts_add_up(store):
    figures = store_figures(store, inspect=0)
    assert figures["frames"] == len(store) == sum(values["frames"] for values in figures["sets"].values())
    assert figures["clips"] == 7 and figures["sets"]["CMU"]["subjects"] == 3 and figures["masked_frames"] == 1
    assert figures["hours"] == pytest.approx(sum(clip.frames / clip.fps for clip in store.clips) / 3600)
    assert sum(figures["hours_by_fps"].values()) == pytest.approx(figures["hours"])
    assert sum(figures["seconds_histogram"]["clips"]) == 7
    assert figures["sets"]["CMU"]["non_commercial"] and not figures["sets"]["lab"]["non_commercial"]
    assert len(figures["turns_deg"]) == 21 and figures["clips_looked_through"] == 0
    assert len(set_rows(figures)) == 4
    json.dumps(figures, allow_nan=False)


def test_what_is_odd_is_found_and_counted_by_clips(store):
    figures = store_figures(store, inspect=100)
    assert figures["clips_looked_through"] == 7
    masked = [row for row in figures["findings"] if "masked" in row["what"]]
    assert [(row["clips"], row["first"]) for row in masked] == [(1, "CMU/s7/odd")]


def test_the_page_says_it(store):
    text = data_page(store_figures(store, inspect=3))
    assert "in 7 clips of 5 subjects" in text
    for words in ("CMU", "KIT", "30 fps", "3 clips, spread evenly", "Not for commercial use", "left_knee"):
        assert words in text


@pytest.mark.parametrize(
    ("licence", "barred"),
    [
        ("CC BY-NC 4.0", True),
        ("non-commercial research", True),
        ("", True),
        ("CC0", False),
        ("free for all uses", False),
    ],
)
def test_licences_are_taken_at_their_word_and_silence_is_no_permission(licence, barred):
    assert is_non_commercial(licence) is barred


@pytest.mark.parametrize("fps", [1e-6, 0.5, 30.0, 1e5])
def test_clips_of_any_length_have_a_histogram(tmp_path, fps):
    write(tmp_path / "lab" / "x" / "clip.npz", frames=5, seed=1, mocap_framerate=np.array(fps))
    prepare([tmp_path / "lab"], tmp_path / "store")
    bins = store_figures(open_store(tmp_path / "store"), inspect=0)["seconds_histogram"]
    assert sum(bins["clips"]) == 1 and len(bins["clips"]) <= 51
    assert bins["bin_s"] * len(bins["clips"]) > 5 / fps
    assert "1 clip of 1 subject:" in data_page(store_figures(open_store(tmp_path / "store"), inspect=0))


def test_licences_stand_once_with_their_sets(store):
    rows = licence_rows(store_figures(store, inspect=0))
    assert [sets for line, sets in rows if "AMASS" in line] == ["CMU, KIT"]
    assert ("CC0", "lab") in rows and len(rows) == 2


def test_one_jump_and_several_are_the_same_finding(store, monkeypatch):
    jumps = iter(["once", "2 times", "7 times", "once", "2 times", "once", "once"])
    found = lambda motion: [Finding("warning", f"rotations jump {next(jumps)}", "", "")]  # noqa: E731
    monkeypatch.setattr("vitruve.data.show.inspect_motion", found)
    assert [row["clips"] for row in store_figures(store)["findings"]] == [7]


def test_labels_and_added_fields_are_counted(store):
    from vitruve.report.data_page import field_rows, label_rows

    plain = store_figures(store, inspect=0)
    assert plain["labels"] == {} == plain["fields"] and "Added fields" not in data_page(plain)
    words = [Label(clip.key, "text", f"take {number}") for number, clip in enumerate(store.clips)]
    try:
        add_labels(store, [*words, *(Label(store.clips[0].key, "text", f"word {i}", 0.0, 0.1) for i in range(20))])
        add_field(store, "twos", lambda clip: np.full((clip.frames, 2), 2.0))
        figures = store_figures(open_store(store.path), inspect=0)
    finally:
        (store.path / "labels.jsonl").unlink()
    assert figures["labels"]["text"]["take 3"] == {"clips": 1, "hours": store.clips[3].seconds / 3600}
    assert len(label_rows(figures["labels"])) == 21 and label_rows(figures["labels"])[-1][1] == "and 7 more"
    assert field_rows(figures) == [("twos", "[2]", "float32", "linear", f"{len(store)} of {len(store)}")]
    text = data_page(figures)
    assert "take 3" in text and "twos" in text
    json.dumps(figures, allow_nan=False)
