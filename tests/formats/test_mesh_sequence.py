"""Mesh sequences: nothing is lost or reordered, trimesh agrees, and bad files say why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruve.errors import BadData, MissingAsset, UsageError, VitruveError
from vitruve.formats.readers.mesh_sequence import read_mesh_sequence, write_mesh_sequence

CUBE = """# eight corners
mtllib none.mtl
o cube
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
v 0 0 1
v 1 0 1
v 1 1 1
v 0 1 1
vt 0.5 0.5
vn 0 0 1
s off
usemtl grey
f 1 2 3 4
f 5/1 6/1 7/1
f 1//1 2//1 6//1
f 2/1/1 3/1/1 7/1/1
l 1 2
"""
# Fans around the first corner of each polygon, in the order of the lines.
CUBE_FACES = [[0, 1, 2], [0, 2, 3], [4, 5, 6], [0, 1, 5], [1, 2, 6]]

PLY = """ply
format ascii 1.0
comment four corners
element vertex 4
property float x
property float y
property float z
property uchar red
element face 2
property list uchar int vertex_indices
end_header
0 0 0 255
1 0 0 255
1 1 0 255
0 1 0.5 255
3 0 1 2
4 0 1 2 3
"""
PLY_FACES = [[0, 1, 2], [0, 1, 2], [0, 2, 3]]


def meshes(seed: int, frames: int, vertices: int, faces: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(frames, vertices, 3, generator=generator, dtype=torch.float64)
    return points.to(dtype), torch.randint(vertices, (faces, 3), generator=generator)


def one(tmp_path: Path, content: str | bytes, name: str = "mesh.obj") -> list[Path]:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [path]


# Laws


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    frames=st.integers(1, 4),
    vertices=st.integers(3, 12),
    faces=st.integers(0, 9),
    format=st.sampled_from(["obj", "ply"]),
    up=st.sampled_from(["y", "z"]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_what_is_written_is_read_back_to_the_last_digit(
    tmp_path_factory, seed, frames, vertices, faces, format, up, dtype
):
    points, triangles = meshes(seed, frames, vertices, faces, dtype)
    folder = tmp_path_factory.mktemp("meshes") / "out"
    assert write_mesh_sequence(points, triangles, folder, format=format, up=up) == folder
    back = read_mesh_sequence(folder, up=up, dtype=dtype)
    assert len(back) == frames
    assert torch.equal(back.vertices, points)
    assert torch.equal(back.faces, triangles)
    assert [file.name for file in back.files] == [f"frame_{i:06d}.{format}" for i in range(frames)]


@pytest.mark.parametrize("format", ["obj", "ply"])
def test_trimesh_reads_the_same(tmp_path: Path, format: str):
    points, triangles = meshes(1, 1, 20, 30, torch.float32)
    write_mesh_sequence(points, triangles, tmp_path / "out", format=format)
    mesh = trimesh.load(tmp_path / "out" / f"frame_000000.{format}", process=False, maintain_order=True)
    np.testing.assert_array_equal(np.asarray(mesh.vertices, dtype=np.float32), points[0].numpy())
    np.testing.assert_array_equal(mesh.faces, triangles.numpy())


@pytest.mark.parametrize("encoding", ["ascii", "binary"])
def test_ply_files_of_trimesh_are_read_the_same(tmp_path: Path, encoding: str):
    mesh = trimesh.creation.icosphere(subdivisions=1)
    mesh.visual.vertex_colors = [10, 20, 30, 255]
    data = mesh.export(file_type="ply", encoding=encoding)
    sequence = read_mesh_sequence(one(tmp_path, data, "ball.ply"))
    np.testing.assert_allclose(sequence.vertices[0].numpy(), mesh.vertices, atol=1e-6)
    np.testing.assert_array_equal(sequence.faces.numpy(), mesh.faces)


# OBJ


def test_obj_faces_of_every_form(tmp_path: Path):
    sequence = read_mesh_sequence(one(tmp_path, CUBE))
    assert sequence.faces.tolist() == CUBE_FACES
    assert sequence.vertices.shape == (1, 8, 3)
    assert sequence.vertices[0, 6].tolist() == [1, 1, 1]


SPELLINGS = {
    "carriage returns": CUBE.replace("\n", "\r\n"),
    "tabs": CUBE.replace("v ", "v\t").replace("f ", "f\t"),
    "indented": CUBE.replace("\nv", "\n  v").replace("\nf", "\n\tf"),
    "counted backwards": CUBE.replace("f 1 2 3 4", "f -8 -7 -6 -5").replace("5/1 6/1 7/1", "-4/1 -3/-1 -2/1"),
    "continued lines": CUBE.replace("f 1 2 3 4", "f 1 2 \\\n3 4"),
    "exponents": CUBE.replace("v 1 1 1", "v 1e0 10E-1 +1.0"),
    "no last line end": CUBE.rstrip("\n"),
    "weights": "\n".join(line + " 1.0" if line.startswith("v ") else line for line in CUBE.splitlines()),
    "vertex colours": "\n".join(line + " 0.1 0.2 0.3" if line.startswith("v ") else line for line in CUBE.splitlines()),
}  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_other_spellings_of_the_same_obj(tmp_path: Path, spelling: str):
    plain = read_mesh_sequence(one(tmp_path, CUBE))
    other = read_mesh_sequence(one(tmp_path, SPELLINGS[spelling], "other.obj"))
    assert torch.equal(other.vertices, plain.vertices)
    assert torch.equal(other.faces, plain.faces)


def test_negative_indices_count_from_where_they_stand(tmp_path: Path):
    text = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\nv 0 0 1\nv 1 0 1\nv 0 1 1\nf -3 -2 -1\n"
    assert read_mesh_sequence(one(tmp_path, text)).faces.tolist() == [[0, 1, 2], [3, 4, 5]]


# PLY


def test_ply_polygons_and_other_properties(tmp_path: Path):
    sequence = read_mesh_sequence(one(tmp_path, PLY, "mesh.ply"))
    assert sequence.faces.tolist() == PLY_FACES
    assert sequence.vertices[0, 3].tolist() == [0, 1, 0.5]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("sizes", [(3, 3), (3, 4), (5, 3)])
def test_binary_ply_with_polygons_of_any_size(tmp_path: Path, order: str, sizes: tuple[int, int]):
    name = {"<": "binary_little_endian", ">": "binary_big_endian"}[order]
    header = PLY[: PLY.index("end_header")].replace("ascii", name).replace("vertex_indices", "vertex_index")
    points = np.arange(15, dtype=np.float32).reshape(5, 3)
    body = b"".join(row.astype(order + "f4").tobytes() + b"\x07" for row in points)
    corners = [list(range(size)) for size in sizes]
    body += b"".join(bytes([len(face)]) + np.array(face, order + "i4").tobytes() for face in corners)
    data = (header.replace("vertex 4", "vertex 5") + "end_header\n").encode() + body
    sequence = read_mesh_sequence(one(tmp_path, data, "mesh.ply"))
    assert torch.equal(sequence.vertices[0], torch.from_numpy(points))
    assert sequence.faces.tolist() == [[0, i + 1, i + 2] for face in corners for i in range(len(face) - 2)]


def test_ply_elements_in_another_order_are_stepped_over(tmp_path: Path):
    text = PLY.replace(
        "element vertex 4", "element camera 2\nproperty float view\nproperty list uchar float k\nelement vertex 4"
    )
    text = text.replace("end_header\n", "end_header\n1 2 0.1 0.2\n1 0\n")
    assert read_mesh_sequence(one(tmp_path, text, "mesh.ply")).faces.tolist() == PLY_FACES


def test_points_without_faces(tmp_path: Path):
    assert read_mesh_sequence(one(tmp_path, "v 1 2 3\n")).faces.shape == (0, 3)
    text = PLY.replace("element face 2\nproperty list uchar int vertex_indices\n", "").replace(
        "3 0 1 2\n4 0 1 2 3\n", ""
    )
    assert read_mesh_sequence(one(tmp_path, text, "mesh.ply")).faces.shape == (0, 3)


# Sequences


def test_files_are_taken_in_the_order_of_their_numbers(tmp_path: Path):
    for number in (10, 9, 100, 2):
        one(tmp_path, CUBE.replace("v 0 0 0", f"v {number} 0 0"), f"Mesh_{number}.OBJ")
    one(tmp_path, "not a mesh", "notes.txt")
    sequence = read_mesh_sequence(tmp_path)
    assert sequence.vertices[:, 0, 0].tolist() == [2, 9, 10, 100]
    assert [file.name for file in sequence.files] == ["Mesh_2.OBJ", "Mesh_9.OBJ", "Mesh_10.OBJ", "Mesh_100.OBJ"]


def test_files_given_by_name_keep_their_order(tmp_path: Path):
    files = [one(tmp_path, CUBE.replace("v 0 0 0", f"v {number} 0 0"), f"{number}.obj")[0] for number in (3, 1, 2)]
    assert read_mesh_sequence([str(file) for file in files]).vertices[:, 0, 0].tolist() == [3, 1, 2]


def test_a_y_up_file_is_turned(tmp_path: Path):
    files = one(tmp_path, "v 1 2 3\n")
    assert read_mesh_sequence(files).vertices.tolist() == [[[1, 2, 3]]]
    assert read_mesh_sequence(files, up="y").vertices.tolist() == [[[1, -3, 2]]]


def test_frames_may_come_one_by_one_and_progress_is_told(tmp_path: Path):
    points, triangles = meshes(2, 3, 5, 4, torch.float32)
    told: list[tuple[int, int]] = []
    write_mesh_sequence(
        (frame for frame in points), triangles, tmp_path / "a", progress=lambda *so_far: told.append(so_far)
    )
    write_mesh_sequence(points.numpy(), triangles.numpy(), tmp_path / "b", progress=lambda *so_far: told.append(so_far))
    read_mesh_sequence(tmp_path / "a", progress=lambda *so_far: told.append(so_far))
    assert told == [(1, 0), (2, 0), (3, 0), *[(1, 3), (2, 3), (3, 3)] * 2]
    assert (tmp_path / "a" / "frame_000002.obj").read_bytes() == (tmp_path / "b" / "frame_000002.obj").read_bytes()


# Writing without harm


def test_nothing_is_left_where_writing_fails(tmp_path: Path):
    points, triangles = meshes(3, 3, 5, 4, torch.float32)
    points[1, 2, 0] = float("nan")
    with pytest.raises(BadData, match="frame 1"):
        write_mesh_sequence(points, triangles, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_folder_is_replaced_only_when_asked_and_only_if_it_holds_meshes_alone(tmp_path: Path):
    points, triangles = meshes(4, 2, 5, 4, torch.float32)
    folder = write_mesh_sequence(points, triangles, tmp_path / "out")
    with pytest.raises(UsageError, match="exists"):
        write_mesh_sequence(points, triangles, folder)
    write_mesh_sequence(points[:1], triangles, folder, overwrite=True, stem="other")
    assert [file.name for file in folder.iterdir()] == ["other_000000.obj"]
    (folder / "diary.txt").write_text("keep me")
    with pytest.raises(UsageError, match="other files"):
        write_mesh_sequence(points, triangles, folder, overwrite=True)
    assert (folder / "diary.txt").read_text() == "keep me"


def test_what_cannot_be_written_says_why(tmp_path: Path):
    points, triangles = meshes(5, 2, 5, 4, torch.float32)
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="format"):
        write_mesh_sequence(points, triangles, out, format="stl")
    with pytest.raises(UsageError, match="file name prefix"):
        write_mesh_sequence(points, triangles, out, stem="../up")
    with pytest.raises(UsageError, match="up axis"):
        write_mesh_sequence(points, triangles, out, up="x")
    with pytest.raises(BadData, match="not triangles"):
        write_mesh_sequence(points, triangles[:, :2], out)
    with pytest.raises(BadData, match="does not exist"):
        write_mesh_sequence(points[:, :2], triangles.clamp(max=3) + 2, out)
    with pytest.raises(BadData, match="wrong shape"):
        write_mesh_sequence(points[0], triangles, out)
    with pytest.raises(BadData, match="wrong shape"):
        write_mesh_sequence([points[0], points[0, :-1]], triangles.clamp(max=3), out)
    with pytest.raises(BadData, match="no frames"):
        write_mesh_sequence(points[:0], triangles, out)
    assert not out.exists()


# Bad files

BINARY = PLY[: PLY.index("0 0 0 255")].replace("ascii", "binary_little_endian").encode() + bytes(4 * 13)
BAD = {
    "empty.obj": ("", "empty"),
    "garbage.obj": (bytes(range(256)) * 40, "no vertices"),
    "no-vertices.obj": ("f 1 2 3\n", "no vertices"),
    "cut-in-a-vertex.obj": (CUBE[: CUBE.index("v 0 1 1") + 4], "line 11"),
    "vertex-text.obj": (CUBE.replace("v 1 1 1", "v 1 one 1"), "line 10"),
    "vertex-long.obj": (CUBE.replace("v 1 1 1", "v 1 1 1 1 1"), "5 numbers"),
    "vertex-uneven.obj": (CUBE.replace("v 1 1 1", "v 1 1 1 1"), "line 10"),
    "vertex-nan.obj": (CUBE.replace("v 1 1 1", "v 1 nan 1"), "vertex 6"),
    "vertex-infinite.obj": (CUBE.replace("v 1 1 1", "v 1 1e999 1"), "vertex 6"),
    "face-short.obj": (CUBE.replace("f 1 2 3 4", "f 1 2"), "2 corners"),
    "face-zero.obj": (CUBE.replace("f 1 2 3 4", "f 0 1 2"), "0 of 8"),
    "face-beyond.obj": (CUBE.replace("f 1 2 3 4", "f 1 2 9"), "9 of 8"),
    "face-before.obj": (CUBE.replace("f 1 2 3 4", "f -9 1 2"), "0 of 8"),
    "face-text.obj": (CUBE.replace("f 1 2 3 4", "f 1 2 three"), "line 16"),
    "face-fraction.obj": (CUBE.replace("f 1 2 3 4", "f 1 2 2.5"), "line 16"),
    "face-huge.obj": (CUBE.replace("f 1 2 3 4", "f 1 2 99999999999999999999"), "line 16"),
    "empty.ply": ("", "empty"),
    "garbage.ply": (bytes(range(256)) * 40, "not a PLY file"),
    "obj-inside.ply": (CUBE, "not a PLY file"),
    "header-cut.ply": (PLY[:100], "header ends early"),
    "header-odd.ply": (PLY.replace("property uchar red", "property colour red"), "line 8"),
    "no-format.ply": (PLY.replace("format ascii 1.0\n", ""), "names no format"),
    "version.ply": (PLY.replace("ascii 1.0", "ascii 2.0"), "line 2"),
    "no-z.ply": (PLY.replace("float z", "float w"), "no vertices with x, y and z"),
    "cut.ply": (PLY[: PLY.index("1 1 0 255")], "shorter than its header"),
    "cut-in-a-line.ply": (PLY.rstrip()[:-4], "fewer than it needs"),
    "text.ply": (PLY.replace("1 1 0 255", "1 one 0 255"), "is no number"),
    "nan.ply": (PLY.replace("1 1 0 255", "1 nan 0 255"), "vertex 2"),
    "corner-beyond.ply": (PLY.replace("4 0 1 2 3", "4 0 1 2 4"), "4 of 4, counted from 0"),
    "corner-before.ply": (PLY.replace("4 0 1 2 3", "4 0 1 2 -1"), "-1 of 4, counted from 0"),
    "corners-few.ply": (PLY.replace("3 0 1 2", "2 0 1"), "2 corners"),
    "huge-claim.ply": (PLY.replace("vertex 4", "vertex 999999999999"), "shorter than its header"),
    "binary-cut.ply": (BINARY[:-1], "shorter than its header"),
    "binary-no-faces.ply": (BINARY, "shorter than its header"),
    "binary-huge-claim.ply": (BINARY.replace(b"vertex 4", b"vertex 999999999999"), "shorter than its header"),
    "binary-huge-list.ply": (BINARY + b"\xff\x00\x00", "shorter than its header"),
    "binary-few-corners.ply": (BINARY + b"\x00\x00", "0 corners"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_says_what_and_where(tmp_path: Path, name: str):
    content, message = BAD[name]
    with pytest.raises(BadData) as error:
        read_mesh_sequence(one(tmp_path, content, name))
    assert message in str(error.value)
    assert name in error.value.where
    assert error.value.fix


def test_the_odd_file_is_named(tmp_path: Path):
    first = one(tmp_path, CUBE, "1.obj")
    fewer = one(tmp_path, CUBE.replace("v 0 1 1\n", ""), "2.obj")
    with pytest.raises(BadData, match=r"2\.obj .*number of vertices") as error:
        read_mesh_sequence(first + fewer)
    assert "found 7, expected 8" in error.value.where
    other = one(tmp_path, CUBE.replace("f 1//1 2//1 6//1", "f 1 6 2"), "3.obj")
    with pytest.raises(BadData, match=r"3\.obj .*faces"):
        read_mesh_sequence(first + other)


def test_what_is_not_a_sequence_says_why(tmp_path: Path):
    with pytest.raises(MissingAsset, match="no folder"):
        read_mesh_sequence(tmp_path / "none")
    with pytest.raises(MissingAsset, match=r"no \.obj or \.ply"):
        read_mesh_sequence(tmp_path)
    with pytest.raises(MissingAsset, match="no file"):
        read_mesh_sequence([tmp_path / "none.obj"])
    with pytest.raises(UsageError, match="no mesh files"):
        read_mesh_sequence([])
    file = one(tmp_path, CUBE)[0]
    with pytest.raises(UsageError, match="a file, not a folder"):
        read_mesh_sequence(file)
    with pytest.raises(UsageError, match="up axis"):
        read_mesh_sequence([file], up="x")
    with pytest.raises(UsageError, match="neither"):
        read_mesh_sequence([file, tmp_path / "mesh.stl"])
    (tmp_path / "folder.obj").mkdir()
    with pytest.raises(BadData, match="folder"):
        read_mesh_sequence([tmp_path / "folder.obj"])
    one(tmp_path, PLY, "mesh.ply")
    with pytest.raises(UsageError, match="both"):
        read_mesh_sequence(tmp_path)


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(["obj", "ply", "binary"]),
    place=st.floats(0, 1, exclude_max=True),
    byte=st.binary(max_size=3),
    cut=st.floats(0.2, 1.5),
)
def test_no_damage_ends_in_anything_but_a_clear_error(tmp_path_factory, kind, place, byte, cut):
    corners = b"".join(b"\x03" + np.array([0, 1, i], "<i4").tobytes() for i in (2, 3))
    data = {"obj": CUBE.encode(), "ply": PLY.encode(), "binary": BINARY + corners}[kind]
    at = int(place * len(data))
    damaged = (data[:at] + byte + data[at + 1 :])[: int(cut * len(data))]
    path = one(tmp_path_factory.mktemp("mesh"), damaged, "mesh.obj" if kind == "obj" else "mesh.ply")
    try:
        sequence = read_mesh_sequence(path)
    except VitruveError as error:
        assert error.what
    else:
        assert sequence.vertices.isfinite().all()
        assert sequence.faces.numel() == 0 or int(sequence.faces.max()) < sequence.vertices.shape[1]
