"""A motion made on one body becomes a motion on another: one shape, the same movement, the surface within millimetres.

conversion = convert_motion(motion, to="smplx")
conversion.motion.save("walk_smplx.npz")
print(conversion.error.mean, "mm", conversion.warnings)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from vitruve.bodies import BodyModel, ShapedBody
from vitruve.bodies.find_body import body_on, find_body
from vitruve.convert.body_pair import Pair, SeenPoints, pair_of
from vitruve.convert.target_betas import betas_at_rest, known_betas
from vitruve.fit import ClipFit, Effort, TowardRotations, fit_clip, huber
from vitruve.fit.conversion import Conversion, Progress, check_some_data
from vitruve.fit.quality import ErrorReport, doubts, error_report, is_trusted
from vitruve.fit.start_pose import Start, start
from vitruve.metrics import SurfaceMeter, measured_frames
from vitruve.motion import Motion
from vitruve.motion.body_of import body_of
from vitruve.threads import one_thread_but_for_blocks, over_threads

# Metres from which a distance costs its length, not its square: the mean distance counts, and where the two bodies
# cannot agree (a corrective, a fold) a few points must not pull the others along.
KNEE = 0.003
# Metres a radian that hold a rotation at the copied one: nothing against the surface, enough against a finger's twist.
HOLD = 0.0005
EFFORT = Effort(rounds=6, key_frames=12)
# Seconds between frames that are fitted; the corrections in between are interpolated.
APART = 1 / 30
# Below this part of the surface in correspondence, two bodies are hardly two persons.
LEAST_SHARED = 0.8
# Frames that the shape is looked for among, where it is solved on posed frames.
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
        to: the body to go to. A name without a gender ("smplx") takes the gender of the motion, see `find_body`.
        source: the body the motion was made on, where the motion's own name is not right.
        betas: "fit" one shape for the clip; "zero" for the mean shape; "keep-if-same" keeps them where both bodies have
            the same shape space and fits them elsewhere; or the betas themselves.
        num_betas: how many betas are fitted, up to what the target has; files of AMASS have 16.
        hands: what a source without fingers gets: "flat", "mean", or [2, 45] axis-angle of left and right hand.
        points: about how many surface points the fit looks at.
        sequence: False for single poses that do not follow each other in time.
        folder: where licensed bodies lie, before the usual places.
        progress: called with (frames done, frames in all).

    Raises:
        BadData: every frame of the motion is masked.
    """
    check_some_data(motion)
    clock = _Clock()
    source_body, source_notes = body_of(motion, source, folder)
    target_body, target_notes = find_body(to, motion.gender, folder)
    warnings = source_notes + target_notes
    source_body, motion = body_on(source_body, target_body.device), motion.to(target_body.device)
    shaped = source_body.shaped(motion.betas, motion.expression if source_body.num_expressions else None)
    clock.lap("bodies")
    pair = pair_of(source_body, target_body, points)
    clock.lap("surface map")
    shared = float(pair.surface.valid.double().mean())
    if shared < LEAST_SHARED and "mano" not in (source_body.layout, target_body.layout):
        warnings.append(f"only {100 * shared:.0f} % of the target's surface has a counterpart on {source_body.name}")
    begin, fitted, shape = _fit(motion, shaped, target_body, pair, betas, num_betas, hands, sequence, progress)
    if begin.dropped:
        warnings.append(f"the target has no {', '.join(begin.dropped)}: their turns are lost")
    clock.lap("fit")
    failed = fitted.failed if motion.mask is None else fitted.failed & motion.mask
    result = _as_motion(motion, target_body, fitted.rotations, fitted.translation, shape, failed)
    error = measure(motion, shaped, result, target_body, pair)
    clock.lap("measure")
    judged = _judge(error, failed, begin, shape_given=not isinstance(betas, str) or betas == "zero")
    return Conversion(
        motion=result,
        error=error,
        warnings=(*judged, *warnings),  # why it is not to be trusted comes first
        trusted=is_trusted(error, failed),
        failed=failed,
        seconds=clock.laps,
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
) -> tuple[Start, ClipFit, Tensor]:
    """Where it starts, the fitted frames, and the betas."""
    shape = known_betas(betas, motion, shaped.body, target)
    guess = None
    if shape is None:
        guess, alike = betas_at_rest(shaped, target, pair.surface, min(num_betas, target.num_betas))
        shape = guess if alike else None
    begin = start(motion, shaped, target, hands, shape if guess is None else guess)
    targets, weights = _targets(motion, shaped, pair.fitted), pair.weights
    expression = _kept_expression(motion, target)
    hold = torch.full((target.num_joints,), HOLD)

    def fit(frames: Tensor, known: Tensor | None, effort: Effort) -> ClipFit:
        # All frames are not copied: of a long clip every copy counts.
        copied = begin.rotations if len(frames) == len(motion) else begin.rotations[frames]
        return fit_clip(
            target,
            pair.points,
            lambda rows: targets(frames[rows]),
            copied,
            begin.translation[frames],
            betas=known,
            start_betas=guess,
            expression=None if expression is None else expression[frames],
            weights=weights,
            loss=huber(KNEE),
            terms=(TowardRotations(copied, hold),),
            effort=effort,
            free=begin.free,
            progress=None if known is None else progress,
        )

    whole = torch.arange(len(motion), device=target.device)
    if shape is None:
        # The shape first, on the frames that the solver picks.
        shape = fit(whole[:: max(1, len(motion) // _SHAPE_FRAMES)], None, EFFORT).betas
    apart = max(1, round(motion.fps * APART)) if sequence and motion.mask is None else 1
    return begin, fit(whole, shape, replace(EFFORT, apart=apart)), shape


def measure(motion: Motion, shaped: ShapedBody, result: Motion, target: BodyModel, pair: Pair) -> ErrorReport:
    """Compare the surfaces of a motion and its conversion, at `measured_vertices`."""
    sources = _targets(motion, shaped, pair.checked)
    posed = pair.checked.on_target(target.shaped(result.betas, result.expression))
    meter = SurfaceMeter(pair.groups, len(pair.checked.ids))
    blocks = [block for block in measured_frames(len(motion)) if motion.mask is None or bool(motion.mask[block].any())]

    def residual(block: Tensor) -> Tensor:
        reached = posed.of_frames(block).vertices(result.rotations[block], result.translation[block])
        return reached - sources(block).to(reached)

    for block, distance in zip(blocks, over_threads(residual, blocks), strict=True):
        meter.add(block, distance)
    return error_report(meter, pair.surface.residual_mm["mean"])


def _targets(motion: Motion, shaped: ShapedBody, seen: SeenPoints) -> Callable[[Tensor | slice], Tensor]:
    """Where some target vertices should be, for a block of frames: read off the source's surface."""
    few = seen.on_source(shaped)

    def at(frames: Tensor | slice) -> Tensor:
        vertices = few.of_frames(frames).vertices(motion.rotations[frames], motion.translation[frames])
        mapped = seen.read(vertices)
        if motion.mask is not None:
            mapped[~motion.mask[frames]] = torch.nan  # nothing to fit to
        return mapped

    return at


def _kept_expression(motion: Motion, target: BodyModel) -> Tensor | None:
    """The expression of the motion as far as the target has one."""
    if motion.expression is None or not target.num_expressions:
        return None
    return motion.expression[:, : target.num_expressions].to(target.template)


def _as_motion(
    motion: Motion, target: BodyModel, rotations: Tensor, translation: Tensor, betas: Tensor, failed: Tensor
) -> Motion:
    mask = motion.mask
    if failed.any():
        mask = ~failed if mask is None else mask & ~failed
    note = f"converted from {motion.body_name or motion.skeleton.name} to {target.name}"
    return Motion(
        rotations=rotations,
        translation=translation,
        fps=motion.fps,
        skeleton=target.skeleton,
        body=target.make,
        gender=target.gender if target.gender in ("neutral", "female", "male") else motion.gender,
        betas=betas,
        expression=_kept_expression(motion, target),
        mask=mask,
        source=replace(motion.source, extras={}, notes=(*motion.source.notes, note)),
    )


def _judge(error: ErrorReport, failed: Tensor, begin: Start, shape_given: bool) -> list[str]:
    """What the figures mean, in words."""
    warnings = doubts(error, failed, shape_given)
    hands = [name for name in begin.invented if "1" in name or "hand" in name]
    if hands:
        warnings.append("the source has no fingers: the hands of the result are made up as asked")
    return warnings


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.laps[stage], self._last = now - self._last, now
