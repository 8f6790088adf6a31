"""What the tests of the solver share: points chosen evenly, smooth random motions, bodies with other correctives."""

from __future__ import annotations

import torch
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.geometry.rotations import axis_angle_to_matrix


def balanced_vertices(body: BodyModel, each: int) -> Tensor:
    """Some vertices of every joint's share of the skin."""
    main = body.skin_weights.argmax(1)
    picked = []
    for joint in main.unique().tolist():
        own = (main == joint).nonzero()[:, 0]
        picked.append(own[:: max(1, len(own) // each)][:each])
    return torch.cat(picked).sort().values


def held_joints(body: BodyModel, vertices: Tensor, least: int = 8) -> Tensor:
    """Joints that enough of the vertices hang on, so that their rotation is well determined."""
    return (body.skin_weights[vertices] > 0.2).sum(0) >= least


def smooth_motion(
    joints: int, frames: int, dtype: torch.dtype, seed: int = 0, size: float = 0.3
) -> tuple[Tensor, Tensor]:
    """Rotations [frames, joints, 3, 3] and translation [frames, 3] that swing with random phases."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=dtype)

    time = torch.linspace(0, 0.05 * frames, frames, dtype=dtype)[:, None, None]
    turns = torch.sin(time * random(1, joints, 3) + 3 * random(1, joints, 3)) * size * random(1, joints, 3)
    walk = torch.cat([time[:, 0], torch.sin(time[:, 0]), 0.9 + 0 * time[:, 0]], -1)
    return axis_angle_to_matrix(turns), walk


def disturbed(rotations: Tensor, angle: float, seed: int = 1) -> Tensor:
    """Rotations turned by random vectors with this standard deviation, radians."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(*rotations.shape[:-1], generator=generator, dtype=rotations.dtype)
    return axis_angle_to_matrix(angle * vectors) @ rotations


def with_correctives(body: BodyModel, size: float = 0.004, seed: int = 0) -> BodyModel:
    """The body with random pose correctives where the skin bends, in metres for an entry of R - I of one."""
    generator = torch.Generator().manual_seed(seed)
    share = body.skin_weights[:, 1:].T
    bend = (4 * share * (1 - share))[:, None, :, None]
    noise = torch.randn(len(share), 9, body.num_vertices, 3, generator=generator, dtype=body.dtype)
    return BodyModel(
        name=f"{body.name}-corrected",
        layout=body.layout,
        gender=body.gender,
        skeleton=body.skeleton,
        template=body.template,
        shape_basis=body.shape_basis,
        expression_basis=body.expression_basis,
        pose_basis=(size * bend * noise).flatten(0, 1).flatten(1),
        joint_regressor=body.joint_regressor,
        skin_weights=body.skin_weights,
        faces=body.faces,
    )
