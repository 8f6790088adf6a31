"""Noise is taken out, and what is left is never further off than what was given."""

import functools
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.material import shared_data
from vitruve.bodies import load_body
from vitruve.errors import UsageError
from vitruve.formats import load_motion
from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance
from vitruve.motion.clips import bundled_clip_path
from vitruve.priors import denoise, denoise_motion, estimate_noise, load_prior
from vitruve.priors.prior import Prior
from vitruve.priors.surface import body_surface
from vitruve.retarget.retarget import retarget_motion

LEVELS = (1, 2, 5, 10, 20, 30)
# Where the noise is far below what the prior gets wrong, poses stay nearly as they are: chance moves the mean a little.
EQUAL = 1.005


@pytest.fixture(scope="module")
def prior() -> Prior:
    return load_prior("open")


@pytest.fixture(scope="module")
def walk() -> Tensor:
    return load_motion(bundled_clip_path()).rotations[:160, 1:22].float()


def noisy(rotations: Tensor, degrees: float, seed: int = 0) -> Tensor:
    noise = torch.randn(*rotations.shape[:-2], 3, generator=torch.Generator().manual_seed(seed))
    return rotations @ axis_angle_to_matrix(math.radians(degrees) * noise)


def off(found: Tensor, wanted: Tensor) -> Tensor:
    """Degrees of a joint and millimetres of a position, in the mean."""
    surface = body_surface(load_body("open-smplx-neutral"), 1)
    points = [surface.pose(rotations)[1][:, :22] for rotations in (found, wanted)]
    angle = torch.rad2deg(geodesic_distance(found, wanted).mean())
    return torch.stack([angle, 1000 * (points[0] - points[1]).norm(dim=-1).mean()])


@pytest.mark.parametrize("degrees", LEVELS)
def test_a_motion_gets_better_at_every_level(prior: Prior, walk: Tensor, degrees: float):
    given = noisy(walk, degrees)
    before, after = off(given, walk), off(denoise_motion(prior, given), walk)
    assert bool((after < 0.8 * before).all())


@pytest.mark.parametrize("degrees", LEVELS)
def test_poses_do_not_get_worse_at_any_level(prior: Prior, walk: Tensor, degrees: float):
    poses = walk[::4]
    given = noisy(poses, degrees)
    before, after = off(given, poses), off(denoise(prior, given, math.radians(degrees)), poses)
    assert bool((after < (EQUAL if degrees < 5 else 0.95) * before).all())


def test_a_pose_alone_does_not_get_worse(prior: Prior, walk: Tensor):
    poses = walk[::32]
    given = noisy(poses, 8)
    alone = torch.cat([denoise(prior, pose[None], math.radians(8)) for pose in given])
    assert bool((off(alone, poses) < off(given, poses)).all())


@pytest.mark.parametrize("degrees", [1, 5, 20])
def test_the_noise_of_a_motion_is_found(walk: Tensor, degrees: float):
    found = torch.rad2deg(estimate_noise(noisy(walk, degrees)))
    assert 0.9 * degrees < float(found.median()) < 1.1 * degrees
    assert float(torch.rad2deg(estimate_noise(walk)).max()) < 0.6


def test_a_clean_motion_is_left_nearly_as_it_is(prior: Prior, walk: Tensor):
    assert float(off(denoise_motion(prior, walk), walk)[0]) < 0.3


def test_without_noise_nothing_changes(prior: Prior, walk: Tensor):
    assert torch.equal(denoise(prior, walk, 0.0), walk)
    torch.testing.assert_close(denoise_motion(prior, walk, 0.0), walk, atol=1e-5, rtol=0)


def test_frames_that_are_not_valid_stay_and_say_nothing(prior: Prior, walk: Tensor):
    given, mask = noisy(walk, 5), torch.ones(len(walk), dtype=torch.bool)
    mask[70:75] = mask[:3] = False
    other = given.clone()
    other[~mask] = torch.eye(3)
    first, second = (denoise_motion(prior, some, mask=mask) for some in (given, other))
    assert torch.equal(first[mask], second[mask]) and torch.equal(second[~mask], other[~mask])


def test_a_long_motion_is_worked_on_in_parts(prior: Prior, walk: Tensor, monkeypatch: pytest.MonkeyPatch):
    given = noisy(walk, 5)
    whole = off(denoise_motion(prior, given, 0.09), walk)
    monkeypatch.setattr("vitruve.priors.denoising._BLOCK", 60)
    assert bool((off(denoise_motion(prior, given, 0.09), walk) < 1.1 * whole).all())


def test_what_noise_cannot_be(prior: Prior, walk: Tensor):
    with pytest.raises(UsageError, match="negative"):
        denoise(prior, walk, -1.0)
    with pytest.raises(UsageError, match="one for each joint"):
        denoise(prior, walk, torch.zeros(3))
    with pytest.raises(UsageError, match="too short") as error:
        denoise_motion(prior, walk[:5])
    assert "--noise-deg" in error.value.fix
    assert denoise_motion(prior, walk[:5], 0.1).shape == (5, 21, 3, 3)


@pytest.mark.parametrize("degrees", LEVELS)
def test_motion_of_others_does_not_get_worse(prior: Prior, degrees: float):
    """Styles of Bandai-Namco's set that had no say in how this was made."""
    wanted = _retargeted(shared_data("bandai-namco-2") / "dataset-2_walk_youthful_001.bvh")
    given = noisy(wanted, degrees)
    before = off(given, wanted)
    assert bool((off(denoise_motion(prior, given), wanted) < 0.8 * before).all())
    poses = off(denoise(prior, given, math.radians(degrees)), wanted)
    assert bool((poses < EQUAL * before).all()) and (degrees < 10 or float(poses[0]) < 0.95 * float(before[0]))


@functools.cache
def _retargeted(path: Path) -> Tensor:
    return retarget_motion(load_motion(path), "open-smplh").motion.rotations[:, 1:22].float()
