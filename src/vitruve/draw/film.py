"""A scene as a sequence of pictures: posed in blocks, drawn on all cores, in bounded memory."""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vitruve.draw.backdrop import Picture, backdrop, cast, shadow_of
from vitruve.draw.framing import INK, PAPER, Floats, rgb, spread, target_of
from vitruve.draw.heat import draw_colour_bar, heat_colours, nice_top
from vitruve.draw.pictures import draw_joints
from vitruve.draw.scene import Scene
from vitruve.draw.shading import draw
from vitruve.draw.sticks import ActorMesh
from vitruve.geometry.camera import Camera
from vitruve.threads import one_torch_thread

# Frames that one core poses and draws at a time: memory holds a block in progress and one ready for each core.
_BLOCK = 8
_SAMPLE = 12  # frames that the scale of the heat map is taken from


@dataclass(frozen=True)
class Look:
    """How a scene is drawn.

    Attributes:
        grid: lines on the ground every metre.
        numbers: the number and the time of the frame in the lower left corner.
        names: the actors' names, in their colours, in the upper left corner if there are several. With a heat map, also
            its colour bar.
        heat_top_mm: the error with the darkest colour; if None, a round number above 99 % of the errors.
        opacity: of the bodies, 0 to 1.
    """

    grid: bool = True
    numbers: bool = False
    names: bool = True
    heat_top_mm: float | None = None
    opacity: float = 1.0


def film(
    scene: Scene,
    frames: Sequence[int],
    camera: Camera,
    size: tuple[int, int],
    look: Look | None = None,
    behind: Iterator[Picture] | None = None,
) -> Iterator[Picture]:
    """The pictures [height, width, 3] of some frames, in order.

    Args:
        frames: of its time line.
        camera: fixed, or with a place for each of these frames.
        size: width and height in pixels.
        behind: a picture for each frame to draw over, changed in place; a light backdrop and a ground if None.
    """
    look = look or Look()
    top = look.heat_top_mm or heat_top(scene, frames)
    artist = _Artist(scene, frames, camera, size, look, top, [ActorMesh(actor) for actor in scene.actors])
    yield from _in_blocks(len(frames), artist.draw_block, behind)


def _in_blocks(
    count: int, draw: Callable[[range, list[Picture] | None], list[Picture]], behind: Iterator[Picture] | None
) -> Iterator[Picture]:
    """The pictures of all blocks in order; only as many blocks are started as there are cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    waiting: deque[Future[list[Picture]]] = deque()
    with one_torch_thread(), ThreadPoolExecutor(cores) as pool:
        try:
            for start in range(0, count, _BLOCK):
                block = range(start, min(start + _BLOCK, count))
                backgrounds = None if behind is None else [next(behind) for _ in block]
                waiting.append(pool.submit(draw, block, backgrounds))
                if len(waiting) > cores:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@dataclass(frozen=True, eq=False)
class _Artist:
    """Draws blocks of frames, on any thread."""

    scene: Scene
    frames: Sequence[int]
    camera: Camera
    size: tuple[int, int]
    look: Look
    top_mm: float
    meshes: Sequence[ActorMesh]

    def draw_block(self, block: range, backgrounds: list[Picture] | None) -> list[Picture]:
        with torch.no_grad():
            posed = [self._posed(mesh, block) for mesh in self.meshes]
        pictures = []
        for n, i in enumerate(block):
            picture = backgrounds[n] if backgrounds else self._backdrop(i)
            self._draw_meshes(picture, self.camera.at(i), [frames[n] for frames in posed], ground=not backgrounds)
            pictures.append(self._annotated(picture, i))
        return pictures

    def _posed(self, mesh: ActorMesh, block: range) -> list[tuple[Floats, NDArray[np.float32]] | None]:
        """Vertices and colours of an actor at each frame of the block; None for frames without data."""
        actor = mesh.actor
        own = [self.scene.frame_of(actor, self.frames[i]) for i in block]
        known = [frame for frame in own if actor.performer.holds(frame)]
        if not known:
            return [None] * len(own)
        vertices = mesh.vertices(known)
        plain = np.broadcast_to(np.array(actor.colour, np.float32), vertices.shape)
        colours = plain if actor.errors is None else heat_colours(actor.errors(known), self.top_mm)
        posed = iter(zip(vertices, colours))
        return [next(posed) if actor.performer.holds(frame) else None for frame in own]

    def _backdrop(self, i: int) -> Picture:
        if self.camera.moves:
            return self._new_backdrop(self.camera.at(i))
        return self._still_backdrop.copy()

    @functools.cached_property
    def _still_backdrop(self) -> Picture:
        return self._new_backdrop(self.camera)

    def _new_backdrop(self, camera: Camera) -> Picture:
        ground = self.scene.ground if self.look.grid else None
        return backdrop(self.size, camera, ground, target_of(camera, self._first_points))

    @functools.cached_property
    def _first_points(self) -> Floats:
        """[points, 3] metres at the first frame with data: how far away the bodies are."""
        for actor in self.scene.actors:
            own = self.scene.own_frames(actor, self.frames)
            if own:
                points = actor.points(own[:1])[0].cpu().numpy()
                return points[np.isfinite(points).all(1)]
        return np.zeros((1, 3))

    def _draw_meshes(
        self,
        picture: Picture,
        camera: Camera,
        posed: Sequence[tuple[Floats, NDArray[np.float32]] | None],
        ground: bool,
    ) -> None:
        """Draw the shadow, then all surfaces as one mesh, so that they hide each other correctly."""
        vertices, faces, colours, count = [], [], [], 0
        for mesh, drawn in zip(self.meshes, posed):
            if drawn is not None:
                vertices.append(drawn[0])
                colours.append(drawn[1])
                faces.append(mesh.faces + count)
                count += len(drawn[0])
        if not vertices:
            return
        points, triangles = np.concatenate(vertices), np.concatenate(faces)
        if ground and self.scene.ground is not None:
            cast(picture, shadow_of(points, triangles, self.scene.ground), camera)
        draw(picture, points, triangles, camera, np.concatenate(colours), opacity=self.look.opacity)

    def _annotated(self, picture: Picture, i: int) -> Picture:
        """The picture with joints, names, numbers and the colour bar."""
        scene, look, frame = self.scene, self.look, self.frames[i]
        own = {actor: scene.frame_of(actor, frame) for actor in scene.actors if actor.performer.kind == "motion"}
        joints = [actor for actor in own if actor.joints and actor.performer.holds(own[actor])]
        bar = look.names and any(actor.errors is not None for actor in scene.actors)
        names = look.names and bool(scene.actors[1:])
        if not (joints or bar or look.numbers or names):
            return picture
        image = Image.fromarray(picture)
        for actor in joints:
            assert actor.performer.skeleton is not None
            positions = actor.joint_positions([own[actor]])[0]
            draw_joints(image, positions, actor.performer.skeleton.edges, self.camera.at(i))
        size = max(10, round(0.026 * image.height))
        if names:
            draw_names(image, scene, size)
        if look.numbers:
            text = f"frame {scene.frame_of(scene.actors[0], frame)}   {frame / scene.fps:.2f} s"
            _write(image, (size, image.height - size), text, size, "ls")
        if bar:
            draw_colour_bar(image, self.top_mm)
        return np.asarray(image)


def draw_names(image: Image.Image, scene: Scene, size: int) -> None:
    """Write the actors' names below each other from the upper left, each behind a dot of its colour."""
    for i, actor in enumerate(scene.actors):
        top, heat = size * (0.7 + 1.6 * i), actor.errors is not None
        colour = heat_colours([0.5], 1.0)[0] if heat else actor.colour
        ImageDraw.Draw(image).ellipse((size, top, 2 * size, top + size), rgb(colour))
        text = actor.name + (", its distance to the first" if heat else "")
        _write(image, (2.6 * size, top + size / 2), text, size, "lm")


def _write(image: Image.Image, place: tuple[float, float], text: str, size: int, anchor: str) -> None:
    ImageDraw.Draw(image).text(place, text, INK, _font(size), anchor, stroke_width=2, stroke_fill=PAPER)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def heat_top(scene: Scene, frames: Sequence[int]) -> float:
    """The error in millimetres with the darkest colour of the heat map, from a few frames."""
    errors = []
    for actor in scene.actors:
        own = scene.own_frames(actor, frames)
        if actor.errors is not None and own:
            errors.append(actor.errors([own[i] for i in spread(len(own), _SAMPLE)]).ravel())
    return nice_top(np.concatenate(errors)) if errors else 1.0
