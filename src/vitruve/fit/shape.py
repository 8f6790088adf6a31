"""Solve the shape of a clip on a few very different frames, together with their rotations and translations."""

from __future__ import annotations

import torch
from torch import Tensor

from vitruve.errors import BadData
from vitruve.fit.dense import DenseFit, Pose, Unknowns, fit_dense
from vitruve.fit.problem import Problem

# Converged below a thousandth of a millimetre; weak columns of a hand's shape move it by little more.
_ENOUGH = 1e-12
# Key frames are chosen among at most this many, evenly spread; more points than this add time, not accuracy.
_CANDIDATES, _MOST_POINTS = 1000, 300


def solve_shape(problem: Problem, initial_betas: Tensor, *, key_frames: int, iterations: int, ridge: float) -> Tensor:
    """Betas [betas] of a clip, as many as `initial_betas`; the poses of the key frames are discarded.

    `ridge` pulls the betas to zero: one standard deviation costs the square of this many metres.
    """
    rows = farthest_frames(problem.rotations, key_frames)
    rows = rows[problem.targets_of(rows).share() > 0.5]
    if not len(rows):
        raise BadData(
            "the shape cannot be solved: no key frame has targets",
            where=f"{len(problem)} frames, no tried frame has finite targets",
            fix="give `betas`, or targets with finite points",
        )
    unknowns = Unknowns(joints=problem.free, betas=len(initial_betas) > 0, ridge=ridge)
    fit = _solve(problem, rows, initial_betas, unknowns, iterations)
    # Frames with a bad initial pose would distort the shape: drop them and solve again.
    good = fit.error <= 3 * fit.error.median() + 1e-3
    if not good.all():
        fit = _solve(problem, rows[good], initial_betas, unknowns, iterations)
    return fit.pose.betas


def _solve(problem: Problem, rows: Tensor, betas: Tensor, unknowns: Unknowns, iterations: int) -> DenseFit:
    targets, points = problem.targets_of(rows), problem.points
    if len(points) > _MOST_POINTS:
        shuffled = torch.randperm(len(points), generator=torch.Generator().manual_seed(0)).to(points.rest.device)
        chosen = shuffled[:_MOST_POINTS].sort().values
        targets, points = targets.select(chosen), points.select(chosen)
    pose = Pose.of(problem.rotations[rows], problem.translation[rows], betas, problem.expression_of(rows))
    return fit_dense(
        points,
        (targets,),
        pose,
        unknowns=unknowns,
        rotation_terms=problem.terms,
        frames=rows,
        iterations=iterations,
        tolerance=1e-3,
        enough=_ENOUGH,
    )


def farthest_frames(rotations: Tensor, count: int) -> Tensor:
    """Farthest-point sampling of frames by their poses without the root."""
    every = max(1, -(-len(rotations) // _CANDIDATES))
    candidates = torch.arange(0, len(rotations), every, device=rotations.device)
    features = rotations[candidates, 1:].flatten(1)
    chosen = [int((features - features.mean(0)).square().sum(1).argmin())]
    distance = torch.full((len(candidates),), torch.inf).to(features)
    while len(chosen) < min(count, len(candidates)):
        distance = torch.minimum(distance, (features - features[chosen[-1]]).square().sum(1))
        chosen.append(int(distance.argmax()))
    return candidates[chosen].unique()
