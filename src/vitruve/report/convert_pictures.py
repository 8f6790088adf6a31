"""Pictures of one conversion: source and result in one place, where on the body the error is, both shapes."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import vitruve
from vitruve.draw.framing import direction, fit_camera
from vitruve.draw.heat import nice_top
from vitruve.draw.heat_views import at_rest, heat_views, vertex_means
from vitruve.draw.pictures import PAGE_LABEL, picture, row, spread, stack
from vitruve.draw.scene import COLOURS, Actor, errors_between
from vitruve.draw.sticks import ActorMesh
from vitruve.errors import VitruveError
from vitruve.formats.performers import load_performers
from vitruve.motion import Motion
from vitruve.motion.performer import Performer
from vitruve.report.blocks import Block, Figure, Heading, Note, Table
from vitruve.report.overlay import CELL, Mesh, overlay_row, view_of_face
from vitruve.threads import over_threads

Floats = NDArray[np.float64]
Entry = Mapping[str, Any]

OVERLAY_CAPTION = (
    "the source (blue), the result (orange), and both in one place, where the outer surface hides the inner."
)
_BODY_CELL = (400, 480)
# How many frames the mean error of a vertex is taken over, and how many betas a page shows.
_HEAT_FRAMES, _MOST_BETAS = 24, 10


@dataclass(frozen=True, eq=False)
class Shown:
    """A conversion to draw.

    Attributes:
        name: of the input.
        source: a motion, on a body or on a foreign skeleton, or meshes.
        result: the converted motion, on its body.
        frames: word, such as "worst", to the number of the frame.
    """

    name: str
    source: Performer
    result: Performer
    frames: Mapping[str, int]


def load_shown(entry: Entry, folder: Path, fps: float | None = None, up: str = "z") -> Shown | None:
    """Load a conversion to draw.

    Args:
        entry: the ledger line.
        folder: what the output's path is relative to.
        fps, up: the options that the input was read with.

    Returns:
        None where it cannot be drawn: single poses (`pose_blocks` draws them), an input that no longer exists, an
        output whose format keeps no body.
    """
    kind = entry["facts"]["kind"]
    if kind == "poses" or not entry.get("shown_frames"):
        return None
    try:
        source = entry["input"]
        if kind != "meshes":
            source = _for_drawing(source, fps)
        rate = source.fps if isinstance(source, Motion) else entry["fps"]
        result = _for_drawing(folder / entry["output"], rate)
        bodies = (entry["source"] if kind != "skeleton" else None, entry["target"])
        performers = load_performers((source, result), bodies, folder=entry["folder"], mesh_fps=rate, up=up)
    except (VitruveError, OSError):
        return None
    if len(performers[0]) != len(performers[1]):
        return None
    return Shown(Path(entry["input"]).name, performers[0], performers[1], frames_worst_first(entry))


def _for_drawing(path: str | Path, fps: float | None) -> Motion:
    """A motion in single precision and without what else the file holds: of two long clips this halves the memory."""
    motion = vitruve.load_motion(path, fps=fps, dtype=torch.float32)
    return replace(motion, source=replace(motion.source, extras={}))


def frames_worst_first(entry: Entry) -> dict[str, int]:
    """The frames to draw, by their words."""
    shown = entry["shown_frames"]
    return {word: shown[word] for word in ("worst", "median", "best") if word in shown}


def how_to_look(entry: Entry, folder: Path) -> list[Block]:
    """The command that shows source and result in the viewer; the output's path is relative to `folder`."""
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
    rows = [partial(_overlay_row, shown, word) for word in shown.frames]
    tasks: list[Callable[[], Any]] = [*rows, partial(heat_map, shown), partial(shapes, shown)]
    *drawn, heat, shape = over_threads(lambda draw: draw(), tasks)
    title = "Shape of the result" if shown.source.shaped is None else "Shape before and after"
    blocks: list[Block] = [Heading("Source and result"), _overlay(shown, drawn)]
    blocks += [Heading("Where on the body the error is"), heat] if heat else []
    return [*blocks, Heading(title), *shape]


def _overlay_row(shown: Shown, word: str) -> Image.Image:
    draw = surface_row if shown.source.has_surface else _skeleton_row
    frame = shown.frames[word]
    return draw(shown, f"{word}: frame {frame}", frame)


def _overlay(shown: Shown, rows: Sequence[Image.Image]) -> Figure:
    """Source and result side by side and in one place, a row for each of the frames."""
    order = ", ".join(f"the {word}, {frame}" for word, frame in shown.frames.items())
    foreign = "the source's skeleton and the result, each at its own size."
    caption = OVERLAY_CAPTION if shown.source.has_surface else foreign
    return Figure(stack(rows), f"{shown.name}: {caption} Frames from top to bottom, by their mean error: {order}.")


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
    """Both bodies at rest with their betas and heights."""
    sides = {"source": shown.source, "result": shown.result}
    sides = {word: side for word, side in sides.items() if side.motion is not None and side.body is not None}
    centred = [mesh - (mesh.min(0) + mesh.max(0)) / 2 * (1, 1, 0) for mesh in map(at_rest, sides.values())]
    # One scale for both, so that a difference in height is visible.
    camera = fit_camera(np.concatenate(centred), direction(15), _BODY_CELL)
    colours = COLOURS[2 - len(sides) : 2]
    cells, labels, heights, betas = [], [], [], []
    for (word, side), mesh, colour in zip(sides.items(), centred, colours):
        assert side.motion is not None and side.body is not None
        heights.append(f"{side.height or 0.0:.3f} m")
        labels.append(f"{word}: {side.body.name}, {heights[-1]}")
        cells.append(picture(mesh, side.body.faces, camera, _BODY_CELL, colour))
        numbers = side.motion.betas.flatten()[:_MOST_BETAS].tolist()
        betas.append([f"{number:.2f}".replace("-0.00", "0.00") for number in numbers])
    rows = [("height", *heights)]
    rows += [(f"beta {i}", *values) for i, values in enumerate(zip_longest(*betas, fillvalue="-"))]
    both = len(sides) > 1
    caption = "At rest, with the shape of the clip" + (", at one scale." if both else ".")
    blocks: list[Block] = [Figure(row(cells, labels, PAGE_LABEL), caption), Table(("", *sides), rows)]
    if both:
        blocks.append(Note("Betas of two kinds of body mean different things: compare the heights, not these numbers."))
    return blocks


def surface_row(shown: Shown, label: str, frame: int) -> Image.Image:
    """The source, the result, and both in one place; `label` names the frame."""
    meshes = [_mesh(performer, frame) for performer in (shown.source, shown.result)]
    return overlay_row(meshes, view_of_face(shown.result, frame), (f"{label}, source", "result", "both"))


def _skeleton_row(shown: Shown, label: str, frame: int) -> Image.Image:
    """The joints and bones of a foreign skeleton, and the result, each at its own size."""
    cells = []
    for performer, colour in zip((shown.source, shown.result), COLOURS):
        points, faces = _mesh(performer, frame)
        camera = fit_camera(points, view_of_face(shown.result, frame), CELL)
        cells.append(picture(points, faces, camera, CELL, colour))
    return row(cells, (f"{label}, source", "result"), PAGE_LABEL)


def _mesh(performer: Performer, frame: int) -> Mesh:
    mesh = ActorMesh(Actor(performer))
    return mesh.vertices([frame])[0], mesh.faces
