"""How like real poses generated ones are, and how varied. Sets of features or joints, in any units; float64 inside.

| function | what it says | better |
|---|---|---|
| frechet_distance | how far two sets are apart, each as a normal distribution (the FID) | less |
| average_pairwise_distance | how far two poses of a set are apart in the mean (the APD) | as real data |
| nearest_rotations | how far each pose is from the nearest real one, in two conventions | as held-out data |
| precision_recall | precision, recall, density, coverage (PRDC) | more |
| two_sample_accuracy | whether the nearest neighbour tells real from generated (1-NNA) | 0.5 |

A value can be compared with another only where features, numbers of samples and convention are the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numba import njit
from torch import Tensor

from vitruve.errors import UsageError
from vitruve.threads import over_threads

# Values of a block of distances, so that memory stays below some tens of megabytes.
_BLOCK = 4_000_000


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and covariance of a set of features.

    Attributes:
        count: how many.
        mean: [features], float64.
        scatter: [features, features] sum of the products of the differences from the mean.
    """

    count: int
    mean: Tensor
    scatter: Tensor

    @property
    def covariance(self) -> Float[Tensor, "features features"]:
        """Unbiased: divided by count - 1."""
        return self.scatter / max(self.count - 1, 1)

    def joined(self, other: Moments) -> Moments:
        """Those of both sets together, so that a set of any size can be looked at in parts."""
        count = self.count + other.count
        step = other.mean - self.mean
        shift = torch.outer(step, step) * (self.count * other.count / count)
        return Moments(count, self.mean + step * (other.count / count), self.scatter + other.scatter + shift)


def moments(features: Float[Tensor, "count features"]) -> Moments:
    """Mean and covariance of a set."""
    values = features.double()
    mean = values.mean(0)
    centred = values - mean
    return Moments(len(values), mean, centred.mT @ centred)


def frechet_distance(first: Moments, second: Moments) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), in the features' unit squared; never below zero.

    The trace of the root is the sum of the roots of the eigenvalues of S1^(1/2) S2 S1^(1/2), which is symmetric, so
    nothing becomes complex where a covariance is singular.
    """
    values, vectors = torch.linalg.eigh(first.covariance)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.mT
    inner = root @ second.covariance @ root
    cross = torch.linalg.eigvalsh((inner + inner.mT) / 2).clamp_min(0).sqrt().sum()
    spread = first.covariance.trace() + second.covariance.trace() - 2 * cross
    return max(0.0, float((first.mean - second.mean).square().sum() + spread))


def average_pairwise_distance(positions: Float[Tensor, "count joints 3"]) -> float:
    """The mean over all pairs of poses of the mean distance of their joints, in the unit of the positions."""
    points, total = positions.double(), 0.0
    if len(points) < 2:
        raise UsageError("a distance of pairs needs two poses", where=f"{len(points)} given", fix="draw more samples")
    for i in range(len(points) - 1):
        total += float((points[i + 1 :] - points[i]).norm(dim=-1).mean(-1).sum())
    return total / (len(points) * (len(points) - 1) / 2)


def smallest_distances(
    features: Float[Tensor, "count features"],
    others: Float[Tensor, "others features"],
    k: int = 1,
    without_self: bool = False,
) -> tuple[Float[Tensor, "count k"], Int[Tensor, "count k"]]:
    """Euclidean distances to the k nearest of `others`, ascending, and which those are.

    Args:
        features, others: two sets.
        k: how many.
        without_self: the sets are the same one, and none is its own neighbour.
    """
    if len(others) - without_self < k:
        raise UsageError(f"{len(others)} samples are too few for {k} neighbours", fix="draw more samples")
    parts = []
    for start, square in _squares(features, others):
        if without_self:
            rows = torch.arange(len(square))
            square[rows, start + rows] = torch.inf
        parts.append(square.topk(k, 1, largest=False))
    return torch.cat([part.values for part in parts]).sqrt(), torch.cat([part.indices for part in parts])


def precision_recall(
    real: Float[Tensor, "real features"], generated: Float[Tensor, "generated features"], k: int = 3
) -> dict[str, float]:
    """Whether generated samples lie where real ones do, and everywhere they do; 0 to 1, density also above.

    Around each sample lies a ball that reaches to its k-th neighbour in its own set.

    Returns:
        "precision": part of the generated samples inside some real ball. "recall": part of the real ones inside some
        generated ball. "density": in how many real balls a generated sample lies in the mean, divided by k.
        "coverage": part of the real balls with a generated sample inside.
    """
    real_radius = smallest_distances(real, real, k, without_self=True)[0][:, -1].square()
    radius = smallest_distances(generated, generated, k, without_self=True)[0][:, -1].square()
    precise = density = 0
    recalled = torch.zeros(len(real), dtype=torch.bool)
    covered = torch.zeros(len(real), dtype=torch.bool)
    for start, square in _squares(generated, real):
        inside = square < real_radius
        precise += int(inside.any(1).sum())
        density += int(inside.sum())
        covered |= inside.any(0)
        recalled |= (square < radius[start : start + len(square), None]).any(0)
    count = len(generated)
    return {
        "precision": precise / count,
        "recall": float(recalled.double().mean()),
        "density": density / (k * count),
        "coverage": float(covered.double().mean()),
    }


def two_sample_accuracy(first: Float[Tensor, "count features"], second: Float[Tensor, "others features"]) -> float:
    """How often the nearest neighbour among both sets is of the sample's own set: 0.5 where they cannot be told apart.

    Both sets count the same, however many samples each has. A tie counts half.
    """
    shares = []
    for own, other in ((first, second), (second, first)):
        near = smallest_distances(own, own, 1, without_self=True)[0][:, 0]
        far = smallest_distances(own, other)[0][:, 0]
        shares.append(float(((near < far).double() + 0.5 * (near == far)).mean()))
    return sum(shares) / 2


def nearest_rotations(
    quaternions: Float[Tensor, "count joints 4"], reference: Float[Tensor, "others joints 4"]
) -> dict[str, Float[Tensor, "count"]]:
    """How far each pose is from the nearest of a reference, radians, in the two conventions that are in use.

    Args:
        quaternions: unit quaternions of the joints, scalar first.
        reference: the same of real poses.

    Returns:
        "mean-half-angle", as NRDF has it: the least mean over the joints of acos |<q, q'>|, which is half the angle
        between them. "sum-angle", as DPoser-X has it: the sum over the joints of 2 acos |<q, q'>| to the pose whose
        quaternions, scalars not negative, are nearest as plain vectors. Where both find the same neighbour, the second
        is the first times twice the number of joints.
    """
    samples, others = (_upper_half(values) for values in (quaternions, reference))
    by_vector = smallest_distances(samples.flatten(1), others.flatten(1))[1][:, 0]
    angles = (samples * others[by_vector]).sum(-1).abs().clamp_max(1).acos().sum(-1)
    # The neighbour as vectors is nearly always the nearest one, so most others are given up after a few joints; the
    # sooner, the earlier those come that move most.
    order = torch.cat([samples, others]).var(0, correction=0).sum(-1).argsort(descending=True)
    arrays = [values[:, order].contiguous().numpy() for values in (samples, others)]
    blocks = [slice(start, start + 64) for start in range(0, len(samples), 64)]
    least = over_threads(lambda block: _least_half_angles(arrays[0][block], arrays[1], angles[block].numpy()), blocks)
    return {"mean-half-angle": torch.from_numpy(np.concatenate(least)) / samples.shape[1], "sum-angle": 2 * angles}


def _upper_half(quaternions: Tensor) -> Tensor:
    values = quaternions.double()
    return (values * torch.where(values[..., :1] < 0, -1.0, 1.0)).contiguous()


# Abramowitz and Stegun 4.4.45: acos x = (1 - x)^(1/2) (a0 + a1 x + a2 x^2 + a3 x^3) for x from 0 to 1, off by less
# than 6.8e-5; and how many others are compared with all samples before the next ones are fetched.
_A0, _A1, _A2, _A3, _OFF = 1.5707288, -0.2121144, 0.0742610, -0.0187293, 6.8e-5
_OTHERS = 1024


@njit(nogil=True, cache=True)
def _least_half_angles(samples: np.ndarray, others: np.ndarray, start: np.ndarray) -> np.ndarray:
    """For each sample the least sum of acos |<q, q'>| over all others; `start` is one such sum to begin with.

    A polynomial says which others cannot be nearer; the sums of those left are computed in full.
    """
    count, joints = samples.shape[0], samples.shape[1]
    out = start.copy()
    for first in range(0, len(others), _OTHERS):
        for i in range(count):
            for other in range(first, min(first + _OTHERS, len(others))):
                bound, j = 0.0, 0
                while j < joints and bound < out[i]:
                    x = 0.0
                    for axis in range(4):
                        x += samples[i, j, axis] * others[other, j, axis]
                    x = min(1.0, abs(x))
                    bound += math.sqrt(1 - x) * (_A0 + x * (_A1 + x * (_A2 + x * _A3))) - _OFF
                    j += 1
                if bound >= out[i]:
                    continue
                total = 0.0
                for j in range(joints):
                    x = 0.0
                    for axis in range(4):
                        x += samples[i, j, axis] * others[other, j, axis]
                    total += math.acos(min(1.0, abs(x)))
                out[i] = min(out[i], total)
    return out


def _squares(features: Tensor, others: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Squared distances [block, others] with the number of the block's first row."""
    centre = others.double().mean(0)  # far from the origin the difference of large squares would lose its digits
    first, second = features.double() - centre, others.double() - centre
    lengths = second.square().sum(-1)
    step = max(1, _BLOCK // max(len(others), 1))
    for start in range(0, len(first), step):
        block = first[start : start + step]
        yield start, (block.square().sum(-1, keepdim=True) + lengths - 2 * block @ second.mT).clamp_min(0)
