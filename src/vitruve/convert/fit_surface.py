"""A body fitted to a surface of which only points are known: meshes without parameters, the hand of a body.

`fit_surface` chooses points, starts, fits, measures and judges. `start_from_surface` finds where to start from the
surface alone: each joint gets the rotation that carries its patch of skin from rest to where it is.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.convert.convert import KNEE
from vitruve.convert.fit_face import face_points, fit_face, shows_expression
from vitruve.correspondence.body_maps import Correspondence
from vitruve.errors import BadData
from vitruve.fit import Effort, fit_clip, huber
from vitruve.fit.conversion import Conversion, Progress
from vitruve.fit.known_shape import fixed_betas
from vitruve.fit.quality import ErrorReport, doubts, error_report, is_trusted
from vitruve.fit.surface_points import fit_points, vertex_groups
from vitruve.geometry.rotations import nearest_rotation
from vitruve.metrics import SurfaceMeter, measured_frames, measured_vertices
from vitruve.motion import Motion
from vitruve.threads import over_threads

# Frames to where some vertices should be, [frames, vertices, 3]; NaN where the surface lacks a point.
Places = Callable[[Tensor], Tensor]

# A joint's patch needs so many points, not nearly on a line, to say how the joint is turned.
LEAST_POINTS, _LEAST_SPREAD = 6, 1e-3
# A frame in which a joint has less than this share of its points is masked: what is not seen is not made up.
_LEAST_SHARE = 0.25
_EFFORT = Effort()
# The face, then the whole body again with it: twice, and the two agree to hundredths of a millimetre.
_FACE_ROUNDS = 2
_FRAMES_AT_A_TIME = 128


@dataclass(frozen=True, eq=False)
class Surface:
    """Where the vertices of a body should be over some frames.

    Attributes:
        body: the body to fit.
        at: vertices of the body to their places over the frames.
        frames: how many frames there are.
        map: how the body's vertices correspond to those of what is known.
        free: [joints] which joints the surface can tell; the others keep their start.
    """

    body: BodyModel
    at: Callable[[Tensor], Places]
    frames: int
    map: Correspondence
    free: Bool[Tensor, "joints"]


def fit_surface(
    surface: Surface,
    rotations: Float[Tensor, "frames joints 3 3"] | None,
    fields: Mapping[str, Any],
    *,
    betas: str | Tensor = "fit",
    num_betas: int = 16,
    points: int = 900,
    knee: float | None = KNEE,
    effort: Effort = _EFFORT,
    expression: bool = False,
    progress: Progress | None = None,
) -> Conversion:
    """Fit a body to a surface, one shape for all frames.

    Args:
        surface: where the body's vertices should be. A frame that lacks most of a joint's points is masked.
        rotations: where to start; from the surface itself where None.
        fields: of the motion that results: fps, body, gender, source.
        betas: "fit", "zero", or the betas. "keep-if-same" means "fit": there are none to keep.
        num_betas: how many betas are fitted, up to what the body has.
        points: about how many points the fit looks at.
        knee: metres from which a distance costs its length, not its square; None where the surface is exact.
        effort: how hard to try.
        expression: also find the expression of each frame, on a body with a face.
        progress: called with (frames done, frames in all).
    """
    begin = time.perf_counter()
    body = surface.body
    fixed = fixed_betas(betas, body)
    ids, weights = fit_points(body, surface.map.valid, points)
    there = surface.at(ids)
    present = _present(surface, ids, there)
    fit = functools.partial(
        fit_clip,
        body,
        ids,
        lambda rows: there(rows).masked_fill(~present[rows][:, None, None], torch.nan),
        betas=fixed,
        weights=weights,
        loss=None if knee is None else huber(knee),
        effort=effort,
        free=surface.free,
        progress=progress,
    )
    if rotations is None:
        rotations = start_from_surface(surface)
    start_betas = body.template.new_zeros(min(num_betas, body.num_betas))
    fitted = fit(rotations, _placed(body, ids, there, rotations), start_betas=start_betas)
    expressions = None
    if expression:
        face, every = face_points(body, surface.map.valid), torch.arange(surface.frames, device=body.device)
        targets = surface.at(face)(every)
        if shows_expression(body, face, targets, fitted):
            expressions = body.template.new_zeros(surface.frames, body.num_expressions)
            for _ in range(_FACE_ROUNDS):
                rotations, expressions = fit_face(body, face, targets, fitted, expressions)
                fitted = fit(rotations, fitted.translation, start_betas=fitted.betas, expression=expressions)
    fit_done = time.perf_counter()
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
    return Conversion(
        motion=motion,
        error=error,
        warnings=tuple(_judge(error, failed, present, shape_given=fixed is not None)),
        trusted=is_trusted(error, failed),
        failed=failed,
        seconds={"fit": fit_done - begin, "measure": time.perf_counter() - fit_done},
    )


def start_from_surface(surface: Surface) -> Float[Tensor, "frames joints 3 3"]:
    """Parent-relative rotations that carry each joint's patch of skin from rest to the surface, as well as one can.

    The body is taken at its mean shape: a patch's rotation hardly depends on the shape.

    Returns:
        Rotations. A joint whose patch says too little (few points, or all on a line) goes with its parent, and so does
        one that is not free.
    """
    body, frames = surface.body, surface.frames
    patches = {joint: (patch, surface.at(patch)) for joint, patch in _patches(body, surface.map.valid).items()}
    world = torch.empty(frames, body.num_joints, 3, 3, dtype=body.dtype, device=body.device)
    sure = torch.zeros(frames, body.num_joints, dtype=torch.bool, device=body.device)

    def turn(rows: Tensor) -> None:
        spread = world.new_zeros(len(rows), body.num_joints, 3, 3)
        counts = torch.zeros(len(rows), body.num_joints, dtype=torch.long, device=body.device)
        for joint, (patch, there) in patches.items():
            weights = body.skin_weights[patch, joint]
            spread[:, joint], counts[:, joint] = _spread(body.template[patch], there(rows), weights)
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


def _patches(body: BodyModel, valid: Tensor) -> dict[int, Tensor]:
    """Joint to the vertices that hang mostly on it."""
    main = body.skin_weights.argmax(1)
    patches = {joint: ((main == joint) & valid).nonzero()[:, 0] for joint in range(body.num_joints)}
    return {joint: patch for joint, patch in patches.items() if len(patch)}


def _spread(
    rest: Float[Tensor, "points 3"], there: Float[Tensor, "frames points 3"], weights: Float[Tensor, "points"]
) -> tuple[Tensor, Tensor]:
    """[frames, 3, 3] moments of posed against rest positions about their means, and how many points there are."""
    finite = there.isfinite().all(-1)
    share = finite * weights
    share = share / share.sum(1, keepdim=True).clamp_min(1e-9)
    from_rest = rest - (share @ rest)[:, None]
    moved = torch.einsum("fp,fpa,fpb->fab", share, there.masked_fill(~finite[..., None], 0.0), from_rest)
    return moved, finite.sum(1)


def _placed(body: BodyModel, ids: Tensor, there: Places, rotations: Tensor) -> Float[Tensor, "frames 3"]:
    """Translations that bring the middle of the points of the mean shape to the middle of the targets."""
    posed = body.shaped().only(ids)

    def away(rows: Tensor) -> Tensor:
        places = there(rows).to(rotations)
        far = places.masked_fill(~places.isfinite(), torch.nan) - posed.vertices(rotations[rows])
        return far.nanmean(1).nan_to_num()

    return torch.cat(over_threads(away, torch.arange(len(rotations), device=body.device).split(_FRAMES_AT_A_TIME)))


def _present(surface: Surface, ids: Int[Tensor, "points"], there: Places) -> Bool[Tensor, "frames"]:
    """Frames that show enough of every joint's patch to be fitted."""
    main = surface.body.skin_weights[ids].argmax(1)
    patches = torch.nn.functional.one_hot(main, surface.body.num_joints).to(surface.body.dtype)
    patches = patches[:, patches.any(0)] / patches.sum(0)[patches.any(0)]
    shares = []
    for rows in torch.arange(surface.frames, device=ids.device).split(512):
        finite = there(rows).isfinite().all(-1).to(patches)
        shares.append((finite @ patches).amin(1))
    present = torch.cat(shares) >= _LEAST_SHARE
    if not present.any():
        raise BadData(
            "there is nothing to fit to: no frame has finite points",
            where=f"{surface.frames} frames for body '{surface.body.name}'",
            fix="check the file, and export it anew",
        )
    return present


def _measure(motion: Motion, surface: Surface, present: Tensor) -> ErrorReport:
    """Distances between result and surface in the frames that were fitted, at `measured_vertices`."""
    body, ids = surface.body, measured_vertices(surface.map.valid)
    there = surface.at(ids)
    blocks = [block[present[block].cpu()].to(body.device) for block in measured_frames(surface.frames)]
    places = [there(block) for block in blocks]
    # Points that some frame lacks are left out, so that all frames are judged alike.
    whole = torch.stack([part.isfinite().all(-1).all(0) for part in places]).all(0)
    whole = whole if whole.any() else torch.ones_like(whole)
    posed = body.shaped(motion.betas, motion.expression).only(ids[whole])
    meter = SurfaceMeter(vertex_groups(body, ids[whole]), int(whole.sum()))
    for block, part in zip(blocks, places):
        reached = posed.of_frames(block).vertices(motion.rotations[block], motion.translation[block])
        meter.add(block, reached - part[:, whole].to(reached))
    return error_report(meter, surface.map.residual_mm["mean"])


def _judge(error: ErrorReport, failed: Tensor, present: Tensor, shape_given: bool) -> list[str]:
    warnings = []
    if not present.all():
        missing = (~present).nonzero()[:5, 0].tolist()
        warnings.append(
            f"{int((~present).sum())} frames lack a part of the body and are masked, the first are {missing}"
        )
    return warnings + doubts(error, failed, shape_given)
