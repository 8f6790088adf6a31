"""Training a prior: what it learns, what its folder holds and what it does not."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.fake_device import GPU, fake_gpu
from tests.priors import prior_material as material
from vitruve.errors import BadData, UsageError
from vitruve.learn.checkpoint import load_checkpoint
from vitruve.priors import load_prior, train_prior
from vitruve.priors.losses import Weights
from vitruve.priors.recipe import recipe_of
from vitruve.priors.surface import body_surface
from vitruve.priors.training import may_be_used_commercially, measure, new_network, warnings_of


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("run")
    return folder, train_prior(material.data(), folder, material.recipe(), body=material.body(), device="cpu")


def test_it_learns(run: tuple[Path, dict]):
    folder, results = run
    rows = list(csv.DictReader((folder / "curves.csv").open()))
    first, last = (float(rows[i]["valid_geodesic_rad"]) for i in (0, -1))
    assert last < 0.15 * first and results["best"]["spread"] > 0.9 and not results["warnings"]
    assert results["steps"] == 150 and 0 <= results["waiting_for_data"] < 1 and results["poses_per_second"] > 0


def test_the_file_says_what_it_is_and_holds_no_body(run: tuple[Path, dict]):
    folder, _ = run
    tensors, words = load_checkpoint(folder / "best.safetensors")
    assert set(tensors) == set(new_network(material.recipe(), 0).state_dict())
    assert sum(value.numel() for value in tensors.values()) < 30_000
    assert recipe_of(words["recipe"]) == material.recipe()
    assert words["data"] == {
        "source": "store",
        "train_poses": 600,
        "valid_poses": 100,
        "licences": ["CC0-1.0"],
        "commercial_use": "yes",
    }
    assert len(words["statistics"]["joint_error_rad"]) == 21
    assert words["body"] == "small-smplx"


def test_validation_is_of_the_whole_split_and_always_the_same(run: tuple[Path, dict]):
    folder, results = run
    prior, data = load_prior(folder), material.data()
    surface = body_surface(material.body())
    again = measure(prior.network, data, surface)
    assert again == pytest.approx(results["best"], rel=1e-5)
    parts = [replace(data, valid=data.valid[rows]) for rows in (slice(0, 30), slice(30, 100))]
    found = [measure(prior.network, part, surface)["mesh_m"] for part in parts]
    assert 0.3 * found[0] + 0.7 * found[1] == pytest.approx(again["mesh_m"], rel=1e-5)


def test_numbers_of_a_validation_by_the_plain_formulas(run: tuple[Path, dict]):
    from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance

    folder, results = run
    prior, data, body = load_prior(folder), material.data(), material.body()
    wanted = axis_angle_to_matrix(data.body(data.valid))
    found = prior.reconstruct(wanted)
    full = [body.rest_rotations(100) for _ in range(2)]
    for rotations, part in zip(full, (wanted, found)):
        rotations[:, 1:22] = part
    a, b = (body.shaped().vertices(rotations) for rotations in full)
    assert results["best"]["mesh_m"] == pytest.approx(float((a - b).norm(dim=-1).mean()), rel=1e-4)
    assert results["best"]["mesh_l1_m"] == pytest.approx(float((a - b).abs().mean()), rel=1e-4)
    assert results["best"]["geodesic_rad"] == pytest.approx(float(geodesic_distance(wanted, found).mean()), rel=1e-4)
    posterior = prior.encode(wanted)
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(posterior.mean, posterior.std), torch.distributions.Normal(0.0, 1.0)
    )
    assert results["best"]["kl_nats"] == pytest.approx(float(kl.sum(-1).mean()), rel=1e-4)


def test_a_collapse_is_said(tmp_path: Path):
    heavy = replace(material.recipe(steps=60), weights=Weights(geodesic=1.0, kl=50.0))
    results = train_prior(material.data(), tmp_path, heavy, body=material.body(), device="cpu")
    assert any("collapse" in warning for warning in results["warnings"])
    assert warnings_of({"valid_active_units": 20, "valid_spread": 0.9}) == []
    assert len(warnings_of({"valid_active_units": 1, "valid_spread": 0.1})) == 2


def test_it_goes_on(tmp_path: Path, run: tuple[Path, dict]):
    recipe, data, body = material.recipe(), material.data(), material.body()
    seen = []
    options = {"body": body, "device": "cpu"}
    results = train_prior(data, tmp_path, recipe, on_step=seen.append, stop=lambda: len(seen) == 70, **options)
    assert "--resume" in results["finished"]
    other = replace(recipe, weights=replace(recipe.weights, kl=0.1))
    with pytest.raises(UsageError, match="other settings") as error:
        train_prior(data, tmp_path, other, resume=True, **options)
    assert "weights.kl was 0.005, is 0.1" in str(error.value)
    train_prior(data, tmp_path, recipe, resume=True, **options)
    expected, found = (material.tensors(folder / "last.safetensors") for folder in (run[0], tmp_path))
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_a_training_on_a_gpu_keeps_its_tensors_there(tmp_path: Path):
    recipe = replace(material.recipe(steps=2), noise=0.1, mirror=0.5, turned=0.5, turned_by=0.2, masked=0.5)
    with fake_gpu():
        results = train_prior(material.data(), tmp_path, recipe, body=material.body(), device=GPU)
    assert results["steps"] == 2


def test_noise_and_mirror_are_only_for_learning(tmp_path: Path):
    recipe = replace(material.recipe(steps=40), noise=0.1, mirror=0.5, kl_warmup=0.5)
    results = train_prior(material.data(), tmp_path, recipe, body=material.body(), device="cpu")
    prior, data = load_prior(tmp_path), material.data()
    again = measure(prior.network, data, body_surface(material.body()))
    assert again == pytest.approx(results["best"], rel=1e-5)


def test_a_mirrored_pose_is_the_mirror_image_of_its_body():
    from vitruve.bodies import load_body
    from vitruve.geometry.rotations import axis_angle_to_matrix
    from vitruve.priors.augmentation import mirrored_poses

    surface = body_surface(load_body("open-smplx-neutral"), 20)
    vectors = 0.4 * torch.randn(4, 21, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(mirrored_poses(mirrored_poses(vectors)), vectors)
    straight, other = (surface.pose(axis_angle_to_matrix(v))[1][:, :22] for v in (vectors, mirrored_poses(vectors)))
    swap = [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20]
    torch.testing.assert_close(other[:, swap] * torch.tensor([-1.0, 1, 1]), straight, atol=2e-3, rtol=0)


def test_an_empty_part_is_an_error(tmp_path: Path):
    data = replace(material.data(), valid=np.arange(0))
    with pytest.raises(BadData, match="the valid part has no poses"):
        train_prior(data, tmp_path, material.recipe(), body=material.body())


@pytest.mark.parametrize(
    ("licences", "answer"),
    [
        (("CC0-1.0", "free for all uses"), "yes"),
        (("CC0-1.0", "CC BY-NC 4.0"), "no"),
        (("AMASS: non-commercial research only",), "no"),
        (("CC0-1.0", ""), "unknown"),
        ((), "unknown"),
    ],
)
def test_what_licences_allow(licences: tuple[str, ...], answer: str):
    assert may_be_used_commercially(licences) == answer
