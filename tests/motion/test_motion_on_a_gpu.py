"""Editing, features and checks of a motion whose tensors and body are on a GPU: done there, with the CPU's results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.fake_device import GPU, fake_gpu
from tests.material import small_body, small_motion
from vitruve import motion as of
from vitruve.bodies import BodyModel
from vitruve.bodies.find_body import body_on
from vitruve.motion import Motion
from vitruve.motion.checks import inspect_motion
from vitruve.motion.world import lowest_joints

# fmt: off
CHANGES: dict[str, Callable[[Motion, BodyModel], Any]] = {
    "vertices": lambda motion, body: motion.vertices(body),
    "joints": lambda motion, body: motion.joints(body),
    "crop": lambda motion, body: of.crop(motion, 0.1, 0.5),
    "join": lambda motion, body: of.join([motion, motion], 0.1, "heading", body),
    "mirror": of.mirror,
    "set_shape": lambda motion, body: of.set_shape(motion, torch.ones(2), body),
    "resample": lambda motion, body: of.resample(motion, 47),
    "fill_gaps": lambda motion, body: of.fill_gaps(motion),
    "butterworth": lambda motion, body: of.smooth(motion),
    "gaussian": lambda motion, body: of.smooth(motion, "gaussian"),
    "change_up_axis": lambda motion, body: of.change_up_axis(motion, "y", body=body),
    "put_on_ground": of.put_on_ground,
    "lowest_joints": lowest_joints,
    "rotate_world": lambda motion, body: of.rotate_world(motion, torch.eye(3), body, torch.ones(3)),
    "translate_world": lambda motion, body: of.translate_world(motion, torch.ones(3)),
    "start_at_origin": of.start_at_origin,
    "velocities": of.velocities,
    "accelerations": of.accelerations,
    "angular_velocities": lambda motion, body: of.angular_velocities(motion),
    "foot_contacts": of.foot_contacts,
    "foot_sliding": of.foot_sliding,
    "ground_speed": lambda motion, body: of.ground_speed(motion),
    "heading": of.heading,
    "inspect_motion": lambda motion, body: inspect_motion(motion),
    "smplx_arguments": lambda motion, body: motion.smplx_arguments(),
}
# fmt: on


def numbers(result: Any) -> list[Tensor]:
    """The tensors of a result, on the CPU."""
    if isinstance(result, Motion):
        return [value.cpu() for value in vars(result).values() if isinstance(value, Tensor)]
    if isinstance(result, dict):
        return [value.cpu() for value in result.values() if isinstance(value, Tensor)]
    return [result.cpu()] if isinstance(result, Tensor) else []


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_done_to_a_motion_is_done_where_it_is(name: str):
    body, motion = small_body("smplh"), small_motion("smplh", frames=30)
    motion = motion.replace(mask=torch.arange(30) != 7)
    expected = CHANGES[name](motion, body)
    with fake_gpu():
        found = CHANGES[name](motion.to(GPU), body_on(body, GPU))
        if isinstance(found, Motion):
            assert found.rotations.device == found.translation.device == found.betas.device == torch.device(GPU)
    for ours, theirs in zip(numbers(expected), numbers(found), strict=True):
        assert torch.allclose(ours.double(), theirs.double(), equal_nan=True)
