"""Each component against numbers worked out by hand, and gradients that are finite where the usual formulas are not."""

import math

import pytest
import torch

from tests.material import small_body
from vitruve.geometry.rotations import rotation_about
from vitruve.priors.losses import Weights, active_units, chordal, components, distance, kl_nats, total
from vitruve.priors.surface import body_surface
from vitruve.priors.vposer import Gaussian

PUBLISHED = Weights(mesh_l1=4.0, geodesic=2.0, joints_l1=2.0, kl=0.005)


def turned(angle: float, joint: int = 0, poses: int = 1) -> torch.Tensor:
    out = torch.eye(3, dtype=torch.float64).repeat(poses, 21, 1, 1)
    out[:, joint] = rotation_about("Z", torch.tensor(angle, dtype=torch.float64))
    return out


def test_divergence_by_hand():
    # KL of N(mu, s) from N(0, 1) is (s^2 + mu^2 - 1) / 2 - ln s.
    posterior = Gaussian(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[1.0, 2.0], [0.5, 1.0]]))
    first = 0.5 + (1.5 - math.log(2))
    second = (-0.375 + math.log(2)) + 2.0
    assert float(kl_nats(posterior)) == pytest.approx((first + second) / 2, rel=1e-6)
    assert float(posterior.kl()[0, 1]) == pytest.approx(1.5 - math.log(2), rel=1e-6)


def test_the_divergence_of_a_pose_counts_as_much_as_its_factor_says():
    posterior = Gaussian(torch.tensor([[2.0], [4.0], [6.0]]), torch.ones(3, 1))
    assert float(kl_nats(posterior, factors=torch.tensor([1.0, 0.5, 0.0]))) == pytest.approx((2.0 + 4.0) / 3)


def test_free_nats_count_by_dimension():
    posterior = Gaussian(torch.tensor([[2.0, 0.1]]), torch.ones(1, 2))
    assert float(kl_nats(posterior, 0.5)) == pytest.approx(2.0 + 0.5)


@pytest.mark.parametrize("angle", [0.0, 1e-4, 1.0, 3.0, math.pi])
def test_angles_by_hand(angle: float):
    parts = components(
        turned(angle),
        turned(0.0),
        Gaussian(torch.zeros(1, 1), torch.ones(1, 1)),
        body_surface(small_body()),
        Weights(geodesic=1.0, chordal=1.0),
    )
    assert float(parts["geodesic_rad"]) == pytest.approx(angle / 21, abs=1e-12)
    assert float(parts["chordal"]) == pytest.approx(2 * (1 - math.cos(angle)) / 21, abs=1e-12)


def test_mesh_and_joints_by_hand():
    """One joint turned: what is far from its axis moves by as much as a rotation about that joint says."""
    body = small_body("smplx", vertices=80, correctives=False)
    surface = body_surface(body)
    angle = 0.4
    rotations, rest = turned(angle, joint=17), turned(0.0)  # the left elbow is joint 18 of the body
    parts = components(
        rotations,
        rest,
        Gaussian(torch.zeros(1, 1), torch.ones(1, 1)),
        surface,
        Weights(mesh_l1=1.0, mesh=1.0, joints_l1=1.0),
    )
    joints = body.shaped().rest_joints
    turn = rotation_about("Z", torch.tensor(angle, dtype=torch.float64))

    def moved(points: torch.Tensor) -> torch.Tensor:
        return (points - joints[18]) @ (turn.T - torch.eye(3, dtype=torch.float64))

    below = [18]
    for joint in range(19, 55):
        if body.skeleton.parents[joint] in below:
            below.append(joint)
    joint_shift = torch.zeros(55, 3, dtype=torch.float64)
    joint_shift[below] = moved(joints[below])
    share = body.skin_weights[:, below].sum(1, keepdim=True)
    vertex_shift = share * moved(body.template)
    assert float(parts["joints_l1_m"]) == pytest.approx(float(joint_shift.abs().mean()), rel=1e-9)
    assert float(parts["mesh_l1_m"]) == pytest.approx(float(vertex_shift.abs().mean()), rel=1e-9)
    assert float(parts["mesh_m"]) == pytest.approx(float(vertex_shift.norm(dim=-1).mean()), rel=1e-9)


def test_the_published_sum_by_hand_and_its_switch():
    parts = {"mesh_l1_m": 0.25, "kl_nats": 3.5, "geodesic_rad": 2.2, "joints_l1_m": 0.26}
    tensors = {key: torch.tensor(value) for key, value in parts.items()}
    assert float(total(tensors, PUBLISHED)) == pytest.approx(4 * 0.25 + 0.005 * 3.5 + 2 * 2.2 + 2 * 0.26)
    assert float(total(tensors, PUBLISHED, extra=False)) == pytest.approx(4 * 0.25 + 0.005 * 3.5)
    assert float(total(tensors, PUBLISHED, kl_factor=0.5)) == pytest.approx(1 + 0.0025 * 3.5 + 4.4 + 0.52)


@pytest.mark.parametrize("angle", [0.0, 1e-9, math.pi, math.pi - 1e-7])
def test_gradients_are_finite_at_a_match_and_at_half_a_turn(angle: float):
    found, wanted = turned(angle, poses=3).float().requires_grad_(), turned(0.0, poses=3).float()
    weights = Weights(1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    posterior = Gaussian(torch.zeros(3, 2), torch.ones(3, 2))
    parts = components(found, wanted, posterior, body_surface(small_body(vertices=40).float()), weights)
    total(parts, weights).backward()
    assert found.grad is not None and found.grad.isfinite().all()


def test_distance_and_chordal_by_hand():
    a, b = torch.zeros(2, 3), torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]])
    assert distance(a, b).tolist() == [5.0, 0.0]
    half = rotation_about("X", torch.tensor(math.pi))
    assert float(chordal(half, torch.eye(3))) == pytest.approx(4.0, rel=1e-6)


def test_active_units_are_those_that_vary():
    means = torch.randn(500, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 0.5, 0.05, 0.0])
    assert active_units(means) == 2
