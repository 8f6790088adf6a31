"""Frames whose fit failed: how they are found, and how they are tried again."""

from __future__ import annotations

import torch
from torch import Tensor

from vitruve.fit.moments import Fitted, Moments
from vitruve.fit.problem import FRAMES_AT_A_TIME, Problem
from vitruve.geometry.rotations import nearest_rotation
from vitruve.threads import over_threads

# A frame is tried again above this many times the clip's median error plus a little (metres), and given up above that.
# Above the last it is never trusted.
_SUSPECT, _FAILED, _NEVER = (2.0, 2e-4), (3.0, 1e-3), 0.1
# Another try replaces one only where its error is below this part of it: two ways to the same place differ by rounding.
_BETTER = 0.98
# The dense solver is for few frames; if more fail, the start or the body is wrong and time will not mend it.
_MOST_DENSE = 256
_AT_ONCE = 32  # on processors, so that several threads get some


def suspects(error: Tensor) -> Tensor:
    """[frames] True where a second try is worth its time."""
    return ~_within(error, *_SUSPECT)


def failures(error: Tensor) -> Tensor:
    """[frames] True where an error is not finite or so far above the clip's that the frame must not be trusted."""
    return ~_within(error, *_FAILED)


def _within(error: Tensor, times: float, plus: float) -> Tensor:
    finite = error[torch.isfinite(error)]
    if not len(finite):
        return torch.zeros_like(error, dtype=torch.bool)
    return error <= min(times * float(finite.median()) + plus, _NEVER)


def retry_frames(problem: Problem, moments: Moments, fitted: Fitted, which: Tensor) -> Fitted:
    """Fit the frames of a mask again from other starts; the best of all tries is kept.

    Each start is first turned and moved as a whole onto the targets. The compiled step tries all of them; where the
    error stays suspect, the dense solver goes on from the best and from the start of the clip.
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
    """The given start, the nearest frame that went well, the rest pose."""
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
    """A start turned and moved as a whole so that its points lie best on the targets."""
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
    # The root joint goes with the turned points; translation is measured from its rest position.
    root = points.joints[..., 0, :]
    moved = (turn @ (root + translation - from_centre)[..., None])[..., 0] + to_centre - root
    return turned, moved


def _keep(out: Fitted, rows: Tensor, new: Fitted) -> None:
    better = new.error < _BETTER * out.error[rows]
    for name, value in vars(out).items():
        value[rows[better]] = getattr(new, name)[better]
