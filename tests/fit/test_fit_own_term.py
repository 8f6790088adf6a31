"""A term from outside: what docs/fit.md shows works with the dense solver."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tests.fit.fit_material import disturbed, smooth_motion
from tests.material import small_body
from vitruve.fit import choose_points
from vitruve.fit.dense import Pose, Unknowns, fit_dense
from vitruve.fit.terms import PointPull, PointTargets


@dataclass(frozen=True)
class Seen:
    """Joints seen by a pinhole camera that looks along z: distances on the image plane."""

    image: Tensor  # [frames, points, 2]

    def pull(self, positions: Tensor, frames: Tensor | None = None) -> PointPull:
        image = self.image if frames is None else self.image[frames]
        depth = positions[..., 2:]
        away = image - positions[..., :2] / depth
        by_position = torch.zeros(*positions.shape[:2], 2, 3, dtype=positions.dtype)
        by_position[..., 0, 0] = by_position[..., 1, 1] = 1 / depth[..., 0]
        by_position[..., 2] = -positions[..., :2] / depth**2
        share = 1 / positions.shape[1]
        return PointPull(
            energy=share * away.square().sum((1, 2)),
            slope=share * torch.einsum("fpia,fpi->fpa", by_position, away),
            curvature=share * torch.einsum("fpia,fpib->fpab", by_position, by_position),
        )


def test_projections_from_a_camera_are_met():
    body = small_body("smpl", correctives=False)
    points = choose_points(body, joints=torch.arange(24), vertices=torch.arange(60))
    rotations, translation = smooth_motion(24, 3, torch.float64)
    translation[:, 2] += 6
    truth = points.positions(rotations, translation)
    seen = Seen(truth[..., :2] / truth[..., 2:])
    pull = seen.pull(truth + 0.01)
    variable = (truth + 0.01).requires_grad_()
    (slope,) = torch.autograd.grad(seen.pull(variable).energy.sum(), variable)
    torch.testing.assert_close(-2 * pull.slope, slope)
    fit = fit_dense(points, (seen,), Pose.of(disturbed(rotations, 0.1), translation + 0.05), iterations=40)
    assert fit.error.max() < 1e-6
    placed = points.positions(fit.pose.rotations, fit.pose.translation)
    assert (placed - truth).norm(dim=-1).mean() < 0.01


def test_two_terms_add_up_and_expression_is_found():
    body = small_body("smplx", correctives=True)
    points = choose_points(body, vertices=torch.arange(200))
    rotations, translation = smooth_motion(55, 2, torch.float64)
    translation[:, 2] += 6
    expression = torch.randn(2, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    truth = points.shaped(expression=expression).positions(rotations, translation)
    start = Pose.of(disturbed(rotations, 0.02), translation, None, torch.zeros(2, 10))
    unknowns = Unknowns(expression=True, expression_ridge=1e-9)
    terms = (Seen(truth[..., :2] / truth[..., 2:]), Seen(truth[..., :2] / truth[..., 2:]))
    fit = fit_dense(points, (*terms, PointTargets.of(truth, None)), start, unknowns=unknowns, iterations=60)
    assert fit.error.max() < 1e-5
    assert (fit.pose.expression - expression).abs().max() < 0.05
