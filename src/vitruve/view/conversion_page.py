"""The page about conversions: figures, warnings, files worst first, where on the body the error is, and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import vitruve
from vitruve.bodies import BodyModel
from vitruve.errors import VitruveError
from vitruve.motion import Motion
from vitruve.view.page import Block, Figure, Heading, Note, Table, page
from vitruve.view.pictures import picture, row, stack
from vitruve.view.viewpoint import direction, fit_viewpoint

Entry = Mapping[str, Any]

# A page must stay readable: so many files, failures and warnings are shown.
_MOST_FILES, _MOST_FAILURES, _MOST_WARNINGS = 100, 50, 30
_SOURCE_COLOUR, _RESULT_COLOUR = (0.35, 0.55, 0.85), (0.95, 0.55, 0.25)
_INK, _SOFT, _BAR, _PAPER = (60, 66, 76), (130, 138, 150), (90, 140, 215), (246, 247, 249)
_CELL = (300, 420)


def conversion_page(
    results: Mapping[str, Any],
    entries: Sequence[Entry],
    failed: Sequence[Entry] = (),
    histogram: tuple[float, Sequence[float]] | None = None,
    picture: tuple[Image.Image, str] | None = None,
) -> str:
    """The page as text.

    Args:
        results: the content of `results.json`.
        entries: ledger lines of the files that are done, worst first.
        failed: lines of those that failed.
        histogram: width of a bin of mean error in mm, and how many frames are in each bin from 0.
        picture: from `overlay`, with its caption.
    """
    title = Path(entries[0]["output"]).name if len(entries) == 1 else f"{len(entries):,} files"
    blocks: list[Block] = [_verdict(entries, failed)]
    if entries:
        bodies = sorted({(entry["source"] or "a foreign skeleton or meshes", entry["target"]) for entry in entries})
        blocks.append(Note("\n".join(f"From {source} to {target}." for source, target in bodies[:12])))
    if picture:
        blocks.append(Figure(*picture))
    blocks += [Heading("Figures"), Table(("what", "value"), figures(results))]
    if histogram and sum(histogram[1]):
        caption = "How many frames have which mean distance to the source's surface."
        blocks.append(Figure(_bars(*histogram), caption))
    groups = {name: value for name, value in results["error_mm"]["groups"].items() if value is not None}
    if groups:
        ordered = sorted(groups.items(), key=lambda item: -item[1])
        rows = [(name.replace("_", " "), f"{value:.2f}") for name, value in ordered]
        blocks += [Heading("Mean error by part of the body"), Table(("part", "mm"), rows)]
    blocks += [*_warnings(entries), *_files(entries), *_failures(failed), *_licences(entries)]
    return page(f"Conversion: {title}", blocks, footer=f"Made by vitruve {vitruve.__version__}: vitruve convert")


def figures(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a summary shows, as (what, value)."""
    error, this_run = results["error_mm"], results.get("this_run", {})
    rows = [
        ("motion", f"{results['frames']:,} frames, {_duration(results['motion_hours'])}"),
        ("mean error", _mm(error["mean"])),
        ("95th percentile", _mm(error["p95"])),
        ("largest error", _mm(error["max"])),
        ("jitter added", f"{_mm(results['jitter_mm'])} a frame squared"),
        ("of it the surface map", _mm(results["map_residual_mm"])),
        ("rate of a process", f"{results['frames_per_second']:,.0f} frames/s" if results["frames_per_second"] else "-"),
    ]
    if this_run.get("frames_per_second"):
        rate = f"{this_run['frames_per_second']:,.0f} frames/s, {this_run['seconds']:.1f} s from start to end"
        rows.append(("this run", rate))
    if results["failed_frames"]:
        rows.append(("frames not fitted", f"{results['failed_frames']:,}, masked"))
    if results["masked_frames"]:
        rows.append(("frames without data", f"{results['masked_frames']:,}, masked as in the input"))
    if results["untrusted"]:
        rows.append(("not to be trusted", f"{results['untrusted']:,} files"))
    shares = [(stage, seconds) for stage, seconds in results["stages"].items() if seconds > 0.0005]
    rows.append(("where the time went", ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in shares)))
    return rows


def overlay(entry: Entry, folder: Path, fps: float | None = None) -> tuple[Image.Image, str] | None:
    """Source and result side by side and in one place, for the best, the median and the worst frame of a file.

    Args:
        entry: its ledger line.
        folder: the folder that the output's name counts from.
        fps: what the file was read with.

    Returns:
        The picture and its caption; None where the two cannot both be posed, as for a foreign skeleton.
    """
    if entry["facts"]["kind"] != "motion" or not entry.get("shown_frames"):
        return None
    try:
        source = vitruve.load_motion(entry["input"], fps=fps)
        result = vitruve.load_motion(folder / entry["output"], fps=source.fps)
        bodies = tuple(vitruve.load_body(entry[key], folder=entry["folder"]) for key in ("source", "target"))
        rows = overlay_rows((source, result), bodies, entry["shown_frames"])
    except (VitruveError, OSError):  # the input has gone since, or the output's format keeps no body
        return None
    caption = (
        f"{Path(entry['input']).name}: the source (blue), the result (orange), and both in one place, where the colour "
        "that lies outside is seen."
    )
    return stack(rows), caption


def overlay_rows(
    motions: Sequence[Motion], bodies: Sequence[BodyModel], frames: Mapping[str, int]
) -> list[Image.Image]:
    """A row for each frame, named by a word: the source, the result, and both in one place."""
    rows = []
    for word, frame in frames.items():
        meshes = [motion[frame : frame + 1].vertices(body)[0].numpy() for motion, body in zip(motions, bodies)]
        facing = motions[0].rotations[frame, 0].numpy() @ (0.0, 0.0, 1.0)
        # An eye that looks the body in the face, a little from its left.
        towards = direction(float(np.degrees(np.arctan2(facing[0], -facing[1]))) + 30.0)
        viewpoint = fit_viewpoint(np.concatenate(meshes), towards, _CELL)
        faces = [body.faces.numpy() for body in bodies]
        tints = [np.broadcast_to(tint, mesh.shape) for tint, mesh in zip((_SOURCE_COLOUR, _RESULT_COLOUR), meshes)]
        cells = [picture(m, f, viewpoint, _CELL, tint) for m, f, tint in zip(meshes, faces, tints)]
        both = np.concatenate([faces[0], faces[1] + len(meshes[0])])
        cells.append(picture(np.concatenate(meshes), both, viewpoint, _CELL, np.concatenate(tints)))
        rows.append(row(cells, (f"{word}: frame {frame}, source", "result", "both")))
    return rows


def _bars(bin_mm: float, counts: Sequence[float], size: tuple[int, int] = (960, 260)) -> Image.Image:
    """A histogram of 20 to 50 bars, from 0 to the last bin with frames."""
    together = -(-len(counts) // 50)
    bars = [sum(counts[i : i + together]) for i in range(0, len(counts), together)]
    bars += [0.0] * (20 - len(bars))
    image = Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(13)
    left, right, top, bottom = 16, size[0] - 16, 24, size[1] - 40
    width, most = (right - left) / len(bars), max(bars)
    for i, count in enumerate(bars):
        x = left + i * width
        if count:
            tall = max(1.0, (bottom - top) * count / most)
            draw.rectangle((x + 1, bottom - tall, x + width - 1, bottom), _BAR)
        if i % 5 == 0:
            draw.text((x, bottom + 5), f"{i * together * bin_mm:g}", _INK, font)
    draw.line((left, bottom, right, bottom), _SOFT)
    draw.text((right, bottom + 22), "mean error of a frame, mm", _INK, font, anchor="ra")
    draw.text((left, 4), f"frames; the highest bar is {most:,.0f}", _SOFT, font)
    return image


def _verdict(entries: Sequence[Entry], failed: Sequence[Entry]) -> Note:
    untrusted = sum(not entry["trusted"] for entry in entries)
    problems = []
    if untrusted:
        problems.append(f"{untrusted:,} of {len(entries):,} results are not to be trusted without a look.")
    if failed:
        problems.append(f"{len(failed):,} files could not be converted.")
    if problems:
        return Note("\n".join(problems), "warning")
    if not entries:
        return Note("There was nothing to convert in this part of the work.")
    return Note(f"All of {len(entries):,} files were converted, and every frame was fitted within the bounds.", "good")


def _warnings(entries: Sequence[Entry]) -> list[Block]:
    said: dict[str, list[str]] = {}
    for entry in entries:
        for warning in entry["warnings"]:
            said.setdefault(warning, []).append(_shown(entry))
    if not said:
        return []
    notes: list[Block] = [Heading("Warnings")]
    for warning, outputs in list(said.items())[:_MOST_WARNINGS]:
        more = f" and {len(outputs) - 1:,} more" if len(outputs) > 1 else ""
        notes.append(Note(f"{outputs[0]}{more}: {warning}", "warning"))
    if len(said) > _MOST_WARNINGS:
        notes.append(Note(f"And {len(said) - _MOST_WARNINGS:,} more warnings; all stand in the ledger."))
    return notes


def _files(entries: Sequence[Entry]) -> list[Block]:
    if not entries:
        return []
    header = ("file", "frames", "mean mm", "p95 mm", "max mm", "jitter mm", "worst frames", "")
    rows = []
    for entry in entries[:_MOST_FILES]:
        error = entry["error_mm"]
        worst = ", ".join(str(frame) for frame in entry["worst_frames"][:3])
        numbers = (f"{value:.2f}" for value in (error["mean"], error["p95"], error["max"], entry["jitter_mm"]))
        rows.append((_shown(entry), entry["frames"], *numbers, worst, "" if entry["trusted"] else "not trusted"))
    more = f", the {_MOST_FILES} worst of {len(entries):,}" if len(entries) > _MOST_FILES else ""
    return [Heading(f"Files, worst first{more}"), Table(header, rows)]


def _failures(failed: Sequence[Entry]) -> list[Block]:
    if not failed:
        return []
    rows = [(entry["input"], entry["what"], entry["where"], entry["do"]) for entry in failed[:_MOST_FAILURES]]
    more = f", {_MOST_FAILURES} of {len(failed):,}: all stand in failures.csv" if len(failed) > _MOST_FAILURES else ""
    return [Heading(f"Not converted{more}"), Table(("file", "what", "where", "what to do"), rows)]


def _licences(entries: Sequence[Entry]) -> list[Block]:
    lines = []
    for name in sorted(
        {name for entry in entries for key in ("source", "target") for name in entry[key].split("+") if name}
    ):
        open_body = name.startswith("open-")
        said = "ships with Vitruve, CC0" if open_body else "licensed: see the terms that the file came with"
        lines.append(f"Body {name}: {said}.")
    lines.append("The motions keep the licence of their files.")
    return [Heading("Licences"), Note("\n".join(lines))] if entries else []


def _shown(entry: Entry) -> str:
    """The output's name; a single file stands beside the folder that the name counts from."""
    return entry["output"].removeprefix("../")


def _mm(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} mm"


def _duration(hours: float) -> str:
    if hours >= 1:
        return f"{hours:,.1f} hours"
    return f"{60 * hours:.1f} minutes" if hours >= 1 / 60 else f"{3600 * hours:.1f} s"
