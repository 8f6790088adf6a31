"""Fit the face of meshes: expression coefficients together with the joints of the head, frame by frame."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.fit import ClipFit, choose_points
from vitruve.fit.dense import Pose, Unknowns, fit_dense
from vitruve.fit.initial_pose import FACE
from vitruve.fit.terms import PointTargets
from vitruve.threads import over_threads

_JOINTS = ("neck", "head", *FACE)
_POINTS, _FRAMES_AT_A_TIME, _STEPS = 400, 32, 10
# An expression of one standard deviation costs the square of this many metres; it only acts on coefficients that the
# skin does not determine.
_RIDGE = 1e-5
# Mean distance of a neutral face, metres, above which the expression is fitted.
_LEAST_DISTANCE = 1e-4


def face_points(body: BodyModel, valid: Bool[Tensor, "vertices"]) -> Int[Tensor, "points"]:
    """A fixed random choice of vertices that the expression or the joints of the head move."""
    joints = [joint for joint, name in enumerate(body.skeleton.names) if name in _JOINTS]
    moved = body.expression_basis.abs().amax((1, 2)) > 1e-6
    main = body.skin_weights.argmax(1)
    every = ((moved | torch.isin(main, torch.tensor(joints, device=main.device))) & valid).nonzero()[:, 0]
    order = torch.randperm(len(every), generator=torch.Generator().manual_seed(0))
    return every[order[:_POINTS].sort().values]


def shows_expression(
    body: BodyModel, points: Int[Tensor, "points"], targets: Float[Tensor, "frames points 3"], fitted: ClipFit
) -> bool:
    """Whether the targets differ from a neutral face."""
    chosen = choose_points(body, vertices=points).shaped(fitted.betas)
    away = chosen.positions(fitted.rotations, fitted.translation) - targets.to(fitted.rotations)
    away = away[away.isfinite().all(-1)]
    return bool(len(away)) and float(away.norm(dim=-1).mean()) > _LEAST_DISTANCE


def fit_face(
    body: BodyModel,
    points: Int[Tensor, "points"],
    targets: Float[Tensor, "frames points 3"],
    fitted: ClipFit,
    expression: Float[Tensor, "frames expressions"],
) -> tuple[Tensor, Tensor]:
    """Fit the rotations of the head's joints and the expression; shape and other joints stay as fitted.

    Args:
        body: a body with an expression basis.
        points: from `face_points`.
        targets: of the points; frames without them are not changed.
        fitted: the fit of the body.
        expression: the initial one.

    Returns:
        (rotations [frames, joints, 3, 3], expression [frames, expressions])
    """
    joints = torch.tensor([name in _JOINTS for name in body.skeleton.names])
    chosen = choose_points(body, vertices=points).shaped(fitted.betas)
    rotations, expression = fitted.rotations.clone(), expression.clone()
    seen = targets.isfinite().all(-1).double().mean(1) > 0.5

    def fit(rows: Tensor) -> None:
        found = fit_dense(
            chosen,
            (PointTargets.of(targets[rows].to(rotations), None),),
            Pose.of(rotations[rows], fitted.translation[rows], None, expression[rows]),
            unknowns=Unknowns(joints=joints, expression=True, expression_ridge=_RIDGE),
            iterations=_STEPS,
        )
        rotations[rows], expression[rows] = found.pose.rotations, found.pose.expression

    over_threads(fit, seen.nonzero()[:, 0].split(_FRAMES_AT_A_TIME))
    return rotations, expression
