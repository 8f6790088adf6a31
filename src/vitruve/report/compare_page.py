"""The page about two motions compared: a verdict, tables, curves, where on the body they differ, and pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from vitruve.compare import Comparison
from vitruve.compare.notes import verdict
from vitruve.compare.tables import joint_rows, part_rows, side_rows, sides_said, summary
from vitruve.draw.framing import direction
from vitruve.draw.heat import round_up
from vitruve.draw.heat_views import at_rest, heat_views
from vitruve.draw.pictures import stack
from vitruve.draw.scene import Actor
from vitruve.draw.sticks import ActorMesh
from vitruve.report.blocks import Block, Columns, Drawing, Figure, Heading, Note, Table, made_by, page
from vitruve.report.credits import credits, likely_sources
from vitruve.report.overlay import overlay_row, view_of_face
from vitruve.report.plots import bars, histogram, line_plot

# The width of a plot in one of two columns.
_HALF = 400
# About how many bins the histogram has.
_BINS = 40
_CURVES = {"vertex_mm": "vertices, mean", "vertex_max_mm": "vertices, largest", "joint_mm": "joints, mean"}


def comparison_page(comparison: Comparison) -> str:
    """The page as HTML."""
    figures = comparison.figures
    names = sides_said(figures)
    blocks: list[Block] = [
        Note(f"{verdict(figures)} {_where_to_look(comparison)}"),
        *(Note(warning, "warning") for warning in comparison.warnings),
        Figure(*overlay(comparison)),
        Heading("Figures"),
        Table(("what", "value"), summary(figures)),
        Heading("Each by itself"),
        Table(("what", "first", "second", "difference"), side_rows(figures)),
        Note("\n".join(comparison.notes)),
        Note(f"The first is {names[0]}, the second {names[1]}. docs/compare.md explains each figure."),
        *_parts(comparison),
        *_curves(comparison),
        *_heat(comparison),
    ]
    rows = [(name, *map(_two_digits, values)) for name, *values in joint_rows(figures)]
    if rows:
        half = -(-len(rows) // 2)
        tables = [Table(("joint", "mm", "degrees"), part) for part in (rows[:half], rows[half:]) if part]
        blocks += [Heading("By joint"), Columns(tables)]
    blocks += _credits(comparison)
    title = f"Comparison: {figures['first']['name']} and {figures['second']['name']}"
    return page(title, blocks, made_by("compare"))


def _where_to_look(comparison: Comparison) -> str:
    """The worst frame and the worst part of the body, in one sentence."""
    frame = comparison.frames_shown["worst"]
    seconds = (comparison.starts[0] + frame) / comparison.first.fps
    parts = (comparison.figures[comparison.measure] or {}).get("parts") or {}
    known = {part: value for part, value in parts.items() if value is not None}
    worst = max(known, key=lambda part: known[part], default="")
    most = f", and most at the {worst}, {known[worst]:.2f} mm on average" if worst else ""
    return f"They are farthest apart in frame {frame:,} ({seconds:.2f} s){most}."


def overlay(comparison: Comparison) -> tuple[Image.Image, str]:
    """The worst, the median and the best frame: the first, the second, and both in one place; and the caption."""
    sides = (comparison.first, comparison.second)
    first, second = (ActorMesh(Actor(side)) for side in sides)
    known = next((side for side in sides if side.skeleton is not None or side.body is not None), None)
    rows = []
    for word, frame in comparison.frames_shown.items():
        moved = comparison.placement.of_frames(torch.tensor([frame])).apply(torch.from_numpy(second.vertices([frame])))
        meshes = [(first.vertices([frame])[0], first.faces), (moved[0].numpy(), second.faces)]
        view = view_of_face(known, frame) if known else direction(30.0)
        error = float(comparison.per_frame[comparison.measure][frame])
        rows.append(overlay_row(meshes, view, (f"{word}: frame {frame}, {error:.1f} mm", "second", "both")))
    caption = (
        f"The worst, the median and the best frame of the common part: {comparison.first.name} (blue), "
        f"{comparison.second.name} (orange), and both in one place."
    )
    return stack(rows), caption


def _parts(comparison: Comparison) -> list[Block]:
    rows = part_rows(comparison.figures)
    if not rows:
        return []
    column, word = (0, "vertices") if comparison.measure == "vertex_mm" else (1, "joints")
    values = {part: mean for part, *means in rows if (mean := means[column]) is not None}
    table = Table(("part", "vertices, mm", "joints, mm"), [(part, *map(_two_digits, own)) for part, *own in rows])
    plot = Drawing(bars(values, "mm", across=_HALF), f"Mean distance of the {word} of each part.")
    return [Heading("By part of the body"), Columns([table, plot])]


def _two_digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _curves(comparison: Comparison) -> list[Block]:
    frames, fps = len(comparison.first), comparison.first.fps
    times = (comparison.starts[0] + np.arange(frames)) / fps
    marks = {word: float(times[frame]) for word, frame in comparison.frames_shown.items()} if frames > 2 else None
    curves = {
        name: (times, comparison.per_frame[key].numpy()) for key, name in _CURVES.items() if key in comparison.per_frame
    }
    distances = line_plot(curves, "time in the first clip, s", "distance, mm", marks=marks)
    rotations = comparison.per_frame.get("rotation_deg")
    across = 0 if rotations is None else _HALF
    drift = line_plot({"drift": (times, comparison.per_frame["drift_mm"].numpy())}, "time, s", "mm", across=across)
    columns = [Drawing(drift, "How far the two roots have drifted apart since the start.")]
    if rotations is not None:
        plot = line_plot({"rotations": (times, rotations.numpy())}, "time, s", "degrees", across=across)
        columns.append(Drawing(plot, "Rotations relative to the parent, mean of the joints."))
    errors = comparison.per_frame[comparison.measure].numpy()
    errors = errors[np.isfinite(errors)]
    width = round_up(max(float(errors.max()), 1e-6) / _BINS)
    counts = np.bincount((errors / width).astype(int)).tolist()
    share = histogram(width, counts, "mean distance of a frame, mm", "frames")
    return [
        Heading("Over time"),
        Drawing(distances, "Distance in every frame."),
        *([Columns(columns)] if len(columns) > 1 else columns),
        Drawing(share, "How many frames have which mean distance."),
    ]


def _heat(comparison: Comparison) -> list[Block]:
    second, errors = comparison.second, comparison.per_vertex
    if errors is None or second.faces is None:
        return []
    image = heat_views(at_rest(second), second.faces, errors.numpy())
    caption = f"Mean distance of each vertex over all frames, on {second.name}. Grey has no counterpart."
    return [Heading("Where on the body"), Figure(image, caption)]


def _credits(comparison: Comparison) -> list[Block]:
    sides = (comparison.first, comparison.second)
    bodies = [side.body.name for side in sides if side.body is not None]
    skeletons = [side.skeleton.name for side in sides if side.skeleton is not None]
    others = [side for side in sides if not Path(side.name).name.startswith("vitruve_walk")]
    motions = [side.motion for side in others if side.motion is not None]
    amass = [motion.body for motion in motions if motion.source.format.startswith("amass")]
    return credits(bodies, ["clip"] if len(others) < len(sides) else [], likely_sources(skeletons, amass))
