"""Retarget a motion from a foreign skeleton (BVH, ASF/AMC, any joint tree) to a body, by a mapping file.

    motion = load_motion("walk.bvh")
    conversion = retarget_motion(motion, to="smplx-neutral")
    print(conversion.error.groups)                       # millimetres, joint by joint

Rotations are transferred bone by bone with aligned axes, which preserves the twist. Then the solver fits the joint
positions, regularised towards these rotations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.bodies import BodyModel, ShapedBody
from vitruve.bodies.find_body import find_body
from vitruve.errors import BadData, UsageError
from vitruve.fit import ClipFit, Effort, TowardRotations, choose_points, fit_clip
from vitruve.fit.conversion import Conversion, Progress, Stopwatch
from vitruve.fit.initial_pose import FACE, FINGERS, InitialPose, copy_pose
from vitruve.fit.known_shape import fixed_betas
from vitruve.fit.quality import is_trusted
from vitruve.motion import Motion
from vitruve.retarget.alignment import Aligned, align, local_rotations
from vitruve.retarget.choose_mapping import GUESS, chosen_mapping, find_mapping
from vitruve.retarget.mapping import Mapping
from vitruve.retarget.mapping_guess import describe_rows, guess_mapping
from vitruve.retarget.quality import (
    JOINT_ERROR_LIMITS,
    PLAUSIBLE_SCALE,
    anatomy_warning,
    measure_joints,
    sliding_warning,
    warnings_for_user,
)
from vitruve.threads import one_thread_but_for_blocks

# Number of an actor's frames for the shape solve, and the regularisation of betas, metres per standard deviation.
_SHAPE_FRAMES, _RIDGE = 240, 0.002
# Bones of the legs, by their lower ends.
_LEGS = ("left_knee", "right_knee", "left_ankle", "right_ankle")
# Regularisation of unmapped joints towards rest, metres per radian.
_STIFFNESS = 0.01


@one_thread_but_for_blocks()
def retarget_motion(
    motion: Motion,
    to: str | BodyModel,
    *,
    mapping: str | Path | Mapping | None = None,
    betas: str | Tensor = "fit",
    scale: float | None = None,
    hands: str | Tensor = "flat",
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> Conversion:
    """Retarget a motion on a plain joint tree to a body.

    Args:
        motion: on a tree with rest positions or changing bones, as read from BVH and ASF/AMC files.
        to: the target body. A name without a gender ("smplx") takes the gender of the motion, see `find_body`.
        mapping: a mapping file's name or path, or "guess"; by default the shipped one that fits the joint names.
        betas: "fit" one shape for the clip, at the source's own size; "zero" for the mean shape; or the betas, for
            example of the actor (`actor_betas`). A tree has no shape to keep, so "keep-if-same" fits too.
        scale: scale of the source before the fit. By default 1 for a fitted shape, since the body adapts to the actor's
            size (if it is plausible), and by the mapping's rule for a known shape.
        hands: rotations of unmapped fingers: "flat", "mean", or [2, 45] axis-angle.
        folder: searched for licensed bodies before the usual places.
        progress: called with (frames done, frames).

    Returns:
        The motion, and in `error` the distances of its joints to those of the (scaled) source. The mean is over the
        joints with a position in the mapping; those of weight 0 are in `error.groups` only.
    """
    watch = Stopwatch()
    body, notes = find_body(to, motion.gender, folder)
    motion = motion.to(body.device)
    if scale is not None and not 0 < scale < float("inf"):
        raise UsageError(f"invalid scale {scale}", fix="give a positive number, or none")
    chosen = _mapping(mapping, motion)
    known = fixed_betas(betas, body)
    shaped = body.shaped(known)
    aligned = align(motion, chosen, body, shaped.rest_joints)
    if scale is None:
        scale = _scale(aligned, shaped, chosen.scale)
        # A fitted shape adapts to the source's own size, if that is plausible.
        scale = 1.0 if known is None and PLAUSIBLE_SCALE[0] < scale < PLAUSIBLE_SCALE[1] else scale
    aligned = replace(aligned, positions=aligned.positions * scale)
    if known is None:
        known = _fitted_betas(aligned.some(_SHAPE_FRAMES), body)
        shaped = body.shaped(known)
        aligned = replace(align(motion, chosen, body, shaped.rest_joints), positions=aligned.positions)
    watch.lap("shape")
    initial = _initial_pose(aligned, shaped, hands)
    fitted = _fit(aligned, initial, body, known, progress)
    watch.lap("fit")
    failed = fitted.failed | ~aligned.valid
    result = _as_motion(motion, body, fitted, failed, chosen, scale)
    error = measure_joints(aligned, result, body)
    warnings = notes + warnings_for_user(motion, chosen, aligned, initial, error, failed & aligned.valid, scale)
    if chosen.name == GUESS:
        warnings.insert(0, f"the mapping was {chosen.note}: {describe_rows(chosen.joints)}: check the result")
    impossible = anatomy_warning(result)
    warnings += impossible + sliding_warning(motion, result, aligned, body)
    watch.lap("measure")
    return Conversion(
        motion=result,
        error=error,
        warnings=tuple(warnings),
        trusted=is_trusted(error, failed, JOINT_ERROR_LIMITS) and not impossible,
        failed=failed,
        seconds=watch.seconds,
    )


@one_thread_but_for_blocks()
def actor_betas(
    motions: Sequence[Motion],
    to: str | BodyModel,
    *,
    mapping: str | Path | Mapping | None = None,
    folder: str | Path | None = None,
) -> Float[Tensor, "betas"]:
    """One shape for all clips of an actor, from frames of all of them; pass it to `retarget_motion` as `betas`.

    Args:
        motions: clips on one skeleton, at the actor's own size.
        to, mapping, folder: as for `retarget_motion`.
    """
    if not motions:
        raise UsageError("no clips to fit a shape to", fix="give at least one motion")
    body, _ = find_body(to, motions[0].gender, folder)
    rest, each = body.shaped().rest_joints, -(-_SHAPE_FRAMES // len(motions))
    parts = [align(motion.to(body.device), _mapping(mapping, motion), body, rest).some(each) for motion in motions]
    if len({part.entries for part in parts}) > 1:
        raise UsageError("the clips have different skeletons", fix="give clips that one mapping fits")
    joined = {name: torch.cat([getattr(part, name) for part in parts]) for name in ("positions", "rotations", "valid")}
    return _fitted_betas(replace(parts[0], **joined), body)


def _fitted_betas(aligned: Aligned, body: BodyModel) -> Tensor:
    return _solve(aligned, _initial_pose(aligned, body.shaped(), "flat"), body, None).betas


def _mapping(mapping: str | Path | Mapping | None, motion: Motion) -> Mapping:
    if motion.body:
        raise UsageError(
            "the motion is on a body already",
            where=f"body '{motion.body_name}'",
            fix="convert it: convert_motion(motion, to=...)",
        )
    if mapping is None:
        return find_mapping(motion.skeleton, motion.source.file or "FILE")
    return guess_mapping(motion) if mapping == GUESS else chosen_mapping(mapping, motion.skeleton)


def _scale(aligned: Aligned, shaped: ShapedBody, rule: str) -> float:
    """The scale from the source to the body, by least squares over the lengths of shared bones."""
    placed = {joint: i for i, joint in enumerate(aligned.joints) if aligned.weights[i] > 0}
    names, rest = shaped.body.skeleton.names, shaped.rest_joints.double()
    theirs, ours = [], []
    for joint, i in placed.items():
        parent = shaped.body.skeleton.parents[joint]
        if parent in placed and (rule == "whole" or names[joint] in _LEGS):
            away = aligned.positions[aligned.valid, i] - aligned.positions[aligned.valid, placed[parent]]
            theirs.append(away.norm(dim=-1).median())
            ours.append((rest[joint] - rest[parent]).norm())
    if rule == "none" or not theirs:
        return 1.0
    there, here = torch.stack(theirs), torch.stack(ours)
    return float((there * here).sum() / there.square().sum())


def _initial_pose(aligned: Aligned, shaped: ShapedBody, hands: str | Tensor) -> InitialPose:
    """The source's rotations on the body's tree, with default fingers and face."""
    body = shaped.body
    mapped = {entry.joint for entry in aligned.entries}
    names = [name for name in body.skeleton.names if name in mapped or not _of_hand_or_face(name)]
    rotations = local_rotations(aligned, body.skeleton, body.rest_rotations(len(aligned.valid)).double())
    copied = Motion(
        rotations=rotations[:, [body.skeleton.index(name) for name in names]].to(body.dtype),
        translation=body.template.new_zeros(len(rotations), 3),
        fps=1.0,
        skeleton=body.skeleton.subset(names),
    )
    initial = copy_pose(copied, shaped, body, hands)
    reached = shaped.joints(initial.rotations)[:, aligned.joints]
    weights = aligned.weights.to(reached)
    if not bool(weights.any()):
        raise BadData("the mapping has no positions", where="weight = 0 in all rows", fix="give joints a weight")
    away = (aligned.positions.to(reached) - reached).nan_to_num(0.0)
    return replace(initial, translation=torch.einsum("fjc,j->fc", away, weights / weights.sum()))


def _of_hand_or_face(name: str) -> bool:
    part = name.partition("_")[2].rstrip("123")
    return name in FACE or part in (*FINGERS, "hand")


def _fit(aligned: Aligned, initial: InitialPose, body: BodyModel, betas: Tensor, progress: Progress | None) -> ClipFit:
    """Fit twice: the second fit regularises each joint towards its world rotation, given the fitted parents."""
    first = _solve(aligned, initial, body, betas)
    reference = local_rotations(aligned, body.skeleton, first.rotations, fitted=True)
    again = replace(initial, rotations=first.rotations, translation=first.translation)
    second = _solve(aligned, again, body, betas, reference, progress)
    return replace(second, rotations=_with_exact_ends(aligned, body, second.rotations))


def _with_exact_ends(aligned: Aligned, body: BodyModel, rotations: Tensor) -> Tensor:
    """Head, hands and toes get the source's world rotations, since no joints below constrain them."""
    exact = local_rotations(aligned, body.skeleton, rotations, fitted=True)
    out = rotations.clone()
    for joint, has_rotation in zip(aligned.joints, aligned.has_rotation):
        if has_rotation and not set(aligned.joints) & set(body.skeleton.below(joint)[1:]):
            out[:, joint] = exact[:, joint]
    return out


def _solve(
    aligned: Aligned,
    initial: InitialPose,
    body: BodyModel,
    betas: Tensor | None,
    reference: Tensor | None = None,
    progress: Progress | None = None,
) -> ClipFit:
    """Fit the positions, regularised towards rotations (by default the initial ones), and the shape if unknown."""
    weights = aligned.weights
    used = weights.nonzero()[:, 0]
    stiffness = torch.full((body.num_joints,), _STIFFNESS)
    stiffness[aligned.joints] = torch.tensor([entry.hold for entry in aligned.entries])
    points = choose_points(body, joints=torch.tensor(aligned.joints)[used])
    return fit_clip(
        body,
        replace(points, pose_basis=points.pose_basis[:0]),  # no corrective moves a joint
        aligned.positions[:, used].to(body.template),
        initial.rotations,
        initial.translation,
        betas=betas,
        weights=weights[used],
        free=initial.free,
        terms=(TowardRotations(initial.rotations if reference is None else reference, stiffness),),
        effort=Effort(ridge=_RIDGE),
        progress=progress,
    )


def _as_motion(
    motion: Motion, body: BodyModel, fitted: ClipFit, failed: Tensor, mapping: Mapping, scale: float
) -> Motion:
    notes = [f"retargeted from {motion.skeleton.name} to {body.name} by the mapping {mapping.name}"]
    if scale != 1.0:
        notes.append(f"the source was scaled by {scale:.4f}")
    return Motion(
        rotations=fitted.rotations,
        translation=fitted.translation,
        fps=motion.fps,
        skeleton=body.skeleton,
        body=body.make,
        gender=body.gender if body.gender in ("neutral", "female", "male") else motion.gender,
        betas=fitted.betas,
        mask=~failed if bool(failed.any()) else None,
        source=replace(motion.source, extras={}, notes=(*motion.source.notes, *notes)),
    )
