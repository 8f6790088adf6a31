"""Scores of generated poses: against their definitions written out naively, and what must not change them."""

import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruve.errors import UsageError
from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance, matrix_to_quaternion_wxyz
from vitruve.metrics.generation import (
    average_pairwise_distance,
    frechet_distance,
    moments,
    nearest_rotations,
    precision_recall,
    smallest_distances,
    two_sample_accuracy,
)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def quaternions(count: int, seed: int = 0, size: float = 1.0) -> torch.Tensor:
    return matrix_to_quaternion_wxyz(axis_angle_to_matrix(size * normal(count, 21, 3, seed=seed)))


# ---- Frechet distance -----------------------------------------------------------------------------------------------


def test_frechet_distance_is_the_formula_with_scipys_root() -> None:
    first, second = normal(50, 5) @ normal(5, 5, seed=1), normal(40, 5, seed=2) @ normal(5, 5, seed=3) + 0.3
    a, b = np.cov(first.numpy().T), np.cov(second.numpy().T)
    step = first.numpy().mean(0) - second.numpy().mean(0)
    root = scipy.linalg.sqrtm(a @ b).real
    expected = step @ step + np.trace(a + b - 2 * root)
    assert frechet_distance(moments(first), moments(second)) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_normal_distributions_on_a_line() -> None:
    # (m1 - m2)^2 + (s1 - s2)^2
    base = normal(1000, 1)
    base = (base - base.mean()) / base.std()
    found = frechet_distance(moments(1.0 + 2.0 * base), moments(4.0 + 3.5 * base))
    assert found == pytest.approx(3.0**2 + 1.5**2, rel=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(1, 8))
def test_frechet_distance_is_a_distance_also_where_covariances_are_singular(
    seed: int, features: int, extra: int
) -> None:
    first, second = normal(features + extra, features, seed=seed), normal(features, features, seed=seed + 1)
    a, b = moments(first), moments(second)  # the second, of few samples, is singular
    assert frechet_distance(a, a) < 1e-6
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-6, abs=1e-9)
    shift = normal(features, seed=seed + 2)
    moved = frechet_distance(moments(first + shift), moments(second + shift))
    assert moved == pytest.approx(frechet_distance(a, b), rel=1e-6, abs=1e-7)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 1000))
def test_moments_of_parts_are_those_of_the_whole(sizes: list[int], seed: int) -> None:
    values = 100 + normal(sum(sizes), 3, seed=seed)
    parts = [moments(part) for part in values.split(sizes)]
    joined = parts[0]
    for part in parts[1:]:
        joined = joined.joined(part)
    whole = moments(values)
    assert joined.count == whole.count
    torch.testing.assert_close(joined.mean, whole.mean)
    torch.testing.assert_close(joined.scatter, whole.scatter)


# ---- pairs and neighbours -------------------------------------------------------------------------------------------


def test_average_pairwise_distance_is_the_mean_over_pairs() -> None:
    positions = normal(7, 4, 3)
    pairs = [sum(math.dist(a[j], b[j]) for j in range(4)) / 4 for a, b in itertools.combinations(positions.tolist(), 2)]
    assert average_pairwise_distance(positions) == pytest.approx(sum(pairs) / len(pairs))
    assert average_pairwise_distance(positions[[3, 1, 6, 0, 2, 5, 4]] + 5) == pytest.approx(sum(pairs) / len(pairs))
    with pytest.raises(UsageError, match="two poses"):
        average_pairwise_distance(positions[:1])


def test_smallest_distances_are_those_of_a_sorted_table() -> None:
    first, second = normal(9, 4) + 1000, normal(12, 4, seed=1) + 1000  # far from the origin: no digits may be lost
    table = (first[:, None] - second[None]).norm(dim=-1)
    found, which = smallest_distances(first, second, 3)
    torch.testing.assert_close(found, table.sort(1).values[:, :3])
    assert (which == table.argsort(1)[:, :3]).all()
    own = smallest_distances(first, first, 1, without_self=True)[0][:, 0]
    torch.testing.assert_close(own, (first[:, None] - first[None]).norm(dim=-1).fill_diagonal_(9e9).amin(1))
    with pytest.raises(UsageError, match="too few"):
        smallest_distances(first[:3], first[:3], 3, without_self=True)


@pytest.mark.parametrize("size", [0.2, 1.5])
def test_nearest_rotations_in_both_conventions(size: float) -> None:
    samples, reference = quaternions(6, 0, size), quaternions(30, 1, size)
    samples = samples * torch.where(normal(6, 21, 1, seed=5) < 0, -1.0, 1.0)  # the sign of a quaternion says nothing
    found = nearest_rotations(samples, reference)
    upper = samples * torch.where(samples[..., :1] < 0, -1.0, 1.0)
    reference = reference * torch.where(reference[..., :1] < 0, -1.0, 1.0)
    for i in range(len(samples)):
        half = (samples[i] * reference).sum(-1).abs().clamp(max=1).acos()
        assert float(found["mean-half-angle"][i]) == pytest.approx(float(half.mean(1).min()), abs=1e-12)
        chosen = int((upper[i] - reference).square().sum((1, 2)).argmin())
        assert float(found["sum-angle"][i]) == pytest.approx(float(2 * half[chosen].sum()), abs=1e-12)


def test_the_conventions_of_nearest_neighbours_differ_by_twice_the_joints() -> None:
    poses = axis_angle_to_matrix(0.3 * normal(1, 21, 3))
    turned = axis_angle_to_matrix(0.1 * normal(1, 21, 3, seed=1)) @ poses
    found = nearest_rotations(*(matrix_to_quaternion_wxyz(value) for value in (turned, poses)))
    assert float(found["sum-angle"]) == pytest.approx(42 * float(found["mean-half-angle"]))
    assert float(found["sum-angle"]) == pytest.approx(float(geodesic_distance(turned, poses).sum()), rel=1e-6)


def test_a_pose_of_the_reference_is_at_distance_zero() -> None:
    reference = quaternions(40)
    found = nearest_rotations(reference[[3, 17]], reference)
    assert float(found["mean-half-angle"].max()) < 1e-6
    assert float(found["sum-angle"].max()) < 1e-5


# ---- precision, recall, density, coverage; two samples --------------------------------------------------------------


def naive_prdc(real: np.ndarray, fake: np.ndarray, k: int) -> dict[str, float]:
    def far(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.array([[math.dist(x, y) for y in b] for x in a])

    real_radius = np.sort(far(real, real), 1)[:, k]  # the first is the sample itself
    fake_radius = np.sort(far(fake, fake), 1)[:, k]
    between = far(real, fake)
    return {
        "precision": float((between < real_radius[:, None]).any(0).mean()),
        "recall": float((between < fake_radius[None]).any(1).mean()),
        "density": float((between < real_radius[:, None]).sum(0).mean() / k),
        "coverage": float((between.min(1) < real_radius).mean()),
    }


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.floats(0.2, 3))
def test_precision_and_recall_are_their_definitions(seed: int, k: int, size: float) -> None:
    real, fake = normal(25, 3, seed=seed), size * normal(18, 3, seed=seed + 1)
    found = precision_recall(real, fake, k)
    assert found == pytest.approx(naive_prdc(real.numpy(), fake.numpy(), k))
    moved = precision_recall(real.flip(0).roll(7, 0) + 3, fake + 3, k)
    assert moved == pytest.approx(found)


def test_precision_and_recall_tell_narrow_from_wide() -> None:
    real = normal(300, 2)
    narrow, wide = (
        precision_recall(real, 0.1 * normal(300, 2, seed=1)),
        precision_recall(real, 5 * normal(300, 2, seed=1)),
    )
    assert narrow["precision"] > 0.95 and narrow["recall"] < 0.2
    assert wide["precision"] < 0.3 and wide["recall"] > 0.8
    same = precision_recall(real, real)
    assert same["precision"] == same["recall"] == same["coverage"] == 1


def test_two_sample_accuracy_from_telling_all_to_telling_nothing() -> None:
    real = normal(200, 3)
    assert two_sample_accuracy(real, normal(200, 3, seed=1) + 50) == 1
    assert two_sample_accuracy(real, normal(200, 3, seed=1)) == pytest.approx(0.5, abs=0.08)
    assert two_sample_accuracy(real, real) == 0  # a copy is always nearer than the next sample
    # by hand: on a line, real 0 and 1, generated 0.4 and 5
    values = [torch.tensor([[0.0], [1.0]]), torch.tensor([[0.4], [5.0]])]
    assert two_sample_accuracy(*values) == 0
