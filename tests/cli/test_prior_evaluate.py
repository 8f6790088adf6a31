"""`vitruve prior evaluate`: what is printed, what is written, what is reported when it goes wrong."""

import functools
import json
import tomllib
from pathlib import Path

import pytest
import torch

from tests.command import run_command
from tests.priors.prior_material import random_network, write_takes
from vitruve.data import open_store
from vitruve.data.prepare import prepare
from vitruve.learn.checkpoint import save_checkpoint
from vitruve.priors.prior import FORMAT

SMALL = ("--vertices", 30, "--samples", 20)


run = functools.partial(run_command, "prior", "evaluate")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, a split, and a checkpoint."""
    folder = tmp_path_factory.mktemp("evaluate")
    write_takes(folder / "takes")
    prepare([folder / "takes"], folder / "store", licence="CC0-1.0")
    keys = [clip.key for clip in open_store(folder / "store").clips]
    (folder / "split.json").write_text(json.dumps({"parts": {"train": keys[:2], "test": keys[2:]}}))
    save_checkpoint(folder / "own.safetensors", random_network(hidden=24, latent=5).state_dict(), {"format": FORMAT})
    return folder


def test_evaluate_prints_and_saves_every_score(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = (place / "own.safetensors", "--store", place / "store", "--split", place / "split.json", *SMALL)
    assert run(*options) == 0
    out = place / "own-evaluation"
    results = json.loads((out / "results.json").read_text())
    assert results["poses"] == 30 and results["training_poses"] == 60
    printed = capsys.readouterr().out
    page = (out / "report.html").read_text()
    for name in results["definitions"]:
        assert name in results["scores"]["prior"]
        assert f"\n{name} " in printed and name in page
    error = results["scores"]["prior"]["mpjpe_mm"]
    assert (f"{error:.1f}" if error >= 100 else f"{error:#.4g}") in printed
    for name in ("random", "mixture", "pca"):
        assert results["candidates"][name] in page
    record = tomllib.loads((out / "run.toml").read_text())
    assert record["options"]["seed"] == 0 and len(record["inputs"]) == 2
    # the same again: the same bytes
    before = (out / "results.json").read_bytes()
    assert run(*options, "--quiet") == 2
    assert "exists already" in capsys.readouterr().err
    assert run(*options, "--json", "--overwrite") == 0
    assert (out / "results.json").read_bytes() == before
    assert json.loads(capsys.readouterr().out) == results


def test_a_dry_run_writes_nothing(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "x"
    assert run(place / "own.safetensors", "--store", place / "store", "--out", out, "--dry-run") == 0
    assert "would measure" in capsys.readouterr().out
    everything = ("--trained-on", place / "store", "--out", out, "--dry-run")
    assert run(place / "own.safetensors", "--store", place / "store", *everything) == 0
    assert "on 90 poses" in capsys.readouterr().out
    assert not out.exists() and list(tmp_path.iterdir()) == []


def test_bad_input(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own, store = place / "own.safetensors", place / "store"
    torch.save({"a": torch.zeros(2)}, tmp_path / "wrong.ckpt")
    (tmp_path / "empty.json").write_text(json.dumps({"parts": {"train": [], "test": []}}))
    cases = [
        ((own, "--store", tmp_path / "none"), 3, "none"),
        ((tmp_path / "none.ckpt", "--store", store), 3, "none.ckpt"),
        ((tmp_path / "wrong.ckpt", "--store", store), 4, "wrong.ckpt"),
        ((own, "--store", store, "--split", place / "split.json", "--part", "tests"), 2, "test"),
        ((own, "--store", store, "--split", tmp_path / "none.json"), 3, "none.json"),
        ((own, "--store", store, "--split", tmp_path / "empty.json"), 2, "split is empty"),
        ((own, "--store", store, "--body", "open-smply"), 2, "open-smpl"),
        ((own, "--store", store, "--samples", 3), 2, "samples"),
    ]
    for options, code, printed in cases:
        assert run(*options, "--out", tmp_path / "out") == code, options
        assert printed in "".join(capsys.readouterr()), options
        assert not (tmp_path / "out").exists()
