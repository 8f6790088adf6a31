"""Motion file formats: the table of all formats, and functions to load and save.

    from vitruve.formats import load_motion, save_motion
    motion = load_motion("walk_poses.npz")
    save_motion(motion, "walk.bvh")

Readers and writers are imported when first used, so that importing this module stays fast.
"""

from __future__ import annotations

import importlib
import inspect
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitruve.errors import BadData, UsageError, nearest
from vitruve.files.smpl_layouts import SKELETONS
from vitruve.formats import glimpse as look_at
from vitruve.formats.glimpse import Glimpse, glimpse

if TYPE_CHECKING:
    import torch

    from vitruve.motion import Motion

__all__ = ["FORMATS", "Format", "load_motion", "load_motion_at", "save_motion"]


@dataclass(frozen=True)
class Format:
    """One row of the table of formats.

    Attributes:
        line: description in one line.
        endings: file suffixes for writing; "/" is a folder.
        read: "module:function" that takes a path and returns a Motion.
        sniff: whether a path looks like this format.
        write: "module:function" that takes a Motion and a path; empty if it cannot be written.
        skeletons: the joint trees it can hold; empty for any.
        holds: "motion", or "meshes" if `read` returns vertices instead.
        files: suffixes of the files inside, if the format is a folder.
    """

    line: str
    endings: tuple[str, ...]
    read: str
    sniff: Callable[[Glimpse], bool]
    write: str = ""
    skeletons: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    holds: str = "motion"


def _amass(body: str, line: str, write: str) -> Format:
    return Format(
        line,
        (".npz",),
        read="vitruve.formats.readers.amass:read_amass",
        write=f"vitruve.formats.readers.amass:{write}",
        sniff=lambda look: look_at.npz_body(look) == body,
        skeletons=(SKELETONS[body],),
    )


# Order matters: the first row that recognises a file reads it, the first that fits ending and skeleton writes it.
FORMATS: dict[str, Format] = {
    "vitruve": Format(
        "Vitruve's own file: everything a motion has, exactly",
        (".safetensors",),
        read="vitruve.formats.readers.vitruve_motion:read_vitruve",
        write="vitruve.formats.readers.vitruve_motion:write_vitruve",
        sniff=look_at.is_vitruve,
    ),
    "amass-smplx": _amass(
        "smplx", "AMASS on SMPL-X (*_stageii.npz), and the npz of the SMPL-X Blender add-on", "write_amass_smplx"
    ),
    "amass-smplh": _amass("smplh", "AMASS on SMPL+H (*_poses.npz)", "write_amass_smplh"),
    "smpl-npz": _amass("smpl", "SMPL with 24 joints in an npz of AMASS's keys", "write_smpl_npz"),
    "transfer": Format(
        "a folder of pkl files of the smplx transfer tool, one per frame",
        ("/",),
        read="vitruve.formats.readers.transfer:read_transfer",
        write="vitruve.formats.readers.transfer:write_transfer",
        sniff=look_at.is_transfer_folder,
        skeletons=tuple(SKELETONS.values()),
        files=(".pkl",),
    ),
    "transfer-merged": Format(
        "the merged.pkl of the smplx transfer tool, or one of its frames",
        (".pkl",),
        read="vitruve.formats.readers.transfer:read_transfer",
        write="vitruve.formats.readers.transfer:write_transfer_merged",
        sniff=lambda look: look.kind == "pickle",
        skeletons=tuple(SKELETONS.values()),
    ),
    "bvh": Format(
        "a joint tree with Euler angles, as animation programs exchange it",
        (".bvh",),
        read="vitruve.formats.readers.bvh:read_bvh",
        write="vitruve.formats.readers.bvh:write_bvh",
        sniff=look_at.is_bvh,
    ),
    "asf-amc": Format(
        "Acclaim motion with the skeleton beside it, as in the CMU data set",
        (".amc",),
        read="vitruve.formats.readers.asf_amc:read_asf_amc",
        sniff=look_at.is_amc,
    ),
    "mesh-sequence": Format(
        "a folder of OBJ or PLY files, one per frame",
        ("/",),
        read="vitruve.formats.readers.mesh_sequence:read_mesh_sequence",
        sniff=look_at.is_mesh_folder,
        files=(".obj", ".ply"),
        holds="meshes",
    ),
}


def load_motion(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    fps: float | None = None,
    gender: str | None = None,
    dtype: torch.dtype | None = None,
    **options: Any,
) -> Motion:
    """Read a motion file or folder; the format follows from its content.

    Args:
        path: the file or folder.
        format: a name in FORMATS, to skip the detection.
        fps: frames per second. It overrides the file's own rate, with a note.
        gender: "neutral", "female" or "male", for files without a gender (the betas belong to the file's own), and the
            gender of the person for plain trees.
        dtype: precision of the motion; by default that of the file.
        options: further options of that format's reader.

    Returns:
        The motion; decisions of the reader are in `motion.source.notes`.
    """
    look = glimpse(path)
    row = _known(format) if format else FORMATS[recognise(look)]
    if row.holds != "motion":
        raise BadData(
            f"{look.path.name} holds {row.holds}, not a motion",
            where=f"{path}: {row.line}",
            fix=f"fit a body to them: vitruve convert {shlex.quote(str(path))} --to open-smplx --out FILE.npz; "
            f"in Python {row.read.replace(':', '.')} reads them",
        )
    read = _function(row.read)
    accepted = _options_of(read, options, path)
    values = {"fps": fps, "gender": gender}
    options |= {key: value for key, value in values.items() if key in accepted and value is not None}
    motion: Motion = read(look.path, dtype=dtype, **options)
    if "fps" not in accepted and fps is not None and fps != motion.fps:
        note = f"the frame rate of the file, {motion.fps:g}, was replaced by {fps:g} as requested"
        motion = _with_notes(motion, [note], fps=float(fps))
    if "gender" not in accepted and gender is not None and gender != motion.gender:
        from vitruve.formats.fields import kept_gender

        # A plain tree has no gender of its own.
        changes = {} if motion.body else {"gender": gender}
        motion = _with_notes(motion, kept_gender(motion.gender, gender) if motion.body else [], **changes)
    return motion


def load_motion_at(path: str | os.PathLike[str], source_fps: float | None, gender: str | None = None) -> Motion:
    """Read a motion; `source_fps` and `gender` are only used for files without their own."""
    from vitruve.formats.fields import MissingFrameRate

    try:
        motion = load_motion(path, gender=gender)
    except MissingFrameRate:
        if source_fps is None:
            raise
    else:
        # ASF/AMC files have no frame rate: the reader used that of CMU.
        if source_fps is None or motion.source.format != "asf-amc":
            return motion
    return load_motion(path, fps=source_fps, gender=gender)


def save_motion(
    motion: Motion, path: str | os.PathLike[str], *, format: str | None = None, overwrite: bool = False, **options: Any
) -> Path:
    """Write a motion; the suffix of the path chooses the format, for .npz together with the motion's skeleton.

    Args:
        motion: what to write.
        path: the file, or the folder for a format that writes one. Parent folders are created.
        format: a name in FORMATS; needed if the suffix is ambiguous.
        overwrite: replace an existing file. Writing is atomic, so nothing is lost if it fails.
        options: further options of that format's writer.

    Returns:
        The path written.
    """
    from vitruve.files.atomic import replacing

    path = Path(path)
    row = _known(format) if format else _for_writing(motion, path)
    if not row.write:
        raise UsageError(f"a motion cannot be written as {row.line}", where=str(path), fix=_writable())
    if row.skeletons and motion.skeleton.name not in row.skeletons:
        raise UsageError(
            f"this format holds {' or '.join(row.skeletons)}, not {motion.skeleton.name}",
            where=f"{path}: {row.line}",
            fix="choose another format, such as .safetensors or .bvh, or convert the motion to that body first",
        )
    if row.skeletons and motion.offsets is not None:
        raise UsageError(
            "this format does not support bones that change length",
            where=f"{path}: {row.line}",
            fix="write .bvh or .safetensors, or set the offsets to None if the change does not matter",
        )
    write = _function(row.write)
    _options_of(write, options, path)
    with replacing(path, overwrite=overwrite, folder_of=row.files) as temporary:
        write(motion, temporary, **options)
    return path


def recognise(look: Glimpse) -> str:
    """The name of the format of a file; the error for other files says what they are."""
    for name, row in FORMATS.items():
        if row.sniff(look):
            return name
    if look_at.is_other_rotations(look):
        return "amass-smplh"  # its reader raises with the meaning of the number of columns
    rows = (f"{name} ({' '.join(row.endings).replace('/', 'a folder')})" for name, row in FORMATS.items())
    fix = f"supported formats: {', '.join(rows)}; see docs/formats.md"
    raise BadData(_what_it_is(look), where=str(look.path), fix=fix)


def _what_it_is(look: Glimpse) -> str:
    if look_at.is_body(look):
        return f"{look.path.name} is a body model, not a motion"
    if look_at.is_skeleton(look):
        return f"{look.path.name} is a skeleton, not a motion"
    if look.kind == "npz":
        keys = ", ".join(sorted(look.shapes)[:12]) or "nothing"
        return f"{look.path.name} is an npz without a motion: its keys are {keys}"
    meaning = {
        "empty": "is empty",
        "text": "is a text file of an unknown format",
        "folder": "is a folder without motion files",
        "safetensors": "is a safetensors file, but not a motion",
    }
    return f"{look.path.name} {meaning.get(look.kind, 'is in an unknown format')}"


def _writable() -> str:
    rows = (f"{' '.join(row.endings)} ({name})" for name, row in FORMATS.items() if row.write)
    return f"use one of these suffixes: {', '.join(rows)}"


def _known(name: str) -> Format:
    if name not in FORMATS:
        raise UsageError(f"unknown format '{name}'", fix=nearest(name, FORMATS))
    return FORMATS[name]


def _for_writing(motion: Motion, path: Path) -> Format:
    ending = path.suffix.lower()
    rows = [row for row in FORMATS.values() if row.write and ending in row.endings]
    if not rows:
        raise UsageError(f"no format writes the suffix '{ending}'", where=str(path), fix=_writable())
    fitting = [row for row in rows if not row.skeletons or motion.skeleton.name in row.skeletons]
    return (fitting or rows)[0]


def _function(target: str) -> Callable[..., Any]:
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)


def _options_of(function: Callable[..., Any], options: dict[str, Any], path: str | os.PathLike[str]) -> list[str]:
    """The options of a reader or writer; raises for unknown ones."""
    parameters = inspect.signature(function).parameters.values()
    known = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    for name in options:
        if name not in known:
            fix = nearest(name, known) if known else "this format has no options"
            raise UsageError(f"'{name}' is not an option of this format", where=str(path), fix=fix)
    return known


def _with_notes(motion: Motion, notes: list[str], **changes: Any) -> Motion:
    return motion.replace(source=replace(motion.source, notes=(*motion.source.notes, *notes)), **changes)
