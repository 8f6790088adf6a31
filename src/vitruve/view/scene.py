"""What is to be seen: motions on bodies, in one place or side by side; for pictures, video and the viewer alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.bodies.body_model import ShapedBody
from vitruve.errors import UsageError
from vitruve.motion import Motion

Colour = tuple[float, float, float]
Errors = Callable[[Sequence[int]], NDArray[np.float32]]

COLOURS: tuple[Colour, ...] = ((0.35, 0.55, 0.85), (0.95, 0.55, 0.25), (0.42, 0.68, 0.45), (0.70, 0.48, 0.75))
"""Colours of the actors in turn: the first is the source's blue, the second the result's orange."""


@dataclass(frozen=True, eq=False)
class Actor:
    """A motion on a body, and how it is drawn.

    Attributes:
        name: what it is called on the screen.
        motion: the clip.
        body: what it is drawn on; None for a plain joint tree, which is drawn as joints and bones.
        colour: red, green, blue from 0 to 1.
        offset: metres in x and y that it stands beside its true place.
        joints: draw the joints and bones over the surface.
        errors: gives for frames the error of each vertex [frames, vertices] in millimetres, NaN where unknown; drawn as
            a heat map. None where no error is known.
    """

    name: str
    motion: Motion
    body: BodyModel | None
    colour: Colour = COLOURS[0]
    offset: tuple[float, float] = (0.0, 0.0)
    joints: bool = False
    errors: Errors | None = None

    @cached_property
    def shaped(self) -> ShapedBody | None:
        """The body with the clip's shape; each frame's expression is added when it is posed."""
        return None if self.body is None else self.body.shaped(self.motion.betas)

    def valid(self, frame: int) -> bool:
        """False for frames without data and after the end."""
        return frame < len(self.motion) and (self.motion.mask is None or bool(self.motion.mask[frame]))

    def vertices(self, frames: Sequence[int]) -> Float[Tensor, "chosen vertices 3"]:
        """Where the surface is in the scene at some frames, metres."""
        if self.body is None:
            raise UsageError("a plain joint tree has no surface", where=self.name, fix="give a body: --body open-smplx")
        part = self._part(frames)
        return part.vertices(self.body) + self._shift(part)

    def joint_positions(self, frames: Sequence[int]) -> Float[Tensor, "chosen joints 3"]:
        """Where the joints are in the scene at some frames, metres."""
        part = self._part(frames)
        return part.joints(self.body) + self._shift(part)

    def _part(self, frames: Sequence[int]) -> Motion:
        chosen = torch.as_tensor(list(frames))

        def at(value: Tensor | None) -> Tensor | None:
            return None if value is None else value[chosen]

        motion = self.motion
        return replace(
            motion,
            rotations=motion.rotations[chosen],
            translation=motion.translation[chosen],
            expression=at(motion.expression),
            offsets=at(motion.offsets),
            mask=None,
            source=replace(motion.source, extras={}),
        )

    def _shift(self, part: Motion) -> Tensor:
        return part.translation.new_tensor((*self.offset, 0.0))


@dataclass(frozen=True, eq=False)
class Scene:
    """Actors on one time line.

    Attributes:
        actors: what is drawn.
        fps: of the time line. An actor's own frame is the nearest in time.
        ground: height of the ground in metres; None for none.
    """

    actors: tuple[Actor, ...]
    fps: float
    ground: float | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.actors:
            raise UsageError("there is nothing to see", where="no motion was given", fix="name a motion file")

    def __len__(self) -> int:
        """Frames of the time line: as long as the longest actor."""
        return max(round(len(actor.motion) / actor.motion.fps * self.fps) for actor in self.actors)

    def frame_of(self, actor: Actor, frame: int) -> int:
        """The actor's own frame at a frame of the time line."""
        return round(frame / self.fps * actor.motion.fps)


def side_by_side(scene: Scene, gap: float = 1.0) -> Scene:
    """The actors beside each other along x, the first on the left, `gap` metres from middle to middle."""
    middle = (len(scene.actors) - 1) / 2
    actors = tuple(replace(actor, offset=((i - middle) * gap, 0.0)) for i, actor in enumerate(scene.actors))
    return replace(scene, actors=actors)
