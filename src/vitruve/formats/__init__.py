"""Motion files of other programs, one format per file here, and the table that names them all.

    from vitruve.formats import load_motion, save_motion
    motion = load_motion("walk_poses.npz")
    save_motion(motion, "walk.bvh")

Readers and writers are loaded when they are called, so that importing this module stays fast.
"""

from __future__ import annotations

import importlib
import inspect
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitruve.errors import BadData, UsageError, nearest
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
        line: what it is, in one line.
        endings: the file endings it is written with; "/" is a folder.
        read: "module:function" that takes a path and gives a Motion.
        sniff: whether a path looks like this format.
        write: "module:function" that takes a Motion and a path; empty where it cannot be written.
        skeletons: the joint trees it can hold; empty where it holds any.
        holds: "motion", or "meshes" where it holds vertices, which `read` gives instead.
        files: the endings of the files inside, where the format is a folder.
    """

    line: str
    endings: tuple[str, ...]
    read: str
    sniff: Callable[[Glimpse], bool]
    write: str = ""
    skeletons: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    holds: str = "motion"


# Order matters: the first row that recognises a file reads it, the first that fits ending and skeleton writes it.
FORMATS: dict[str, Format] = {
    "vitruve": Format(
        "Vitruve's own file: everything a motion has, exactly",
        (".safetensors",),
        read="vitruve.formats.readers.vitruve_motion:read_vitruve",
        write="vitruve.formats.readers.vitruve_motion:write_vitruve",
        sniff=look_at.is_vitruve,
    ),
    "amass-smplx": Format(
        "AMASS on SMPL-X (*_stageii.npz), and the npz of the SMPL-X Blender add-on",
        (".npz",),
        read="vitruve.formats.readers.amass:read_amass",
        write="vitruve.formats.readers.amass:write_amass_smplx",
        sniff=look_at.is_amass_smplx,
        skeletons=("smplx55",),
    ),
    "amass-smplh": Format(
        "AMASS on SMPL+H (*_poses.npz)",
        (".npz",),
        read="vitruve.formats.readers.amass:read_amass",
        write="vitruve.formats.readers.amass:write_amass_smplh",
        sniff=look_at.is_amass_smplh,
        skeletons=("smplh52",),
    ),
    "smpl-npz": Format(
        "SMPL with 24 joints in an npz of AMASS's keys",
        (".npz",),
        read="vitruve.formats.readers.amass:read_amass",
        write="vitruve.formats.readers.amass:write_smpl_npz",
        sniff=look_at.is_smpl_npz,
        skeletons=("smpl24",),
    ),
    "transfer": Format(
        "a folder of pkl files of the smplx transfer tool, one per frame",
        ("/",),
        read="vitruve.formats.readers.transfer:read_transfer",
        write="vitruve.formats.readers.transfer:write_transfer",
        sniff=look_at.is_transfer_folder,
        skeletons=("smplx55", "smplh52", "smpl24"),
        files=(".pkl",),
    ),
    "transfer-merged": Format(
        "the merged.pkl of the smplx transfer tool, or one of its frames",
        (".pkl",),
        read="vitruve.formats.readers.transfer:read_transfer",
        write="vitruve.formats.readers.transfer:write_transfer_merged",
        sniff=look_at.is_pickle,
        skeletons=("smplx55", "smplh52", "smpl24"),
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
    """Read a motion file or folder; what it is is told from its content.

    Args:
        path: the file or folder.
        format: a name in FORMATS, to read it as that format whatever it looks like.
        fps: frames per second, for files that do not say. Where the file says, this is used instead, and noted.
        gender: "neutral", "female" or "male", for files that do not say. Where the file says, that counts: it is a part
            of the body that the betas belong to. For a plain tree it is the gender of the person.
        dtype: precision of the motion; that of the file where None.
        options: further options of that format's reader.

    Returns:
        The motion; what the reader had to decide is in `motion.source.notes`.
    """
    look = glimpse(path)
    row = FORMATS[_known(format) if format else recognise(look)]
    if row.holds != "motion":
        raise BadData(
            f"{look.path.name} holds {row.holds}, not a motion",
            where=f"{path}: {row.line}",
            fix=f"fit a body to them: vitruve convert {shlex.quote(str(path))} --to open-smplx --out FILE.npz; "
            f"in Python {row.read.replace(':', '.')} reads them",
        )
    read = _function(row.read)
    taken = _options_of(read, options, path)
    options |= {key: value for key, value in (("fps", fps), ("gender", gender)) if key in taken and value is not None}
    motion: Motion = read(look.path, dtype=dtype, **options)
    if "fps" not in taken and fps is not None and fps != motion.fps:
        motion = _with_rate(motion, fps)
    if "gender" not in taken and gender is not None and gender != motion.gender:
        motion = _with_gender(motion, gender)
    return motion


def load_motion_at(path: str | os.PathLike[str], source_fps: float | None, gender: str | None = None) -> Motion:
    """Read a motion of which only the rate may be unknown: among several files, each that says its rate keeps it.

    Args:
        path: the file or folder.
        source_fps: frames per second, for files that do not say; None where none was given.
        gender: for files that do not say it.
    """
    from vitruve.formats.fields import MissingFrameRate

    try:
        motion = load_motion(path, gender=gender)
    except MissingFrameRate:
        if source_fps is None:
            raise
    else:
        # An ASF/AMC file never says its rate: that of CMU was taken.
        if source_fps is None or motion.source.format != "asf-amc":
            return motion
    return load_motion(path, fps=source_fps, gender=gender)


def save_motion(
    motion: Motion, path: str | os.PathLike[str], *, format: str | None = None, overwrite: bool = False, **options: Any
) -> Path:
    """Write a motion; the ending of the path names the format, and for .npz the skeleton of the motion does.

    Args:
        motion: what to write.
        path: the file, or the folder for a format that writes one. Parent folders are made.
        format: a name in FORMATS; needed where the ending does not tell.
        overwrite: replace what is there. Nothing is lost if writing fails: a temporary name is renamed at the end.
        options: further options of that format's writer.

    Returns:
        The path written.
    """
    from vitruve.files.atomic import replacing

    path = Path(path)
    row = FORMATS[_known(format)] if format else _for_writing(motion, path)
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
            "this format holds no bones that change their length",
            where=f"{path}: {row.line}",
            fix="write .bvh or .safetensors, or set the offsets to None where the change does not matter",
        )
    write = _function(row.write)
    _options_of(write, options, path)
    with replacing(path, overwrite=overwrite, folder_of=row.files) as temporary:
        write(motion, temporary, **options)
    return path


def recognise(look: Glimpse) -> str:
    """The name of the format that reads what was looked at; an error that says what it is instead where none does."""
    for name, row in FORMATS.items():
        if row.sniff(look):
            return name
    if look_at.is_other_rotations(look):
        return "amass-smplh"  # its reader says what the number of columns would mean
    raise BadData(_what_it_is(look), where=str(look.path), fix=_readable())


def _what_it_is(look: Glimpse) -> str:
    if look_at.is_body(look):
        return f"{look.path.name} is a body model, not a motion"
    if look_at.is_skeleton(look):
        return f"{look.path.name} is a skeleton, not a motion"
    if look.kind == "npz":
        keys = ", ".join(sorted(look.shapes)[:12]) or "nothing"
        return f"{look.path.name} is an npz, but holds no motion: its keys are {keys}"
    meaning = {
        "empty": "is empty",
        "text": "is a text that no reader knows",
        "folder": "is a folder without motion files",
        "safetensors": "is a safetensors file, but not a motion",
    }
    return f"{look.path.name} {meaning.get(look.kind, 'is in no format that is known')}"


def _readable() -> str:
    rows = (
        f"{name} ({'a folder' if row.endings == ('/',) else ' '.join(row.endings)})" for name, row in FORMATS.items()
    )
    return f"these are read: {', '.join(rows)}; see docs/formats.md"


def _writable() -> str:
    return "give one of these endings: " + ", ".join(
        f"{' '.join(row.endings)} ({name})" for name, row in FORMATS.items() if row.write
    )


def _known(name: str) -> str:
    if name not in FORMATS:
        raise UsageError(f"there is no format '{name}'", fix=nearest(name, FORMATS))
    return name


def _for_writing(motion: Motion, path: Path) -> Format:
    ending = path.suffix.lower()
    rows = [row for row in FORMATS.values() if row.write and ending in row.endings]
    if not rows:
        raise UsageError(f"the ending '{ending}' names no format that can be written", where=str(path), fix=_writable())
    fitting = [row for row in rows if not row.skeletons or motion.skeleton.name in row.skeletons]
    return (fitting or rows)[0]


def _function(target: str) -> Callable[..., Any]:
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)


def _options_of(function: Callable[..., Any], given: dict[str, Any], path: str | os.PathLike[str]) -> list[str]:
    """The options a reader or writer takes; an error where others are given."""
    parameters = inspect.signature(function).parameters.values()
    known = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    for name in given:
        if name not in known:
            fix = nearest(name, known) if known else "this format has no options"
            raise UsageError(f"'{name}' is no option of this format", where=str(path), fix=fix)
    return known


def _with_rate(motion: Motion, fps: float) -> Motion:
    from dataclasses import replace

    note = f"the frame rate of the file, {motion.fps:g}, was replaced by {fps:g} as asked"
    return motion.replace(fps=float(fps), source=replace(motion.source, notes=(*motion.source.notes, note)))


def _with_gender(motion: Motion, gender: str) -> Motion:
    from dataclasses import replace

    from vitruve.formats.fields import kept_gender

    if not motion.body:  # a plain tree says nothing of the person
        return motion.replace(gender=gender)
    notes = (*motion.source.notes, *kept_gender(motion.gender, gender))
    return motion.replace(source=replace(motion.source, notes=notes))
