"""Fit a whole clip: the shape on key frames, then every frame, then a retry of failed frames."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.errors import BadData
from vitruve.fit.anchors import fit_by_anchors
from vitruve.fit.moments import Fitted, Moments
from vitruve.fit.points import Points, choose_points
from vitruve.fit.problem import FRAMES_AT_A_TIME, Problem
from vitruve.fit.retry import failures, retry_frames, suspects
from vitruve.fit.shape import solve_shape
from vitruve.fit.terms import Loss, RotationTerm
from vitruve.threads import one_thread_but_for_blocks, over_threads

Targets = Tensor | Callable[[Tensor], Tensor]
Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Effort:
    """Settings that trade speed for accuracy.

    Attributes:
        rounds: most steps a frame; most frames need two or three from a copied pose.
        key_frames: frames that the shape is solved on.
        shape_iterations: most steps of the shape solve.
        ridge: pull of solved betas to zero: one standard deviation costs the square of this many metres.
        dense: full Jacobians for every frame instead of the compiled step; always so on a graphics processor.
        apart: fit every n-th frame, and interpolate what the fit adds to the initial pose in between (see anchors.py).
            For clips whose initial pose moves as the targets do; 1 fits every frame.
    """

    rounds: int = 10
    key_frames: int = 24
    shape_iterations: int = 8
    ridge: float = 0.0
    dense: bool = False
    apart: int = 1


@dataclass(frozen=True, eq=False)
class ClipFit:
    """A fitted clip.

    Attributes:
        rotations: [frames, joints, 3, 3] parent-relative.
        translation: [frames, 3].
        betas: [betas] one shape for the clip.
        error: [frames] root mean square distance to the targets in metres; infinite where a frame had none. That of an
            interpolated frame is the larger of its two neighbours'.
        failed: [frames] True where the result must not be trusted: no targets, or an error far above the clip's after
            every retry. Such frames hold the best found, or the initial pose.
        retried: [frames] True where a frame was fitted again.
    """

    rotations: Tensor
    translation: Tensor
    betas: Tensor
    error: Tensor
    failed: Tensor
    retried: Tensor


@one_thread_but_for_blocks()
def fit_clip(  # noqa: PLR0913 (all but five by keyword)
    body: BodyModel,
    points: Points | Tensor,
    targets: Targets,
    rotations: Float[Tensor, "frames joints 3 3"],
    translation: Float[Tensor, "frames 3"],
    *,
    betas: Tensor | None = None,
    start_betas: Tensor | None = None,
    expression: Tensor | None = None,
    weights: Tensor | None = None,
    loss: Loss | None = None,
    free: Tensor | None = None,
    terms: tuple[RotationTerm, ...] = (),
    effort: Effort = Effort(),
    progress: Progress | None = None,
) -> ClipFit:
    """Fit rotations, translation and, unless given, one shape of a body to points over a clip.

    Args:
        body: the body to fit.
        points: its points to fit: vertex indices [points], a regressor [points, vertices], or `choose_points(...)`.
        targets: [frames, points, 3] metres, or a function from frame indices to the targets of those frames, for clips
            whose targets do not fit in memory; it may be called from several threads. Non-finite points are ignored.
        rotations, translation: the initial pose, such as a copied one. Must be finite.
        betas: the shape, if known; otherwise solved on key frames.
        start_betas: initial betas of the shape solve; zero by default. Their number is the number of betas solved.
        expression: [frames, expressions] known coefficients.
        weights: [points]; equal by default.
        loss: robust cost of a distance (`huber`, `geman_mcclure`); squares by default.
        free: [joints] False for joints that keep their initial rotation; all are free by default.
        terms: on the rotations: `TowardRotations`, `RotationLimits`.
        effort: settings that trade speed for accuracy.
        progress: called with (frames done, frames), from the worker threads.
    """
    _check(body, rotations, translation)
    if isinstance(points, Points):
        chosen = points
    elif points.is_floating_point():
        chosen = choose_points(body, regressor=points)
    else:
        chosen = choose_points(body, vertices=points)
    problem = Problem(
        points=chosen,
        targets=targets if callable(targets) else lambda rows: targets[rows],
        rotations=rotations.to(chosen.rest),
        translation=translation.to(chosen.rest),
        expression=expression,
        weights=weights,
        loss=loss,
        free=free,
        terms=terms,
        rounds=effort.rounds,
        dense=effort.dense,
    )
    initial_betas = problem.rotations.new_zeros(body.num_betas) if start_betas is None else start_betas
    with torch.no_grad():
        return _fit(problem, betas, initial_betas, effort, progress or (lambda done, count: None))


def _fit(problem: Problem, betas: Tensor | None, initial_betas: Tensor, effort: Effort, progress: Progress) -> ClipFit:
    if betas is None:
        solve = functools.partial(
            solve_shape,
            problem,
            key_frames=effort.key_frames,
            iterations=effort.shape_iterations,
            ridge=effort.ridge,
        )
        (betas,) = over_threads(solve, [initial_betas.to(problem.rotations)])
        # The root stays where it was, whatever the shape has become.
        moved = problem.points.shaped(initial_betas).joints[0] - problem.points.shaped(betas).joints[0]
        problem = replace(problem, translation=problem.translation + moved)
    moments = Moments.of(problem.points.shaped(betas), problem.weights)
    count, done = len(problem), 0

    def report(frames: int) -> None:
        nonlocal done
        done = min(done + frames, count)
        progress(done, count)

    def fit(rows: Tensor, rotations: Tensor, translation: Tensor, rounds: int | None) -> Fitted:
        return _fit_rows(problem, moments, rows, rotations, translation, rounds, report)

    if effort.apart == 1:
        every = torch.arange(count, device=problem.rotations.device)
        best = fit(every, problem.rotations, problem.translation, None)
    else:
        best = fit_by_anchors(fit, problem.rotations, problem.translation, effort.apart)
    if done < count:
        report(count)  # frames between anchors are never fitted
    retried = suspects(best.error) & torch.isfinite(best.error)
    if retried.any():
        best = retry_frames(problem, moments, best, retried)
    return ClipFit(best.rotations, best.translation, betas, best.error, failures(best.error), retried)


def _fit_rows(
    problem: Problem,
    moments: Moments,
    rows: Tensor,
    rotations: Tensor,
    translation: Tensor,
    rounds: int | None,
    report: Callable[[int], None],
) -> Fitted:
    """Fit some frames from an initial pose, in blocks over the threads."""
    out = Fitted.empty_like(rotations, translation)

    def fit(part: Tensor) -> None:
        out.put(part, problem.fit_rows(moments, rows[part], rotations[part], translation[part], rounds))
        report(len(part))

    every = torch.arange(len(rows), device=rows.device)
    if rotations.device.type != "cpu":
        for part in every.split(16 * FRAMES_AT_A_TIME):
            fit(part)
        return out
    # Split few frames into two halves for two threads; smaller blocks would cost more than further threads gain. The
    # split does not depend on the number of threads, which must not change the result.
    over_threads(fit, every.split(min(FRAMES_AT_A_TIME, max(16, -(-len(rows) // 2)))))
    return out


def _check(body: BodyModel, rotations: Tensor, translation: Tensor) -> None:
    if not len(rotations):
        raise BadData("a clip without frames cannot be fitted", where="rotations: 0 frames", fix="skip the clip")
    found, expected = tuple(rotations.shape), (len(translation), body.num_joints, 3, 3)
    if found != expected or translation.shape[1:] != (3,):
        raise BadData(
            f"the initial pose does not fit body '{body.name}'",
            where=f"rotations {found}, translation {tuple(translation.shape)}; expected {expected} and [frames, 3]",
            fix="give one parent-relative rotation per joint of the body that is fitted",
        )
