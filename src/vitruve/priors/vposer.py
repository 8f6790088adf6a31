"""The pose networks VPoser V02_05 and version 1: variational autoencoders of the 21 joints of the body.

    network = VPoser()
    posterior = network.encode(rotations)             # Gaussian with .mean and .std, [*batch, 32]
    rotations = network.decode(posterior.mean)        # [*batch, 21, 3, 3]

Layers and weight names are those of the published networks, so that published weights load.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from vitruve.geometry.rotations import matrix_to_axis_angle, sixd_interleaved_to_matrix

JOINTS = 21
"""Joints 1 to 21 of SMPL, SMPL+H and SMPL-X: no root, hands or face."""
_FEATURES = 3 * JOINTS


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Independent normal distributions: `mean` and positive `std`, both [*batch, latent]."""

    mean: Tensor
    std: Tensor

    def sample(self, generator: torch.Generator | None = None) -> Float[Tensor, "*batch latent"]:
        """One random sample, differentiable in mean and deviation."""
        device = self.mean.device if generator is None else generator.device
        noise = torch.empty_like(self.mean, device=device).normal_(generator=generator)
        return self.mean + self.std * noise.to(self.mean)

    def kl(self) -> Float[Tensor, "*batch latent"]:
        """Kullback-Leibler divergence of each dimension from the standard normal distribution, nats."""
        return 0.5 * (self.std.square() + self.mean.square() - 1) - self.std.log()


class VPoser(nn.Module):
    """The network V02_05 with layers of width `hidden` and `latent` dimensions of the latent space."""

    kind = "vposer-v2"

    def __init__(self, hidden: int = 512, latent: int = 32) -> None:
        super().__init__()
        self.hidden, self.latent = hidden, latent
        # Positions in these lists are names of the published weights: 8 holds the heads; 2 and 5 of the decoder have
        # no weights. There is no activation between layers 6 and 7.
        self.encoder_net = nn.Sequential(
            nn.Flatten(),
            nn.BatchNorm1d(_FEATURES),
            nn.Linear(_FEATURES, hidden),
            nn.LeakyReLU(0.01),
            nn.BatchNorm1d(hidden),
            nn.Dropout(0.1),
            nn.Linear(hidden, hidden),
            nn.Linear(hidden, hidden),
            _Heads(hidden, latent),
        )
        self.decoder_net = nn.Sequential(
            nn.Linear(latent, hidden),
            nn.LeakyReLU(0.01),
            nn.Dropout(0.1),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(0.01),
            nn.Linear(hidden, 6 * JOINTS),
        )

    def posterior(
        self, vectors: Float[Tensor, "*batch 63"], known: Bool[Tensor, "*#batch 21"] | None = None
    ) -> Gaussian:
        """The latent distribution of axis-angle vectors of at most half a turn.

        Args:
            vectors: axis-angle, radians.
            known: False for joints to ignore, if the network was trained for it. They get the mean of the training
                data, which the first normalisation maps to zero.
        """
        if known is not None:
            mean = self.get_buffer("encoder_net.1.running_mean")
            vectors = torch.where(known.repeat_interleave(3, -1), vectors, mean)
        mean, raw = self.encoder_net(vectors.reshape(-1, _FEATURES))
        shape = (*vectors.shape[:-1], self.latent)
        # The published head is called logvar, but softplus of its output is the standard deviation.
        return Gaussian(mean.reshape(shape), functional.softplus(raw).reshape(shape))

    def encode(
        self, rotations: Float[Tensor, "*batch 21 3 3"], known: Bool[Tensor, "*#batch 21"] | None = None
    ) -> Gaussian:
        """The latent distribution of poses; `known` as in `posterior`."""
        return self.posterior(matrix_to_axis_angle(rotations).flatten(-2), known)

    def decode(self, latent: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch 21 3 3"]:
        """The poses of latent vectors: parent-relative rotations."""
        raw = self.decoder_net(latent.reshape(-1, self.latent))
        return sixd_interleaved_to_matrix(raw.reshape(*latent.shape[:-1], JOINTS, 6))


class _Heads(nn.Module):
    def __init__(self, hidden: int, latent: int) -> None:
        super().__init__()
        self.mu = nn.Linear(hidden, latent)
        self.logvar = nn.Linear(hidden, latent)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.mu(features), self.logvar(features)


class VPoserV1(nn.Module):
    """The network of version 1: one layer less before the heads, steeper activations, other names."""

    kind = "vposer-v1"

    def __init__(self, hidden: int = 512, latent: int = 32) -> None:
        super().__init__()
        self.hidden, self.latent = hidden, latent
        self.bodyprior_enc_bn1 = nn.BatchNorm1d(_FEATURES)
        self.bodyprior_enc_fc1 = nn.Linear(_FEATURES, hidden)
        self.bodyprior_enc_bn2 = nn.BatchNorm1d(hidden)
        self.bodyprior_enc_fc2 = nn.Linear(hidden, hidden)
        self.bodyprior_enc_mu = nn.Linear(hidden, latent)
        self.bodyprior_enc_logvar = nn.Linear(hidden, latent)
        self.activation, self.dropout = nn.LeakyReLU(0.2), nn.Dropout(0.1)
        self.bodyprior_dec_fc1 = nn.Linear(latent, hidden)
        self.bodyprior_dec_fc2 = nn.Linear(hidden, hidden)
        self.bodyprior_dec_out = nn.Linear(hidden, 6 * JOINTS)

    def posterior(self, vectors: Float[Tensor, "*batch 63"]) -> Gaussian:
        """The latent distribution of axis-angle vectors of at most half a turn."""
        x = self.activation(self.bodyprior_enc_fc1(self.bodyprior_enc_bn1(vectors.reshape(-1, _FEATURES))))
        x = self.activation(self.bodyprior_enc_fc2(self.dropout(self.bodyprior_enc_bn2(x))))
        shape = (*vectors.shape[:-1], self.latent)
        std = functional.softplus(self.bodyprior_enc_logvar(x))
        return Gaussian(self.bodyprior_enc_mu(x).reshape(shape), std.reshape(shape))

    def encode(self, rotations: Float[Tensor, "*batch 21 3 3"]) -> Gaussian:
        """The latent distribution of poses."""
        return self.posterior(matrix_to_axis_angle(rotations).flatten(-2))

    def decode(self, latent: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch 21 3 3"]:
        """The poses of latent vectors: parent-relative rotations."""
        x = self.activation(self.bodyprior_dec_fc1(latent.reshape(-1, self.latent)))
        x = self.activation(self.bodyprior_dec_fc2(self.dropout(x)))
        return sixd_interleaved_to_matrix(self.bodyprior_dec_out(x).reshape(*latent.shape[:-1], JOINTS, 6))
