"""The figures of a comparison: plain numbers by name and unit, None where something is not known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.compare.matching import Shared, parts_of
from vitruve.correspondence.surface_pair import SurfacePair
from vitruve.metrics import (
    SurfaceMeter,
    acceleration,
    angle_errors,
    drift,
    jitter,
    penetration,
    trajectory_error,
)
from vitruve.motion import Motion, foot_contacts, foot_sliding
from vitruve.motion.performer import Performer
from vitruve.motion.world import lowest_vertices

# Where the ground of a clip is, for foot contacts: near the lowest tenth of its lowest points, as in `put_on_ground`.
_GROUND_QUANTILE = 0.1
# Two trees whose bones point alike at rest, to this cosine, mean the same by equal rotations.
_SAME_DIRECTION = 0.996


def number(value: float | Tensor, factor: float = 1.0) -> float | None:
    """A plain number; None where it is not known."""
    value = float(value) * factor
    return value if math.isfinite(value) else None


def joint_figures(errors: Tensor, names: tuple[str, ...]) -> dict[str, Any]:
    """Of distances [frames, joints] in metres: mean, percentile, maximum, by part and by joint, in millimetres."""
    by_joint = errors.nanmean(0)
    return {
        **spread(errors, 1000),
        "parts": {part: number(errors[:, places].nanmean(), 1000) for part, places in parts_of(names).items()},
        "joints": {name: number(value, 1000) for name, value in zip(names, by_joint)},
    }


def spread(values: Tensor, factor: float = 1.0) -> dict[str, float | None]:
    """Mean, 95th percentile and maximum of what is known."""
    flat = values[~values.isnan()]
    if not len(flat):
        return {"mean": None, "p95": None, "max": None}
    p95 = flat.kthvalue(max(1, round(0.95 * len(flat)))).values
    return {"mean": number(flat.mean(), factor), "p95": number(p95, factor), "max": number(flat.max(), factor)}


def surface_figures(meter: SurfaceMeter) -> dict[str, Any]:
    """Mean, percentile and maximum over vertices and frames, and by part, in millimetres; over how many of both."""
    return {
        "mean": number(meter.mean, 1000),
        "p95": number(meter.quantile(0.95), 1000),
        "max": number(meter.largest, 1000),
        "parts": {part: number(values.nanmean(), 1000) for part, values in meter.per_part.items()},
        "vertices": int((~meter.per_vertex.isnan()).sum()),
        "frames": int((~meter.per_frame.isnan()).sum()),
    }


def map_figures(pair: SurfacePair) -> dict[str, Any]:
    """How the surfaces were matched, and what the map itself is off by: that is no error of a motion."""
    residual = {} if pair.map is None else {key: number(value) for key, value in pair.map.residual_mm.items()}
    return {
        "method": "vertex by vertex" if pair.map is None or pair.map.method == "identity" else pair.map.method,
        "residual_mm": residual or {"mean": 0.0, "p95": 0.0, "max": 0.0},
        "covered_percent": number(pair.valid.double().mean(), 100),
    }


def rotation_errors(
    first: Performer, second: Performer, shared: Shared, turned: Tensor, known: Tensor
) -> dict[str, Tensor]:
    """[frames] degrees for each joint that both have, between its rotations relative to the parent.

    Left out are joints that hang on different parents, and all joints where the two trees rest in different ways.

    Args:
        first, second: the sides.
        shared: their joints.
        turned: [3, 3] or [frames, 3, 3], what turns the second motion's root where it is laid over the first.
        known: [frames] that count.
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
        # Frames without data may hold anything.
        valid = known[:, None, None]
        identity = torch.eye(3, dtype=torch.float64)
        angles = angle_errors(torch.where(valid, ours, identity), torch.where(valid, theirs, identity))
        out[name] = angles.masked_fill(~known, torch.nan)
    return out


def bone_lengths(shared: Shared, tree: Performer) -> float | None:
    """Mean difference of the lengths of the bones that both have, millimetres: shape, not movement."""
    skeleton = tree.skeleton
    if skeleton is None or len(shared.names) < 2:
        return None
    place = {joint: i for i, (joint, _) in enumerate(shared.joints)}
    bones = [(i, place[skeleton.parents[joint]]) for joint, i in place.items()
             if joint >= 0 and skeleton.parents and skeleton.parents[joint] in place]  # fmt: skip
    if not bones:
        return None
    ends, starts = (list(column) for column in zip(*bones))
    first, second = (
        (points[:, ends] - points[:, starts]).norm(dim=-1).nanmedian(0).values
        for points in (shared.first, shared.second)
    )
    return number((first - second).abs().nanmean(), 1000)


def shape_figures(first: Performer, second: Performer) -> dict[str, float | None]:
    """How the two bodies differ at rest."""
    heights = [height(side) for side in (first, second)]
    both = heights[0] is not None and heights[1] is not None
    return {
        "height_difference_mm": 1000 * (heights[1] - heights[0]) if both else None,  # type: ignore[operator]
        "betas_max_difference": _betas_difference(first, second),
    }


def height(side: Performer) -> float | None:
    """Of the body at rest, metres, from its lowest to its highest vertex; None for trees, meshes and hands."""
    return None if side.body is not None and side.body.layout == "mano" else side.height


def alone(
    side: Performer, points: Tensor, feet: Mapping[str, str], lowest: Tensor, floor: float, contacts: Tensor | None
) -> dict[str, Any]:
    """What one motion does by itself, in the world, in the frames that both have.

    Args:
        side: the motion.
        points: [frames, points, 3] that it is judged by; NaN in frames that do not count.
        feet: foot joint to its name in the side's skeleton.
        lowest: [frames] height of its lowest point; NaN in frames that do not count.
        floor: height of the floor, metres.
        contacts: which of `feet` stand; from `contacts_of`.
    """
    below = penetration(lowest, floor)
    return {
        "jitter_m_s3": number(jitter(points, side.fps)),
        "acceleration_m_s2": number(acceleration(points, side.fps)),
        "foot_sliding_mm_s": sliding(side, feet, contacts, ~lowest.isnan()),
        "floor": {
            "measured_on": "vertices" if side.has_surface else "joints",
            "lowest_mm": number(lowest[~lowest.isnan()].min(), 1000) if bool((~lowest.isnan()).any()) else None,
            "penetration_mean_mm": number(below.mean, 1000),
            "penetration_max_mm": number(below.deepest, 1000),
            "penetration_percent": number(below.share, 100),
        },
        "height_m": height(side),
    }


def contacts_of(side: Performer, feet: Mapping[str, str], lowest: Tensor) -> Tensor | None:
    """[frames, feet] which foot joints stand, on the ground that the clip itself shows; None without feet."""
    heights = lowest[~lowest.isnan()]
    if side.motion is None or not feet or not len(heights):
        return None
    ground = float(heights.double().quantile(_GROUND_QUANTILE))
    return foot_contacts(_masked(side, ~lowest.isnan()), side.body, ground=ground, joints=tuple(feet.values()))


def sliding(side: Performer, feet: Mapping[str, str], contacts: Tensor | None, known: Tensor) -> float | None:
    """Mean horizontal speed of the foot joints while they stand, mm/s; None where none does.

    Args:
        side: the motion.
        feet: foot joint to its name in the side's skeleton.
        contacts: [frames, feet] when they stand.
        known: [frames] that count.
    """
    if side.motion is None or contacts is None or not feet:
        return None
    return number(foot_sliding(_masked(side, known), side.body, contacts, tuple(feet.values())), 1000)


def lowest_points(side: Performer, points: Tensor) -> Tensor:
    """[frames] height of the lowest vertex, or of the lowest of some points of a plain tree, metres."""
    if side.motion is None or side.body is None:
        if side.meshes is not None:
            return side.meshes[..., 2].amin(1)
        # Not of all joints: some trees have a root on the ground, outside of the body.
        return points[..., 2].nan_to_num(torch.inf).amin(1).masked_fill(~side.valid, torch.nan)
    return lowest_vertices(side.motion, side.body).masked_fill(~side.valid, torch.nan)


def way_figures(first: Tensor, second: Tensor, of: str) -> dict[str, Any]:
    """Of the ways [frames, 3] of a joint, the root as a rule: how far they come apart."""
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
    """Bodies of the family rest alike; plain trees do where their bones point the same way."""
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
    """The largest difference of a shape coefficient; None where the two shape spaces are not the same."""
    if first.motion is None or second.motion is None or not _same_shapes(first.body, second.body):
        return None
    count = max(len(first.motion.betas), len(second.motion.betas))
    if not count:
        return 0.0
    padded = [torch.nn.functional.pad(side.motion.betas.double(), (0, count - len(side.motion.betas)))
              for side in (first, second) if side.motion is not None]  # fmt: skip
    return number((padded[0] - padded[1]).abs().max())


def _same_shapes(first: BodyModel | None, second: BodyModel | None) -> bool:
    if first is None or second is None:
        return False
    if first is second:
        return True
    ours, theirs = first.shape_basis, second.shape_basis
    return first.name == second.name and ours.shape == theirs.shape
