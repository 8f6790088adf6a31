"""`vitruve prior` from a store to filled poses: what is typed, what is written, what is said when it goes wrong."""

import csv
import json
import tomllib
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.command import run_command
from tests.priors.prior_material import write_takes
from vitruve import load_motion
from vitruve.convert.poses import read_poses
from vitruve.data.prepare import prepare
from vitruve.runs.lock import alone

SMALL = """
hidden = 24
latent = 4
vertices = 40

[weights]
mesh_l1 = 4.0
geodesic = 2.0
kl = 0.005

[training]
batch = 16
watch = "mesh_m"
validate_steps = 20
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, a recipe, and a run that was trained from them."""
    folder = tmp_path_factory.mktemp("prior")
    write_takes(folder / "takes")
    prepare([folder / "takes"], folder / "store", licence="CC BY-NC 4.0")
    (folder / "small.toml").write_text(SMALL)
    code = run_command(
        "prior",
        "train",
        folder / "store",
        "--out",
        folder / "run",
        "--recipe",
        folder / "small.toml",
        "--steps",
        30,
        "--device",
        "cpu",
        "--quiet",
    )
    assert code == 0
    return folder


def test_the_folder_of_a_run(place: Path):
    names = {path.name for path in (place / "run").iterdir()}
    assert names == {
        ".lock",
        "best.safetensors",
        "last.safetensors",
        "state.safetensors",
        "curves.csv",
        "curves.svg",
        "samples.png",
        "report.html",
        "results.json",
        "run.toml",
    }
    results = json.loads((place / "run" / "results.json").read_text())
    assert results["steps"] == 30 and results["train_poses"] == 60 and results["valid_poses"] == 30
    assert results["published_names"]["mesh_sampled_m"] == ["val_loss"]
    assert results["published_names"].keys() <= results["best"].keys()
    assert results["commercial_use"] == "no" and 0 <= results["waiting_for_data"] < 1
    record = tomllib.loads((place / "run" / "run.toml").read_text())
    assert record["notes"]["state"] == "30 steps are done" and record["options"]["steps"] == 30
    assert [int(row["step"]) for row in csv.DictReader((place / "run" / "curves.csv").open())] == [0, 20, 30]
    page = (place / "run" / "report.html").read_text()
    assert "mesh_sampled_l1_m (v2v, loss_mesh_rec)" in page
    assert "not be used commercially" in page and page.count("<svg") >= 4
    assert (place / "run" / "curves.svg").read_text().startswith("<svg")


def test_show_says_what_the_data_allow(place: Path, capsys: pytest.CaptureFixture[str]):
    assert run_command("prior", "show", place / "run") == 0
    said = capsys.readouterr().out
    assert "CC BY-NC 4.0" in said and "commercial use        no" in said and "vposer-v2" in said


def test_a_run_goes_on_and_is_not_overwritten_unasked(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    common = (
        "prior",
        "train",
        place / "store",
        "--out",
        tmp_path / "run",
        "--recipe",
        place / "small.toml",
        "--device",
        "cpu",
        "--quiet",
    )
    assert run_command(*common, "--steps", 4, "--resume") == 3 and not (tmp_path / "run").exists()
    assert run_command(*common, "--steps", 4) == 0
    assert run_command(*common, "--steps", 4) == 2
    assert "--resume" in capsys.readouterr().err
    assert run_command(*common, "--steps", 9, "--resume") == 0
    assert json.loads((tmp_path / "run" / "results.json").read_text())["steps"] == 9
    with alone(tmp_path / "run", "held by the test"):
        for how in ("--resume", "--overwrite"):
            assert run_command(*common, "--steps", 12, how) == 2
            assert "another training in this folder is at work" in capsys.readouterr().err
    assert json.loads((tmp_path / "run" / "results.json").read_text())["steps"] == 9
    assert run_command(*common, "--steps", 3, "--overwrite") == 0
    assert json.loads((tmp_path / "run" / "results.json").read_text())["steps"] == 3


def test_a_dry_run_writes_nothing(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run_command("prior", "train", place / "store", "--out", tmp_path / "run", "--dry-run") == 0
    assert "60 poses" in capsys.readouterr().out
    assert run_command("prior", "sample", place / "run", "--out", tmp_path / "poses", "--dry-run") == 0
    assert run_command("prior", "train", place / "store", "--out", place / "run", "--dry-run") == 2
    assert list(tmp_path.iterdir()) == []


def test_drawn_poses_are_read_by_convert(place: Path, tmp_path: Path):
    assert run_command("prior", "sample", place / "run", "--out", tmp_path / "poses", "--count", 4, "--quiet") == 0
    poses = read_poses(tmp_path / "poses" / "poses.npz")
    assert poses.ids == ("000", "001", "002", "003") and poses.body == "open-smplx"
    with Image.open(tmp_path / "poses" / "samples.png") as image:
        assert image.width > 600 and image.height > 200
    assert len(json.loads((tmp_path / "poses" / "results.json").read_text())["energy_nats"]) == 4
    again = ("prior", "sample", place / "run", "--out", tmp_path / "poses", "--count", 4, "--quiet")
    assert run_command(*again) == 2 and run_command(*again, "--overwrite") == 0
    filled = tmp_path / "filled.npz"
    assert (
        run_command(
            "prior",
            "complete",
            place / "run",
            tmp_path / "poses" / "poses.npz",
            "--missing",
            "left_arm",
            "--hypotheses",
            2,
            "--out",
            filled,
            "--quiet",
        )
        == 0
    )
    found = read_poses(filled)
    assert found.ids[:3] == ("000-1", "000-2", "001-1")
    torch.testing.assert_close(found.rotations[0, 1:16], poses.rotations[0, 1:16], atol=1e-5, rtol=0)


def test_a_motion_is_completed_and_denoised(place: Path, tmp_path: Path):
    take = place / "takes" / "take0_poses.npz"
    assert (
        run_command("prior", "denoise", place / "run", take, "--noise-deg", 10, "--out", tmp_path / "a.npz", "--quiet")
        == 0
    )
    before, after = load_motion(take), load_motion(tmp_path / "a.npz")
    assert len(after) == len(before) and after.fps == before.fps
    torch.testing.assert_close(after.rotations[:, 22:], before.rotations[:, 22:].to(after.dtype), atol=1e-5, rtol=0)
    assert not torch.allclose(after.rotations[:, 1:22], before.rotations[:, 1:22].to(after.dtype), atol=1e-3)
    command = ("prior", "complete", place / "run", take, "--missing", "head", "--out", tmp_path / "b.npz", "--quiet")
    assert run_command(*command, "--hypotheses", 2) == 0 and (tmp_path / "b-2.npz").is_file()
    assert run_command(*command, "--hypotheses", 2) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("train", "STORE/none", "--out", "X"), 3, "no clip store"),
        (("train", "STORE", "--out", "X", "--recipe", "vposer"), 2, "did you mean"),
        (("train", "STORE", "--out", "X", "--body", "open-smply"), 2, "unknown body"),
        (("train", "STORE", "--out", "X", "--split", "none.json"), 3, "no split file"),
        (("train", "STORE", "--out", "X", "--batch", "1"), 2, "--batch"),
        (("train", "STORE", "--out", "X", "--resume", "--overwrite"), 2, "not both"),
        (("train", "STORE", "--out", "/proc/none/X"), 2, "cannot be written"),
        (("show", "none"), 3, "no prior"),
        (("sample", "none", "--out", "X", "--dry-run"), 3, "no prior"),
        (("sample", "RUN/run.toml", "--out", "X"), 4, "no file of a prior"),
        (("complete", "RUN", "none.npz", "--missing", "left_arm", "--out", "X"), 3, "none.npz"),
        (("complete", "RUN", "none.npz", "--missing", "lefd_arm", "--out", "X"), 2, "left_arm"),
    ],
)
def test_what_goes_wrong_is_said(place: Path, tmp_path: Path, arguments, code, said, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"STORE": str(place / "store"), "RUN": str(place / "run")}
    typed = [names.get(word.split("/")[0], word.split("/")[0]) + word[len(word.split("/")[0]) :] for word in arguments]
    assert run_command("prior", *typed) == code
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_split_file_decides(place: Path, tmp_path: Path):
    from vitruve.data import open_store
    from vitruve.priors import load_recipe
    from vitruve.priors.run import pose_data

    store = open_store(place / "store")
    keys = [clip.key for clip in store.clips]
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"split": "", "parts": {"train": keys[:1], "val": keys[2:]}}))
    data = pose_data(store, load_recipe("vitruve"), split)
    assert data.train.tolist() == list(range(30)) and data.valid.tolist() == list(range(60, 90))
    split.write_text(json.dumps({"split": "", "parts": {"a": keys[:1], "b": keys[2:]}}))
    with pytest.raises(Exception, match="no part to learn from"):
        pose_data(store, load_recipe("vitruve"), split)
