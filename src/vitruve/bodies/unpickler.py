"""The restricted unpickler: the allow list of names, and our stand-in for each.

Each entry of the table at the end is a stand-in that only records its arguments. Arrays, sparse matrices, chumpy
objects and torch tensors are built from those records afterwards, with checks.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any, BinaryIO, Self

import numpy as np

from vitruve.errors import BadData

NOT_RUN = "the file was not run; if you trust its source, load it with its own tools and save plain arrays"
_DTYPE = re.compile(r"[<>=|]?(?:[biufc]\d{1,2}|\?|[SU]\d+|O8?|[bBhHiIlLqQefdg])")


def unpickle(stream: BinaryIO, where: str) -> Any:
    """The value of a pickle stream; `where` names it in errors."""
    try:
        return Values().resolve(AllowList(stream, where).load())
    except BadData as error:
        if error.where:
            raise
        raise BadData(error.what, where=where, fix=error.fix or NOT_RUN) from None
    except OSError:
        raise
    except (MemoryError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else "too large for the memory"
        raise BadData(f"the pickle is {reason}", where=where, fix="check that this is the right file") from None
    except Exception as error:  # a damaged pickle can fail in any way
        raise BadData(
            "not a pickle, or a damaged one",
            where=f"{where}: {type(error).__name__}: {error}",
            fix="download the file again; the download may have stopped early, or a web page was saved in its place",
        ) from None


class AllowList(pickle.Unpickler):
    """An unpickler that finds the entries of `_ALLOWED` and nothing else."""

    def __init__(self, stream: BinaryIO, where: str) -> None:
        # Python 2 wrote its strings, and the bytes of arrays in them, as latin-1.
        super().__init__(stream, encoding="latin1")
        self._where = where

    def find_class(self, module: str, name: str) -> Any:
        home = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)
        home = home.replace("numpy._core", "numpy.core")
        if home.startswith("scipy.sparse"):
            home = "scipy.sparse"  # the classes moved from scipy.sparse.csc to scipy.sparse._csc
        allowed = _ALLOWED.get((home, name))
        if allowed is None:
            raise BadData(f"the pickle names {module}.{name}, which is not allowed", where=self._where, fix=NOT_RUN)
        return allowed

    def persistent_load(self, pid: Any) -> Any:
        raise BadData("the pickle refers to something outside itself", where=self._where, fix=NOT_RUN)


# ---- stand-ins: what a pickle is allowed to name --------------------------------------------------------------------


class _Recorded:
    """An object of a pickle as plain data: its state without its code."""

    state: Any = None

    def __new__(cls, *arguments: Any, **options: Any) -> Self:
        return super().__new__(cls)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        pass

    # Having this also keeps a pickle from setting attributes of the class or of an instance.
    def __setstate__(self, state: Any) -> None:
        self.state = state

    def value(self, resolve: Callable[[Any], Any]) -> Any:
        raise BadData(f"an object of kind {type(self).__name__.strip('_')} is in place of data", fix=NOT_RUN)

    def field(self, name: str) -> Any:
        state = self.state[0] if isinstance(self.state, tuple) else self.state
        if not isinstance(state, dict) or name not in state:
            kind = type(self).__name__.strip("_")
            raise BadData(f"an object of kind {kind} in the pickle has no '{name}'", fix="fetch the file again")
        return state[name]


class _Function:
    """A function that a pickle may call but not change: it has no __dict__ to write to."""

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
            raise BadData(f"an array of the type {name!r}, which is not allowed", fix=NOT_RUN)
        self.name = name

    def __setstate__(self, state: Any) -> None:
        # (version, byte order, subarray, names, fields, item size, alignment, flags)
        if not isinstance(state, tuple) or len(state) < 5 or state[1] not in ("<", ">", "=", "|"):
            raise BadData("the type of an array is damaged", fix="fetch the file again")
        if any(part is not None for part in state[2:5]):
            raise BadData("an array of records, which is not allowed", fix=NOT_RUN)
        if state[1] != "|":
            self.name = state[1] + self.name.lstrip("<>=|")

    def value(self, resolve: Callable[[Any], Any]) -> np.dtype:
        return np.dtype(self.name)


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
        raise BadData("bytes in an unknown form", fix=NOT_RUN)
    return text.encode("latin1")


def _no_bytes(*arguments: Any) -> bytes:
    if arguments:
        raise BadData("bytes in an unknown form", fix=NOT_RUN)
    return b""


def _reconstructor(cls: Any, base: Any, state: Any) -> Any:
    if isinstance(cls, type) and issubclass(cls, _Recorded):
        return cls()
    raise BadData(f"an object of the type {getattr(cls, '__name__', cls)!r}, which is not allowed", fix=NOT_RUN)


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
    """A chumpy array or expression, evaluated."""

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
    "reshape": np.reshape,
    "transpose": np.transpose,
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
}


def _chumpy(name: str, *terms: str) -> type:
    return type(name, (_Chumpy,), {"terms": terms})


# Types of torch storages; bfloat16, which numpy lacks, is the upper half of a float32.
_STORAGES = {
    **{"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "BFloat16Storage": "bfloat16"},
    **{"LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1"},
    "BoolStorage": "?",
}


class _Storage(_Recorded):
    """A torch storage class; only its name matters."""


class _StorageStream(AllowList):
    """The pickles that describe a storage and refer to the raw numbers after them."""

    def persistent_load(self, pid: Any) -> Any:
        if not isinstance(pid, tuple) or len(pid) != 6 or pid[0] != "storage" or pid[5] is not None:
            raise BadData("a tensor in the pickle is in an unknown form", fix=NOT_RUN)
        return pid[1].__name__


def _tensor_storage(data: Any) -> np.ndarray:
    """The numbers of a separately saved storage, as torch writes it inside a plain pickle; from any device.

    Five pickles (magic number, version, system, the reference to the storage, its key), the length, the numbers.
    """
    if not isinstance(data, bytes | bytearray):
        raise BadData("a tensor in the pickle is damaged", fix="fetch the file again")
    stream = io.BytesIO(data)
    parts = [_StorageStream(stream, "").load() for _ in range(5)]
    name = _STORAGES.get(parts[3]) if isinstance(parts[3], str) else None
    if name is None:
        raise BadData(f"a tensor of the type {parts[3]!r}, which is not allowed", fix=NOT_RUN)
    count = int.from_bytes(stream.read(8), "little")
    kind = np.dtype("<u2" if name == "bfloat16" else name)
    numbers = stream.read(count * kind.itemsize)
    if len(numbers) != count * kind.itemsize:
        raise BadData("a tensor in the pickle is cut short", fix="fetch the file again")
    array = np.frombuffer(numbers, kind)
    return (array.astype("<u4") << 16).view("<f4") if name == "bfloat16" else array


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> np.ndarray:
    if not isinstance(storage, np.ndarray) or len(size) != len(stride):
        raise BadData("a tensor in the pickle is damaged", fix="fetch the file again")
    # The last element of the view must lie inside the storage.
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if min((offset, *size, *stride)) < 0 or (math.prod(size) and last >= len(storage)):
        raise BadData("a tensor in the pickle reaches outside its data", fix="fetch the file again")
    steps = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[min(offset, len(storage)) :], tuple(size), steps).copy()


def _named(name: str, kind: type) -> type:
    return type(name, (kind,), {})


# (module, name) as in the file, with old module paths updated -> our stand-in.
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
    **{("scipy.sparse", f"csc_{form}"): _named("csc", _Compressed) for form in ("matrix", "array")},
    **{("scipy.sparse", f"csr_{form}"): _named("csr", _Compressed) for form in ("matrix", "array")},
    **{("scipy.sparse", f"coo_{form}"): _named("coo", _Coordinates) for form in ("matrix", "array")},
    ("chumpy.ch", "Ch"): _chumpy("Ch", "x"),
    ("chumpy.reordering", "Select"): _chumpy("Select", "a", "idxs", "preferred_shape"),
    ("chumpy.reordering", "reshape"): _chumpy("reshape", "a", "newshape"),
    ("chumpy.reordering", "transpose"): _chumpy("transpose", "a", "axes"),
    **{("chumpy.ch_ops", name): _chumpy(name, "a", "b") for name in ("add", "subtract", "multiply")},
    **{("torch", name): _named(name, _Storage) for name in _STORAGES},
    ("torch.storage", "_load_from_bytes"): _Function(_tensor_storage),
    ("torch._utils", "_rebuild_tensor_v2"): _Function(_tensor),
    ("torch._utils", "_rebuild_parameter"): _Function(lambda data, *rest: data),
    ("torch", "Size"): _Function(lambda sizes=(): tuple(sizes)),
}


class Values:
    """Turns the records of the stand-ins into values, each once; dicts and lists are changed in place."""

    def __init__(self) -> None:
        self._done: dict[int, Any] = {}
        self._kept: list[Any] = []  # keeps objects alive, so that no id is reused

    def resolve(self, item: Any) -> Any:
        if isinstance(item, type | _Function):
            raise BadData("a class or function in place of data", fix=NOT_RUN)
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
