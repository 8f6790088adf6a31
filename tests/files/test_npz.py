"""Members of an npz are what zipfile says, however they are stored; damage is an error."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from vitruve.bodies.pickles import read_npz
from vitruve.errors import BadData
from vitruve.files.npz import npz_members, read_member, unpacked

ARRAY = np.arange(3000.0).reshape(50, 60)


def npy(array: np.ndarray = ARRAY) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array)
    return stream.getvalue()


def write(path: Path, method: int, before: bytes = b"") -> Path:
    with path.open("wb") as file:
        file.write(before)
        with zipfile.ZipFile(file, "w", method) as archive:
            archive.writestr("poses.npy", npy())
            archive.writestr("empty.npy", npy(np.zeros((0, 3))))
            archive.writestr("notes.txt", "text")
            archive.mkdir("folder") if hasattr(archive, "mkdir") else archive.writestr("folder/", "")
    return path


@pytest.mark.parametrize("before", [b"", b"a launcher before the archive"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_members_are_read_in_any_compression_and_after_other_data(tmp_path: Path, method: int, before: bytes):
    path = write(tmp_path / "a.npz", method, before)
    with path.open("rb") as file:
        members = npz_members(file)
        assert list(members) == ["poses", "empty", "notes.txt", "folder/"]
        assert read_member(file, members["poses"]) == npy()
        assert read_member(file, members["poses"], 100) == npy()[:100]
    arrays = read_npz(path)
    assert set(arrays) == {"poses", "empty", "notes.txt"}
    assert np.array_equal(arrays["poses"], ARRAY) and arrays["empty"].shape == (0, 3)
    arrays["poses"][0] = 1.0  # the array is a copy that may be changed
    with pytest.raises(BadData):
        arrays["notes.txt"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("offset", [0, 60, 200])
def test_a_damaged_member_is_an_error(tmp_path: Path, method: int, offset: int):
    path = write(tmp_path / "a.npz", method)
    data = bytearray(path.read_bytes())
    data[offset : offset + 4] = bytes(byte ^ 0xFF for byte in data[offset : offset + 4])
    path.write_bytes(data)
    with path.open("rb") as file, pytest.raises(zipfile.BadZipFile):
        read_member(file, npz_members(file)["poses"])
    with pytest.raises(BadData) as error:
        read_npz(path)["poses"]
    assert "poses" in error.value.what and "a.npz" in error.value.where


def test_a_wrong_length_in_the_index_reserves_no_memory(tmp_path: Path):
    path = write(tmp_path / "a.npz", zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02") + 24
    struct.pack_into("<I", data, place, 0xFFFF0000)
    path.write_bytes(data)
    with path.open("rb") as file:
        member = npz_members(file)["poses"]
        assert member.length == 0xFFFF0000
        with pytest.raises(zipfile.BadZipFile):
            read_member(file, member)


def test_an_encrypted_member_is_an_error(tmp_path: Path):
    path = write(tmp_path / "a.npz", zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    for place in (data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8):
        data[place] |= 1
    path.write_bytes(data)
    with path.open("rb") as file:
        member = npz_members(file)["poses"]
        with pytest.raises(RuntimeError):
            read_member(file, member)
        with pytest.raises(zipfile.BadZipFile):
            unpacked(b"", member)
    with pytest.raises(BadData, match="poses"):
        read_npz(path)["poses"]
