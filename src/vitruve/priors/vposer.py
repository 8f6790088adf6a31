"""The pose network VPoser V02_05: a variational autoencoder of the 21 joints of the body.

    network = VPoser()
    posterior = network.encode(rotations)             # Gaussian with .mean and .std, [*batch, 32]
    rotations = network.decode(posterior.mean)        # [*batch, 21, 3, 3]

The layers, their order and the names of the weights are those of the published network, so its weights fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from vitruve.geometry.rotations import matrix_to_axis_angle, sixd_interleaved_to_matrix

JOINTS = 21
"""The joints 1 to 21 of SMPL, SMPL+H and SMPL-X: no root, no hands, no face."""
FEATURES = 3 * JOINTS


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Independent normal distributions.

    Attributes:
        mean: [*batch, latent].
        std: [*batch, latent], positive.
    """

    mean: Tensor
    std: Tensor

    def sample(self, generator: torch.Generator | None = None) -> Float[Tensor, "*batch latent"]:
        """One draw, through which gradients flow."""
        drawn_on = self.mean.device if generator is None else generator.device
        noise = torch.empty_like(self.mean, device=drawn_on).normal_(generator=generator)
        return self.mean + self.std * noise.to(self.mean)

    def kl(self) -> Float[Tensor, "*batch latent"]:
        """Kullback-Leibler divergence of each dimension from the standard normal distribution, nats."""
        return 0.5 * (self.std.square() + self.mean.square() - 1) - self.std.log()


class VPoser(nn.Module):
    """The network of V02_05.

    Args:
        hidden: width of the hidden layers.
        latent: dimensions of the latent space.
    """

    kind = "vposer-v2"

    def __init__(self, hidden: int = 512, latent: int = 32) -> None:
        super().__init__()
        self.hidden, self.latent = hidden, latent
        # The places in these lists are the names of the published weights: 8 are the heads, 2 and 5 of the decoder
        # hold no weights. There is no activation between the layers 6 and 7.
        self.encoder_net = nn.Sequential(
            nn.Flatten(),
            nn.BatchNorm1d(FEATURES),
            nn.Linear(FEATURES, hidden),
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
        """The latent distribution of axis-angle values of at most half a turn.

        Args:
            vectors: the values.
            known: False for joints that are not to be looked at, which a network can make use of that has learned to;
                they are taken as the mean of what was learned from, which the first normalisation makes zero.
        """
        if known is not None:
            mean = self.get_buffer("encoder_net.1.running_mean")
            vectors = torch.where(known.repeat_interleave(3, -1), vectors, mean)
        mean, raw = self.encoder_net(vectors.reshape(-1, FEATURES))
        shape = (*vectors.shape[:-1], self.latent)
        # The published head is called logvar; what it gives is put through softplus and used as standard deviation.
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
