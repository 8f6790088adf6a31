"""Retry failed frames: find them, and fit them again from other starts."""

from __future__ import annotations

import torch
from torch import Tensor

from vitruve.fit.moments import Fitted, Moments
from vitruve.fit.problem import FRAMES_AT_A_TIME, Problem
from vitruve.geometry.rotations import nearest_rotation
from vitruve.threads import over_threads

# Multiples of the clip's median error (plus metres) above which a frame is retried, and above which it has failed.
# Above the last limit it is never trusted.
_SUSPECT, _FAILED, _NEVER = (2.0, 2e-4), (3.0, 1e-3), 0.1
# A retry replaces a result only below this fraction of its error: equal results differ by rounding.
_BETTER = 0.98
# The dense solver is for few frames; if more fail, the start or the body is wrong and more time does not help.
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
    """Fit the frames of a mask again from other starts; the best result is kept.

    Each start is first aligned rigidly with the targets. The compiled step tries all of them; if the error stays
    suspect, the dense solver continues from the best and from the start of the clip.
    """
    out = Fitted(*(value.clone() for value in vars(fitted).values()))
    rows = which.nonzero()[:, 0]
    good = ~suspects(fitted.error)
    on_cpu = rows.device.type == "cpu"

    def again(part: Tensor) -> None:
        for rotations, translation in _starts(problem, fitted, part, good):
            rotations, translation = _aligned(problem, moments, part, rotations, translation)
            _keep(out, part, problem.fit_rows(moments, part, rotations, translation, problem.terms))

    def densely(part: Tensor) -> None:
        starts = [(out.rotations[part], out.translation[part]), (problem.rotations[part], problem.translation[part])]
        for rotations, translation in starts:
            new = problem.fit_rows_densely(moments.points, part, rotations, translation, problem.terms)
            _keep(out, part, new)

    over_threads(again, rows.split(_AT_ONCE if on_cpu else FRAMES_AT_A_TIME))
    still = suspects(out.error) & which
    over_threads(densely, still.nonzero()[:_MOST_DENSE, 0].split(_AT_ONCE if on_cpu else FRAMES_AT_A_TIME))
    return out


def _starts(problem: Problem, fitted: Fitted, rows: Tensor, good: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The given start, the nearest successful frame, the rest pose."""
    rest = torch.eye(3).to(fitted.rotations).expand_as(fitted.rotations[rows])
    starts = [(problem.rotations[rows], problem.translation[rows]), (rest, fitted.translation[rows])]
    well = good.nonzero()[:, 0]
    if len(well):
        after = torch.searchsorted(well, rows).clamp(max=len(well) - 1)
        before = (after - 1).clamp(min=0)
        nearer = torch.where((well[after] - rows).abs() < (rows - well[before]).abs(), well[after], well[before])
        starts.append((fitted.rotations[nearer], fitted.translation[nearer]))
    return starts


def _aligned(
    problem: Problem, moments: Moments, rows: Tensor, rotations: Tensor, translation: Tensor
) -> tuple[Tensor, Tensor]:
    """A start, aligned rigidly with the targets."""
    targets = problem.targets_of(rows)
    points = (
        moments.points if problem.expression is None else moments.points.shaped(expression=problem.expression[rows])
    )
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


def _keep(out: Fitted, rows: Tensor, new: Fitted) -> None:
    better = new.error < _BETTER * out.error[rows]
    for name, value in vars(out).items():
        value[rows[better]] = getattr(new, name)[better]
