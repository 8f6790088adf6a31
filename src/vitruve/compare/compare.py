"""Compares two motions: distances of joints and surfaces, and figures of each motion.

comparison = compare_motions(motion, converted, "open-smplh", "open-smplx")
print(comparison.mean_mm, comparison.figures["joint_mm"]["parts"])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.compare import figures as of
from vitruve.compare.common_part import Common, common_part, parse_shift, same_rate
from vitruve.compare.matching import Named, Shared, check_shared, name_joints, shared_joints
from vitruve.compare.notes import notes_about, warnings_about
from vitruve.compare.placing import ALIGNMENTS, LEAST_POINTS, place
from vitruve.compare.shift import ShiftEstimate, estimate_shift
from vitruve.compare.surfaces import SurfaceErrors, anchors, measure_surfaces, some_vertices
from vitruve.correspondence.surface_pair import SurfacePair, pair_surfaces
from vitruve.errors import BadData, UsageError, nearest
from vitruve.formats.performers import Loaded, load_performers
from vitruve.metrics import Placement, acceleration, drift, jitter, mpjpe, position_errors
from vitruve.motion import Keypoints, Motion
from vitruve.motion.performer import Performer

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Comparison:
    """The result of `compare_motions`.

    Attributes:
        first, second: the two performers, cut to their common part, at one frame rate.
        starts: the first common frame of each clip at that rate.
        placement: aligns the second with the first.
        figures: by name and unit, as in results.json; None if unknown.
        per_frame: [frames] by name and unit; NaN in excluded frames.
        per_vertex: [vertices] mean distance over the frames in millimetres, on the second side's topology; None without
            surfaces.
        warnings: reasons why the figures may be misleading, one sentence each.
        notes: how the two were matched, one sentence each.
    """

    first: Performer
    second: Performer
    starts: tuple[int, int]
    placement: Placement
    figures: Mapping[str, Any]
    per_frame: Mapping[str, Float[Tensor, "frames"]]
    per_vertex: Float[Tensor, "vertices"] | None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        what = "surfaces" if self.per_vertex is not None else "joints"
        mean, p95, largest = (
            "unknown" if (value := self.figures[self.measure][key]) is None else f"{value:.2f} mm"
            for key in ("mean", "p95", "max")
        )
        warnings = "".join(f"; warning: {text}" for text in self.warnings)
        return (
            f"Comparison({self.first.name} and {self.second.name}: {what} {mean} apart on average, "
            f"95 % below {p95}, largest {largest}{warnings})"
        )

    @property
    def measure(self) -> str:
        """The main figure: "vertex_mm" if surfaces were compared, else "joint_mm"."""
        return "vertex_mm" if self.per_vertex is not None else "joint_mm"

    @property
    def mean_mm(self) -> float:
        """The mean of `measure`."""
        return self.figures[self.measure]["mean"]

    @property
    def frames_shown(self) -> dict[str, int]:
        """The worst, the median and the best frame of the common part, by `measure`."""
        errors = self.per_frame[self.measure]
        order = errors.nan_to_num(-1.0).argsort(descending=True)[: int((~errors.isnan()).sum())].tolist()
        return {"worst": order[0], "median": order[len(order) // 2], "best": order[-1]}


def compare_motions(
    first: Loaded,
    second: Loaded,
    body_first: str | BodyModel | None = None,
    body_second: str | BodyModel | None = None,
    *,
    align: str = "none",
    shift: int | str = 0,
    mapping: str | None = None,
    fps: float | None = None,
    floor: float = 0.0,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compare two motions; the first is the reference.

    Args:
        first, second: motions, meshes (`read_mesh_sequence`), keypoints in 3D, or performers.
        body_first, body_second: their bodies, if the motions do not name them.
        align: how the second is aligned with the first, a key of ALIGNMENTS.
        shift: frame i of the first corresponds to frame i + shift of the second; "auto" estimates it.
        mapping: for skeletons with other joint names, as in `vitruve convert --mapping`.
        fps: frames per second of meshes; by default that of the motion.
        floor: height of the floor in metres.
        folder: of licensed bodies, searched before the usual places.
        progress: called with the finished frames and their total while surfaces are compared.
    """
    if align not in ALIGNMENTS:
        raise UsageError(f"there is no alignment '{align}'", where="align", fix=nearest(align, ALIGNMENTS))
    offset = parse_shift(shift)
    a, b, rate_notes = same_rate(
        *load_performers(
            (first, second),
            (body_first, body_second),
            names=_names(first, second),
            source_fps=fps,
            folder=folder,
        )
    )
    matched = _match(a, b, mapping, offset)
    points, root = matched.points
    if align not in ("none", "root") and points[0].shape[1] < LEAST_POINTS:
        raise UsageError(
            f"the alignment '{align}' needs three shared joints",
            where=f"shared: {', '.join(matched.shared.names)}",
            fix="align none or root, or give a mapping",
        )
    placement = place(align, *points, root)
    surface = None if matched.pair is None else measure_surfaces(matched.pair, placement, matched.known, progress)
    return _assemble(matched, placement, surface, align, floor, rate_notes)


@dataclass(frozen=True, eq=False)
class _Matched:
    """Two sides with their matching joints and surfaces, and the points for the alignment with the root's index."""

    common: Common
    named: tuple[Named, Named]
    shared: Shared
    pair: SurfacePair | None
    known: Bool[Tensor, "frames"]
    points: tuple[tuple[Tensor, Tensor], int | None]


def _names(first: Loaded, second: Loaded) -> list[str]:
    """The names of the files, made different if they are equal."""
    words, names = ("first", "second"), []
    for source, word in zip((first, second), words):
        if isinstance(source, Performer):
            names.append(source.name)
        elif isinstance(source, Motion | Keypoints):
            names.append(Path(source.source.file).name or word)
        else:
            names.append(source.files[0].parent.name if source.files else "meshes")
    return [f"{name} ({word})" for name, word in zip(names, words)] if names[0] == names[1] else names


def _match(a: Performer, b: Performer, mapping: str | None, shift: int | None) -> _Matched:
    common = common_part(a, b, shift, _estimate(a, b, mapping))
    a, b = common.first, common.second
    named = name_joints(a, b, mapping)
    known = a.valid & b.valid
    if not known.any():
        raise BadData(
            "no frame has data on both sides",
            where=f"{len(known)} common frames of {a.name} and {b.name}",
            fix="check both: vitruve info FILE",
        )
    shared = shared_joints(*named, roots=(next(iter(a.joint_names), ""), next(iter(b.joint_names), "")))
    check_shared(shared, a, b)
    excluded = ~known[:, None, None]
    ours, theirs = (points.masked_fill(excluded, torch.nan) for points in (shared.first, shared.second))
    shared = replace(shared, first=ours, second=theirs)
    pair = pair_surfaces(a, b) if a.has_surface and b.has_surface else None
    if shared.names:
        return _Matched(common, named, shared, pair, known, ((ours, theirs), shared.root))
    if pair is None:
        raise UsageError(
            "the two have nothing in common",
            where=f"{a.name} and {b.name}: a plain joint tree, and a surface without joints",
            fix="convert the joint tree to a body first: vitruve convert FILE --to open-smplx",
        )
    ours, theirs = (points.masked_fill(excluded, torch.nan) for points in anchors(pair))
    return _Matched(common, named, shared, pair, known, ((ours, theirs), None))


def _estimate(a: Performer, b: Performer, mapping: str | None) -> ShiftEstimate | None:
    """The estimated shift, from joints or from vertices of the same topology."""
    shared = shared_joints(*name_joints(a, b, mapping))
    if len(shared.names) >= LEAST_POINTS:
        return estimate_shift(shared.first, shared.second)
    if not (a.has_surface and b.has_surface):
        return None
    ours, theirs = some_vertices(a), some_vertices(b)
    return estimate_shift(ours, theirs) if ours.shape[1] == theirs.shape[1] else None


def _assemble(
    matched: _Matched,
    placement: Placement,
    surface: SurfaceErrors | None,
    align: str,
    floor: float,
    notes: tuple[str, ...],
) -> Comparison:
    """All figures of two matched sides."""
    common, shared = matched.common, matched.shared
    a, b = common.first, common.second
    turned = of.rotation_errors(a, b, shared, placement.rotation, matched.known)
    paths, root = _paths(matched, placement if align in ("clip", "first-frame") else None), matched.points[1]
    figures: dict[str, Any] = {
        "alignment": align,
        "alignment_means": ALIGNMENTS[align],
        **_time_figures(common, matched.known),
        **_apart_figures(matched, placement, turned),
        "vertex_mm": None if surface is None else of.surface_figures(surface.meter),
        "every_vertex_mm": None if surface is None else of.surface_figures(surface.every),
        "surface_map": None if matched.pair is None else of.map_figures(matched.pair),
        "way": of.way_figures(*paths, of="middle of the surface" if root is None else shared.names[root]),
        "shape": of.shape_figures(a, b),
        **_alone_figures(matched, surface, floor),
        "joints_shared": len(shared.names),
        "joints_only_first": list(shared.only_first),
        "joints_only_second": list(shared.only_second),
        "floor_m": floor,
    }
    per_frame = {
        "joint_mm": 1000 * position_errors(shared.first, placement.apply(shared.second)).nanmean(1),
        "rotation_deg": torch.stack(list(turned.values()), 1).nanmean(1) if turned else None,
        "vertex_mm": None if surface is None else 1000 * surface.every.per_frame,
        "vertex_max_mm": None if surface is None else 1000 * surface.every.per_frame_max,
        "drift_mm": 1000 * drift(*paths),
    }
    comparison = Comparison(
        first=a,
        second=b,
        starts=common.starts,
        placement=placement,
        figures=figures,
        per_frame={name: values for name, values in per_frame.items() if values is not None},
        per_vertex=None if surface is None else 1000 * surface.every.per_vertex,
        warnings=warnings_about(figures, a, b, common.estimate),
        notes=(*notes, *shared.notes, *notes_about(figures, a, b)),
    )
    figures["frames_shown"] = {
        word: {"frame": frame, "time_s": (common.starts[0] + frame) / a.fps}
        for word, frame in comparison.frames_shown.items()
    }
    figures |= {"measure": comparison.measure, "warnings": list(comparison.warnings), "notes": list(comparison.notes)}
    return comparison


def _paths(matched: _Matched, placement: Placement | None) -> tuple[Tensor, Tensor]:
    """The paths [frames, 3] of the two roots. A placement per frame would hide their drift."""
    (first, second), root = matched.points
    moved = second if placement is None else placement.apply(second)
    if root is None:
        return first.nanmean(1), moved.nanmean(1)
    return first[:, root], moved[:, root]


def _apart_figures(matched: _Matched, placement: Placement, turned: Mapping[str, Tensor]) -> dict[str, Any]:
    """Differences of joints, rotations and bones, and the jitter of the distances."""
    shared, ((first, second), root) = matched.shared, matched.points
    away, fps = first - placement.apply(second), matched.common.first.fps
    rotations = None
    if turned:
        joints = {name: of.number(values.nanmean()) for name, values in turned.items()}
        rotations = {**of.spread(torch.stack(list(turned.values()), 1)), "joints": joints}
    return {
        "joint_mm": of.joint_figures(away.norm(dim=-1), shared.names) if shared.names else None,
        "joint_mm_by_alignment": {
            how: of.number(mpjpe(first, place(how, first, second, root).apply(second)), 1000)
            for how in ALIGNMENTS
            if shared.names and (how in ("none", "root") or len(shared.names) >= LEAST_POINTS)
        },
        "rotation_deg": rotations,
        "bone_length_mm": of.bone_lengths(shared, matched.common.first),
        "difference": {
            "jitter_m_s3": of.number(jitter(away, fps)),
            "acceleration_m_s2": of.number(acceleration(away, fps)),
        },
    }


def _time_figures(common: Common, known: Tensor) -> dict[str, Any]:
    estimate = common.estimate
    return {
        "fps": common.first.fps,
        "frames": len(known),
        "frames_compared": int(known.sum()),
        "frames_masked_first": int((~common.first.valid).sum()),
        "frames_masked_second": int((~common.second.valid).sum()),
        "frames_only_first": common.left_out[0],
        "frames_only_second": common.left_out[1],
        "shift_frames": common.shift,
        "shift_estimate_frames": None if estimate is None else estimate.frames,
    }


def _alone_figures(matched: _Matched, surface: SurfaceErrors | None, floor: float) -> dict[str, Any]:
    """Figures of each motion, and how the second slides during the foot contacts of the first."""
    sides = (matched.common.first, matched.common.second)
    if surface is not None:
        heights = surface.lowest
    else:
        heights = tuple(of.lowest_points(side, named.points) for side, named in zip(sides, matched.named))
    lowest = [height.masked_fill(~matched.known, torch.nan) for height in heights]
    feet = [named.feet(side) for side, named in zip(sides, matched.named)]
    contacts = [of.contacts_of(*each) for each in zip(sides, feet, lowest)]
    first, second = (
        {
            "name": side.name,
            "kind": side.kind,
            "body": "" if side.body is None else side.body.name,
            **of.alone(side, points, own, low, floor, standing),
        }
        for side, points, own, low, standing in zip(sides, matched.points[0], feet, lowest, contacts)
    )
    second["foot_sliding_where_first_stands_mm_s"] = (
        of.sliding(sides[1], feet[1], contacts[0], matched.known) if list(feet[0]) == list(feet[1]) else None
    )
    return {"first": first, "second": second}
