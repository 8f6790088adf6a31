"""The demo, end to end with few frames: what it writes reads back, and it replaces nothing unasked."""

import json
import os
import tomllib

import pytest
import torch
from PIL import Image

import vitruve
from vitruve.cli import main
from vitruve.cli.demo import measure
from vitruve.motion.clips import bundled_clip_path


def run(*arguments):
    with pytest.raises(SystemExit) as done:
        main(list(arguments))
    return done.value.code


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    assert run("demo", "--out", str(out), "--frames", "2", "--quiet") == 0
    return out


def test_folder_is_complete(folder):
    assert sorted(os.listdir(folder)) == ["motion.npz", "report.html", "results.json", "run.toml", "strip.png"]
    assert os.listdir(folder.parent) == ["out"]


def test_motion_is_the_clip(folder):
    clip, copy = vitruve.load_motion(bundled_clip_path()), vitruve.load_motion(folder / "motion.npz")
    assert (len(copy), copy.fps, copy.gender) == (len(clip), clip.fps, clip.gender)
    torch.testing.assert_close(copy.rotations, clip.rotations)
    torch.testing.assert_close(copy.translation, clip.translation)


def test_numbers_are_those_of_a_person_who_walks(folder):
    results = json.loads((folder / "results.json").read_text())
    assert 1.4 < results["height_m"] < 2.1
    assert 2 < results["walked_m"] < 30
    assert abs(results["lowest_point_m"]) < 0.05
    assert 0.5 < results["standing_share"] <= 1
    assert results["joints_frames_per_s"] > results["vertices_frames_per_s"] > 0


def test_strip_has_a_cell_per_frame_asked_for(folder):
    with Image.open(folder / "strip.png") as image:
        assert image.height == 480 and image.width % 2 == 0


def test_report_shows_the_strip_and_what_comes_next(folder):
    html = (folder / "report.html").read_text()
    assert 'src="data:image/png;base64,' in html and "<script" not in html
    assert "vitruve info YOUR_FILE" in html and "CC0" in html


def test_run_file_says_what_was_asked_for(folder):
    record = tomllib.loads((folder / "run.toml").read_text())
    assert record["command"] == "vitruve demo" and record["options"]["frames"] == 2
    assert record["notes"]["body"].startswith("open-smplh-")
    assert list(record["inputs"]) == [str(bundled_clip_path())]


def test_an_earlier_demo_is_kept(folder, capsys):
    before = (folder / "run.toml").read_bytes()
    assert run("demo", "--out", str(folder), "--frames", "2") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (folder / "run.toml").read_bytes() == before


@pytest.mark.parametrize("frames", ["0", "33", "many"])
def test_impossible_frames_are_refused(frames, tmp_path, capsys):
    assert run("demo", "--out", str(tmp_path / "o"), "--frames", frames) not in (0, None)
    assert os.listdir(tmp_path) == []


def test_dry_run_names_the_files_and_writes_none(folder, tmp_path, capsys):
    assert run("demo", "--out", str(tmp_path / "o"), "--dry-run") == 0
    said = capsys.readouterr().out
    assert all(str(tmp_path / "o" / name) in said for name in os.listdir(folder))
    assert os.listdir(tmp_path) == []


def test_summary_says_where_and_what_next(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("demo", "--frames", "1") == 0
    out, err = capsys.readouterr()
    assert "vitruve-demo/report.html" in out and "vitruve info YOUR_FILE" in out
    assert "drawing: 1/1" in err


def test_distance_is_measured_along_the_way():
    body = vitruve.load_body("open-smplh-neutral")
    clip = vitruve.load_motion(bundled_clip_path())[:31]
    straight = torch.zeros_like(clip.translation)
    straight[:, 0] = torch.linspace(0, 2, 31)
    assert measure(clip.replace(translation=straight), body)["walked_m"] == pytest.approx(2, rel=0.05)
