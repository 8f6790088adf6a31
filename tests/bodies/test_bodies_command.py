"""`vitruve bodies ...` as it is typed: what it prints, what it writes, and its exit status."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.bodies.official_files import random_values, write_npz, write_pkl
from tests.command import run_command
from vitruve.bodies import load_body, read_body


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("VITRUVE_BODIES", raising=False)
    monkeypatch.chdir(tmp_path)


def run(capsys: pytest.CaptureFixture, *words: object) -> tuple[int, str]:
    """(exit status, everything printed)."""
    code = run_command("bodies", *words)
    printed = capsys.readouterr()
    return code, printed.out + printed.err


@pytest.mark.parametrize("command", ["list", "check", "clean", "merge", "export"])
def test_help_shows_defaults_and_two_examples(capsys: pytest.CaptureFixture, command: str):
    status, text = run(capsys, command, "--help")
    assert status == 0 and text.count(f"vitruve bodies {command}") >= 3
    if command in ("clean", "merge", "export"):
        assert "--dry-run" in text and "--overwrite" in text and "[default: False]" in text


def test_list_says_what_is_there_and_where_it_looked(capsys: pytest.CaptureFixture, tmp_path: Path):
    write_pkl(tmp_path / "mine" / "smpl" / "SMPL_MALE.pkl", random_values("smpl", 30))
    status, text = run(capsys, "list", "--folder", tmp_path / "mine")
    assert status == 0
    for word in ("open-smplx-neutral", "smpl-male", "SMPL_MALE.pkl", "folder given", "body_models", "does not exist"):
        assert word in text
    assert "No smplx file was found" in text and "No smpl file" not in text and "smpl-x.is.tue.mpg.de" in text


def test_check_reports_each_file_and_the_status_says_whether_all_are_good(
    capsys: pytest.CaptureFixture, tmp_path: Path
):
    good = write_pkl(tmp_path / "SMPL_MALE.pkl", random_values("smpl", 40))
    bad = write_pkl(tmp_path / "SMPL_FEMALE.pkl", random_values("smpl", 40) | {"weights": np.zeros((40, 24))})
    assert run(capsys, "check", good)[0] == 0
    status, text = run(capsys, "check", bad, good, tmp_path / "none.npz")
    assert status == 4 and "rows sum to one within 1.0e+00" in text and "does not exist" in text
    assert "1 of 3 files are usable" in text
    assert run(capsys, "check")[0] == 2


def test_clean_skips_a_bad_file_and_does_the_rest(capsys: pytest.CaptureFixture, tmp_path: Path):
    good = write_npz(tmp_path / "female" / "model.npz", random_values("smplh", 60, 16))
    (tmp_path / "bad.pkl").write_bytes(b"cos\nsystem\n(S'echo run > ran'\ntR.")
    dry = run(capsys, "clean", tmp_path / "bad.pkl", good, "--out", "clean", "--dry-run")
    assert dry[0] == 0 and "would write clean/female/model.safetensors" in dry[1] and not Path("clean").exists()
    status, text = run(capsys, "clean", tmp_path / "bad.pkl", good, "--out", "clean")
    assert status == 4 and "bad.pkl skipped" in text and "os.system" in text and not Path("ran").exists()
    assert [str(path) for path in Path("clean").rglob("*.*")] == ["clean/female/model.safetensors"]
    assert read_body("clean/female/model.safetensors").gender == "female"
    assert run(capsys, "clean", good, "--out", "clean")[0] == 2
    assert run(capsys, "clean", good, "--out", "clean", "--overwrite")[0] == 0
    assert run(capsys, "clean", good, good, "--out", "clean")[0] == 2
    # Copies into a folder of bodies are found there.
    assert run(capsys, "clean", good, "--out", "bodies/smplh")[0] == 0
    assert load_body("smplh-female", folder="bodies").num_betas == 16


def test_merge(capsys: pytest.CaptureFixture, tmp_path: Path):
    smplh = write_npz(tmp_path / "male" / "model.npz", random_values("smplh", 60, 16, hands=False))
    hands = [write_pkl(tmp_path / f"MANO_{side}.pkl", random_values("mano", 40)) for side in ("LEFT", "RIGHT")]
    words = ("merge", "--smplh", smplh, "--mano-left", hands[0], "--mano-right", hands[1], "--out", "SMPLH_MALE.pkl")
    assert run(capsys, *words, "--dry-run") == (0, "would write SMPLH_MALE.pkl\n")
    assert run(capsys, *words) == (0, "wrote SMPLH_MALE.pkl\n")
    assert set(read_body("SMPLH_MALE.pkl").hands) == {"left", "right"}
    status, text = run(capsys, *words)
    assert status == 2 and "exists already" in text and "--overwrite" in text


def test_export_writes_where_the_smplx_package_looks(capsys: pytest.CaptureFixture, tmp_path: Path):
    words = ("export", "--layout", "mano", "--out", "models")
    status, text = run(capsys, *words, "--dry-run")
    assert status == 0 and "would write models/mano/MANO_LEFT.pkl" in text and not Path("models").exists()
    status, text = run(capsys, *words)
    assert status == 0 and "not SMPL" in text
    found = {str(path.relative_to("models")) for path in Path("models").rglob("*") if path.is_file()}
    assert found == {"mano/MANO_LEFT.pkl", "mano/MANO_RIGHT.pkl", "mano/LICENCE.txt"}
    assert "CC0" in Path("models/mano/LICENCE.txt").read_text()
    assert load_body("mano-left", folder="models").num_vertices == 778
    assert run(capsys, *words)[0] == 2
    assert run(capsys, "export", "--layout", "mano", "--gender", "male", "--out", "models")[0] == 2


def test_export_with_fewer_columns(capsys: pytest.CaptureFixture):
    assert run(capsys, "export", "--layout", "smplx", "--gender", "female", "--short", "--out", "m")[0] == 0
    body = load_body("smplx-female", folder="m")
    assert (body.num_betas, body.num_expressions) == (10, 10)
    assert run(capsys, "export", "--layout", "smplh", "--gender", "male", "--num-betas", "16", "--out", "m")[0] == 0
    assert read_body("m/smplh/male/model.npz").num_betas == 16 and not read_body("m/smplh/male/model.npz").hands
    assert read_body("m/smplh/SMPLH_MALE.pkl").hands


def test_a_file_where_the_folder_should_be_is_said(tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "taken").touch()
    status, _ = run(capsys, "export", "--layout", "mano", "--gender", "left", "--out", str(tmp_path / "taken"))
    assert status == 2 and (tmp_path / "taken").read_bytes() == b""
