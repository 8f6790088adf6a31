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
from vitruve.bodies.catalogue import shared_body
from vitruve.bodies.recognise import recognise
from vitruve.correspondence.correspondence import Correspondence, correspondence
from vitruve.draw.framing import direction, facing_deg, fit_camera
from vitruve.draw.heat import nice_top
from vitruve.draw.heat_views import at_rest, heat_views, vertex_means
from vitruve.draw.pictures import PAGE_LABEL, draw_joints, picture, row, spread, stack
from vitruve.draw.scene import Actor, errors_between
from vitruve.errors import VitruveError
from vitruve.formats.readers.mesh_sequence import MeshSequence, read_mesh_sequence
from vitruve.geometry.camera import Camera
from vitruve.motion import Motion
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
        source: a motion, or meshes in time.
        result: the motion it became.
        body: of the source; None for a foreign skeleton and for meshes.
        target: the body of the result.
        frames: a word for each frame that is shown, such as "worst", to its number.
        topology: the body that meshes are of; None where it is not known, and for motions.
    """

    name: str
    source: Motion | MeshSequence
    result: Motion
    body: BodyModel | None
    target: BodyModel
    frames: Mapping[str, int]
    topology: BodyModel | None = None

    def surface(self, frame: int) -> tuple[Floats, Floats] | None:
        """Vertices and faces of the source in a frame; None for a foreign skeleton."""
        if isinstance(self.source, MeshSequence):
            return _array(self.source.vertices[frame]), _array(self.source.faces)
        return None if self.body is None else (_posed(self.source, self.body, frame), _array(self.body.faces))


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
    kind, topology = entry["facts"]["kind"], None
    if kind == "poses" or not entry.get("shown_frames"):
        return None
    try:
        if kind == "meshes":
            source = read_mesh_sequence(entry["input"], up=up)
            topology = _topology(source, entry)
        else:
            source = _for_drawing(vitruve.load_motion(entry["input"], fps=fps))
        rate = source.fps if isinstance(source, Motion) else entry["fps"]
        result = _for_drawing(vitruve.load_motion(folder / entry["output"], fps=rate))
        target = shared_body(entry["target"], entry["folder"])
        body = shared_body(entry["source"], entry["folder"]) if kind == "motion" else None
    except (VitruveError, OSError):
        return None
    drawable = result.skeleton.names == target.skeleton.names and len(result) == len(source)
    name = Path(entry["input"]).name
    return Shown(name, source, result, body, target, worst_shown_first(entry), topology) if drawable else None


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
    shape = Heading("Shape before and after" if shown.body else "Shape of the result")
    return [Heading("Source and result"), *first, *heat, shape, *last]


def overlay(shown: Shown) -> Figure:
    """Source and result side by side and in one place, a row for each of the frames."""
    foreign = isinstance(shown.source, Motion) and shown.body is None
    draw = _skeleton_row if foreign else surface_row
    rows = [draw(shown, f"{word}: frame {frame}", frame) for word, frame in shown.frames.items()]
    order = ", ".join(f"the {word}, {frame}" for word, frame in shown.frames.items())
    said = "the source's skeleton and the result, each at its own size." if foreign else BOTH_SAID
    return Figure(stack(rows), f"{shown.name}: {said} From top to bottom, by their mean error, frames: {order}.")


def heat_map(shown: Shown) -> Figure | None:
    """The result's body, front and back, coloured by the mean error at each vertex; None without two surfaces."""
    valid = torch.arange(len(shown.result)) if shown.result.mask is None else shown.result.mask.nonzero()[:, 0]
    if not len(valid):
        return None
    frames = [int(valid[i]) for i in spread(len(valid), _HEAT_FRAMES)]
    if isinstance(shown.source, MeshSequence):
        if shown.topology is None:
            return None
        there = correspondence(shown.topology, shown.target)
        errors = vertex_means(
            apart_mm(there, shown.source.vertices[i : i + 1], shown.result[i : i + 1].vertices(shown.target))
            for i in frames
        )
    elif shown.body is None:
        return None
    else:
        between = errors_between(Actor("", shown.source, shown.body), Actor("", shown.result, shown.target))
        errors = vertex_means(between(frames[i : i + 20]) for i in range(0, len(frames), 20))
    return heat_figure(shown, errors, f"{len(frames)} frames at equal times")


def apart_mm(there: Correspondence, source: torch.Tensor, result: torch.Tensor) -> Floats:
    """Distances [frames, vertices] of a result's vertices from where the source's surface has them, millimetres."""
    found = 1000 * (there.apply(source.to(result)) - result).norm(dim=-1)
    return _array(found.masked_fill(~there.valid.to(found.device), torch.nan))


def heat_figure(shown: Shown, errors: Floats, over: str) -> Figure:
    """The result's body, front and back, coloured by errors [vertices] in millimetres; `over` says of what."""
    top = nice_top(errors)
    image = heat_views(at_rest(shown.target, shown.result), shown.target.faces, errors, top)
    caption = (
        f"The mean distance between the two surfaces at each vertex, over {over}. "
        f"The largest mean is {np.nanmax(errors):.1f} mm; what is above {top:g} mm has the darkest colour."
    )
    return Figure(image, caption)


def shapes(shown: Shown) -> list[Block]:
    """Both bodies at rest with their betas, and how tall they are."""
    bodies: list[tuple[str, BodyModel, Motion]] = [("result", shown.target, shown.result)]
    if isinstance(shown.source, Motion) and shown.body is not None:
        bodies.insert(0, ("source", shown.body, shown.source))
    meshes = [at_rest(body, motion) for _, body, motion in bodies]
    # One scale for both, so that a difference in height is seen.
    camera = fit_camera(np.concatenate([mesh - _middle(mesh) for mesh in meshes]), direction(15), _BODY_CELL)
    tints = (_SOURCE_COLOUR, _RESULT_COLOUR)[-len(bodies) :]
    cells = [
        picture(mesh - _middle(mesh), body.faces, camera, _BODY_CELL, tint)
        for mesh, (_, body, _), tint in zip(meshes, bodies, tints)
    ]
    tall = [height(body, motion) for _, body, motion in bodies]
    labels = [f"{word}: {body.name}, {metres:.3f} m" for (word, body, _), metres in zip(bodies, tall)]
    betas = [motion.betas.flatten()[:_MOST_BETAS].tolist() for _, _, motion in bodies]
    numbers = [[f"{value:.2f}".replace("-0.00", "0.00") for value in values] for values in betas]
    rows = [("height", *(f"{metres:.3f} m" for metres in tall))]
    rows += [(f"beta {i}", *values) for i, values in enumerate(zip_longest(*numbers, fillvalue="-"))]
    blocks: list[Block] = [
        Figure(
            row(cells, labels, PAGE_LABEL),
            "At rest, with the shape of the clip" + (", at one scale." if shown.body else "."),
        ),
        Table(("", *(word for word, _, _ in bodies)), rows),
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


def height(body: BodyModel, motion: Motion) -> float:
    """From the sole to the top of the head at rest, metres."""
    rest = body.shaped(motion.betas).rest_vertices
    return float(rest[..., 1].max() - rest[..., 1].min())


def surface_row(shown: Shown, label: str, frame: int) -> Image.Image:
    """The source, the result, and both in one place; `label` says what is shown."""
    surface = shown.surface(frame)
    assert surface is not None
    vertices = (surface[0], _posed(shown.result, shown.target, frame))
    faces = (surface[1], _array(shown.target.faces))
    camera = _face_to_face(shown, frame, np.concatenate(vertices))
    tints = [np.broadcast_to(tint, mesh.shape) for tint, mesh in zip((_SOURCE_COLOUR, _RESULT_COLOUR), vertices)]
    cells = [picture(v, f, camera, _CELL, tint) for v, f, tint in zip(vertices, faces, tints)]
    both = np.concatenate([faces[0], faces[1] + len(vertices[0])])
    cells.append(picture(np.concatenate(vertices), both, camera, _CELL, np.concatenate(tints)))
    return row(cells, (f"{label}, source", "result", "both"), PAGE_LABEL)


def _skeleton_row(shown: Shown, label: str, frame: int) -> Image.Image:
    """The joints and bones of a foreign skeleton, and the result."""
    assert isinstance(shown.source, Motion)
    joints, edges = _array(shown.source[frame : frame + 1].joints()[0]), shown.source.skeleton.edges
    if sum(parent == 0 for parent in shown.source.skeleton.parents) == 1:
        # A root with one child is no part of the body: it says where the body is, often from the origin.
        joints, edges = joints[1:], tuple((a - 1, b - 1) for a, b in edges if a and b)
    vertices = _posed(shown.result, shown.target, frame)
    cells = [Image.new("RGB", _CELL, (236, 238, 242))]
    camera = _face_to_face(shown, frame, joints)
    draw_joints(cells[0], joints, edges, camera)
    camera = _face_to_face(shown, frame, vertices)
    cells.append(picture(vertices, shown.target.faces, camera, _CELL, _RESULT_COLOUR))
    return row(cells, (f"{label}, source", "result"), PAGE_LABEL)


def _topology(meshes: MeshSequence, entry: Entry) -> BodyModel | None:
    """The body that meshes are of: the one that was named, or the one that their faces tell."""
    if entry["source"]:
        return shared_body(entry["source"], entry["folder"])
    try:
        return recognise(meshes.vertices, meshes.faces, folder=entry["folder"])
    except VitruveError:
        return None


def _face_to_face(shown: Shown, frame: int, points: Floats) -> Camera:
    """A camera that looks the result in the face, a little from its left."""
    joints = shown.result[frame : frame + 1].joints(shown.target)
    return fit_camera(points, direction(facing_deg(joints, shown.target.skeleton) + 30.0), _CELL)


def _middle(vertices: Floats) -> Floats:
    middle = (vertices.min(0) + vertices.max(0)) / 2
    return middle * (1, 1, 0)


def _posed(motion: Motion, body: BodyModel, frame: int) -> Floats:
    return _array(motion[frame : frame + 1].vertices(body)[0])


def _array(values: torch.Tensor) -> Floats:
    return values.detach().cpu().numpy()
