"""Find AMASS sequences by their published path, whatever the folders are called, and read single frames."""

from __future__ import annotations

import difflib
import os
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from vitruve.amass.sets import FoundFolder, canonical_set, find_sets, probable_set
from vitruve.bodies.pickles import read_npz
from vitruve.errors import BadData, MissingAsset
from vitruve.files.npy_header import read_npy_header
from vitruve.files.npz import LOCAL_HEADER, begin_of, npz_members
from vitruve.files.smpl_layouts import LAYOUTS
from vitruve.formats.fields import real_array

_COLUMNS = LAYOUTS["smplh"].columns


class Sequences:
    """The SMPL+H sequences below a folder.

    Attributes:
        root: the folder.
        notes: sequences found under another name, one note per folder and published name.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).expanduser()
        self.notes: dict[tuple[Path, str], str] = {}
        found = find_sets(self.root)
        self._near = {name: folder for folder, name in found.near_misses.items()}
        self._folders: dict[str, list[FoundFolder]] = {}
        for each in found.folders:
            self._folders.setdefault(each.set, []).append(each)
        self._names: dict[Path, dict[str, list[str]]] = {}

    def find(self, sequence: str) -> Path:
        """The file of a sequence by its path in the SMPL+H release, such as "ACCAD/Male1General_c3d/..._poses.npz".

        Raises:
            MissingAsset: it is missing; the error names the most similar file.
            BadData: the path leads out of the folder.
        """
        parts: list[str] = list(PurePosixPath(sequence.replace("\\", "/")).parts)
        if not parts or parts[0] == "/" or ".." in parts:
            raise BadData("a path leads out of the folder", where=repr(sequence)[:200], fix="fetch the list again")
        direct = self.root.joinpath(*parts)
        if direct.is_file():
            return direct
        while len(parts) > 2 and canonical_set(parts[0]) and canonical_set(parts[0]) == canonical_set(parts[1]):
            parts = parts[1:]  # some lists have <archive>/<folder>/...
        name = canonical_set(parts[0])
        folders = self._folders.get(name or "", [])
        for folder in folders:
            for path in self._candidates(folder.path, parts[1:]):
                self._note(sequence, folder.path, path)
                return path
        raise self._missing(sequence, parts, folders)

    def _note(self, sequence: str, folder: Path, path: Path) -> None:
        found, name = folder.relative_to(self.root).as_posix(), PurePosixPath(sequence).parts[0]
        if name != found:
            self.notes.setdefault((folder, name), f"{name} was found as {found}")
        else:
            there = path.relative_to(self.root).as_posix()
            self.notes.setdefault((folder, name), f"names differ in {found}: {sequence} was found as {there}")

    def _candidates(self, folder: Path, parts: Sequence[str]) -> list[Path]:
        """The file itself, or the only one whose name differs by letter case or punctuation."""
        path = folder.joinpath(*parts)
        if path.is_file():
            return [path]
        for part in parts:
            alike = self._alike(folder).get(_plain(part), [])
            if len(alike) != 1:
                return []
            folder = folder / alike[0]
        return [folder] if folder.is_file() else []

    def _alike(self, folder: Path) -> dict[str, list[str]]:
        if folder not in self._names:
            names: dict[str, list[str]] = {}
            for name in sorted(os.listdir(folder)) if folder.is_dir() else ():
                names.setdefault(_plain(name), []).append(name)
            self._names[folder] = names
        return self._names[folder]

    def _missing(self, sequence: str, parts: Sequence[str], folders: Sequence[FoundFolder]) -> MissingAsset:
        what, where = f"the sequence {sequence} is missing", str(self.root)
        if not folders:
            name = canonical_set(parts[0])
            near = self._near.get(name or "")
            fix = f"unpack {name or parts[0]} into {self.root}"
            if name is None and (probably := probable_set(parts[0])):
                fix = f"{parts[0]} is not a set; it is probably {probably}"
            elif name is None:
                fix = "AMASS has no set of that name: give a list of another release"
            elif near:
                fix = f"{near} is probably {name}: rename it to {parts[0]}"
            return MissingAsset(what, where=f"{where}: no folder of {name or parts[0]}", fix=fix)
        if all(folder.generation == "smplx" for folder in folders):
            fix = "unpack the SMPL+H release: the SMPL-X release has other frame rates and so other frames"
            return MissingAsset(what, where=f"{folders[0].path} holds the SMPL-X release", fix=fix)
        near = self._nearest(folders[0].path, parts[1:])
        fix = f"the most similar there is {near}" if near else "unpack the set again; files are missing"
        return MissingAsset(what, where=str(folders[0].path), fix=fix)

    def _nearest(self, folder: Path, parts: Sequence[str]) -> str:
        start = folder
        for part in parts:
            names = [name for alike in self._alike(folder).values() for name in alike]
            close = difflib.get_close_matches(part, names, n=1)
            if not close:
                return ""
            folder = folder / close[0]
        return folder.relative_to(start.parent).as_posix()


def read_frames(path: Path, frames: Sequence[int]) -> tuple[np.ndarray, int]:
    """Axis-angle values of some frames of an SMPL+H sequence.

    Uncompressed files, as in AMASS, are read only in part, so checksums are not verified.

    Returns:
        [frames, 156], NaN for frames that do not exist; and the number of frames of the sequence.

    Raises:
        BadData: the file is damaged, or is not an SMPL+H sequence.
    """
    rows = np.full((len(frames), _COLUMNS), np.nan)
    where = _plain_array(path)
    if where is None:
        poses = _read_poses(path)
        for row, frame in enumerate(frames):
            if 0 <= frame < len(poses):
                rows[row] = poses[frame]
        return rows, len(poses)
    start, dtype, count = where
    size = dtype.itemsize * _COLUMNS
    with path.open("rb") as file:
        for row, frame in enumerate(frames):
            if 0 <= frame < count:
                file.seek(start + frame * size)
                data = file.read(size)
                if len(data) != size:
                    raise BadData(f"{path.name} is truncated", where=f"{path}: frame {frame}", fix="fetch it again")
                rows[row] = np.frombuffer(data, dtype)
    return rows, count


def _read_poses(path: Path) -> np.ndarray:
    arrays = read_npz(path)
    if "poses" not in arrays:
        raise BadData(f"{path.name} holds no poses", where=f"{path}: {', '.join(arrays)}", fix="fetch it again")
    poses = real_array(arrays["poses"], "poses", path)
    if poses.ndim != 2 or poses.shape[1] != _COLUMNS:
        raise BadData(
            f"{path.name} is not an SMPL+H sequence",
            where=f"{path}: poses have shape {poses.shape}, expected (frames, {_COLUMNS})",
            fix="give the folder of the SMPL+H release; the SMPL-X release has other frames",
        )
    return poses


def _plain_array(path: Path) -> tuple[int, np.dtype, int] | None:
    """Offset, type and number of frames of uncompressed `poses`; None where they cannot be read directly."""
    try:
        with path.open("rb") as file:
            member = npz_members(file)["poses"]
            if member.method != zipfile.ZIP_STORED:
                return None
            file.seek(member.offset)
            file.seek(begin_of(file.read(LOCAL_HEADER), member))
            shape, fortran, dtype = read_npy_header(file)
            begin = file.tell()
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile):
        return None  # read_npz raises the error
    if fortran or dtype.kind != "f" or len(shape) != 2 or shape[1] != _COLUMNS:
        return None
    return begin, dtype, shape[0]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "_", name.lower())
