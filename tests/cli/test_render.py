"""`vitruve render` as a user calls it."""

import dataclasses
import functools

import numpy as np
import pytest
import torch
from PIL import Image

import vitruve
from tests.command import run_command
from vitruve.draw.video import VideoSource
from vitruve.formats.readers.mesh_sequence import write_mesh_sequence
from vitruve.motion.clips import bundled_clip_path

SMALL = ("--size", "96x64", "--body", "open-smplh")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    motion = vitruve.load_motion(bundled_clip_path())[90:102]
    return str(vitruve.save_motion(motion, tmp_path_factory.mktemp("clip") / "clip.npz"))


run = functools.partial(run_command, "render")


def test_a_film(clip, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("vitruve.runs.progress._SOON", 0.0)
    out = tmp_path / "new folder" / "a.mp4"
    assert run(clip, "-o", out, *SMALL, "--numbers", "--frames", "0:6") == 0
    video = VideoSource(out)
    assert video.size == (96, 64) and len(video.times()) == 6
    printed = capsys.readouterr()
    assert "6 frames, 96x64, 30 fps" in printed.out and "drawing: 6/6 frames" in printed.err


def test_a_strip_and_one_frame_and_a_gif(clip, tmp_path):
    assert run(clip, "-o", tmp_path / "strip.png", *SMALL, "--strip", 3, "--quiet") == 0
    assert Image.open(tmp_path / "strip.png").size == (3 * 96, 64 + 28)
    assert (
        run(clip, clip, "-o", tmp_path / "one.png", *SMALL, "--frame", 5, "--layout", "side", "--heat", "--joints") == 0
    )
    assert Image.open(tmp_path / "one.png").size == (96, 64)
    assert run(clip, "-o", tmp_path / "a.gif", *SMALL, "--fps", 10, "--quiet") == 0
    with Image.open(tmp_path / "a.gif") as image:
        image.seek(3)
        with pytest.raises(EOFError):
            image.seek(4)


def test_what_is_reported_of_a_fast_gif_is_what_is_written(clip, tmp_path, capsys):
    assert run(clip, "-o", tmp_path / "a.gif", *SMALL, "--fps", 60) == 0
    assert "12 frames, 96x64, 30 fps, 0.4 s; 12 drawn" in capsys.readouterr().out
    with Image.open(tmp_path / "a.gif") as image:
        image.seek(11)
        with pytest.raises(EOFError):
            image.seek(12)


@pytest.mark.parametrize("more", [("--strip", 3), ("--frames", "0:5")])
def test_one_frame_and_several_exclude_each_other(clip, tmp_path, capsys, more):
    assert run(clip, "-o", tmp_path / "a.png", *SMALL, "--frame", 3, *more) == 2
    assert "one frame and several" in capsys.readouterr().err and not (tmp_path / "a.png").exists()


def test_a_plain_tree(clip, tmp_path):
    motion = vitruve.load_motion(clip)
    rest = vitruve.load_body("open-smplh").shaped(motion.betas).rest_joints
    plain = motion.replace(body="", betas=motion.betas[:0], skeleton=dataclasses.replace(motion.skeleton, rest=rest))
    vitruve.save_motion(plain, tmp_path / "a.bvh")
    assert (
        run(tmp_path / "a.bvh", "-o", tmp_path / "a.png", "--size", "96x64", "--frame", 0, "--no-grid", "--quiet") == 0
    )
    picture = np.asarray(Image.open(tmp_path / "a.png")).astype(int)
    assert (picture[..., 2] - picture[..., 0]).max() > 60


def test_a_dry_run_writes_nothing(clip, tmp_path, capsys):
    for name in ("a.mp4", "a.png"):
        assert run(clip, "-o", tmp_path / name, *SMALL, "--dry-run") == 0
    printed = capsys.readouterr().out
    assert "12 frames, 96x64, 30 fps" in printed and "nothing was written" in printed and "open-smplh" in printed
    assert not list(tmp_path.iterdir())


def test_gaps_are_reported(clip, tmp_path, capsys):
    motion = vitruve.load_motion(clip)
    path = motion.replace(mask=torch.arange(12) != 7).save(tmp_path / "gap.safetensors")
    assert run(path, "-o", tmp_path / "a.png", *SMALL, "--strip", 2) == 0
    assert "1 of 12 frames have no data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "printed"),
    [
        (["none.npz", "-o", "a.mp4"], 3, "none.npz"),
        (["CLIP", "-o", "a.avi"], 2, ".mp4"),
        (["CLIP", "-o", "a.mp4", "--size", "95x64"], 2, "even"),
        (["CLIP", "-o", "a.mp4", "--size", "big"], 2, "--size 1280x720"),
        (["CLIP", "-o", "a.mp4", "--camera", "frnt"], 2, "front"),
        (["CLIP", "-o", "a.mp4", "--camera", "lens.toml"], 2, "--over VIDEO"),
        (["CLIP", "-o", "a.mp4", "--frames", "90:99"], 2, "--frames"),
        (["CLIP", "-o", "a.png", "--frame", "12"], 2, "there are 12"),
        (["CLIP", "-o", "a.mp4", "--heat"], 2, "two motions"),
        (["CLIP", "-o", "a.mp4", "--strip", "4"], 2, ".png"),
        (["CLIP", "-o", "a.mp4", "--body", "nobody"], 2, "--body"),
        (["CLIP", "-o", "a.mp4", "--body", "smplx-male"], 3, "smplx-male"),
        (["CLIP", "-o", "a.mp4", "--over", "none.mp4"], 2, "camera"),
        (["CLIP", "-o", "a.mp4", "--over", "none.mp4", "--camera", "none.toml"], 3, "none.toml"),
        (["CLIP", "-o", "CLIP/a.png"], 2, "cannot be written"),
    ],
)
def test_mistakes_are_reported_and_leave_nothing(clip, tmp_path, monkeypatch, capsys, arguments, code, printed):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    body = [] if "--body" in arguments else ["--body", "open-smplh"]
    assert run(*(word.replace("CLIP", clip) for word in arguments), *body) == code
    error = capsys.readouterr().err
    assert printed in error and "Traceback" not in error
    assert not list(tmp_path.iterdir())


def test_a_file_is_replaced_only_with_overwrite(clip, tmp_path, capsys):
    out = tmp_path / "a.png"
    out.write_text("mine")
    assert run(clip, "-o", out, *SMALL, "--frame", 0) == 2
    assert out.read_text() == "mine" and "--overwrite" in capsys.readouterr().err
    assert run(clip, "-o", out, *SMALL, "--frame", 0, "--overwrite", "--quiet") == 0
    assert Image.open(out).size == (96, 64)


@pytest.mark.parametrize("format", ["obj", "ply"])
def test_a_folder_of_meshes_is_drawn_like_its_motion(clip, tmp_path, capsys, format):
    body = vitruve.load_body("open-smplh")
    vertices = vitruve.load_motion(clip)[:3].vertices(body)
    write_mesh_sequence(vertices, body.faces, tmp_path / "scan", format=format, up="y")
    shown = (tmp_path / "scan", "--up", "y", "--size", "96x128")
    assert run(*shown, "-o", tmp_path / "meshes.png", "--frame", 1) == 0
    assert "30 fps was taken" in capsys.readouterr().err
    assert run(clip, "-o", tmp_path / "motion.png", "--body", "open-smplh", "--size", "96x128", "--frame", 1) == 0
    first, second = (np.asarray(Image.open(tmp_path / f"{name}.png")).astype(int) for name in ("meshes", "motion"))
    # They face the same way and fill the picture alike: only the ground, told from other frames, may differ a little.
    assert np.abs(first - second).mean() < 6 and np.ptp(first) > 60
    both = (clip, *shown, "--body", "open-smplh", "--heat", "--layout", "side", "--source-fps", 30)
    assert run(*both, "-o", tmp_path / "film.mp4", "--quiet") == 0
