"""Measure a retargeted motion: joint errors, foot sliding, and warnings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.fit.initial_pose import InitialPose
from vitruve.fit.quality import ErrorReport, Limits, doubts, error_report
from vitruve.geometry.rotations import matrix_to_axis_angle
from vitruve.metrics import SurfaceMeter
from vitruve.motion import Motion, derivative, foot_contacts
from vitruve.retarget.alignment import Aligned
from vitruve.retarget.mapping import Mapping

# A body of known shape has other proportions than the source, so they are wider than for surfaces.
JOINT_ERROR_LIMITS = Limits(30.0, 60.0)
# Plausible size ratio, either way, between a source and a body of mean shape.
PLAUSIBLE_SCALE = (0.65, 1.5)
# Tolerated additional sliding of a standing foot, m/s.
_SLIDING = 0.02
_FEET = ("left_ankle", "left_foot", "right_ankle", "right_foot")
# Anatomical limit of rotations from rest, except for the root and the joints of long bones, radians.
_LARGEST_ANGLE = 2 / 3 * torch.pi
_UNLIMITED = ("pelvis", "hip", "knee", "shoulder", "elbow")


def measure_joints(aligned: Aligned, result: Motion, body: BodyModel) -> ErrorReport:
    """Errors per joint; the totals exclude joints of weight zero."""
    reached = result.joints(body)[:, aligned.joints].to(aligned.positions)
    residual, frames = reached - aligned.positions, aligned.valid.nonzero()[:, 0]
    counts = aligned.weights > 0
    names = [entry.joint for entry in aligned.entries]
    measured = counts.nonzero()[:, 0].tolist()
    parts = {names[place]: torch.arange(len(measured)) == i for i, place in enumerate(measured)}
    meter = SurfaceMeter(parts, len(measured))
    meter.add(frames, residual[frames][:, counts])
    report = error_report(meter, 0.0)
    only_measured = {
        names[i]: 1000 * float(residual[frames, i].norm(dim=-1).mean())
        for i, entry in enumerate(aligned.entries)
        if entry.position and not counts[i]
    }
    return replace(report, groups={**report.groups, **only_measured})


def warnings_for_user(
    motion: Motion,
    mapping: Mapping,
    aligned: Aligned,
    initial: InitialPose,
    error: ErrorReport,
    failed: Tensor,
    scale: float,
) -> list[str]:
    """Warnings for the user; reasons not to trust the result come first."""
    out = doubts(error, failed, "check the mapping, the units, and the body's shape", JOINT_ERROR_LIMITS)
    if not PLAUSIBLE_SCALE[0] < scale < PLAUSIBLE_SCALE[1]:
        out.append(f"the source was scaled by {scale:.3g} to the size of the body: check its units")
    if aligned.rolled:
        shown = ", ".join(f"{joint} in {frames} frames" for joint, frames in aligned.rolled.items())
        out.append(f"rolled over by half a turn in the source, corrected: {shown}")
    moving = (motion.rotations - torch.eye(3).to(motion.rotations)).nan_to_num(0.0).abs().amax((0, 2, 3)) > 1e-4
    skeleton, used = motion.skeleton, {name for row in mapping.joints for name in row.rotation}
    # The rotation of an unmapped joint affects its children, and is only lost if no mapped joint follows.
    lost = [
        name
        for joint, name in enumerate(skeleton.names)
        if moving[joint] and not used & {skeleton.names[other] for other in skeleton.below(joint)}
    ]
    if lost:
        out.append(f"the mapping omits {_first(lost, 6)} of the source: their rotations are lost")
    if initial.defaulted:
        out.append(f"missing in the source, set to defaults: {_first(initial.defaulted, 4)}")
    return out


def _first(names: Sequence[str], shown: int) -> str:
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


def sliding_warning(motion: Motion, result: Motion, aligned: Aligned, body: BodyModel) -> list[str]:
    """A warning if standing feet slide faster than in the source."""
    sliding = added_sliding(motion, result, aligned, body)
    if sliding <= _SLIDING:
        return []
    return [f"standing feet slide {100 * sliding:.1f} cm/s faster than in the source: check the feet"]


def added_sliding(motion: Motion, result: Motion, aligned: Aligned, body: BodyModel) -> float:
    """Additional speed of the joints of standing feet compared to the source, m/s; mean over frames with contact."""
    feet = [(i, e) for i, e in enumerate(aligned.entries) if e.joint in _FEET and len(e.position) == 1 and e.weight]
    if not feet or len(motion) < 3:
        return 0.0
    contacts = foot_contacts(motion.replace(mask=aligned.valid), joints=[entry.position[0] for _, entry in feet])
    places = [i for i, _ in feet]
    reached = result.joints(body)[:, [aligned.joints[i] for i in places]].to(aligned.positions)
    ours, theirs = (
        derivative(positions, motion.fps, aligned.valid).norm(dim=-1)
        for positions in (reached, aligned.positions[:, places])
    )
    return float((ours - theirs)[contacts].nanmean()) if bool(contacts.any()) else 0.0


def anatomy_warning(result: Motion) -> list[str]:
    """A warning about joints whose median rotation is anatomically impossible, because of the source."""
    known = result.rotations if result.mask is None else result.rotations[result.mask]
    angles = matrix_to_axis_angle(known).norm(dim=-1).median(0).values.tolist() if len(known) else []
    far = [
        f"{joint} by {math.degrees(angle):.0f} degrees"
        for joint, angle in zip(result.skeleton.names, angles)
        if angle > _LARGEST_ANGLE and joint.rpartition("_")[2] not in _UNLIMITED
    ]
    return [f"anatomically impossible rotations, as in the source: {', '.join(far)}: inspect them"] if far else []
