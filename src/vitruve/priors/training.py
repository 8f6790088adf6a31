"""Training a pose prior: what the loop of `learn` is given, and the folder that a run leaves.

data = PoseData(store.body, train_rows, valid_rows, licences=("CC0-1.0",), source="motions")
results = train_prior(data, "run", load_recipe("vitruve").changed(minutes=10))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vitruve.bodies import BodyModel, load_body
from vitruve.errors import BadData
from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance
from vitruve.learn.checkpoint import load_checkpoint, save_checkpoint
from vitruve.learn.loop import BEST, LAST, Outcome, train
from vitruve.learn.order import seed_of
from vitruve.learn.plan import Moment, Progress
from vitruve.learn.task import Batch, DataSet, Task
from vitruve.learn.team import find_team
from vitruve.priors.augmentation import show
from vitruve.priors.licences import may_be_used_commercially
from vitruve.priors.losses import PUBLISHED_NAMES, active_units, components, distance, total
from vitruve.priors.prior import FORMAT
from vitruve.priors.recipe import Recipe
from vitruve.priors.surface import BodySurface, body_surface
from vitruve.priors.vposer import JOINTS, VPoser

BODY = "open-smplx-neutral"
_CHUNK = 512
# Below this many active dimensions, or this part of the data's spread, the network has collapsed.
_LEAST_ACTIVE, _LEAST_SPREAD = 5, 0.4


@dataclass(frozen=True, eq=False)
class PoseData:
    """Poses to learn from.

    Attributes:
        body: gives axis-angle [rows, 21, 3] (radians, at most half a turn) of numbers of rows, as `Store.body`.
        train: the rows to learn from.
        valid: the rows that are held out.
        licences: of the data, one line each.
        source: where they come from, for the record.
    """

    body: Callable[[Any], Tensor]
    train: np.ndarray
    valid: np.ndarray
    licences: tuple[str, ...] = ()
    source: str = ""

    def chunks(self, rows: np.ndarray, size: int = _CHUNK) -> Iterator[Tensor]:
        """The vectors of rows, some at a time."""
        for start in range(0, len(rows), size):
            yield self.body(rows[start : start + size])


def train_prior(
    data: PoseData,
    folder: str | Path,
    recipe: Recipe,
    *,
    body: str | BodyModel = BODY,
    resume: bool = False,
    device: str | None = None,
    on_validation: Callable[[list[dict[str, float]]], None] | None = None,
    on_step: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Train a prior into a folder that exists, or go on with it.

    Args:
        data: what to learn from.
        folder: gets best.safetensors, last.safetensors, state.safetensors and curves.csv.
        recipe: how; `recipe.training` says for how long.
        body: what the mesh components look at; its name is kept, the body itself is not.
        resume: go on with the state in the folder.
        device: where to compute; a CUDA device where there is one if left out.
        on_validation, on_step, stop: see `vitruve.learn.loop.train`.

    Returns:
        The numbers of the run by name, for results.json.
    """
    for part, rows in (("train", data.train), ("valid", data.valid)):
        if not len(rows):
            raise BadData(f"the {part} part has no poses", where=data.source, fix="check the split")
    model = load_body(body) if isinstance(body, str) else body
    surface = body_surface(model, recipe.vertices)
    recipe = recipe.changed(validate_steps=_interval(recipe, data))
    network = new_network(recipe, recipe.training.seed)
    words = _words(data, recipe, model)
    objective = Objective(recipe, surface)
    outcome = train(
        Task(
            network=network,
            data=[
                DataSet(lambda rows: {"axis_angle": data.body(data.train[rows.numpy()])}, len(data.train), name="train")
            ],
            loss=objective.loss,
            validate=lambda trained: measure(trained, data, objective.surface_on(_device(trained))),
            words=words,
            identity=_identity(data, recipe, model),
        ),
        recipe.training,
        folder,
        resume=resume,
        device=device,
        on_validation=on_validation,
        on_step=on_step,
        stop=stop,
    )
    for name in (BEST, LAST) if find_team(device).number == 0 else ():
        _add_statistics(Path(folder) / name, data, recipe)
    return _results(outcome, data, recipe, model, Path(folder))


class Objective:
    """The loss of a recipe on a body."""

    def __init__(self, recipe: Recipe, surface: BodySurface) -> None:
        self.recipe, self._surface = recipe, surface

    def surface_on(self, device: torch.device) -> BodySurface:
        """The body on the device that asks for it."""
        if self._surface.rest.device != device:
            self._surface = self._surface.to(device)
        return self._surface

    def loss(self, network: nn.Module, batch: Batch, moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum for a batch with "axis_angle" [poses, 21, 3] (radians), and its components."""
        recipe, vectors = self.recipe, batch["axis_angle"]
        assert isinstance(network, VPoser)
        shown = show(vectors, recipe)
        wanted = axis_angle_to_matrix(shown.wanted)
        posterior = network.posterior(shown.seen.flatten(1), shown.known)
        found = network.decode(posterior.sample())
        surface = self.surface_on(vectors.device)
        parts = components(found, wanted, posterior, surface, recipe.weights, shown.kl_factors)
        ramp = min(1.0, moment.fraction / recipe.kl_warmup) if recipe.kl_warmup else 1.0
        extra = not recipe.extra_epochs or moment.epoch < recipe.extra_epochs
        return total(parts, recipe.weights, ramp, extra), parts


def new_network(recipe: Recipe, seed: int) -> VPoser:
    """A network with first weights that depend on the seed alone."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed_of("weights", seed))
        return VPoser(recipe.hidden, recipe.latent)


@torch.no_grad()
def measure(network: nn.Module, data: PoseData, surface: BodySurface) -> dict[str, float]:
    """The components over all held-out poses, at the posterior's mean and at one draw with a fixed seed.

    Names end in "_sampled" (before the unit) where z was drawn. `mesh_m` and `joints_m` are mean distances, `_l1_` mean
    absolute differences of coordinates; `active_units` counts dimensions whose mean varies; `spread` is how far joints
    of the reconstructions lie from their mean, as part of the same of the data.
    """
    assert isinstance(network, VPoser)
    generator = torch.Generator().manual_seed(seed_of("validation"))
    device = _device(network)
    sums: dict[str, float] = {}
    means, moments = [], torch.zeros(4, surface.joints, 3, dtype=torch.float64, device=device)
    for vectors in data.chunks(data.valid):
        wanted = axis_angle_to_matrix(vectors.to(device))
        posterior = network.posterior(vectors.to(device).flatten(1))
        noise = torch.randn(posterior.mean.shape, generator=generator).to(device)
        target = surface.pose(wanted)
        found = {"kl_nats": posterior.kl().sum(-1)}
        for name, latent in (("", posterior.mean), ("_sampled", posterior.mean + posterior.std * noise)):
            rotations = network.decode(latent)
            vertices, joints = surface.pose(rotations)
            found[f"mesh{name}_m"] = distance(vertices, target[0]).mean(-1)
            found[f"mesh{name}_l1_m"] = (vertices - target[0]).abs().mean((-2, -1))
            found[f"joints{name}_m"] = distance(joints, target[1]).mean(-1)
            found[f"joints{name}_l1_m"] = (joints - target[1]).abs().mean((-2, -1))
            found[f"geodesic{name}_rad"] = geodesic_distance(rotations, wanted).mean(-1)
            if not name:
                for row, points in ((0, target[1].double()), (2, joints.double())):
                    moments[row] += points.sum(0)
                    moments[row + 1] += points.square().sum(0)
        for name, values in found.items():
            sums[name] = sums.get(name, 0.0) + float(values.double().sum())
        means.append(posterior.mean)
    moments /= len(data.valid)
    variance = (moments[1::2] - moments[0::2].square()).clamp_min(0).sum((-2, -1))
    return {
        **{name: value / len(data.valid) for name, value in sums.items()},
        "active_units": active_units(torch.cat(means)),
        "spread": float((variance[1] / variance[0].clamp_min(1e-12)).sqrt()),
    }


@torch.no_grad()
def statistics(network: nn.Module, data: PoseData) -> dict[str, Any]:
    """What those who use a prior need to know of it: how far off each joint is, and how common poses score."""
    from vitruve.priors.energy import energy_of

    assert isinstance(network, VPoser)
    squares, count = torch.zeros(JOINTS, dtype=torch.float64), 0
    rows = data.valid[:: max(1, len(data.valid) // 20_000)]
    for vectors in data.chunks(rows):
        wanted = axis_angle_to_matrix(vectors)
        found = network.decode(network.posterior(vectors.flatten(1)).mean)
        squares += geodesic_distance(found, wanted).double().square().sum(0)
        count += len(vectors)
    spread = (squares / count).sqrt()
    energies = [energy_of(network, axis_angle_to_matrix(part), spread.float()) for part in data.chunks(rows)]
    shares = torch.tensor([0.05, 0.5, 0.95, 0.999])
    levels = torch.cat(energies).quantile(shares)
    return {
        "joint_error_rad": [round(float(value), 6) for value in spread],
        "energy_of_data": {f"{share:g}": round(float(level), 4) for share, level in zip(shares, levels)},
    }


def warnings_of(row: dict[str, float]) -> list[str]:
    """What a user must know of a validation: a network that has collapsed."""
    found = []
    if row.get("valid_active_units", _LEAST_ACTIVE) < _LEAST_ACTIVE:
        units = int(row["valid_active_units"])
        found.append(f"collapse: only {units} latent dimensions are used; train longer, or lower the weight of kl")
    if row.get("valid_spread", 1.0) < _LEAST_SPREAD:
        part = 100 * row["valid_spread"]
        found.append(f"collapse: reconstructions spread {part:.0f} % as far as the data; poses fall onto few")
    return found


def _interval(recipe: Recipe, data: PoseData) -> int:
    """Steps between validations: those of the recipe, or so many that a large held-out part costs a tenth at most."""
    plan = recipe.training
    return max(plan.validate_steps, 3 * len(data.valid) // plan.batch) if plan.validate_steps else 0


def _identity(data: PoseData, recipe: Recipe, body: BodyModel) -> dict[str, Any]:
    """What must be the same when a run goes on, beside the numbers of its loop."""
    settings = recipe.as_dict()
    weights = settings.pop("weights")
    del settings["training"], settings["about"]
    flat = {**settings, **{f"weights.{key}": value for key, value in weights.items()}}
    return {**flat, "body": body.name, "train_poses": len(data.train), "valid_poses": len(data.valid)}


def _add_statistics(path: Path, data: PoseData, recipe: Recipe) -> None:
    if not path.is_file():
        return
    tensors, words = load_checkpoint(path)
    network = VPoser(recipe.hidden, recipe.latent).eval()
    network.load_state_dict(tensors)
    save_checkpoint(path, tensors, words | {"statistics": statistics(network, data)})


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


def _words(data: PoseData, recipe: Recipe, body: BodyModel) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "kind": VPoser.kind,
        "recipe": recipe.as_dict(),
        "body": body.name,
        "data": {
            "source": Path(data.source).name,
            "train_poses": len(data.train),
            "valid_poses": len(data.valid),
            "licences": list(data.licences),
            "commercial_use": may_be_used_commercially(data.licences),
        },
    }


def _results(outcome: Outcome, data: PoseData, recipe: Recipe, body: BodyModel, folder: Path) -> dict[str, Any]:
    best = next((row for row in outcome.curves if row["step"] == outcome.best_step), {})
    return {
        "finished": outcome.finished or "interrupted; go on with --resume",
        "recipe": recipe.name,
        "body": body.name,
        "mesh_vertices": min(recipe.vertices or body.num_vertices, body.num_vertices),
        "train_poses": len(data.train),
        "valid_poses": len(data.valid),
        "steps": outcome.steps,
        "epochs": outcome.steps * recipe.training.batch / len(data.train),
        "seconds": outcome.seconds,
        "poses_per_second": outcome.rows_per_second,
        "waiting_for_data": outcome.waiting,
        "best_step": outcome.best_step,
        "best": {key.removeprefix("valid_"): value for key, value in best.items() if key.startswith("valid_")},
        "published_names": {name: list(names) for name, names in PUBLISHED_NAMES.items()},
        "warnings": warnings_of(best),
        "licences": list(data.licences),
        "commercial_use": may_be_used_commercially(data.licences),
    }
