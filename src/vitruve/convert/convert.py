"""Convert a motion to another body: one shape, the same movement, the surface within millimetres.

conversion = convert_motion(motion, to="smplx")
conversion.motion.save("walk_smplx.npz")
print(conversion.error.mean, "mm", conversion.warnings)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from vitruve.bodies import BodyModel, ShapedBody
from vitruve.bodies.find_body import body_on, find_body
from vitruve.convert.body_pair import MappedPoints, Pair, pair_of
from vitruve.convert.target_betas import betas_at_rest, known_betas
from vitruve.fit import ClipFit, Effort, TowardRotations, fit_clip, huber
from vitruve.fit.conversion import Conversion, Progress, Stopwatch, check_some_data
from vitruve.fit.initial_pose import InitialPose, copy_pose
from vitruve.fit.quality import ErrorReport, doubts, error_report, is_trusted, shape_doubt
from vitruve.metrics import SurfaceMeter, measured_frames
from vitruve.motion import Motion
from vitruve.motion.body_of import body_of
from vitruve.threads import one_thread_but_for_blocks, over_threads

# Width of the Huber loss, metres: where two bodies cannot agree (a corrective, a fold), a few points must not pull the
# others along.
HUBER_WIDTH = 0.003
# Stiffness towards the copied rotations, metres per radian: enough to keep the twist of a finger.
_STIFFNESS = 0.0005
_EFFORT = Effort(rounds=6, key_frames=12)
# Seconds between frames that are fitted; the corrections in between are interpolated.
_APART = 1 / 30
# A warning is given if less than this share of the target's surface has a counterpart.
_LEAST_SHARED = 0.8
# Frames that key frames are chosen from, if the shape is solved on posed frames.
_SHAPE_FRAMES = 200


@one_thread_but_for_blocks()
def convert_motion(
    motion: Motion,
    to: str | BodyModel,
    *,
    source: str | BodyModel | None = None,
    betas: str | Tensor = "fit",
    num_betas: int = 16,
    hands: str | Tensor = "flat",
    points: int = 450,
    sequence: bool = True,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> Conversion:
    """Convert a motion to another body.

    Args:
        motion: a motion on a body.
        to: the target body. A name without a gender ("smplx") takes the gender of the motion, see `find_body`.
        source: the body the motion was made on, if the motion does not name the right one.
        betas: "fit" one shape for the clip; "zero" for the mean shape; "keep-if-same" keeps them if both bodies have
            the same shape space and fits them otherwise; or the betas themselves.
        num_betas: number of fitted betas, at most those of the target; AMASS files have 16.
        hands: for a source without fingers: "flat", "mean", or [2, 45] axis-angle of left and right hand.
        points: approximate number of surface points to fit.
        sequence: False for single poses that do not follow each other in time.
        folder: searched for licensed bodies before the usual places.
        progress: called with (frames done, frames).

    Raises:
        BadData: every frame of the motion is masked.
    """
    check_some_data(motion)
    watch = Stopwatch()
    source_body, source_notes = body_of(motion, source, folder)
    target_body, target_notes = find_body(to, motion.gender, folder)
    warnings = source_notes + target_notes
    source_body, motion = body_on(source_body, target_body.device), motion.to(target_body.device)
    shaped = source_body.shaped(motion.betas, motion.expression if source_body.num_expressions else None)
    watch.lap("bodies")
    pair = pair_of(source_body, target_body, points)
    watch.lap("surface map")
    shared = float(pair.surface.valid.double().mean())
    if shared < _LEAST_SHARED and "mano" not in (source_body.layout, target_body.layout):
        warnings.append(f"only {100 * shared:.0f} % of the target's surface has a counterpart on {source_body.name}")
    initial, fitted = _fit(motion, shaped, target_body, pair, betas, num_betas, hands, sequence, progress)
    if initial.dropped:
        warnings.append(f"the target has no {', '.join(initial.dropped)}: their rotations are lost")
    watch.lap("fit")
    failed = fitted.failed if motion.mask is None else fitted.failed & motion.mask
    result = _as_motion(motion, target_body, fitted, failed)
    error = _measure(motion, shaped, result, target_body, pair)
    watch.lap("measure")
    reasons = doubts(error, failed, shape_doubt(not isinstance(betas, str) or betas == "zero"))
    if any("1" in name or "hand" in name for name in initial.defaulted):
        reasons.append("the source has no fingers: the hands of the result are the default or given ones")
    return Conversion(
        motion=result,
        error=error,
        warnings=(*reasons, *warnings),
        trusted=is_trusted(error, failed),
        failed=failed,
        seconds=watch.seconds,
    )


def _fit(
    motion: Motion,
    shaped: ShapedBody,
    target: BodyModel,
    pair: Pair,
    betas: str | Tensor,
    num_betas: int,
    hands: str | Tensor,
    sequence: bool,
    progress: Progress | None,
) -> tuple[InitialPose, ClipFit]:
    shape = known_betas(betas, motion, shaped.body, target)
    guess = None
    if shape is None:
        guess, alike = betas_at_rest(shaped, target, pair.surface, min(num_betas, target.num_betas))
        shape = guess if alike else None
    initial = copy_pose(motion, shaped, target, hands, shape if guess is None else guess)
    targets = source_targets(motion, shaped, pair.fitted)
    expression = _kept_expression(motion, target)
    stiffness = torch.full((target.num_joints,), _STIFFNESS)

    def fit(frames: Tensor, known: Tensor | None, effort: Effort) -> ClipFit:
        # All frames are not copied: of a long clip every copy counts.
        copied = initial.rotations if len(frames) == len(motion) else initial.rotations[frames]
        return fit_clip(
            target,
            pair.points,
            lambda rows: targets(frames[rows]),
            copied,
            initial.translation[frames],
            betas=known,
            start_betas=guess,
            expression=None if expression is None else expression[frames],
            weights=pair.weights,
            loss=huber(HUBER_WIDTH),
            terms=(TowardRotations(copied, stiffness),),
            effort=effort,
            free=initial.free,
            progress=None if known is None else progress,
        )

    every = torch.arange(len(motion), device=target.device)
    if shape is None:
        shape = fit(every[:: max(1, len(motion) // _SHAPE_FRAMES)], None, _EFFORT).betas
    apart = max(1, round(motion.fps * _APART)) if sequence and motion.mask is None else 1
    return initial, fit(every, shape, replace(_EFFORT, apart=apart))


def _measure(motion: Motion, shaped: ShapedBody, result: Motion, target: BodyModel, pair: Pair) -> ErrorReport:
    """Compare the surfaces of a motion and its conversion, at `measured_vertices`."""
    sources = source_targets(motion, shaped, pair.checked)
    posed = pair.checked.on_target(target.shaped(result.betas, result.expression))
    meter = SurfaceMeter(pair.groups, len(pair.checked.ids))
    blocks = [block for block in measured_frames(len(motion)) if motion.mask is None or bool(motion.mask[block].any())]

    def residual(block: Tensor) -> Tensor:
        reached = posed.of_frames(block).vertices(result.rotations[block], result.translation[block])
        return reached - sources(block).to(reached)

    for block, distance in zip(blocks, over_threads(residual, blocks), strict=True):
        meter.add(block, distance)
    return error_report(meter, pair.surface.residual_mm["mean"])


def source_targets(motion: Motion, shaped: ShapedBody, points: MappedPoints) -> Callable[[Tensor | slice], Tensor]:
    """A function from frames to the target positions of some vertices, on the source's surface; NaN where masked."""
    used = points.on_source(shaped)

    def targets(frames: Tensor | slice) -> Tensor:
        vertices = used.of_frames(frames).vertices(motion.rotations[frames], motion.translation[frames])
        mapped = points.read(vertices)
        if motion.mask is not None:
            mapped[~motion.mask[frames]] = torch.nan
        return mapped

    return targets


def _kept_expression(motion: Motion, target: BodyModel) -> Tensor | None:
    if motion.expression is None or not target.num_expressions:
        return None
    return motion.expression[:, : target.num_expressions].to(target.template)


def _as_motion(motion: Motion, target: BodyModel, fitted: ClipFit, failed: Tensor) -> Motion:
    mask = motion.mask
    if failed.any():
        mask = ~failed if mask is None else mask & ~failed
    note = f"converted from {motion.body_name or motion.skeleton.name} to {target.name}"
    return Motion(
        rotations=fitted.rotations,
        translation=fitted.translation,
        fps=motion.fps,
        skeleton=target.skeleton,
        body=target.make,
        gender=target.gender if target.gender in ("neutral", "female", "male") else motion.gender,
        betas=fitted.betas,
        expression=_kept_expression(motion, target),
        mask=mask,
        source=replace(motion.source, extras={}, notes=(*motion.source.notes, note)),
    )
