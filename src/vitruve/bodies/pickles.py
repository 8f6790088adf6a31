"""Read pickles and npz files from others without running their code.

A pickle is a small program that may call anything it can name. Here it can name only the entries of one allow list
(unpickler.py), each replaced by a stand-in of ours. Any other name is an error.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vitruve.bodies.unpickler import unpickle
from vitruve.errors import BadData, MissingAsset
from vitruve.files.npy_header import NpyHeader, read_npy_header
from vitruve.files.npz import Member, npz_members, read_member


def read_pickle(path: str | Path) -> Any:
    """The content of a pickle, of Python 2 or 3, with chumpy objects and torch tensors as numpy arrays.

    Returns:
        Plain Python values, numpy arrays and scipy sparse matrices, nested as in the file.

    Raises:
        MissingAsset: the file does not exist.
        BadData: not a pickle, truncated, or it names a class that is not allowed. The error names the class.
    """
    path = existing_file(path)
    try:
        with path.open("rb") as stream:
            return unpickle(stream, str(path))
    except OSError as error:
        raise unreadable(path, error) from None


def read_npz(path: str | Path) -> Arrays:
    """The members of an npz file by name. Each is read when first used, object arrays as in `read_pickle`.

    Raises:
        MissingAsset: the file does not exist.
        BadData: not an npz file; on reading a member: it is truncated, or names a class that is not allowed.
    """
    path = existing_file(path)
    try:
        with path.open("rb") as file:
            members = {key: member for key, member in npz_members(file).items() if not key.endswith("/")}
    # zipfile raises NotImplementedError for an unsupported zip version or compression.
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError):
        raise BadData(
            f"{path.name} is not a complete npz file",
            where=f"{path}, {path.stat().st_size} bytes: no zip directory at its end",
            fix="download the file again; the download may have stopped early, or a web page was saved in its place",
        ) from None
    except OSError as error:
        raise unreadable(path, error) from None
    return Arrays(path, members)


class Arrays(Mapping[str, Any]):
    """The members of an npz file; a member is read when first used, and cached."""

    def __init__(self, path: Path, members: dict[str, Member]) -> None:
        self.path = path
        self._members = members
        self._read: dict[str, np.ndarray] = {}

    def __getitem__(self, key: str) -> np.ndarray:
        if key not in self._read:
            self._read[key] = self._array(self._members[key])
        return self._read[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, key: object) -> bool:
        return key in self._members

    def __repr__(self) -> str:
        return f"Arrays({self.path.name}: {', '.join(self)})"

    def _array(self, member: Member) -> np.ndarray:
        where = f"{self.path}, member {member.name}"
        try:
            with self.path.open("rb") as file:
                data = read_member(file, member)
        # RuntimeError: an encrypted member, or (NotImplementedError) an unsupported compression.
        except (zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError) as error:
            raise BadData(
                f"member '{member.name.removesuffix('.npy')}' of {self.path.name} cannot be read",
                where=f"{where}: {error}",
                fix="the file is damaged or truncated; download it again",
            ) from None
        return read_npy(io.BytesIO(data), where)


def read_npy(stream: BinaryIO, where: str) -> np.ndarray:
    """Read one npy array from a stream; object arrays go through the allow list. `where` is for errors."""
    try:
        header = read_npy_header(stream)
        if not header.dtype.hasobject:
            return _plain_array(stream, header)
    except (ValueError, TypeError, EOFError, MemoryError, OverflowError) as error:
        raise BadData("an array cannot be read", where=f"{where}: {error}", fix="download the file again") from None
    array = unpickle(stream, where)
    if not isinstance(array, np.ndarray):
        raise BadData("an object array holds something else than an array", where=where, fix="download the file again")
    return array


def _plain_array(stream: BinaryIO, header: NpyHeader) -> np.ndarray:
    shape, fortran, dtype = header
    size = math.prod(shape) * dtype.itemsize
    data = np.empty(size, np.uint8)
    found = stream.readinto(data.data)  # type: ignore[attr-defined]
    if found != size:
        raise ValueError(f"{found} bytes where shape {shape} of {dtype} needs {size}")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def existing_file(path: str | Path) -> Path:
    """The path of a file that exists and is not empty; raises otherwise."""
    path = Path(path).expanduser()
    try:
        if path.is_dir():
            raise BadData(f"{path.name} is a folder", where=str(path), fix="give the path of a file in it")
        if not path.exists():
            raise MissingAsset(f"file {path.name} does not exist", where=str(path), fix="check the path")
        if not path.is_file():
            raise BadData(
                f"{path.name} is not a file", where=f"{path}: a pipe or device", fix="copy it to a file first"
            )
        if path.stat().st_size == 0:
            raise BadData(f"{path.name} is empty", where=f"{path}: 0 bytes", fix="download the file again")
    except OSError as error:
        raise unreadable(path, error) from None
    return path


def unreadable(path: Path, error: OSError) -> BadData:
    """The error for a file that the system cannot read."""
    reason = error.strerror or str(error)
    return BadData(f"{path.name} cannot be read", where=f"{path}: {reason}", fix="check the permissions and the disk")
