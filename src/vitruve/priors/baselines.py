"""Baselines for a prior: simple models of poses, and an untrained network.

Each is a `Candidate`, like the prior itself, so the same code measures all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from vitruve.learn.order import seed_of
from vitruve.priors.prior import Prior
from vitruve.priors.vposer import JOINTS, VPoser, VPoserV1

COMPONENTS = 8
"""Normal distributions of the mixture, as in the pose prior of SMPLify."""
# Iterations of fitting a mixture, the gain (nats per pose) below which it stops, and what is added to variances
# (square radians) in case a joint never moves.
_ROUNDS, _GAIN, _FLOOR = 40, 0.01, 1e-5


@dataclass(frozen=True, eq=False)
class Candidate:
    """A model that reconstructs poses and draws new ones.

    Attributes:
        name: for tables and keys.
        about: one sentence.
        reconstruct: maps poses [poses, 21, 3, 3] to their reconstructions.
        sample: returns random poses [count, 21, 3, 3].
        network: an autoencoder with a posterior; None for other models.
    """

    name: str
    about: str
    reconstruct: Callable[[Tensor], Tensor]
    sample: Callable[[int, torch.Generator], Tensor]
    network: VPoser | VPoserV1 | None = None


def candidate_of(network: VPoser | VPoserV1, name: str, about: str) -> Candidate:
    """An autoencoder: it reconstructs from the mean of the code and samples from normal codes."""

    def draw(count: int, generator: torch.Generator) -> Tensor:
        return network.decode(torch.randn(count, network.latent, generator=generator))

    return Candidate(name, about, lambda poses: network.decode(network.encode(poses).mean), draw, network)


def random_candidate(prior: Prior, seed: int = 0) -> Candidate:
    """The prior's network with random initial weights."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed_of("weights", seed))
        network = type(prior.network)(prior.network.hidden, prior.latent)
    network.eval().requires_grad_(False)
    return candidate_of(network, "random", f"the same network before any training, seed {seed}")


def pca_candidate(vectors: Float[Tensor, "poses 21 3"], components: int) -> Candidate:
    """Principal components of axis-angle vectors; samples are normal with their variances.

    Args:
        vectors: axis-angle of training poses, at most half a turn.
        components: use the latent dimensions of the prior for a fair comparison.
    """
    values = vectors.flatten(1).double()
    mean = values.mean(0)
    centred = values - mean
    variance, axes = torch.linalg.eigh(centred.mT @ centred / max(len(values) - 1, 1))
    count = min(components, values.shape[1])
    scale, axes = variance[-count:].clamp_min(0).sqrt(), axes[:, -count:]

    def reconstruct(poses: Tensor) -> Tensor:
        code = (_vectors(poses) - mean) @ axes
        return _poses(mean + code @ axes.mT).to(poses)

    def draw(number: int, generator: torch.Generator) -> Tensor:
        code = torch.randn(number, count, generator=generator, dtype=torch.float64) * scale
        return _poses(mean + code @ axes.mT).float()

    about = f"{count} principal components of axis-angle, from {len(values):,} poses"
    return Candidate("pca", about, reconstruct, draw)


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of normal distributions.

    Attributes:
        weights: [parts], their sum is one.
        means: [parts, features].
        factors: [parts, features, features] lower triangular; factor @ factor.mT is the covariance.
    """

    weights: Tensor
    means: Tensor
    factors: Tensor

    def log_parts(self, values: Float[Tensor, "count features"]) -> Float[Tensor, "count parts"]:
        """The logarithm of each part's weight times its density, nats."""
        out = []
        for weight, mean, factor in zip(self.weights, self.means, self.factors):
            white = torch.linalg.solve_triangular(factor, (values - mean).mT, upper=False)
            constant = factor.diagonal().log().sum() + 0.5 * len(mean) * math.log(2 * math.pi)
            out.append(weight.log() - 0.5 * white.square().sum(0) - constant)
        return torch.stack(out, -1)

    def draw(self, count: int, generator: torch.Generator) -> Float[Tensor, "count features"]:
        """Random values."""
        part = torch.multinomial(self.weights, count, True, generator=generator)
        noise = torch.randn(count, self.means.shape[1], generator=generator, dtype=self.means.dtype)
        return self.means[part] + (self.factors[part] @ noise[..., None])[..., 0]


def fit_mixture(values: Float[Tensor, "count features"], parts: int = COMPONENTS, seed: int = 0) -> Mixture:
    """Fit a mixture with full covariances by expectation maximisation.

    Args:
        values: the samples.
        parts: number of normal distributions; fewer if there are less than ten values for each.
        seed: of the initial centres.
    """
    values = values.double()
    parts = max(1, min(parts, len(values) // 10))
    centres = _spread_centres(values, parts, torch.Generator().manual_seed(seed_of("mixture", seed)))
    shares = torch.nn.functional.one_hot(torch.cdist(values, centres).argmin(1), parts).double()
    mixture, before = _maximised(values, shares), -math.inf
    for _ in range(_ROUNDS - 1):
        logs = mixture.log_parts(values)
        likelihood = logs.logsumexp(1)
        shares = (logs - likelihood[:, None]).exp()
        now = float(likelihood.mean())
        if now - before < _GAIN:
            break
        mixture, before = _maximised(values, shares), now
    return mixture


def mixture_candidate(vectors: Float[Tensor, "poses 21 3"], components: int, seed: int = 0) -> Candidate:
    """A mixture of normal distributions of axis-angle vectors.

    A mixture has no code. The reconstruction of a pose is its projection onto the main directions of its most likely
    part.

    Args:
        vectors: axis-angle of training poses, at most half a turn.
        components: number of directions; use the latent dimensions of the prior.
        seed: of the fit.
    """
    mixture = fit_mixture(vectors.flatten(1), seed=seed)
    covariance = mixture.factors @ mixture.factors.mT
    axes = torch.linalg.eigh(covariance).eigenvectors[..., -min(components, 3 * JOINTS) :]

    def reconstruct(poses: Tensor) -> Tensor:
        values = _vectors(poses)
        part = mixture.log_parts(values).argmax(1)
        out = torch.empty_like(values)
        for i, (mean, directions) in enumerate(zip(mixture.means, axes)):
            here = part == i
            out[here] = mean + (values[here] - mean) @ directions @ directions.mT
        return _poses(out).to(poses)

    def draw(count: int, generator: torch.Generator) -> Tensor:
        return _poses(mixture.draw(count, generator)).float()

    about = (
        f"a mixture of {len(mixture.weights)} normal distributions of axis-angle, from {len(vectors):,} poses; "
        f"reconstruction: {axes.shape[-1]} main directions of the likeliest part"
    )
    return Candidate("mixture", about, reconstruct, draw)


def _maximised(values: Tensor, shares: Tensor) -> Mixture:
    counts = shares.sum(0)
    means = shares.mT @ values / counts.clamp_min(1e-9)[:, None]
    floor = _FLOOR * torch.eye(values.shape[1], dtype=values.dtype)
    factors = []
    for share, count, mean in zip(shares.unbind(1), counts, means):
        centred = values - mean
        covariance = (centred * share[:, None]).mT @ centred / count.clamp_min(1e-9)
        factors.append(torch.linalg.cholesky(covariance + floor))
    return Mixture((counts / counts.sum()).clamp_min(1e-300), means, torch.stack(factors))


def _spread_centres(values: Tensor, parts: int, generator: torch.Generator) -> Tensor:
    """Values drawn one after another, with probabilities by squared distance to those before (k-means++)."""
    chosen = values[torch.randint(len(values), (1,), generator=generator)]
    while len(chosen) < parts:
        square = torch.cdist(values, chosen).amin(1).square()
        square = square if bool(square.sum() > 0) else torch.ones_like(square)
        chosen = torch.cat([chosen, values[torch.multinomial(square, 1, generator=generator)]])
    return chosen


def _vectors(poses: Tensor) -> Tensor:
    return matrix_to_axis_angle(poses).flatten(1).double()


def _poses(values: Tensor) -> Tensor:
    return axis_angle_to_matrix(values.view(-1, JOINTS, 3))
