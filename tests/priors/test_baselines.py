"""Baselines: what they must be able to bring back, and what they must draw."""

import math

import pytest
import torch

from tests.priors.prior_material import poses, random_network
from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance, matrix_to_axis_angle
from vitruve.priors.baselines import fit_mixture, mixture_candidate, pca_candidate, random_candidate
from vitruve.priors.prior import Prior
from vitruve.priors.sample_scores import beyond, limits_of
from vitruve.priors.vposer import VPoser


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def error(candidate, vectors: torch.Tensor) -> float:
    wanted = axis_angle_to_matrix(vectors)
    return float(geodesic_distance(candidate.reconstruct(wanted), wanted).mean())


def test_components_bring_back_what_lies_in_their_space() -> None:
    vectors = poses(300)  # four directions and a mean
    assert error(pca_candidate(vectors, 4), vectors) < 1e-3
    assert error(pca_candidate(vectors, 4), poses(50, seed=1)) < 1e-3
    errors = [error(pca_candidate(vectors, count), vectors) for count in (1, 2, 3, 4)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.05


def test_drawn_poses_have_the_mean_and_spread_of_the_data() -> None:
    vectors = poses(2000)
    for candidate in (pca_candidate(vectors, 4), mixture_candidate(vectors, 4)):
        drawn = candidate.sample(4000, torch.Generator().manual_seed(0))
        assert drawn.shape == (4000, 21, 3, 3) and drawn.dtype == torch.float32
        found = matrix_to_axis_angle(drawn)
        torch.testing.assert_close(found.mean(0), vectors.mean(0), atol=0.04, rtol=0)
        torch.testing.assert_close(found.std(0), vectors.std(0), atol=0.04, rtol=0.1)


def test_a_mixture_finds_the_clusters_it_was_drawn_from() -> None:
    centres = torch.tensor([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]], dtype=torch.float64)
    scales = torch.tensor([[0.5, 1.0], [1.0, 0.3], [0.4, 0.4]], dtype=torch.float64)
    values = torch.cat([c + s * normal(400, 2, seed=i) for i, (c, s) in enumerate(zip(centres, scales))])
    mixture = fit_mixture(values, 3)
    order = torch.cdist(centres, mixture.means).argmin(1)
    assert sorted(order.tolist()) == [0, 1, 2]
    torch.testing.assert_close(mixture.means[order], centres, atol=0.15, rtol=0)
    torch.testing.assert_close(mixture.weights[order], torch.full((3,), 1 / 3, dtype=torch.float64), atol=0.02, rtol=0)
    covariances = (mixture.factors @ mixture.factors.mT)[order]
    torch.testing.assert_close(covariances.diagonal(dim1=-2, dim2=-1), scales.square(), atol=0.15, rtol=0.15)


def test_the_density_of_a_mixture_is_that_of_normal_distributions() -> None:
    values = normal(500, 3)
    mixture = fit_mixture(values, 2)
    found = mixture.log_parts(values[:20]).logsumexp(1)
    expected = torch.stack(
        [
            weight.log() + torch.distributions.MultivariateNormal(mean, scale_tril=factor).log_prob(values[:20])
            for weight, mean, factor in zip(mixture.weights, mixture.means, mixture.factors)
        ]
    ).logsumexp(0)
    torch.testing.assert_close(found, expected)


def test_a_mixture_of_poses_that_do_not_move_is_no_error() -> None:
    same = torch.zeros(40, 21, 3)
    candidate = mixture_candidate(same, 4)
    assert error(candidate, same) < 1e-3
    assert bool(candidate.sample(5, torch.Generator()).isfinite().all())


def test_the_random_network_is_the_priors_before_training() -> None:
    prior = Prior(random_network(hidden=16, latent=5), "x", VPoser.kind)
    first, second = random_candidate(prior, 3), random_candidate(prior, 3)
    assert first.network is not None and second.network is not None
    assert (first.network.latent, first.network.hidden) == (5, 16)
    for a, b in zip(first.network.parameters(), second.network.parameters()):
        assert torch.equal(a, b)
    other = random_candidate(prior, 4).network
    assert other is not None
    assert not torch.equal(next(iter(other.encoder_net[2].parameters())), first.network.encoder_net[2].weight)


def test_limits_hold_the_data_and_measure_what_is_beyond() -> None:
    vectors = poses(1000)
    limits = limits_of(vectors, share=0.0, margin=0.0)
    assert float(beyond(limits, vectors).max()) == 0
    torch.testing.assert_close(limits[1], vectors.amax(0))
    outside = limits[1][None].clone()
    outside[0, 3] += torch.tensor([0.3, 0.0, 0.4])
    assert float(beyond(limits, outside)[0, 3]) == pytest.approx(0.5, rel=1e-5)
    wide = limits_of(vectors, share=0.1, margin=math.radians(5))
    assert 0.05 < float((beyond(limits_of(vectors, share=0.1, margin=0.0), vectors) > 0).double().mean()) < 0.9
    torch.testing.assert_close(wide[1], limits_of(vectors, 0.1, 0.0)[1] + math.radians(5))
