"""A comparison as rows of text and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from vitruve.compare.compare import Comparison

Row = tuple[str, str]


def summary(figures: Mapping[str, Any]) -> list[Row]:
    """The most important figures, as (name, value)."""
    by = figures["joint_mm_by_alignment"]
    rows = [
        ("frames compared", _frames(figures)),
        ("alignment", f"{figures['alignment']}: {figures['alignment_means']}"),
    ]
    if figures["vertex_mm"]:
        rows += [
            ("surfaces apart", _spread(figures["vertex_mm"], "mm")),
            ("in every vertex and frame", _spread(figures["every_vertex_mm"], "mm")),
        ]
    if figures["joint_mm"]:
        rows += [
            ("joints apart", _spread(figures["joint_mm"], "mm")),
            ("joints, roots together", _value(by.get("root"), "mm")),
            ("joints, one rigid transform", _value(by.get("clip"), "mm")),
            ("joints, Procrustes in each frame", _value(by.get("procrustes"), "mm")),
            ("length of the bones", _value(figures["bone_length_mm"], "mm")),
        ]
    if figures["rotation_deg"]:
        rows.append(("rotations apart", _spread(figures["rotation_deg"], "degrees")))
    way = figures["way"]
    ends, most = _value(way["drift_end_mm"], "mm"), _value(way["drift_max_mm"], "mm")
    rows.append((f"drift of the {way['of']}", f"{ends} at the end, {most} at most"))
    if way["trajectory_error_percent"] is not None:
        off = f"{way['trajectory_error_percent']:.2f} % off, after one rigid transform"
        rows.append((f"way of the {way['of']}", off))
    shape = figures["shape"]
    if shape["height_difference_mm"] is not None:
        rows.append(("height of the second", f"{shape['height_difference_mm']:+.1f} mm"))
    if shape["betas_max_difference"] is not None:
        rows.append(("betas differ by up to", f"{shape['betas_max_difference']:.3g}"))
    return rows


def sides_said(figures: Mapping[str, Any]) -> list[str]:
    """Both names with their bodies: "walk.npz (open-smplh-neutral)"."""
    return [f"{side['name']} ({side['body'] or side['kind']})" for side in (figures["first"], figures["second"])]


def side_rows(figures: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Figures of each motion and of their difference, as (name, first, second, difference)."""
    first, second, difference = figures["first"], figures["second"], figures["difference"]
    rows = [
        ("height of the body, m", _value(first["height_m"]), _value(second["height_m"]), ""),
        ("jitter, m/s³", *(_value(part["jitter_m_s3"]) for part in (first, second, difference))),
        ("acceleration, m/s²", *(_value(part["acceleration_m_s2"]) for part in (first, second, difference))),
        ("feet slide, mm/s", *(_value(part["foot_sliding_mm_s"]) for part in (first, second)), ""),
    ]
    sliding = second["foot_sliding_where_first_stands_mm_s"]
    if sliding is not None:
        rows.append(("feet slide while the first's stand, mm/s", rows[-1][1], _value(sliding), ""))
    for key, what in (
        ("lowest_mm", "lowest point, mm"),
        ("penetration_max_mm", "deepest below the floor, mm"),
        ("penetration_percent", "frames below the floor, %"),
    ):
        rows.append((what, _value(first["floor"][key]), _value(second["floor"][key]), ""))
    return rows


def part_rows(figures: Mapping[str, Any]) -> list[tuple[str, float | None, float | None]]:
    """(part of the body, mean of the vertices, mean of the joints) in millimetres, the largest first."""
    vertices = (figures["vertex_mm"] or {}).get("parts", {})
    joints = (figures["joint_mm"] or {}).get("parts", {})
    rows = [(part, vertices.get(part), joints.get(part)) for part in dict.fromkeys([*vertices, *joints])]
    return sorted(rows, key=lambda row: -max(value or 0.0 for value in row[1:]))


def joint_rows(figures: Mapping[str, Any]) -> list[tuple[str, float | None, float | None]]:
    """(joint, millimetres, degrees), in the order of the first skeleton."""
    places = (figures["joint_mm"] or {}).get("joints", {})
    turns = (figures["rotation_deg"] or {}).get("joints", {})
    return [(name, value, turns.get(name)) for name, value in places.items()]


def frames_csv(comparison: Comparison) -> str:
    """A line per frame of the common part: its number, its time in both clips, and all figures per frame."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = comparison.per_frame
    writer.writerow(["frame", "time_first_s", "time_second_s", *columns])
    fps, starts = comparison.first.fps, comparison.starts
    values = [column.tolist() for column in columns.values()]
    for frame, row in enumerate(zip(*values)):
        times = [f"{(start + frame) / fps:.6f}" for start in starts]
        # Excluded frames have empty cells.
        writer.writerow([frame, *times, *("" if value != value else f"{value:.6g}" for value in row)])
    return text.getvalue()


def _frames(figures: Mapping[str, Any]) -> str:
    count, fps = figures["frames_compared"], figures["fps"]
    text = f"{count:,} at {fps:g} fps"
    return text + (f", the second {figures['shift_frames']:+d} frames on" if figures["shift_frames"] else "")


def _spread(value: Mapping[str, Any], unit: str) -> str:
    if value["mean"] is None:
        return "-"
    return f"{value['mean']:.2f} {unit} on average, 95 % below {value['p95']:.2f}, at most {value['max']:.2f}"


def _value(value: float | None, unit: str = "") -> str:
    return "-" if value is None else f"{value:.2f} {unit}".rstrip()
