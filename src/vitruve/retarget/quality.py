"""Measure a retargeted motion: joint errors, foot sliding, and warnings."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.fit.quality import ErrorReport, error_report
from vitruve.fit.start_pose import Start
from vitruve.geometry.rotations import matrix_to_axis_angle
from vitruve.metrics import SurfaceMeter
from vitruve.motion import Motion, derivative, foot_contacts
from vitruve.retarget.alignment import Aligned
from vitruve.retarget.mapping import Mapping

# Limits in millimetres above which a result is not trusted. A body of known shape has other proportions than the
# source, so they are wider than for surfaces.
TRUSTED_MEAN, TRUSTED_FRAME = 30.0, 60.0
# Plausible size ratio, either way, between a source and a body of mean shape.
USUAL = (0.65, 1.5)
# Tolerated additional sliding of a standing foot, m/s.
SLIDING = 0.02
# Maximum number of names in one sentence.
_SHOWN = 6
_FEET = ("left_ankle", "left_foot", "right_ankle", "right_foot")
# Anatomical limit of rotations from rest, except for the root and the joints of long bones, radians.
_TOO_FAR = 2 / 3 * torch.pi
_FAR_TURNING = ("pelvis", "hip", "knee", "shoulder", "elbow")


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


def what_to_know(
    motion: Motion,
    mapping: Mapping,
    aligned: Aligned,
    begin: Start,
    error: ErrorReport,
    failed: Tensor,
    scale: float,
) -> list[str]:
    """Warnings for the user; reasons not to trust the result come first."""
    out = []
    if failed.any():
        first = failed.nonzero()[:5, 0].tolist()
        out.append(f"{int(failed.sum())} frames could not be fitted and are masked, the first are {first}")
    if error.mean > TRUSTED_MEAN:
        out.append(f"the mean joint error is {error.mean:.0f} mm: check the mapping, the units, and the body's shape")
    elif float(error.per_frame.max()) > TRUSTED_FRAME:
        out.append(f"some frames are off by more than {TRUSTED_FRAME:.0f} mm, the worst are {error.worst}")
    if not USUAL[0] < scale < USUAL[1]:
        out.append(f"the source was scaled by {scale:.3g} to the size of the body: check its units")
    if aligned.rolled:
        shown = ", ".join(f"{joint} in {frames} frames" for joint, frames in aligned.rolled.items())
        out.append(f"rolled over by half a turn in the source, corrected: {shown}")
    turning = (motion.rotations - torch.eye(3).to(motion.rotations)).nan_to_num(0.0).abs().amax((0, 2, 3)) > 1e-4
    skeleton, used = motion.skeleton, {name for row in mapping.joints for name in row.rotation}
    # The rotation of an unmapped joint affects its children, and is only lost if no mapped joint follows.
    spare = [
        name
        for joint, name in enumerate(skeleton.names)
        if turning[joint] and not used & {skeleton.names[other] for other in skeleton.below(joint)}
    ]
    if spare:
        more = f" and {len(spare) - _SHOWN} more" if len(spare) > _SHOWN else ""
        out.append(f"the mapping omits {', '.join(spare[:_SHOWN])}{more} of the source: their rotations are lost")
    if begin.invented:
        shown = ", ".join(begin.invented[:4]) + (f" and {len(begin.invented) - 4} more" if begin.invented[4:] else "")
        out.append(f"missing in the source, set to defaults: {shown}")
    return out


def added_sliding(motion: Motion, result: Motion, aligned: Aligned, body: BodyModel) -> float:
    """Additional speed of the joints of standing feet compared to the source, m/s; mean over frames with contact.

    Args:
        motion: the source.
        result: the motion on the body.
        aligned: the scaled source in terms of the body's joints.
        body: the body of the result.
    """
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
    if not bool(contacts.any()):
        return 0.0
    return float((ours - theirs)[contacts].nanmean())


def turned_too_far(result: Motion) -> list[str]:
    """A warning about joints whose median rotation is anatomically impossible, because of the source."""
    known = result.rotations if result.mask is None else result.rotations[result.mask]
    turn = matrix_to_axis_angle(known).norm(dim=-1).median(0).values.tolist() if len(known) else []
    far = [
        f"{joint} by {math.degrees(angle):.0f} degrees"
        for joint, angle in zip(result.skeleton.names, turn)
        if angle > _TOO_FAR and joint.rpartition("_")[2] not in _FAR_TURNING
    ]
    return [f"anatomically impossible rotations, as in the source: {', '.join(far)}: inspect them"] if far else []
