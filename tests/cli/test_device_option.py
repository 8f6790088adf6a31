"""`--device`: the work is done there, and a device that is not there is an error before any work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import vitruve
from tests.cli.convert_material import BODIES
from tests.command import run_command
from tests.fake_device import GPU, fake_gpu
from vitruve.bodies import load_body
from vitruve.convert.poses import write_poses
from vitruve.errors import UsageError
from vitruve.learn.team import find_team
from vitruve.priors.files import poses_of

CLIP = vitruve.load_motion(vitruve.motion.bundled_clip_path())[60:80]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A motion and poses."""
    folder = tmp_path_factory.mktemp("device")
    vitruve.save_motion(CLIP, folder / "clip.npz")
    vitruve.save_motion(CLIP[:4], folder / "short.npz")
    write_poses(poses_of(CLIP.rotations[:2, 1:22], "ab", load_body("open-smplh-neutral")), folder / "poses.npz")
    return folder


@pytest.mark.parametrize("kind", ["short.npz", "poses.npz"])
def test_convert_computes_on_a_device(place: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch):
    there = []
    from vitruve.fit import clip

    check = clip._check
    monkeypatch.setattr(clip, "_check", lambda body, *start: (there.append(str(body.device)), check(body, *start)))
    arguments = ("convert", place / kind, *BODIES, "--no-report", "--quiet", "--out")
    with fake_gpu():
        assert run_command(*arguments, tmp_path, "--device", GPU) in (0, 5)
    assert set(there) == {GPU}
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["error_mm"]["mean"] < 20
    # What was done on one device is done.
    there.clear()
    assert run_command(*arguments, tmp_path) in (0, 5) and not there


@pytest.mark.parametrize(
    "verb",
    [
        ("sample", "open", "--count", "2"),
        ("complete", "open", "clip.npz", "--missing", "left_arm"),
        ("denoise", "open", "clip.npz"),
        ("encode", "open", "clip.npz"),
        ("decode", "open", "codes.npz"),
    ],
    ids=lambda verb: verb[0],
)
def test_priors_compute_on_a_device(place: Path, tmp_path: Path, verb: tuple[str, ...]):
    np.savez(place / "codes.npz", mean=np.ones((2, 32), np.float32))
    name, *rest = (str(place / word) if word.endswith(".npz") else word for word in verb)
    out = "drawn" if name == "sample" else "out.npz"
    arguments = ("prior", name, *rest, "--quiet", "--out")
    assert run_command(*arguments, tmp_path / "cpu" / out) == 0
    with fake_gpu():
        assert run_command(*arguments, tmp_path / "gpu" / out, "--device", GPU) == 0
    file = f"{out}/poses.npz" if name == "sample" else out
    expected, found = (np.load(tmp_path / side / file) for side in ("cpu", "gpu"))
    for key in expected.files:
        if expected[key].dtype.kind == "f":
            assert np.allclose(found[key], expected[key], atol=1e-4), key


@pytest.mark.parametrize("device", ["cuda:99", "gpu"])
@pytest.mark.parametrize(
    "verb",
    [
        ("convert", "{place}/clip.npz", *BODIES),
        ("prior", "sample", "open"),
        ("prior", "encode", "open", "{place}/clip.npz"),
    ],
    ids=["convert", "sample", "encode"],
)
def test_a_device_that_is_not_there(place: Path, tmp_path: Path, verb: tuple[str, ...], device: str, capfd):
    arguments, out = [word.format(place=place) for word in verb], "drawn" if "sample" in verb else "out.npz"
    assert run_command(*arguments, "--device", device, "--out", tmp_path / out) == 2
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 3 and device in said[0] and "--device" in said[1] and not list(tmp_path.iterdir())


def test_a_training_on_a_device_that_is_not_there():
    with pytest.raises(UsageError, match="cuda:99"):
        find_team("cuda:99")
