"""The prior that ships: what its file says, and that it is of use on a motion it has nothing to do with."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.command import run_command
from vitruve import priors
from vitruve.bodies import load_body
from vitruve.data.licences import licence_by_name
from vitruve.errors import BadData
from vitruve.formats import load_motion
from vitruve.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from vitruve.motion.clips import bundled_clip_path
from vitruve.priors import complete, load_prior
from vitruve.priors.completion import NAMES, joint_mask
from vitruve.priors.surface import body_surface


@pytest.fixture(scope="module")
def walk() -> Tensor:
    return load_motion(bundled_clip_path()).rotations[::10, 1:22].float()


def joints(rotations: Tensor) -> Tensor:
    return body_surface(load_body("open-smplx-neutral"), 1).pose(rotations)[1][:, :22]


def test_its_file_says_what_it_learned_from_and_is_small():
    prior = load_prior("open")
    assert prior.name == "open" and prior.sees_parts and not prior.notes
    assert prior.words["data"]["commercial_use"] == "yes"
    assert prior.words["data"]["licences"] == [licence_by_name("01_01.amc")]
    folder = Path(priors.__file__).parent / "open_data"
    assert (folder / "open.safetensors").stat().st_size < 6_000_000 and (folder / "README.md").is_file()


def test_a_walk_comes_back(walk: Tensor):
    prior = load_prior("open")
    off = 1000 * (joints(prior.reconstruct(walk)) - joints(walk)).norm(dim=-1).mean()
    assert off < 45  # 50 from 32 principal components of what it learned from, 60 without turned poses


def test_an_arm_is_filled_in_better_than_by_the_mean(walk: Tensor):
    prior, known = load_prior("open"), joint_mask(["left_arm"])
    moved = [NAMES.index(name) + 1 for name in ("left_elbow", "left_wrist")]
    mean = matrix_to_axis_angle(prior.sample(2000, torch.Generator().manual_seed(0))).mean(0)
    by_mean = torch.where(known[:, None, None], walk, axis_angle_to_matrix(mean))
    off = [
        1000 * (joints(filled) - joints(walk)).norm(dim=-1)[:, moved].mean()
        for filled in (complete(prior, walk, known)[:, 0], by_mean)
    ]
    assert off[0] < 0.85 * off[1]


def test_what_lies_here_under_its_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "open").write_text("something else")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadData):
        load_prior("open")
    (tmp_path / "open").unlink()
    assert load_prior("open").name == "open"


def test_the_command_knows_it(capsys: pytest.CaptureFixture[str]):
    assert run_command("prior", "show", "open") == 0
    assert "CMU" in capsys.readouterr().out
