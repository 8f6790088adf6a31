"""Read the header of an npy file: shape, memory order and dtype.

numpy evaluates the header as a Python literal. On Python 3.11 `ast.literal_eval` is not thread-safe and sometimes fails
(https://github.com/python/cpython/issues/106905). Headers as numpy writes them are parsed here without it.
"""

from __future__ import annotations

import io
import re
import threading
from typing import IO, NamedTuple

import numpy as np

# Size of the field with the header's length, by file version.
_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4}
# Bytes: the longest header text that numpy accepts, and the longest header in all.
_LONGEST = 10_000
LONGEST_HEADER = 12 + _LONGEST
_USUAL = re.compile(
    r"\{'descr': '([<>|=]?[A-Za-z?]\d*)', 'fortran_order': (True|False), 'shape': \((|\d+,|\d+(?:, \d+)+)\), \}\s*"
)
_literal_lock = threading.Lock()


class NpyHeader(NamedTuple):
    """Shape, whether the first index varies fastest (Fortran order), and dtype."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype


def read_npy_header(stream: IO[bytes]) -> NpyHeader:
    """Read the header at the stream's position; the stream is left at the first number.

    Raises:
        ValueError: not an npy file, an unsupported version, or an invalid header.
    """
    version = np.lib.format.read_magic(stream)
    if version not in _LENGTH_BYTES:
        raise ValueError(f"npy version {version} is unsupported")
    length = stream.read(_LENGTH_BYTES[version])
    size = int.from_bytes(length, "little")
    if len(length) < _LENGTH_BYTES[version] or size > _LONGEST:
        raise ValueError(f"invalid header length: {size} bytes")
    text = stream.read(size)
    if len(text) != size:
        raise ValueError(f"the header ends after {len(text)} of {size} bytes")
    usual = _USUAL.fullmatch(text.decode("latin1"))
    try:
        if usual:
            kind, fortran, shape = usual.groups()
            return NpyHeader(tuple(int(n) for n in shape.split(",") if n), fortran == "True", np.dtype(kind))
        return _read_with_numpy(io.BytesIO(length + text), version)
    except Exception as error:  # a Python literal can fail in many ways: TokenError, RecursionError, TypeError, ...
        raise ValueError(f"invalid header: {error}") from None


def _read_with_numpy(stream: IO[bytes], version: tuple[int, int]) -> NpyHeader:
    """Structured dtypes and headers written by other programs."""
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with _literal_lock:
        return NpyHeader(*read(stream))
