"""The body that losses look at: skin and joints as a function of the 21 body rotations alone.

With root, hands and face at rest, fingers move with the wrists, jaw and eyes with the head. So their skin weights join
those of wrists and head, their correctives are zero, and all joints become points that hang on one joint. What is posed
is the same as with the whole body, for a fraction of its cost.
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
    """A body of mean shape, or a part of its skin, moved by the 21 body joints.

    Attributes:
        body: the name of the body.
        vertices: [chosen] the vertices that are posed.
        joints: how many joints the body has.
        parents: the tree of root and body joints.
        skin: weights and correctives of the vertices.
        rest: [chosen, 3] vertices at rest, metres.
        rest_joints: [22, 3] joints that move.
        all_joints: [joints, 3] all joints at rest.
        carrier: [joints] which of the 22 carries each joint.
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
        """Vertices [poses, chosen, 3] and all joints [poses, joints, 3], metres; the root stands at rest."""
        eye = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
        with_root = torch.cat([eye.expand(len(rotations), 1, 3, 3), rotations], 1)
        world, positions = forward_kinematics(with_root, self.rest_joints, self.parents)
        offsets = positions - (world @ self.rest_joints[..., None])[..., 0]
        turned = (world[:, self.carrier] @ self.all_joints[..., None])[..., 0]
        transforms = torch.cat([world, offsets[..., None]], -1)
        vertices = pose_skin(self.skin, transforms, (rotations - eye).flatten(1), None, self.rest)
        return vertices, turned + offsets[:, self.carrier]

    def to(self, device: torch.device | str) -> BodySurface:
        """The surface on another device."""
        moved = {key: value.to(device) for key, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, skin=self.skin.map(lambda value: value.to(device)), **moved)


def body_surface(body: BodyModel, count: int = 0) -> BodySurface:
    """The surface of a body of mean shape.

    Args:
        body: of SMPL's, SMPL+H's or SMPL-X's layout.
        count: how many vertices, drawn from all; all where 0.
    """
    if body.layout not in ("smpl", "smplh", "smplx"):
        raise UsageError(f"body '{body.name}' has no 21 body joints", fix="use a body of smpl, smplh or smplx")
    parents = body.skeleton.parents
    carrier = list(range(_KEPT))
    for joint in range(_KEPT, len(parents)):
        carrier.append(carrier[parents[joint]])
    weights = body.skin_weights.new_zeros(body.num_vertices, _KEPT)
    weights.index_add_(1, torch.tensor(carrier, device=weights.device), body.skin_weights)
    chosen = torch.arange(body.num_vertices) if not 0 < count < body.num_vertices else drawn_vertices(body, count)
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
    """Indices of vertices drawn at random, always the same for a body's number of vertices.

    They lie as densely as the mesh's vertices do, more on hands and face than on the trunk, so means over them are
    those over the whole mesh.
    """
    chosen = torch.randperm(body.num_vertices, generator=torch.Generator().manual_seed(0))[:count]
    return chosen.sort().values.to(body.device)
