"""A joint tree as a mesh, so that it is lit and casts a shadow: a ball for every joint, a rod for every bone."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitruve.draw.framing import Floats
from vitruve.draw.scene import Actor
from vitruve.skeletons import Skeleton

_SIDES = 10  # of a rod and of a ball
_RINGS = 4  # of a ball, between its poles
_BALL = 1.9  # radius of a joint over that of a bone
_THICK = 0.007  # radius of a bone over the size of the body
_SAMPLE = 12  # frames in which the lengths of bones are compared
_STRETCH = 0.2  # of the body's size: a line whose length changes more is no bone


@dataclass(frozen=True, eq=False)
class Sticks:
    """The mesh of a joint tree; its triangles are the same in all frames.

    Attributes:
        edges: [bones, 2] joints.
        joints: [joints] with a bone.
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
        # Any direction across works; the axis that is least parallel to the bone is a safe start.
        first = np.cross(along, np.eye(3)[np.abs(along).argmin(-1)])
        first /= np.maximum(np.linalg.norm(first, axis=-1, keepdims=True), 1e-9)
        second = np.cross(along, first)
        turn = 2 * np.pi * np.arange(_SIDES) / _SIDES
        cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
        ring = self.radius * (cos * first[..., None, :] + sin * second[..., None, :])
        rods = np.concatenate([start[..., None, :] + ring, end[..., None, :] + ring], -2)
        frames = len(positions)
        return np.concatenate([balls.reshape(frames, -1, 3), rods.reshape(frames, -1, 3)], 1)


def sticks_of(actor: Actor) -> Sticks:
    """The mesh of an actor's joint tree, as thick as its size requires."""
    positions = actor.joint_positions(actor.some_frames(_SAMPLE)).cpu().numpy()
    edges = bones_of(actor)
    joints = np.unique(edges) if len(edges) else np.arange(positions.shape[1])
    points, triangles = _ball()
    balls = [triangles + i * len(points) for i in range(len(joints))]
    near = np.arange(_SIDES)
    after = (near + 1) % _SIDES
    rod = np.concatenate([_triangles(near, after, near + _SIDES), _triangles(after, after + _SIDES, near + _SIDES)])
    begin = len(joints) * len(points)
    rods = [rod + begin + 2 * _SIDES * i for i in range(len(edges))]
    radius = max(_THICK * _size(positions[:, joints]), 1e-4)
    return Sticks(edges, joints, radius, np.concatenate([*balls, *rods]))


class ActorMesh:
    """The mesh of an actor; what is common to all frames is computed once."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor

    @functools.cached_property
    def _sticks(self) -> Sticks:
        return sticks_of(self.actor)

    @functools.cached_property
    def faces(self) -> NDArray[np.int64]:
        """[faces, 3] vertex indices."""
        faces = self.actor.performer.faces
        return self._sticks.faces if faces is None else faces.cpu().numpy()

    def vertices(self, frames: Sequence[int]) -> Floats:
        """[frames, vertices, 3] metres; NaN where there is no data."""
        if self.actor.performer.has_surface:
            return self.actor.vertices(frames).double().cpu().numpy()
        return self._sticks.vertices(self.actor.joint_positions(frames).cpu().numpy())


def points_of(actor: Actor, frames: Sequence[int]) -> Floats:
    """Positions [frames, points, 3] of points that belong to the body, metres: joints, or vertices of meshes."""
    positions = actor.points(frames).cpu().numpy()
    if actor.performer.skeleton is None or actor.performer.has_surface:
        return positions
    edges = bones_of(actor)
    return positions[:, np.unique(edges)] if len(edges) else positions


def bones_of(actor: Actor) -> NDArray[np.int64]:
    """The bones of an actor with joints, [bones, 2]."""
    assert actor.performer.skeleton is not None
    return bones(actor.performer.skeleton, actor.joint_positions(actor.some_frames(_SAMPLE)).cpu().numpy())


def bones(skeleton: Skeleton, positions: Floats) -> NDArray[np.int64]:
    """The lines of a joint tree that are bones, [bones, 2].

    A line whose length changes by a large part of the body is none: some files have a root that stays at the origin
    while the hips walk away from it.
    """
    edges = np.array(skeleton.edges, np.int64).reshape(-1, 2)
    lengths = np.linalg.norm(positions[:, edges[:, 0]] - positions[:, edges[:, 1]], axis=-1)
    # A keypoint that is never seen has no lengths, and so no bones.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        steady = np.nanmax(lengths, 0) - np.nanmin(lengths, 0) < _STRETCH * _size(positions)
    return edges[steady] if steady.any() else edges


def _size(positions: Floats) -> float:
    """The longest side of the box around a body, metres."""
    sides = np.nanmax(positions, 1) - np.nanmin(positions, 1)
    return float(np.median(sides.max(-1)))


@functools.cache
def _ball() -> tuple[Floats, NDArray[np.int64]]:
    """Vertices and triangles of a sphere of radius 1, in rings between its poles."""
    up, turn = np.pi * np.arange(1, _RINGS + 1) / (_RINGS + 1), 2 * np.pi * np.arange(_SIDES) / _SIDES
    x, y, z = np.outer(np.sin(up), np.cos(turn)), np.outer(np.sin(up), np.sin(turn)), np.cos(up)[:, None]
    rings = np.stack(np.broadcast_arrays(x, y, z), -1)
    points = np.concatenate([[[0.0, 0.0, 1.0]], rings.reshape(-1, 3), [[0.0, 0.0, -1.0]]])
    near = np.arange(_SIDES)
    after, last = (near + 1) % _SIDES, 1 + (_RINGS - 1) * _SIDES
    triangles = [_triangles(0, 1 + near, 1 + after)]
    for first in range(1, last, _SIDES):
        below = first + _SIDES
        triangles.append(_triangles(first + near, below + near, below + after))
        triangles.append(_triangles(first + near, below + after, first + after))
    triangles.append(_triangles(last + near, len(points) - 1, last + after))
    return points, np.concatenate(triangles)


def _triangles(*corners: ArrayLike) -> NDArray[np.int64]:
    return np.stack(np.broadcast_arrays(*corners), -1)
