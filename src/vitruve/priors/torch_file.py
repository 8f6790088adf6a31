"""Reads checkpoints of `torch.save`, in the zip and the older format, without running code from them.

Besides weights, a checkpoint may name any class (schedules, callbacks, settings). Such objects become inert stand-ins;
tensors are read by `vitruve.bodies.unpickler`.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from vitruve.bodies.pickles import existing_file
from vitruve.bodies.unpickler import NOT_RUN, AllowList, Values
from vitruve.errors import BadData, MissingAsset

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {
    **{"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2"},
    **{"LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1"},
    "BoolStorage": "?",
}
_AGAIN = "download the file again"

# Returns the values of a storage by key, type and count.
Storages = Callable[[str, np.dtype, int], np.ndarray]


class _Inert:
    """An object of an unknown class: accepts anything and keeps nothing."""

    def _ignore(self, *arguments: Any, **options: Any) -> None:
        pass

    __init__ = __setstate__ = __setitem__ = append = extend = add = _ignore


class _Reader(AllowList):
    """Finds the entries of the allow list; any other name becomes a class that does nothing."""

    def __init__(self, stream: BinaryIO, where: str, storages: Storages | None = None) -> None:
        super().__init__(stream, where)
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        try:
            return super().find_class(module, name)
        except BadData:
            return type("Inert", (_Inert,), {"named": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> Any:
        if not self._storages or not isinstance(pid, tuple) or len(pid) < 5 or pid[0] not in ("storage", b"storage"):
            raise BadData("a tensor in the checkpoint has an unknown format", where=self._where, fix=NOT_RUN)
        name = getattr(pid[1], "__name__", "")
        if name not in _DTYPES:
            name = getattr(pid[1], "named", name or pid[1])
            raise BadData(f"a tensor of the type {name}", where=self._where, fix="save it as float32")
        return self._storages(str(pid[2]), np.dtype(_DTYPES[name]), int(pid[4]))


def read_torch_file(path: str | Path) -> Any:
    """The content of a file of `torch.save`: plain values and stand-ins, which `tensors_of` resolves."""
    path = existing_file(path)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return _read_zip(archive, str(path))
        with path.open("rb") as stream:
            return _read_legacy(stream, str(path))
    except BadData:
        raise
    except PermissionError:
        raise MissingAsset(
            "permission denied for the checkpoint", where=str(path), fix="check its owner: ls -l"
        ) from None
    except (MemoryError, RecursionError):
        raise BadData(
            "the checkpoint is too large or nested too deeply", where=str(path), fix="check the file"
        ) from None
    except Exception as error:  # a damaged pickle can fail in any way
        raise BadData(
            "not a checkpoint of torch, or a damaged one",
            where=f"{path}: {type(error).__name__}: {error}",
            fix=f"{_AGAIN}; the download may have stopped early, or a web page was saved in its place",
        ) from None


def _read_zip(archive: zipfile.ZipFile, where: str) -> Any:
    member = next((name for name in archive.namelist() if name.endswith("/data.pkl") or name == "data.pkl"), None)
    if member is None:
        raise BadData("not a checkpoint of torch", where=f"{where}: no data.pkl in it", fix="check the file")
    folder, cache = member.removesuffix("data.pkl"), {}

    def storages(key: str, dtype: np.dtype, count: int) -> np.ndarray:
        if key not in cache:
            cache[key] = _array(archive.read(f"{folder}data/{key}")[: count * dtype.itemsize], dtype, count, where, key)
        return cache[key]

    return _Reader(io.BytesIO(archive.read(member)), where, storages).load()


def _read_legacy(stream: BinaryIO, where: str) -> Any:
    """The format before torch 1.6: the values follow the pickle, so the pickle is read twice, first with zeros."""
    if _Reader(stream, where).load() != _LEGACY_MAGIC:
        raise pickle.UnpicklingError("the magic number of torch is missing")
    _Reader(stream, where).load()  # protocol version
    _Reader(stream, where).load()  # number sizes of the machine that wrote the file
    arrays: dict[str, np.ndarray] = {}

    def storages(key: str, dtype: np.dtype, count: int) -> np.ndarray:
        if not 0 <= count < 2**31:
            raise BadData("a tensor is too large", where=where, fix=_AGAIN)
        return arrays.setdefault(key, np.zeros(count, dtype))

    begin = stream.tell()
    _Reader(stream, where, storages).load()
    for key in map(str, _Reader(stream, where).load()):
        count = int.from_bytes(stream.read(8), "little")
        if key not in arrays or count != len(arrays[key]):
            raise BadData("the tensors do not match their list", where=f"{where}: storage {key}", fix=_AGAIN)
        arrays[key] = _array(stream.read(arrays[key].nbytes), arrays[key].dtype, count, where, key)
    stream.seek(begin)
    return _Reader(stream, where, storages).load()


def _array(data: bytes, dtype: np.dtype, count: int, where: str, key: str) -> np.ndarray:
    if len(data) != count * dtype.itemsize:
        raise BadData("a tensor is truncated", where=f"{where}: storage {key}", fix=_AGAIN)
    return np.frombuffer(data, dtype)


def tensors_of(content: Any, where: str) -> dict[str, Tensor]:
    """The tensors of a state dict, by name."""
    if not isinstance(content, dict):
        kind = getattr(type(content), "named", type(content).__name__)
        raise BadData("there are no weights", where=f"{where}: holds the type {kind}", fix="check the file")
    out = {}
    for key, item in content.items():
        value = None if isinstance(item, _Inert | type) else Values().resolve(item)
        if not isinstance(key, str) or not isinstance(value, np.ndarray):
            raise BadData("a weight is not a tensor", where=f"{where}: {str(key)[:60]}", fix="check the file")
        out[key] = torch.from_numpy(np.array(value))
    return out
