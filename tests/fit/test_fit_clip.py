"""Whole clips: what was posed is found again, on every layout; shape, failures, gaps, long clips."""

import pytest
import torch
from torch import Tensor

from tests.fit.fit_material import balanced_vertices, disturbed, held_joints, smooth_motion, with_correctives
from vitruve.bodies import BodyModel, load_body
from vitruve.errors import BadData
from vitruve.fit import ClipFit, Effort, TowardRotations, choose_points, fit_clip, huber
from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance

NAMES = ["open-smpl-neutral", "open-smplh-female", "open-smplx-neutral", "open-mano-right"]


class Case:
    """A body in motion, the points that are seen of it, and a start that is a little off."""

    def __init__(self, body: BodyModel, frames: int = 24, each: int = 16, betas: Tensor | None = None) -> None:
        self.body = body
        self.betas = torch.zeros(body.num_betas) if betas is None else betas
        self.vertices = balanced_vertices(body, each)
        self.rotations, self.translation = smooth_motion(body.num_joints, frames, torch.float32)
        self.targets = body.shaped(self.betas).vertices(self.rotations, self.translation)[:, self.vertices]
        self.start = disturbed(self.rotations, 0.05), self.translation + 0.02

    def degrees(self, fit: ClipFit) -> Tensor:
        """[frames, joints] how far off the rotations of joints with enough points are."""
        held = held_joints(self.body, self.vertices)
        return geodesic_distance(fit.rotations, self.rotations).rad2deg()[:, held]


@pytest.fixture(scope="module")
def hand() -> Case:
    return Case(load_body("open-mano-right"), frames=40)


@pytest.mark.parametrize("name", NAMES)
def test_a_clip_on_the_same_body_is_found_again(name):
    body = load_body(name)
    betas = torch.linspace(-1, 1, body.num_betas)
    case = Case(body, betas=betas)
    seen = []
    fit = fit_clip(
        body,
        case.vertices,
        case.targets,
        *case.start,
        betas=betas,
        effort=Effort(rounds=30),
        progress=lambda done, frames: seen.append((done, frames)),
    )
    assert fit.error.max() < 0.05e-3
    assert case.degrees(fit).max() < 0.1
    assert case.degrees(fit).shape[1] > 0.7 * body.num_joints
    assert (fit.translation - case.translation).norm(dim=-1).max() < 0.1e-3
    assert not fit.failed.any() and not fit.retried.any()
    assert seen[-1] == (24, 24)


@pytest.mark.parametrize("name", ["open-smplh-neutral", "open-mano-left"])
def test_the_shape_is_found_with_the_motion(name):
    body = with_correctives(load_body(name))
    betas = torch.linspace(-1.5, 1.5, 10)
    case = Case(body, betas=betas)
    fit = fit_clip(
        body, case.vertices, case.targets, *case.start, start_betas=torch.zeros(10), effort=Effort(rounds=30)
    )
    assert (fit.betas - betas).abs().max() < 0.1
    assert fit.error.max() < 0.05e-3
    assert case.degrees(fit).max() < 0.3


def test_the_dense_solver_alone_finds_the_same(hand):
    targets = hand.targets.clone()
    targets[3] = torch.nan
    effort = Effort(dense=True, rounds=20)
    fit = fit_clip(hand.body, hand.vertices, targets, *hand.start, betas=hand.betas, effort=effort)
    assert fit.failed.nonzero()[:, 0].tolist() == [3]
    assert fit.error[~fit.failed].max() < 0.05e-3
    assert hand.degrees(fit)[~fit.failed].max() < 0.1


def test_a_known_expression_is_taken_into_account():
    body = load_body("open-smplx-neutral")
    case = Case(body, frames=8)
    expression = torch.randn(8, body.num_expressions, generator=torch.Generator().manual_seed(0))
    targets = body.shaped(case.betas, expression).vertices(case.rotations, case.translation)[:, case.vertices]
    options = {"betas": case.betas, "effort": Effort(rounds=20)}
    without = fit_clip(body, case.vertices, targets, *case.start, **options)
    fit = fit_clip(body, case.vertices, targets, *case.start, expression=expression, **options)
    assert fit.error.max() < 0.05e-3 < 1e-3 < without.error.min()


def test_frames_that_start_far_off_are_found_out_and_mended(hand):
    rotations, translation = (value.clone() for value in hand.start)
    rotations[7, 0] = axis_angle_to_matrix(torch.tensor([0.0, 3.1, 0.0])) @ rotations[7, 0]
    rotations[8] = disturbed(rotations[8], 1.5)
    rotations[30, 4] = axis_angle_to_matrix(torch.tensor([2.1, 0.0, 0.0])) @ rotations[30, 4]
    rotations[31] = disturbed(rotations[31], 2.5)
    fit = fit_clip(hand.body, hand.vertices, hand.targets, rotations, translation, betas=hand.betas)
    assert fit.retried.sum() > 0
    assert not fit.failed.any()
    assert fit.error.max() < 1e-3


def test_what_cannot_be_fitted_is_flagged(hand):
    """Targets torn to pieces in one frame, missing in another, a few points missing in a third."""
    targets = hand.targets.clone()
    targets[5] = targets[5, torch.randperm(targets.shape[1], generator=torch.Generator().manual_seed(0))]
    targets[9] = torch.nan
    targets[12, ::7] = torch.inf
    fit = fit_clip(hand.body, hand.vertices, targets, *hand.start, betas=hand.betas)
    assert fit.failed.nonzero()[:, 0].tolist() == [5, 9]
    assert torch.equal(fit.rotations[9], hand.start[0][9]) and fit.error[9] == torch.inf
    assert torch.isfinite(fit.rotations).all()
    assert fit.error[12] < 0.2e-3


def test_a_robust_loss_forgets_points_that_lie(hand):
    targets = hand.targets.clone()
    targets[:, ::10] += 0.08
    errors = {}
    for loss in (None, huber(0.002)):
        fit = fit_clip(hand.body, hand.vertices, targets, *hand.start, betas=hand.betas, loss=loss)
        placed = choose_points(hand.body, vertices=hand.vertices).shaped(hand.betas)
        away = placed.positions(fit.rotations, fit.translation) - hand.targets
        errors[loss] = away.norm(dim=-1).mean()
    plain, robust = errors.values()
    assert robust < 0.25 * plain


def test_a_batch_is_what_its_frames_are_alone(hand):
    together = fit_clip(hand.body, hand.vertices, hand.targets[:3], *(v[:3] for v in hand.start), betas=hand.betas)
    for f in range(3):
        row = slice(f, f + 1)
        start = (value[row] for value in hand.start)
        alone = fit_clip(hand.body, hand.vertices, hand.targets[row], *start, betas=hand.betas)
        torch.testing.assert_close(alone.rotations, together.rotations[row], rtol=0, atol=2e-4)
        torch.testing.assert_close(alone.translation, together.translation[row], rtol=0, atol=2e-5)


def test_targets_can_be_a_function_and_the_clip_longer_than_a_chunk(hand):
    frames = 600
    rows = torch.arange(frames) % len(hand.rotations)
    largest = []

    def targets(wanted: Tensor) -> Tensor:
        largest.append(len(wanted))
        return hand.targets[rows[wanted]]

    start = (value[rows] for value in hand.start)
    fit = fit_clip(hand.body, hand.vertices, targets, *start, betas=hand.betas)
    assert max(largest) < frames / 2
    assert fit.error.shape == (frames,) and fit.error.max() < 0.2e-3


def test_frozen_joints_stay(hand):
    free = torch.ones(16, dtype=torch.bool)
    free[3] = False
    fit = fit_clip(hand.body, hand.vertices, hand.targets, *hand.start, betas=hand.betas, free=free)
    assert torch.equal(fit.rotations[:, 3], hand.start[0][:, 3])
    assert not torch.equal(fit.rotations[:, 4], hand.start[0][:, 4])


def test_a_prior_keeps_directions_that_no_point_holds(hand):
    """Two points on a finger tip leave its twist open: it stays where it was copied from."""
    few = choose_points(hand.body, joints=torch.arange(16))
    targets = few.shaped(hand.betas).positions(hand.rotations, hand.translation)
    copied = TowardRotations(hand.rotations, torch.full((16,), 1e-3))
    fit = fit_clip(hand.body, few, targets, *hand.start, betas=hand.betas, terms=(copied,))
    assert geodesic_distance(fit.rotations, hand.rotations).rad2deg().max() < 1.0
    assert fit.error.max() < 0.1e-3


def test_a_start_of_another_body_is_refused(hand):
    with pytest.raises(BadData, match="the initial pose does not fit body 'open-mano-right'"):
        fit_clip(hand.body, hand.vertices, hand.targets, hand.rotations[:, :5], hand.translation)
    with pytest.raises(BadData, match="without frames"):
        fit_clip(hand.body, hand.vertices, hand.targets[:0], hand.rotations[:0], hand.translation[:0])
    with pytest.raises(BadData, match="no key frame has targets"):
        fit_clip(hand.body, hand.vertices, torch.full_like(hand.targets, torch.nan), *hand.start)
