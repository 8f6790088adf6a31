"""Recipes: the shipped ones say what they should, and a mistake in one is named."""

from pathlib import Path

import pytest

from tests.priors import prior_material
from vitruve.errors import BadData, MissingAsset, UsageError
from vitruve.priors import train_prior
from vitruve.priors.recipe import WATCHED, load_recipe, recipe_names, recipe_of


def test_the_published_recipe():
    recipe = load_recipe("vposer-v02_05")
    weights, plan = recipe.weights, recipe.training
    assert (weights.mesh_l1, weights.kl, weights.geodesic, weights.joints_l1) == (4.0, 0.005, 2.0, 2.0)
    assert (weights.mesh, weights.chordal, weights.free_nats, recipe.kl_warmup) == (0, 0, 0, 0)
    assert (recipe.extra_epochs, recipe.vertices, recipe.hidden, recipe.latent) == (15, 0, 512, 32)
    assert (plan.batch, plan.learning_rate, plan.weight_decay, plan.decoupled) == (128, 1e-3, 1e-5, False)
    assert (plan.schedule, plan.plateau_patience, plan.patience, plan.epochs) == ("plateau", 5, 10, 100)
    assert (recipe.central, recipe.fraction) == (0.8, 0.3) and plan.average == plan.clip == 0


def test_the_default_has_the_size_of_the_published_one():
    ours, theirs = (load_recipe(name) for name in recipe_names()[:2])
    assert (ours.name, theirs.name) == ("vitruve", "vposer-v02_05")
    assert (ours.hidden, ours.latent) == (theirs.hidden, theirs.latent) and not ours.extra_epochs


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_comes_back_from_its_plain_values(name: str):
    assert recipe_of(load_recipe(name).as_dict()) == load_recipe(name)
    assert load_recipe(name).about


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vertexes = 5", "unknown key 'vertexes'"),
        ("[weights]\nkll = 1.0", "unknown key 'kll'"),
        ("[training]\nbatch = 2.5", "batch is not int"),
        ("[training]\nbatch = 1", "batch is out of bounds"),
        ("[training]\nlearning_rate = -1.0", "learning_rate is out of bounds"),
        ("[training]\nlearning_rate = nan", "learning_rate is not float"),
        ("[training]\nsteps = inf", "steps is not int"),
        ("[training]\nsteps = -4", "steps is out of bounds"),
        ("vertices = -3", "vertices is out of bounds"),
        ("noise = -0.1", "noise is out of bounds"),
        ("[training]\nwatch = 'mesh'", "no watch 'mesh'"),
        ("weights = 3", "weights is not a table"),
        ("about = 3", "about is not str"),
        ("[weights]\nkl = 1.0", "compares nothing"),
        ("[training]\nschedule = 'cosinus'", "no schedule 'cosinus'"),
        ("[training]\ndecoupled = 1", "decoupled is not bool"),
        ("kl_warmup = 2.0", "kl_warmup is out of bounds"),
        ("hidden = ", "not valid TOML"),
    ],
)
def test_a_mistake_is_named(text: str, said: str, tmp_path: Path):
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(BadData, match=said) as error:
        load_recipe(path)
    assert str(path) in error.value.where


def test_a_recipe_in_another_encoding(tmp_path: Path):
    (tmp_path / "own.toml").write_bytes("hidden = 64".encode("utf-16"))
    with pytest.raises(BadData, match="not valid TOML"):
        load_recipe(tmp_path / "own.toml")


def test_a_short_recipe_is_enough_to_train_with(tmp_path: Path):
    (tmp_path / "own.toml").write_text("hidden = 16\n[weights]\nmesh_l1 = 1.0\n[training]\nbatch = 32.0\nsteps = 2\n")
    results = train_prior(
        prior_material.data(), tmp_path, load_recipe(tmp_path / "own.toml"), body=prior_material.body()
    )
    assert results["steps"] == 2 and set(WATCHED) == results["best"].keys() - {"active_units", "spread"}


def test_an_own_recipe_and_unknown_names(tmp_path: Path):
    (tmp_path / "own.toml").write_text("hidden = 64\n[weights]\nmesh = 1\n[training]\nsteps = 5\n")
    recipe = load_recipe(tmp_path / "own.toml")
    assert (recipe.name, recipe.hidden, recipe.training.steps) == ("own", 64, 5)
    with pytest.raises(UsageError, match="no recipe") as error:
        load_recipe("vposer")
    assert "vposer-v02_05" in error.value.fix
    with pytest.raises(MissingAsset):
        load_recipe(tmp_path / "none.toml")
