"""Recipes: everything that decides how a prior is trained, as data; the shipped ones lie in `recipes/`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

from vitruve.errors import BadData, MissingAsset, UsageError, nearest
from vitruve.learn.plan import SCHEDULES, Plan
from vitruve.priors.losses import Weights

DEFAULT = "vitruve"


@dataclass(frozen=True)
class Recipe:
    """How a prior is trained.

    Attributes:
        name: of the recipe.
        about: what it is, one sentence.
        hidden: width of the network.
        latent: dimensions of the latent space.
        weights: of the components of the loss.
        extra_epochs: after so many epochs rotations and joints drop out of the loss; 0 for never.
        kl_warmup: part of the training over which the weight of the divergence grows from zero.
        vertices: how many vertices the mesh components look at; 0 for all.
        central: the part of each clip, around its middle, that poses are taken from.
        fraction: how much of that is taken, drawn at random.
        training: the numbers of the loop.
        noise: poses are encoded with each joint turned at random by so much (radians, standard deviation about each
            axis); what is to be decoded stays without it.
        mirror: part of the poses that are learned from mirrored, left for right.
    """

    name: str
    about: str = ""
    hidden: int = 512
    latent: int = 32
    weights: Weights = field(default_factory=Weights)
    extra_epochs: int = 0
    kl_warmup: float = 0.0
    vertices: int = 0
    central: float = 1.0
    fraction: float = 1.0
    training: Plan = field(default_factory=Plan)
    noise: float = 0.0
    mirror: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The recipe as nested plain values, which `recipe_of` takes back."""
        return asdict(self)

    def changed(self, **values: Any) -> Recipe:
        """The recipe with some numbers of its training replaced; None keeps a number."""
        given = {key: value for key, value in values.items() if value is not None}
        return replace(self, training=replace(self.training, **given))


def recipe_names() -> tuple[str, ...]:
    """The recipes that ship, the default first."""
    found = sorted(Path(item.name).stem for item in _folder().iterdir() if item.name.endswith(".toml"))
    return (DEFAULT, *(name for name in found if name != DEFAULT))


def load_recipe(name: str | Path) -> Recipe:
    """A recipe by its name, or by the path of a TOML file."""
    path = Path(name)
    if path.suffix == ".toml":
        if not path.is_file():
            raise MissingAsset("the recipe does not exist", where=str(path), fix="check the path")
        text, where = path.read_text(encoding="utf-8"), str(path)
    else:
        if str(name) not in recipe_names():
            raise UsageError(f"there is no recipe '{name}'", fix=nearest(str(name), recipe_names()))
        file = _folder() / f"{name}.toml"
        text, where = file.read_text(encoding="utf-8"), str(file)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadData("the recipe is no TOML", where=f"{where}: {error}", fix="mend the file") from None
    return recipe_of({"name": path.stem, **values}, where)


def recipe_of(values: Mapping[str, Any], where: str = "") -> Recipe:
    """A recipe from nested plain values; an unknown key or a value of another type is an error."""
    values = dict(values)
    for key, kind in (("weights", Weights), ("training", Plan)):
        values[key] = _checked(kind, values.get(key, {}), f"{where}, table {key}")
    recipe = _checked(Recipe, values, where)
    training = recipe.training
    if training.schedule not in SCHEDULES:
        fix = nearest(training.schedule, SCHEDULES)
        raise BadData(f"there is no schedule '{training.schedule}'", where=where, fix=fix)
    for key, value, least in (("hidden", recipe.hidden, 1), ("latent", recipe.latent, 1), ("batch", training.batch, 2)):
        if value < least:
            raise BadData(f"{key} is too small", where=f"{where}: {key} = {value}", fix=f"at least {least}")
    parts = {
        "kl_warmup": recipe.kl_warmup,
        "mirror": recipe.mirror,
        "central": recipe.central,
        "fraction": recipe.fraction,
    }
    for key, value in (parts | {"decay": training.decay, "average": training.average}).items():
        if not 0 <= value <= 1:
            raise BadData(f"{key} is a part of one", where=f"{where}: {key} = {value}", fix="0 to 1")
    if recipe.noise < 0:
        raise BadData("noise cannot be negative", where=f"{where}: noise = {recipe.noise}", fix="radians, 0.05 or so")
    return recipe


def _checked(kind: type, values: Mapping[str, Any], where: str) -> Any:
    known = {item.name: item for item in fields(kind)}
    for key, value in values.items():
        if key not in known:
            raise BadData(f"unknown key '{key}'", where=where, fix=nearest(key, known))
        wanted = str(known[key].type)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        right = {"float": number, "int": number and value == int(value), "bool": isinstance(value, bool)}
        if not right.get(wanted, True) or (wanted == "str" and not isinstance(value, str)):
            raise BadData(f"{key} is no {wanted}", where=f"{where}: {key} = {value!r}", fix="mend the value")
    return kind(**values)


def _folder() -> Any:
    return resources.files("vitruve.priors") / "recipes"
