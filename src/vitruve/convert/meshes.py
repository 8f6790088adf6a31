"""Meshes without parameters become a motion: a folder of OBJ or PLY files of a known body, and its rotations found.

    sequence = read_mesh_sequence("walk_meshes")
    conversion = convert_meshes(sequence, to="smplx", fps=120)

There is nothing to copy, so the fit starts from the surface itself: each joint gets the rotation that carries its patch
of skin from rest to where the mesh has it. From there the solver goes on as for any conversion, with one shape for all
frames.
"""

from __future__ import annotations

import functools
import time
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.bodies.find_body import body_on, find_body
from vitruve.bodies.recognise import check_order, recognise
from vitruve.convert.convert import KNEE
from vitruve.convert.fit_surface import LEAST_POINTS, Places, Surface, fit_surface
from vitruve.correspondence.body_maps import IDENTITY, Correspondence, correspondence
from vitruve.fit.conversion import Conversion, Progress
from vitruve.fit.start_pose import FACE
from vitruve.formats.readers.mesh_sequence import MeshSequence
from vitruve.motion import Source
from vitruve.threads import one_thread_but_for_blocks

# Frames per second of meshes where nobody says it.
MESH_FPS = 30.0


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
    """Find the motion of a body from its surface.

    Args:
        sequence: the meshes, z up and in metres (`read_mesh_sequence(folder, up="y")` turns those that are not).
            Vertices that are not finite do not count; a frame that lacks most of a part of the body is masked.
        to: the body to go to, also that of the meshes themselves. A name without a gender means the neutral body:
            meshes do not say one.
        topology: the body that the meshes are of; recognised by vertices and faces where left out.
        fps: frames per second; meshes do not say it. Without it 30 are taken, with a warning.
        betas: "fit" one shape for all meshes, "zero" for the mean shape, or the betas. Meshes have none to keep.
        num_betas: how many betas are fitted, up to what the target has.
        expression: find it too where the target has one and shares the mesh. Say False for meshes of another gender's
            body than the target: their other faces would be taken for an expression.
        points: about how many surface points the fit looks at.
        folder: where licensed bodies lie, before the usual places.
        progress: called with (frames done, frames in all).
    """
    begin = time.perf_counter()
    target, warnings = find_body(to, "neutral", folder)
    if fps is None:
        fps = MESH_FPS
        warnings = [*warnings, f"meshes hold no frame rate: {fps:g} frames/s were taken; --source-fps gives another"]
    source = _topology(sequence, topology, folder)
    loaded = time.perf_counter()
    surface = correspondence(source, target)
    mapped = time.perf_counter()
    hand, same = target.layout == "mano", surface.method == IDENTITY
    fields = {
        "fps": fps,
        "body": target.make,
        "gender": "neutral" if hand else target.gender,
        "source": Source(
            file=str(sequence.files[0].parent) if sequence.files else "",
            format="mesh-sequence",
            notes=(f"found from meshes of {source.name}; meshes name no gender and no frame rate",),
        ),
    }
    conversion = fit_surface(
        Surface(
            target,
            functools.partial(_places, sequence.vertices.to(target.device), surface),
            len(sequence),
            surface,
            _free(source, target, surface),
        ),
        None,
        fields,
        betas=betas,
        num_betas=num_betas,
        points=points,
        knee=None if same else KNEE,
        expression=expression and same and target.num_expressions > 0,
        progress=progress,
    )
    seconds = {"bodies": loaded - begin, "surface map": mapped - loaded, **conversion.seconds}
    return replace(conversion, warnings=(*conversion.warnings, *warnings), seconds=seconds)


def _topology(sequence: MeshSequence, topology: str | BodyModel | None, folder: str | Path | None) -> BodyModel:
    if topology is None:
        source = recognise(sequence.vertices, sequence.faces, folder=folder, where=_first(sequence))
    else:
        source = body_on(find_body(topology, "neutral", folder)[0], sequence.vertices.device)
    check_order(sequence.vertices, source, sequence.files)
    return source


def _places(vertices: Tensor, surface: Correspondence, ids: Tensor) -> Places:
    """Where some target vertices should be, read off the meshes."""
    if surface.method == IDENTITY:
        return lambda frames: vertices[frames[:, None], ids]
    part = surface.subset(ids)
    weights = part.weights.to(vertices)[..., None]

    def at(frames: Tensor) -> Tensor:
        found = vertices[frames[:, None, None], part.vertices]
        # A weight of zero must not carry a NaN over.
        return (found.masked_fill(weights == 0, 0.0) * weights).sum(2)

    return at


def _free(source: BodyModel, target: BodyModel, surface: Correspondence) -> Bool[Tensor, "joints"]:
    """Joints that the surface can tell: not jaw and eyes where the meshes are of a body without, nor lost parts."""
    seen = (target.skin_weights[surface.valid] > 0.05).sum(0) >= LEAST_POINTS
    face = torch.tensor([name not in FACE or name in source.skeleton.names for name in target.skeleton.names])
    return seen & face.to(seen.device)


def _first(sequence: MeshSequence) -> str:
    return str(sequence.files[0]) if sequence.files else "the meshes"
