"""Points chosen from a body stand where the body says."""

import pytest
import torch

from tests.fit.fit_material import smooth_motion
from tests.material import small_body
from vitruve.errors import UsageError
from vitruve.fit import choose_points


@pytest.mark.parametrize("layout", ["smpl", "smplx", "mano"])
def test_vertices_regressed_points_and_joints_stand_where_the_body_says(layout):
    body = small_body(layout)
    rotations, translation = smooth_motion(body.num_joints, 5, torch.float64)
    betas = torch.linspace(-1, 1, 10, dtype=torch.float64)
    shaped = body.shaped(betas)
    vertices, joints, regressor = torch.tensor([3, 50, 7]), torch.tensor([2, 0]), body.joint_regressor[4:7]
    points = choose_points(body, vertices=vertices, regressor=regressor, joints=joints).shaped(betas)
    expected = [
        shaped.vertices(rotations, translation)[:, vertices],
        shaped.points(regressor, rotations, translation),
        shaped.joints(rotations, translation)[:, joints],
    ]
    assert len(points) == 8
    torch.testing.assert_close(points.positions(rotations, translation), torch.cat(expected, 1), rtol=0, atol=1e-12)
    some = torch.tensor([6, 4, 0])
    torch.testing.assert_close(
        points.select(some).positions(rotations, translation), torch.cat(expected, 1)[:, some], rtol=0, atol=1e-12
    )


def test_expression_per_frame():
    body = small_body("smplx")
    rotations, translation = smooth_motion(body.num_joints, 4, torch.float64)
    expression = torch.randn(4, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    points = choose_points(body, vertices=torch.arange(20), joints=torch.arange(5))
    shaped = body.shaped(None, expression)
    expected = torch.cat(
        [shaped.vertices(rotations, translation)[:, :20], shaped.joints(rotations, translation)[:, :5]], 1
    )
    found = points.shaped(expression=expression).positions(rotations, translation)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_bad_choices_say_what_to_do():
    body = small_body("smpl")
    with pytest.raises(UsageError, match="no points"):
        choose_points(body)
    with pytest.raises(UsageError, match="does not fit body"):
        choose_points(body, regressor=torch.ones(2, 7))
