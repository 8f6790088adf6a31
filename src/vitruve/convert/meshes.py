"""Convert meshes without parameters, of a known body, to a motion.

sequence = read_mesh_sequence("walk_meshes")
conversion = convert_meshes(sequence, to="smplx", fps=120)
"""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.bodies.find_body import body_on, find_body
from vitruve.bodies.recognise import check_order, recognise
from vitruve.convert.convert import HUBER_WIDTH
from vitruve.convert.fit_surface import LEAST_POINTS, Surface, Targets, fit_surface
from vitruve.correspondence.body_maps import IDENTITY, Correspondence, correspondence
from vitruve.fit import Effort, huber
from vitruve.fit.conversion import Conversion, Progress, Stopwatch
from vitruve.fit.initial_pose import FACE
from vitruve.formats.readers.mesh_sequence import MeshSequence
from vitruve.motion import Source
from vitruve.threads import one_thread_but_for_blocks

MESH_FPS = 30.0  # if no frame rate is given


@one_thread_but_for_blocks()
def convert_meshes(
    sequence: MeshSequence,
    to: str | BodyModel,
    *,
    topology: str | BodyModel | None = None,
    fps: float | None = None,
    betas: str | Tensor = "fit",
    num_betas: int = 16,
    expression: bool = True,
    points: int = 900,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> Conversion:
    """Convert meshes to the motion of a body.

    Args:
        sequence: the meshes, z up and in metres (`read_mesh_sequence(folder, up="y")` rotates others). Non-finite
            vertices are ignored; a frame that lacks most of a part of the body is masked.
        to: the target body. A name without a gender means the neutral body, since meshes have no gender.
        topology: the body of the meshes; by default recognised by vertices and faces.
        fps: frames per second; 30 with a warning by default.
        betas: "fit" one shape for all meshes, "zero" for the mean shape, or the betas. Meshes have none to keep.
        expression: fit it too, if the target has one and the same topology. Use False for meshes of another gender than
            the target's, whose different faces would be taken for an expression.
        num_betas, points, folder, progress: as for `convert_motion`.
    """
    watch = Stopwatch()
    target, warnings = find_body(to, "neutral", folder)
    if fps is None:
        fps = MESH_FPS
        warnings = [*warnings, f"meshes have no frame rate: {fps:g} frames/s are assumed; --source-fps sets another"]
    if topology is None:
        where = str(sequence.files[0]) if sequence.files else "the meshes"
        source = recognise(sequence.vertices, sequence.faces, folder=folder, where=where)
    else:
        source = body_on(find_body(topology, "neutral", folder)[0], sequence.vertices.device)
    check_order(sequence.vertices, source, sequence.files)
    watch.lap("bodies")
    surface = correspondence(source, target)
    watch.lap("surface map")
    same = surface.method == IDENTITY
    return fit_surface(
        Surface(
            target,
            functools.partial(_targets, sequence.vertices.to(target.device), surface),
            len(sequence),
            surface,
            _free(source, target, surface),
        ),
        None,
        {
            "fps": fps,
            "body": target.make,
            "gender": "neutral" if target.layout == "mano" else target.gender,
            "source": Source(
                file=str(sequence.files[0].parent) if sequence.files else "",
                format="mesh-sequence",
                notes=(f"fitted to meshes of {source.name}, which have no gender and no frame rate",),
            ),
        },
        betas=betas,
        num_betas=num_betas,
        points=points,
        loss=None if same else huber(HUBER_WIDTH),
        effort=Effort(),
        expression=expression and same and target.num_expressions > 0,
        progress=progress,
        warnings=warnings,
        watch=watch,
    )


def _targets(vertices: Tensor, surface: Correspondence, ids: Tensor) -> Targets:
    """A function from frames to the target positions of some vertices, on the meshes."""
    if surface.method == IDENTITY:
        return lambda frames: vertices[frames[:, None], ids]
    part = surface.subset(ids)
    weights = part.weights.to(vertices)[..., None]

    def targets(frames: Tensor) -> Tensor:
        corners = vertices[frames[:, None, None], part.vertices]
        # NaN times a weight of zero would be NaN.
        return (corners.masked_fill(weights == 0, 0.0) * weights).sum(2)

    return targets


def _free(source: BodyModel, target: BodyModel, surface: Correspondence) -> Bool[Tensor, "joints"]:
    """Joints with enough skin in the map, without those of the face that the meshes' body lacks."""
    seen = (target.skin_weights[surface.valid] > 0.05).sum(0) >= LEAST_POINTS
    face = torch.tensor([name not in FACE or name in source.skeleton.names for name in target.skeleton.names])
    return seen & face.to(seen.device)
