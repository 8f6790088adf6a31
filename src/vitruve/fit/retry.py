"""Retry failed frames: find them, and fit them again from other initial poses."""

from __future__ import annotations

import torch
from torch import Tensor

from vitruve.fit.moments import Fitted, Moments
from vitruve.fit.problem import FRAMES_AT_A_TIME, Problem
from vitruve.geometry.rotations import nearest_rotation
from vitruve.motion.resampling import nearest_frames
from vitruve.threads import over_threads

# Multiples of the clip's median error (plus metres) above which a frame is retried, and above which it has failed.
# Above the last limit it is never trusted.
_SUSPECT, _FAILED, _NEVER = (2.0, 2e-4), (3.0, 1e-3), 0.1
# A retry replaces a result only below this fraction of its error: equal results differ by rounding.
_BETTER = 0.98
# The dense solver is for few frames; if more fail, the initial pose or the body is wrong and more time does not help.
_MOST_DENSE = 256
_AT_ONCE = 32  # frames per block on the CPU, so that several threads get some


def suspects(error: Tensor) -> Tensor:
    """[frames] True where a retry is worthwhile."""
    return ~_within(error, *_SUSPECT)


def failures(error: Tensor) -> Tensor:
    """[frames] True where an error is not finite, or too far above the clip's to be trusted."""
    return ~_within(error, *_FAILED)


def _within(error: Tensor, times: float, plus: float) -> Tensor:
    finite = error[torch.isfinite(error)]
    if not len(finite):
        return torch.zeros_like(error, dtype=torch.bool)
    return error <= min(times * float(finite.median()) + plus, _NEVER)


def retry_frames(problem: Problem, moments: Moments, fitted: Fitted, which: Tensor) -> Fitted:
    """Fit the frames of a mask again from other initial poses; the best result is kept.

    Each initial pose is first aligned rigidly with the targets. The compiled step tries all of them; if the error stays
    suspect, the dense solver continues from the best and from the initial pose of the clip.
    """
    out = Fitted(*(value.clone() for value in vars(fitted).values()))
    rows = which.nonzero()[:, 0]
    good = (~suspects(fitted.error)).nonzero()[:, 0]
    block = _AT_ONCE if rows.device.type == "cpu" else FRAMES_AT_A_TIME

    def retry(part: Tensor) -> None:
        for pose in _initial_poses(problem, fitted, part, good):
            _keep_better(out, part, problem.fit_rows(moments, part, *_aligned(problem, moments, part, *pose)))

    def retry_densely(part: Tensor) -> None:
        first = problem.rotations[part], problem.translation[part]
        for pose in ((out.rotations[part], out.translation[part]), first):
            _keep_better(out, part, problem.fit_rows_densely(moments.points, part, *pose))

    over_threads(retry, rows.split(block))
    still = suspects(out.error) & which
    over_threads(retry_densely, still.nonzero()[:_MOST_DENSE, 0].split(block))
    return out


def _initial_poses(problem: Problem, fitted: Fitted, rows: Tensor, good: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The clip's own, the rest pose, and that of the nearest frame that was fitted well."""
    rest = torch.eye(3).to(fitted.rotations).expand_as(fitted.rotations[rows])
    poses = [(problem.rotations[rows], problem.translation[rows]), (rest, fitted.translation[rows])]
    if len(good):
        nearest = nearest_frames(good, rows)
        poses.append((fitted.rotations[nearest], fitted.translation[nearest]))
    return poses


def _aligned(
    problem: Problem, moments: Moments, rows: Tensor, rotations: Tensor, translation: Tensor
) -> tuple[Tensor, Tensor]:
    """A pose, aligned rigidly with the targets."""
    targets = problem.targets_of(rows)
    points = moments.points.shaped(expression=problem.expression_of(rows))
    placed = points.positions(rotations, translation)
    weights = targets.frame_weights().expand(placed.shape[:2])[..., None]
    from_centre, to_centre = (weights * placed).sum(1), (weights * targets.targets).sum(1)
    away = placed - from_centre[:, None], targets.targets - to_centre[:, None]
    turn = nearest_rotation(torch.einsum("fpa,fpb->fab", weights * away[1], away[0]))
    turned = torch.cat([turn[:, None] @ rotations[:, :1], rotations[:, 1:]], 1)
    # The root joint moves with the points; translation is relative to its rest position.
    root = points.joints[..., 0, :]
    moved = (turn @ (root + translation - from_centre)[..., None])[..., 0] + to_centre - root
    return turned, moved


def _keep_better(out: Fitted, rows: Tensor, new: Fitted) -> None:
    better = new.error < _BETTER * out.error[rows]
    out.put(rows[better], new.rows(better))
