"""Recipes: all settings of a prior's training, as data; the shipped ones are in `recipes/`."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

from vitruve.errors import BadData, MissingAsset, UsageError, nearest
from vitruve.learn.plan import SCHEDULES, Plan
from vitruve.priors.losses import COMPONENTS, Weights, sampled

DEFAULT = "vitruve"
WATCHED = (*COMPONENTS, "kl_nats", *map(sampled, COMPONENTS))
"""Validation results that can select the best weights (lower is better); the first is the default."""

# Smallest and largest values; other numbers only have to be at least zero. Batch normalisation needs two poses.
_BOUNDS = {
    **{key: (1, 1 << 16) for key in ("hidden", "latent")},
    **{"batch": (2, math.inf), "accumulate": (1, math.inf), "seed": (-math.inf, math.inf)},
    **{key: (0, 1) for key in ("kl_warmup", "mirror", "central", "fraction", "decay", "floor", "average")},
    **{key: (0, 1) for key in ("turned", "masked", "masked_parts")},
}


@dataclass(frozen=True)
class Recipe:
    """The settings of a training.

    Attributes:
        about: one sentence.
        hidden: width of the network.
        latent: dimensions of the latent space.
        weights: of the components of the loss.
        extra_epochs: number of epochs with rotations and joints in the loss; 0 for all.
        kl_warmup: fraction of the training over which the weight of the divergence grows from zero.
        vertices: number of vertices of the mesh components; 0 for all.
        central: the fraction of each clip, around its middle, from which poses are taken.
        fraction: the share of those poses that is used, chosen at random.
        training: settings of the loop.
        noise: standard deviation of random rotations of each joint before encoding, radians about each axis; the
            target has no noise.
        mirror: share of poses that are mirrored.
        turned: share of poses with every joint rotated at random, in target and input.
        turned_by: largest standard deviation of these rotations, radians about each axis; uniform from zero.
        turned_kl: factor of the divergence of these poses. Below 1 their codes are farther out and seldom sampled.
        masked: share of poses that are encoded incomplete and decoded completely.
        masked_parts: probability that each of arms, legs, trunk and head of these poses is hidden.
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
    turned: float = 0.0
    turned_by: float = 0.0
    turned_kl: float = 1.0
    masked: float = 0.0
    masked_parts: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The recipe as nested plain values for `recipe_of`."""
        return asdict(self)

    def changed(self, **values: Any) -> Recipe:
        """A copy with other settings of the loop; None keeps a setting."""
        changes = {key: value for key, value in values.items() if value is not None}
        return replace(self, training=replace(self.training, **changes))


def recipe_names() -> tuple[str, ...]:
    """The shipped recipes, the default first."""
    names = sorted(Path(item.name).stem for item in _folder().iterdir() if item.name.endswith(".toml"))
    return (DEFAULT, *(name for name in names if name != DEFAULT))


def load_recipe(name: str | Path) -> Recipe:
    """A recipe by name, or from a TOML file or the YAML file of VPoser's published training."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        from vitruve.priors.published_recipe import read_published

        return recipe_of({"name": path.stem, **read_published(path)}, str(path))
    file = path
    if path.suffix != ".toml":
        if str(name) not in recipe_names():
            raise UsageError(f"there is no recipe '{name}'", fix=nearest(str(name), recipe_names()))
        file = _folder() / f"{name}.toml"
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise unreadable(file, error) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadData("the recipe is not valid TOML", where=f"{file}: {error}", fix="correct the file") from None
    return recipe_of({"name": path.stem, **values}, str(file))


def unreadable(file: Path, error: OSError) -> MissingAsset:
    """The error for a recipe that does not exist or cannot be read."""
    if isinstance(error, FileNotFoundError):
        return MissingAsset("the recipe does not exist", where=str(file), fix="check the path")
    return MissingAsset(f"the recipe cannot be read: {error.strerror}", where=str(file), fix="check the file")


def recipe_of(values: Mapping[str, Any], where: str = "") -> Recipe:
    """A recipe from nested plain values; unknown keys, wrong types and values out of bounds are errors."""
    tables = {"weights": (Weights, {}), "training": (Plan, {"watch": WATCHED[0]})}
    checked = dict(values)
    for key, (kind, defaults) in tables.items():
        table = values.get(key, {})
        if not isinstance(table, Mapping):
            raise BadData(f"{key} is not a table", where=f"{where}: {key} = {table!r}", fix=f"write it below [{key}]")
        checked[key] = _checked(kind, {**defaults, **table}, f"{where}, table {key}")
    recipe = _checked(Recipe, checked, where)
    for key, names in (("schedule", SCHEDULES), ("watch", WATCHED)):
        value = getattr(recipe.training, key)
        if value not in names:
            raise BadData(f"there is no {key} '{value}'", where=f"{where}, table training", fix=nearest(value, names))
    weights = recipe.weights
    if not any((weights.mesh_l1, weights.mesh, weights.joints_l1, weights.geodesic, weights.chordal)):
        raise BadData(
            "the loss compares nothing: the weights of mesh, joints and rotations are all zero",
            where=f"{where}, table weights",
            fix="write it as the shipped recipes do: mesh_l1 = 4.0, geodesic = 2.0, joints_l1 = 2.0, kl = 0.005",
        )
    return recipe


def _checked(kind: type, values: Mapping[str, Any], where: str) -> Any:
    known = {item.name: str(item.type) for item in fields(kind)}
    out = dict(values)
    for key, value in values.items():
        if key not in known:
            raise BadData(f"unknown key '{key}'", where=where, fix=nearest(key, known))
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        valid = {
            "float": number,
            "int": number and value == int(value),
            "bool": isinstance(value, bool),
            "str": isinstance(value, str),
        }
        if not valid.get(known[key], True):
            raise BadData(f"{key} is not {known[key]}", where=f"{where}: {key} = {value!r}", fix="correct the value")
        if known[key] == "int":
            out[key] = int(value)
        if known[key] in ("int", "float"):
            least, greatest = _BOUNDS.get(key, (0, math.inf))
            if not least <= value <= greatest:
                fix = f"at least {least}" if greatest == math.inf else f"{least} to {greatest}"
                raise BadData(f"{key} is out of bounds", where=f"{where}: {key} = {value}", fix=fix)
    return kind(**out)


def _folder() -> Any:
    return resources.files("vitruve.priors") / "recipes"
