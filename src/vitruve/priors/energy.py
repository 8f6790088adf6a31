"""How unlikely a pose is, as a number that a fit can make smaller."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from vitruve.priors.vposer import VPoser
    from vitruve.priors.vposer_v1 import VPoserV1


def energy_of(
    network: VPoser | VPoserV1, rotations: Float[Tensor, "*batch 21 3 3"], joint_error: Float[Tensor, "21"]
) -> Float[Tensor, "*batch"]:
    """Half the squared length of the latent mean, and half the squared distance of the pose from what it decodes to.

    The distance of a joint is measured in how far off the network is on common poses, as 2 (1 - cos angle) instead of
    the squared angle: the same where it is small, and smooth everywhere. So a pose the network does not know costs
    although its latent vector may be short.

    Args:
        network: in eval mode.
        rotations: parent-relative.
        joint_error: radians, of each joint.
    """
    latent = network.encode(rotations).mean
    found = network.decode(latent)
    square = 0.5 * (found - rotations).square().sum((-2, -1))
    scale = joint_error.to(square).clamp_min(1e-3)
    return 0.5 * latent.square().sum(-1) + 0.5 * (square / scale.square()).sum(-1)


def energy_gradient(network: VPoser | VPoserV1, rotations: Tensor, joint_error: Tensor) -> tuple[Tensor, Tensor]:
    """The energy and its derivative by small turns (radians, about the axes of each joint's parent) [*batch, 21, 3]."""
    from vitruve.geometry.rotations import axis_angle_to_matrix

    turn = rotations.new_zeros(*rotations.shape[:-2], 3, requires_grad=True)
    energy = energy_of(network, axis_angle_to_matrix(turn) @ rotations.detach(), joint_error)
    (gradient,) = torch.autograd.grad(energy.sum(), turn)
    return energy.detach(), gradient
