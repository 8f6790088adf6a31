"""Fit a body to points of a surface: meshes without parameters, the hand of a body."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.convert.fit_face import face_points, fit_face, shows_expression
from vitruve.correspondence.body_maps import Correspondence
from vitruve.errors import BadData
from vitruve.fit import Effort, fit_clip
from vitruve.fit.conversion import Conversion, Progress, Stopwatch
from vitruve.fit.known_shape import fixed_betas
from vitruve.fit.quality import ErrorReport, doubts, error_report, is_trusted, shape_doubt
from vitruve.fit.surface_points import fit_points, vertex_groups
from vitruve.fit.terms import Loss
from vitruve.geometry.rotations import nearest_rotation
from vitruve.metrics import SurfaceMeter, measured_frames, measured_vertices
from vitruve.motion import Motion
from vitruve.threads import over_threads

# From frames to target positions of some vertices, [frames, vertices, 3]; NaN where the surface lacks a point.
Targets = Callable[[Tensor], Tensor]

# A joint's rotation is determined by this many points of its skin, if they are not nearly on a line.
LEAST_POINTS, _LEAST_SPREAD = 6, 1e-3
# A frame in which a joint has less than this share of its points is masked.
_LEAST_SHARE = 0.25
# The face and the body are fitted in turns; after two rounds they agree to hundredths of a millimetre.
_FACE_ROUNDS = 2
_FRAMES_AT_A_TIME = 128


@dataclass(frozen=True, eq=False)
class Surface:
    """The target positions of a body's vertices over some frames.

    Attributes:
        body: the body to fit.
        targets: from vertices of the body to their targets.
        frames: number of frames.
        map: from the vertices of the known surface to the body's.
        free: [joints] joints that the surface determines; the others keep their initial rotation.
    """

    body: BodyModel
    targets: Callable[[Tensor], Targets]
    frames: int
    map: Correspondence
    free: Bool[Tensor, "joints"]


def fit_surface(
    surface: Surface,
    rotations: Float[Tensor, "frames joints 3 3"] | None,
    fields: Mapping[str, Any],
    *,
    betas: str | Tensor,
    num_betas: int,
    points: int,
    loss: Loss | None,
    effort: Effort,
    expression: bool,
    progress: Progress | None,
    warnings: Sequence[str],
    watch: Stopwatch,
) -> Conversion:
    """Fit a body to a surface, one shape for all frames.

    Args:
        surface: the targets. A frame that lacks most of a joint's points is masked.
        rotations: the initial ones; estimated from the surface if None.
        fields: of the resulting motion: fps, body, gender, source.
        betas: "fit", "zero", or the betas. "keep-if-same" means "fit": there are none to keep.
        num_betas: number of fitted betas, at most those of the body.
        points: approximate number of points to fit.
        loss: robust cost of a distance; None for an exact surface.
        effort: settings that trade speed for accuracy.
        expression: also fit the expression of each frame.
        progress: called with (frames done, frames).
        warnings: further ones for the result.
        watch: counts the stages of the caller too.
    """
    body = surface.body
    fixed = fixed_betas(betas, body)
    ids, weights = fit_points(body, surface.map.valid, points)
    targets = surface.targets(ids)
    present = _present(surface, ids, targets)
    fit = functools.partial(
        fit_clip,
        body,
        ids,
        lambda rows: targets(rows).masked_fill(~present[rows][:, None, None], torch.nan),
        betas=fixed,
        weights=weights,
        loss=loss,
        effort=effort,
        free=surface.free,
        progress=progress,
    )
    if rotations is None:
        rotations = rotations_from_surface(surface)
    initial_betas = body.template.new_zeros(min(num_betas, body.num_betas))
    fitted = fit(rotations, _centred(body, ids, targets, rotations), start_betas=initial_betas)
    expressions = None
    if expression:
        face = face_points(body, surface.map.valid)
        face_targets = surface.targets(face)(torch.arange(surface.frames, device=body.device))
        if shows_expression(body, face, face_targets, fitted):
            expressions = body.template.new_zeros(surface.frames, body.num_expressions)
            for _ in range(_FACE_ROUNDS):
                rotations, expressions = fit_face(body, face, face_targets, fitted, expressions)
                fitted = fit(rotations, fitted.translation, start_betas=fitted.betas, expression=expressions)
    watch.lap("fit")
    failed = fitted.failed & present
    motion = Motion(
        rotations=fitted.rotations,
        translation=fitted.translation,
        skeleton=body.skeleton,
        betas=fitted.betas,
        expression=expressions,
        mask=None if not (~present | failed).any() else present & ~failed,
        **fields,
    )
    error = _measure(motion, surface, present)
    watch.lap("measure")
    reasons = doubts(error, failed, shape_doubt(fixed is not None))
    if not present.all():
        missing = (~present).nonzero()[:, 0].tolist()
        reasons.insert(0, f"{len(missing)} frames lack a part of the body and are masked, the first are {missing[:5]}")
    return Conversion(
        motion=motion,
        error=error,
        warnings=(*reasons, *warnings),
        trusted=is_trusted(error, failed),
        failed=failed,
        seconds=watch.seconds,
    )


def rotations_from_surface(surface: Surface) -> Float[Tensor, "frames joints 3 3"]:
    """Parent-relative rotations that best move each joint's skin from rest to the surface, at the body's mean shape.

    Joints that are not free or that have too few points (or all on a line) follow their parent.
    """
    body, frames = surface.body, surface.frames
    main = body.skin_weights.argmax(1)
    patches = {joint: ((main == joint) & surface.map.valid).nonzero()[:, 0] for joint in range(body.num_joints)}
    targets = {joint: surface.targets(patch) for joint, patch in patches.items() if len(patch)}
    world = torch.empty(frames, body.num_joints, 3, 3, dtype=body.dtype, device=body.device)
    sure = torch.zeros(frames, body.num_joints, dtype=torch.bool, device=body.device)

    def turn(rows: Tensor) -> None:
        spread = world.new_zeros(len(rows), body.num_joints, 3, 3)
        counts = torch.zeros(len(rows), body.num_joints, dtype=torch.long, device=body.device)
        for joint, at in targets.items():
            patch = patches[joint]
            weights = body.skin_weights[patch, joint]
            spread[:, joint], counts[:, joint] = _spread(body.template[patch], at(rows), weights)
        world[rows] = nearest_rotation(spread)
        values = torch.linalg.svdvals(spread)
        sure[rows] = (counts >= LEAST_POINTS) & (values[..., 1] > _LEAST_SPREAD * values[..., 0])

    over_threads(turn, torch.arange(frames, device=body.device).split(_FRAMES_AT_A_TIME))
    sure &= surface.free
    local = body.rest_rotations(frames)
    for joint, parent in enumerate(body.skeleton.parents):
        above = torch.eye(3).to(local).expand(frames, 3, 3) if parent < 0 else world[:, parent]
        world[:, joint] = torch.where(sure[:, joint, None, None], world[:, joint], above)
        local[:, joint] = above.mT @ world[:, joint]
    return local


def _spread(
    rest: Float[Tensor, "points 3"], targets: Float[Tensor, "frames points 3"], weights: Float[Tensor, "points"]
) -> tuple[Tensor, Tensor]:
    """[frames, 3, 3] moments of target against rest positions about their means, and the number of finite targets."""
    finite = targets.isfinite().all(-1)
    share = finite * weights
    share = share / share.sum(1, keepdim=True).clamp_min(1e-9)
    from_rest = rest - (share @ rest)[:, None]
    moved = torch.einsum("fp,fpa,fpb->fab", share, targets.masked_fill(~finite[..., None], 0.0), from_rest)
    return moved, finite.sum(1)


def _centred(body: BodyModel, ids: Tensor, targets: Targets, rotations: Tensor) -> Float[Tensor, "frames 3"]:
    """Translations that move the centre of the points of the mean shape to the centre of the targets."""
    posed = body.shaped().only(ids)

    def shift(rows: Tensor) -> Tensor:
        places = targets(rows).to(rotations)
        away = places.masked_fill(~places.isfinite(), torch.nan) - posed.vertices(rotations[rows])
        return away.nanmean(1).nan_to_num()

    return torch.cat(over_threads(shift, torch.arange(len(rotations), device=body.device).split(_FRAMES_AT_A_TIME)))


def _present(surface: Surface, ids: Int[Tensor, "points"], targets: Targets) -> Bool[Tensor, "frames"]:
    """Frames with enough points of every joint's skin."""
    main = surface.body.skin_weights[ids].argmax(1)
    patches = torch.nn.functional.one_hot(main, surface.body.num_joints).to(surface.body.dtype)
    patches = patches[:, patches.any(0)] / patches.sum(0)[patches.any(0)]
    shares = []
    for rows in torch.arange(surface.frames, device=ids.device).split(512):
        finite = targets(rows).isfinite().all(-1).to(patches)
        shares.append((finite @ patches).amin(1))
    present = torch.cat(shares) >= _LEAST_SHARE
    if not present.any():
        raise BadData(
            "nothing to fit: no frame has enough finite points",
            where=f"{surface.frames} frames for body '{surface.body.name}'",
            fix="check the file, and export it again",
        )
    return present


def _measure(motion: Motion, surface: Surface, present: Tensor) -> ErrorReport:
    """Distances between result and surface in the fitted frames, at `measured_vertices`."""
    body, ids = surface.body, measured_vertices(surface.map.valid)
    targets = surface.targets(ids)
    blocks = [block[present[block].cpu()].to(body.device) for block in measured_frames(surface.frames)]
    places = [targets(block) for block in blocks]
    # Points that some frame lacks are left out, so that all frames are measured alike.
    complete = torch.stack([part.isfinite().all(-1).all(0) for part in places]).all(0)
    complete = complete if complete.any() else torch.ones_like(complete)
    posed = body.shaped(motion.betas, motion.expression).only(ids[complete])
    meter = SurfaceMeter(vertex_groups(body, ids[complete]), int(complete.sum()))
    for block, part in zip(blocks, places):
        reached = posed.of_frames(block).vertices(motion.rotations[block], motion.translation[block])
        meter.add(block, reached - part[:, complete].to(reached))
    return error_report(meter, surface.map.residual_mm["mean"])
