"""Skin and joints of a body as a function of the 21 body rotations alone.

With root, hands and face at rest, fingers move with the wrists, and jaw and eyes with the head. So their skin weights
are added to those of wrists and head, their correctives are zero, and their joints become points fixed to one joint.
The result equals that of the complete body, at a fraction of the cost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.bodies.kinematics import forward_kinematics
from vitruve.bodies.skin import Skin, pose_skin, split_skin
from vitruve.errors import UsageError
from vitruve.priors.vposer import JOINTS

_KEPT = JOINTS + 1


@dataclass(frozen=True, eq=False)
class BodySurface:
    """A body of mean shape, or some of its vertices, moved by the 21 body joints.

    Attributes:
        body: the name of the body.
        vertices: [chosen] indices of the vertices.
        joints: number of joints of the body.
        parents: of root and body joints.
        skin: weights and correctives of the vertices.
        rest: [chosen, 3] vertices at rest, metres.
        rest_joints: [22, 3] root and body joints at rest.
        all_joints: [joints, 3] all joints at rest.
        carrier: [joints] which of the 22 joints moves each joint.
    """

    body: str
    vertices: Tensor
    joints: int
    parents: tuple[int, ...]
    skin: Skin
    rest: Tensor
    rest_joints: Tensor
    all_joints: Tensor
    carrier: Tensor

    def pose(self, rotations: Float[Tensor, "poses 21 3 3"]) -> tuple[Tensor, Tensor]:
        """Vertices [poses, chosen, 3] and all joints [poses, joints, 3], metres; the root is at rest."""
        eye = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
        with_root = torch.cat([eye.expand(len(rotations), 1, 3, 3), rotations], 1)
        world, positions = forward_kinematics(with_root, self.rest_joints, self.parents)
        offsets = positions - (world @ self.rest_joints[..., None])[..., 0]
        turned = (world[:, self.carrier] @ self.all_joints[..., None])[..., 0]
        transforms = torch.cat([world, offsets[..., None]], -1)
        vertices = pose_skin(self.skin, transforms, (rotations - eye).flatten(1), None, self.rest)
        return vertices, turned + offsets[:, self.carrier]

    def to(self, device: torch.device | str) -> BodySurface:
        """A copy on another device."""
        moved = {key: value.to(device) for key, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, skin=self.skin.map(lambda value: value.to(device)), **moved)


def body_surface(body: BodyModel, count: int = 0) -> BodySurface:
    """The surface of a body of mean shape with `count` vertices from `drawn_vertices`, or all if 0."""
    if body.layout not in ("smpl", "smplh", "smplx"):
        raise UsageError(f"body '{body.name}' has no 21 body joints", fix="use a body of smpl, smplh or smplx")
    parents = body.skeleton.parents
    carrier = list(range(_KEPT))
    for joint in range(_KEPT, len(parents)):
        carrier.append(carrier[parents[joint]])
    weights = body.skin_weights.new_zeros(body.num_vertices, _KEPT)
    weights.index_add_(1, torch.tensor(carrier, device=weights.device), body.skin_weights)
    chosen = drawn_vertices(body, count) if 0 < count < body.num_vertices else torch.arange(body.num_vertices)
    basis = body.pose_basis
    if basis is not None:
        basis = basis[: 9 * JOINTS].unflatten(1, (-1, 3))[:, chosen].flatten(1)
    rest_joints = body.shaped().rest_joints
    return BodySurface(
        body=body.name,
        vertices=chosen,
        joints=len(parents),
        parents=parents[:_KEPT],
        skin=split_skin(weights[chosen], basis, body.template.new_zeros(len(chosen), 3, 0), parents[:_KEPT]),
        rest=body.template[chosen],
        rest_joints=rest_joints[:_KEPT],
        all_joints=rest_joints,
        carrier=torch.tensor(carrier, device=weights.device),
    )


def drawn_vertices(body: BodyModel, count: int) -> Tensor:
    """Sorted indices of random vertices, the same for all bodies with as many vertices."""
    chosen = torch.randperm(body.num_vertices, generator=torch.Generator().manual_seed(0))[:count]
    return chosen.sort().values.to(body.device)
