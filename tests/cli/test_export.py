"""`vitruve export`: each format from the command line, what it prints, and how it fails."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest

import vitruve
from tests.command import run_command
from tests.formats.gltf_reader import Glb
from tests.material import small_motion


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "walk.npz"
    motion = small_motion("smplx", 9).replace(gender="neutral", betas=small_motion("smplx").betas[:4])
    vitruve.save_motion(motion, path)
    return path


run = functools.partial(run_command, "export")


OPEN = ("--body", "open-smplx")


def test_glb(walk, tmp_path, capsys):
    assert run(walk, "-o", tmp_path / "walk.glb", *OPEN, "--morphs", "4", "--frames", "2:8:2") == 0
    shown = capsys.readouterr()
    for printed in (
        "3 frames",
        "frames   3, 15 fps, 0.20 s",
        "y up, lengths in m",
        "open-smplx-neutral",
        "55 joints: pelvis",
    ):
        assert printed in shown.out
    assert "expression_000 to expression_003" in shown.out
    assert "mm from the body on average" in shown.out and "(3 frames measured)" in shown.out
    motion, body = vitruve.load_motion(walk), vitruve.load_body("open-smplx-neutral")
    pelvis = Glb(tmp_path / "walk.glb").joints(1 / 15)["pelvis"]
    assert np.abs(pelvis - motion.joints(body)[4, 0].numpy()[[0, 2, 1]] * (1, 1, -1)).max() < 1e-5


def test_one_frame_by_its_number(walk, tmp_path):
    assert run(walk, "-o", tmp_path / "walk.ply", *OPEN, "--frames", "3", "--quiet") == 0
    assert run(walk, "-o", tmp_path / "last.ply", *OPEN, "--frames=-1", "--quiet") == 0
    assert (tmp_path / "walk.ply").read_bytes()[:3] == b"ply"


def test_json_says_all_and_nothing_else_is_printed(walk, tmp_path, capsys):
    assert run(walk, "-o", tmp_path / "walk.glb", *OPEN, "--json", "--fps", "60") == 0
    shown = capsys.readouterr()
    printed = json.loads(shown.out)
    values = [printed[key] for key in ("frames", "fps", "up", "unit", "written")]
    assert values == [17, 60, "y", "m", True]
    assert printed["bytes"] == (tmp_path / "walk.glb").stat().st_size
    assert printed["difference"]["max_mm"] > 0 and len(printed["joints"]) == 55
    assert "resampled from 30 to 60 fps" in printed["notes"] and not shown.err


def test_a_dry_run_writes_nothing(walk, tmp_path, capsys):
    assert run(walk, "-o", tmp_path / "meshes", "--format", "obj", *OPEN, "--dry-run") == 0
    assert "would write" in capsys.readouterr().out
    assert not any(tmp_path.iterdir())


def test_quiet_prints_nothing(walk, tmp_path, capsys):
    assert run(walk, "-o", tmp_path / "walk.bvh", *OPEN, "--quiet") == 0
    assert capsys.readouterr().out == ""


def test_progress_and_a_folder_of_meshes(walk, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("vitruve.runs.progress._SOON", 0.0)
    assert run(walk, "-o", tmp_path / "meshes", "--format", "ply", *OPEN) == 0
    assert "writing: 9/9 frames" in capsys.readouterr().err
    assert len(list((tmp_path / "meshes").glob("*.ply"))) == 9


def test_the_add_on_needs_no_body(walk, tmp_path, capsys):
    assert run(walk, "-o", tmp_path / "walk.npz") == 0
    assert "\n  body" not in capsys.readouterr().out


def test_a_camera_is_cut_with_the_clip(walk, tmp_path):
    places = np.tile(np.eye(4), (9, 1, 1))
    places[:, 0, 3] = -np.arange(9)  # the camera moves along x by a metre a frame
    camera = {"intrinsics": [[500, 0, 320], [0, 500, 240], [0, 0, 1]], "size": [640, 480]}
    (tmp_path / "camera.json").write_text(json.dumps({**camera, "T_camera_world": places.tolist()}))
    options = (*OPEN, "--camera", tmp_path / "camera.json", "--frames", "2:8:2")
    assert run(walk, "-o", tmp_path / "walk.glb", *options) == 0
    glb = Glb(tmp_path / "walk.glb")
    node = next(i for i, entry in enumerate(glb.json["nodes"]) if "camera" in entry)
    for frame, x in enumerate([2, 4, 6]):
        assert np.allclose(glb.globals(frame / 15)[node, :3, 3], [x, 0, 0], atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "code", "printed"),
    [
        (("-o", "a.gbl"), 2, "did you mean '.glb'"),
        (("-o", "a.fbx"), 2, "docs/export.md"),
        (("-o", "a.glb", "--body", "open-smlpx"), 2, "did you mean 'open-smplx'"),
        (("-o", "a.glb", "--body", "smplx-male"), 3, "was not found"),
        (("-o", "a.glb", "--body", "open-smplh"), 2, "does not fit the body open-smplh-neutral"),
        (("-o", "a.glb", "--frames", "5:5"), 2, "no such frames"),
        (("-o", "a.glb", "--frames", "one"), 2, "does not say which"),
        (("-o", "a.glb", "--frames", "5:1:-1"), 2, "does not say which"),
        (("-o", "file/a.glb", *OPEN), 2, "cannot be written"),
        (("-o", "a.glb", *OPEN, "--camera", "no.toml"), 3, "there is no file no.toml"),
    ],
)
def test_errors(walk, tmp_path, monkeypatch, capsys, arguments, code, printed):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))  # no licensed bodies of the user
    monkeypatch.delenv("VITRUVE_BODIES", raising=False)
    (tmp_path / "file").write_text("")
    assert run(walk, *arguments) == code
    assert printed in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_without_a_frame_rate(tmp_path, capsys):
    motion = small_motion("smplx", 3)
    vitruve.save_motion(motion, tmp_path / "a", format="transfer")
    assert run(tmp_path / "a", "-o", tmp_path / "a.glb", *OPEN) == 4
    assert "--source-fps 30" in capsys.readouterr().err
    assert run(tmp_path / "a", "-o", tmp_path / "a.glb", *OPEN, "--source-fps", "25", "--json") == 0
    assert json.loads(capsys.readouterr().out)["fps"] == 25


def test_what_is_odd_and_what_is_left_out_is_reported(tmp_path, capsys):
    motion = small_motion("smplh", 9)
    vitruve.save_motion(motion, tmp_path / "a.npz")
    arrays = {**np.load(tmp_path / "a.npz"), "dmpls": np.ones((9, 8))}
    bare = {key: value for key, value in arrays.items() if key not in ("trans", "gender", "vitruve_body")}
    np.savez(tmp_path / "bare.npz", **bare)
    assert run(tmp_path / "bare.npz", "-o", tmp_path / "a.bvh", "--body", "open-smplh") == 0
    printed = capsys.readouterr().err
    for words in ("warning: NO TRANSLATION", "note: the file has no gender", "note: left out: soft tissue (dmpls)"):
        assert words in printed
    np.savez(tmp_path / "cm.npz", **{**arrays, "trans": 100 * arrays["trans"]})
    assert run(tmp_path / "cm.npz", "-o", tmp_path / "b.bvh", "--body", "open-smplh") == 5
    assert "DO NOT TRUST: the translation looks like centimetres" in capsys.readouterr().err
    assert run(tmp_path / "cm.npz", "-o", tmp_path / "c.bvh", "--body", "open-smplh", "--json") == 5
    told = json.loads(capsys.readouterr().out)
    assert any("left out" in note for note in told["notes"])
    assert any("centimetres" in row["what"] and not row["trusted"] for row in told["findings"])
