"""The doctor always answers, names what is missing and where it looked, and knows every extra."""

import json
import tomllib
from pathlib import Path

import pytest

from vitruve.cli import doctor as doctor_module
from vitruve.cli import main
from vitruve.cli.doctor import EXTRAS, examine


def answer(capsys, *arguments):
    with pytest.raises(SystemExit) as done:
        main(["doctor", *arguments])
    assert done.value.code == 0
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def empty_home(tmp_path, monkeypatch):
    for name in ("VITRUVE_BODIES", "SMPLFITTER_BODY_MODELS", "DATA_ROOT", "SMPLX_MODEL_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_text_has_every_part(capsys, empty_home):
    text = answer(capsys)
    for part in ("Versions", "Device", "Extras", "Bodies", "Folders", "searched"):
        assert part in text
    assert "open-smplx (neutral, female, male)" in text
    assert str(empty_home / "config" / "vitruve" / "config.toml") in text
    assert max(map(len, text.splitlines())) < 240


def test_json_is_json_and_says_the_same(capsys):
    found = json.loads(answer(capsys, "--json"))
    assert found["versions"]["torch"] and found["device"]["threads"] >= 1
    assert "open-smplh-female" in found["bodies"]["open"] and found["bodies"]["found"] == {}
    assert "smplx-neutral" in found["bodies"]["not_found"]


def test_bodies_are_found_where_they_lie(monkeypatch, empty_home, capsys):
    folder = empty_home / "mine" / "smplx"
    folder.mkdir(parents=True)
    (folder / "SMPLX_FEMALE.npz").write_bytes(b"")
    monkeypatch.setenv("VITRUVE_BODIES", str(empty_home / "mine"))
    bodies = examine()["bodies"]
    assert bodies["found"] == {"smplx-female": str(folder / "SMPLX_FEMALE.npz")}
    assert "smplx-female" not in bodies["not_found"]
    looked = {entry["folder"]: entry for entry in bodies["looked_in"]}
    assert looked[str(empty_home / "mine")] == {
        "folder": str(empty_home / "mine"),
        "why": "VITRUVE_BODIES",
        "exists": True,
    }
    assert str(folder) in answer(capsys)


def test_a_broken_config_file_is_reported_and_stops_nothing(empty_home, capsys):
    config = empty_home / "config" / "vitruve" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("bodies = [")
    assert "config file cannot be read" in answer(capsys)
    assert str(config) in examine()["bodies"]["problem"]


def test_missing_open_data_is_reported(monkeypatch, capsys):
    from vitruve.bodies import open_body
    from vitruve.errors import MissingAsset

    def gone(layout):
        raise MissingAsset("gone")

    monkeypatch.setattr(open_body, "open_words", gone)
    assert "install the package again" in answer(capsys)


def test_an_extra_that_is_missing_comes_with_its_command(monkeypatch, capsys):
    monkeypatch.setattr(
        doctor_module.metadata, "requires", lambda name: ["nosuchpackage>=3; extra == 'dev'", "numpy>=1"]
    )
    assert examine()["extras"]["dev"]["missing"] == ["nosuchpackage"]
    text = answer(capsys)
    assert "missing: nosuchpackage" in text and "pip install 'vitruve[dev]'" in text


def test_every_extra_is_known():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert set(EXTRAS) == set(project["optional-dependencies"])
