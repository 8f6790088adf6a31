"""The authors' correspondence files: both keys, both halves, masks, hands; damaged and hostile files."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sparse
import torch

from vitruve.bodies import BodyModel
from vitruve.bodies.files import SKELETONS
from vitruve.correspondence.body_maps import FILE, IDENTITY, correspondence
from vitruve.correspondence.official_maps import padded_rows, read_map
from vitruve.errors import BadData
from vitruve.skeletons import load_skeleton

_SIZES = {"smpl": (6890, 13776), "smplh": (6890, 13776), "smplx": (10475, 20908), "mano": (778, 1538)}


def _body(layout: str, gender: str = "neutral", faces: int | None = None) -> BodyModel:
    """A body with the numbers of vertices and faces of an official one, and nothing of its content."""
    random = torch.Generator().manual_seed(len(layout))
    skeleton, (vertices, count) = load_skeleton(SKELETONS[layout]), _SIZES[layout]
    joint = torch.randint(len(skeleton), (vertices,), generator=random)
    weights = torch.eye(len(skeleton))[joint]
    return BodyModel(
        name=f"{layout}-{gender}",
        layout=layout,
        gender=gender,
        skeleton=skeleton,
        template=torch.randn(vertices, 3, generator=random),
        shape_basis=torch.zeros(vertices, 3, 1),
        joint_regressor=(weights / weights.sum(0)).T.contiguous(),
        skin_weights=weights,
        faces=torch.randint(vertices, (faces or count, 3), generator=random),
    )


def _rows(targets: int, sources: int, seed: int = 0) -> sparse.csc_matrix:
    """Three entries a row that sum to one; row 7 has five."""
    random = np.random.default_rng(seed)
    rows = sparse.lil_matrix((targets, sources))
    for row in range(targets):
        count = 5 if row == 7 else 3
        rows[row, random.choice(sources, count, replace=False)] = random.dirichlet(np.ones(count))
    return sparse.csc_matrix(rows)


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A folder with the files of SMPL+H to SMPL-X and back, and the mask."""
    folder = tmp_path_factory.mktemp("transfer")
    there, back = _rows(10475, 6890), _rows(6890, 10475, 1)
    normals = sparse.random(10475, 6890, 1e-4, "csc", None, np.random.default_rng(2))
    _write(folder / "transfer_data" / "smplh2smplx_deftrafo_setup.pkl", {"mtx": sparse.hstack([there, normals], "csc")})
    _write(folder / "smplx2smplh_deftrafo_setup.pkl", {"mtx": sparse.hstack([back, 0 * back], "csc")})
    np.save(folder / "transfer_data" / "smplx_mask_ids.npy", np.arange(100, 10475))
    return folder


def test_the_first_half_of_the_file_is_the_map(files):
    source, target = _body("smplh"), _body("smplx")
    found = correspondence(source, target, files=files, cache=False)
    assert found.method == FILE
    assert found.file == files / "transfer_data" / "smplh2smplx_deftrafo_setup.pkl"
    assert found.vertices.shape == (10475, 5)
    expected = torch.from_numpy(_rows(10475, 6890) @ source.template.double().numpy())
    assert torch.allclose(found.apply(source.template.double()), expected)
    assert torch.equal(found.valid, torch.arange(10475) >= 100)
    assert found.regions["left out by the mask file"].sum() == 100


def test_rows_that_come_from_masked_vertices_are_left_out_on_the_way_back(files):
    source, target = _body("smplx"), _body("smplh")
    found = correspondence(source, target, files=files, cache=False)
    masked = torch.from_numpy(np.asarray(_rows(6890, 10475, 1)[:, :100].sum(1)).ravel() >= 0.5)
    assert torch.equal(~found.valid, masked)


def test_the_round_trip_uses_both_files(files):
    source, target = _body("smplh"), _body("smplx")
    found = correspondence(source, target, files=files, cache=False)
    template = source.template.double().numpy()
    returned = _rows(6890, 10475, 1) @ (_rows(10475, 6890) @ template)
    expected = np.linalg.norm(returned - template, axis=1)
    known = ~found.residual.isnan().numpy()
    assert known.mean() > 0.5
    assert np.allclose(found.residual.numpy()[known], expected[known], atol=1e-6)


@pytest.mark.parametrize("dense", [True, False])
def test_the_other_key_is_read_too(tmp_path, dense):
    rows = sparse.csc_matrix(sparse.eye(6890))[:, np.random.default_rng(0).permutation(6890)]
    content = rows.astype(np.int8).toarray() if dense else rows
    _write(tmp_path / "smpl2smplh_def_transfer.pkl", {"matrix": content})
    source, target = _body("smpl"), _body("smplh")
    read = read_map(source, target, tmp_path)
    assert read is not None
    vertices, weights, _ = read
    assert vertices.shape == (6890, 1)
    assert (weights == 1).all()
    assert (vertices[:, 0] == rows.tocsr().indices).all()


def test_one_topology_needs_no_file(tmp_path):
    body, other = _body("smplh"), _body("smplh", "male")
    assert correspondence(body, other, files=tmp_path, cache=False).method == IDENTITY


def test_the_hand_file_gives_vertices_of_the_body(tmp_path):
    ids = np.random.default_rng(0).choice(10475, 778, replace=False)
    _write(tmp_path / "MANO_SMPLX_vertex_ids.pkl", {"left_hand": ids, "right_hand": ids[::-1].copy()})
    body, left, right = _body("smplx"), _body("mano", "left"), _body("mano", "right")
    to_left, to_right = read_map(body, left, tmp_path), read_map(body, right, tmp_path)
    from_left = read_map(left, body, tmp_path)
    assert to_left is not None and to_right is not None and from_left is not None
    assert (to_left[0][:, 0] == ids).all()
    assert (to_right[0][:, 0] == ids[::-1]).all()
    assert (from_left[0][ids, 0] == np.arange(778)).all()
    assert from_left[1].sum() == 778


def test_a_mesh_that_only_has_as_many_vertices_is_not_meant(files):
    assert read_map(_body("smplh", faces=13768), _body("smplx"), files) is None


def test_files_are_found_in_the_folders_of_bodies(files, monkeypatch):
    monkeypatch.setenv("VITRUVE_BODIES", str(files))
    assert read_map(_body("smplh"), _body("smplx"), None) is not None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"mtx": sparse.csc_matrix((10475, 6000))}, "of other bodies"),
        ({"mtx": sparse.csc_matrix((10475, 13780))}, "do not sum to one"),
        ({"something": 1}, "no correspondence"),
        ([1, 2], "no correspondence"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_it(tmp_path, content, message):
    path = tmp_path / "smplh2smplx_deftrafo_setup.pkl"
    _write(path, content)
    with pytest.raises(BadData, match=message) as error:
        read_map(_body("smplh"), _body("smplx"), tmp_path)
    assert str(path) in error.value.where


def test_a_row_that_is_not_a_number_is_an_error(tmp_path):
    rows = _rows(6890, 10475).astype(np.float64)
    rows.data[5] = np.nan
    _write(tmp_path / "smplx2smplh_deftrafo_setup.pkl", {"mtx": rows})
    with pytest.raises(BadData, match="do not sum to one"):
        read_map(_body("smplx"), _body("smplh"), tmp_path)


def test_code_in_a_file_is_not_run(tmp_path):
    (tmp_path / "smplh2smplx_deftrafo_setup.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(BadData):
        read_map(_body("smplh"), _body("smplx"), tmp_path)


@pytest.mark.parametrize("ids", [np.arange(5.0), np.array([20000]), np.zeros((2, 2), int), np.zeros(0, int)])
def test_a_wrong_mask_is_an_error(files, tmp_path, ids):
    np.save(tmp_path / "smplx_mask_ids.npy", ids)
    for name in ("transfer_data/smplh2smplx_deftrafo_setup.pkl", "smplx2smplh_deftrafo_setup.pkl"):
        (tmp_path / Path(name).name).symlink_to(files / name)
    with pytest.raises(BadData, match=r"vertices that the body|list of vertices"):
        correspondence(_body("smplh"), _body("smplx"), files=tmp_path, cache=False)


def test_rows_are_padded_to_the_longest():
    dense = np.array([[0, 0.5, 0.5, 0], [1, 0, 0, 0], [0.2, 0.3, 0.4, 0.1], [0, 0, 0, 0]])
    vertices, weights = padded_rows(sparse.csr_array(dense))
    again = np.zeros_like(dense)
    np.add.at(again, (np.arange(4)[:, None], vertices), weights)
    assert np.allclose(again, dense)
    assert vertices.shape == (4, 4)
