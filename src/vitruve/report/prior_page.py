"""Pages and pictures of pose priors: the curves of a training, a sheet of poses, the pages of train and sample."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from vitruve.bodies import BodyModel, load_body
from vitruve.draw.framing import direction, fit_camera
from vitruve.draw.pictures import picture, row, save_picture, stack
from vitruve.errors import writing
from vitruve.files.atomic import write_bytes
from vitruve.geometry.rotations import rotation_about
from vitruve.learn.checkpoint import GO_ON
from vitruve.learn.curves import Curves
from vitruve.priors import load_prior
from vitruve.priors.losses import with_published
from vitruve.report.blocks import Block, Columns, Drawing, Figure, Heading, Note, Table, made_by, page
from vitruve.report.plots import line_plot

Rows = Sequence[Mapping[str, float]]
# With this many validations or fewer, the one before training is drawn too.
_FEW = 4

# Plots of a training: (label, unit's factor, whether logarithmic), (legend, column) of each curve, caption.
_PLOTS = (
    (
        ("distance of the skin, mm", 1000.0, True),
        (("mean of z", "valid_mesh_m"), ("z drawn", "valid_mesh_sampled_m")),
        "Mean distance of the skin between held-out poses and their reconstructions.",
    ),
    (
        ("angle of joints, degrees", 180 / math.pi, True),
        (("mean of z", "valid_geodesic_rad"), ("z drawn", "valid_geodesic_sampled_rad")),
        "Mean angle between the rotations of held-out poses and of their reconstructions.",
    ),
    (
        ("divergence, nats", 1.0, False),
        (("training", "train_kl_nats"), ("held out", "valid_kl_nats")),
        "Divergence of the latent distribution of a pose from the standard normal.",
    ),
    (("loss", 1.0, True), (("training", "train_total"),), "What is minimised, as the mean between validations."),
)


def curves_svg(rows: Rows) -> str:
    """The main curve of a training as SVG that stands alone: held-out error over time."""
    return _plot(rows, *_PLOTS[0][:2])


def _plot(rows: Rows, axis: tuple[str, float, bool], curves: Sequence[tuple[str, str]], across: int = 720) -> str:
    label, factor, log = axis
    series = {}
    for name, column in curves:
        kept = [line for line in _shown(rows) if column in line]
        series[name] = ([line["seconds"] / 60 for line in kept], [factor * line[column] for line in kept])
    return line_plot(series, "minutes", label, log, across=across)


def _shown(rows: Rows) -> Rows:
    """The validations to draw: the error before training is ten times larger and would flatten all later ones."""
    return rows[1:] if len(rows) > _FEW and rows[0]["step"] == 0 else rows


def pose_sheet(
    rotations: Float[Tensor, "poses 21 3 3"], body: BodyModel, labels: Sequence[str] = (), columns: int = 6
) -> Image.Image:
    """Poses as rows of small pictures, all from the same side and on one scale.

    Args:
        rotations: of the joints 1 to 21.
        body: of SMPL's, SMPL+H's or SMPL-X's layout; mean shape.
        labels: a line below each.
        columns: pictures per row.
    """
    vertices = standing_vertices(rotations, body).numpy()
    vertices = vertices - (vertices.min(1) + vertices.max(1))[:, None] / 2 * (1, 1, 0)
    size = (180, 240)
    camera = fit_camera(vertices, direction(25, 7), size, fov_deg=15.0, margin=1.05)
    ground = vertices[..., 2].min(1)
    pictures = [picture(points, body.faces, camera, size, ground=low) for points, low in zip(vertices, ground)]
    lines = range(0, len(pictures), columns)
    return stack([row(pictures[i : i + columns], list(labels[i : i + columns]), 20) for i in lines])


def standing_vertices(rotations: Tensor, body: BodyModel) -> Float[Tensor, "poses vertices 3"]:
    """Vertices of poses of the 21 body joints, root upright, z up, facing -y."""
    full = body.rest_rotations(len(rotations))
    full[:, 1:22] = rotations.to(full)
    full[:, 0] = rotation_about("X", torch.tensor(math.pi / 2)).to(full)
    return body.shaped().vertices(full)


def training_page(results: Mapping[str, Any], rows: Rows, sheet: Image.Image | None, words: Mapping[str, Any]) -> str:
    """The page of a training as HTML.

    Args:
        results: the content of `results.json`.
        rows: of curves.csv.
        sheet: poses drawn from the prior, or None.
        words: the metadata of the checkpoint.
    """
    known = {column for row in rows for column in row}
    plots = [plot for plot in _PLOTS if any(column in known for _, column in plot[1])]
    drawings = [Drawing(_plot(rows, axis, curves, across=400), caption) for axis, curves, caption in plots]
    recipe = words.get("recipe", {})
    settings = [(key, value) for key, value in recipe.items() if not isinstance(value, Mapping)]
    for table in ("weights", "training"):
        settings += [(f"{table}.{key}", value) for key, value in recipe.get(table, {}).items()]
    blocks: list[Block] = [
        *(Note(warning, "warning") for warning in results["warnings"]),
        _licence_note(results["licences"], results["commercial_use"]),
        Heading("Held-out poses, at the best step"),
        Table(("component", "value"), component_rows(results)),
        Heading("Curves"),
        *_left_out(rows),
        *(Columns(drawings[i : i + 2]) for i in range(0, len(drawings), 2)),
    ]
    if sheet is not None:
        blocks += [Heading("Poses drawn at random"), Figure(sheet, "Poses decoded from random latent vectors, seed 0.")]
    blocks += [Heading("The run"), Table(("what", "value"), run_rows(results))]
    blocks += [Heading("The recipe"), Table(("key", "value"), [(key, str(value)) for key, value in settings])]
    return page(f"Pose prior: {results['recipe']}", blocks, made_by("prior train"))


def _left_out(rows: Rows) -> list[Block]:
    if len(_shown(rows)) == len(rows):
        return []
    first = rows[0]
    skin, angle = 1000 * first["valid_mesh_m"], math.degrees(first["valid_geodesic_rad"])
    return [Note(f"From the second validation on. Before any training: skin {skin:.0f} mm, angle {angle:.0f} degrees.")]


def sample_page(name: str, sheet: Image.Image, facts: Sequence[tuple[str, object]], licences: Mapping[str, Any]) -> str:
    """The page of poses drawn from a prior, as HTML."""
    note = _licence_note(licences.get("licences", []), licences.get("commercial_use", "unknown"))
    caption = "Poses decoded from random latent vectors; the energy says how unlikely the prior finds them."
    blocks = [note, Figure(sheet, caption), Table(("what", "value"), facts)]
    return page(f"Poses from {name}", blocks, made_by("prior sample"))


def component_rows(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The components of a validation for a table."""
    return [
        (with_published(name), f"{value:,.0f}" if name == "active_units" else f"{value:.5f}")
        for name, value in results["best"].items()
    ]


def run_rows(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Facts about a run for a table."""
    return [
        ("ended because", results["finished"]),
        ("poses to learn from", f"{results['train_poses']:,}"),
        ("poses held out", f"{results['valid_poses']:,}"),
        ("steps", f"{results['steps']:,}"),
        ("passes over the data", f"{results['epochs']:.1f}"),
        ("best at step", f"{results['best_step']:,}"),
        ("time", f"{results['seconds'] / 60:.1f} min" if results["seconds"] >= 60 else f"{results['seconds']:.1f} s"),
        ("poses a second", f"{results['poses_per_second']:,.0f}"),
        ("time spent waiting for data", f"{100 * results['waiting_for_data']:.2f} %"),
        ("body of the loss", f"{results['body']}, {results['mesh_vertices']:,} vertices"),
    ]


def _licence_note(licences: Sequence[str], commercial: str) -> Note:
    names = "; ".join(licence for licence in licences if licence) or "none is known"
    text = {
        "yes": f"Licences of the data: {names}.",
        "no": f"Trained on data that may not be used commercially; neither may this prior. Licences: {names}.",
        "unknown": f"The licence of some data is unknown, and so are the uses this prior permits. Licences: {names}.",
    }[commercial]
    return Note(text, "plain" if commercial == "yes" else "warning")


def write_curves(rows: Rows, folder: Path) -> None:
    """Write the picture of a training's main curve into its folder."""
    write_bytes(folder / "curves.svg", curves_svg(rows).encode(), durable=True, then=GO_ON)


def write_training_page(folder: Path, results: Mapping[str, Any]) -> None:
    """Write a training's sheet of random poses and its page."""
    curves, prior = Curves(folder / "curves.csv"), load_prior(folder)
    curves.read()
    sheet = pose_sheet(prior.sample(18, torch.Generator().manual_seed(0)), load_body("open-smplx-neutral"))
    with writing(folder / "samples.png"):
        save_picture(sheet, folder / "samples.png")
    html = training_page(results, curves.rows, sheet, prior.words)
    write_bytes(folder / "report.html", html.encode(), durable=True, then=GO_ON)
