"""The figures of a comparison: plain numbers by name and unit, None if unknown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vitruve.compare.matching import Shared, parts_of
from vitruve.correspondence.surface_pair import SurfacePair
from vitruve.metrics import SurfaceMeter, acceleration, angle_errors, drift, jitter, penetration, trajectory_error
from vitruve.motion import Motion, foot_contacts, foot_sliding
from vitruve.motion.performer import Performer
from vitruve.motion.world import lowest_vertices

# The ground for foot contacts is at this quantile of the lowest points, as in `put_on_ground`.
_GROUND_QUANTILE = 0.1
# Rotations of two trees are comparable if their bones at rest are parallel to this cosine.
_SAME_DIRECTION = 0.996


def number(value: float | Tensor, factor: float = 1.0) -> float | None:
    """A plain number; None if it is not finite."""
    value = float(value) * factor
    return value if math.isfinite(value) else None


def joint_figures(errors: Tensor, names: tuple[str, ...]) -> dict[str, Any]:
    """Mean, percentile and maximum of distances [frames, joints] in metres, by part and by joint, in millimetres."""
    by_joint = errors.nanmean(0)
    return {
        **spread(errors, 1000),
        "parts": {part: number(errors[:, places].nanmean(), 1000) for part, places in parts_of(names).items()},
        "joints": {name: number(value, 1000) for name, value in zip(names, by_joint)},
    }


def spread(values: Tensor, factor: float = 1.0) -> dict[str, float | None]:
    """Mean, 95th percentile and maximum without NaN."""
    flat = values[~values.isnan()]
    if not len(flat):
        return {"mean": None, "p95": None, "max": None}
    p95 = flat.kthvalue(max(1, round(0.95 * len(flat)))).values
    return {"mean": number(flat.mean(), factor), "p95": number(p95, factor), "max": number(flat.max(), factor)}


def surface_figures(meter: SurfaceMeter) -> dict[str, Any]:
    """Mean, percentile and maximum over vertices and frames, and by part, in millimetres; and their numbers."""
    return {
        "mean": number(meter.mean, 1000),
        "p95": number(meter.quantile(0.95), 1000),
        "max": number(meter.largest, 1000),
        "parts": {part: number(values.nanmean(), 1000) for part, values in meter.per_part.items()},
        "vertices": int((~meter.per_vertex.isnan()).sum()),
        "frames": int((~meter.per_frame.isnan()).sum()),
    }


def map_figures(pair: SurfacePair) -> dict[str, Any]:
    """How the surfaces were matched, and the error of the map itself, which is not an error of a motion."""
    residual = {} if pair.map is None else {key: number(value) for key, value in pair.map.residual_mm.items()}
    return {
        "method": "vertex by vertex" if pair.map is None or pair.map.method == "identity" else pair.map.method,
        "residual_mm": residual or {"mean": 0.0, "p95": 0.0, "max": 0.0},
        "covered_percent": number(pair.valid.double().mean(), 100),
    }


def rotation_errors(
    first: Performer, second: Performer, shared: Shared, turned: Tensor, known: Tensor
) -> dict[str, Tensor]:
    """[frames] degrees between the parent-relative rotations of each shared joint.

    Joints with different parents are omitted, and all joints if the rest poses differ.

    Args:
        turned: [3, 3] or [frames, 3, 3] rotation of the second motion's root by the alignment.
        known: [frames] False for excluded frames.
    """
    if first.motion is None or second.motion is None or not _rest_alike(first, second):
        return {}
    out = {}
    for name, (i, j) in zip(shared.names, shared.joints):
        if i < 0 or j < 0 or _parent(first, i) != _parent(second, j):
            continue
        ours, theirs = first.motion.rotations[:, i].double(), second.motion.rotations[:, j].double()
        if _parent(first, i) == "":
            theirs = turned @ theirs
        # Frames without data may have any values.
        ours, theirs = (torch.where(known[:, None, None], turns, torch.eye(3).double()) for turns in (ours, theirs))
        out[name] = angle_errors(ours, theirs).masked_fill(~known, torch.nan)
    return out


def bone_lengths(shared: Shared, tree: Performer) -> float | None:
    """Mean difference of the lengths of shared bones, millimetres: shape, not movement."""
    skeleton = tree.skeleton
    if skeleton is None or len(shared.names) < 2:
        return None
    place = {joint: i for i, (joint, _) in enumerate(shared.joints)}
    bones = [
        (i, place[skeleton.parents[joint]])
        for joint, i in place.items()
        if joint >= 0 and skeleton.parents and skeleton.parents[joint] in place
    ]
    if not bones:
        return None
    ends, starts = (list(column) for column in zip(*bones))
    first, second = (
        (points[:, ends] - points[:, starts]).norm(dim=-1).nanmedian(0).values
        for points in (shared.first, shared.second)
    )
    return number((first - second).abs().nanmean(), 1000)


def shape_figures(first: Performer, second: Performer) -> dict[str, float | None]:
    """Differences of the two bodies at rest."""
    before, after = height(first), height(second)
    return {
        "height_difference_mm": None if before is None or after is None else 1000 * (after - before),
        "betas_max_difference": _betas_difference(first, second),
    }


def height(side: Performer) -> float | None:
    """Height of the body at rest, metres; None for trees, meshes and hands."""
    return None if side.body is not None and side.body.layout == "mano" else side.height


def alone(
    side: Performer, points: Tensor, feet: Mapping[str, str], lowest: Tensor, floor: float, contacts: Tensor | None
) -> dict[str, Any]:
    """Figures of one motion in the world, in the common frames.

    Args:
        side: the motion.
        points: [frames, points, 3] compared points; NaN in excluded frames.
        feet: foot joints with their names in the side's skeleton.
        lowest: [frames] height of the lowest point; NaN in excluded frames.
        floor: height of the floor, metres.
        contacts: from `contacts_of`.
    """
    below, known = penetration(lowest, floor), ~lowest.isnan()
    return {
        "jitter_m_s3": number(jitter(points, side.fps)),
        "acceleration_m_s2": number(acceleration(points, side.fps)),
        "foot_sliding_mm_s": sliding(side, feet, contacts, known),
        "floor": {
            "measured_on": "vertices" if side.has_surface else "joints",
            "lowest_mm": number(lowest[known].min(), 1000) if bool(known.any()) else None,
            "penetration_mean_mm": number(below.mean, 1000),
            "penetration_max_mm": number(below.deepest, 1000),
            "penetration_percent": number(below.share, 100),
        },
        "height_m": height(side),
    }


def contacts_of(side: Performer, feet: Mapping[str, str], lowest: Tensor) -> Tensor | None:
    """[frames, feet] contacts of the foot joints with the ground estimated from the clip; None without feet."""
    known = ~lowest.isnan()
    heights = lowest[known]
    if side.motion is None or not feet or not len(heights):
        return None
    ground = float(heights.double().quantile(_GROUND_QUANTILE))
    return foot_contacts(_masked(side, known), side.body, ground=ground, joints=tuple(feet.values()))


def sliding(side: Performer, feet: Mapping[str, str], contacts: Tensor | None, known: Tensor) -> float | None:
    """Mean horizontal speed of the foot joints in contact, mm/s, in known frames; None without contacts."""
    if side.motion is None or contacts is None or not feet:
        return None
    return number(foot_sliding(_masked(side, known), side.body, contacts, tuple(feet.values())), 1000)


def lowest_points(side: Performer, points: Tensor) -> Tensor:
    """[frames] height of the lowest vertex, or of the lowest of these points for a plain tree, metres."""
    if side.motion is None or side.body is None:
        if side.meshes is not None:
            return side.meshes[..., 2].amin(1)
        # Not all joints: some trees have a root on the ground, outside the body.
        return points[..., 2].nan_to_num(torch.inf).amin(1).masked_fill(~side.valid, torch.nan)
    return lowest_vertices(side.motion, side.body).masked_fill(~side.valid, torch.nan)


def way_figures(first: Tensor, second: Tensor, of: str) -> dict[str, Any]:
    """Drift of two paths [frames, 3]; `of` names the joint."""
    apart = drift(first, second)
    known = apart[~apart.isnan()]
    return {
        "of": of,
        "drift_end_mm": number(known[-1], 1000) if len(known) else None,
        "drift_max_mm": number(known.max(), 1000) if len(known) else None,
        "trajectory_error_percent": number(trajectory_error(first, second), 100),
    }


def _masked(side: Performer, known: Tensor) -> Motion:
    assert side.motion is not None
    return side.motion if bool(known.all()) else side.motion.replace(mask=known)


def _parent(side: Performer, joint: int) -> str:
    assert side.skeleton is not None
    parent = side.skeleton.parents[joint] if side.skeleton.parents else -1
    return side.joint_names[parent] if parent >= 0 else ""


def _rest_alike(first: Performer, second: Performer) -> bool:
    """Whether rotations are comparable: for all bodies, and for plain trees with parallel bones at rest."""
    if first.body is not None and second.body is not None:
        return True
    if first.body is not None or second.body is not None or first.joint_names != second.joint_names:
        return False
    bones = []
    for side in (first, second):
        assert side.skeleton is not None
        rest, parents = side.skeleton.rest, side.skeleton.parents
        if rest is None or parents != first.skeleton.parents:  # type: ignore[union-attr]
            return False
        bones.append(rest[1:].double() - rest[list(parents[1:])].double())
    lengths = bones[0].norm(dim=-1) * bones[1].norm(dim=-1)
    return bool(((bones[0] * bones[1]).sum(-1) >= _SAME_DIRECTION * lengths).all())


def _betas_difference(first: Performer, second: Performer) -> float | None:
    """The largest difference of a shape coefficient; None for different shape spaces."""
    bodies = first.body, second.body
    if first.motion is None or second.motion is None or bodies[0] is None or bodies[1] is None:
        return None
    if bodies[0].name != bodies[1].name or bodies[0].shape_basis.shape != bodies[1].shape_basis.shape:
        return None
    count = max(len(first.motion.betas), len(second.motion.betas))
    if not count:
        return 0.0
    ours, theirs = (
        torch.nn.functional.pad(betas.double(), (0, count - len(betas)))
        for betas in (first.motion.betas, second.motion.betas)
    )
    return number((ours - theirs).abs().max())
