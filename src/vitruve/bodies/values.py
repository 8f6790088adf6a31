"""Read and write the named values of a model file: one mapping for every file type.

Official files are pickles and npz files; our clean copies are npz files without pickled objects, and safetensors
files. All are read into, and written from, a mapping with the official keys (`v_template`, `shapedirs`, ...).
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pickle
import types
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from vitruve.bodies.pickles import existing_file, read_npz, read_pickle, unreadable
from vitruve.errors import BadData, UsageError, not_written

SUFFIXES = (".pkl", ".npz", ".safetensors")


def read_values(path: str | Path) -> Mapping[str, Any]:
    """The values of a model file by key: arrays, sparse matrices, text, tables. Its bytes tell the file type.

    Raises:
        MissingAsset: the file does not exist.
        BadData: it cannot be read, or holds no named values.
    """
    path = existing_file(path)
    try:
        with path.open("rb") as stream:
            start = stream.read(16)
    except OSError as error:
        raise unreadable(path, error) from None
    if start.startswith(b"PK"):
        return read_npz(path)
    if start[8:9] == b"{":
        return _read_safetensors(path)
    if start.lstrip()[:1] in (b"{", b"<", b"["):
        kind = "a web page" if start.lstrip()[:1] == b"<" else "text (JSON)"
        raise BadData(
            f"{path.name} is {kind}, not a model file",
            where=f"{path}: begins with {start[:12].decode('latin1')!r}",
            fix="download the file again; a web page may have been saved in its place",
        )
    values = read_pickle(path)
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise BadData(
            f"{path.name} holds no named values",
            where=f"{path}: the pickle is a {type(values).__name__}",
            fix="a model file is a table with 'v_template', 'shapedirs', ...; check that this is the right file",
        )
    return values


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            words = file.metadata() or {}
            values: dict[str, Any] = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no iterator)
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise BadData(
            f"{path.name} is not a complete safetensors file", where=f"{path}: {error}", fix="download the file again"
        ) from None
    return values | words


def write_values(
    path: str | Path, values: Mapping[str, Any], overwrite: bool = False, npz_objects: bool = False
) -> Path:
    """Write values as .pkl (protocol 2, plain numpy and scipy), .npz or .safetensors.

    In the last two, sparse matrices become dense and tables become JSON text, so that readers need no pickles; with
    `npz_objects`, an npz file keeps tables as pickled objects, as the official files do. Writing is atomic.
    """
    path = Path(path).expanduser()
    writers: dict[str, Callable[[BinaryIO, Mapping[str, Any]], None]] = {
        ".pkl": _write_pickle,
        ".npz": functools.partial(_write_npz, objects=npz_objects),
        ".safetensors": _write_safetensors,
    }
    if path.suffix not in writers:
        raise UsageError(
            f"cannot write a model file as '{path.suffix or path.name}'", where=str(path), fix=f"end it in {SUFFIXES}"
        )
    with whole_file(path, overwrite) as stream:
        writers[path.suffix](stream, values)
    return path


@contextlib.contextmanager
def whole_file(path: Path, overwrite: bool) -> Iterator[BinaryIO]:
    """Atomic writing: opens a temporary file, renamed to `path` on success."""
    refuse_existing(path, overwrite)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            yield stream
        os.replace(temporary, path)
    except OSError as error:
        then = "run it again, with --overwrite for files that were written before it"
        raise not_written(error, path, then) from None
    finally:
        with contextlib.suppress(OSError):  # the error above is the one to report
            temporary.unlink()


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raise UsageError if a file exists and `overwrite` is not set."""
    if path.exists() and not overwrite:
        raise UsageError(f"{path.name} exists already", where=str(path), fix="use --overwrite, or choose another name")


class _PlainPickler(pickle._Pickler):  # type: ignore[name-defined]
    """Refers to numpy's functions by a module that old and new numpy both have."""

    def save_global(self: Any, obj: Any, name: str | None = None) -> None:
        module = getattr(obj, "__module__", None) or ""
        if module.startswith("numpy._core."):
            old = module.replace("numpy._core.", "numpy.core.")
            self.write(pickle.GLOBAL + f"{old}\n{obj.__name__}\n".encode())
            self.memoize(obj)
        else:
            pickle._Pickler.save_global(self, obj, name)  # type: ignore[attr-defined]

    dispatch: ClassVar = {**pickle._Pickler.dispatch, types.FunctionType: save_global}  # type: ignore[attr-defined]


def _write_pickle(stream: BinaryIO, values: Mapping[str, Any]) -> None:
    _PlainPickler(stream, protocol=2).dump(dict(values))


def _write_npz(stream: BinaryIO, values: Mapping[str, Any], objects: bool) -> None:
    with zipfile.ZipFile(stream, "w") as archive:
        for key, value in values.items():
            if value is not None:
                # Without a date, so that the same values give the same bytes.
                entry = zipfile.ZipInfo(f"{key}.npy")
                entry.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(entry, "w", force_zip64=True) as member:
                    array = np.asarray(value) if objects and isinstance(value, dict) else np.asarray(_plain(value))
                    np.lib.format.write_array(member, array, allow_pickle=objects)


def _write_safetensors(stream: BinaryIO, values: Mapping[str, Any]) -> None:
    from safetensors.numpy import save

    plain = {key: _plain(value) for key, value in values.items() if value is not None}
    arrays = {key: _native(value) for key, value in plain.items() if isinstance(value, np.ndarray)}
    words = {key: str(value) for key, value in plain.items() if key not in arrays}
    data = save(arrays, metadata=words)
    # The library writes the metadata in any order; sorted, the same values give the same bytes.
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(words.items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    stream.write(len(text).to_bytes(8, "little") + text)
    stream.write(memoryview(data)[8 + size :])


def _native(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")).reshape(array.shape)


def _plain(value: Any) -> Any:
    """A numeric array if possible, text otherwise."""
    if hasattr(value, "toarray"):
        return value.toarray()
    array = np.asarray(value) if not isinstance(value, dict) else np.asarray(value, dtype=object)
    if array.dtype.kind in "biuf":
        return array
    value = array.tolist()
    if isinstance(value, bytes):
        return value.decode("latin1")
    return value if isinstance(value, str) else json.dumps(value, default=_json)


def _json(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("latin1")
    return np.asarray(value).tolist()
