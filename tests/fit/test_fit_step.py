"""The compiled step against the dense solver, and its promises: descent, frozen joints, frames on their own."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.fit.fit_material import disturbed, smooth_motion
from tests.material import small_body
from vitruve.fit import TowardRotations, choose_points
from vitruve.fit.dense import Pose, Unknowns, fit_dense
from vitruve.fit.moments import Moments, compiled_step, evaluate, fit_frames
from vitruve.fit.points import Points
from vitruve.fit.terms import PointTargets


def on_branches(points: Points, across: float = 0.0, seed: int = 0) -> Points:
    """The points with weights on one joint and its parent, and a share on a sibling, as at hips and knuckles."""
    generator = torch.Generator().manual_seed(seed)
    joint = torch.arange(len(points)) % len(points.parents)
    share = torch.rand(len(points), 1, generator=generator, dtype=torch.float64)
    rows, parents = torch.arange(len(points)), torch.tensor(points.parents)
    weights = torch.zeros_like(points.weights)
    weights[rows, parents[joint].clamp(min=0)] += share[:, 0]
    weights[rows, joint] += 1 - share[:, 0]
    weights *= 1 - across
    siblings = [[j for j, p in enumerate(points.parents) if p == parent] for parent in points.parents]
    weights[rows, torch.tensor([siblings[j][-1] for j in joint.tolist()])] += across
    return replace(points, weights=weights)


def case(layout: str, correctives: bool, across: float = 0.1) -> tuple[Points, Tensor, Tensor, PointTargets]:
    """Points, a start, and targets that lie elsewhere."""
    body = small_body(layout, correctives=correctives)
    points = on_branches(choose_points(body, vertices=torch.arange(300)), across)
    rotations, translation = smooth_motion(body.num_joints, 4, torch.float64)
    targets = PointTargets.of(points.positions(rotations, translation), torch.linspace(0.5, 2, 300))
    return points, disturbed(rotations, 0.1), translation + 0.03, targets


@pytest.mark.parametrize("layout", ["smpl", "smplx", "mano"])
@pytest.mark.parametrize("frozen", [False, True])
def test_the_step_is_that_of_the_dense_solver_where_branches_share_no_skin(layout, frozen):
    points, rotations, translation, targets = case(layout, correctives=False, across=0.0)
    joints = len(points.parents)
    free = torch.ones(joints, dtype=torch.bool)
    if frozen:
        free[[2, joints - 1]] = False
    term = TowardRotations(torch.eye(3, dtype=torch.float64).expand(1, joints, 3, 3), torch.full((joints,), 0.003))
    moments = Moments.of(points, targets.weights)
    stand = evaluate(moments, targets, rotations, translation, (term,), torch.arange(4))
    damping = torch.full((4,), 1e-4, dtype=torch.float64)
    turned, moved = compiled_step(moments, replace(stand, energy=torch.zeros(4, dtype=torch.float64)), damping, free)
    dense = fit_dense(
        points,
        (targets,),
        Pose.of(rotations, translation),
        unknowns=Unknowns(joints=free),
        rotation_terms=(term,),
        iterations=1,
    )
    assert (dense.energy < stand.energy).all()
    torch.testing.assert_close(turned, dense.pose.rotations, rtol=0, atol=1e-6)
    torch.testing.assert_close(translation + moved, dense.pose.translation, rtol=0, atol=1e-6)
    if frozen:
        assert torch.equal(turned[:, ~free], rotations[:, ~free])


def test_the_error_falls_with_every_round_and_both_solvers_end_alike():
    points, rotations, translation, targets = case("smplh", correctives=True)
    moments = Moments.of(points, targets.weights)
    errors = [
        fit_frames(moments, targets, rotations, translation, rounds=rounds).error
        for rounds in (0, 1, 2, 3, 5, 8, 30, 60)
    ]
    for before, after in itertools.pairwise(errors):
        assert (after <= before).all()
    dense = fit_dense(points, (targets,), Pose.of(rotations, translation), iterations=40)
    assert dense.error.max() < 1e-6
    assert errors[-1].max() < 1e-4 < 0.01 < errors[0].min()


def test_frames_are_fitted_on_their_own():
    points, rotations, translation, targets = case("smplx", correctives=True)
    moments = Moments.of(points, targets.weights)
    together = fit_frames(moments, targets, rotations, translation, rounds=3)
    for f in range(4):
        row = torch.tensor([f])
        alone = fit_frames(moments, targets.rows(row), rotations[row], translation[row], rounds=3)
        torch.testing.assert_close(alone.rotations, together.rotations[row], rtol=0, atol=1e-9)
        torch.testing.assert_close(alone.translation, together.translation[row], rtol=0, atol=1e-9)
        torch.testing.assert_close(alone.error, together.error[row], rtol=1e-6, atol=1e-12)


def test_a_prior_holds_what_the_points_do_not():
    """A joint without points keeps its reference; one with points goes where they are."""
    points, rotations, _, _ = case("smplx", correctives=False)
    points = points.select((points.weights[:, 54] == 0).nonzero()[:, 0])
    points = replace(points, pose_basis=points.pose_basis[:0])
    rotations, translation = smooth_motion(55, 3, torch.float64)
    targets = PointTargets.of(points.positions(rotations, translation), None)
    start = disturbed(rotations, 0.1)
    term = TowardRotations(start, torch.full((55,), 1e-4))
    fit = fit_frames(Moments.of(points), targets, start, translation, terms=(term,), rounds=40)
    torch.testing.assert_close(fit.rotations[:, 54], start[:, 54], rtol=0, atol=1e-9)
    assert (fit.rotations[:, 16] - rotations[:, 16]).abs().max() < 0.01 < (start[:, 16] - rotations[:, 16]).abs().max()
