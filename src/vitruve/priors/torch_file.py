"""Checkpoints that torch has saved, in its zip and its older form, read without running any code of theirs.

What a checkpoint holds beside weights (schedules, callbacks, settings) may name any class. Such objects become inert
stand-ins that hold nothing; the tensors are read as `vitruve.bodies.unpickler` does.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from vitruve.bodies.pickles import existing_file
from vitruve.bodies.unpickler import NOT_RUN, AllowList, Values
from vitruve.errors import BadData, MissingAsset

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_KINDS = {
    **{"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2"},
    **{"LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1"},
    "BoolStorage": "?",
}


class _Inert:
    """Stands for an object of a class that is not known: takes whatever it is given and keeps nothing."""

    def __new__(cls, *arguments: Any, **options: Any) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        """Nothing is kept."""

    def extend(self, items: Any) -> None:
        """Nothing is kept."""

    def add(self, item: Any) -> None:
        """Nothing is kept."""


class _Reader(AllowList):
    """Finds what the list allows; any other name is a class of its own that does nothing."""

    storages: Mapping[str, np.ndarray] | None = None

    def find_class(self, module: str, name: str) -> Any:
        try:
            return super().find_class(module, name)
        except BadData:
            return type("Inert", (_Inert,), {"named": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> Any:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] not in ("storage", b"storage"):
            raise BadData("a tensor in the checkpoint is in an unknown form", where=self._where, fix=NOT_RUN)
        kind = _KINDS.get(getattr(pid[1], "__name__", ""))
        if kind is None:
            name = getattr(pid[1], "named", getattr(pid[1], "__name__", pid[1]))
            raise BadData(f"a tensor of the type {name}", where=self._where, fix="save it as float32")
        return self._storage(str(pid[2]), np.dtype(kind), int(pid[4]))

    @abstractmethod
    def _storage(self, key: str, kind: np.dtype, count: int) -> np.ndarray:
        """The numbers of one storage; where they lie differs between the two forms of the file."""


class _ZipReader(_Reader):
    def __init__(self, archive: zipfile.ZipFile, member: str, where: str) -> None:
        super().__init__(io.BytesIO(archive.read(member)), where)
        self._archive, self._folder, self._cache = archive, member.removesuffix("data.pkl"), {}

    def _storage(self, key: str, kind: np.dtype, count: int) -> np.ndarray:
        if key not in self._cache:
            data = self._archive.read(f"{self._folder}data/{key}")
            if len(data) < count * kind.itemsize:
                raise BadData("a tensor is cut short", where=f"{self._where}: storage {key}", fix="fetch the file anew")
            self._cache[key] = np.frombuffer(data, kind, count)
        return self._cache[key]


class _LegacyReader(_Reader):
    """The form before torch 1.6: the numbers come after the pickle, so arrays are made first and filled then."""

    def __init__(self, stream: BinaryIO, where: str) -> None:
        super().__init__(stream, where)
        self.made: dict[str, np.ndarray] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _view
        return super().find_class(module, name)

    def _storage(self, key: str, kind: np.dtype, count: int) -> np.ndarray:
        if key not in self.made:
            if not 0 <= count < 2**31:
                raise BadData("a tensor is too large", where=self._where, fix="fetch the file anew")
            self.made[key] = np.zeros(count, kind)
        return self.made[key]


def _view(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> np.ndarray:
    """A part of a storage whose numbers are still to come."""
    if not isinstance(storage, np.ndarray) or len(size) != len(stride):
        raise BadData("a tensor in the checkpoint is damaged", fix="fetch the file anew")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))
    if min((offset, *size, *stride)) < 0 or (math.prod(size) and last >= len(storage)):
        raise BadData("a tensor in the checkpoint reaches outside its data", fix="fetch the file anew")
    steps = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[min(offset, len(storage)) :], tuple(size), steps)


def read_torch_file(path: str | Path) -> Any:
    """The content of a file of `torch.save`: plain values, tensors as stand-ins until `tensors_of` resolves them."""
    path = existing_file(path)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                members = [name for name in archive.namelist() if name.endswith("/data.pkl") or name == "data.pkl"]
                if not members:
                    raise BadData("no checkpoint of torch", where=f"{path}: no data.pkl in it", fix="check the file")
                return _ZipReader(archive, members[0], str(path)).load()
        with path.open("rb") as stream:
            return _legacy(stream, str(path))
    except BadData:
        raise
    except PermissionError:
        raise MissingAsset("the checkpoint may not be read", where=str(path), fix="see whose it is: ls -l") from None
    except (MemoryError, RecursionError):
        raise BadData("the checkpoint is too large or too deep", where=str(path), fix="check the file") from None
    except Exception as error:  # a damaged pickle can fail in any way
        raise BadData(
            "not a checkpoint of torch, or a damaged one",
            where=f"{path}: {type(error).__name__}: {error}",
            fix="fetch the file again; a download may have stopped early, or a web page was saved in its place",
        ) from None


def _legacy(stream: BinaryIO, where: str) -> Any:
    if _Reader(stream, where).load() != _LEGACY_MAGIC:
        raise pickle.UnpicklingError("the magic number of torch is not there")
    _Reader(stream, where).load()  # version of the form
    _Reader(stream, where).load()  # sizes of numbers on the machine that wrote it
    reader = _LegacyReader(stream, where)
    content = reader.load()
    for key in _Reader(stream, where).load():
        array = reader.made.get(str(key))
        count = int.from_bytes(stream.read(8), "little")
        if array is None or count != len(array):
            raise BadData("the tensors do not fit their list", where=f"{where}: storage {key}", fix="fetch it anew")
        data = stream.read(array.nbytes)
        if len(data) != array.nbytes:
            raise BadData("a tensor is cut short", where=f"{where}: storage {key}", fix="fetch the file anew")
        array[:] = np.frombuffer(data, array.dtype)
    return content


def tensors_of(content: Any, where: str) -> dict[str, Tensor]:
    """The tensors of a state dict, by name."""
    if not isinstance(content, dict):
        kind = getattr(type(content), "named", type(content).__name__)
        raise BadData("there are no weights", where=f"{where}: found the type {kind}", fix="check the file")
    out = {}
    for key, item in content.items():
        value = None if isinstance(item, _Inert | type) else Values().resolve(item)
        if not isinstance(key, str) or not isinstance(value, np.ndarray):
            raise BadData(
                "among the weights stands something else", where=f"{where}: {str(key)[:60]}", fix="check the file"
            )
        out[key] = torch.from_numpy(np.array(value))
    return out
