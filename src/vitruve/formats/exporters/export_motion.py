"""Export a motion for programs that show or edit it. The table EXPORTS says what each format loses.

done = export_motion(motion, "walk.glb", body=body)
print(done.fps, done.up, done.unit, done.difference, done.notes)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vitruve.bodies import BodyModel
from vitruve.errors import BadData, UsageError, nearest
from vitruve.files.atomic import check_place, replacing
from vitruve.formats.exporters.checks import check_body, check_camera, choice, ending_of, morph_counts
from vitruve.formats.exporters.gltf_difference import Difference
from vitruve.formats.exporters.gltf_skin import morph_names
from vitruve.formats.exporters.table import EXPORTS, Export, ExportRequest
from vitruve.formats.fields import read_elsewhere
from vitruve.geometry.camera import Camera
from vitruve.motion import Motion, resample
from vitruve.threads import one_torch_thread

GAPS = ("hold", "drop")
# The SMPL-X Blender add-on reads only whole frame rates from this one up.
_ADD_ON_FPS = 30


@dataclass(frozen=True)
class Exported:
    """What was written, or with `dry_run` would be.

    Attributes:
        path: the file or folder.
        format: the suffix that is the key in EXPORTS.
        frames, fps, seconds: of what was written.
        up, unit: of the file.
        body: the body of the surface or joints; empty if none was used.
        joints: names of the joints, as in the file; none in meshes.
        gaps: number of frames without valid data.
        morphs: names of the morph targets.
        bytes: total size of all files.
        difference: error of the skinned mesh against the body; None if nothing is skinned.
        notes: notes for the user.
    """

    path: Path
    format: str
    frames: int
    fps: float
    seconds: float
    up: str
    unit: str
    body: str = ""
    joints: tuple[str, ...] = ()
    gaps: int = 0
    morphs: tuple[str, ...] = ()
    bytes: int = 0
    difference: Difference | None = None
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The same as plain values for a JSON file."""
        return {**asdict(self), "path": str(self.path)}


def export_motion(  # noqa: PLR0913 (one parameter per option)
    motion: Motion,
    path: str | PathLike[str],
    *,
    body: BodyModel | None = None,
    format: str = "",
    up: str = "",
    unit: str = "",
    fps: float | None = None,
    gaps: str = "hold",
    morphs: str = "",
    camera: Camera | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Exported:
    """Write a motion for another program.

    Args:
        motion: what to write.
        path: the file, whose suffix chooses the format; for meshes of several frames a folder.
        body: the body it is on; None for a plain joint tree.
        format: a suffix in EXPORTS, if the path's suffix does not tell.
        up: the up axis of the file, "y" or "z"; empty for the format's default.
        unit: of lengths in the file; empty for the format's default.
        fps: resample to this frame rate.
        gaps: for frames without valid data: "hold" repeats the last valid one, "drop" removes them.
        morphs: morph targets of a GLB or USD file: "shape", "expression", both with a comma between, or a number of
            expressions. "shape:4" is the first four shapes.
        camera: the camera that recorded the motion, for a GLB.
        overwrite: replace existing files.
        dry_run: check everything and write nothing.
        progress: called with (frames written, frames in all).
    """
    path = Path(path)
    ending = ending_of(path, format)
    row = EXPORTS[ending]
    up, unit = choice("up axis", up, row.ups, row), choice("unit", unit, row.units, row)
    folder = row.folder if path.suffix.lower() != ending else ""
    if row.folder and not folder and len(motion) > 1:
        raise UsageError(
            f"a {ending} file holds one frame, but there are {len(motion)}",
            where=str(path),
            fix=f"name a folder: -o {path.with_suffix('')} --format {ending[1:]}; or choose a frame: --frames 0:1",
        )
    check_place(path, overwrite, (folder,) if folder else ())
    body = None if row.body == "not used" else body
    check_body(motion, body, row)
    shapes, expressions = morph_counts(morphs, motion, body, row)
    check_camera(camera, row, gaps)
    with one_torch_thread():
        motion, missing, notes = _without_gaps(motion, gaps)
        motion, more = _at_rate(motion, fps, ending)
        if body is not None and motion.offsets is not None:
            more.append("the motion's bones change length; the body's do not")
            motion = motion.replace(offsets=None)
        request = ExportRequest(motion, path, ending, body, up, unit, shapes, expressions, camera, overwrite, progress)
        notes += more + _warnings(request, row)
        difference = None
        if not dry_run and folder:  # its writer replaces the folder atomically
            difference = row.write(request)
        elif not dry_run:
            with replacing(path, overwrite=overwrite) as temporary:
                difference = row.write(replace(request, path=temporary))
    written = [] if dry_run else path.iterdir() if path.is_dir() else [path]
    return Exported(
        path=path,
        format=ending,
        frames=len(motion),
        fps=motion.fps,
        seconds=motion.duration,
        up=up,
        unit=unit,
        body=body.name if body is not None else "",
        joints=() if row.folder else motion.skeleton.names,
        gaps=missing,
        morphs=morph_names(shapes, expressions),
        bytes=sum(file.stat().st_size for file in written),
        difference=difference,
        notes=tuple(notes),
    )


def _without_gaps(motion: Motion, gaps: str) -> tuple[Motion, int, list[str]]:
    """The motion with valid frames only, the number of invalid ones, and notes."""
    if gaps not in GAPS:
        raise UsageError(f"unknown gap mode '{gaps}'", where="--gaps", fix=nearest(gaps, GAPS))
    valid = torch.ones(len(motion), dtype=torch.bool) if motion.mask is None else motion.mask.cpu().clone()
    keys = ("rotations", "translation", "expression", "offsets")
    per_frame = {key: value for key in keys if (value := getattr(motion, key)) is not None}
    for values in per_frame.values():
        valid &= values.detach().cpu().flatten(1).isfinite().all(1)
    missing = int((~valid).sum())
    if not missing:
        return motion.replace(mask=None), 0, []
    if missing == len(motion):
        where = f"all {missing} frames are masked or not finite"
        raise BadData("no frame has valid data", where=where, fix="check the file")
    frames = torch.arange(len(motion))
    good = frames[valid]
    if gaps == "hold":
        good = good[(torch.searchsorted(good, frames, right=True) - 1).clamp_min(0)]
    done = "each repeats the last valid one" if gaps == "hold" else "they are dropped, and the clip is shorter"
    note = f"{missing} of {len(motion)} frames have no valid data: {done}"
    changes = {key: values[good.to(values.device)] for key, values in per_frame.items()}
    return motion.edited(note, **changes, mask=None), missing, [note]


def _at_rate(motion: Motion, fps: float | None, ending: str) -> tuple[Motion, list[str]]:
    """The motion at the requested rate, or at one that the format supports, and notes."""
    notes, before = [], motion.fps
    if fps is not None:
        motion = resample(motion, fps)
    elif ending == ".npz":
        # Like the file's writer, treat a nearly whole rate as whole.
        whole = max(round(motion.fps), _ADD_ON_FPS)
        if abs(motion.fps - whole) > 1e-3:
            motion = resample(motion, float(whole))
            notes.append("the add-on reads whole frame rates from 30 up only")
    if motion.fps != before:
        notes.append(f"resampled from {before:g} to {motion.fps:g} fps")
    return motion, notes


def _warnings(request: ExportRequest, row: Export) -> list[str]:
    """Notes on what a user may not expect."""
    motion, body, notes = request.motion, request.body, []
    if request.ending == ".npz" and (motion.fps < _ADD_ON_FPS or abs(motion.fps - round(motion.fps)) > 1e-3):
        notes.append(f"the add-on cuts {motion.fps:g} fps to a whole number, and refuses less than 30 by default")
    if request.ending == ".npz" and (note := read_elsewhere(motion.body_name, "smplx")):
        notes.append(note)
    if row.morphs and not request.expressions and motion.expression is not None and motion.expression.any():
        notes.append("the expression is left out; --morphs expression puts it in")
    if request.shapes:
        notes.append("the joints do not follow the morph targets of the shape: they serve small changes")
    if body is not None and request.ending != ".bvh" and "not to be passed on" in body.licence:
        notes.append(f"the file holds the body itself: {body.licence}")
    if request.camera is not None and not _is_centred(request.camera):
        notes.append("glTF has neither an off-centre lens nor pixels that are not square: the camera's are left out")
    return notes


def _is_centred(camera: Camera) -> bool:
    lens = camera.intrinsics.reshape(-1, 3, 3)[0].double().numpy()
    centre = np.divide(camera.size, 2) - lens[:2, 2]
    return bool((np.abs(centre) <= 1).all() and abs(lens[0, 0] / lens[1, 1] - 1) < 1e-3)
