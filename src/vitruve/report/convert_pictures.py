"""Pictures of one conversion: source and result in one place, where on the body the error is, both shapes."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import vitruve
from vitruve.bodies import BodyModel
from vitruve.draw.framing import direction, fit_camera
from vitruve.draw.heat import nice_top
from vitruve.draw.heat_views import at_rest, heat_views, vertex_means
from vitruve.draw.pictures import PAGE_LABEL, each_and_both, picture, row, spread, stack
from vitruve.draw.scene import Actor, errors_between, limbs_facing_deg
from vitruve.draw.sticks import ActorMesh
from vitruve.errors import VitruveError
from vitruve.formats.performers import load_performers
from vitruve.geometry.camera import Camera
from vitruve.motion import Motion
from vitruve.motion.performer import Performer
from vitruve.report.blocks import Block, Figure, Heading, Note, Table
from vitruve.threads import over_threads

Floats = NDArray[np.float64]
Entry = Mapping[str, Any]

_SOURCE_COLOUR, _RESULT_COLOUR = (0.35, 0.55, 0.85), (0.95, 0.55, 0.25)
BOTH_SAID = "the source (blue), the result (orange), and both in one place, where the colour that lies outside is seen."
"""What a row of `surface_row` shows."""

_CELL, _BODY_CELL = (300, 420), (400, 480)
# Frames that the mean error of a vertex is taken over, and how many betas a page shows.
_HEAT_FRAMES, _MOST_BETAS = 24, 10


@dataclass(frozen=True, eq=False)
class Shown:
    """A conversion, ready to be drawn.

    Attributes:
        name: what the input is called.
        source: a motion, on a body or on a foreign skeleton, or meshes.
        result: the motion it became, on its body.
        frames: a word for each frame that is shown, such as "worst", to its number.
    """

    name: str
    source: Performer
    result: Performer
    frames: Mapping[str, int]

    @property
    def target(self) -> BodyModel:
        """The body of the result."""
        assert self.result.body is not None
        return self.result.body


def load_shown(entry: Entry, folder: Path, fps: float | None = None, up: str = "z") -> Shown | None:
    """What is needed to draw a conversion, from its ledger line.

    Args:
        entry: the ledger line.
        folder: the folder that the output's name counts from.
        fps, up: what the input was read with.

    Returns:
        None where it cannot be drawn: single poses (`pose_blocks` draws them), an input that has gone since, an output
        whose format keeps no body.
    """
    kind = entry["facts"]["kind"]
    if kind == "poses" or not entry.get("shown_frames"):
        return None
    try:
        source = entry["input"]
        if kind != "meshes":
            source = _for_drawing(vitruve.load_motion(source, fps=fps))
        rate = source.fps if isinstance(source, Motion) else entry["fps"]
        result = _for_drawing(vitruve.load_motion(folder / entry["output"], fps=rate))
        bodies = (entry["source"] if kind != "skeleton" else None, entry["target"])
        performers = load_performers((source, result), bodies, folder=entry["folder"], mesh_fps=rate, up=up)
    except (VitruveError, OSError):
        return None
    name = Path(entry["input"]).name
    same_length = len(performers[0]) == len(performers[1])
    return Shown(name, performers[0], performers[1], worst_shown_first(entry)) if same_length else None


def _for_drawing(motion: Motion) -> Motion:
    """In single precision and without what else the file holds: of two long clips this halves the memory."""
    return replace(motion.to(dtype=torch.float32), source=replace(motion.source, extras={}))


def worst_shown_first(entry: Entry) -> dict[str, int]:
    """The frames that pictures show, by their words, the worst on top."""
    shown = entry["shown_frames"]
    return {word: shown[word] for word in ("worst", "median", "best") if word in shown}


def how_to_look(entry: Entry, folder: Path) -> list[Block]:
    """The command that shows source and result in the viewer, for the folder that the output's name counts from."""
    shown, bodies = [entry["output"]], ["--body", entry["target"]]
    if entry["facts"]["kind"] == "motion":
        try:
            source = os.path.relpath(entry["input"], folder)
        except ValueError:  # on another drive
            source = entry["input"]
        shown, bodies = [source, *shown], ["--body", entry["source"], *bodies, "--side", "--heat"]
    more = ["--bodies", entry["folder"]] if entry["folder"] else []
    return [
        Note("To turn it and play it, in the folder of this page:"),
        Note(shlex.join(["vitruve", "view", *shown, *bodies, *more]), "code"),
    ]


def picture_blocks(shown: Shown) -> list[Block]:
    """The overlay, the heat map and the shape, as far as they can be drawn."""
    first, heat, last = over_threads(lambda draw: draw(shown), _DRAWN)
    if heat:
        heat = [Heading("Where on the body the error is"), *heat]
    both = shown.source.shaped is not None
    shape = Heading("Shape before and after" if both else "Shape of the result")
    return [Heading("Source and result"), *first, *heat, shape, *last]


def overlay(shown: Shown) -> Figure:
    """Source and result side by side and in one place, a row for each of the frames."""
    foreign = not shown.source.has_surface
    draw = _skeleton_row if foreign else surface_row
    rows = [draw(shown, f"{word}: frame {frame}", frame) for word, frame in shown.frames.items()]
    order = ", ".join(f"the {word}, {frame}" for word, frame in shown.frames.items())
    said = "the source's skeleton and the result, each at its own size." if foreign else BOTH_SAID
    return Figure(stack(rows), f"{shown.name}: {said} From top to bottom, by their mean error, frames: {order}.")


def heat_map(shown: Shown) -> Figure | None:
    """The result's body, front and back, coloured by the mean error at each vertex; None without two surfaces."""
    valid = shown.result.valid_frames()
    if not len(valid) or shown.source.body is None:
        return None
    frames = [int(valid[i]) for i in spread(len(valid), _HEAT_FRAMES)]
    between = errors_between(Actor(shown.source), Actor(shown.result))
    errors = vertex_means(between(frames[i : i + 20]) for i in range(0, len(frames), 20))
    return heat_figure(shown.result, errors, f"{len(frames)} frames at equal times")


def heat_figure(result: Performer, errors: Floats, over: str) -> Figure:
    """The result's body, front and back, coloured by errors [vertices] in millimetres; `over` says of what."""
    assert result.faces is not None
    top = nice_top(errors)
    image = heat_views(at_rest(result), result.faces, errors, top)
    caption = (
        f"The mean distance between the two surfaces at each vertex, over {over}. "
        f"The largest mean is {np.nanmax(errors):.1f} mm; what is above {top:g} mm has the darkest colour."
    )
    return Figure(image, caption)


def shapes(shown: Shown) -> list[Block]:
    """Both bodies at rest with their betas, and how tall they are."""
    both = (("source", shown.source), ("result", shown.result))
    bodies = [
        (word, one, one.motion, one.body) for word, one in both if one.motion is not None and one.body is not None
    ]
    meshes = [at_rest(one) for _, one, _, _ in bodies]
    # One scale for both, so that a difference in height is seen.
    camera = fit_camera(np.concatenate([mesh - _middle(mesh) for mesh in meshes]), direction(15), _BODY_CELL)
    tints = (_SOURCE_COLOUR, _RESULT_COLOUR)[-len(bodies) :]
    cells = [
        picture(mesh - _middle(mesh), body.faces, camera, _BODY_CELL, tint)
        for mesh, (_, _, _, body), tint in zip(meshes, bodies, tints)
    ]
    tall = [performer.height or 0.0 for _, performer, _, _ in bodies]
    labels = [f"{word}: {body.name}, {metres:.3f} m" for (word, _, _, body), metres in zip(bodies, tall)]
    betas = [motion.betas.flatten()[:_MOST_BETAS].tolist() for _, _, motion, _ in bodies]
    numbers = [[f"{value:.2f}".replace("-0.00", "0.00") for value in values] for values in betas]
    rows = [("height", *(f"{metres:.3f} m" for metres in tall))]
    rows += [(f"beta {i}", *values) for i, values in enumerate(zip_longest(*numbers, fillvalue="-"))]
    blocks: list[Block] = [
        Figure(
            row(cells, labels, PAGE_LABEL),
            "At rest, with the shape of the clip" + (", at one scale." if len(bodies) > 1 else "."),
        ),
        Table(("", *(word for word, *_ in bodies)), rows),
    ]
    if len(bodies) > 1:
        blocks.append(Note("Betas of two kinds of body mean different things: compare the heights, not these numbers."))
    return blocks


# What a page shows, in this order; drawn at the same time.
_DRAWN: tuple[Callable[[Shown], list[Block]], ...] = (
    lambda shown: [overlay(shown)],
    lambda shown: [figure] if (figure := heat_map(shown)) else [],
    shapes,
)


def surface_row(shown: Shown, label: str, frame: int) -> Image.Image:
    """The source, the result, and both in one place; `label` says what is shown."""
    meshes = [_mesh(performer, frame) for performer in (shown.source, shown.result)]
    camera = _face_to_face(shown.result, frame, np.concatenate([points for points, _ in meshes]))
    cells = each_and_both(meshes, (_SOURCE_COLOUR, _RESULT_COLOUR), camera, _CELL)
    return row(cells, (f"{label}, source", "result", "both"), PAGE_LABEL)


def _skeleton_row(shown: Shown, label: str, frame: int) -> Image.Image:
    """The joints and bones of a foreign skeleton, and the result, each at its own size."""
    cells = []
    for performer, colour in ((shown.source, _SOURCE_COLOUR), (shown.result, _RESULT_COLOUR)):
        points, faces = _mesh(performer, frame)
        cells.append(picture(points, faces, _face_to_face(shown.result, frame, points), _CELL, colour))
    return row(cells, (f"{label}, source", "result"), PAGE_LABEL)


def _mesh(performer: Performer, frame: int) -> tuple[Floats, NDArray[np.int64]]:
    mesh = ActorMesh(Actor(performer))
    return mesh.vertices([frame])[0], mesh.faces


def _face_to_face(performer: Performer, frame: int, points: Floats) -> Camera:
    """A camera that looks the body in the face, a little from its left."""
    return fit_camera(points, direction(limbs_facing_deg(Actor(performer), [frame]) + 30.0), _CELL)


def _middle(vertices: Floats) -> Floats:
    middle = (vertices.min(0) + vertices.max(0)) / 2
    return middle * (1, 1, 0)
