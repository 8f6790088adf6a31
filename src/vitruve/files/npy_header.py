"""What stands before the numbers of an npy file: shape, order and type.

    header = read_npy_header(stream)          # the stream is left at the first number
    header.shape, header.fortran, header.dtype

numpy evaluates the header as a Python literal. On Python 3.11 the parser of literals counts its depth for all threads
together, and now and then fails when two of them read a file (https://github.com/python/cpython/issues/106905).
What numpy itself writes is read here without it, from any number of threads.
"""

from __future__ import annotations

import io
import re
import threading
from typing import IO, NamedTuple

import numpy as np

# The length of the header before it: 2 bytes in version 1, 4 in version 2.
_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4}
# Bytes: the longest text that numpy reads, and all that can stand before the numbers with it.
_LONGEST = 10_000
LONGEST_HEADER = 12 + _LONGEST
_USUAL = re.compile(
    r"\{'descr': '([<>|=]?[A-Za-z?]\d*)', 'fortran_order': (True|False), 'shape': \((|\d+,|\d+(?:, \d+)+)\), \}\s*"
)
_one_at_a_time = threading.Lock()


class NpyHeader(NamedTuple):
    """Shape, whether the first index varies fastest, and type."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype


def read_npy_header(stream: IO[bytes]) -> NpyHeader:
    """The header of the npy file that begins here.

    Raises:
        ValueError: no npy file, one of a version that is not known, or a header that cannot be understood.
    """
    version = np.lib.format.read_magic(stream)
    if version not in _LENGTH_BYTES:
        raise ValueError(f"numpy file version {version} is not known")
    length = stream.read(_LENGTH_BYTES[version])
    size = int.from_bytes(length, "little")
    if len(length) < _LENGTH_BYTES[version] or size > _LONGEST:
        raise ValueError(f"its header cannot be {size} bytes long")
    text = stream.read(size)
    if len(text) != size:
        raise ValueError(f"its header ends after {len(text)} of {size} bytes")
    usual = _USUAL.fullmatch(text.decode("latin1"))
    try:
        if usual:
            kind, fortran, shape = usual.groups()
            return NpyHeader(tuple(int(n) for n in shape.split(",") if n), fortran == "True", np.dtype(kind))
        return _unusual(io.BytesIO(length + text), version)
    except Exception as error:  # a Python literal can be wrong in many ways: TokenError, RecursionError, TypeError, ...
        raise ValueError(f"its header cannot be understood: {error}") from None


def _unusual(stream: IO[bytes], version: tuple[int, int]) -> NpyHeader:
    """Records, and what other programs write: numpy reads them."""
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with _one_at_a_time:
        return NpyHeader(*read(stream))
