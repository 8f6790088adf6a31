"""The networks against plain formulas written down a second time, and against the published table of weights."""

import math

import pytest
import torch
from torch import Tensor

from tests.priors.prior_material import random_network
from vitruve.geometry.rotations import axis_angle_to_matrix
from vitruve.priors.losses import kl_nats
from vitruve.priors.vposer import Gaussian, VPoser, VPoserV1


def norm(w: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    scale = w[f"{name}.weight"] / (w[f"{name}.running_var"] + 1e-5).sqrt()
    return (x - w[f"{name}.running_mean"]) * scale + w[f"{name}.bias"]


def linear(w: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def leaky(x: Tensor, slope: float) -> Tensor:
    return torch.where(x > 0, x, slope * x)


def columns(raw: Tensor) -> Tensor:
    """Six numbers a joint, three rows of two: the columns are made orthonormal one after the other."""
    pairs = raw.reshape(-1, 21, 3, 2)
    a, b = pairs[..., 0], pairs[..., 1]
    first = a / a.norm(dim=-1, keepdim=True)
    b = b - (first * b).sum(-1, keepdim=True) * first
    second = b / b.norm(dim=-1, keepdim=True)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)


def twin_v2(w: dict[str, Tensor], vectors: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x = norm(w, "encoder_net.1", vectors)
    x = norm(w, "encoder_net.4", leaky(linear(w, "encoder_net.2", x), 0.01))
    x = linear(w, "encoder_net.7", linear(w, "encoder_net.6", x))
    std = torch.log1p(linear(w, "encoder_net.8.logvar", x).exp())
    y = leaky(linear(w, "decoder_net.0", z), 0.01)
    y = leaky(linear(w, "decoder_net.3", y), 0.01)
    return linear(w, "encoder_net.8.mu", x), std, columns(linear(w, "decoder_net.5", y))


def twin_v1(w: dict[str, Tensor], vectors: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x = norm(w, "bodyprior_enc_bn1", vectors)
    x = norm(w, "bodyprior_enc_bn2", leaky(linear(w, "bodyprior_enc_fc1", x), 0.2))
    x = leaky(linear(w, "bodyprior_enc_fc2", x), 0.2)
    std = torch.log1p(linear(w, "bodyprior_enc_logvar", x).exp())
    y = leaky(linear(w, "bodyprior_dec_fc1", z), 0.2)
    y = leaky(linear(w, "bodyprior_dec_fc2", y), 0.2)
    return linear(w, "bodyprior_enc_mu", x), std, columns(linear(w, "bodyprior_dec_out", y))


@pytest.mark.parametrize(("kind", "twin"), [(VPoser, twin_v2), (VPoserV1, twin_v1)])
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-5), (torch.float64, 1e-11)])
def test_the_network_is_the_published_one(kind: type, twin, dtype: torch.dtype, limit: float):
    network = random_network(kind, 512, 32).to(dtype)
    generator = torch.Generator().manual_seed(1)
    vectors = 0.4 * torch.randn(40, 63, generator=generator, dtype=dtype)
    z = torch.randn(40, 32, generator=generator, dtype=dtype)
    with torch.no_grad():
        mean, std, rotations = twin(network.state_dict(), vectors, z)
        posterior = network.encode(axis_angle_to_matrix(vectors.view(-1, 21, 3)))
        found = network.decode(z)
    assert float((posterior.mean - mean).abs().max()) < limit
    assert float((posterior.std - std).abs().max()) < limit
    assert float((found - rotations).abs().max()) < limit


TABLE = {
    **{f"encoder_net.1.{key}": (63,) for key in ("weight", "bias", "running_mean", "running_var")},
    **{f"encoder_net.4.{key}": (512,) for key in ("weight", "bias", "running_mean", "running_var")},
    **{f"encoder_net.{place}.num_batches_tracked": () for place in (1, 4)},
    **{"encoder_net.2.weight": (512, 63), "encoder_net.2.bias": (512,)},
    **{f"encoder_net.{place}.weight": (512, 512) for place in (6, 7)},
    **{f"encoder_net.{place}.bias": (512,) for place in (6, 7)},
    **{f"encoder_net.8.{head}.weight": (32, 512) for head in ("mu", "logvar")},
    **{f"encoder_net.8.{head}.bias": (32,) for head in ("mu", "logvar")},
    **{"decoder_net.0.weight": (512, 32), "decoder_net.0.bias": (512,)},
    **{"decoder_net.3.weight": (512, 512), "decoder_net.3.bias": (512,)},
    **{"decoder_net.5.weight": (126, 512), "decoder_net.5.bias": (126,)},
}


def test_the_weights_have_the_published_names_and_shapes():
    network = VPoser()
    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == TABLE
    assert sum(value.numel() for value in network.parameters()) == 936_252


@pytest.mark.parametrize("kind", [VPoser, VPoserV1])
def test_any_batch_is_the_poses_one_by_one(kind: type):
    network = random_network(kind)
    rotations = axis_angle_to_matrix(0.5 * torch.randn(2, 3, 21, 3, generator=torch.Generator().manual_seed(0)))
    with torch.no_grad():
        posterior = network.encode(rotations)
        decoded = network.decode(posterior.mean)
        assert posterior.mean.shape == (2, 3, 5) and decoded.shape == (2, 3, 21, 3, 3)
        alone = network.encode(rotations[1, 2])
        torch.testing.assert_close(alone.mean, posterior.mean[1, 2], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(network.decode(alone.mean), decoded[1, 2], atol=1e-6, rtol=1e-5)


def test_encoding_does_not_depend_on_how_a_rotation_is_written():
    network = random_network()
    vectors = 0.7 * torch.randn(10, 21, 3, generator=torch.Generator().manual_seed(0))
    longer = vectors * (1 - 2 * math.pi / vectors.norm(dim=-1, keepdim=True))
    with torch.no_grad():
        means = [network.encode(axis_angle_to_matrix(form)).mean for form in (vectors, longer)]
    torch.testing.assert_close(*means, atol=1e-4, rtol=1e-4)


def test_the_divergence_of_a_new_network_is_where_others_saw_it():
    """About 3.4 to 3.5 nats for 32 dimensions, whatever the poses."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        network = VPoser().eval()
        with torch.no_grad():
            posterior = network.posterior(0.3 * torch.randn(500, 63))
    assert float(kl_nats(posterior)) == pytest.approx(3.45, abs=0.15)


def test_draws_have_the_mean_and_spread_they_should():
    gaussian = Gaussian(torch.tensor([1.0, -2.0]).expand(20_000, 2), torch.tensor([0.5, 2.0]).expand(20_000, 2))
    drawn = gaussian.sample(torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.mean(0), torch.tensor([1.0, -2.0]), atol=0.05, rtol=0)
    torch.testing.assert_close(drawn.std(0), torch.tensor([0.5, 2.0]), atol=0.05, rtol=0)
    assert torch.equal(drawn, gaussian.sample(torch.Generator().manual_seed(0)))
