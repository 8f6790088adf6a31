"""The header of an npy file means what numpy says, and is read without the parser of literals."""

import ast
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as some

from vitruve.files.npy_header import read_npy_header


def saved(array, **options) -> io.BytesIO:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **options)
    stream.seek(0)
    return stream


def with_header(text: str, version: bytes = b"\x01\x00", length: int | None = None) -> io.BytesIO:
    size = len(text) if length is None else length
    return io.BytesIO(b"\x93NUMPY" + version + size.to_bytes(2 if version[0] == 1 else 4, "little") + text.encode())


@given(
    dtype=st.one_of(some.scalar_dtypes(), some.array_dtypes()),
    shape=some.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4),
    fortran=st.booleans(),
    version=st.sampled_from([(1, 0), (2, 0)]),
)
def test_it_means_what_numpy_says(dtype, shape, fortran, version):
    try:
        stream = saved(np.zeros(shape, dtype, order="F" if fortran else "C"), version=version)
    except (UnicodeEncodeError, ValueError):
        return  # names of fields that this version of the file cannot hold
    header = read_npy_header(stream)
    at = stream.tell()
    stream.seek(8)
    theirs = (np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0)(stream)
    assert header == theirs and at == stream.tell()


@pytest.mark.parametrize("shape", [(), (0,), (10,), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("dtype", ["f4", ">f8", "i8", "bool", "U7", "S3", "O", "c16", "M8[s]"])
def test_the_parser_of_literals_is_not_needed_for_what_numpy_writes(monkeypatch, shape, dtype):
    stream = saved(np.zeros(shape, dtype), allow_pickle=True)

    def refuse(*_, **__):
        raise SystemError("AST constructor recursion depth mismatch (before=54, after=51)")

    if dtype != "M8[s]":  # a unit is rare, and numpy's to read
        monkeypatch.setattr(ast, "parse", refuse)
    header = read_npy_header(stream)
    assert header.shape == shape and header.dtype == np.dtype(dtype) and not header.fortran


def test_other_programs_write_other_blanks_and_orders():
    stream = with_header("{'shape':(3,4),'fortran_order':True,'descr':'<f4'}\n")
    assert read_npy_header(stream) == ((3, 4), True, np.dtype("<f4"))


@pytest.mark.parametrize(
    ("stream", "says"),
    [
        (io.BytesIO(b""), "magic"),
        (io.BytesIO(b"PK\x03\x04 a zip"), "magic"),
        (io.BytesIO(b"\x93NUMPY\x09\x00" + bytes(60)), "version"),
        (io.BytesIO(b"\x93NUMPY\x01\x00\x10"), "invalid header"),
        (with_header("{'descr'", length=200), "ends after 8 of 200"),
        (with_header("x" * 20, b"\x02\x00", length=2**31), "2147483648 bytes"),
        (with_header("{'descr': '<f9', 'fortran_order': False, 'shape': (3,), }\n"), "understood"),
        (with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (-3,), }\n"), ""),
        (with_header("((((((((((((("), ""),
        (with_header("[" * 5000), ""),
        (with_header("__import__('os').system('true')"), ""),
        (with_header("\x00\x00"), ""),
    ],
)
def test_what_cannot_be_understood_is_a_value_error(stream, says):
    try:
        header = read_npy_header(stream)
    except ValueError as error:
        assert says in str(error)
    else:  # numpy itself lets a negative length through; whoever reads the numbers refuses it
        assert header.shape == (-3,) and says == ""
