"""The table EXPORTS of export formats, each with its writer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import vitruve
from vitruve.bodies import BodyModel
from vitruve.formats.exporters.gltf_difference import Difference, skinning_difference
from vitruve.geometry.camera import Camera
from vitruve.motion import Motion


@dataclass(frozen=True)
class Export:
    """One row of the table of exports.

    Attributes:
        line: what it is.
        write: writes a request.
        keeps, loses: what of a motion is in the file, and what is not.
        ups: the axes that can point upwards in the file, the usual one first.
        units: the units it can be in, the usual one first.
        body: whether the body is "needed", "used" where there is one, or "not used".
        skeletons: the joint trees it can hold; empty where it holds any.
        morphs: whether shapes and expressions can be morph targets.
        camera: whether the file can hold a camera.
        folder: suffix of the files inside, for a folder with one file per frame.
    """

    line: str
    write: Callable[[ExportRequest], Difference | None]
    keeps: str
    loses: str
    ups: tuple[str, ...] = ("y",)
    units: tuple[str, ...] = ("m",)
    body: str = "used"
    skeletons: tuple[str, ...] = ()
    morphs: bool = False
    camera: bool = False
    folder: str = ""


@dataclass(frozen=True, eq=False)
class ExportRequest:
    """What one writer is asked for, checked. `path` is the file to write now, which may have a temporary name."""

    motion: Motion
    path: Path
    ending: str
    body: BodyModel | None
    up: str
    unit: str
    shapes: int
    expressions: int
    camera: Camera | None
    overwrite: bool
    progress: Callable[[int, int], None] | None


def _glb(request: ExportRequest) -> Difference | None:
    from vitruve.formats.exporters.glb import write_glb

    write_glb(
        request.motion,
        request.path,
        body=request.body,
        name=request.path.stem,
        shapes=request.shapes,
        expressions=request.expressions,
        camera=request.camera,
        facts=_facts(request),
    )
    return (
        None
        if request.body is None
        else skinning_difference(request.motion, request.body, expressions=request.expressions)
    )


def _usd(request: ExportRequest) -> Difference | None:
    from vitruve.formats.exporters.usd import write_usd

    write_usd(
        request.motion,
        request.path,
        body=request.body,
        up=request.up,
        shapes=request.shapes,
        expressions=request.expressions,
        facts=_facts(request),
    )
    if request.body is None:
        return None
    return skinning_difference(request.motion, request.body, expressions=request.expressions, influences=None)


def _bvh(request: ExportRequest) -> None:
    from vitruve.formats.readers.bvh import write_bvh

    write_bvh(request.motion, request.path, body=request.body, unit=request.unit, up=request.up)


def _addon_npz(request: ExportRequest) -> None:
    from vitruve.formats.readers.amass import write_amass_smplx

    write_amass_smplx(request.motion, request.path)


def _meshes(request: ExportRequest) -> None:
    from vitruve.formats.readers.bvh import UNITS
    from vitruve.formats.readers.mesh_sequence import write_mesh_sequence

    assert request.body is not None  # it is needed, and was checked
    motion, body, total = request.motion, request.body, len(request.motion)
    shaped = body.shaped(motion.betas, motion.expression if body.num_expressions else None)
    scale = 1 / UNITS[request.unit]
    chunks = shaped.vertex_chunks(motion.rotations, motion.translation, chunk=32)
    comment = f"Vitruve {vitruve.__version__}; {body.name}; {motion.fps:.9g} fps; {request.up} up; {request.unit}"
    report = request.progress
    # One frame as a file is a folder of one, whose only file is taken out.
    single = request.path.suffix.lower() == request.ending
    folder = write_mesh_sequence(
        (scale * vertices for chunk in chunks for vertices in chunk),
        body.faces,
        request.path.parent / "frames" if single else request.path,
        format=request.ending[1:],
        up=request.up,
        comment=comment.encode("ascii", "replace").decode(),
        overwrite=request.overwrite,
        progress=(lambda done, _: report(done, total)) if report else None,
    )
    if single:
        next(folder.iterdir()).replace(request.path)


def _facts(request: ExportRequest) -> dict[str, Any]:
    """What a file says of itself."""
    motion, body = request.motion, request.body
    return {
        "made_by": f"Vitruve {vitruve.__version__}",
        "source": Path(motion.source.file).name,
        "source_format": motion.source.format,
        "frames": len(motion),
        "fps": motion.fps,
        "seconds": motion.duration,
        "unit": request.unit,
        "up_axis": request.up,
        "body": body.name if body is not None else motion.body_name,
        "gender": motion.gender,
        "betas": np.round(motion.betas.detach().double().cpu().numpy(), 6).tolist(),
        "licence": body.licence if body is not None else "",
    }


_USD = Export(
    "a skinned mesh with skeleton and animation (UsdSkel)",
    _usd,
    keeps="skeleton, rotations, root path, one shape, all skin weights, frame rate, morph targets on request",
    loses="pose correctives, gender (as text only), mask",
    ups=("y", "z"),
    morphs=True,
)
_MESHES = {
    "keeps": "every vertex of the body: shape, expression and pose correctives",
    "loses": "joints, rotations, frame rate (as a comment only), names, mask",
    "ups": ("z", "y"),
    "units": ("m", "cm", "mm"),
    "body": "needed",
}
# suffix -> export format
EXPORTS: dict[str, Export] = {
    ".glb": Export(
        "one skinned mesh with skeleton and animation (glTF 2.0, binary)",
        _glb,
        keeps="skeleton, rotations, root path, one shape, frame rate, morph targets on request",
        loses="pose correctives, skin weights beyond four joints per vertex, gender (as text only), mask",
        morphs=True,
        camera=True,
    ),
    ".bvh": Export(
        "a joint tree with Euler angles",
        _bvh,
        keeps="joint tree in the clip's shape, rotations, root path, bones that change length, frame rate",
        loses="surface, betas, gender, expression, mask",
        ups=("y", "z"),
        units=("cm", "m", "mm", "inch"),
    ),
    ".obj": Export("a folder of OBJ meshes, one per frame", _meshes, folder=".obj", **_MESHES),
    ".ply": Export("a folder of binary PLY meshes, one per frame", _meshes, folder=".ply", **_MESHES),
    ".npz": Export(
        "the npz of the SMPL-X Blender add-on, with AMASS's keys",
        _addon_npz,
        keeps="rotations, translation, betas, gender, expression (which the add-on does not read), whole frame rates",
        loses="mask, frame rates below 30 or between whole numbers: the clip is resampled",
        ups=("z",),
        body="not used",
        skeletons=("smplx55",),
    ),
    ".usda": _USD,
    ".usdc": _USD,
    ".usd": _USD,
}
