"""`vitruve compare`: what it prints and writes, its exit status, and calls that cannot be meant."""

import csv
import functools
import json
import tomllib

import numpy as np
import pytest
import torch

import vitruve
from tests.command import run_command
from tests.material import small_motion
from vitruve.formats.readers.mesh_sequence import write_mesh_sequence
from vitruve.motion import translate_world

BODY = ("--body-a", "open-smplh-neutral", "--body-b", "open-smplh-neutral")


run = functools.partial(run_command, "compare")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    motion = small_motion("smplh", 10).replace(gender="neutral", betas=torch.zeros(10))
    vitruve.save_motion(motion, folder / "a.npz")
    vitruve.save_motion(translate_world(motion, torch.tensor([0.0, 0.02, 0])), folder / "b.npz")
    (folder / "cut.npz").write_bytes((folder / "a.npz").read_bytes()[:900])
    tree = vitruve.load_skeleton("coco17")
    (folder / "not_a_motion.toml").write_text(f'name = "x"\nnames = ["{tree.names[0]}"]\n')
    return folder


@pytest.fixture(scope="module")
def written(clips, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "run"
    assert run(clips / "a.npz", clips / "b.npz", *BODY, "-o", out, "--quiet") == 0
    return out


def test_the_run_folder_is_complete(written, clips):
    assert {path.name for path in written.iterdir()} == {"results.json", "frames.csv", "report.html", "run.toml"}
    figures = json.loads((written / "results.json").read_text())
    assert figures["measure"] == "vertex_mm" and figures["vertex_mm"]["mean"] == pytest.approx(20, abs=1e-3)
    record = tomllib.loads((written / "run.toml").read_text())
    assert record["command"] == "vitruve compare" and record["options"]["align"] == "none"
    assert len(record["inputs"]) == 2 and record["notes"]["first"] == "open-smplh-neutral"
    with (written / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10 and all(float(row["joint_mm"]) == pytest.approx(20, abs=1e-3) for row in rows)


def test_the_page_holds_what_results_hold(written):
    html = (written / "report.html").read_text()
    assert html.count('src="data:image/png;base64,') == 2 and "<script" not in html
    for text in ("20.00 mm", "By part of the body", "Over time", "Where on the body", "CC0", "left_elbow"):
        assert text in html


def test_json_prints_and_writes_nothing(clips, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(clips / "a.npz", clips / "b.npz", *BODY, "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["joint_mm"]["mean"] == pytest.approx(20, abs=1e-3) and list(tmp_path.iterdir()) == []


def test_the_table_and_the_default_folder(clips, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = (clips / "a.npz", clips / "b.npz", *BODY)
    assert run(*arguments) == 0
    printed = capsys.readouterr().out
    for text in ("20.00 mm apart", "jitter", "torso", "vitruve-compare/report.html"):
        assert text in printed
    assert run(*arguments) == 2 and "--overwrite" in capsys.readouterr().err
    assert run(*arguments, "--overwrite", "--quiet") == 0 and capsys.readouterr().out == ""


def test_fail_above_sets_the_status(clips, capsys):
    arguments = (clips / "a.npz", clips / "b.npz", *BODY, "--json")
    assert run(*arguments, "--fail-above", "21") == 0
    assert run(*arguments, "--fail-above", "19") == 5
    assert "more than 19 mm" in capsys.readouterr().err
    assert run(*arguments, "--fail-above", "19", "--align", "root") == 0


def test_dry_run_writes_nothing(clips, tmp_path, capsys):
    assert run(clips / "a.npz", clips / "b.npz", *BODY, "-o", tmp_path / "x", "--dry-run") == 0
    printed = capsys.readouterr().out
    assert "10 frames" in printed and "x/results.json" in printed and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shift", ["-2", "2", "auto"])
def test_shifts_are_read(clips, shift, capsys):
    assert run(clips / "a.npz", clips / "b.npz", *BODY, "--json", "--shift", shift) == 0
    expected = 0 if shift == "auto" else int(shift)
    assert json.loads(capsys.readouterr().out)["shift_frames"] == expected


@pytest.mark.parametrize(
    "arguments, status, printed",
    [
        (("gone.npz", "{clips}/a.npz"), 3, "gone.npz"),
        (("{clips}/a.npz", "{clips}/cut.npz"), 4, "damaged"),
        (("{clips}/a.npz", "{clips}/not_a_motion.toml"), 4, "is a skeleton"),
        (("{clips}/a.npz", "{clips}/b.npz", "--body-a", "open-smplx"), 2, "not made on"),
        (("{clips}/a.npz", "{clips}/b.npz", "--body-a", "open-smply"), 2, "open-smplx"),
        (("{clips}/a.npz", "{clips}/b.npz", "--shift", "soon"), 2, "not a shift"),
        (("{clips}/a.npz", "{clips}/b.npz", "--shift", "99"), 4, "no time in common"),
        (("{clips}/a.npz", "{clips}/b.npz", "--mapping", "none-such"), 3, "unknown mapping"),
        (("{clips}/a.npz", "{clips}/b.npz", "-o", "{clips}"), 2, "not from a run"),
        (("{clips}/a.npz", "{clips}/b.npz", "-o", "{clips}/a.npz"), 2, "not a folder"),
    ],
)
def test_what_is_impossible(clips, tmp_path, monkeypatch, capsys, arguments, status, printed):
    monkeypatch.chdir(tmp_path)
    assert run(*(argument.format(clips=clips) for argument in arguments), "--quiet") == status
    err = capsys.readouterr().err
    assert printed in err and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_rate_that_a_file_does_not_say_is_given_and_the_other_keeps_its_own(clips, tmp_path, capsys):
    with np.load(clips / "a.npz") as file:
        np.savez(tmp_path / "silent.npz", **{key: file[key] for key in file if "rate" not in key and key != "fps"})
    pair = (tmp_path / "silent.npz", clips / "b.npz", *BODY, "--json", "--quiet")
    assert run(*pair) == 4
    assert "--source-fps 30" in capsys.readouterr().err
    assert run(*pair, "--source-fps", 60) == 0
    assert json.loads(capsys.readouterr().out)["fps"] == 30


def test_a_folder_of_meshes_is_compared_and_has_a_page(clips, tmp_path, capsys):
    body = vitruve.load_body("open-smplh-neutral")
    vertices = vitruve.load_motion(clips / "a.npz").vertices(body)
    for name, offset in (("scan", 0.0), ("moved", 0.003)):
        write_mesh_sequence(vertices + torch.tensor([0.0, 0.0, offset]), body.faces, tmp_path / name, up="y")
    out = tmp_path / "out"
    assert run(clips / "a.npz", tmp_path / "scan", *BODY[:2], "--up", "y", "-o", out, "--quiet") == 0
    figures = json.loads((out / "results.json").read_text())
    assert figures["vertex_mm"]["max"] < 0.01 and figures["second"]["name"] == "scan"
    assert figures["second"]["body"] == "open-smplh-neutral"
    html = (out / "report.html").read_text()
    assert html.count('src="data:image/png;base64,') == 2 and "on scan" in html
    assert run(tmp_path / "scan", tmp_path / "moved", "--up", "y", "--json") == 2
    assert "--source-fps" in capsys.readouterr().err
    assert run(tmp_path / "scan", tmp_path / "moved", "--up", "y", "--source-fps", 30, "--json", "--quiet") == 0
    assert json.loads(capsys.readouterr().out)["vertex_mm"]["mean"] == pytest.approx(3, abs=1e-2)
