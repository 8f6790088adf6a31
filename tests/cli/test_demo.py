"""The demo, end to end with few frames: what it writes reads back, and it replaces nothing unasked."""

import json
import os
import tomllib

import pytest
import torch
from PIL import Image

import vitruve
from tests.command import run_command
from vitruve.motion.clips import bundled_clip_path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    assert run_command("demo", "--out", str(out), "--frames", "2", "--quiet") == 0
    return out


def test_folder_is_complete(folder):
    expected = ["converted.npz", "overlay.png", "report.html", "results.json", "run.toml", "source.npz", "strip.png"]
    assert sorted(os.listdir(folder)) == expected
    assert os.listdir(folder.parent) == ["out"]


def test_the_source_is_the_clip_and_the_result_the_same_on_another_body(folder):
    clip, copy = vitruve.load_motion(bundled_clip_path()), vitruve.load_motion(folder / "source.npz")
    assert (len(copy), copy.fps, copy.gender) == (len(clip), clip.fps, clip.gender)
    torch.testing.assert_close(copy.rotations, clip.rotations)
    torch.testing.assert_close(copy.translation, clip.translation)
    result = vitruve.load_motion(folder / "converted.npz")
    assert (len(result), result.fps, result.skeleton.name) == (len(clip), clip.fps, "smplx55")
    before = clip.joints(vitruve.load_body("open-smplh-neutral"))[:, :22]
    after = result.joints(vitruve.load_body("open-smplx-neutral"))[:, :22]
    assert float((before - after).norm(dim=-1).mean()) < 0.005


def test_numbers_are_those_of_a_good_conversion(folder):
    results = json.loads((folder / "results.json").read_text())
    assert results["frames"] == 600 and results["trusted"] and not results["warnings"]
    assert results["error_mm"]["mean"] < 2 and results["error_mm"]["p95"] < 6 and results["jitter_mm"] < 0.1
    assert results["frames_per_second"] == pytest.approx(results["frames"] / results["seconds"])


def test_strip_has_a_cell_per_frame_requested(folder):
    with Image.open(folder / "strip.png") as image:
        assert image.height == 480 and image.width % 2 == 0


def test_report_shows_the_strip_and_what_comes_next(folder):
    html = (folder / "report.html").read_text()
    assert 'src="data:image/png;base64,' in html and "<script" not in html
    assert "vitruve convert YOUR_FILE" in html and "CC0" in html
    results = json.loads((folder / "results.json").read_text())
    assert f"{results['error_mm']['mean']:.2f} mm" in html and html.count('<svg class="plot wide"') == 4
    assert "Shape before and after" in html and "Where on the body the error is" in html


def test_run_file_says_what_was_requested(folder):
    record = tomllib.loads((folder / "run.toml").read_text())
    assert record["command"] == "vitruve demo" and record["options"]["frames"] == 2
    assert record["notes"] == {"source": "open-smplh-neutral", "target": "open-smplx-neutral"}
    assert list(record["inputs"]) == [str(bundled_clip_path())]


def test_an_earlier_demo_is_kept(folder, capsys):
    before = (folder / "run.toml").read_bytes()
    assert run_command("demo", "--out", str(folder), "--frames", "2") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (folder / "run.toml").read_bytes() == before


@pytest.mark.parametrize("frames", ["0", "33", "many"])
def test_impossible_frames_are_refused(frames, tmp_path, capsys):
    assert run_command("demo", "--out", str(tmp_path / "o"), "--frames", frames) not in (0, None)
    assert os.listdir(tmp_path) == []


def test_dry_run_names_the_files_and_writes_none(folder, tmp_path, capsys):
    assert run_command("demo", "--out", str(tmp_path / "o"), "--dry-run") == 0
    printed = capsys.readouterr().out
    assert all(str(tmp_path / "o" / name) in printed for name in os.listdir(folder))
    assert os.listdir(tmp_path) == []


def test_summary_says_where_and_what_next(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("vitruve.runs.progress._SOON", 0.0)
    monkeypatch.chdir(tmp_path)
    assert run_command("demo", "--frames", "1") == 0
    out, err = capsys.readouterr()
    assert "vitruve-demo/report.html" in out and "vitruve info YOUR_FILE" in out
    assert "drawing: 1/1" in err
