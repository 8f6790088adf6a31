"""Pickles and npz files of other people, read without running any code of theirs.

    values = read_pickle("SMPL_NEUTRAL.pkl")      # plain Python values, numpy arrays, scipy sparse matrices
    arrays = read_npz("SMPLX_NEUTRAL.npz")        # a mapping; a member is read when it is asked for

A pickle is a small program that may call anything it can name. Here it can name only the entries of one table, and each
of them is a stand-in of ours that records what it is given. Arrays, sparse matrices, chumpy objects and torch tensors
are built from those records afterwards, with checks. Whatever else a file names, it is refused.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import zipfile
import zlib
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np

from vitruve.errors import BadData, MissingAsset

_NOT_RUN = "the file was not run; if you trust its maker, load it with their own tools and save plain arrays"
_DTYPE = re.compile(r"[<>=|]?(?:[biufc]\d{1,2}|\?|[SU]\d+|O8?|[bBhHiIlLqQefdg])")


def read_pickle(path: str | Path) -> Any:
    """The content of a pickle, of Python 2 or 3, with chumpy objects and torch tensors as numpy arrays.

    Returns:
        Plain Python values, numpy arrays and scipy sparse matrices, nested as in the file.

    Raises:
        MissingAsset: there is no such file.
        BadData: not a pickle, cut short, or it names a class that is not on the list. The class is named, not run.
    """
    path = existing_file(path)
    try:
        with path.open("rb") as stream:
            return unpickle(stream, str(path))
    except OSError as error:
        raise _unreadable(path, error) from None


def read_npz(path: str | Path) -> Arrays:
    """The members of an npz file by name. Each is read when first asked for, object arrays as `read_pickle` does.

    Raises:
        MissingAsset: there is no such file.
        BadData: not an npz file. When a member is asked for: it is cut short, or names a class that is not on the list.
    """
    path = existing_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.removesuffix(".npy"): name for name in archive.namelist() if not name.endswith("/")}
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError):
        raise BadData(
            f"{path.name} is not a complete npz file",
            where=f"{path}, {path.stat().st_size} bytes: no zip directory at its end",
            fix="fetch the file again; a download may have stopped early, or a web page was saved in its place",
        ) from None
    except OSError as error:
        raise _unreadable(path, error) from None
    return Arrays(path, members)


class Arrays(Mapping[str, Any]):
    """The members of an npz file; a member is read when first asked for, and kept."""

    def __init__(self, path: Path, members: dict[str, str]) -> None:
        self.path = path
        self._members = members
        self._read: dict[str, np.ndarray] = {}

    def __getitem__(self, key: str) -> np.ndarray:
        if key not in self._read:
            self._read[key] = self._member(self._members[key])
        return self._read[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, key: object) -> bool:
        return key in self._members

    def __repr__(self) -> str:
        return f"Arrays({self.path.name}: {', '.join(self)})"

    def _member(self, name: str) -> np.ndarray:
        where = f"{self.path}, member {name}"
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(name) as stream:
                return read_npy(stream, where)  # type: ignore[arg-type]
        except BadData:
            raise
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            ValueError,
            RuntimeError,
            NotImplementedError,
        ) as error:
            raise BadData(
                f"member '{name.removesuffix('.npy')}' of {self.path.name} cannot be read",
                where=f"{where}: {error}",
                fix="the file is damaged or cut short; fetch it again",
            ) from None


def read_npy(stream: BinaryIO, where: str) -> np.ndarray:
    """One array in numpy's own file form; an object array goes through the list of allowed classes.

    Args:
        stream: at the start of the array.
        where: file and member, for errors.
    """
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
        else:
            raise ValueError(f"numpy file version {version} is not known")
        if not dtype.hasobject:
            return _plain_array(stream, shape, fortran, dtype)
    except (ValueError, TypeError, EOFError, MemoryError, OverflowError) as error:
        raise BadData("an array cannot be read", where=f"{where}: {error}", fix="fetch the file again") from None
    array = unpickle(stream, where)
    if not isinstance(array, np.ndarray):
        raise BadData("an object array holds something else than an array", where=where, fix="fetch the file again")
    return array


def _plain_array(stream: BinaryIO, shape: tuple[int, ...], fortran: bool, dtype: np.dtype) -> np.ndarray:
    size = math.prod(shape) * dtype.itemsize
    data = stream.read(size)
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes where shape {shape} of {dtype} needs {size}")
    return np.frombuffer(bytearray(data), dtype).reshape(shape, order="F" if fortran else "C")


def existing_file(path: str | Path) -> Path:
    """The path, if it is a file with something in it; the error to show otherwise."""
    path = Path(path).expanduser()
    try:
        if path.is_dir():
            raise BadData(f"{path.name} is a folder", where=str(path), fix="give the path of a file in it")
        if not path.exists():
            raise MissingAsset(f"file {path.name} does not exist", where=str(path), fix="check the path")
        if path.stat().st_size == 0:
            raise BadData(f"{path.name} is empty", where=f"{path}: 0 bytes", fix="fetch the file again")
    except OSError as error:
        raise _unreadable(path, error) from None
    return path


def _unreadable(path: Path, error: OSError) -> BadData:
    reason = error.strerror or str(error)
    return BadData(f"{path.name} cannot be read", where=f"{path}: {reason}", fix="check the rights and the disk")


def unpickle(stream: BinaryIO, where: str) -> Any:
    """The value of a pickle stream; `where` names it in errors."""
    try:
        return _Values().resolve(_AllowList(stream, where).load())
    except BadData as error:
        if error.where:
            raise
        raise BadData(error.what, where=where, fix=error.fix or _NOT_RUN) from None
    except OSError:
        raise
    except (MemoryError, RecursionError) as error:
        raise BadData(
            "the pickle is too large or too deep", where=f"{where}: {error}", fix="fetch the file again"
        ) from None
    except Exception as error:  # a damaged pickle can fail in any way
        raise BadData(
            "not a pickle, or a damaged one",
            where=f"{where}: {type(error).__name__}: {error}",
            fix="fetch the file again; a download may have stopped early, or a web page was saved in its place",
        ) from None


class _AllowList(pickle.Unpickler):
    def __init__(self, stream: BinaryIO, where: str) -> None:
        # Python 2 wrote its strings, and the bytes of arrays in them, as latin-1.
        super().__init__(stream, encoding="latin1")
        self._where = where

    def find_class(self, module: str, name: str) -> Any:
        top = (
            module.replace("numpy._core", "numpy.core")
            .replace("__builtin__", "builtins")
            .replace("copy_reg", "copyreg")
        )
        if module.startswith("scipy.sparse"):
            top = "scipy.sparse"  # the classes moved from scipy.sparse.csc to scipy.sparse._csc
        allowed = _ALLOWED.get((top, name))
        if allowed is None:
            raise BadData(f"the pickle names {module}.{name}, which is not allowed", where=self._where, fix=_NOT_RUN)
        return allowed

    def persistent_load(self, pid: Any) -> Any:
        raise BadData("the pickle refers to something outside itself", where=self._where, fix=_NOT_RUN)


# ---- stand-ins: what a pickle is allowed to name --------------------------------------------------------------------


class _Recorded:
    """An object of a pickle as data: its state is kept, none of its code exists here."""

    state: Any = None

    def __new__(cls, *arguments: Any, **options: Any) -> Self:
        return super().__new__(cls)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        pass

    # Having this also keeps a pickle from setting attributes of the class or of an instance.
    def __setstate__(self, state: Any) -> None:
        if type(self) is _Dtype:
            self.name = _dtype_name(self.name, state)
        else:
            self.state = state

    def value(self, resolve: Callable[[Any], Any]) -> Any:
        raise BadData(f"an object of kind {type(self).__name__.strip('_')} stands where data should", fix=_NOT_RUN)

    def field(self, name: str) -> Any:
        state = self.state[0] if isinstance(self.state, tuple) else self.state
        if not isinstance(state, dict) or name not in state:
            kind = type(self).__name__.strip("_")
            raise BadData(f"an object of kind {kind} in the pickle has no '{name}'", fix="fetch the file again")
        return state[name]


class _Function:
    """A function that a pickle may call. A pickle cannot change it: there is no dictionary to write to."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        object.__setattr__(self, "_call", call)

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)

    def __setattr__(self, name: str, value: Any) -> None:
        raise TypeError("a pickle tried to change a function")

    def __setstate__(self, state: Any) -> None:
        raise TypeError("a pickle tried to change a function")


class _Dtype(_Recorded):
    name: str = ""

    def __init__(self, name: Any = "", *rest: Any) -> None:
        if not isinstance(name, str) or not _DTYPE.fullmatch(name):
            raise BadData(f"an array of the type {name!r}, which is not allowed", fix=_NOT_RUN)
        self.name = name

    def value(self, resolve: Callable[[Any], Any]) -> np.dtype:
        return np.dtype(self.name)


def _dtype_name(name: str, state: Any) -> str:
    # (version, byte order, subarray, names, fields, item size, alignment, flags)
    if not isinstance(state, tuple) or len(state) < 5 or state[1] not in ("<", ">", "=", "|"):
        raise BadData("the type of an array is damaged", fix="fetch the file again")
    if any(part is not None for part in state[2:5]):
        raise BadData("an array of records, which is not allowed", fix=_NOT_RUN)
    return name if state[1] == "|" else state[1] + name.lstrip("<>=|")


class _Array(_Recorded):
    def value(self, resolve: Callable[[Any], Any]) -> np.ndarray:
        state = self.state
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise BadData("an array in the pickle is damaged", fix="fetch the file again")
        shape, dtype, fortran, data = state[-4:]
        return _array(shape, dtype, "F" if fortran else "C", data, resolve)


def _array(shape: Any, dtype: Any, order: str, data: Any, resolve: Callable[[Any], Any]) -> np.ndarray:
    sizes = shape if isinstance(shape, tuple) else (shape,)
    if not isinstance(dtype, _Dtype) or not all(isinstance(n, int) and n >= 0 for n in sizes):
        raise BadData("an array in the pickle is damaged", fix="fetch the file again")
    kind = np.dtype(dtype.name)
    if kind.hasobject:
        if not isinstance(data, list) or len(data) != math.prod(sizes):
            raise BadData(f"an object array of shape {sizes} has other content", fix="fetch the file again")
        array = np.empty(len(data), dtype=object)
        for i, item in enumerate(data):
            array[i] = resolve(item)
    else:
        data = data.encode("latin1") if isinstance(data, str) else data
        if not isinstance(data, bytes | bytearray) or len(data) != math.prod(sizes) * kind.itemsize:
            raise BadData(f"an array of shape {sizes} has other content", fix="fetch the file again")
        array = np.frombuffer(bytearray(data), kind)
    return array.reshape(sizes, order=order)  # type: ignore[call-overload]


def _array_of_buffer(buffer: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.state = (shape, dtype, order == "F", buffer)
    return array


def _scalar(dtype: Any, data: Any = b"") -> Any:
    return _array((), dtype, "C", data, lambda item: item)[()]


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "iso-8859-1"):
        raise BadData("bytes in an unknown form", fix=_NOT_RUN)
    return text.encode("latin1")


def _no_bytes(*arguments: Any) -> bytes:
    if arguments:
        raise BadData("bytes in an unknown form", fix=_NOT_RUN)
    return b""


def _reconstructor(cls: Any, base: Any, state: Any) -> Any:
    if isinstance(cls, type) and issubclass(cls, _Recorded):
        return cls()
    raise BadData(f"an object of the type {getattr(cls, '__name__', cls)!r}, which is not allowed", fix=_NOT_RUN)


class _Compressed(_Recorded):
    """scipy's csc and csr."""

    def value(self, resolve: Callable[[Any], Any]) -> Any:
        from scipy import sparse

        shape = resolve(self.field("_shape"))
        parts = tuple(resolve(self.field(key)) for key in ("data", "indices", "indptr"))
        kind = sparse.csc_matrix if "csc" in type(self).__name__ else sparse.csr_matrix
        return _checked_sparse(lambda: kind(parts, shape=shape))


class _Coordinates(_Recorded):
    """scipy's coo, which kept `row` and `col` before it kept `coords`."""

    def value(self, resolve: Callable[[Any], Any]) -> Any:
        from scipy import sparse

        state = self.state if isinstance(self.state, dict) else {}
        places = state["coords"] if "coords" in state else (self.field("row"), self.field("col"))
        shape, data = resolve(self.field("_shape")), resolve(self.field("data"))
        return _checked_sparse(lambda: sparse.coo_matrix((data, resolve(places)), shape=shape))


def _checked_sparse(build: Callable[[], Any]) -> Any:
    try:
        matrix = build()
        if hasattr(matrix, "check_format"):
            matrix.check_format(full_check=True)
        return matrix
    except (ValueError, TypeError, IndexError) as error:
        raise BadData(f"a sparse matrix in the pickle is damaged: {error}", fix="fetch the file again") from None


class _Chumpy(_Recorded):
    """An array or expression of chumpy, worked out."""

    terms: tuple[str, ...] = ("x",)

    def value(self, resolve: Callable[[Any], Any]) -> np.ndarray:
        values = [resolve(self.field(term)) for term in self.terms]
        try:
            return np.asarray(_CHUMPY[type(self).__name__](*values))
        except (ValueError, TypeError, IndexError) as error:
            raise BadData(f"a chumpy array in the pickle is damaged: {error}", fix="fetch the file again") from None


_CHUMPY: dict[str, Callable[..., Any]] = {
    "Ch": lambda x: x,
    "Select": lambda a, idxs, shape: np.asarray(a).ravel()[np.asarray(idxs).astype(int)].reshape(shape),
    "reshape": lambda a, shape: np.reshape(a, shape),
    "transpose": lambda a, axes: np.transpose(a, axes),
    "add": lambda a, b: np.add(a, b),
    "subtract": lambda a, b: np.subtract(a, b),
    "multiply": lambda a, b: np.multiply(a, b),
}


def _chumpy(name: str, *terms: str) -> type:
    return type(name, (_Chumpy,), {"terms": terms})


def _tensor_storage(data: Any) -> Any:
    import torch

    if not isinstance(data, bytes | bytearray):
        raise BadData("a tensor in the pickle is damaged", fix="fetch the file again")
    # Torch's own restricted reader; a tensor of a graphics card lands in main memory.
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> np.ndarray:
    import torch

    if not isinstance(storage, torch.storage.TypedStorage | torch.UntypedStorage):
        raise BadData("a tensor in the pickle is damaged", fix="fetch the file again")
    dtype = storage.dtype if isinstance(storage, torch.storage.TypedStorage) else torch.uint8
    whole = torch.empty(0, dtype=dtype).set_(storage)  # type: ignore[call-overload]
    size, stride = tuple(size), tuple(stride)
    # The last element that the view would touch must lie in the storage.
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if min((offset, *size, *stride)) < 0 or (math.prod(size) and last >= len(whole)):
        raise BadData("a tensor in the pickle reaches outside its data", fix="fetch the file again")
    tensor = torch.as_strided(whole, size, stride, offset)
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy().copy()


def _named(name: str, kind: type) -> type:
    return type(name, (kind,), {})


# (module, name) as the file writes it, with old module paths made new -> what stands for it here.
_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    **{("builtins", kind.__name__): kind for kind in (object, set, frozenset, list, dict, tuple, int, float, bool)},
    ("builtins", "bytes"): _Function(_no_bytes),
    ("_codecs", "encode"): _Function(_encoded),
    ("copyreg", "_reconstructor"): _Function(_reconstructor),
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _Function(lambda *arguments: _Array()),
    ("numpy.core.multiarray", "scalar"): _Function(_scalar),
    ("numpy.core.numeric", "_frombuffer"): _Function(_array_of_buffer),
    ("scipy.sparse", "csc_matrix"): _named("csc", _Compressed),
    ("scipy.sparse", "csc_array"): _named("csc", _Compressed),
    ("scipy.sparse", "csr_matrix"): _named("csr", _Compressed),
    ("scipy.sparse", "csr_array"): _named("csr", _Compressed),
    ("scipy.sparse", "coo_matrix"): _named("coo", _Coordinates),
    ("scipy.sparse", "coo_array"): _named("coo", _Coordinates),
    ("chumpy.ch", "Ch"): _chumpy("Ch", "x"),
    ("chumpy.reordering", "Select"): _chumpy("Select", "a", "idxs", "preferred_shape"),
    ("chumpy.reordering", "reshape"): _chumpy("reshape", "a", "newshape"),
    ("chumpy.reordering", "transpose"): _chumpy("transpose", "a", "axes"),
    **{("chumpy.ch_ops", name): _chumpy(name, "a", "b") for name in ("add", "subtract", "multiply")},
    ("torch.storage", "_load_from_bytes"): _Function(_tensor_storage),
    ("torch._utils", "_rebuild_tensor_v2"): _Function(_tensor),
    ("torch._utils", "_rebuild_parameter"): _Function(lambda data, *rest: data),
    ("torch", "Size"): _Function(lambda sizes=(): tuple(sizes)),
}


class _Values:
    """Turns what the stand-ins recorded into values, each once; dicts and lists are changed in place."""

    def __init__(self) -> None:
        self._done: dict[int, Any] = {}
        self._kept: list[Any] = []  # so that no id is used twice

    def resolve(self, item: Any) -> Any:
        if isinstance(item, type | _Function):
            raise BadData("a class or function stands where data should", fix=_NOT_RUN)
        if not isinstance(item, _Recorded | dict | list | tuple):
            return item
        if id(item) in self._done:
            return self._done[id(item)]
        self._kept.append(item)
        if isinstance(item, _Recorded):
            value = item.value(self.resolve)
        elif isinstance(item, tuple):
            value = tuple(self.resolve(part) for part in item)
        else:
            value = self._done[id(item)] = item
            for key, part in list(item.items() if isinstance(item, dict) else enumerate(item)):
                item[key] = self.resolve(part)
        self._done[id(item)] = value
        return value
