"""`vitruve bench convert` answers with a table and leaves a run folder."""

import functools
import json
import os
import tomllib

from tests.command import run_command
from tests.report.test_blocks import Checker
from vitruve.cli.bench import bench_clip
from vitruve.convert import bench

run = functools.partial(run_command, "bench", "convert")


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench, "has_peer", lambda: False)
    few = ("--from", "open-smplh-neutral", "--to", "open-smplx-neutral", "--frames", "5", "--rounds", "1")
    out = tmp_path / "out"
    assert run(*few, "--threads", "1", "--out", out, "--dry-run") == 0
    assert str(out) in capsys.readouterr().out and os.listdir(tmp_path) == []
    assert run(*few, "--threads", "1", "--out", out) == 0
    text = capsys.readouterr().out
    assert "pip install smplfitter numba" in text and "as published, not measured here" in text
    assert sorted(os.listdir(out)) == ["report.html", "results.json", "run.toml"]
    (row,) = json.loads((out / "results.json").read_text())["rows"]
    assert row["frames"] == 5 and row["error_mm"]["mean"] < 5 and row["memory_mb"] > 0
    record = tomllib.loads((out / "run.toml").read_text())
    assert record["command"] == "vitruve bench convert" and record["options"]["frames"] == 5 and record["seconds"] > 1
    html = Checker((out / "report.html").read_text())
    assert html.tags.count("svg") == 2 * 3 and f"{row['error_mm']['mean']:.4g}" in html.texts
    assert run(*few, "--out", out) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_a_body_that_is_not_there(capsys):
    assert run("--from", "smplh-mael") == 2
    assert "smplh-male" in capsys.readouterr().err


def test_the_clip_is_as_long_as_asked_and_has_no_jump():
    clip = bench_clip(5000)
    assert len(clip) == 5000 and clip.fps == 120
    step = clip.translation.diff(dim=0).norm(dim=-1)
    assert step.max() < 0.05
    turned = (clip.rotations[1:] - clip.rotations[:-1]).flatten(1).abs().amax()
    assert turned < 0.3
