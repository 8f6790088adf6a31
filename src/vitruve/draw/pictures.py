"""Pictures of bodies: one body, a strip of a motion, a row of pictures with labels. No display is needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from vitruve.bodies import BodyModel
from vitruve.draw.framing import BAND, INK, Floats, direction, fit_camera, on_picture, spread
from vitruve.draw.shading import render
from vitruve.errors import BadData, UsageError
from vitruve.geometry.camera import Camera
from vitruve.motion import Motion
from vitruve.runs.progress import Progress

PAGE_LABEL = 40
"""Height of the labels in pictures of a page; a phone shows them at two fifths of their size."""
_LEAST_LETTERS = 8
_BONE, _JOINT = (200, 70, 40), (255, 255, 255)
# The camera of a strip is this far to the side of where the bodies face, and this much further for a straight path: a
# straight walk is seen from 35 degrees before its side.
_FACE_DEG, _SIDE = -25.0, 0.875


def picture(
    vertices: ArrayLike,
    faces: ArrayLike,
    camera: Camera | None = None,
    size: tuple[int, int] = (512, 512),
    colours: ArrayLike | None = None,
    ground: float | None = None,
    wire: bool = False,
) -> Image.Image:
    """A picture of one body, or of any mesh.

    Args:
        vertices: [vertices, 3] metres, z up.
        faces: [faces, 3] vertex indices.
        camera: by default it sees everything, from the front and a little to the left of a body that faces -y.
        size: width and height in pixels.
        colours: [vertices, 3] or [3], red, green, blue from 0 to 1.
        ground: height of the ground that the shadow falls on; None for no shadow.
        wire: draw the edges of the triangles.
    """
    points = _array(vertices)
    if camera is None:
        camera = fit_camera(points, direction(25), size)
    return Image.fromarray(render(points, _array(faces), camera, size, colours, ground, wire))


def strip(
    motion: Motion,
    body: BodyModel,
    frames: int = 8,
    height: int = 480,
    colours: ArrayLike | None = None,
    joints: bool = False,
    progress: Progress | None = None,
) -> Image.Image:
    """A motion as one wide picture: bodies at equal time intervals, left to right, each with its true pose and heading.

    All are seen from one direction, so that the motion mainly goes to the right. Each is in the middle of its own cell,
    with the time below.

    Args:
        motion: the clip; its rotations must fit the body.
        frames: number of bodies; at most the number of valid frames.
        height: of the picture in pixels; the width depends on how far the bodies reach.
        colours: red, green, blue from 0 to 1: [3] or [vertices, 3] for all, or [frames, vertices, 3] for those drawn
            (`spread`).
        joints: draw the joints and bones over the body.
        progress: called with bodies done and bodies in all.
    """
    chosen, part = _part(motion, frames)
    vertices, joint_positions = _array(part.vertices(body)), _array(part.joints(body))
    if not np.isfinite(vertices).all():
        frame = chosen[int(np.flatnonzero(~np.isfinite(vertices).all((1, 2)))[0])]
        raise BadData("the motion cannot be drawn", where=f"frame {frame} has NaN", fix="look at it: vitruve info FILE")
    tints = _tints(colours, vertices.shape)
    # All frames share one ground, so that a jump or a chair is seen.
    ground = float(vertices[..., 2].min())
    middle = (vertices.min(1) + vertices.max(1)) / 2 * (1, 1, 0)
    vertices, joint_positions = vertices - middle[:, None], joint_positions - middle[:, None]
    towards = _strip_direction(part)
    label_height = max(14, height // 16)
    size = _cell_size(vertices, towards, height - label_height)
    camera = fit_camera(vertices, towards, size, fov_deg=15.0, margin=1.08)
    cells = []
    for i in range(len(chosen)):
        cell = picture(vertices[i], body.faces, camera, size, None if tints is None else tints[i], ground)
        if joints:
            draw_joints(cell, joint_positions[i], body.skeleton.edges, camera)
        cells.append(cell)
        if progress:
            progress(i + 1, len(chosen))
    return row(cells, [f"{frame / motion.fps:.2f} s" for frame in chosen], label_height)


def row(pictures: Sequence[Image.Image], labels: Sequence[str] = (), label_height: int = 28) -> Image.Image:
    """Pictures of one height side by side, each with its label below if there are labels and they fit."""
    height = max(image.height for image in pictures)
    below = label_height if labels else 0
    out = Image.new("RGB", (sum(image.width for image in pictures), height + below))
    draw, font = ImageDraw.Draw(out), _fitting_font(pictures, labels, max(10, round(0.55 * label_height)))
    left = 0
    for i, image in enumerate(pictures):
        out.paste(image, (left, 0))
        # The band below continues the backdrop, so that it does not look like a frame.
        draw.rectangle((left, height, left + image.width, height + below), fill=image.getpixel((0, image.height - 1)))
        if font:
            draw.text((left + image.width / 2, height + below / 2), labels[i], INK, font, anchor="mm")
        left += image.width
    return out


def _fitting_font(
    pictures: Sequence[Image.Image], labels: Sequence[str], size: int
) -> ImageFont.FreeTypeFont | ImageFont.ImageFont | None:
    """The largest font up to this size in which each label fits below its picture; None if it would be unreadable."""
    for smaller in range(size, _LEAST_LETTERS - 1, -1):
        font = ImageFont.load_default(smaller)
        if labels and all(font.getlength(label) <= image.width - 4 for image, label in zip(pictures, labels)):
            return font
    return None


def each_and_both(
    meshes: Sequence[tuple[Floats, NDArray[np.int64]]],
    colours: Sequence[tuple[float, float, float]],
    camera: Camera,
    size: tuple[int, int],
) -> list[Image.Image]:
    """A picture of each mesh (vertices [vertices, 3], faces [faces, 3]), and one of all of them in one place."""
    tints = [np.broadcast_to(tint, points.shape) for (points, _), tint in zip(meshes, colours)]
    cells = [picture(points, faces, camera, size, tint) for (points, faces), tint in zip(meshes, tints)]
    starts = np.cumsum([0, *(len(points) for points, _ in meshes)])
    faces = np.concatenate([faces + start for (_, faces), start in zip(meshes, starts)])
    points = np.concatenate([points for points, _ in meshes])
    return [*cells, picture(points, faces, camera, size, np.concatenate(tints))]


def stack(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures below each other, aligned on the left."""
    out = Image.new("RGB", (max(p.width for p in pictures), sum(p.height for p in pictures)), BAND)
    top = 0
    for image in pictures:
        out.paste(image, (0, top))
        top += image.height
    return out


def draw_joints(image: Image.Image, joints: ArrayLike, edges: Sequence[tuple[int, int]], camera: Camera) -> None:
    """Draw bones and joints [joints, 3] (metres) over a picture taken by the camera."""
    points, depth = on_picture(camera, _array(joints), image.size)
    draw = ImageDraw.Draw(image)
    radius = max(1.5, image.height / 220)
    for a, b in edges:
        if depth[a] > 0 and depth[b] > 0:
            draw.line((*points[a], *points[b]), _BONE, round(radius))
    for (x, y), far in zip(points, depth, strict=True):
        if far > 0:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), _JOINT, _BONE)


def save_picture(image: Image.Image, path: str | Path, colours: int | None = None) -> Path:
    """Write a PNG. A palette of `colours` makes the file three times smaller."""
    if colours is not None:
        image = image.quantize(colours, method=Image.Quantize.MEDIANCUT, kmeans=2)
    image.save(path, "PNG", optimize=True)
    return Path(path)


def _part(motion: Motion, frames: int) -> tuple[list[int], Motion]:
    """The frames of a strip, and the motion at these frames."""
    if frames < 1:
        raise UsageError("a strip needs at least one frame", where=f"frames = {frames}", fix="use frames=8")
    valid = list(range(len(motion))) if motion.mask is None else motion.mask.nonzero()[:, 0].tolist()
    if not valid:
        raise BadData("the motion cannot be drawn", where="no frame is valid", fix="look at it: vitruve info FILE")
    chosen = [valid[i] for i in spread(len(valid), frames)]
    part = motion.replace(
        rotations=motion.rotations[chosen],
        translation=motion.translation[chosen],
        expression=None if motion.expression is None else motion.expression[chosen],
        offsets=None,
        mask=None,
    )
    return chosen, part


def _tints(colours: ArrayLike | None, shape: tuple[int, ...]) -> Floats | None:
    if colours is None:
        return None
    colours = np.asarray(_array(colours), np.float64)
    try:
        return np.broadcast_to(colours, shape)
    except ValueError:
        raise UsageError(
            "the colours do not fit the bodies",
            where=f"colours have shape {colours.shape}, the strip draws {shape}",
            fix="give [3], [vertices, 3] or [frames, vertices, 3]",
        ) from None


def _strip_direction(motion: Motion) -> tuple[float, float, float]:
    """From the body to the camera: faces are seen a little from their right, and a straight path goes to the right."""
    facing = (_array(motion.rotations)[:, 0] @ (0.0, 0.0, 1.0))[:, :2]
    steps = np.diff(_array(motion.translation)[:, :2], axis=0)
    path = np.linalg.norm(steps, axis=-1).sum()
    # Of length 1 if the path is straight, near 0 on a circle or on the spot.
    straight = steps.sum(0) / path if path > 0.5 else np.zeros(2)
    front = facing.mean(0) if np.linalg.norm(facing.mean(0)) > 0.1 else facing[0]
    # The path counts only as far as the bodies also face along it.
    along = max(0.0, float(front @ straight))
    eye = _turned(front, _FACE_DEG) + _SIDE * along * _turned(straight, -90.0)
    return direction(math.degrees(math.atan2(eye[1], eye[0])) + 90.0, 7.0)


def _turned(flat: Floats, degrees: float) -> Floats:
    """A direction on the ground, turned counter-clockwise."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([c * flat[0] - s * flat[1], s * flat[0] + c * flat[1]])


def _cell_size(vertices: Floats, towards: tuple[float, float, float], height: int) -> tuple[int, int]:
    """Width and height of one cell, as narrow as the widest body in it allows."""
    right = np.cross(np.negative(towards), (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    across, tall = np.abs(vertices @ right).max() * 2, np.ptp(vertices[..., 2])
    # Between a third and one and a half of the height: a lying body is still large enough.
    return round(height * float(np.clip(across / max(tall, 1e-6), 0.33, 1.5))), height


def _array(values: ArrayLike) -> Floats:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()  # type: ignore[union-attr]
    return np.asarray(values)
