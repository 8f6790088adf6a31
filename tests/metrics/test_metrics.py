"""Scores against loops over every frame and joint, values worked out by hand, and the laws they must keep."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import procrustes as scipy_procrustes

from vitruve.geometry.rotations import axis_angle_to_matrix
from vitruve.metrics import (
    SurfaceMeter,
    acceleration,
    acceleration_error,
    angle_errors,
    drift,
    jitter,
    mpjpe,
    pa_mpjpe,
    penetration,
    placement,
    position_errors,
    root_relative,
    trajectory_error,
)

seeds = st.integers(0, 10_000)


def points(seed, frames=6, joints=7):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(frames, joints, 3, generator=generator, dtype=torch.float64)


def rotation(seed):
    generator = torch.Generator().manual_seed(seed + 77)
    return axis_angle_to_matrix(2 * torch.randn(3, generator=generator, dtype=torch.float64))


def gap(values, *frames):
    out = values.clone()
    out[list(frames)] = math.nan
    return out


# Joints.


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_mpjpe_is_the_mean_of_all_distances_and_symmetric(seed):
    a, b = points(seed), points(seed + 1)
    twin = np.mean([math.dist(a[f, j].tolist(), b[f, j].tolist()) for f in range(6) for j in range(7)])
    assert mpjpe(a, b) == pytest.approx(twin) == mpjpe(b, a)
    assert mpjpe(a, a) == 0.0
    assert mpjpe(gap(a, 2), b) == pytest.approx(mpjpe(a[[0, 1, 3, 4, 5]], b[[0, 1, 3, 4, 5]]))


def test_root_relative_leaves_the_root_at_zero_and_forgets_where_it_was():
    a = points(3)
    seen = root_relative(a, 2)
    assert torch.equal(seen[:, 2], torch.zeros(6, 3, dtype=torch.float64))
    assert torch.allclose(seen, root_relative(a + torch.tensor([5.0, -3, 1]), 2))
    assert torch.equal(seen[1, 4], a[1, 4] - a[1, 2])


@given(seeds, st.floats(0.2, 5.0))
@settings(max_examples=20, deadline=None)
def test_procrustes_does_not_see_a_similarity_of_the_second(seed, scale):
    a, b = points(seed), points(seed + 1)
    moved = scale * b @ rotation(seed).T + torch.tensor([1.0, -2, 3])
    assert pa_mpjpe(a, moved) == pytest.approx(pa_mpjpe(a, b))
    assert pa_mpjpe(a, a) == pytest.approx(0, abs=1e-12)
    # Least squares: the squared error is no larger than without.
    laid = placement(b, a, scale=True).apply(b)
    assert float((a - laid).square().sum()) <= float((a - b).square().sum()) + 1e-12


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_the_similarity_is_that_of_scipy(seed):
    a, b = points(seed, 1)[0], points(seed + 1, 1)[0]
    laid = placement(b, a, scale=True).apply(b)
    standard, _, disparity = scipy_procrustes(a.numpy(), b.numpy())
    share = float((a - laid).square().sum() / (a - a.mean(0)).square().sum())
    # scipy also allows mirror images, which can only be nearer.
    assert share >= disparity - 1e-9
    mirrored = b * torch.tensor([-1.0, 1, 1])
    other = placement(mirrored, a, scale=True).apply(mirrored)
    best = min(share, float((a - other).square().sum() / (a - a.mean(0)).square().sum()))
    assert best == pytest.approx(disparity, abs=1e-9) and len(standard) == len(a)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_a_rigid_placement_is_found_again_and_never_mirrors(seed):
    a, turn, shift = points(seed)[0], rotation(seed), torch.tensor([0.3, 4.0, -1.0], dtype=torch.float64)
    found = placement(a, a @ turn.T + shift)
    assert torch.allclose(found.rotation, turn) and torch.allclose(found.shift, shift) and float(found.scale) == 1
    mirrored = placement(a, a * torch.tensor([-1.0, 1, 1]))
    assert float(torch.linalg.det(mirrored.rotation)) == pytest.approx(1)


def test_unknown_points_do_not_pull_a_placement_and_too_few_leave_it_open():
    a = points(1)[0]
    b = a @ rotation(1).T
    holed = a.clone()
    holed[3] = math.nan
    assert torch.allclose(placement(holed, b).rotation, rotation(1))
    holed[:5] = math.nan
    assert placement(holed, b).apply(a).isnan().all()


def test_angles_by_hand():
    turn = axis_angle_to_matrix(torch.tensor([0.0, math.radians(30), 0], dtype=torch.float64))
    assert float(angle_errors(torch.eye(3, dtype=torch.float64), turn)) == pytest.approx(30)
    assert float(angle_errors(turn, turn)) == 0
    assert float(angle_errors(turn, turn.T)) == pytest.approx(60)


# The world.


def test_acceleration_and_jitter_of_polynomials():
    t = torch.arange(20, dtype=torch.float64)[:, None, None] / 10
    ones = torch.ones(1, 4, 3, dtype=torch.float64)
    assert acceleration(0.5 * 9.81 * t**2 * ones, fps=10) == pytest.approx(9.81 * math.sqrt(3))
    assert jitter(t**3 * ones, fps=10) == pytest.approx(6 * math.sqrt(3))
    assert jitter(t**2 * ones, fps=10) == pytest.approx(0, abs=1e-9)
    assert acceleration_error(t**2 * ones, t * ones, fps=10) == pytest.approx(2 * math.sqrt(3))


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_differences_in_time_against_loops(seed):
    a, b = points(seed), points(seed + 1)
    second = [(a[f + 1, j] - 2 * a[f, j] + a[f - 1, j]).norm() * 900 for f in range(1, 5) for j in range(7)]
    third = [
        (a[f + 2, j] - 3 * a[f + 1, j] + 3 * a[f, j] - a[f - 1, j]).norm() * 27000
        for f in range(1, 4)
        for j in range(7)
    ]
    assert acceleration(a, 30) == pytest.approx(float(sum(second)) / len(second))
    assert jitter(a, 30) == pytest.approx(float(sum(third)) / len(third))
    assert acceleration_error(a, b, 30) == pytest.approx(acceleration(a - b, 30)) == acceleration_error(b, a, 30)
    # Frames 0 to 2 are lost with frame 1: what needs them does not count.
    assert acceleration(gap(a, 1), 30) == pytest.approx(acceleration(a[2:], 30))


def test_too_short_a_clip_has_no_jitter():
    assert math.isnan(jitter(points(0, 3), 30)) and math.isnan(acceleration(points(0, 2), 30))


def test_drift_counts_from_the_first_frame_that_both_know():
    way = torch.zeros(5, 3, dtype=torch.float64)
    other = torch.tensor([[9.0, 0, 0], [1, 0, 0], [1, 0, 0], [1, 3, 4], [1, 0, 1]], dtype=torch.float64)
    assert drift(gap(way, 0), other)[1:].tolist() == [0, 0, 5, 1]
    assert drift(way, way + 7).tolist() == [0] * 5
    assert drift(gap(way, *range(5)), other).isnan().all()


def test_the_trajectory_error_is_a_share_of_the_way_and_sees_no_rigid_transform():
    way = torch.stack([torch.linspace(0, 4, 50), torch.sin(torch.linspace(0, 3, 50)), torch.zeros(50)], -1).double()
    assert trajectory_error(way, way @ rotation(4).T + 3) == pytest.approx(0, abs=1e-9)
    # A way twice as long: each point is as far off as half its distance to the middle.
    straight = torch.tensor([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]], dtype=torch.float64)
    assert trajectory_error(straight, 2 * straight) == pytest.approx((1 + 0 + 1) / 3 / 2)
    assert math.isnan(trajectory_error(torch.zeros(4, 3), way[:4].float()))


def test_penetration_by_hand():
    found = penetration(torch.tensor([0.02, -0.03, math.nan, -0.0005, -0.01]), floor=0.0)
    assert found.mean == pytest.approx(0.0405 / 4) and found.deepest == pytest.approx(0.03) and found.share == 0.5
    assert penetration(torch.tensor([0.02]), floor=0.05).deepest == pytest.approx(0.03)
    assert math.isnan(penetration(torch.tensor([math.nan])).mean)


# Surfaces.


def test_the_meter_gives_the_same_in_blocks_and_at_once():
    residual = points(5, 30, 40)
    residual[3] = math.nan
    residual[:, 7] = math.nan
    errors = residual.norm(dim=-1)
    parts = {"left": torch.arange(40) < 20, "right": torch.arange(40) >= 20}
    meter = SurfaceMeter(parts, 40)
    for block in torch.arange(30).split(7):
        meter.add(block, residual[block])
    plain = errors.numpy()
    with np.errstate(invalid="ignore"):
        means = [np.nanmean(frame) if np.isfinite(frame).any() else np.nan for frame in plain]
        np.testing.assert_allclose(meter.per_frame, means)
        np.testing.assert_allclose(meter.per_frame_max[4:], np.nanmax(plain[4:], 1))
    assert meter.per_frame_max[3].isnan() and meter.per_vertex[7].isnan()
    np.testing.assert_allclose(meter.per_vertex[8:], np.nanmean(plain[:, 8:], 0))
    np.testing.assert_allclose(meter.per_part["right"][0], np.nanmean(plain[0, 20:]))
    assert meter.quantile(0.95) == pytest.approx(np.nanquantile(plain, 0.95, method="closest_observation"), rel=0.05)


def test_a_meter_of_many_vertices_keeps_a_fixed_choice():
    meter = SurfaceMeter({}, 5000)
    meter.add(torch.tensor([0]), torch.arange(5000.0)[None, :, None] * torch.tensor([1.0, 0, 0]))
    assert meter.quantile(0.5) == pytest.approx(2500, abs=10) and meter.per_part == {}


def test_distances_of_points():
    assert position_errors(torch.zeros(1, 3), torch.tensor([[3.0, 4, 0]])).tolist() == [5]
