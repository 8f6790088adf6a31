"""A prior on a GPU: what is drawn, encoded, filled and denoised there is what the CPU gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.fake_device import GPU, fake_gpu
from vitruve import load_motion
from vitruve.motion import bundled_clip_path
from vitruve.priors import Prior, load_prior
from vitruve.priors.completion import complete, joint_mask
from vitruve.priors.denoising import denoise, denoise_motion

OPEN = load_prior("open")
# One that has not learned to look at a part of a pose.
WHOLE = replace(OPEN, words={key: value for key, value in OPEN.words.items() if key != "recipe"})
POSES = load_motion(bundled_clip_path()).rotations[60:80, 1:22].float()
ARM = joint_mask(["left_arm"])


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


USES: dict[str, tuple[Prior, Callable[[Prior, Tensor], Tensor]]] = {
    "sample": (OPEN, lambda prior, poses: prior.sample(3, generator())),
    "posterior": (OPEN, lambda prior, poses: prior.encode(poses).sample(generator())),
    "energy": (OPEN, lambda prior, poses: prior.energy(poses)),
    "interpolate": (OPEN, lambda prior, poses: prior.interpolate(poses[0], poses[1], 4)),
    "complete": (OPEN, lambda prior, poses: complete(prior, poses, ARM, 2, generator())),
    "complete by search": (WHOLE, lambda prior, poses: complete(prior, poses[:1], ARM, 2, generator())),
    "denoise": (OPEN, lambda prior, poses: denoise(prior, poses[:2], 0.1)),
    "denoise_motion": (OPEN, lambda prior, poses: denoise_motion(prior, poses)),
}


@pytest.mark.parametrize("use", USES)
def test_a_prior_computes_where_it_is(use: str):
    prior, call = USES[use]
    expected = call(prior, POSES)
    with fake_gpu():
        found = call(prior.to(GPU), POSES.to(GPU))
        assert found.device == torch.device(GPU)
    assert torch.allclose(found.cpu(), expected, atol=1e-5)
    assert next(prior.network.parameters()).device == torch.device("cpu")


def test_poses_may_be_on_the_cpu():
    with fake_gpu():
        prior = OPEN.to(GPU)
        assert prior.encode(POSES).mean.device == torch.device(GPU)
        assert complete(prior, POSES[:1], ARM).device == denoise_motion(prior, POSES).device == POSES.device
