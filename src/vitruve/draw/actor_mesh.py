"""An actor as a mesh whose triangles stay the same: its surface, or the sticks of its joints and bones."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitruve.draw.framing import Floats
from vitruve.draw.pictures import picture
from vitruve.draw.scene import Actor
from vitruve.draw.sticks import Sticks, sticks_of
from vitruve.geometry.camera import Camera


class ActorMesh:
    """The mesh of an actor. What it takes is worked out once, for all frames."""

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


def each_and_both(
    meshes: Sequence[tuple[Floats, NDArray[np.int64]]],
    colours: Sequence[tuple[float, float, float]],
    camera: Camera,
    size: tuple[int, int],
) -> list[Image.Image]:
    """A picture of each mesh alone, and one of all in one place, where they hide each other.

    Args:
        meshes: vertices [vertices, 3] and faces [faces, 3] of each.
        colours: of each.
        camera: where all are seen from.
        size: of a picture in pixels.
    """
    tints = [np.broadcast_to(tint, points.shape) for (points, _), tint in zip(meshes, colours)]
    cells = [picture(points, faces, camera, size, tint) for (points, faces), tint in zip(meshes, tints)]
    starts = np.cumsum([0, *(len(points) for points, _ in meshes)])
    faces = np.concatenate([faces + start for (_, faces), start in zip(meshes, starts)])
    every = np.concatenate([points for points, _ in meshes])
    return [*cells, picture(every, faces, camera, size, np.concatenate(tints))]
