"""The table EXPORTS of export formats, each with its writer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import vitruve
from vitruve.bodies import BodyModel
from vitruve.files.smpl_layouts import SKELETONS
from vitruve.formats.exporters.gltf_difference import Difference, skinning_difference
from vitruve.formats.exporters.gltf_skin import INFLUENCES
from vitruve.geometry.camera import Camera
from vitruve.motion import Motion


@dataclass(frozen=True)
class Export:
    """One row of the table of exports.

    Attributes:
        line: description in one line.
        write: its writer.
        keeps, loses: what of a motion is in the file, and what is not.
        ups, units: supported up axes and units, the default first.
        body: "needed", "used" if there is one, or "not used".
        skeletons: the joint trees it can hold; empty for any.
        morphs, camera: whether the file can hold morph targets, and a camera.
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
    """The checked input of a writer. `path` may be a temporary name."""

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

    return _skinned(request, write_glb, INFLUENCES, name=request.path.stem, camera=request.camera)


def _usd(request: ExportRequest) -> Difference | None:
    from vitruve.formats.exporters.usd import write_usd

    return _skinned(request, write_usd, None, up=request.up)


def _skinned(
    request: ExportRequest, write: Callable[..., None], influences: int | None, **options: Any
) -> Difference | None:
    motion, body, expressions = request.motion, request.body, request.expressions
    counts = {"shapes": request.shapes, "expressions": expressions}
    write(motion, request.path, body=body, **counts, facts=_facts(request), **options)
    if body is None:
        return None
    return skinning_difference(motion, body, expressions=expressions, influences=influences)


def _bvh(request: ExportRequest) -> None:
    from vitruve.formats.readers.bvh import write_bvh

    write_bvh(request.motion, request.path, body=request.body, unit=request.unit, up=request.up)


def _addon_npz(request: ExportRequest) -> None:
    from vitruve.formats.readers.amass import write_amass_smplx

    write_amass_smplx(request.motion, request.path)


def _meshes(request: ExportRequest) -> None:
    from vitruve.formats.readers.bvh import UNITS
    from vitruve.formats.readers.mesh_sequence import write_mesh_sequence

    assert request.body is not None  # checked
    motion, body, total = request.motion, request.body, len(request.motion)
    shaped = body.shaped(motion.betas, motion.expression if body.num_expressions else None)
    scale = 1 / UNITS[request.unit]
    chunks = shaped.vertex_chunks(motion.rotations, motion.translation, chunk=32)
    comment = f"Vitruve {vitruve.__version__}; {body.name}; {motion.fps:.9g} fps; {request.up} up; {request.unit}"
    report = request.progress
    # A single file is written as a folder of one frame, and moved out.
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
    """What is stored in a file about its origin."""
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
        skeletons=(SKELETONS["smplx"],),
    ),
    ".usda": _USD,
    ".usdc": _USD,
    ".usd": _USD,
}
