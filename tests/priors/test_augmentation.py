"""What a step learns from: poses mirrored, turned, and with parts hidden from the encoder."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.priors import prior_material as material
from vitruve.errors import UsageError
from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance
from vitruve.priors import complete, load_prior, train_prior
from vitruve.priors.augmentation import augment, turned_poses, visible_joints
from vitruve.priors.completion import NAMES, joint_mask
from vitruve.priors.prior import Prior


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Prior:
    folder = tmp_path_factory.mktemp("masked")
    recipe = replace(material.recipe(steps=120), masked=0.6, masked_parts=0.3)
    train_prior(material.data(), folder, recipe, body=material.body(), device="cpu")
    return load_prior(folder)


def seeded(seed: int = 0) -> None:
    torch.manual_seed(seed)


def test_a_recipe_without_them_shows_the_poses_themselves():
    vectors = material.poses(8)
    augmented = augment(vectors, material.recipe())
    assert (
        augmented.target is vectors
        and augmented.encoded is vectors
        and augmented.known is None
        and augmented.kl_factors is None
    )


def test_turned_poses_are_both_seen_and_wanted_and_cost_less_divergence():
    seeded()
    vectors = material.poses(2000)
    augmented = augment(vectors, replace(material.recipe(), turned=0.4, turned_by=0.3, turned_kl=0.1))
    moved = (augmented.target != vectors).any(-1).any(-1)
    assert torch.equal(augmented.encoded, augmented.target) and 0.35 < float(moved.float().mean()) < 0.45
    assert augmented.kl_factors is not None
    assert torch.equal(augmented.kl_factors, torch.where(moved, 0.1, 1.0))
    sizes = (augmented.target - vectors)[moved].flatten(1).std(1)
    assert sizes.min() < 0.03 and 0.24 < sizes.max() < 0.36 and 0.13 < sizes.mean() < 0.17


def test_noise_is_seen_and_not_wanted():
    seeded()
    vectors = material.poses(50)
    augmented = augment(vectors, replace(material.recipe(), noise=0.1))
    assert torch.equal(augmented.target, vectors) and 0.09 < float((augmented.encoded - vectors).std()) < 0.11


def test_turned_vectors_are_no_longer_than_half_a_turn():
    seeded()
    vectors = torch.zeros(500, 21, 3)
    vectors[..., 0] = 3.1
    turned = turned_poses(vectors, 0.2)
    assert turned.norm(dim=-1).max() <= torch.pi + 1e-5 and (turned[..., 0] < 0).any()
    angle = geodesic_distance(axis_angle_to_matrix(turned), axis_angle_to_matrix(vectors))
    assert angle.max() < 1.5


def test_parts_are_hidden_whole_and_as_often_as_said():
    seeded()
    known = visible_joints(4000, 0.5, 0.25, torch.device("cpu"))
    for part in ("left_arm", "right_arm", "left_leg", "right_leg", "trunk", "head"):
        joints = ~joint_mask([part])
        seen = known[:, joints]
        assert torch.equal(seen.any(1), seen.all(1)), part
        assert 0.10 < float((~seen[:, 0]).float().mean()) < 0.15, part
    assert known[:, NAMES.index("left_collar")].all()
    whole = 0.5 + 0.5 * 0.75**6
    assert abs(float(known.all(1).float().mean()) - whole) < 0.03


def test_a_network_that_learned_to_sees_what_is_known_alone(prior: Prior):
    wanted = axis_angle_to_matrix(material.poses(60, seed=7))
    known = joint_mask(["left_arm", "head"])
    broken = wanted.clone()
    broken[:, ~known] = float("nan")
    code = prior.encode(broken, known).mean
    assert torch.equal(code, prior.encode(wanted, known).mean)
    filled = complete(prior, broken, known, hypotheses=3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(filled[:, :, known], wanted[:, None, known].expand(-1, 3, -1, -1, -1))
    torch.testing.assert_close(filled[:, 0, ~known], prior.decode(code)[:, ~known])
    mean = axis_angle_to_matrix(material.poses(600).mean(0)).expand_as(wanted)
    off = [geodesic_distance(found, wanted)[:, ~known].mean() for found in (filled[:, 0], filled[:, 1], mean)]
    assert off[0] < 0.5 * off[2] and off[0] < off[1] < off[2]


def test_one_that_did_not_says_so(tmp_path: Path):
    train_prior(material.data(), tmp_path, material.recipe(steps=2), body=material.body(), device="cpu")
    prior = load_prior(tmp_path)
    with pytest.raises(UsageError, match="was not trained"):
        prior.encode(torch.eye(3).expand(2, 21, 3, 3), joint_mask(["head"]))
