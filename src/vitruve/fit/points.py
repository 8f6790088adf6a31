"""Points on a body, in the form that the solver uses.

A vertex of the skin moves as x = sum_i w_i (R_i (t + c - J_i) + p_i): rest position t, corrective c, joints at J_i at
rest and at p_i when posed. A joint is a point with weight one on itself. A regressed marker is a sum of such points,
one for each joint that moves it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.bodies.kinematics import forward_kinematics
from vitruve.errors import UsageError


@dataclass(frozen=True, eq=False)
class Points:
    """Linear points of a body, as parts that are bound to joints.

    Attributes:
        weights: [parts, joints]; they need not sum to one.
        rest: [parts, 3] rest positions; [frames, parts, 3] with an expression per frame, and so `joints`.
        shape_basis, expression_basis: [parts, 3, coefficients].
        pose_basis: [9 bending, 3 parts] correctives by entry of a rotation, coordinates first; no rows if none.
        bending: [bending] the joints whose rotations have correctives here.
        joints: [joints, 3] at rest.
        joints_shape, joints_expression: [joints, 3, coefficients].
        parents: of the joints.
        owner: [parts] the point that each part belongs to, or None if each point is one part.
        count: number of points.
    """

    weights: Tensor
    rest: Tensor
    shape_basis: Tensor
    expression_basis: Tensor
    pose_basis: Tensor
    bending: Tensor
    joints: Tensor
    joints_shape: Tensor
    joints_expression: Tensor
    parents: tuple[int, ...]
    owner: Tensor | None
    count: int

    def __len__(self) -> int:
        return self.count

    def shaped(self, betas: Tensor | None = None, expression: Tensor | None = None) -> Points:
        """The same points with coefficients (the first few or all) added to the rest positions.

        With one row of expression coefficients per frame, `rest` and `joints` get a frame axis.
        """
        rest, joints = self.rest, self.joints
        if betas is not None and len(betas):
            rest = rest + self.shape_basis[..., : len(betas)] @ betas.to(rest)
            joints = joints + self.joints_shape[..., : len(betas)] @ betas.to(rest)
        if expression is not None and expression.shape[-1]:
            count = expression.shape[-1]
            rest = rest + torch.einsum("pcn,...n->...pc", self.expression_basis[..., :count], expression.to(rest))
            joints = joints + torch.einsum("jcn,...n->...jc", self.joints_expression[..., :count], expression.to(rest))
        return replace(self, rest=rest, joints=joints)

    def select(self, chosen: Int[Tensor, "chosen"]) -> Points:
        """Some of the points, in the given order."""
        parts, owner = chosen, None
        if self.owner is not None:
            owner, parts = (self.owner == chosen[:, None]).nonzero(as_tuple=True)
        return replace(
            self,
            weights=self.weights[parts],
            rest=self.rest[..., parts, :],
            shape_basis=self.shape_basis[parts],
            expression_basis=self.expression_basis[parts],
            pose_basis=self.pose_basis.unflatten(1, (3, -1))[..., parts].flatten(1),
            owner=owner,
            count=len(chosen),
        )

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Points:
        """On another device or in another precision."""
        moved = {
            name: value.to(device=device, dtype=dtype if value.is_floating_point() else None)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return replace(self, **moved)

    def positions(
        self, rotations: Float[Tensor, "frames joints 3 3"], translation: Float[Tensor, "frames 3"]
    ) -> Float[Tensor, "frames points 3"]:
        """Positions of the points, correctives included."""
        return pose_points(self, rotations, translation).positions

    def gather(self, parts: Float[Tensor, "... parts"]) -> Float[Tensor, "... points"]:
        """Sum the parts of each point, along the last axis."""
        if self.owner is None:
            return parts
        return parts.new_zeros(*parts.shape[:-1], self.count).index_add_(-1, self.owner, parts)

    def spread(self, points: Float[Tensor, "... points"]) -> Float[Tensor, "... parts"]:
        """Give every part its point's value, along the last axis."""
        return points if self.owner is None else points[..., self.owner]


@dataclass(frozen=True, eq=False)
class PosedPoints:
    """Points in a batch of poses, with the intermediate results that derivatives need.

    Attributes:
        world: [frames, joints, 3, 4] world rotations and positions of the joints.
        corrected: [frames, 3, parts] rest positions with correctives.
        blended: [frames, 3, 3, parts] sum of the weighted world rotations.
        by_coordinate: [frames, 3, points] the positions.
    """

    world: Tensor
    corrected: Tensor
    blended: Tensor
    by_coordinate: Tensor

    @property
    def positions(self) -> Float[Tensor, "frames points 3"]:
        """The positions, coordinates last."""
        return self.by_coordinate.transpose(1, 2)


def pose_points(points: Points, rotations: Tensor, translation: Tensor) -> PosedPoints:
    """Pose points by parent-relative rotations [frames, joints, 3, 3] and translations [frames, 3]."""
    world, at = forward_kinematics(rotations, points.joints, points.parents)
    at = at + translation[:, None]
    offsets = at - (world @ points.joints[..., None])[..., 0]
    entries = torch.cat([world, offsets[..., None]], -1).flatten(2).transpose(1, 2)  # [frames, 12, joints]
    blended = (entries @ points.weights.T).unflatten(1, (3, 4))
    corrected = points.rest.mT.expand(len(rotations), -1, -1)
    if len(points.pose_basis):
        features = (rotations[:, points.bending] - torch.eye(3).to(rotations)).flatten(1)
        corrected = torch.addmm(corrected.flatten(1), features, points.pose_basis).unflatten(1, (3, -1))
    out = torch.addcmul(blended[:, :, 3], blended[:, :, 0], corrected[:, :1])
    out.addcmul_(blended[:, :, 1], corrected[:, 1:2]).addcmul_(blended[:, :, 2], corrected[:, 2:])
    return PosedPoints(torch.cat([world, at[..., None]], -1), corrected, blended[:, :, :3], points.gather(out))


def choose_points(
    body: BodyModel,
    *,
    vertices: Int[Tensor, "chosen"] | None = None,
    regressor: Float[Tensor, "regressed vertices"] | None = None,
    joints: Int[Tensor, "chosen_joints"] | None = None,
) -> Points:
    """Points of a body to fit: vertices, then points of a regressor, then joints; no shape is applied yet."""
    groups = []
    if vertices is not None:
        groups.append(_vertex_points(body, vertices.to(body.device)))
    if regressor is not None:
        groups.append(_regressed_points(body, regressor))
    if joints is not None:
        groups.append(_joint_points(body, joints.to(body.device)))
    if not groups:
        raise UsageError("no points to fit", fix="give vertices, a regressor or joints")
    return _without_zero_correctives(groups[0] if len(groups) == 1 else _joined(groups))


def _without_zero_correctives(points: Points) -> Points:
    """Drop joints without correctives near these points: on the open body, most rows, which cost time in every step."""
    if not len(points.pose_basis):
        return points
    by_joint = points.pose_basis.unflatten(0, (-1, 9))
    kept = by_joint.flatten(1).any(1)
    return replace(points, pose_basis=by_joint[kept].flatten(0, 1), bending=points.bending[kept])


def _vertex_points(body: BodyModel, vertices: Tensor) -> Points:
    basis = body.template.new_zeros(0, 3 * len(vertices))
    if body.pose_basis is not None:
        basis = body.pose_basis.unflatten(1, (-1, 3))[:, vertices].transpose(1, 2).flatten(1).contiguous()
    regressor = body.joint_regressor
    return Points(
        weights=body.skin_weights[vertices],
        rest=body.template[vertices],
        shape_basis=body.shape_basis[vertices],
        expression_basis=body.expression_basis[vertices],
        pose_basis=basis,
        bending=torch.arange(1, body.num_joints, device=body.device),
        joints=regressor @ body.template,
        joints_shape=torch.einsum("jv,vcs->jcs", regressor, body.shape_basis),
        joints_expression=torch.einsum("jv,vce->jce", regressor, body.expression_basis),
        parents=body.skeleton.parents,
        owner=None,
        count=len(vertices),
    )


def _regressed_points(body: BodyModel, regressor: Tensor) -> Points:
    """One part for each point and joint that moves it."""
    dense = (regressor.to_dense() if regressor.layout != torch.strided else regressor).to(body.template)
    if dense.shape[1] != body.num_vertices:
        raise UsageError(
            f"the regressor does not fit body '{body.name}'",
            where=f"regressor has shape {tuple(dense.shape)}, expected [points, {body.num_vertices}]",
            fix="use a regressor made for this topology",
        )
    used = dense.ne(0).any(0).nonzero()[:, 0]
    skin = _vertex_points(body, used)
    shares = dense[:, used, None] * skin.weights  # [points, vertices, joints]
    total = shares.sum(1)
    # A share with total weight zero has no mean position; signed weights rarely cancel.
    owner, joint = (total.abs() > 1e-9).nonzero(as_tuple=True)
    share = shares[owner, :, joint] / total[owner, joint][:, None]  # [parts, vertices], rows sum to one
    weights = share.new_zeros(len(owner), body.num_joints)
    weights[torch.arange(len(owner)), joint] = total[owner, joint]
    basis = skin.pose_basis.unflatten(1, (3, -1)) @ share.T
    return replace(
        skin,
        weights=weights,
        rest=share @ skin.rest,
        shape_basis=torch.einsum("pv,vcs->pcs", share, skin.shape_basis),
        expression_basis=torch.einsum("pv,vce->pce", share, skin.expression_basis),
        pose_basis=basis.flatten(1),
        owner=owner,
        count=len(dense),
    )


def _joint_points(body: BodyModel, joints: Tensor) -> Points:
    none = _vertex_points(body, joints[:0])
    return replace(
        none,
        weights=torch.eye(body.num_joints).to(none.rest)[joints],
        rest=none.joints[joints],
        shape_basis=none.joints_shape[joints],
        expression_basis=none.joints_expression[joints],
        pose_basis=none.pose_basis.new_zeros(len(none.pose_basis), 3 * len(joints)),
        count=len(joints),
    )


def _joined(groups: list[Points]) -> Points:
    owners, before = [], 0
    for group in groups:
        own = torch.arange(group.count, device=group.rest.device) if group.owner is None else group.owner
        owners.append(own + before)
        before += group.count
    plain = all(group.owner is None for group in groups)
    names = ("weights", "rest", "shape_basis", "expression_basis")
    return replace(
        groups[0],
        **{name: torch.cat([getattr(group, name) for group in groups]) for name in names},
        pose_basis=torch.cat([group.pose_basis.unflatten(1, (3, -1)) for group in groups], -1).flatten(1),
        owner=None if plain else torch.cat(owners),
        count=before,
    )
