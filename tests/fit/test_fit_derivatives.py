"""Every derivative of the solver against finite differences."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.fit.fit_material import disturbed, smooth_motion
from tests.material import small_body
from vitruve.fit import RotationLimits, TowardRotations, choose_points, geman_mcclure, huber
from vitruve.fit.dense import linear_rows, parent_rotations, turn_rows
from vitruve.fit.moments import Moments, evaluate
from vitruve.fit.points import pose_points
from vitruve.fit.terms import PointTargets
from vitruve.geometry.rotations import axis_angle_to_matrix

STEP = 1e-6


def turned(rotations: Tensor, joint: int, axis: int, angle: float) -> Tensor:
    """One joint turned a little about an axis of its parent's frame."""
    out, vector = rotations.clone(), torch.zeros(3, dtype=torch.float64)
    vector[axis] = angle
    out[:, joint] = axis_angle_to_matrix(vector) @ out[:, joint]
    return out


@pytest.fixture(scope="module")
def posed_case():
    body = small_body("smplx")
    betas = torch.linspace(-1, 1, 10, dtype=torch.float64)
    open_points = choose_points(
        body, vertices=torch.arange(40), regressor=body.joint_regressor[3:6], joints=torch.tensor([4, 20])
    )
    rotations, translation = smooth_motion(55, 2, torch.float64, size=0.5)
    return open_points, betas, rotations, translation


def test_turns_shape_and_expression_move_points_as_their_rows_say(posed_case):
    open_points, betas, rotations, translation = posed_case
    points = open_points.shaped(betas)
    posed = pose_points(points, rotations, translation)
    free = torch.arange(55)
    upper = parent_rotations(posed.world, points.parents)
    by_turn = torch.einsum("fjnap,fjnm->fjmap", turn_rows(points, posed, rotations, free), upper)
    for joint in (0, 3, 17, 22, 30):
        for axis in range(3):
            ahead, behind = (turned(rotations, joint, axis, step) for step in (STEP, -STEP))
            moved = (points.positions(ahead, translation) - points.positions(behind, translation)) / (2 * STEP)
            torch.testing.assert_close(by_turn[:, joint, axis].mT, moved, rtol=0, atol=1e-7)
    bases = {
        "betas": linear_rows(points, posed, points.shape_basis, points.joints_shape),
        "expression": linear_rows(points, posed, points.expression_basis, points.joints_expression),
    }
    for name, rows in bases.items():
        for n in (0, 7):
            change = torch.zeros(10, dtype=torch.float64)
            change[n] = STEP
            ahead, behind = points.shaped(**{name: change}), points.shaped(**{name: -change})
            moved = (ahead.positions(rotations, translation) - behind.positions(rotations, translation)) / (2 * STEP)
            torch.testing.assert_close(rows[:, n].mT, moved, rtol=0, atol=1e-7)


@pytest.mark.parametrize("loss", [None, huber(0.02), geman_mcclure(0.05)])
def test_point_targets_pull_down_the_energy(loss):
    generator = torch.Generator().manual_seed(0)
    positions = 0.05 * torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    targets = PointTargets.of(torch.zeros(2, 5, 3, dtype=torch.float64), torch.rand(5, generator=generator), loss)
    pull = targets.pull(positions)
    variable = positions.clone().requires_grad_()
    (slope,) = torch.autograd.grad(targets.pull(variable).energy.sum(), variable)
    torch.testing.assert_close(-2 * pull.slope, slope, rtol=1e-9, atol=1e-12)
    assert (pull.curvature >= 0).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.05, 2.8))
def test_rotation_terms_have_the_slope_of_their_energy(seed, size):
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.nn.functional.normalize(torch.randn(1, 3, 3, generator=generator, dtype=torch.float64), dim=-1)
    rotations = axis_angle_to_matrix(size * vectors)
    frames = torch.zeros(1, dtype=torch.long)
    stiffness = torch.tensor([0.5, 1.0, 2.0])
    terms = (
        TowardRotations(disturbed(rotations, 0.4, seed), stiffness),
        RotationLimits(torch.full((3, 3), -0.3), torch.full((3, 3), 0.2), stiffness),
    )
    for term in terms:
        pull = term.pull(rotations, frames)
        assert (torch.linalg.eigvalsh(pull.curvature) > -1e-9).all()
        for joint in range(3):
            for axis in range(3):
                ahead, behind = (turned(rotations, joint, axis, step) for step in (STEP, -STEP))
                expected = (term.pull(ahead, frames).energy - term.pull(behind, frames).energy) / (2 * STEP)
                change = (turned(rotations, joint, axis, STEP) - turned(rotations, joint, axis, -STEP)) / (2 * STEP)
                torch.testing.assert_close((pull.slope * change).sum((1, 2, 3)), expected, rtol=1e-4, atol=1e-6)


def test_the_compiled_gradient_is_that_of_the_true_error(posed_case):
    """Correctives, a robust loss, missing points and rotation terms included."""
    from vitruve.fit.kernels import descent

    open_points, betas, rotations, translation = posed_case
    points = open_points.shaped(betas)
    generator = torch.Generator().manual_seed(3)
    away = points.positions(rotations, translation)
    away = away + 0.02 * torch.randn(away.shape, generator=generator, dtype=torch.float64)
    away[1, 5:9] = torch.nan
    targets = PointTargets.of(away, torch.rand(len(points), generator=generator), huber(0.01))
    moments = Moments.of(points, targets.weights)
    terms = (
        TowardRotations(torch.eye(3, dtype=torch.float64).expand(1, 55, 3, 3), torch.full((55,), 0.01)),
        RotationLimits(torch.full((55, 3), -0.2), torch.full((55, 3), 0.2), torch.full((55,), 0.02)),
    )

    def stand(at: Tensor, shift: Tensor):
        return evaluate(moments, targets, at, shift, terms, torch.arange(2))

    now = stand(rotations, translation)
    upper = parent_rotations(now.world, points.parents)
    down, wrench = torch.empty(2, 56, 3, dtype=torch.float64), torch.empty(55, 6, dtype=torch.float64)
    for f in range(2):
        inputs = (now.world, rotations, now.residual, now.slope)
        arrays = (value[f].contiguous().numpy() for value in inputs)
        descent(*arrays, moments.parents, wrench.numpy(), down[f].numpy())
    by_turn = -2 * (upper.mT @ down[:, 1:, :, None])[..., 0]
    for joint in (0, 3, 17, 22, 30, 54):
        for axis in range(3):
            ahead, behind = (turned(rotations, joint, axis, length) for length in (STEP, -STEP))
            slope = (stand(ahead, translation).energy - stand(behind, translation).energy) / (2 * STEP)
            torch.testing.assert_close(by_turn[:, joint, axis], slope, rtol=1e-5, atol=1e-9)
    for axis in range(3):
        shift = torch.zeros(3, dtype=torch.float64)
        shift[axis] = STEP
        slope = (stand(rotations, translation + shift).energy - stand(rotations, translation - shift).energy) / (
            2 * STEP
        )
        torch.testing.assert_close(-2 * down[:, 0, axis], slope, rtol=1e-5, atol=1e-9)
