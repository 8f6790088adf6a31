"""`vitruve bench convert` answers with a table and writes its figures."""

import json

import pytest

from vitruve.cli import main
from vitruve.cli.bench import bench_clip
from vitruve.convert import bench


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench, "has_peer", lambda: False)
    pair = ("--from", "open-smplh-neutral", "--to", "open-smplx-neutral")
    file = tmp_path / "figures.json"
    with pytest.raises(SystemExit) as done:
        main(["bench", "convert", *pair, "--frames", "5", "--rounds", "1", "--threads", "1", "--json", str(file)])
    assert done.value.code == 0
    text = capsys.readouterr().out
    assert "pip install smplfitter numba" in text and "as published, not measured here" in text
    (row,) = json.loads(file.read_text())
    assert row["frames"] == 5 and row["error_mm"]["mean"] < 5 and row["memory_mb"] > 0


def test_a_body_that_is_not_there(capsys):
    with pytest.raises(SystemExit) as done:
        main(["bench", "convert", "--from", "smplh-mael"])
    assert done.value.code == 2
    assert "smplh-male" in capsys.readouterr().err


def test_the_clip_is_as_long_as_asked_and_has_no_jump():
    clip = bench_clip(5000)
    assert len(clip) == 5000 and clip.fps == 120
    step = clip.translation.diff(dim=0).norm(dim=-1)
    assert step.max() < 0.05
    turned = (clip.rotations[1:] - clip.rotations[:-1]).flatten(1).abs().amax()
    assert turned < 0.3
