"""A joint tree as a mesh: a ball for every joint, a rod for every bone, so that it is lit and casts a shadow."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitruve.draw.scene import Actor
from vitruve.skeletons import Skeleton

Floats = NDArray[np.float64]
_SIDES = 10  # of a rod and of a ball
_RINGS = 4  # of a ball, between its poles
_BALL = 1.9  # radius of a joint over that of a bone
_THICK = 0.007  # radius of a bone over the size of the body
_SAMPLE = 12  # frames that bones are told by
_STRETCH = 0.2  # of a body's size: what changes more is no bone


@dataclass(frozen=True, eq=False)
class Sticks:
    """The mesh of a joint tree; its triangles do not change from frame to frame.

    Attributes:
        edges: [bones, 2] joints.
        joints: [joints] those with a bone.
        radius: of a bone, metres.
        faces: [faces, 3].
    """

    edges: NDArray[np.int64]
    joints: NDArray[np.int64]
    radius: float
    faces: NDArray[np.int64]

    def vertices(self, positions: Floats) -> Floats:
        """[frames, vertices, 3] from joint positions [frames, joints, 3], metres."""
        ball, _ = _ball()
        balls = positions[:, self.joints, None] + _BALL * self.radius * ball
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


def sticks_of(actor: Actor) -> Sticks:
    """The mesh of an actor's joint tree, as thick as its size asks for."""
    positions = _some(actor)
    assert actor.performer.skeleton is not None
    edges = bones(actor.performer.skeleton, positions)
    joints = np.unique(edges) if len(edges) else np.arange(positions.shape[1])
    points, triangles = _ball()
    balls = [triangles + i * len(points) for i in range(len(joints))]
    near = np.arange(_SIDES)
    after = (near + 1) % _SIDES
    rod = np.concatenate(
        [np.stack([near, after, near + _SIDES], -1), np.stack([after, after + _SIDES, near + _SIDES], -1)]
    )
    begin = len(joints) * len(points)
    rods = [rod + begin + 2 * _SIDES * i for i in range(len(edges))]
    radius = max(_THICK * _size(positions[:, joints]), 1e-4)
    return Sticks(edges, joints, radius, np.concatenate([*balls, *rods]))


def points_of(actor: Actor, frames: Sequence[int]) -> Floats:
    """Positions [frames, points, 3] of points that belong to the body, metres: joints, or vertices of meshes."""
    positions, skeleton = actor.points(frames).cpu().numpy(), actor.performer.skeleton
    if skeleton is None or actor.performer.has_surface:
        return positions
    edges = bones(skeleton, _some(actor))
    return positions[:, np.unique(edges)] if len(edges) else positions


def bones(skeleton: Skeleton, positions: Floats) -> NDArray[np.int64]:
    """The lines of a tree that are bones, [bones, 2].

    A line that grows and shrinks by a large part of the body is none: some files have a root that stays at the origin
    while the hips walk away from it.
    """
    edges = np.array(skeleton.edges, np.int64).reshape(-1, 2)
    lengths = np.linalg.norm(positions[:, edges[:, 0]] - positions[:, edges[:, 1]], axis=-1)
    # A keypoint that is never seen has no lengths, and no bone is told from it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        steady = np.nanmax(lengths, 0) - np.nanmin(lengths, 0) < _STRETCH * _size(positions)
    return edges[steady] if steady.any() else edges


def _some(actor: Actor) -> Floats:
    own = actor.performer.valid_frames()
    some = own[np.linspace(0, len(own) - 1, min(len(own), _SAMPLE)).round().astype(int)].tolist()
    return actor.joint_positions(some).cpu().numpy()


def _size(positions: Floats) -> float:
    """The longest side of the box around a body, metres."""
    sides = np.nanmax(positions, 1) - np.nanmin(positions, 1)
    return float(np.median(sides.max(-1)))


@functools.cache
def _ball() -> tuple[Floats, NDArray[np.int64]]:
    """Vertices and triangles of a sphere of radius 1, in rings between its poles."""
    up, turn = np.pi * np.arange(1, _RINGS + 1) / (_RINGS + 1), 2 * np.pi * np.arange(_SIDES) / _SIDES
    rings = np.stack(
        np.broadcast_arrays(
            np.outer(np.sin(up), np.cos(turn)), np.outer(np.sin(up), np.sin(turn)), np.cos(up)[:, None]
        ),
        -1,
    )
    points = np.concatenate([[[0.0, 0.0, 1.0]], rings.reshape(-1, 3), [[0.0, 0.0, -1.0]]])
    near = np.arange(_SIDES)
    after, last = (near + 1) % _SIDES, 1 + (_RINGS - 1) * _SIDES
    triangles = [np.stack([np.zeros_like(near), 1 + near, 1 + after], -1)]
    for first in range(1, last, _SIDES):
        below = first + _SIDES
        triangles += [
            np.stack([first + near, below + near, below + after], -1),
            np.stack([first + near, below + after, first + after], -1),
        ]
    triangles.append(np.stack([last + near, np.full_like(near, len(points) - 1), last + after], -1))
    return points, np.concatenate(triangles)
