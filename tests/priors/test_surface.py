"""The surface that losses look at is the body's, with root, hands and face at rest."""

import pytest
import torch

from tests.material import small_body
from vitruve.errors import UsageError
from vitruve.geometry.rotations import axis_angle_to_matrix
from vitruve.priors.surface import body_surface, spread_vertices


@pytest.mark.parametrize("layout", ["smpl", "smplh", "smplx"])
@pytest.mark.parametrize("count", [0, 40])
def test_it_is_the_body_with_hands_and_face_at_rest(layout: str, count: int):
    body = small_body(layout)
    rotations = axis_angle_to_matrix(
        torch.randn(6, 21, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    )
    full = body.rest_rotations(6)
    full[:, 1:22] = rotations
    surface = body_surface(body, count)
    vertices, joints = surface.pose(rotations)
    shaped = body.shaped()
    torch.testing.assert_close(vertices, shaped.vertices(full)[:, surface.vertices])
    torch.testing.assert_close(joints, shaped.joints(full))
    assert vertices.shape[1] == (count or body.num_vertices)


def test_gradients_are_those_of_the_body():
    body = small_body("smplx", vertices=50)
    start = torch.randn(2, 21, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weight = torch.randn(2, 50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    gradients = []
    for whole in (True, False):
        vectors = start.clone().requires_grad_()
        rotations = axis_angle_to_matrix(vectors)
        if whole:
            rest = body.rest_rotations(2)
            vertices = body.shaped().vertices(torch.cat([rest[:, :1], rotations, rest[:, 22:]], 1))
        else:
            vertices, _ = body_surface(body).pose(rotations)
        gradients += torch.autograd.grad((vertices * weight).sum(), vectors)
    torch.testing.assert_close(*gradients)


def test_spread_vertices_lie_apart_and_are_always_the_same():
    body = small_body("smplx", vertices=200)
    chosen = spread_vertices(body, 20)
    assert torch.equal(chosen, spread_vertices(body, 20)) and len(set(chosen.tolist())) == 20
    least = [torch.pdist(body.template[rows]).min() for rows in (chosen, torch.arange(20))]
    assert least[0] > 2 * least[1]


def test_a_hand_has_no_body_joints():
    with pytest.raises(UsageError, match="21 body joints"):
        body_surface(small_body("mano"))
