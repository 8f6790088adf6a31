"""Levenberg-Marquardt with full Jacobians, in batches, on any device.

The general way, and the slower one: any point term, the correctives' derivatives in the matrix, and unknowns that
frames share (shape, scale), which are solved with each frame's own unknowns eliminated (Schur complement). It is the
twin that the compiled step is tested against, the second try for frames that failed, the shape solve on key frames, and
what runs on a graphics processor.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.fit.points import Points, PosedPoints, pose_points
from vitruve.fit.terms import PointPull, PointTerm, RotationPull, RotationTerm, total_pull
from vitruve.geometry.rotations import axis_angle_to_matrix, cross_matrix

_START_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-4, 1e-9, 1e8


@dataclass(frozen=True, eq=False)
class Pose:
    """What a dense fit finds. All frames share betas and scale.

    Attributes:
        rotations: [frames, joints, 3, 3] parent-relative.
        translation: [frames, 3].
        betas: [betas]; may be of length zero.
        expression: [frames, expressions]; may have no columns.
        scale: one number.
    """

    rotations: Tensor
    translation: Tensor
    betas: Tensor
    expression: Tensor
    scale: Tensor

    @staticmethod
    def of(
        rotations: Tensor, translation: Tensor, betas: Tensor | None = None, expression: Tensor | None = None
    ) -> Pose:
        """A start, with scale one."""
        none = rotations.new_zeros(0)
        return Pose(
            rotations,
            translation,
            none if betas is None else betas.to(rotations),
            none.expand(len(rotations), 0) if expression is None else expression.to(rotations),
            rotations.new_ones(()),
        )


@dataclass(frozen=True, eq=False)
class Unknowns:
    """Which parts of a `Pose` a dense fit may change.

    Attributes:
        joints: [joints] True where a joint may turn; all where None.
        betas: the shape, shared by all frames.
        scale: the size, shared by all frames.
        expression: per frame.
        ridge: pull of the betas to zero: a shape of one standard deviation costs the square of this many metres.
        expression_ridge: the same for the expression.
    """

    joints: Tensor | None = None
    betas: bool = False
    scale: bool = False
    expression: bool = False
    ridge: float = 0.0
    expression_ridge: float = 1e-3

    @property
    def shared(self) -> bool:
        """Whether frames share an unknown, and so are judged together."""
        return self.betas or self.scale


@dataclass(frozen=True, eq=False)
class DenseFit:
    """The result of a dense fit.

    Attributes:
        pose: the best found.
        energy: [frames] of all terms.
        error: [frames] of the point terms, as a root: metres.
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
) -> DenseFit:
    """Minimise terms on points and rotations from a start.

    Args:
        points: with the shape open; the pose's betas, expression and scale are put in here.
        terms: on the points; their frames are those of the start.
        start: where to begin.
        unknowns: what may change; rotations and translation where not given.
        rotation_terms: on the rotations.
        frames: rows of the clip that these frames are, for the rotation terms.
        iterations: most steps.
        tolerance: a frame is done when a step lowers its energy by less than this part; all together if they share.
    """
    unknowns = unknowns or Unknowns()
    count = len(start.rotations)
    frames = torch.arange(count, device=start.rotations.device) if frames is None else frames
    pose = start
    energy, point_energy = _energy(points, terms, rotation_terms, pose, unknowns, frames)
    damping = torch.full_like(energy, _START_DAMPING)
    left = torch.ones(count, dtype=torch.bool, device=energy.device)
    for _ in range(iterations):
        rows = torch.arange(count, device=energy.device) if unknowns.shared else left.nonzero()[:, 0]
        part = pose if unknowns.shared else _rows(pose, rows)
        step = _step(points, terms, rotation_terms, part, unknowns, frames[rows], rows, damping[rows])
        trial = _moved(part, step, unknowns)
        new, new_point = _energy(points, terms, rotation_terms, trial, unknowns, frames[rows], rows)
        old = energy[rows]
        if unknowns.shared:
            better = (new.sum() < old.sum()).expand_as(new)
            gained = ((old.sum() - new.sum()) / old.sum().clamp_min(1e-30)).expand_as(new)
        else:
            better, gained = new < old, (old - new) / old.clamp_min(1e-30)
        pose = _put(pose, rows, trial, better, unknowns.shared)
        energy[rows] = torch.where(better, new, old)
        point_energy[rows] = torch.where(better, new_point, point_energy[rows])
        held = damping[rows]
        damping[rows] = torch.where(better, held * 0.1, held * 10).clamp(_LEAST_DAMPING, None)
        done = torch.where(better, gained < tolerance, damping[rows] > _MOST_DAMPING)
        left[rows] = ~done
        if not left.any():
            break
    return DenseFit(pose, energy, point_energy.sqrt())


def _rows(pose: Pose, rows: Tensor) -> Pose:
    return replace(
        pose, rotations=pose.rotations[rows], translation=pose.translation[rows], expression=pose.expression[rows]
    )


def _put(pose: Pose, rows: Tensor, trial: Pose, better: Tensor, shared: bool) -> Pose:
    """The pose with the better of the trial's frames; all or none where something is shared."""
    if shared:
        return trial if bool(better[0]) else pose
    which = rows[better]
    names = ("rotations", "translation", "expression")
    fields = {name: getattr(pose, name).index_put((which,), getattr(trial, name)[better]) for name in names}
    return replace(pose, **fields)


def _posed(points: Points, pose: Pose) -> tuple[Points, PosedPoints]:
    shaped = points.shaped(pose.betas, pose.expression, pose.scale)
    return shaped, pose_points(shaped, pose.rotations, pose.translation)


def _energy(
    points: Points,
    terms: tuple[PointTerm, ...],
    rotation_terms: tuple[RotationTerm, ...],
    pose: Pose,
    unknowns: Unknowns,
    frames: Tensor,
    rows: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The energy of each frame, in double precision: all terms, and the point terms alone."""
    _, posed = _posed(points, pose)
    at_points = sum(term.pull(posed.positions, rows).energy.double() for term in terms)
    out = at_points + unknowns.ridge**2 * pose.betas.double().square().sum()
    out = out + unknowns.expression_ridge**2 * pose.expression.double().square().sum(-1)
    extra = total_pull(rotation_terms, pose.rotations, frames)
    if extra is not None:
        out = out + extra.energy.double()
    return out.nan_to_num(torch.inf), at_points  # type: ignore[return-value]


def _step(
    points: Points,
    terms: tuple[PointTerm, ...],
    rotation_terms: tuple[RotationTerm, ...],
    pose: Pose,
    unknowns: Unknowns,
    frames: Tensor,
    rows: Tensor,
    damping: Tensor,
) -> tuple[Tensor, Tensor]:
    """The damped Gauss-Newton step: [frames, own unknowns] and [shared unknowns], in double precision."""
    joints = pose.rotations.shape[1]
    shaped, posed = _posed(points, pose)
    free = torch.ones(joints, dtype=torch.bool) if unknowns.joints is None else unknowns.joints
    free = free.to(pose.rotations.device).nonzero()[:, 0]
    columns = [_translation_columns(posed), turn_columns(shaped, posed, pose.rotations)[:, :, :, free].flatten(3)]
    if unknowns.expression:
        columns.append(linear_columns(shaped, posed, shaped.expression_basis, shaped.joints_expression))
    own = torch.cat(columns, -1)
    matrix, right, bent = 0.0, 0.0, []
    pulls = [term.pull(posed.positions, rows) for term in terms]
    for pull in pulls:
        bent.append(_bend(pull.curvature, own))
        matrix = matrix + (own.flatten(1, 2).mT @ bent[-1].flatten(1, 2)).double()
        right = right + torch.einsum("fpau,fpa->fu", own, pull.slope).double()
    assert isinstance(matrix, Tensor) and isinstance(right, Tensor)
    # Lift each turn's three directions alike, so that the damping does not depend on the axes.
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    turns = diagonal[:, 3 : 3 + 3 * len(free)].unflatten(1, (-1, 3)).mean(-1).repeat_interleave(3, 1)
    lift = torch.cat([diagonal[:, :3], turns, diagonal[:, 3 + 3 * len(free) :]], 1) * damping[:, None] + 1e-10
    matrix = matrix + torch.diag_embed(lift)
    extra = total_pull(rotation_terms, pose.rotations, frames)
    if extra is not None:
        _add_rotation_pull(matrix, right, extra, pose.rotations, free)
    if unknowns.expression:
        width = pose.expression.shape[1]
        matrix.diagonal(dim1=1, dim2=2)[:, -width:] += unknowns.expression_ridge**2
        right[:, -width:] -= unknowns.expression_ridge**2 * pose.expression.double()
    factor, _ = torch.linalg.cholesky_ex(matrix)
    if not unknowns.shared:
        return torch.cholesky_solve(right[..., None], factor)[..., 0], right.new_zeros(0)
    return _shared_step(shaped, posed, pose, unknowns, pulls, bent, factor, right, damping)


def _shared_step(
    shaped: Points,
    posed: PosedPoints,
    pose: Pose,
    unknowns: Unknowns,
    pulls: list[PointPull],
    bent: list[Tensor],
    factor: Tensor,
    right: Tensor,
    damping: Tensor,
) -> tuple[Tensor, Tensor]:
    """Solve for what frames share with each frame's own unknowns eliminated, then for those."""
    betas = len(pose.betas) if unknowns.betas else 0
    columns = []
    if betas:
        columns.append(linear_columns(shaped, posed, shaped.shape_basis[..., :betas], shaped.joints_shape[..., :betas]))
    if unknowns.scale:
        columns.append(((posed.positions - pose.translation[:, None]) / pose.scale)[..., None])
    shared = torch.cat(columns, -1)
    across, matrix, below = 0.0, 0.0, 0.0
    for pull, own in zip(pulls, bent):
        flat = shared.flatten(1, 2)
        across = across + (own.flatten(1, 2).mT @ flat).double()
        matrix = matrix + (flat.mT @ _bend(pull.curvature, shared).flatten(1, 2)).double()
        below = below + torch.einsum("fpas,fpa->fs", shared, pull.slope).double()
    assert isinstance(across, Tensor) and isinstance(matrix, Tensor) and isinstance(below, Tensor)
    matrix = matrix + torch.diag_embed(matrix.diagonal(dim1=1, dim2=2) * damping[:, None] + 1e-10)
    matrix.diagonal(dim1=1, dim2=2)[:, :betas] += unknowns.ridge**2
    below[:, :betas] -= unknowns.ridge**2 * pose.betas[:betas].double()
    solved = torch.cholesky_solve(torch.cat([across, right[..., None]], -1), factor)
    by_shared, alone = solved[..., :-1], solved[..., -1]
    schur = (matrix - across.mT @ by_shared).sum(0)
    rest = (below - torch.einsum("fus,fu->fs", across, alone)).sum(0)
    change = torch.linalg.lstsq(schur, rest[:, None]).solution[:, 0]
    return alone - by_shared @ change, change


def _moved(pose: Pose, step: tuple[Tensor, Tensor], unknowns: Unknowns) -> Pose:
    own, shared = step
    joints = pose.rotations.shape[1]
    free = torch.ones(joints, dtype=torch.bool) if unknowns.joints is None else unknowns.joints
    turns = own.new_zeros(len(own), joints, 3)
    turns[:, free.to(own.device)] = own[:, 3 : 3 + 3 * int(free.sum())].unflatten(1, (-1, 3))
    rotations = (axis_angle_to_matrix(turns) @ pose.rotations.double()).to(pose.rotations)
    width = pose.expression.shape[1] if unknowns.expression else 0
    expression = pose.expression + own[:, own.shape[1] - width :].to(pose.expression) if width else pose.expression
    betas, scale = pose.betas, pose.scale
    if unknowns.betas:
        betas = betas + shared[: len(betas)].to(betas)
    if unknowns.scale:
        scale = scale * (shared[-1] / scale).exp().to(scale)
    return Pose(rotations, pose.translation + own[:, :3].to(pose.translation), betas, expression, scale)


def turn_columns(
    points: Points, posed: PosedPoints, rotations: Float[Tensor, "frames joints 3 3"]
) -> Float[Tensor, "frames points 3 joints 3"]:
    """Derivative of the positions by small turns of the joints, each in its parent's frame, correctives included."""
    turned, at = posed.world[..., :3], posed.world[..., 3]
    below = ancestors(points.parents).to(rotations)  # [joints, their ancestors or self]
    offsets = at - (turned @ points.joints[..., None])[..., 0]
    arms = torch.einsum("fjab,fbp->fajp", turned, posed.corrected) + offsets.mT[..., None]
    arms = below.T @ (arms * points.weights.T)  # what hangs on each joint, summed: [frames, 3, joints, parts]
    arms = arms - at.mT[..., None] * (below.T @ points.weights.T)
    upper = parent_rotations(turned, points.parents)
    # omega x arm, omega = upper @ turn: the columns are upper's columns crossed with the arm.
    out = torch.linalg.cross(upper.permute(0, 2, 1, 3)[:, :, :, None], arms[..., None].expand(*arms.shape, 3), dim=1)
    if len(points.pose_basis):
        out[:, :, 1:] += _corrective_columns(points, posed, rotations)
    out = points.gather(out.movedim(3, -1)).movedim(-1, 3)
    return out.permute(0, 3, 1, 2, 4)


def _corrective_columns(points: Points, posed: PosedPoints, rotations: Tensor) -> Tensor:
    """What turns do through the correctives: [frames, 3, joints - 1, parts, 3]."""
    by_turn = entries_by_turn(rotations[:, 1:])  # [frames, joints - 1, 9, 3]
    basis = points.pose_basis.unflatten(0, (-1, 9)).unflatten(2, (3, -1))  # [joints - 1, 9, 3, parts]
    at_rest = torch.einsum("jebp,fjen->fbjpn", basis, by_turn)
    return torch.einsum("fabp,fbjpn->fajpn", posed.blended, at_rest)


def linear_columns(
    points: Points, posed: PosedPoints, basis: Tensor, joints_basis: Tensor
) -> Float[Tensor, "frames points 3 columns"]:
    """Derivative of the positions by coefficients of a basis [parts, 3, n] that moves the joints by [joints, 3, n]."""
    turned = posed.world[..., :3]
    parents = list(points.parents)
    bones = joints_basis.clone()
    bones[1:] -= joints_basis[parents[1:]]
    steps = parent_rotations(turned, points.parents) @ bones
    at = torch.einsum("jk,fkan->fjan", ancestors(points.parents).to(steps), steps) - turned @ joints_basis
    out = torch.einsum("fabp,pbn->fanp", posed.blended, basis) + torch.einsum("fjan,pj->fanp", at, points.weights)
    return points.gather(out).permute(0, 3, 1, 2)


def ancestors(parents: tuple[int, ...]) -> Tensor:
    """[joints, joints]: one where the second joint is the first or above it."""
    out = torch.eye(len(parents))
    for joint, parent in enumerate(parents):
        if parent >= 0:
            out[joint] += out[parent]
    return out


def parent_rotations(world: Float[Tensor, "frames joints 3 3"], parents: tuple[int, ...]) -> Tensor:
    """World rotations of the parents; the identity above the root."""
    out = world[:, list(parents)].clone()
    out[:, 0] = torch.eye(3).to(world)
    return out


def entries_by_turn(rotations: Float[Tensor, "frames joints 3 3"]) -> Float[Tensor, "frames joints 9 3"]:
    """Derivative of the entries of rotations (row by row) by a small turn from the left."""
    axes = cross_matrix(torch.eye(3).to(rotations))
    return torch.einsum("nab,fjbc->fjacn", axes, rotations).flatten(2, 3)


def _translation_columns(posed: PosedPoints) -> Tensor:
    frames, _, count = posed.by_coordinate.shape
    return torch.eye(3).to(posed.by_coordinate).expand(frames, count, 3, 3)


def _bend(curvature: Tensor, columns: Tensor) -> Tensor:
    """Half the second derivative of a point term applied to columns [frames, points, 3, n]."""
    if curvature.dim() == 2:
        return curvature[..., None, None] * columns
    return curvature @ columns


def _add_rotation_pull(matrix: Tensor, right: Tensor, pull: RotationPull, rotations: Tensor, free: Tensor) -> None:
    """Add rotation terms to the normal equations of turns, in place."""
    slope = torch.einsum("fjen,fje->fjn", entries_by_turn(rotations), pull.slope.flatten(2))[:, free]
    right[:, 3 : 3 + 3 * len(free)] -= 0.5 * slope.flatten(1).double()
    for place, joint in enumerate(free.tolist()):
        rows = slice(3 + 3 * place, 6 + 3 * place)
        matrix[:, rows, rows] += pull.curvature[:, joint].double()
