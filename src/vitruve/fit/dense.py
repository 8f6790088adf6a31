"""Levenberg-Marquardt with full Jacobians, in batches, on any device.

Slower than the compiled step but general: any point term, the correctives' derivatives, and the shape, which all frames
share (each frame's own unknowns are eliminated by a Schur complement). It solves the shape on key frames, retries
failed frames, and does all fits on a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.fit.gradual import rise
from vitruve.fit.points import Points, PosedPoints, pose_points
from vitruve.fit.terms import PointPull, PointTerm, RotationPull, RotationTerm, total_point_pull, total_pull
from vitruve.geometry.rotations import axis_angle_to_matrix, cross_matrix

_START_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-4, 1e-9, 1e8
_PER_FRAME = ("rotations", "translation", "expression")  # fields of a pose; the betas are shared


@dataclass(frozen=True, eq=False)
class Pose:
    """The unknowns of a dense fit.

    Attributes:
        rotations: [frames, joints, 3, 3] parent-relative.
        translation: [frames, 3].
        betas: [betas] shared by all frames; may be of length zero.
        expression: [frames, expressions]; may have no columns.
    """

    rotations: Tensor
    translation: Tensor
    betas: Tensor
    expression: Tensor

    @staticmethod
    def of(
        rotations: Tensor, translation: Tensor, betas: Tensor | None = None, expression: Tensor | None = None
    ) -> Pose:
        """A pose whose betas or expression may be missing."""
        none = rotations.new_zeros(0)
        return Pose(
            rotations,
            translation,
            none if betas is None else betas.to(rotations),
            none.expand(len(rotations), 0) if expression is None else expression.to(rotations),
        )


@dataclass(frozen=True, eq=False)
class Unknowns:
    """Which parts of a `Pose` a dense fit may change.

    Attributes:
        joints: [joints] True where a joint is free; None for all.
        betas: the shape, shared by all frames.
        expression: per frame.
        ridge: regularisation of the betas: one standard deviation costs the square of this many metres.
        expression_ridge: the same for the expression.
    """

    joints: Tensor | None = None
    betas: bool = False
    expression: bool = False
    ridge: float = 0.0
    expression_ridge: float = 1e-3

    def free(self, pose: Pose) -> Tensor:
        """Indices of the free joints."""
        device = pose.rotations.device
        if self.joints is None:
            return torch.arange(pose.rotations.shape[1], device=device)
        return self.joints.to(device).nonzero()[:, 0]


@dataclass(frozen=True, eq=False)
class DenseFit:
    """The result of a dense fit.

    Attributes:
        pose: the best pose.
        energy: [frames] of all terms.
        error: [frames] square root of the point terms' energy, metres.
    """

    pose: Pose
    energy: Tensor
    error: Tensor


def fit_dense(
    points: Points,
    terms: tuple[PointTerm, ...],
    start: Pose,
    *,
    unknowns: Unknowns | None = None,
    rotation_terms: tuple[RotationTerm, ...] = (),
    frames: Tensor | None = None,
    iterations: int = 30,
    tolerance: float = 1e-5,
    enough: float = 1e-14,
) -> DenseFit:
    """Minimise terms on points and rotations from an initial pose.

    Args:
        points: without shape; the pose's betas and expression are applied here.
        terms: on the points; their frames are those of the initial pose.
        start: the initial pose.
        unknowns: what may change; by default rotations and translation.
        rotation_terms: on the rotations.
        frames: indices of these frames in the clip, for the rotation terms.
        iterations: maximum steps.
        tolerance: a frame is done when a step lowers its energy by less than this fraction; all together if they share
            unknowns.
        enough: energy (square metres) below which a frame is done.
    """
    count, pose = len(start.rotations), start
    every = torch.arange(count, device=start.rotations.device)
    system = _System(points, terms, rotation_terms, unknowns or Unknowns(), every if frames is None else frames)
    shared = system.unknowns.betas
    energy, point_energy = system.energy(pose)
    damping, share = torch.full_like(energy, _START_DAMPING), torch.ones_like(energy)
    left = torch.ones(count, dtype=torch.bool, device=energy.device)
    for _ in range(iterations):
        rows = every if shared else left.nonzero()[:, 0]
        part = pose if shared else _rows(pose, rows)
        own_step, shared_step = system.step(part, rows, damping[rows])
        trial = system.moved(part, own_step * share[rows, None], shared_step * share[:1])
        new, new_point = system.energy(trial, rows)
        old = energy[rows]
        if shared:
            gained = ((old.sum() - new.sum()) / old.sum().clamp_min(1e-30)).expand_as(new)
        else:
            gained = (old - new) / old.clamp_min(1e-30)
        better = gained > -tolerance  # where nothing is left to gain, its sign is rounding
        pose = _put(pose, rows, trial, better, shared)
        energy[rows] = torch.where(better, new, old)
        point_energy[rows] = torch.where(better, new_point, point_energy[rows])
        held = damping[rows]
        damping[rows] = torch.where(better, held * 0.1, held * 10).clamp(_LEAST_DAMPING, None)
        left_over = new.mean().expand_as(new) if shared else new
        share[rows] *= torch.where(better, rise(gained, tolerance, 3 * tolerance), 1.0)
        done = torch.where(better, (share[rows] == 0) | (left_over < enough), damping[rows] > _MOST_DAMPING)
        left[rows] = ~done
        if not left.any():
            break
    return DenseFit(pose, energy, point_energy.sqrt())


def _rows(pose: Pose, rows: Tensor) -> Pose:
    return replace(pose, **{name: getattr(pose, name)[rows] for name in _PER_FRAME})


def _put(pose: Pose, rows: Tensor, trial: Pose, better: Tensor, shared: bool) -> Pose:
    """The pose with the improved frames of the trial; all or none if frames share unknowns."""
    if shared:
        return trial if bool(better[0]) else pose
    which = (rows[better],)
    return replace(
        pose, **{name: getattr(pose, name).index_put(which, getattr(trial, name)[better]) for name in _PER_FRAME}
    )


@dataclass(frozen=True, eq=False)
class _System:
    """The terms, and the normal equations of their sum. `frames` are indices in the clip, for the rotation terms."""

    points: Points
    terms: tuple[PointTerm, ...]
    rotation_terms: tuple[RotationTerm, ...]
    unknowns: Unknowns
    frames: Tensor

    def posed(self, pose: Pose) -> tuple[Points, PosedPoints]:
        """The shaped points, and the same posed."""
        shaped = self.points.shaped(pose.betas, pose.expression)
        return shaped, pose_points(shaped, pose.rotations, pose.translation)

    def rotation_pull(self, pose: Pose, rows: Tensor | None) -> RotationPull | None:
        """The sum of the rotation terms."""
        return total_pull(self.rotation_terms, pose.rotations, self.frames if rows is None else self.frames[rows])

    def energy(self, pose: Pose, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The energy of each frame in float64: of all terms, and of the point terms alone."""
        _, posed = self.posed(pose)
        at_points = sum(term.pull(posed.positions, rows).energy.double() for term in self.terms)
        out = at_points + self.unknowns.ridge**2 * pose.betas.double().square().sum()
        out = out + self.unknowns.expression_ridge**2 * pose.expression.double().square().sum(-1)
        extra = self.rotation_pull(pose, rows)
        if extra is not None:
            out = out + extra.energy.double()
        return out.nan_to_num(torch.inf), at_points  # type: ignore[return-value]

    def step(self, pose: Pose, rows: Tensor, damping: Tensor) -> tuple[Tensor, Tensor]:
        """The damped Gauss-Newton step: [frames, own unknowns] and [shared unknowns], in float64."""
        shaped, posed = self.posed(pose)
        unknowns, free = self.unknowns, self.unknowns.free(pose)
        pull = total_point_pull([term.pull(posed.positions, rows) for term in self.terms])
        own = torch.cat([_shift_rows(posed), turn_rows(shaped, posed, pose.rotations, free).flatten(1, 2)], 1)
        if unknowns.expression:
            own = torch.cat([own, linear_rows(shaped, posed, shaped.expression_basis, shaped.joints_expression)], 1)
        bent = _bend(pull.curvature, own)
        matrix, right = _products(own, bent), _products(own, pull.slope.mT[:, None])[..., 0]
        # Damp the three axes of each rotation alike, so that the damping does not depend on the axes.
        diagonal = matrix.diagonal(dim1=1, dim2=2)
        turns, faces = slice(3, 3 + 3 * len(free)), slice(3 + 3 * len(free), None)
        lift = diagonal.clone()
        lift[:, turns] = diagonal[:, turns].unflatten(1, (-1, 3)).mean(-1).repeat_interleave(3, 1)
        diagonal += lift * damping[:, None] + 1e-10
        extra = self.rotation_pull(pose, rows)
        upper = parent_rotations(posed.world, self.points.parents)
        if extra is not None:
            _add_rotation_pull(matrix, right, extra, pose.rotations, upper, free)
        if unknowns.expression:
            diagonal[:, faces] += unknowns.expression_ridge**2
            right[:, faces] -= unknowns.expression_ridge**2 * pose.expression.double()
        factor, _ = torch.linalg.cholesky_ex(matrix)
        if unknowns.betas:
            betas = len(pose.betas)
            shared = linear_rows(shaped, posed, shaped.shape_basis[..., :betas], shaped.joints_shape[..., :betas])
            own_step, shared_step = _shared_step(shared, pull, bent, pose.betas, unknowns.ridge, factor, right, damping)
        else:
            own_step, shared_step = torch.cholesky_solve(right[..., None], factor)[..., 0], right.new_zeros(0)
        # From rotations in the world to rotations in each parent's frame, as stored.
        to_parent = upper[:, free].double().mT
        own_step[:, turns] = (to_parent @ own_step[:, turns].unflatten(1, (-1, 3, 1))).flatten(1)
        return own_step, shared_step

    def moved(self, pose: Pose, own: Tensor, shared: Tensor) -> Pose:
        """The pose after a step."""
        free = self.unknowns.free(pose)
        turns = own.new_zeros(*pose.rotations.shape[:2], 3)
        turns[:, free] = own[:, 3 : 3 + 3 * len(free)].unflatten(1, (-1, 3))
        rotations = (axis_angle_to_matrix(turns) @ pose.rotations.double()).to(pose.rotations)
        expression, betas = pose.expression, pose.betas
        if self.unknowns.expression:
            expression = expression + own[:, 3 + 3 * len(free) :].to(expression)
        if self.unknowns.betas:
            betas = betas + shared.to(betas)
        return Pose(rotations, pose.translation + own[:, :3].to(pose.translation), betas, expression)


def _shared_step(
    shared: Tensor,
    pull: PointPull,
    bent: Tensor,
    betas: Tensor,
    ridge: float,
    factor: Tensor,
    right: Tensor,
    damping: Tensor,
) -> tuple[Tensor, Tensor]:
    """Solve for the shared unknowns with each frame's own ones eliminated, then for those."""
    across = _products(bent, shared)
    matrix = _products(shared, _bend(pull.curvature, shared))
    below = _products(shared, pull.slope.mT[:, None])[..., 0]
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    diagonal += diagonal * damping[:, None] + 1e-10
    diagonal += ridge**2
    below -= ridge**2 * betas.double()
    solved = torch.cholesky_solve(torch.cat([across, right[..., None]], -1), factor)
    by_shared, alone = solved[..., :-1], solved[..., -1]
    schur = (matrix - across.mT @ by_shared).sum(0)
    rest = (below - torch.einsum("fus,fu->fs", across, alone)).sum(0)
    change = torch.linalg.solve(schur, rest)
    return alone - by_shared @ change, change


def turn_rows(
    points: Points, posed: PosedPoints, rotations: Float[Tensor, "frames joints 3 3"], free: Tensor
) -> Float[Tensor, "frames free 3 3 points"]:
    """Derivative of the positions (coordinates, points) by small rotations of joints about the world axes.

    Correctives are included.
    """
    turned, at = posed.world[..., :3], posed.world[..., 3]
    below = ancestors(points.parents).to(rotations)[:, free]  # [joints, free: the joint itself or above it]
    offsets = at - (turned @ points.joints[..., None])[..., 0]
    arms = torch.einsum("fjab,fbp->fajp", turned, posed.corrected) + offsets.mT[..., None]
    arms = below.T @ (arms * points.weights.T)  # summed over each joint's subtree: [frames, 3, free, parts]
    arms -= at[:, free].mT[..., None] * (below.T @ points.weights.T)
    out = arms.new_zeros(len(arms), len(free), 3, 3, arms.shape[-1])
    for axis in range(3):
        # The unit axis times the arm.
        second, third = (axis + 1) % 3, (axis + 2) % 3
        out[:, :, axis, second] = -arms[:, third]
        out[:, :, axis, third] = arms[:, second]
    if len(points.pose_basis):
        bends = torch.isin(free, points.bending)
        bending = free[bends]
        upper = parent_rotations(turned, points.parents)[:, bending]
        by_turn = entries_by_turn(rotations[:, bending]) @ upper.mT  # [frames, bending, 9, 3]
        basis = points.pose_basis.unflatten(0, (-1, 9))[torch.searchsorted(points.bending, bending)]
        at_rest = (by_turn.permute(1, 0, 3, 2).flatten(1, 2) @ basis).unflatten(1, (-1, 3)).unflatten(3, (3, -1))
        at_rest = at_rest.transpose(0, 1)  # [frames, bending, 3, 3, parts]
        out[:, bends] += _blend(posed, at_rest.flatten(1, 2)).unflatten(1, (-1, 3))
    return points.gather(out)


def linear_rows(
    points: Points, posed: PosedPoints, basis: Tensor, joints_basis: Tensor
) -> Float[Tensor, "frames n 3 points"]:
    """Derivative of the positions by coefficients of a basis [parts, 3, n] that moves the joints by [joints, 3, n]."""
    turned = posed.world[..., :3]
    bones = joints_basis.clone()
    bones[1:] -= joints_basis[list(points.parents[1:])]
    steps = parent_rotations(turned, points.parents) @ bones
    at = torch.einsum("jk,fkan->fjan", ancestors(points.parents).to(steps), steps) - turned @ joints_basis
    out = at.permute(0, 3, 2, 1) @ points.weights.T
    return points.gather(out + _blend(posed, basis.permute(2, 1, 0)[None]))


def _blend(posed: PosedPoints, at_rest: Tensor) -> Tensor:
    """Displacements at rest [frames or 1, n, 3, parts], rotated by the blended rotations."""
    by = posed.blended[:, None]
    out = by[:, :, :, 0] * at_rest[:, :, :1]
    return out.addcmul_(by[:, :, :, 1], at_rest[:, :, 1:2]).addcmul_(by[:, :, :, 2], at_rest[:, :, 2:])


def ancestors(parents: tuple[int, ...]) -> Tensor:
    """[joints, joints]: one where the second joint is the first or its ancestor."""
    out = torch.eye(len(parents))
    for joint, parent in enumerate(parents):
        if parent >= 0:
            out[joint] += out[parent]
    return out


def parent_rotations(world: Float[Tensor, "frames joints 3 n"], parents: tuple[int, ...]) -> Tensor:
    """World rotations of the parents, [frames, joints, 3, 3]; the identity above the root."""
    out = world[:, list(parents), :, :3]
    out[:, 0] = torch.eye(3).to(world)
    return out


def entries_by_turn(rotations: Float[Tensor, "frames joints 3 3"]) -> Float[Tensor, "frames joints 9 3"]:
    """Derivative of the entries of rotations (row by row) by a small rotation from the left."""
    axes = cross_matrix(torch.eye(3).to(rotations))
    return torch.einsum("nab,fjbc->fjacn", axes, rotations).flatten(2, 3)


def _shift_rows(posed: PosedPoints) -> Tensor:
    frames, _, count = posed.by_coordinate.shape
    return torch.eye(3).to(posed.by_coordinate)[..., None].expand(frames, 3, 3, count)


def _bend(curvature: Tensor, rows: Tensor) -> Tensor:
    """Half the second derivative of the point terms applied to rows [frames, n, 3, points]."""
    if curvature.dim() == 2:
        return curvature[:, None, None] * rows
    return torch.einsum("fpab,fnbp->fnap", curvature, rows)


def _products(a: Tensor, b: Tensor) -> Tensor:
    """All scalar products of rows [frames, n, 3, points] with rows [frames, m, 3, points], in float64."""
    return (a.flatten(2) @ b.flatten(2).mT).double()


def _add_rotation_pull(
    matrix: Tensor, right: Tensor, pull: RotationPull, rotations: Tensor, upper: Tensor, free: Tensor
) -> None:
    """Add rotation terms to the normal equations of turns, in place; from the parents' frames to the world."""
    slope = upper @ torch.einsum("fjen,fje->fjn", entries_by_turn(rotations), pull.slope.flatten(2))[..., None]
    right[:, 3 : 3 + 3 * len(free)] -= 0.5 * slope[:, free].flatten(1).double()
    bent = (upper @ pull.curvature @ upper.mT)[:, free].double()
    for place in range(len(free)):
        rows = slice(3 + 3 * place, 6 + 3 * place)
        matrix[:, rows, rows] += bent[:, place]
