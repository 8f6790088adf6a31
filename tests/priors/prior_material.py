"""Poses that lie on a few curves, a small network that has learned them, and files in the layouts of the releases."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tests.material import small_body, small_motion
from vitruve.bodies import BodyModel
from vitruve.learn.checkpoint import load_checkpoint
from vitruve.priors.losses import Weights
from vitruve.priors.prior import Prior
from vitruve.priors.recipe import Recipe
from vitruve.priors.training import PoseData
from vitruve.priors.vposer import VPoser


def body(layout: str = "smplx") -> BodyModel:
    return small_body(layout, vertices=60).float()


def write_takes(folder: Path) -> None:
    """Three motion files of 30 frames in AMASS's layout."""
    folder.mkdir()
    for seed in range(3):
        small_motion("smplh", frames=30, seed=seed).save(folder / f"take{seed}_poses.npz")


def poses(count: int, seed: int = 0) -> Tensor:
    """[count, 21, 3] axis-angle that two numbers decide."""
    generator = torch.Generator().manual_seed(seed)
    shape = torch.randn(4, 63, generator=torch.Generator().manual_seed(99)) * 0.35
    t = torch.rand(count, 2, generator=generator) * 2 - 1
    return (torch.cat([t, t.square() - 0.5], 1) @ shape).view(count, 21, 3)


def data(train: int = 600, valid: int = 100, licences: tuple[str, ...] = ("CC0-1.0",)) -> PoseData:
    vectors = poses(train + valid)
    return PoseData(
        lambda rows: vectors[torch.as_tensor(rows)],
        np.arange(train),
        np.arange(train, train + valid),
        licences,
        "somewhere/store",
    )


def recipe(**training: object) -> Recipe:
    weights = Weights(mesh_l1=4.0, geodesic=2.0, joints_l1=2.0, kl=0.005)
    small = Recipe("small", hidden=48, latent=6, weights=weights)
    usual = {
        "batch": 64,
        "steps": 150,
        "learning_rate": 3e-3,
        "average": 0.95,
        "validate_steps": 50,
        "watch": "mesh_m",
        "schedule": "decay",
        "decay": 0.5,
    }
    return small.changed(**(usual | training))


@functools.cache
def trained(folder: Path) -> Prior:
    from vitruve.priors import load_prior, train_prior

    train_prior(data(), folder, recipe(), body=body(), device="cpu")
    return load_prior(folder)


def random_network(kind: type = VPoser, hidden: int = 24, latent: int = 5, seed: int = 0) -> torch.nn.Module:
    """A network whose normalisations have seen data, in eval mode."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        network = kind(hidden, latent)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
            # Two columns well apart, as those of a trained network are; nearly parallel ones magnify rounding.
            last = list(network.parameters())[-1] if kind is not VPoser else network.decoder_net[5].bias
            last.add_(torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]).repeat(21))
        network.train()
        for _ in range(60):
            network.posterior(0.4 * torch.randn(64, 63) + 0.1)
    return network.eval()


def tensors(path: Path) -> dict[str, Tensor]:
    return load_checkpoint(path)[0]
