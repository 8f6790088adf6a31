"""A joint tree as a mesh: a ball for every joint, a rod for every bone, so that it is lit and casts a shadow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_SIDES = 10  # of a rod
_BALL = 1.9  # radius of a joint over that of a bone


@dataclass(frozen=True, eq=False)
class Sticks:
    """The mesh of a joint tree; its triangles do not change from frame to frame.

    Attributes:
        edges: [bones, 2] joints.
        joints: how many there are.
        radius: of a bone, metres.
        faces: [faces, 3].
    """

    edges: NDArray[np.int64]
    joints: int
    radius: float
    faces: NDArray[np.int64]

    def vertices(self, positions: Floats) -> Floats:
        """[frames, vertices, 3] from joint positions [frames, joints, 3], metres."""
        ball, _ = _ball()
        balls = positions[:, :, None] + _BALL * self.radius * ball
        start, end = positions[:, self.edges[:, 0]], positions[:, self.edges[:, 1]]
        along = end - start
        along = along / np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-9)
        # Any direction across will do; the axis that the bone leans to least is a safe start.
        least = np.eye(3)[np.abs(along).argmin(-1)]
        first = np.cross(along, least)
        first /= np.maximum(np.linalg.norm(first, axis=-1, keepdims=True), 1e-9)
        second = np.cross(along, first)
        turn = 2 * np.pi * np.arange(_SIDES) / _SIDES
        ring = self.radius * (
            np.cos(turn)[:, None] * first[..., None, :] + np.sin(turn)[:, None] * second[..., None, :]
        )
        rods = np.concatenate([start[..., None, :] + ring, end[..., None, :] + ring], -2)
        frames = len(positions)
        return np.concatenate([balls.reshape(frames, -1, 3), rods.reshape(frames, -1, 3)], 1)


def sticks(edges: Sequence[tuple[int, int]], positions: Floats) -> Sticks:
    """The mesh for a tree, as thick as its size asks for.

    Args:
        edges: pairs of joints with a bone between them.
        positions: [..., joints, 3] where the joints are in some frames, metres.
    """
    joints = positions.shape[-2]
    size = float(np.nanmedian(np.ptp(positions.reshape(-1, joints, 3), axis=1).max(-1)))
    points, triangles = _ball()
    balls = [triangles + i * len(points) for i in range(joints)]
    near = np.arange(_SIDES)
    after = (near + 1) % _SIDES
    rod = np.concatenate(
        [np.stack([near, after, near + _SIDES], -1), np.stack([after, after + _SIDES, near + _SIDES], -1)]
    )
    begin = joints * len(points)
    rods = [rod + begin + 2 * _SIDES * i for i in range(len(edges))]
    pairs = np.array(edges, np.int64).reshape(-1, 2)
    return Sticks(pairs, joints, max(0.007 * size, 1e-4), np.concatenate([*balls, *rods]))


def _ball() -> tuple[Floats, NDArray[np.int64]]:
    sphere = trimesh.creation.icosphere(subdivisions=1)
    return np.asarray(sphere.vertices, np.float64), np.asarray(sphere.faces, np.int64)
