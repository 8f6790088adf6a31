"""A scene as pictures, one frame after the other: posed in blocks, drawn on all cores, in bounded memory."""

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

from vitruve.draw.actor_mesh import ActorMesh
from vitruve.draw.backdrop import Picture, backdrop, cast, shadow_of
from vitruve.draw.framing import target_of
from vitruve.draw.heat import draw_colour_bar, heat_colours, nice_top
from vitruve.draw.pictures import draw_joints
from vitruve.draw.raster import Floats
from vitruve.draw.scene import Actor, Scene
from vitruve.draw.shading import draw
from vitruve.geometry.camera import Camera
from vitruve.threads import one_torch_thread

# Frames posed and drawn by one core at a time: a block in work and one ready for each core is what is in memory.
_BLOCK = 8
_SAMPLE = 12  # frames that the scale of the heat map is taken from
_INK, _PAPER = (60, 66, 76), (255, 255, 255)


@dataclass(frozen=True)
class Look:
    """How a scene is drawn.

    Attributes:
        grid: lines on the ground every metre.
        numbers: the number and the time of the frame in the lower left corner.
        names: what the actors are called, in their colours, in the upper left corner; of two and more. With a heat map,
            also the bar of its colours.
        heat_top_mm: the error that has the darkest colour; a round one that 99 of 100 errors are below where None.
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
        scene: what is seen.
        frames: of its time line.
        camera: standing still, or with a place for each of these frames.
        size: width and height in pixels.
        look: how it is drawn.
        behind: a picture for each frame to draw over, changed in place; a light backdrop and a ground where None.
    """
    look = look or Look()
    figures = [ActorMesh(actor) for actor in scene.actors]
    top = look.heat_top_mm or heat_top(scene, frames)
    middle = _middle(scene, frames)
    still = _behind(scene, camera, size, look, middle) if behind is None and not camera.moves else None

    def work(block: Sequence[int], given: list[Picture] | None) -> list[Picture]:
        with torch.no_grad():
            meshes = [
                _coloured(figure, [scene.frame_of(figure.actor, frames[i]) for i in block], top) for figure in figures
            ]
        pictures = []
        for n, i in enumerate(block):
            here = camera.at(i)
            picture = given[n] if given else _behind(scene, here, size, look, middle) if still is None else still.copy()
            parts = [mesh[n] for mesh in meshes]
            _draw_frame(picture, scene, figures, parts, here, look, ground=given is None)
            pictures.append(_written(picture, scene, figures, frames[i], here, look, top))
        return pictures

    yield from _in_blocks(len(frames), work, behind)


def _in_blocks(
    count: int, work: Callable[[Sequence[int], list[Picture] | None], list[Picture]], behind: Iterator[Picture] | None
) -> Iterator[Picture]:
    """The pictures of all blocks in order; no more blocks are begun than the cores can work on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    waiting: deque[Future[list[Picture]]] = deque()
    with one_torch_thread(), ThreadPoolExecutor(cores) as pool:
        try:
            for start in range(0, count, _BLOCK):
                block = range(start, min(start + _BLOCK, count))
                given = None if behind is None else [next(behind) for _ in block]
                waiting.append(pool.submit(work, block, given))
                if len(waiting) > cores:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _coloured(
    mesh: ActorMesh, own: Sequence[int], top_mm: float
) -> list[tuple[Floats | None, NDArray[np.float32] | None]]:
    """Vertices and colours at some of the actor's own frames; None for frames without data."""
    actor = mesh.actor
    known = [frame for frame in own if actor.performer.holds(frame)]
    if not known:
        return [(None, None)] * len(own)
    heat = None if actor.errors is None else heat_colours(actor.errors(known), top_mm)
    drawn = iter(zip(mesh.vertices(known), [None] * len(known) if heat is None else heat))
    return [next(drawn) if actor.performer.holds(frame) else (None, None) for frame in own]


def _middle(scene: Scene, frames: Sequence[int]) -> Floats:
    """[points, 3] metres: points at the first frame that has data, which say how far away the bodies are."""
    for actor in scene.actors:
        own = [own for own in (scene.frame_of(actor, frame) for frame in frames) if actor.performer.holds(own)]
        if own:
            points = actor.points(own[:1])[0].cpu().numpy()
            return points[np.isfinite(points).all(1)]
    return np.zeros((1, 3))


def _behind(scene: Scene, camera: Camera, size: tuple[int, int], look: Look, middle: Floats) -> Picture:
    return backdrop(size, camera, scene.ground if look.grid else None, target_of(camera, middle))


def _draw_frame(
    picture: Picture,
    scene: Scene,
    figures: Sequence[ActorMesh],
    parts: Sequence[tuple[Floats | None, NDArray[np.float32] | None]],
    camera: Camera,
    look: Look,
    ground: bool,
) -> None:
    """Shadow, then all surfaces as one mesh, so that they hide each other where they should."""
    vertices, faces, colours, count = [], [], [], 0
    for figure, (points, tint) in zip(figures, parts):
        if points is None:
            continue
        vertices.append(points)
        faces.append(figure.faces + count)
        colours.append(
            np.broadcast_to(np.array(figure.actor.colour, np.float32), points.shape) if tint is None else tint
        )
        count += len(points)
    if not vertices:
        return
    mesh, triangles = np.concatenate(vertices), np.concatenate(faces)
    if ground and scene.ground is not None:
        shadow = shadow_of(mesh, triangles, scene.ground)
        if shadow is not None:
            cast(picture, shadow, camera)
    draw(picture, mesh, triangles, camera, np.concatenate(colours), opacity=look.opacity)


def _written(
    picture: Picture,
    scene: Scene,
    figures: Sequence[ActorMesh],
    frame: int,
    camera: Camera,
    look: Look,
    top: float,
) -> Picture:
    """The picture with joints, names, numbers and the colour bar."""
    actors = [figure.actor for figure in figures]
    joints = [
        a for a in actors if a.joints and a.performer.kind == "motion" and a.performer.holds(scene.frame_of(a, frame))
    ]
    bar = look.names and any(actor.errors is not None for actor in actors)
    names = look.names and len(actors) > 1
    if not (joints or bar or look.numbers or names):
        return picture
    image = Image.fromarray(picture)
    for actor in joints:
        positions = actor.joint_positions([scene.frame_of(actor, frame)])[0]
        assert actor.performer.skeleton is not None
        draw_joints(image, positions, actor.performer.skeleton.edges, camera)
    size = max(10, round(0.026 * image.height))
    if names:
        draw_names(image, scene, size)
    if look.numbers:
        words = f"frame {scene.frame_of(scene.actors[0], frame)}   {frame / scene.fps:.2f} s"
        place = (size, image.height - size)
        ImageDraw.Draw(image).text(place, words, _INK, _font(size), "ls", stroke_width=2, stroke_fill=_PAPER)
    if bar:
        draw_colour_bar(image, top)
    return np.asarray(image)


def draw_names(image: Image.Image, scene: Scene, size: int) -> None:
    """Write what the actors are called, each behind a dot of its colour, below each other from the upper left."""
    pen = ImageDraw.Draw(image)
    for i, actor in enumerate(scene.actors):
        top = size * (0.7 + 1.6 * i)
        pen.ellipse((size, top, 2 * size, top + size), _ink_of(actor))
        words = actor.name + (", its distance to the first" if actor.errors is not None else "")
        pen.text((2.6 * size, top + size / 2), words, _INK, _font(size), "lm", stroke_width=2, stroke_fill=_PAPER)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _ink_of(actor: Actor) -> tuple[int, int, int]:
    colour = heat_colours([0.5], 1.0)[0] if actor.errors is not None else actor.colour
    red, green, blue = (round(255 * float(share)) for share in colour)
    return red, green, blue


def heat_top(scene: Scene, frames: Sequence[int]) -> float:
    """The error in millimetres that has the darkest colour of the heat map, told by a few frames."""
    found = []
    for actor in scene.actors:
        if actor.errors is None:
            continue
        own = [scene.frame_of(actor, frame) for frame in frames]
        own = [frame for frame in own if actor.performer.holds(frame)]
        if own:
            chosen = [own[i] for i in np.linspace(0, len(own) - 1, min(len(own), _SAMPLE)).round().astype(int)]
            found.append(actor.errors(chosen).ravel())
    return nice_top(np.concatenate(found)) if found else 1.0
