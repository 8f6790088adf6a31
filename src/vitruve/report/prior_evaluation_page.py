"""The page about the evaluation of a prior, and its table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.geometry.rotations import axis_angle_to_matrix
from vitruve.priors import Prior
from vitruve.priors.evaluation import JudgedPoses
from vitruve.priors.losses import with_published
from vitruve.report.blocks import Block, Columns, Drawing, Figure, Heading, Note, Table, made_by, page
from vitruve.report.credits import credits
from vitruve.report.plots import bars, line_plot
from vitruve.report.prior_page import pose_sheet
from vitruve.words import counted

_CAPTIONS = {
    "typical": "Poses around the median error, each above its reconstruction.",
    "worst": "The poses with the largest error, one of each clip, each above its reconstruction.",
}
# How many poses are drawn from the prior.
_DRAWN = 12


def shown_poses(prior: Prior, poses: JudgedPoses, results: Mapping[str, Any]) -> dict[str, tuple[Tensor, Tensor]]:
    """By name, poses with their reconstructions; "drawn" are poses drawn from the prior, with an empty tensor."""
    out = {}
    for name, rows in results["shown_rows"].items():
        held_out = axis_angle_to_matrix(poses.body(rows))
        out[name] = (held_out, prior.reconstruct(held_out))
    drawn = prior.sample(_DRAWN, torch.Generator().manual_seed(results["seed"]))
    return out | {"drawn": (drawn, drawn[:0])}


def score_table(results: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of text: every score by name, a column for each candidate."""
    scores = results["scores"]
    rows = [
        [with_published(name), *(_text(scores[candidate].get(name)) for candidate in scores)]
        for name in results["definitions"]
        if any(name in values for values in scores.values())
    ]
    return ["score", *scores], rows


def evaluation_page(results: Mapping[str, Any], shown: Mapping[str, tuple[Tensor, Tensor]], body: BodyModel) -> str:
    """The page as HTML, from the content of results.json and of `shown_poses`, drawn on a body."""
    measured = f"{results['poses']:,} poses of {counted(results['clips'], 'clip')} of {results['measured_on']}"
    blocks: list[Block] = [
        *(Note(warning, "warning") for warning in results["warnings"]),
        *_in_short(results["scores"]),
        Note(
            f"{measured}, on the body {results['body']} ({results['vertices']:,} vertices). Seed {results['seed']}; "
            f"{results['samples']:,} poses drawn from each candidate."
        ),
        Heading("Scores"),
        Table(*score_table(results)),
        *_intervals(results),
        Heading("What is compared"),
        Table(("name", "what it is"), list(results["candidates"].items())),
        Heading("Distribution of the error"),
        *_curves(results),
    ]
    for name, caption in _CAPTIONS.items():
        held_out, reconstructed = shown[name]
        sheet = pose_sheet(torch.cat([held_out, reconstructed]), body, columns=len(held_out))
        blocks += [Heading(f"Reconstructions: {name}"), Figure(sheet, caption)]
    blocks += [
        Heading("Poses drawn from the prior"),
        Figure(pose_sheet(shown["drawn"][0], body), "Poses decoded from random codes."),
        Heading("Joint by joint"),
        *_joints(results),
        Heading("What the names mean"),
        Table(("score", "meaning"), list(results["definitions"].items())),
        *credits([body.name]),
    ]
    return page(f"Evaluation of a pose prior: {results['prior']}", blocks, made_by("prior evaluate"))


def _in_short(scores: Mapping[str, Mapping[str, Any]]) -> list[Block]:
    """The two main scores beside those of the baselines."""
    distance = next((name for name in scores["prior"] if name.startswith("fid/")), "")
    sentences = []
    for words, unit, score in (
        ("Poses that the prior encodes and decodes come back with the skin", " mm away on average", "mpve_mm"),
        ("Poses drawn from it differ from held-out ones by", f" ({distance}, less is nearer)", distance),
    ):
        values = {name: _text(row[score]) for name, row in scores.items() if row.get(score) is not None}
        own = values.pop("prior", None)
        if own is not None:
            others = ", ".join(f"{name} {value}" for name, value in values.items())
            sentences.append(f"{words} {own}{unit}" + (f"; the others: {others}." if others else "."))
    if not sentences:
        return []
    return [Note("\n".join([*sentences, "The names in the table are explained below it and at the end."]))]


def _intervals(results: Mapping[str, Any]) -> list[Block]:
    intervals = results["intervals"]
    if not intervals["prior"]:
        return [Note(f"No confidence intervals: {counted(results['clips'], 'clip')} measured, at least five needed.")]
    names = [name for name in results["definitions"] if name in intervals["prior"]]
    rows = [[name, *(_range(own.get(name)) for own in intervals.values())] for name in names]
    text = "95 % of the means over clips resampled with replacement."
    return [Heading("Confidence intervals"), Note(text), Table(["score", *intervals], rows)]


def _curves(results: Mapping[str, Any]) -> list[Block]:
    series = {
        name: ([100 * i / (len(values) - 1) for i in range(len(values))], values)
        for name, values in results["mpve_mm_quantiles"].items()
    }
    errors = line_plot(series, "poses, % (the best first)", "mean error of the skin, mm", log=True)
    nats = sorted(results["kl_nats_by_dimension"], reverse=True)
    dimensions = [float(i) for i in range(1, len(nats) + 1)]
    x_label = "latent dimension, the fullest first"
    divergence = line_plot({"nats": (dimensions, nats)}, x_label, "divergence, nats", from_zero=True)
    return [
        Drawing(errors, "Share of the poses whose mean error of the skin is below a value."),
        Drawing(divergence, "Divergence of each latent dimension from the standard normal; near 0 it is unused."),
    ]


def _joints(results: Mapping[str, Any]) -> list[Block]:
    joints = results["per_joint"]
    columns, tables = [], []
    for unit, key, caption in (("mm", "position_mm", "Position."), ("deg", "angle_deg", "Rotation.")):
        moved = {joint: row[key] for joint, row in joints["prior"].items() if joint != "pelvis"}
        columns.append(Drawing(bars(moved, unit, across=400), caption))
        rows = [[joint, *(own[joint][key] for own in joints.values())] for joint in joints["prior"]]
        tables.append(Table([f"joint ({unit})", *joints], rows))
    note = "Mean distance of each joint with the roots of both poses in one place, and mean angle of its rotation."
    return [Note(note), Columns(columns), *tables]


def _range(values: list[float] | None) -> str:
    return "-" if values is None else f"{_text(values[0])} to {_text(values[1])}"


def _text(value: float | None) -> str:
    if value is None:
        return "-"
    if value == 0 or isinstance(value, int):
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:#.4g}"
