"""The surface that losses look at is the body's, with root, hands and face at rest."""

import pytest
import torch

from tests.material import small_body
from vitruve.bodies import load_body
from vitruve.errors import UsageError
from vitruve.geometry.rotations import axis_angle_to_matrix
from vitruve.priors.surface import body_surface, drawn_vertices


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


def test_a_few_vertices_give_the_loss_of_all():
    """On the open body: the mesh loss and its gradient over 256 drawn vertices are those over all 10,475."""
    body = load_body("open-smplx-neutral")
    generator = torch.Generator().manual_seed(0)
    vectors = 0.4 * torch.randn(24, 21, 3, generator=generator)
    wanted = axis_angle_to_matrix(vectors)
    off = 0.1 * torch.randn(24, 21, 3, generator=generator)
    values, gradients = [], []
    for count in (0, 256):
        surface, turned = body_surface(body, count), (vectors + off).requires_grad_()
        vertices, _ = surface.pose(axis_angle_to_matrix(turned))
        loss = (vertices - surface.pose(wanted)[0]).abs().mean((1, 2))
        values.append(loss.detach())
        gradients.append(torch.autograd.grad(loss.sum(), turned)[0].flatten(1))
    assert float((values[1] / values[0] - 1).abs().mean()) < 0.03
    assert float(torch.cosine_similarity(*gradients).min()) > 0.98


def test_drawn_vertices_are_always_the_same():
    body = small_body("smplx", vertices=200)
    chosen = drawn_vertices(body, 20)
    assert torch.equal(chosen, drawn_vertices(body, 20)) and len(set(chosen.tolist())) == 20


def test_a_hand_has_no_body_joints():
    with pytest.raises(UsageError, match="21 body joints"):
        body_surface(small_body("mano"))
