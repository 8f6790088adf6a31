"""A folder of OBJ or PLY files, one per frame: a surface over time, in metres and z up unless `up="y"`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from vitruve.errors import BadData, MissingAsset, UsageError
from vitruve.files.atomic import replacing
from vitruve.formats.readers.obj import format_faces, format_obj, parse_obj
from vitruve.formats.readers.plain_text import by_number, damaged, read_bytes, z_up_from
from vitruve.formats.readers.ply import format_ply, parse_ply
from vitruve.words import counted

_READERS = {".obj": parse_obj, ".ply": parse_ply}

PathOrText = str | PathLike[str]


@dataclass(frozen=True, eq=False)
class MeshSequence:
    """Meshes over time with the same faces.

    Attributes:
        vertices: [frames, vertices, 3] in the world.
        faces: [faces, 3] vertex indices.
        files: the file of each frame.
    """

    vertices: Float[Tensor, "frames vertices 3"]
    faces: Int[Tensor, "faces 3"]
    files: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.vertices)

    def __repr__(self) -> str:
        frames, vertices, faces = counted(len(self), "frame"), self.vertices.shape[1], len(self.faces)
        return f"MeshSequence({frames}, {vertices:,} vertices, {faces:,} faces)"


def read_mesh_sequence(
    meshes: PathOrText | Sequence[PathOrText],
    *,
    up: str = "z",
    dtype: torch.dtype | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> MeshSequence:
    """Read OBJ or PLY files, one per frame.

    Args:
        meshes: a folder, whose .obj or .ply files are read in the order of the numbers in their names, or a list of
            files in frame order.
        up: the up axis of the files, "z" or "y".
        dtype: precision of the vertices; float32 by default.
        progress: called after each file with (files read, files in all).

    Returns:
        The vertices as in the files, in metres if the files are; polygons are split into triangle fans. If a file
        differs in its number of vertices or in its faces, an error names it.
    """
    files = _files(meshes)
    _check_up(up)
    dtype = dtype or torch.float32
    vertices: Tensor | None = None
    faces: NDArray[np.int64] | None = None
    for frame, file in enumerate(files):
        points, its_faces = _read(file)
        if vertices is None or faces is None:
            vertices, faces = torch.empty(len(files), len(points), 3, dtype=dtype), its_faces
        if len(points) != vertices.shape[1]:
            raise BadData(
                f"{file.name} and the first file differ in their number of vertices",
                where=f"{file}: found {len(points)}, expected {vertices.shape[1]} as in {files[0].name}",
                fix="read meshes of one body only",
            )
        if not np.array_equal(its_faces, faces):
            raise BadData(
                f"{file.name} and the first file differ in their faces",
                where=f"{file}: {len(its_faces)} triangles, {files[0].name} has {len(faces)}",
                fix="read meshes of one body only, exported alike",
            )
        world = torch.from_numpy(points)
        vertices[frame] = world if up == "z" else world @ z_up_from("y", world).T
        if not vertices[frame].isfinite().all():
            raise damaged(f"a vertex of {file.name} is out of range for {dtype}", str(file))
        if progress:
            progress(frame + 1, len(files))
    assert vertices is not None and faces is not None  # there is at least one file
    return MeshSequence(vertices, torch.from_numpy(faces), tuple(files))


def write_mesh_sequence(
    vertices: Tensor | NDArray[np.floating] | Iterable[Tensor],
    faces: Tensor | NDArray[np.integer],
    folder: PathOrText,
    *,
    format: str = "obj",
    stem: str = "frame",
    up: str = "z",
    comment: str = "",
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write one OBJ or PLY file per frame, stem_000000.obj and so on; the folder is written atomically.

    Args:
        vertices: [frames, vertices, 3], or an iterable of [vertices, 3] per frame, for clips that do not fit in memory.
            Written with full precision, float32 or float64.
        faces: [faces, 3] vertex indices.
        folder: the folder; one that holds other files is never replaced.
        format: "obj" or "ply" (binary).
        stem: prefix of the file names.
        up: the up axis of the files, "z" or "y".
        comment: one line for the head of every file, in ASCII.
        overwrite: replace an existing folder of such meshes.
        progress: called after each frame with (frames written, frames in all); the latter is 0 for an iterable
            without a length.

    Returns:
        The folder.
    """
    if format not in ("obj", "ply"):
        raise UsageError(f"unknown mesh format '{format}'", fix="use 'obj' or 'ply'")
    if not stem or Path(stem).name != stem:
        raise UsageError(f"{stem!r} is not a valid file name prefix", fix="use letters and digits, such as 'frame'")
    _check_up(up)
    triangles = torch.as_tensor(faces).detach().cpu().numpy()
    if triangles.ndim != 2 or triangles.shape[1] != 3:
        where = f"shape {triangles.shape}, expected (faces, 3)"
        raise BadData("faces are not triangles", where=where, fix="pass those of the body")
    faces_text = format_faces(triangles)
    folder = Path(folder)
    count, total = None, len(vertices) if isinstance(vertices, Sized) else 0
    with replacing(folder, overwrite=overwrite, folder_of=(f".{format}",)) as room:
        for frame, at_frame in enumerate(vertices):
            array = _checked(at_frame, up, frame, triangles, count)
            count = len(array)
            if format == "obj":
                data = format_obj(array, faces_text, comment).encode()
            else:
                data = format_ply(array, triangles, comment)
            (room / f"{stem}_{frame:06d}.{format}").write_bytes(data)
            if progress:
                progress(frame + 1, total)
        if count is None:
            raise BadData("there are no frames to write", where=str(folder), fix="pass at least one frame")
    return folder


def _files(meshes: PathOrText | Sequence[PathOrText]) -> list[Path]:
    """The files in the order of the frames."""
    if not isinstance(meshes, str | PathLike):
        files = [Path(file) for file in meshes]
        if not files:
            raise UsageError("no mesh files were given", fix="pass a folder, or at least one file")
        return files
    folder = Path(meshes)
    if not folder.exists():
        raise MissingAsset(f"there is no folder {folder}", where=str(folder.parent), fix="check the name")
    if not folder.is_dir():
        fix = f"pass a list: [{str(folder)!r}]"
        raise UsageError(f"{folder.name} is a file, not a folder", where=str(folder), fix=fix)
    files = [file for file in folder.iterdir() if file.suffix.lower() in _READERS and not file.name.startswith(".")]
    if not files:
        raise MissingAsset(f"{folder.name} has no .obj or .ply files", where=str(folder), fix="check the folder")
    if len({file.suffix.lower() for file in files}) > 1:
        fix = "pass the files of one kind: sorted(folder.glob('*.ply'))"
        raise UsageError("the folder has both .obj and .ply files", where=str(folder), fix=fix)
    return sorted(files, key=by_number)


def _read(file: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    if file.suffix.lower() not in _READERS:
        raise UsageError(f"{file.name} is neither .obj nor .ply", where=str(file), fix="pass mesh files only")
    data = read_bytes(file)
    if not data.strip():
        raise damaged(f"{file.name} is empty", str(file))
    return _READERS[file.suffix.lower()](data, str(file))


def _checked(
    vertices: Tensor | NDArray[np.floating], up: str, frame: int, faces: NDArray[np.integer], count: int | None
) -> NDArray[np.floating]:
    """One frame as an array in the file's axes, checked."""
    tensor = torch.as_tensor(vertices).detach().cpu()
    where = f"frame {frame}: shape {tuple(tensor.shape)}"
    if tensor.dim() != 2 or tensor.shape[1] != 3 or (count is not None and len(tensor) != count):
        where = f"{where}, expected ({count or 'vertices'}, 3)"
        raise BadData("vertices have the wrong shape", where=where, fix="pass [frames, vertices, 3]")
    if not tensor.isfinite().all():
        raise BadData("a vertex is not finite", where=where, fix="fix or drop that frame")
    if faces.size and not 0 <= faces.min() <= faces.max() < len(tensor):
        raise BadData("a face names a vertex that does not exist", where=where, fix="pass the faces of the same body")
    tensor = tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
    return (tensor if up == "z" else tensor @ z_up_from("y", tensor)).numpy()


def _check_up(up: str) -> None:
    if up not in ("y", "z"):
        raise UsageError(f"'{up}' is not an up axis", fix="use 'y' or 'z'")
