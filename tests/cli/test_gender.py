"""`--gender` in every command: for files that do not say it; what a file says is kept, and a note says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.command import run_command
from tests.material import small_motion
from vitruve.data import open_store
from vitruve.formats import load_motion, save_motion

KEPT = "the file's own gender, female, is kept"


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """said.npz says that it is female; silent.npz says no gender and, as files of others, no body."""
    folder = tmp_path_factory.mktemp("clips")
    save_motion(small_motion("smplh", 30), folder / "said.npz")
    with np.load(folder / "said.npz") as file:
        np.savez(folder / "silent.npz", **{key: file[key] for key in file if key not in ("gender", "vitruve_body")})
    return folder


@pytest.fixture
def silent(clips: Path) -> Path:
    return clips / "silent.npz"


@pytest.fixture
def said(clips: Path) -> Path:
    return clips / "said.npz"


def test_info(silent: Path, said: Path, capsys):
    assert run_command("info", silent, said, "--gender", "male", "--json") == 0
    of_silent, of_said = json.loads(capsys.readouterr().out)
    assert (of_silent["gender"], of_said["gender"]) == ("male", "female")
    assert not any("gender" in finding["what"] for finding in of_silent["findings"])
    assert any(KEPT in finding["what"] for finding in of_said["findings"])


def test_convert(clips: Path, tmp_path: Path, capsys):
    arguments = (clips, "--from", "open-smplh", "--to", "open-smplx", "--points", 60, "--out", tmp_path / "out")
    assert run_command("convert", *arguments, "--gender", "male") in (0, 5)
    assert load_motion(tmp_path / "out" / "silent.npz").body_name == "open-smplx-male"
    assert load_motion(tmp_path / "out" / "said.npz").body_name == "open-smplx-female"
    assert KEPT in capsys.readouterr().err
    # Another gender is another conversion, also of a file that the ledger knows.
    assert run_command("convert", *arguments) in (0, 5)
    assert load_motion(tmp_path / "out" / "silent.npz").body_name == "open-smplx-neutral"


def test_convert_of_a_skeleton_and_of_poses(tmp_path: Path, capsys):
    (tmp_path / "poses.json").write_text(json.dumps({"a": [0.0] * 156}))
    shown = ("--from", "open-smplh", "--to", "open-smplx", "--dry-run", "--gender", "female")
    assert run_command("convert", tmp_path / "poses.json", *shown, "--out", tmp_path / "o.json") == 0
    assert "open-smplx-female" in capsys.readouterr().err  # the body that other software does not know
    tree = small_motion("smplh", 3).replace(body="", gender="neutral")
    save_motion(tree, tmp_path / "tree.safetensors")
    assert load_motion(tmp_path / "tree.safetensors", gender="female").gender == "female"


def test_view_and_render(silent: Path, said: Path, tmp_path: Path, capsys):
    for command in (("view",), ("render", "-o", tmp_path / "a.png")):
        arguments = (silent, said, "--body", "open-smplh", "--gender", "male", "--dry-run")
        assert run_command(*command, *arguments) == 0
        shown = capsys.readouterr()
        assert "open-smplh-male" in shown.out and "open-smplh-female" in shown.out
        assert f"said: {KEPT}" in shown.err


def test_export(silent: Path, said: Path, tmp_path: Path, capsys):
    for file, body in ((silent, "open-smplh-male"), (said, "open-smplh-female")):
        arguments = (file, "-o", tmp_path / f"{file.stem}.bvh", "--body", "open-smplh", "--gender", "male", "--json")
        assert run_command("export", *arguments) == 0
        shown = json.loads(capsys.readouterr().out)
        assert shown["body"] == body and any(KEPT in note for note in shown["notes"]) == (file == said)


def test_compare(silent: Path, said: Path, capsys):
    bodies = ("--body-a", "open-smplh", "--body-b", "open-smplh")
    assert run_command("compare", silent, said, *bodies, "--gender", "male", "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["first"]["body"], figures["second"]["body"]) == ("open-smplh-male", "open-smplh-female")


def test_data_prepare(silent: Path, said: Path, tmp_path: Path):
    for file, gender in ((silent, "male"), (said, "female")):
        out = tmp_path / file.stem
        assert run_command("data", "prepare", file, "--out", out, "--gender", "male", "--quiet") == 0
        (clip,) = open_store(out).clips
        assert (clip.body, clip.gender, any(KEPT in note for note in clip.notes)) == ("smplh", gender, file == said)


def test_prior_denoise_and_complete(silent: Path, said: Path, tmp_path: Path):
    for file, gender in ((silent, "male"), (said, "female")):
        for verb, more in (("denoise", ("--noise-deg", 5)), ("complete", ("--missing", "head"))):
            out = tmp_path / f"{verb}-{file.name}"
            assert run_command("prior", verb, "open", file, *more, "--out", out, "--gender", "male", "--quiet") == 0
            assert load_motion(out).gender == gender


def test_what_is_no_gender_is_refused(silent: Path, capsys):
    assert run_command("info", silent, "--gender", "mal") == 2
    assert "male" in capsys.readouterr().err
