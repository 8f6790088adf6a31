"""Rotations: axioms near identity and pi, agreement with scipy, gradients against finite differences."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from vitruve.errors import UsageError
from vitruve.geometry import rotations as r

ORDERS = ["".join(axes) for axes in itertools.product("XYZ", repeat=3) if axes[0] != axes[1] and axes[1] != axes[2]]

# Angles where formulas lose their digits, and ordinary ones.
angles = st.one_of(
    st.floats(0, math.pi),
    st.sampled_from([0.0, 1e-12, 1e-8, 1e-5, 1e-3, math.pi - 1e-3, math.pi - 1e-7, math.pi]),
)
directions = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: math.hypot(*v) > 0.1)


def axis_angle(direction: tuple[float, ...], angle: float) -> torch.Tensor:
    vector = torch.tensor(direction, dtype=torch.float64)
    return angle * vector / vector.norm()


@given(directions, angles)
def test_axis_angle_makes_a_rotation_and_comes_back(direction, angle):
    vector = axis_angle(direction, angle)
    matrix = r.axis_angle_to_matrix(vector)
    assert r.rotation_error(matrix) < 1e-12
    np.testing.assert_allclose(matrix.numpy(), Rotation.from_rotvec(vector.numpy()).as_matrix(), atol=1e-12)
    again = r.axis_angle_to_matrix(r.matrix_to_axis_angle(matrix))
    assert (again - matrix).abs().max() < 1e-9


@given(directions, angles, directions, angles)
def test_composition_is_that_of_quaternions(d1, a1, d2, a2):
    first, second = r.axis_angle_to_matrix(axis_angle(d1, a1)), r.axis_angle_to_matrix(axis_angle(d2, a2))
    expected = Rotation.from_matrix(first.numpy()) * Rotation.from_matrix(second.numpy())
    np.testing.assert_allclose((first @ second).numpy(), expected.as_matrix(), atol=1e-9)


@given(directions, angles)
def test_quaternions_name_their_order(direction, angle):
    matrix = r.axis_angle_to_matrix(axis_angle(direction, angle))
    wxyz, xyzw = r.matrix_to_quaternion_wxyz(matrix), r.matrix_to_quaternion_xyzw(matrix)
    assert torch.equal(wxyz[0], xyzw[3]) and torch.equal(wxyz[1:], xyzw[:3])
    assert abs(abs(float(wxyz[0])) - math.cos(angle / 2)) < 1e-7
    for back in (r.quaternion_wxyz_to_matrix(wxyz), r.quaternion_xyzw_to_matrix(3 * xyzw)):
        assert (back - matrix).abs().max() < 1e-7


@given(directions, angles)
def test_the_two_six_number_layouts(direction, angle):
    matrix = r.axis_angle_to_matrix(axis_angle(direction, angle))
    columns = r.matrix_to_sixd_columns(matrix)
    assert torch.equal(columns, torch.cat([matrix[:, 0], matrix[:, 1]]))
    assert (r.sixd_columns_to_matrix(columns) - matrix).abs().max() < 1e-12
    assert (r.sixd_interleaved_to_matrix(matrix[:, :2].flatten()) - matrix).abs().max() < 1e-12


def test_six_zeros_give_a_rotation_and_a_finite_gradient():
    zeros = torch.zeros(2, 6, requires_grad=True)
    matrix = r.sixd_columns_to_matrix(zeros)
    assert r.rotation_error(matrix).max() < 1e-6
    matrix.sum().backward()
    assert zeros.grad is not None and torch.isfinite(zeros.grad).all()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("locked", [False, True])
def test_euler_angles_agree_with_scipy_also_at_gimbal_lock(order, locked):
    generator = torch.Generator().manual_seed(1)
    angle = torch.rand(40, 3, generator=generator, dtype=torch.float64) * 5 - 2.5
    if locked:
        angle[:, 1] = 0.0 if order[0] == order[2] else math.pi / 2
    matrix = r.euler_to_matrix(angle, order)
    np.testing.assert_allclose(matrix.numpy(), Rotation.from_euler(order, angle.numpy()).as_matrix(), atol=1e-12)
    again = r.matrix_to_euler(matrix, order)
    assert (r.euler_to_matrix(again, order) - matrix).abs().max() < 1e-6
    if locked:
        assert (again[:, 2] == 0).all()


@pytest.mark.parametrize("order", ["XX", "XXY", "xyz", "ABC", ""])
def test_a_wrong_euler_order_is_an_error(order):
    with pytest.raises(UsageError, match="order of rotation axes"):
        r.euler_to_matrix(torch.zeros(3), order)


@given(directions, angles)
def test_the_distance_is_the_angle(direction, angle):
    start = r.axis_angle_to_matrix(axis_angle((0.3, -0.5, 0.2), 1.1))
    end = start @ r.axis_angle_to_matrix(axis_angle(direction, angle))
    assert abs(float(r.geodesic_distance(start, end)) - angle) < 1e-7


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1.0, math.pi - 1e-9, math.pi])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_distance_has_a_finite_gradient(angle, dtype):
    end = r.axis_angle_to_matrix(torch.tensor([angle, 0, 0], dtype=dtype)).requires_grad_()
    r.geodesic_distance(torch.eye(3, dtype=dtype), end).backward()
    assert end.grad is not None and torch.isfinite(end.grad).all() and end.grad.abs().max() < 10


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-3, 0.05, 1.0, 3.0])
def test_gradients_against_finite_differences(size):
    vector = (axis_angle((0.2, -0.7, 0.4), size)).requires_grad_()
    assert torch.autograd.gradcheck(r.axis_angle_to_matrix, vector, eps=1e-6, atol=1e-6)
    matrix = r.axis_angle_to_matrix(vector.detach())

    def turned(step: torch.Tensor) -> torch.Tensor:
        return r.matrix_to_axis_angle(matrix @ r.axis_angle_to_matrix(step))

    assert torch.autograd.gradcheck(turned, torch.zeros(3, dtype=torch.float64, requires_grad=True), atol=1e-5)


@settings(max_examples=30)
@given(directions, st.floats(0, 3.1), st.floats(0, 1))
def test_slerp_agrees_with_scipy_and_is_exact_at_the_ends(direction, angle, fraction):
    start = r.axis_angle_to_matrix(axis_angle((1.0, 2.0, -1.0), 0.7))
    end = start @ r.axis_angle_to_matrix(axis_angle(direction, angle))
    between = r.slerp(start, end, fraction)
    both = Rotation.from_matrix(torch.stack([start, end]).numpy())
    np.testing.assert_allclose(between.numpy(), Slerp([0, 1], both)(fraction).as_matrix(), atol=1e-7)
    assert torch.equal(r.slerp(start, end, 0.0), start)
    assert (r.slerp(start, end, 1.0) - end).abs().max() < 1e-9


def test_the_mean_agrees_with_scipy():
    rotations = Rotation.random(12, 3)
    weights = np.linspace(1, 2, 12)
    mean = r.mean_rotation(torch.as_tensor(rotations.as_matrix()), torch.as_tensor(weights))
    np.testing.assert_allclose(mean.numpy(), rotations.mean(weights).as_matrix(), atol=1e-9)


def test_the_nearest_rotation_agrees_with_scipy_also_for_reflections():
    generator = np.random.default_rng(4)
    matrices = generator.normal(size=(50, 3, 3))
    matrices[::2] *= (
        np.sign(np.linalg.det(matrices[::2]))[:, None, None] * -1
    )  # half of them turn left hands to right ones
    found = r.nearest_rotation(torch.as_tensor(matrices))
    assert r.rotation_error(found).max() < 1e-12
    for matrix, mine in zip(matrices, found.numpy()):
        # Rotating the axes onto the columns of a matrix is the same question.
        nearest, _ = Rotation.align_vectors(matrix.T, np.eye(3))
        np.testing.assert_allclose(mine, nearest.as_matrix(), atol=1e-9)


def test_the_nearest_rotation_of_gaps_and_of_nothing():
    matrices = torch.zeros(3, 3, 3)
    matrices[1, 0, 0] = torch.nan
    matrices[2] = torch.eye(3)
    found = r.nearest_rotation(matrices.requires_grad_())
    assert r.rotation_error(found[0]) < 1e-6 and found[1].isnan().all() and torch.equal(found[2], torch.eye(3))
    found[::2].sum().backward()
    assert matrices.grad is not None and matrices.grad.isfinite().all()


def test_the_gradient_of_the_nearest_rotation_against_finite_differences():
    matrices = torch.randn(4, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5)).requires_grad_()
    assert torch.autograd.gradcheck(r.nearest_rotation, matrices, atol=1e-6)


@given(directions, angles, directions)
def test_swing_and_twist(direction, angle, axis):
    rotation = r.axis_angle_to_matrix(axis_angle(direction, angle))
    axis_unit = axis_angle(axis, 1.0)
    swing, twist = r.swing_twist(rotation, axis_unit)
    assert (swing @ twist - rotation).abs().max() < 1e-7
    assert (twist @ axis_unit - axis_unit).abs().max() < 1e-7
    # The swing turns about an axis across the twist axis.
    assert abs(float(r.matrix_to_axis_angle(swing) @ axis_unit)) < 1e-4


@given(directions, directions)
def test_the_rotation_between_two_directions(start, end):
    start, end = axis_angle(start, 1.0), axis_angle(end, 1.0)
    rotation = r.rotation_between(start, end)
    assert r.rotation_error(rotation) < 1e-6
    assert (rotation @ start - end).abs().max() < 1e-6


def test_opposite_directions_turn_by_half():
    for start in torch.eye(3, dtype=torch.float64):
        rotation = r.rotation_between(start, -start)
        assert (rotation @ start + start).abs().max() < 1e-12 and r.rotation_error(rotation) < 1e-12


@given(directions, angles)
def test_a_mirror_twice_is_the_identity_and_once_is_the_reflected_rotation(direction, angle):
    rotation = r.axis_angle_to_matrix(axis_angle(direction, angle))
    flip = torch.diag(torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64))
    assert torch.equal(r.mirrored(rotation, "Y"), flip @ rotation @ flip)
    assert torch.equal(r.mirrored(r.mirrored(rotation)), rotation)


def test_axis_angles_run_on_over_full_turns():
    turn = torch.linspace(0, 30, 400, dtype=torch.float64)[:, None, None] * torch.tensor([0.0, 0.6, 0.8]).double()
    wrapped = r.matrix_to_axis_angle(r.axis_angle_to_matrix(turn))
    assert (wrapped[1:] - wrapped[:-1]).abs().max() > 3
    again = r.continuous_axis_angle(wrapped)
    assert (again - turn).abs().max() < 1e-6


def test_rotation_error_sees_scale_and_reflection():
    assert r.rotation_error(1.01 * torch.eye(3)) > 0.01
    assert r.rotation_error(torch.diag(torch.tensor([1.0, 1.0, -1.0]))) == 2
