"""A motion as animation programs hold it: a joint tree at rest, rotations, and the paths of joints that move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.formats.readers.plain_text import z_up_from
from vitruve.motion import Motion

# A bone offset that differs from rest by more than this is a bone that changes, metres.
_STILL = 1e-6

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AnimatedTree:
    """A joint tree and its animation in the world of a file, in metres.

    Attributes:
        rest: [joints, 3] positions at rest.
        bones: [joints, 3] from the parent at rest; for the root its position.
        rotations: [frames, joints, 3, 3].
        paths: [frames, 3] by joint: positions from the parent, of the root and of joints whose bones change.
    """

    rest: Array
    bones: Array
    rotations: Array
    paths: dict[int, Array]


def animated_tree(motion: Motion, body: BodyModel | None, up: str) -> AnimatedTree:
    """The joint tree of a motion, in its body's shape, with the file's up axis ("y" or "z")."""
    parents = np.array(motion.skeleton.parents)
    rest = float64_array(motion.rest_joints(body))
    bones = rest - np.where(parents[:, None] >= 0, rest[parents], 0.0)
    back = world_to_file(up)
    rotations = float64_array(motion.rotations)
    rotations[:, 0] = back @ rotations[:, 0]
    paths = {0: (rest[0] + float64_array(motion.translation)) @ back.T}
    if motion.offsets is not None:
        offsets = float64_array(motion.offsets)
        changing = ~(np.abs(offsets - bones).max((0, 2)) <= _STILL)
        paths |= {joint: offsets[:, joint] for joint in range(1, len(rest)) if changing[joint]}
    return AnimatedTree(rest, bones, rotations, paths)


def world_to_file(up: str) -> Array:
    """[3, 3] rotation from the z-up world to one with the up axis "y" or "z"."""
    return z_up_from(up, torch.zeros((), dtype=torch.float64)).numpy().T


def float64_array(tensor: Tensor) -> Array:
    """A copy as float64 on the CPU."""
    return tensor.detach().to("cpu", torch.float64, copy=True).numpy()
