"""Pickles and npz files: what they hold comes back, what they want to run is refused."""

from __future__ import annotations

import collections
import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from tests.bodies.official_files import random_values, write_python2_pkl
from vitruve.bodies.pickles import read_npz, read_pickle
from vitruve.bodies.unpickler import unpickle
from vitruve.errors import BadData, MissingAsset

# numpy itself answers the deprecated dtype aliases that hypothesis may try.
_DTYPES = st.one_of(nps.integer_dtypes(), nps.unsigned_integer_dtypes(), nps.floating_dtypes(sizes=(16, 32, 64)))


class Call:
    """An object that pickles as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.call


def back(value: Any, protocol: int = 4) -> Any:
    return unpickle(io.BytesIO(pickle.dumps(value, protocol)), "there")


@settings(max_examples=60, deadline=None)
@given(nps.arrays(_DTYPES, nps.array_shapes(min_dims=0, min_side=0)), st.integers(0, 5), st.booleans())
def test_arrays_come_back(array: np.ndarray, protocol: int, fortran: bool):
    array = np.asfortranarray(array) if fortran else array
    found = back(array, protocol)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype and found.shape == array.shape and found.flags.writeable


@pytest.mark.parametrize("protocol", range(6))
def test_values_of_all_kinds_come_back(protocol: int):
    values = {
        "words": np.array(["male", "x"]),
        "bytes": b"\xff\x01",
        "none": None,
        "scalar": np.float32(3.5),
        "nested": [(1, {"a": np.arange(3)}), {2, 3}],
        "ordered": collections.OrderedDict(b=1, a=np.ones(2)),
        "objects": np.array({"x": np.arange(4)}, dtype=object),
    }
    found = back(values, protocol)
    assert found["words"].tolist() == ["male", "x"] and found["bytes"] == b"\xff\x01" and found["scalar"] == 3.5
    assert found["nested"][0][1]["a"].tolist() == [0, 1, 2] and found["nested"][1] == {2, 3}
    assert list(found["ordered"]) == ["b", "a"] and found["objects"].item()["x"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("offset", "size", "stride"), [(0, (4,), (1,)), (-1, (2,), (1,)), (0, (2,), (9,)), (3, (1,), (1,))]
)
def test_a_tensor_that_reaches_outside_its_storage(offset: int, size: tuple, stride: tuple):
    storage = torch.arange(3.0)._typed_storage()
    with pytest.raises(BadData, match="outside"):
        back(Call(torch._utils._rebuild_tensor_v2, storage, offset, size, stride, False, {}))


def test_code_hidden_in_the_storage_of_a_tensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    inner = pickle.dumps(Call(os.system, "echo run > ran"), 2)
    with pytest.raises(BadData, match="system"):
        back(Call(torch.storage._load_from_bytes, inner))
    assert not Path("ran").exists()


@pytest.mark.parametrize("kind", ["csc_matrix", "csr_matrix", "coo_matrix", "csc_array", "csr_array"])
def test_sparse_matrices_come_back(kind: str):
    matrix = getattr(scipy.sparse, kind)(scipy.sparse.random(5, 7, 0.4, "coo", None, np.random.default_rng(0)))
    np.testing.assert_array_equal(back(matrix).toarray(), matrix.toarray())


@pytest.mark.parametrize("protocol", [2, 4])
def test_tensors_come_back_as_arrays(protocol: int):
    whole = torch.randn(4, 5)
    values = {"plain": whole, "view": whole.T[1:, 2:], "parameter": torch.nn.Parameter(whole), "empty": whole[:0]}
    values |= {"one": torch.tensor(3), "of nothing": torch.zeros(0, 3), "shared": whole[1]}
    values |= {str(kind): whole.to(kind) for kind in (torch.half, torch.double, torch.int16, torch.bool, torch.uint8)}
    found = back(values, protocol)
    rounded = whole.bfloat16()
    np.testing.assert_array_equal(back(rounded, protocol), rounded.float().numpy())
    for key, tensor in values.items():
        np.testing.assert_array_equal(found[key], tensor.detach().numpy())


def test_a_tensor_of_a_graphics_card_lands_in_main_memory():
    stream = io.BytesIO()
    torch.save(torch.arange(3.0)._typed_storage(), stream, _use_new_zipfile_serialization=False)
    on_cuda = stream.getvalue().replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
    assert b"cuda:0" in on_cuda
    storage = Call(torch.storage._load_from_bytes, on_cuda)
    found = back(Call(torch._utils._rebuild_tensor_v2, storage, 0, (3,), (1,), False, {}))
    assert found.tolist() == [0, 1, 2]


@pytest.mark.parametrize("protocol", [0, 2])
def test_python_2_files_with_chumpy_read_as_arrays(tmp_path: Path, protocol: int):
    values = random_values("mano")
    keys = ("shapedirs", "v_template", "posedirs")
    found = read_pickle(write_python2_pkl(tmp_path / "MANO_LEFT.pkl", values, keys, protocol))
    for key in (*keys, "weights", "kintree_table"):
        np.testing.assert_array_equal(found[key], values[key])
    np.testing.assert_array_equal(found["J_regressor"].toarray(), values["J_regressor"].toarray())
    assert found["bs_type"] == "lrotmin"


HOSTILE = {
    "a shell command": Call(os.system, "echo run > ran"),
    "eval": Call(eval, "open('ran', 'w')"),
    "exec": Call(exec, "open('ran', 'w')"),
    "getattr": Call(getattr, os, "system"),
    "open": Call(open, "ran", "w"),
    "inside an object array": np.array([Call(os.system, "echo run > ran")], dtype=object),
    "a plain class": Path("x"),
    "numpy's loader": Call(np.load, "x.npy"),
    "torch's loader": Call(torch.load, "x.pt"),
    "a function as data": {"a": print},
    "a class as data": {"a": set},
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_hostile_pickles_are_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, protocol: int
):
    monkeypatch.chdir(tmp_path)
    if case == "getattr":
        content = b"cbuiltins\ngetattr\n(cos\nsystem\nVx\ntR."
    else:
        content = pickle.dumps(HOSTILE[case], protocol)
    (tmp_path / "model.pkl").write_bytes(content)
    with pytest.raises(BadData) as raised:
        read_pickle(tmp_path / "model.pkl")
    assert "model.pkl" in raised.value.where and "not run" in raised.value.fix
    assert not (tmp_path / "ran").exists()


def test_the_refused_class_is_named(tmp_path: Path):
    (tmp_path / "model.pkl").write_bytes(b"cos\nsystem\n(S'echo run'\ntR.")
    with pytest.raises(BadData, match=r"os\.system"):
        read_pickle(tmp_path / "model.pkl")


# A pickle may also set attributes of what it can name, to change it for the files read after it.
TAMPERING = {
    "a function": b"c_codecs\nencode\n(dVencoding\nVutf8\nsb.",
    "a class": b"cnumpy\nndarray\n(dVvalue\nV1\nsb.",
    "a builtin": b"c__builtin__\nset\n(N(dVadd\nV1\nstb.",
}


@pytest.mark.parametrize("case", TAMPERING)
def test_a_pickle_cannot_change_what_it_names(case: str):
    with pytest.raises(BadData):
        unpickle(io.BytesIO(TAMPERING[case]), "there")
    assert back({"a": np.arange(2)}, 2)["a"].tolist() == [0, 1]


def _array_pickle(shape: str, dtype: str, data: str) -> bytes:
    reconstruct = "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    kind = f"cnumpy\ndtype\n(S'{dtype}'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
    return f"{reconstruct}(I1\n{shape}{kind}I00\n{data}tb.".encode()


@pytest.mark.parametrize(
    ("shape", "dtype", "data"),
    [
        ("(I1000\nt", "f8", "S'short'\n"),
        ("(I-1\nt", "f8", "S'12345678'\n"),
        ("(I1\nt", "O8", "S'12345678'\n"),
        ("(I1\nt", "V8", "S'12345678'\n"),
        ("(S'x'\nt", "f8", "S'12345678'\n"),
    ],
)
def test_arrays_that_lie_about_themselves_are_refused(shape: str, dtype: str, data: str):
    with pytest.raises(BadData, match="array"):
        unpickle(io.BytesIO(_array_pickle(shape, dtype, data)), "there")


def test_the_handmade_array_is_read_where_it_does_not_lie():
    array = unpickle(
        io.BytesIO(_array_pickle("(I2\nt", "i4", "S'\\x01\\x00\\x00\\x00\\x02\\x00\\x00\\x00'\n")), "there"
    )
    assert array.tolist() == [1, 2]


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.98])
def test_a_pickle_cut_short(tmp_path: Path, keep: float):
    content = pickle.dumps({"a": np.arange(1000.0)}, 2)
    (tmp_path / "cut.pkl").write_bytes(content[: int(keep * len(content))])
    with pytest.raises(BadData) as raised:
        read_pickle(tmp_path / "cut.pkl")
    assert "cut.pkl" in raised.value.where and "again" in raised.value.fix


def test_npz_members_are_read_when_asked_for(tmp_path: Path):
    path = tmp_path / "model.npz"
    table, hostile = np.array({"a": 1}, dtype=object), np.array([Call(os.system, "echo run > ran")], dtype=object)
    np.savez(path, a=np.arange(6.0).reshape(2, 3), word=np.array("male"), table=table, hostile=hostile)
    arrays = read_npz(path)
    assert set(arrays) == {"a", "word", "table", "hostile"} and len(arrays) == 4
    assert arrays["a"].shape == (2, 3) and arrays["word"].item() == "male" and arrays["table"].item() == {"a": 1}
    with pytest.raises(BadData) as raised:
        arrays["hostile"]
    assert "system" in raised.value.what and "hostile.npy" in raised.value.where


def test_a_damaged_npz_member_is_named(tmp_path: Path):
    path = tmp_path / "model.npz"
    np.savez(path, a=np.arange(1000.0), b=np.arange(3))
    content = bytearray(path.read_bytes())
    content[500:520] = b"x" * 20
    path.write_bytes(content)
    arrays = read_npz(path)
    assert arrays["b"].tolist() == [0, 1, 2]
    with pytest.raises(BadData, match="'a'") as raised:
        arrays["a"]
    assert "a.npy" in raised.value.where and "again" in raised.value.fix


def test_an_npz_member_shorter_than_its_header_says(tmp_path: Path):
    stream = io.BytesIO()
    np.save(stream, np.arange(100.0))
    with zipfile.ZipFile(tmp_path / "model.npz", "w") as archive:
        archive.writestr("a.npy", stream.getvalue()[:-80])
    with pytest.raises(BadData, match="array") as raised:
        read_npz(tmp_path / "model.npz")["a"]
    assert "a.npy" in raised.value.where


def test_a_file_that_is_not_there(tmp_path: Path):
    for read in (read_pickle, read_npz):
        with pytest.raises(MissingAsset, match="does not exist"):
            read(tmp_path / "none.pkl")
