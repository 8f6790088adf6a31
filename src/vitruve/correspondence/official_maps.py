"""The official correspondence files of the body-model authors, if the user has them.

docs/correspondence.md lists them and their content.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from vitruve.bodies import BodyModel
from vitruve.bodies.catalogue import search_folders
from vitruve.bodies.pickles import read_npy, read_pickle
from vitruve.correspondence.closest_points import Bools, Floats, Ints
from vitruve.errors import BadData

# Vertices and faces of the meshes in these files. Other meshes may have the same number of vertices.
_OFFICIAL = {"smpl": (6890, 13776), "smplh": (6890, 13776), "smplx": (10475, 20908), "mano": (778, 1538)}
_FOLDERS = ("", "transfer_data", "model_transfer", "smplx", "smplh", "smpl", "mano")
_MASK, _HANDS = "smplx_mask_ids.npy", "MANO_SMPLX_vertex_ids.pkl"
_TINY = 1e-9


def read_map(source: BodyModel, target: BodyModel, files: Path | None) -> tuple[Ints, Floats, Path] | None:
    """The map of the official file for two official bodies: (vertices [V, K], weights [V, K], the file), or None.

    Rows of vertices that are missing in the file have zero weights. Raises BadData if it is damaged or of another mesh.
    """
    if not (is_official(source) and is_official(target)):
        return None
    if "mano" in (source.layout, target.layout):
        return _hand_map(source, target, files)
    stem = f"{source.layout}2{target.layout}"
    path = _find((f"{stem}_deftrafo_setup.pkl", f"{stem}_def_transfer.pkl"), files)
    if path is None:
        return None
    rows = _matrix(path, target.num_vertices, source.num_vertices)
    return *padded_rows(rows), path


def read_mask(body: BodyModel, files: Path | None) -> Bools | None:
    """The vertices of SMPL-X that the official mask keeps: [V], or None if it is missing or does not apply."""
    path = _find((_MASK,), files) if body.layout == "smplx" and is_official(body) else None
    if path is None:
        return None
    with path.open("rb") as stream:
        ids = read_npy(stream, str(path))
    return _mask(ids, body.num_vertices, path, "ids")


def is_official(body: BodyModel) -> bool:
    """Whether a body has the mesh of the official files of its layout."""
    return _OFFICIAL.get(body.layout) == (body.num_vertices, len(body.faces))


def padded_rows(matrix: Any) -> tuple[Ints, Floats]:
    """A sparse matrix as vertices and weights [rows, largest number of entries in a row], padded with zeros."""
    from scipy import sparse

    rows = sparse.csr_array(matrix)
    rows.data[np.abs(rows.data) < _TINY] = 0
    rows.eliminate_zeros()
    counts = np.diff(rows.indptr)
    width = max(int(counts.max(initial=0)), 1)
    vertices, weights = np.zeros((len(counts), width), np.int64), np.zeros((len(counts), width))
    row = np.repeat(np.arange(len(counts)), counts)
    column = np.arange(len(rows.data)) - rows.indptr[:-1].repeat(counts)
    vertices[row, column], weights[row, column] = rows.indices, rows.data
    return vertices, weights


def _matrix(path: Path, targets: int, sources: int) -> Any:
    from scipy import sparse

    content = read_pickle(path)
    key = next((key for key in ("mtx", "matrix") if isinstance(content, dict) and key in content), None)
    if key is None:
        where = f"{path}: neither 'mtx' nor 'matrix'"
        raise BadData("no correspondence in the file", where=where, fix="download it again")
    rows = sparse.csr_array(content[key])
    if rows.shape not in ((targets, sources), (targets, 2 * sources)):
        raise BadData(
            "the correspondence file is of other bodies",
            where=f"{path}: {key} has shape {rows.shape}, expected ({targets}, {2 * sources} or {sources})",
            fix="restore the file's original name, or download it again",
        )
    rows = rows[:, :sources].astype(np.float64)
    sums = rows.sum(1)
    if not np.isfinite(rows.data).all() or np.abs(sums - 1).max(initial=0) > 0.01:
        worst = int(np.abs(sums - 1).argmax()) if np.isfinite(sums).all() else int((~np.isfinite(sums)).argmax())
        raise BadData(
            "rows of the correspondence file do not sum to one",
            where=f"{path}: {key}[{worst}] sums to {sums[worst]:.3g}",
            fix="download it again",
        )
    return rows


def _hand_map(source: BodyModel, target: BodyModel, files: Path | None) -> tuple[Ints, Floats, Path] | None:
    if {source.layout, target.layout} != {"mano", "smplx"}:
        return None
    path = _find((_HANDS,), files)
    if path is None:
        return None
    hand, body = (source, target) if source.layout == "mano" else (target, source)
    content, key = read_pickle(path), f"{hand.gender}_hand"
    ids: Ints = np.asarray(content.get(key, ())) if isinstance(content, dict) else np.zeros(0, int)
    _mask(ids, body.num_vertices, path, key)
    if len(ids) != hand.num_vertices:
        raise BadData(
            "the hand's vertices do not match MANO",
            where=f"{path}: {key} has shape {ids.shape}, expected ({hand.num_vertices},)",
            fix="download it again",
        )
    if hand is target:
        return ids[:, None].astype(np.int64), np.ones((len(ids), 1)), path
    vertices, weights = np.zeros((body.num_vertices, 1), np.int64), np.zeros((body.num_vertices, 1))
    vertices[ids, 0], weights[ids, 0] = np.arange(len(ids)), 1
    return vertices, weights, path


def _mask(ids: np.ndarray, vertices: int, path: Path, key: str) -> Bools:
    if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer) or not len(ids):
        raise BadData(
            "not a list of vertices", where=f"{path}: {key} has shape {ids.shape}, {ids.dtype}", fix="download it again"
        )
    if ids.min() < 0 or ids.max() >= vertices:
        raise BadData(
            "the file uses vertices that the body does not have",
            where=f"{path}: {key} from {ids.min()} to {ids.max()}, the body has {vertices}",
            fix="download it again",
        )
    mask = np.zeros(vertices, bool)
    mask[ids] = True
    return mask


def _find(names: tuple[str, ...], files: Path | None) -> Path | None:
    paths = (Path(*parts) for parts in itertools.product(search_folders(files), _FOLDERS, names))
    return next((path for path in paths if path.is_file()), None)
