"""The page about two motions compared: a verdict, tables, curves, where on the body they differ, and pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

import vitruve
from vitruve.compare import Comparison
from vitruve.compare.notes import verdict
from vitruve.compare.tables import joint_rows, part_rows, side_rows, sides_said, summary
from vitruve.draw.framing import direction, fit_camera
from vitruve.draw.heat import round_up
from vitruve.draw.heat_views import at_rest, heat_views
from vitruve.draw.pictures import PAGE_LABEL, each_and_both, row, stack
from vitruve.draw.scene import COLOURS, Actor, limbs_facing_deg
from vitruve.draw.sticks import ActorMesh
from vitruve.report.blocks import Block, Columns, Drawing, Figure, Heading, Note, Table, page
from vitruve.report.credits import credits, likely_sources
from vitruve.report.plots import bars, histogram, line_plot

_CELL = (300, 420)
# The width of a plot in one of two columns.
_HALF = 400
# Bins of the histogram, about.
_BINS = 40
_CURVES = {"vertex_mm": "vertices, mean", "vertex_max_mm": "vertices, largest", "joint_mm": "joints, mean"}


def comparison_page(comparison: Comparison) -> str:
    """The page as text."""
    figures = comparison.figures
    first, second = figures["first"]["name"], figures["second"]["name"]
    said = sides_said(figures)
    blocks: list[Block] = [Note(f"{verdict(figures)} {_where_to_look(comparison)}")]
    blocks += [Note(warning, "warning") for warning in comparison.warnings]
    blocks += [Figure(*overlay(comparison)), Heading("Figures"), Table(("what", "value"), summary(figures))]
    blocks += [
        Heading("Each by itself"),
        Table(("what", "first", "second", "difference"), side_rows(figures)),
        Note("\n".join(comparison.notes)),
        Note(f"The first is {said[0]}, the second {said[1]}. docs/compare.md says how each figure is taken."),
    ]
    blocks += [*_parts(comparison), *_curves(comparison), *_heat(comparison)]
    rows = [(name, *map(_two_digits, values)) for name, *values in joint_rows(figures)]
    if rows:
        half = -(-len(rows) // 2)
        tables = [Table(("joint", "mm", "degrees"), part) for part in (rows[:half], rows[half:]) if part]
        blocks += [Heading("By joint"), Columns(tables)]
    blocks += _credits(comparison)
    return page(
        f"Comparison: {first} and {second}", blocks, footer=f"Made by vitruve {vitruve.__version__}: vitruve compare"
    )


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
    first, second = (ActorMesh(Actor(side)) for side in (comparison.first, comparison.second))
    rows = []
    for word, frame in comparison.frames_shown.items():
        moved = comparison.placement.of_frames(torch.tensor([frame])).apply(torch.from_numpy(second.vertices([frame])))
        meshes = [(first.vertices([frame])[0], first.faces), (moved[0].numpy(), second.faces)]
        every = np.concatenate([points for points, _ in meshes])
        camera = fit_camera(every[np.isfinite(every).all(1)], _towards(comparison, frame), _CELL)
        cells = each_and_both(meshes, COLOURS, camera, _CELL)
        error = float(comparison.per_frame[comparison.measure][frame])
        rows.append(row(cells, (f"{word}: frame {frame}, {error:.1f} mm", "second", "both"), PAGE_LABEL))
    caption = (
        f"The worst, the median and the best frame of the common part: {comparison.first.name} (blue), "
        f"{comparison.second.name} (orange), and both in one place."
    )
    return stack(rows), caption


def _towards(comparison: Comparison, frame: int) -> tuple[float, float, float]:
    """From the bodies to a camera that looks the first in the face, a little from its left."""
    for side in (comparison.first, comparison.second):
        if side.skeleton is not None or side.body is not None:
            return direction(limbs_facing_deg(Actor(side), [frame]) + 30.0)
    return direction(30.0)


def _parts(comparison: Comparison) -> list[Block]:
    rows = part_rows(comparison.figures)
    if not rows:
        return []
    place = 1 if comparison.measure == "vertex_mm" else 2
    values = {str(line[0]): float(line[place]) for line in rows if line[place] is not None}  # type: ignore[arg-type]
    word = "vertices" if place == 1 else "joints"
    return [
        Heading("By part of the body"),
        Columns(
            [
                Table(("part", "vertices, mm", "joints, mm"), [(part, *map(_two_digits, own)) for part, *own in rows]),
                Drawing(bars(values, "mm", across=_HALF), f"Mean distance of the {word} of each part."),
            ]
        ),
    ]


def _two_digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _curves(comparison: Comparison) -> list[Block]:
    frames, fps = len(comparison.first), comparison.first.fps
    times = (comparison.starts[0] + np.arange(frames)) / fps
    marks = {word: float(times[frame]) for word, frame in comparison.frames_shown.items()} if frames > 2 else None
    curves = {
        name: (times, comparison.per_frame[key].numpy()) for key, name in _CURVES.items() if key in comparison.per_frame
    }
    apart = line_plot(curves, "time in the first clip, s", "distance, mm", marks=marks)
    across = _HALF if "rotation_deg" in comparison.per_frame else 0
    way = line_plot({"drift": (times, comparison.per_frame["drift_mm"].numpy())}, "time, s", "mm", across=across)
    pair = [Drawing(way, "How far the two roots have come apart since they began.")]
    if "rotation_deg" in comparison.per_frame:
        values = comparison.per_frame["rotation_deg"].numpy()
        turned = line_plot({"rotations": (times, values)}, "time, s", "degrees", across=across)
        pair.append(Drawing(turned, "Rotations relative to the parent, mean of the joints."))
    errors = comparison.per_frame[comparison.measure].numpy()
    errors = errors[np.isfinite(errors)]
    width = round_up(max(float(errors.max()), 1e-6) / _BINS)
    counts = np.bincount((errors / width).astype(int)).tolist()
    share = histogram(width, counts, "mean distance of a frame, mm", "frames")
    return [
        Heading("Over time"),
        Drawing(apart, "Distance in every frame."),
        *([Columns(pair)] if len(pair) > 1 else pair),
        Drawing(share, "How many frames have which mean distance."),
    ]


def _heat(comparison: Comparison) -> list[Block]:
    """Where on the surface they differ, on the second's body at rest."""
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
    own_clip = [side for side in sides if Path(side.name).name.startswith("vitruve_walk")]
    amass = [
        side.motion.body
        for side in sides
        if side.motion is not None and side.motion.source.format.startswith("amass") and side not in own_clip
    ]
    return credits(bodies, also=["clip"] if own_clip else [], likely=likely_sources(skeletons, amass))
