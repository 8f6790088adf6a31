"""The pose network of VPoser's first version, for loading its weights."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from vitruve.geometry.rotations import matrix_to_axis_angle, sixd_interleaved_to_matrix
from vitruve.priors.vposer import FEATURES, JOINTS, Gaussian

_SLOPE = 0.2


class VPoserV1(nn.Module):
    """The network of version 1: one layer less before the heads, steeper activations, other names.

    Args:
        hidden: width of the hidden layers.
        latent: dimensions of the latent space.
    """

    kind = "vposer-v1"

    def __init__(self, hidden: int = 512, latent: int = 32) -> None:
        super().__init__()
        self.hidden, self.latent = hidden, latent
        self.bodyprior_enc_bn1 = nn.BatchNorm1d(FEATURES)
        self.bodyprior_enc_fc1 = nn.Linear(FEATURES, hidden)
        self.bodyprior_enc_bn2 = nn.BatchNorm1d(hidden)
        self.bodyprior_enc_fc2 = nn.Linear(hidden, hidden)
        self.bodyprior_enc_mu = nn.Linear(hidden, latent)
        self.bodyprior_enc_logvar = nn.Linear(hidden, latent)
        self.dropout = nn.Dropout(0.1)
        self.bodyprior_dec_fc1 = nn.Linear(latent, hidden)
        self.bodyprior_dec_fc2 = nn.Linear(hidden, hidden)
        self.bodyprior_dec_out = nn.Linear(hidden, 6 * JOINTS)

    def posterior(self, vectors: Float[Tensor, "*batch 63"]) -> Gaussian:
        """The latent distribution of axis-angle values of at most half a turn."""
        x = self.bodyprior_enc_bn1(vectors.reshape(-1, FEATURES))
        x = functional.leaky_relu(self.bodyprior_enc_fc1(x), _SLOPE)
        x = self.dropout(self.bodyprior_enc_bn2(x))
        x = functional.leaky_relu(self.bodyprior_enc_fc2(x), _SLOPE)
        shape = (*vectors.shape[:-1], self.latent)
        std = functional.softplus(self.bodyprior_enc_logvar(x))
        return Gaussian(self.bodyprior_enc_mu(x).reshape(shape), std.reshape(shape))

    def encode(self, rotations: Float[Tensor, "*batch 21 3 3"]) -> Gaussian:
        """The latent distribution of poses."""
        return self.posterior(matrix_to_axis_angle(rotations).flatten(-2))

    def decode(self, latent: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch 21 3 3"]:
        """The poses of latent vectors: parent-relative rotations."""
        x = functional.leaky_relu(self.bodyprior_dec_fc1(latent.reshape(-1, self.latent)), _SLOPE)
        x = functional.leaky_relu(self.bodyprior_dec_fc2(self.dropout(x)), _SLOPE)
        return sixd_interleaved_to_matrix(self.bodyprior_dec_out(x).reshape(*latent.shape[:-1], JOINTS, 6))
