"""Metrics of generated poses: how realistic and how varied they are. Any units; float64 inside.

| function | what it measures | better |
|---|---|---|
| frechet_distance | distance of two sets, each as a normal distribution (FID) | lower |
| average_pairwise_distance | mean distance of two poses of a set (APD) | as real data |
| nearest_rotations | distance of each pose to the nearest real one, in two conventions | as held-out data |
| precision_recall | precision, recall, density, coverage (PRDC) | higher |
| two_sample_accuracy | whether the nearest neighbour separates real from generated (1-NNA) | 0.5 |

Values are comparable only if features, sample counts and conventions are the same.
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

# Number of values in a block of distances: keeps memory below some tens of megabytes.
_BLOCK = 4_000_000


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and covariance of a set of features.

    Attributes:
        count: number of samples.
        mean: [features], float64.
        scatter: [features, features] sum of outer products of the differences from the mean.
    """

    count: int
    mean: Tensor
    scatter: Tensor

    @property
    def covariance(self) -> Float[Tensor, "features features"]:
        """Unbiased: divided by count - 1."""
        return self.scatter / max(self.count - 1, 1)

    def joined(self, other: Moments) -> Moments:
        """Moments of both sets together, so that a large set can be processed in parts."""
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

    The trace of the root is the sum of the roots of the eigenvalues of S1^(1/2) S2 S1^(1/2). That matrix is symmetric,
    so a singular covariance gives no complex numbers.
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
        raise UsageError("pairwise distances need two poses", where=f"{len(points)} given", fix="draw more samples")
    for i in range(len(points) - 1):
        total += float((points[i + 1 :] - points[i]).norm(dim=-1).mean(-1).sum())
    return total / (len(points) * (len(points) - 1) / 2)


def smallest_distances(
    features: Float[Tensor, "count features"],
    others: Float[Tensor, "others features"],
    k: int = 1,
    without_self: bool = False,
) -> tuple[Float[Tensor, "count k"], Int[Tensor, "count k"]]:
    """Euclidean distances to the k nearest of `others`, ascending, and their indices.

    With `without_self` both sets are the same, and no sample is its own neighbour.
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
    """How well generated samples cover the real ones and stay among them; 0 to 1, density also above.

    Each sample has a ball that reaches to its k-th neighbour in its own set.

    Returns:
        "precision": share of generated samples inside some real ball. "recall": share of real samples inside some
        generated ball. "density": mean number of real balls around a generated sample, divided by k. "coverage":
        share of real balls with a generated sample inside.
    """
    real_radius = smallest_distances(real, real, k, without_self=True)[0][:, -1].square()
    radius = smallest_distances(generated, generated, k, without_self=True)[0][:, -1].square()
    precise = density = 0
    recalled, covered = torch.zeros(2, len(real), dtype=torch.bool)
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
    """How often the nearest neighbour of a sample is from its own set: 0.5 if the sets are indistinguishable.

    Both sets have equal weight, whatever their sizes. A tie counts half.
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
    """Distance of each pose to the nearest reference pose, radians, for unit quaternions with the scalar first.

    Returns:
        "mean-half-angle", as in NRDF: the lowest mean over the joints of acos |<q, q'>|, half the angle between them.
        "sum-angle", as in DPoser-X: the sum over the joints of 2 acos |<q, q'>| to the pose whose quaternions (with
        scalars >= 0) are nearest as plain vectors. If both find the same neighbour, the second is the first times twice
        the number of joints.
    """
    samples, others = (_upper_half(values) for values in (quaternions, reference))
    by_vector = smallest_distances(samples.flatten(1), others.flatten(1))[1][:, 0]
    angles = (samples * others[by_vector]).sum(-1).abs().clamp_max(1).acos().sum(-1)
    # The nearest vector is nearly always the nearest pose, so most others are dropped after a few joints, and sooner
    # if the joints that move most come first.
    order = torch.cat([samples, others]).var(0, correction=0).sum(-1).argsort(descending=True)
    arrays = [values[:, order].contiguous().numpy() for values in (samples, others)]
    blocks = [slice(start, start + 64) for start in range(0, len(samples), 64)]
    least = over_threads(lambda block: _least_half_angles(arrays[0][block], arrays[1], angles[block].numpy()), blocks)
    return {"mean-half-angle": torch.from_numpy(np.concatenate(least)) / samples.shape[1], "sum-angle": 2 * angles}


def _upper_half(quaternions: Tensor) -> Tensor:
    values = quaternions.double()
    return (values * torch.where(values[..., :1] < 0, -1.0, 1.0)).contiguous()


# Abramowitz and Stegun 4.4.45: acos x = (1 - x)^(1/2) (a0 + a1 x + a2 x^2 + a3 x^3) for x from 0 to 1, within 6.8e-5;
# and the block size for the others.
_A0, _A1, _A2, _A3, _OFF = 1.5707288, -0.2121144, 0.0742610, -0.0187293, 6.8e-5
_OTHERS = 1024


@njit(nogil=True, cache=True)
def _least_half_angles(samples: np.ndarray, others: np.ndarray, start: np.ndarray) -> np.ndarray:
    """For each sample the lowest sum of acos |<q, q'>| over all others; `start` is an upper bound.

    A polynomial rules out most others; the sums of the rest are computed exactly.
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
    """Squared distances [block, others] with the index of the block's first row."""
    centre = others.double().mean(0)  # far from the origin the difference of large squares loses precision
    first, second = features.double() - centre, others.double() - centre
    lengths = second.square().sum(-1)
    step = max(1, _BLOCK // max(len(others), 1))
    for start in range(0, len(first), step):
        block = first[start : start + step]
        yield start, (block.square().sum(-1, keepdim=True) + lengths - 2 * block @ second.mT).clamp_min(0)
