"""Training a pose prior with the loop of `learn`.

data = PoseData(store.body, train_rows, valid_rows, licences=("CC0-1.0",), source="motions")
results = train_prior(data, "run", load_recipe("vitruve").changed(minutes=10))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vitruve.bodies import BodyModel, load_body
from vitruve.data.show import is_non_commercial
from vitruve.errors import BadData
from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance
from vitruve.learn.checkpoint import load_checkpoint, save_checkpoint
from vitruve.learn.loop import BEST, LAST, Outcome, train
from vitruve.learn.order import seed_of
from vitruve.learn.plan import Moment, Progress
from vitruve.learn.task import Batch, DataSet, Task
from vitruve.learn.team import find_team
from vitruve.priors.augmentation import augment
from vitruve.priors.losses import PUBLISHED_NAMES, active_units, components, pose_errors, sampled, total
from vitruve.priors.prior import FORMAT, energy_of
from vitruve.priors.recipe import Recipe
from vitruve.priors.surface import BodySurface, body_surface
from vitruve.priors.vposer import JOINTS, VPoser

BODY = "open-smplx-neutral"
_CHUNK = 512
# A network has collapsed below this number of active dimensions, or below this fraction of the data's spread.
_LEAST_ACTIVE, _LEAST_SPREAD = 5, 0.4


@dataclass(frozen=True, eq=False)
class PoseData:
    """Training and validation poses.

    Attributes:
        body: returns axis-angle [rows, 21, 3] (radians, at most half a turn) for row indices, as `Store.body`.
        train: indices of the training rows.
        valid: indices of the validation rows.
        licences: of the data, one line each.
        source: where the data come from.
    """

    body: Callable[[Any], Tensor]
    train: np.ndarray
    valid: np.ndarray
    licences: tuple[str, ...] = ()
    source: str = ""

    def chunks(self, rows: np.ndarray) -> Iterator[Tensor]:
        """The axis-angle vectors of rows, in blocks."""
        for start in range(0, len(rows), _CHUNK):
            yield self.body(rows[start : start + _CHUNK])


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
    """Train a prior in an existing folder, or resume its training.

    Args:
        data: the poses.
        folder: receives best.safetensors, last.safetensors, state.safetensors and curves.csv.
        recipe: the settings; `recipe.training` limits the duration.
        body: the body of the mesh components; only its name is saved.
        resume: continue from the state in the folder.
        device: by default CUDA if available.
        on_validation, on_step, stop: see `vitruve.learn.loop.train`.

    Returns:
        The results of the run by name, for results.json.
    """
    for part, rows in (("train", data.train), ("valid", data.valid)):
        if not len(rows):
            raise BadData(f"the {part} part has no poses", where=data.source, fix="check the split")
    model = load_body(body) if isinstance(body, str) else body
    plan = recipe.training
    if plan.validate_steps:  # validating a large part costs at most a tenth of the time
        recipe = recipe.changed(validate_steps=max(plan.validate_steps, 3 * len(data.valid) // plan.batch))
    objective = Objective(recipe, body_surface(model, recipe.vertices))
    outcome = train(
        Task(
            network=new_network(recipe, plan.seed),
            data=[
                DataSet(lambda rows: {"axis_angle": data.body(data.train[rows.numpy()])}, len(data.train), name="train")
            ],
            loss=objective.loss,
            validate=lambda trained: measure(trained, data, objective.surface_on(_device(trained))),
            words=_metadata(data, recipe, model),
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
    return _results(outcome, data, recipe, model)


class Objective:
    """The loss of a recipe on a body."""

    def __init__(self, recipe: Recipe, surface: BodySurface) -> None:
        self.recipe, self._surface = recipe, surface

    def surface_on(self, device: torch.device) -> BodySurface:
        """The body on a device."""
        if self._surface.rest.device != device:
            self._surface = self._surface.to(device)
        return self._surface

    def loss(self, network: nn.Module, batch: Batch, moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum and its components for a batch with "axis_angle" [poses, 21, 3] (radians)."""
        recipe, vectors = self.recipe, batch["axis_angle"]
        assert isinstance(network, VPoser)
        example = augment(vectors, recipe)
        posterior = network.posterior(example.encoded.flatten(1), example.known)
        decoded = network.decode(posterior.sample())
        target, surface = axis_angle_to_matrix(example.target), self.surface_on(vectors.device)
        parts = components(decoded, target, posterior, surface, recipe.weights, example.kl_factors)
        ramp = min(1.0, moment.fraction / recipe.kl_warmup) if recipe.kl_warmup else 1.0
        extra = not recipe.extra_epochs or moment.epoch < recipe.extra_epochs
        return total(parts, recipe.weights, ramp, extra), parts


def new_network(recipe: Recipe, seed: int) -> VPoser:
    """A network with initial weights that depend on the seed alone."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed_of("weights", seed))
        return VPoser(recipe.hidden, recipe.latent)


@torch.no_grad()
def measure(network: nn.Module, data: PoseData, surface: BodySurface) -> dict[str, float]:
    """Errors over all validation poses, decoded from the posterior's mean and from one sample with a fixed seed.

    The names are COMPONENTS and their `sampled` names; "active_units" counts dimensions whose mean varies; "spread" is
    the standard deviation of the reconstructed joints relative to that of the data.
    """
    assert isinstance(network, VPoser)
    generator = torch.Generator().manual_seed(seed_of("validation"))
    device = _device(network)
    sums: dict[str, float] = {}
    means, moments = [], torch.zeros(4, surface.joints, 3, dtype=torch.float64, device=device)
    for vectors in data.chunks(data.valid):
        target = axis_angle_to_matrix(vectors.to(device))
        posterior = network.posterior(vectors.to(device).flatten(1))
        noise = torch.randn(posterior.mean.shape, generator=generator).to(device)
        posed_target = surface.pose(target)
        rotations = network.decode(posterior.mean)
        posed = surface.pose(rotations)
        random = network.decode(posterior.mean + posterior.std * noise)
        errors = {"kl_nats": posterior.kl().sum(-1), **pose_errors(rotations, target, posed, posed_target)}
        for name, values in pose_errors(random, target, surface.pose(random), posed_target).items():
            errors[sampled(name)] = values
        for name, values in errors.items():
            sums[name] = sums.get(name, 0.0) + float(values.double().sum())
        for row, points in ((0, posed_target[1].double()), (2, posed[1].double())):
            moments[row] += points.sum(0)
            moments[row + 1] += points.square().sum(0)
        means.append(posterior.mean)
    moments /= len(data.valid)
    variance = (moments[1::2] - moments[0::2].square()).clamp_min(0).sum((-2, -1))
    return {
        **{name: value / len(data.valid) for name, value in sums.items()},
        "active_units": active_units(torch.cat(means)),
        "spread": float((variance[1] / variance[0].clamp_min(1e-12)).sqrt()),
    }


@torch.no_grad()
def statistics(network: VPoser, data: PoseData) -> dict[str, Any]:
    """The error of each joint (root mean square, radians) and quantiles of the energy, on validation poses."""
    squares, count = torch.zeros(JOINTS, dtype=torch.float64), 0
    rows = data.valid[:: max(1, len(data.valid) // 20_000)]
    for vectors in data.chunks(rows):
        decoded = network.decode(network.posterior(vectors.flatten(1)).mean)
        squares += geodesic_distance(decoded, axis_angle_to_matrix(vectors)).double().square().sum(0)
        count += len(vectors)
    error = (squares / count).sqrt()
    energies = [energy_of(network, axis_angle_to_matrix(part), error.float()) for part in data.chunks(rows)]
    shares = torch.tensor([0.05, 0.5, 0.95, 0.999])
    levels = torch.cat(energies).quantile(shares)
    return {
        "joint_error_rad": [round(float(value), 6) for value in error],
        "energy_of_data": {f"{share:g}": round(float(level), 4) for share, level in zip(shares, levels)},
    }


def warnings_of(row: dict[str, float]) -> list[str]:
    """Warnings about a validation: signs that the network has collapsed."""
    warnings = []
    if row.get("valid_active_units", _LEAST_ACTIVE) < _LEAST_ACTIVE:
        units = int(row["valid_active_units"])
        warnings.append(f"collapse: only {units} latent dimensions are used; train longer, or lower the weight of kl")
    if row.get("valid_spread", 1.0) < _LEAST_SPREAD:
        percent = 100 * row["valid_spread"]
        warnings.append(f"collapse: reconstructions spread {percent:.0f} % as far as the data; many poses look alike")
    return warnings


def may_be_used_commercially(licences: Sequence[str]) -> str:
    """ "yes", "no", or "unknown" if some licence is missing and none of the others forbids it."""
    stated = [licence for licence in licences if licence.strip()]
    if any(is_non_commercial(licence) for licence in stated):
        return "no"
    return "yes" if stated and len(stated) == len(licences) else "unknown"


def _add_statistics(path: Path, data: PoseData, recipe: Recipe) -> None:
    if not path.is_file():
        return
    tensors, metadata = load_checkpoint(path)
    network = VPoser(recipe.hidden, recipe.latent).eval()
    network.load_state_dict(tensors)
    save_checkpoint(path, tensors, metadata | {"statistics": statistics(network, data)})


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


def _counts(data: PoseData) -> dict[str, int]:
    return {"train_poses": len(data.train), "valid_poses": len(data.valid)}


def _rights(data: PoseData) -> dict[str, Any]:
    return {"licences": list(data.licences), "commercial_use": may_be_used_commercially(data.licences)}


def _identity(data: PoseData, recipe: Recipe, body: BodyModel) -> dict[str, Any]:
    """Settings that may not change when a run resumes, besides those of the plan."""
    settings = recipe.as_dict()
    weights = settings.pop("weights")
    del settings["training"], settings["about"]
    flat = {**settings, **{f"weights.{key}": value for key, value in weights.items()}}
    return {**flat, "body": body.name, **_counts(data)}


def _metadata(data: PoseData, recipe: Recipe, body: BodyModel) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "kind": VPoser.kind,
        "recipe": recipe.as_dict(),
        "body": body.name,
        "data": {"source": Path(data.source).name, **_counts(data), **_rights(data)},
    }


def _results(outcome: Outcome, data: PoseData, recipe: Recipe, body: BodyModel) -> dict[str, Any]:
    best = next((row for row in outcome.curves if row["step"] == outcome.best_step), {})
    return {
        "finished": outcome.finished or "interrupted; continue with --resume",
        "recipe": recipe.name,
        "body": body.name,
        "mesh_vertices": min(recipe.vertices or body.num_vertices, body.num_vertices),
        **_counts(data),
        "steps": outcome.steps,
        "epochs": outcome.steps * recipe.training.batch / len(data.train),
        "seconds": outcome.seconds,
        "poses_per_second": outcome.rows_per_second,
        "waiting_for_data": outcome.waiting,
        "best_step": outcome.best_step,
        "best": {key.removeprefix("valid_"): value for key, value in best.items() if key.startswith("valid_")},
        "published_names": {name: list(names) for name, names in PUBLISHED_NAMES.items()},
        "warnings": warnings_of(best),
        **_rights(data),
    }
