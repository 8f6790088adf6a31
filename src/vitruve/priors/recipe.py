"""Recipes: everything that decides how a prior is trained, as data; the shipped ones lie in `recipes/`."""

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
from vitruve.priors.losses import Weights

DEFAULT = "vitruve"
WATCHED = (
    *("mesh_m", "mesh_l1_m", "joints_m", "joints_l1_m", "geodesic_rad", "kl_nats"),
    *("mesh_sampled_m", "mesh_sampled_l1_m", "joints_sampled_m", "joints_sampled_l1_m", "geodesic_sampled_rad"),
)
"""Numbers of a validation that may say which weights are best: the less, the better. The first where none is named."""

# Least and greatest value of a number; others are not negative. A batch of one has no spread to be normalised by.
_BOUNDS = {
    **{key: (1, 1 << 16) for key in ("hidden", "latent")},
    **{"batch": (2, math.inf), "accumulate": (1, math.inf), "seed": (-math.inf, math.inf)},
    **{key: (0, 1) for key in ("kl_warmup", "mirror", "central", "fraction", "decay", "floor", "average")},
    **{key: (0, 1) for key in ("turned", "masked", "masked_parts")},
}


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
        turned: part of the poses that are learned with every joint turned at random: poses that the data do not show.
        turned_by: by how much at most (radians, standard deviation about each axis), evenly down to zero.
        turned_kl: how much their divergence counts. Below 1, they get codes further out, and are seldom drawn.
        masked: part of the poses that are encoded without seeing all of them; all is to be decoded.
        masked_parts: how often, of those, each of arms, legs, trunk and head is hidden.
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
    """A recipe by its name, or by the path of a TOML file or of the YAML file of VPoser's published training."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        from vitruve.priors.published_recipe import read_published

        return recipe_of({"name": path.stem, **read_published(path)}, str(path))
    if path.suffix == ".toml":
        if not path.is_file():
            raise MissingAsset("the recipe does not exist", where=str(path), fix="check the path")
        file, where = path, str(path)
    else:
        if str(name) not in recipe_names():
            raise UsageError(f"there is no recipe '{name}'", fix=nearest(str(name), recipe_names()))
        file = _folder() / f"{name}.toml"
        where = str(file)
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingAsset(f"the recipe cannot be read: {error.strerror}", where=where, fix="check the file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadData("the recipe is no TOML", where=f"{where}: {error}", fix="mend the file") from None
    return recipe_of({"name": path.stem, **values}, where)


def recipe_of(values: Mapping[str, Any], where: str = "") -> Recipe:
    """A recipe from nested plain values; an unknown key, a value of another type or out of bounds is an error."""
    tables = {"weights": (Weights, {}), "training": (Plan, {"watch": WATCHED[0]})}
    read = dict(values)
    for key, (kind, usual) in tables.items():
        table = values.get(key, {})
        if not isinstance(table, Mapping):
            raise BadData(f"{key} is no table", where=f"{where}: {key} = {table!r}", fix=f"write it below [{key}]")
        read[key] = _checked(kind, {**usual, **table}, f"{where}, table {key}")
    recipe = _checked(Recipe, read, where)
    for key, names in (("schedule", SCHEDULES), ("watch", WATCHED)):
        given = getattr(recipe.training, key)
        if given not in names:
            raise BadData(f"there is no {key} '{given}'", where=f"{where}, table training", fix=nearest(given, names))
    weights = recipe.weights
    if not any((weights.mesh_l1, weights.mesh, weights.joints_l1, weights.geodesic, weights.chordal)):
        raise BadData(
            "the loss compares nothing: the weights of mesh, joints and rotations are all zero",
            where=f"{where}, table weights",
            fix="write it as the shipped recipes do: mesh_l1 = 4.0, geodesic = 2.0, joints_l1 = 2.0, kl = 0.005",
        )
    return recipe


def _checked(kind: type, values: Mapping[str, Any], where: str) -> Any:
    known = {item.name: item for item in fields(kind)}
    kept = dict(values)
    for key, value in values.items():
        if key not in known:
            raise BadData(f"unknown key '{key}'", where=where, fix=nearest(key, known))
        wanted = str(known[key].type)
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        right = {
            "float": number,
            "int": number and value == int(value),
            "bool": isinstance(value, bool),
            "str": isinstance(value, str),
        }
        if not right.get(wanted, True):
            raise BadData(f"{key} is no {wanted}", where=f"{where}: {key} = {value!r}", fix="mend the value")
        if wanted == "int":
            kept[key] = int(value)
        if wanted in ("int", "float"):
            least, greatest = _BOUNDS.get(key, (0, math.inf))
            if not least <= value <= greatest:
                fix = f"at least {least}" if greatest == math.inf else f"{least} to {greatest}"
                raise BadData(f"{key} is out of bounds", where=f"{where}: {key} = {value}", fix=fix)
    return kind(**kept)


def _folder() -> Any:
    return resources.files("vitruve.priors") / "recipes"
