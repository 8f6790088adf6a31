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
        line: description.
        write: the writer.
        keeps, loses: which data of a motion the file keeps and loses.
        ups: possible up axes of the file, the default first.
        units: possible units, the default first.
        body: whether the body is "needed", "used" if there is one, or "not used".
        skeletons: the joint trees it can hold; empty for any.
        morphs: whether shapes and expressions can be morph targets.
        camera: whether the file can hold a camera.
        folder: suffix of the files inside, for a folder with one file per frame.
    """

    line: str
    write: Callable[[Job], Difference | None]
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
class Job:
    """The arguments of a writer, already checked. `path` is the temporary path to write to."""

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


def _glb(job: Job) -> Difference | None:
    from vitruve.formats.exporters.glb import write_glb

    write_glb(
        job.motion,
        job.path,
        body=job.body,
        name=job.path.stem,
        shapes=job.shapes,
        expressions=job.expressions,
        camera=job.camera,
        facts=_facts(job),
    )
    return None if job.body is None else skinning_difference(job.motion, job.body, expressions=job.expressions)


def _usd(job: Job) -> Difference | None:
    from vitruve.formats.exporters.usd import write_usd

    write_usd(
        job.motion,
        job.path,
        body=job.body,
        up=job.up,
        shapes=job.shapes,
        expressions=job.expressions,
        facts=_facts(job),
    )
    if job.body is None:
        return None
    return skinning_difference(job.motion, job.body, expressions=job.expressions, influences=None)


def _bvh(job: Job) -> None:
    from vitruve.formats.readers.bvh import write_bvh

    write_bvh(job.motion, job.path, body=job.body, unit=job.unit, up=job.up)


def _addon_npz(job: Job) -> None:
    from vitruve.formats.readers.amass import write_amass_smplx

    write_amass_smplx(job.motion, job.path)


def _meshes(job: Job) -> None:
    from vitruve.formats.readers.bvh import UNITS
    from vitruve.formats.readers.mesh_sequence import write_mesh_sequence

    assert job.body is not None  # checked before
    motion, body, total = job.motion, job.body, len(job.motion)
    shaped = body.shaped(motion.betas, motion.expression if body.num_expressions else None)
    scale = 1 / UNITS[job.unit]
    chunks = shaped.vertex_chunks(motion.rotations, motion.translation, chunk=32)
    comment = f"Vitruve {vitruve.__version__}; {body.name}; {motion.fps:.9g} fps; {job.up} up; {job.unit}"
    report = job.progress
    # A single frame is written as a folder with one file, which is then moved out.
    single = job.path.suffix.lower() == job.ending
    folder = write_mesh_sequence(
        (scale * vertices for chunk in chunks for vertices in chunk),
        body.faces,
        job.path.parent / "frames" if single else job.path,
        format=job.ending[1:],
        up=job.up,
        comment=comment.encode("ascii", "replace").decode(),
        overwrite=job.overwrite,
        progress=(lambda done, _: report(done, total)) if report else None,
    )
    if single:
        next(folder.iterdir()).replace(job.path)


def _facts(job: Job) -> dict[str, Any]:
    """Metadata to store in the file."""
    motion, body = job.motion, job.body
    return {
        "made_by": f"Vitruve {vitruve.__version__}",
        "source": Path(motion.source.file).name,
        "source_format": motion.source.format,
        "frames": len(motion),
        "fps": motion.fps,
        "seconds": motion.duration,
        "unit": job.unit,
        "up_axis": job.up,
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
