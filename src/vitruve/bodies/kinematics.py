"""Forward kinematics: joint rotations of a tree to world rotations and positions."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def forward_kinematics(
    rotations: Float[Tensor, "*batch joints 3 3"], rest_joints: Tensor, parents: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """World rotations [*batch, joints, 3, 3] and positions [*batch, joints, 3] of a tree.

    `rest_joints` are the positions at rest, [*#batch, joints, 3]; `parents` come before their children.
    """
    batch = common_batch(rotations.shape[:-3], rest_joints.shape[:-2])
    rest = rest_joints.expand(*batch, *rest_joints.shape[-2:])
    levels, place, above_each = _levels(parents, rotations.device)
    bones = torch.cat([rest[..., :1, :], rest[..., 1:, :] - rest.index_select(-2, above_each)], -2)
    local = torch.cat([rotations.expand(*batch, *rotations.shape[-3:]), bones[..., None]], -1)
    last_row = local.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*local.shape[:-2], 1, 4)
    # Joints first, so that each level of the tree is one contiguous product instead of one per joint.
    local = torch.cat([local, last_row], -2).movedim(-3, 0)
    world = [local[:1]]
    for joints, above in levels:
        world.append(world[-1].index_select(0, above) @ local.index_select(0, joints))
    all_world = torch.cat(world).index_select(0, place).movedim(0, -3)
    return all_world[..., :3, :3], all_world[..., :3, 3]


def common_batch(*batches: Sequence[int]) -> tuple[int, ...]:
    """The batch that several batches have in common."""
    # NumPy's version: torch's imports sympy, a third of a second. The compiler of torch 2.4 knows torch's alone.
    return torch.broadcast_shapes(*batches) if torch.compiler.is_compiling() else np.broadcast_shapes(*batches)


@functools.cache
def _levels(parents: tuple[int, ...], device: torch.device) -> tuple[list[tuple[Tensor, Tensor]], Tensor, Tensor]:
    """The tree split into levels.

    Returns:
        (per level below the root: its joints, and their parents as positions within the level above; the position of
        each joint in the concatenated levels; the parent of each joint but the root)
    """
    joined, levels, above = [0], [], [0]
    while level := [joint for joint, parent in enumerate(parents) if parent in above]:
        levels.append((level, [above.index(parents[joint]) for joint in level]))
        joined, above = joined + level, level

    def on_device(indices: list[int]) -> Tensor:
        return torch.tensor(indices, dtype=torch.long, device=device)

    place = on_device([joined.index(joint) for joint in range(len(parents))])
    return [(on_device(level), on_device(up)) for level, up in levels], place, on_device(list(parents[1:]))


def flat_batch(value: Tensor, own: int, batch: tuple[int, ...]) -> Tensor:
    """All batch axes as one; a value that is the same for the whole batch stays a batch of one."""
    core = value.shape[value.dim() - own :]
    if math.prod(value.shape[: value.dim() - own]) == 1:
        return value.reshape(1, *core)
    return value.expand(*batch, *core).reshape(math.prod(batch), *core)
