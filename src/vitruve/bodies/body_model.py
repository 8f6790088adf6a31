"""The body model: shape it once, pose it many times.

Rotations are parent-relative matrices, [*batch, joints, 3, 3]. Joint 0 rotates the body in the world, the identity is
a flat hand, and the root joint is at its rest position plus `translation`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vitruve.bodies.hands import HandSpace
from vitruve.bodies.kinematics import common_batch, flat_batch, forward_kinematics
from vitruve.bodies.skin import POSES_AT_A_TIME, SPLIT_LOCK, Skin, pose_skin, split_skin
from vitruve.errors import BadData, UsageError
from vitruve.skeletons import Skeleton
from vitruve.threads import one_torch_thread


class BodyModel(nn.Module):
    """A parametric body: template, shape and expression spaces, skeleton and skin. Holds no pose and no batch size.

    Attributes:
        name: the name in the catalogue, for example "smplx-neutral" or "open-smplh-female".
        layout: "smpl", "smplh", "smplx" or "mano": which skeleton and file layout it follows.
        gender: "neutral", "female" or "male" (for a hand: "left" or "right").
        template: [vertices, 3] mean shape at rest, metres, y up, facing +z, left = +x.
        shape_basis: [vertices, 3, betas].
        expression_basis: [vertices, 3, expressions]; no columns where the body has no face.
        pose_basis: [9 (joints - 1), vertices * 3] pose correctives over the entries of R - I, or None.
        hands: hand pose spaces by side, where the file has them.
        uv, uv_faces: [uv points, 2] and [faces, 3], or None.
        landmarks: (face indices [n], barycentric weights [n, 3]) of face landmarks, or None.
    """

    template: Tensor
    shape_basis: Tensor
    expression_basis: Tensor
    pose_basis: Tensor | None
    joint_regressor: Tensor
    skin_weights: Tensor
    faces: Tensor
    _joints_template: Tensor
    _joints_shape: Tensor
    _joints_expression: Tensor

    def __init__(  # noqa: PLR0913 (the fields of a body, by keyword)
        self,
        *,
        name: str,
        layout: str,
        gender: str,
        skeleton: Skeleton,
        template: Float[Tensor, "vertices 3"],
        shape_basis: Float[Tensor, "vertices 3 betas"],
        joint_regressor: Float[Tensor, "joints vertices"],
        skin_weights: Float[Tensor, "vertices joints"],
        faces: Int[Tensor, "faces 3"],
        expression_basis: Float[Tensor, "vertices 3 expressions"] | None = None,
        pose_basis: Float[Tensor, "features coordinates"] | None = None,
        hands: dict[str, HandSpace] | None = None,
        uv: Tensor | None = None,
        uv_faces: Tensor | None = None,
        landmarks: tuple[Tensor, Tensor] | None = None,
        licence: str = "",
    ) -> None:
        super().__init__()
        self.name, self.layout, self.gender, self.licence = name, layout, gender, licence
        self.skeleton, self.hands, self.landmarks = skeleton, hands or {}, landmarks
        self.uv, self.uv_faces = uv, uv_faces
        self._skin: Skin | None = None
        if expression_basis is None:
            expression_basis = template.new_zeros(len(template), 3, 0)
        self.register_buffer("template", template)
        self.register_buffer("shape_basis", shape_basis)
        self.register_buffer("expression_basis", expression_basis)
        self.register_buffer("pose_basis", pose_basis)
        self.register_buffer("joint_regressor", joint_regressor)
        self.register_buffer("skin_weights", skin_weights)
        self.register_buffer("faces", faces.long())
        self._check()
        # Joints are linear in betas and expression, so the regressor is applied to the bases once.
        with one_torch_thread():
            joints = joint_regressor @ template
            by_shape, by_expression = (
                torch.einsum("jv,vcs->jcs", joint_regressor, basis) for basis in (shape_basis, expression_basis)
            )
        self.register_buffer("_joints_template", joints, persistent=False)
        self.register_buffer("_joints_shape", by_shape, persistent=False)
        self.register_buffer("_joints_expression", by_expression, persistent=False)

    @property
    def make(self) -> str:
        """Its name in `Motion.body`: without the gender, which a motion stores separately.

        A hand ("mano-left") and a body from a user's own file ("mine#1f3a9c02") keep the whole name.
        """
        return self.name if self.layout == "mano" else self.name.removesuffix(f"-{self.gender}")

    @property
    def num_betas(self) -> int:
        """Columns of the shape basis."""
        return self.shape_basis.shape[-1]

    @property
    def num_expressions(self) -> int:
        """Columns of the expression basis."""
        return self.expression_basis.shape[-1]

    @property
    def num_joints(self) -> int:
        """Joints of the tree."""
        return len(self.skeleton)

    @property
    def joint_names(self) -> tuple[str, ...]:
        """The joints by names that are the same on all bodies: those of a hand say which hand it is."""
        hand = f"{self.gender}_" if self.layout == "mano" else ""
        return tuple(hand + name for name in self.skeleton.names)

    @property
    def num_vertices(self) -> int:
        """Vertices of the mesh."""
        return len(self.template)

    @property
    def dtype(self) -> torch.dtype:
        """The precision of all tensors; inputs are converted to it."""
        return self.template.dtype

    @property
    def device(self) -> torch.device:
        """The device of all tensors."""
        return self.template.device

    def extra_repr(self) -> str:
        return (
            f"{self.name}: {self.num_vertices} vertices, {self.num_joints} joints, {self.num_betas} betas, "
            f"{self.num_expressions} expressions"
        )

    def rest_rotations(self, *batch: int) -> Float[Tensor, "*batch joints 3 3"]:
        """Identity rotations for a batch: the rest pose with flat hands."""
        return torch.eye(3, dtype=self.dtype, device=self.device).expand(*batch, self.num_joints, 3, 3).clone()

    def shaped(self, betas: Tensor | None = None, expression: Tensor | None = None) -> ShapedBody:
        """Compute the shape once, for any number of poses. The result does not depend on the number of threads.

        Args:
            betas: [*batch, up to num_betas]; missing columns are zero, columns beyond the body's must be zero.
                The batch axes broadcast with those of the rotations posed later, aligned on the right.
            expression: [*batch, up to num_expressions], one row per frame or one for all; likewise.
        """
        rest, joints = self.template, self._joints_template
        if betas is not None:
            betas = self._coefficients(betas, self.num_betas, "betas")
            columns = betas.shape[-1]
            alone = betas.dim() == 1 and not torch.compiler.is_compiling()
            with one_torch_thread() if alone else nullcontext():
                rest = rest + torch.einsum("...s,vcs->...vc", betas, self.shape_basis[..., :columns])
                joints = joints + torch.einsum("...s,jcs->...jc", betas, self._joints_shape[..., :columns])
        if expression is not None:
            expression = self._coefficients(expression, self.num_expressions, "expression")
            basis = self._joints_expression[..., : expression.shape[-1]]
            joints = joints + torch.einsum("...e,jce->...jc", expression, basis)
        return ShapedBody(body=self, rest_vertices=rest, rest_joints=joints, expression=expression)

    def skin(self, vertices: Int[Tensor, "chosen"] | None = None) -> Skin:
        """The split skin of all vertices (cached) or of some."""
        if vertices is not None:
            basis = None
            if self.pose_basis is not None:
                basis = self.pose_basis.unflatten(1, (-1, 3)).index_select(1, vertices).flatten(1)
            weights, expression_basis = self.skin_weights[vertices], self.expression_basis[vertices]
            return split_skin(weights, basis, expression_basis, self.skeleton.parents)
        if self._skin is None:  # threads that draw may need it at the same time
            inputs = (self.skin_weights, self.pose_basis, self.expression_basis, self.skeleton.parents)
            with nullcontext() if torch.compiler.is_compiling() else SPLIT_LOCK:
                self._skin = self._skin or split_skin(*inputs)
        return self._skin

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> BodyModel:
        """Move the split skin too when the body changes device or precision."""
        super()._apply(fn, recurse)
        self._skin = None if self._skin is None else self._skin.map(fn)
        return self

    def _coefficients(self, values: Tensor, limit: int, what: str) -> Tensor:
        if values.dim() and values.shape[-1] > limit and not values[..., limit:].any():
            values = values[..., :limit]  # many files hold 300 betas of which ten are not zero
        if values.dim() < 1 or values.shape[-1] > limit:
            raise BadData(
                f"{values.shape[-1] if values.dim() else 'a single number'} {what} for body '{self.name}'",
                where=f"{what} has shape {tuple(values.shape)}, the body has {limit} columns",
                fix=f"give at most {limit}: {what}[..., :{limit}]",
            )
        return values.to(dtype=self.dtype, device=self.device)

    def _check(self) -> None:
        v, j = self.num_vertices, self.num_joints
        expected = {
            "template": (v, 3),
            "shape_basis": (v, 3, self.num_betas),
            "expression_basis": (v, 3, self.num_expressions),
            "joint_regressor": (j, v),
            "skin_weights": (v, j),
        }
        if self.pose_basis is not None:
            expected["pose_basis"] = (9 * (j - 1), 3 * v)
        for key, shape in expected.items():
            found = tuple(getattr(self, key).shape)
            if found != shape:
                raise BadData(
                    f"body '{self.name}': {key} has the wrong shape",
                    where=f"{key}: found {found}, expected {shape} for {v} vertices and {j} joints",
                    fix="check the file with `vitruve bodies check FILE`",
                )


@dataclass(frozen=True, eq=False)
class ShapedBody:
    """A body with a fixed shape: rest vertices and joints are computed, only posing is left.

    Attributes:
        rest_vertices: [*shape batch, vertices, 3] without expression.
        rest_joints: [*shape batch, joints, 3] with expression.
        expression: [*batch, expressions] or None; linear like the pose correctives, and applied with them.
        chosen: the skin of a subset of vertices, see `only`; None for all.
    """

    body: BodyModel
    rest_vertices: Tensor
    rest_joints: Tensor
    expression: Tensor | None
    chosen: Skin | None = None

    def __repr__(self) -> str:
        shapes = self.rest_vertices.shape[:-2]
        return f"ShapedBody({self.body.name}, {'one shape' if not shapes else f'shapes {list(shapes)}'})"

    def only(self, vertices: Int[Tensor, "chosen"], skin: Skin | None = None) -> ShapedBody:
        """The same body with a subset of its vertices, in the order given; only these are computed.

        `skin` is `body.skin(vertices)`, if the caller has it already.
        """
        skin = self.body.skin(vertices) if skin is None else skin
        return replace(self, rest_vertices=self.rest_vertices[..., vertices, :], chosen=skin)

    def of_frames(self, frames: Tensor | slice) -> ShapedBody:
        """Some frames of a body with an expression per frame; any other body is returned as it is."""
        if self.expression is None or self.expression.dim() < 2:
            return self
        return replace(self, expression=self.expression[frames], rest_joints=self.rest_joints[frames])

    def joints(
        self, rotations: Float[Tensor, "*batch joints 3 3"], translation: Float[Tensor, "*#batch 3"] | None = None
    ) -> Float[Tensor, "*batch joints 3"]:
        """Joint positions in metres."""
        return self.world_joints(rotations, translation)[1]

    def world_joints(
        self, rotations: Float[Tensor, "*batch joints 3 3"], translation: Float[Tensor, "*#batch 3"] | None = None
    ) -> tuple[Tensor, Tensor]:
        """World rotations [*batch, joints, 3, 3] and positions [*batch, joints, 3] of all joints."""
        rotations = self._accept(rotations)
        world, positions = forward_kinematics(rotations, self.rest_joints, self.body.skeleton.parents)
        if translation is not None:
            positions = positions + translation.to(positions)[..., None, :]
        return world, positions

    def vertices(
        self,
        rotations: Float[Tensor, "*batch joints 3 3"],
        translation: Float[Tensor, "*#batch 3"] | None = None,
        chunk: int | None = None,
    ) -> Float[Tensor, "*batch vertices 3"]:
        """Vertex positions in metres.

        Args:
            chunk: poses at a time; limits working memory. If the result itself does not fit in memory, use
                `vertex_chunks`.
        """
        return self._pose(rotations, translation, chunk)

    def vertex_chunks(
        self,
        rotations: Float[Tensor, "frames joints 3 3"],
        translation: Float[Tensor, "frames 3"] | None = None,
        chunk: int = POSES_AT_A_TIME,
    ) -> Iterator[Float[Tensor, "chunk vertices 3"]]:
        """Vertices of a long clip, one chunk of frames at a time, with the memory of one chunk.

        The shape must be the same for all frames; an expression per frame is split likewise.
        """
        for start in range(0, len(rotations), chunk):
            part = slice(start, start + chunk)
            shaped = self
            if self.expression is not None and self.expression.dim() == 2 and len(self.expression) == len(rotations):
                shaped = replace(self, expression=self.expression[part], rest_joints=self.rest_joints[part])
            yield shaped.vertices(rotations[part], None if translation is None else translation[part])

    def points(
        self,
        regressor: Float[Tensor, "points vertices"],
        rotations: Float[Tensor, "*batch joints 3 3"],
        translation: Float[Tensor, "*#batch 3"] | None = None,
        chunk: int | None = None,
    ) -> Float[Tensor, "*batch points 3"]:
        """Points of a linear regressor (dense or sparse); only the vertices it uses are posed."""
        if tuple(regressor.shape[1:]) != (self.body.num_vertices,):
            raise BadData(
                f"the regressor does not fit body '{self.body.name}'",
                where=f"regressor has shape {tuple(regressor.shape)}, expected [points, {self.body.num_vertices}]",
                fix="use a regressor made for this topology",
            )
        dense = regressor.to_dense() if regressor.layout != torch.strided else regressor
        used = dense.ne(0).any(0).nonzero()[:, 0]
        weights = dense[:, used].to(dtype=self.body.dtype, device=self.body.device)
        return weights @ self.only(used.to(self.body.device)).vertices(rotations, translation, chunk)

    def _accept(self, rotations: Tensor) -> Tensor:
        j = self.body.num_joints
        if rotations.dim() < 3 or tuple(rotations.shape[-3:]) != (j, 3, 3):
            raise UsageError(
                f"the rotations do not fit body '{self.body.name}'",
                where=f"rotations have shape {tuple(rotations.shape)}, expected [*batch, {j}, 3, 3]",
                fix=_joint_count_hint(rotations),
            )
        return rotations.to(dtype=self.body.dtype, device=self.body.device)

    def _pose(self, rotations: Tensor, translation: Tensor | None, chunk: int | None) -> Tensor:
        """Skin the vertices in chunks of poses; working memory is that of one chunk."""
        body, rotations = self.body, self._accept(rotations)
        skin, rest = self.chosen or body.skin(), self.rest_vertices
        translation = rotations.new_zeros(3) if translation is None else translation.to(rotations)
        expression = rotations.new_zeros(0) if self.expression is None else self.expression
        inputs = ((rotations, 3), (translation, 1), (rest, 2), (self.rest_joints, 2), (expression, 1))
        batch = common_batch(*(value.shape[: value.dim() - own] for value, own in inputs))
        flat = [flat_batch(value, own, batch) for value, own in inputs]
        step = max(1, chunk or POSES_AT_A_TIME)
        out = [rest.new_zeros(0, rest.shape[-2], 3)]
        for start in range(0, math.prod(batch), step):
            part = [value if len(value) == 1 else value[start : start + step] for value in flat]
            out.append(_skin_chunk(body, skin, *part))
        return torch.cat(out).reshape(*batch, rest.shape[-2], 3)


def _skin_chunk(
    body: BodyModel,
    skin: Skin,
    rotations: Tensor,
    translation: Tensor,
    rest: Tensor,
    rest_joints: Tensor,
    expression: Tensor,
) -> Tensor:
    world, positions = forward_kinematics(rotations, rest_joints, body.skeleton.parents)
    # A rest point x bound to joint i moves to R_i x + o_i with o_i = p_i - R_i J_i.
    offsets = positions + translation[:, None] - (world @ rest_joints[..., None])[..., 0]
    transforms = torch.cat([world.expand(*offsets.shape, 3), offsets[..., None]], -1)
    poses = max(len(transforms), len(rest), len(expression))
    features = (rotations[:, 1:] - torch.eye(3, dtype=body.dtype, device=body.device)).flatten(1)
    return pose_skin(
        skin,
        transforms.expand(poses, -1, -1, -1),
        features.expand(poses, -1),
        expression.expand(poses, -1) if expression.shape[1] else None,
        rest if len(rest) > 1 else rest[0],
    )


def _joint_count_hint(rotations: Tensor) -> str:
    layouts, joints = {24: "smpl", 52: "smplh", 55: "smplx", 16: "mano"}, rotations.shape[-3:-2].numel()
    if rotations.dim() >= 3 and joints in layouts:
        return f"{joints} joints are the layout '{layouts[joints]}': load a body of that layout, or convert the motion"
    return "give one parent-relative rotation matrix per joint of body.skeleton"
