"""The page of a prior's evaluation, and its table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from PIL import Image
from torch import Tensor

import vitruve
from vitruve.bodies import BodyModel
from vitruve.geometry.rotations import axis_angle_to_matrix
from vitruve.priors import Prior
from vitruve.priors.evaluation import JudgedPoses
from vitruve.priors.losses import with_published
from vitruve.report.blocks import Block, Columns, Drawing, Figure, Heading, Note, Table, page
from vitruve.report.credits import credits
from vitruve.report.plots import bars, line_plot
from vitruve.report.prior_page import pose_sheet
from vitruve.words import counted

_SHOWN = {
    "typical": "Poses around the median error, each above what the prior makes of it.",
    "worst": "The poses that come back worst, one of each clip, each above what the prior makes of it.",
}
_DRAWN = 12


def shown_poses(prior: Prior, poses: JudgedPoses, results: Mapping[str, Any]) -> dict[str, tuple[Tensor, Tensor]]:
    """Poses and their reconstructions by name, and poses drawn from the prior beside an empty tensor."""
    out = {}
    for name, rows in results["shown_rows"].items():
        wanted = axis_angle_to_matrix(poses.body(rows))
        out[name] = (wanted, prior.reconstruct(wanted))
    drawn = prior.sample(_DRAWN, torch.Generator().manual_seed(results["seed"]))
    return out | {"drawn": (drawn, drawn[:0])}


def score_table(results: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of text: every score by name, a column for each candidate; a dash where there is none."""
    scores = results["scores"]
    rows = [
        [with_published(name), *(_text(scores[candidate].get(name)) for candidate in scores)]
        for name in results["definitions"]
        if any(name in values for values in scores.values())
    ]
    return ["score", *scores], rows


def evaluation_page(results: Mapping[str, Any], shown: Mapping[str, tuple[Tensor, Tensor]], body: BodyModel) -> str:
    """The page.

    Args:
        results: the content of results.json.
        shown: from `shown_poses`.
        body: what the poses are drawn on.
    """
    header, rows = score_table(results)
    blocks: list[Block] = [Note(warning, "warning") for warning in results["warnings"]]
    blocks += _in_short(results["scores"])
    blocks += [
        Note(
            f"{results['poses']:,} poses of {counted(results['clips'], 'clip')} of {results['measured_on']}, "
            f"on the body {results['body']} ({results['vertices']:,} vertices). Seed {results['seed']}; "
            f"{results['samples']:,} poses drawn from each candidate."
        )
    ]
    blocks += [Heading("Scores"), Table(header, rows), *_intervals(results)]
    blocks += [Heading("What is compared"), Table(("name", "what it is"), list(results["candidates"].items()))]
    blocks += [Heading("How many poses come back how well"), *_curves(results)]
    for name, caption in _SHOWN.items():
        blocks += [Heading(f"Reconstructions: {name}"), Figure(_pairs(*shown[name], body), caption)]
    drawn = pose_sheet(shown["drawn"][0], body)
    blocks += [Heading("Poses drawn from the prior"), Figure(drawn, "Poses decoded from random codes.")]
    blocks += [Heading("Joint by joint"), *_joints(results)]
    blocks += [Heading("What the names mean"), Table(("score", "meaning"), list(results["definitions"].items()))]
    blocks += credits([body.name])
    footer = f"Made by vitruve {vitruve.__version__}: vitruve prior evaluate"
    return page(f"Evaluation of a pose prior: {results['prior']}", blocks, footer)


def _in_short(scores: Mapping[str, Mapping[str, Any]]) -> list[Block]:
    """The two scores that say most, beside those of the others; what all names mean stands at the end of the page."""
    back = {name: values.get("mpve_mm") for name, values in scores.items()}
    distance = next((name for name in scores["prior"] if name.startswith("fid/")), "")
    drawn = {name: values.get(distance) for name, values in scores.items()}
    said = []
    for words, unit, of in (
        ("Poses that the prior encodes and decodes come back with the skin", " mm away on average", back),
        ("Poses drawn from it differ from held-out ones by", f" ({distance}, less is nearer)", drawn),
    ):
        own, others = of["prior"], [f"{name} {_text(value)}" for name, value in of.items() if value and name != "prior"]
        if own is not None:
            said.append(f"{words} {_text(own)}{unit}" + (f"; the others: {', '.join(others)}." if others else "."))
    if not said:
        return []
    return [Note("\n".join([*said, "What the names in the table mean stands below it and at the end."]))]


def _intervals(results: Mapping[str, Any]) -> list[Block]:
    found = results["intervals"]["prior"]
    if not found:
        return [
            Note(f"No intervals of confidence: {counted(results['clips'], 'clip')} measured on, and it takes five.")
        ]
    names = [name for name in results["definitions"] if name in found]
    others = list(results["intervals"])
    rows = [[name, *(_range(results["intervals"][other].get(name)) for other in others)] for name in names]
    text = "95 % of the means of as many clips, drawn from these again and again."
    return [Heading("Intervals of confidence"), Note(text), Table(["score", *others], rows)]


def _curves(results: Mapping[str, Any]) -> list[Block]:
    series = {}
    for name, values in results["mpve_mm_quantiles"].items():
        series[name] = ([100 * i / (len(values) - 1) for i in range(len(values))], values)
    plot = line_plot(series, "poses, % (the best first)", "mean error of the skin, mm", log=True)
    nats = {f"{i:02d}": value for i, value in enumerate(sorted(results["kl_nats_by_dimension"], reverse=True))}
    information = line_plot(
        {"nats": ([float(i) for i in range(1, len(nats) + 1)], list(nats.values()))},
        "latent dimension, the fullest first",
        "divergence, nats",
        from_zero=True,
    )
    said = "How far each dimension of the code is from the standard normal distribution: near 0 it says nothing."
    return [
        Drawing(plot, "The mean error of the skin that so many poses stay below."),
        Drawing(information, said),
    ]


def _joints(results: Mapping[str, Any]) -> list[Block]:
    table = results["per_joint"]
    others = list(table)

    def each(unit: str, key: str) -> Table:
        rows = [[joint, *(table[other][joint][key] for other in others)] for joint in table["prior"]]
        return Table([f"joint ({unit})", *others], rows)

    moved = [joint for joint in table["prior"] if joint != "pelvis"]
    plots = [
        Drawing(bars({joint: table["prior"][joint]["position_mm"] for joint in moved}, "mm", across=400), "Position."),
        Drawing(bars({joint: table["prior"][joint]["angle_deg"] for joint in moved}, "deg", across=400), "Rotation."),
    ]
    note = "Mean distance of each joint, the root of both poses at one place, and mean angle of its rotation."
    return [Note(note), Columns(plots), each("mm", "position_mm"), each("deg", "angle_deg")]


def _pairs(wanted: Tensor, found: Tensor, body: BodyModel) -> Image.Image:
    """A row of poses above a row of what became of them."""
    return pose_sheet(torch.cat([wanted, found]), body, columns=len(wanted))


def _range(values: list[float] | None) -> str:
    return "-" if values is None else f"{_text(values[0])} to {_text(values[1])}"


def _text(value: float | None) -> str:
    if value is None:
        return "-"
    if value == 0 or isinstance(value, int):
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:#.4g}"
