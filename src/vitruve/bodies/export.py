"""Write a body in the official file layouts, in the folders where the `smplx` package looks for them.

The file and a licence text next to it say which body it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import torch

from vitruve.bodies import open_body
from vitruve.bodies.body_model import BodyModel
from vitruve.bodies.values import refuse_existing, write_values
from vitruve.errors import UsageError, writing

# The smplx package uses at most 10 betas of a file with fewer columns than SHAPES, whatever `num_betas` is.
CAPPED, SHAPES, EXPRESSIONS = 10, 300, 100
_ROOT = 4294967295  # -1 as the official files write it
_OPEN_NOTE = """\
These model files were written by Vitruve from its open body, a model made from MakeHuman data (CC0-1.0).
They follow the file layout of SMPL, SMPL+H, SMPL-X and MANO, so that software for those models can read them.
They are not SMPL, SMPL+H, SMPL-X or MANO, contain nothing of them, and come without warranty.
You may use, change and pass them on for any purpose (https://creativecommons.org/publicdomain/zero/1.0/).
"""


def export_body(body: BodyModel, folder: str | Path, *, short: bool = False, overwrite: bool = False) -> list[Path]:
    """Write a body in its official layout.

    Args:
        body: from `load_body`. Numbers are written in its precision.
        folder: gets smpl/, smplh/, smplx/ or mano/ with the file, and a licence text.
        short: SMPL-X with 10 + 10 shape and expression columns (v1.0) instead of 300 + 100 (v1.1).

    Returns:
        The files written. SMPL+H is written twice: for the smplx package, and as in AMASS (without hand pose spaces).
        More than 10 shape columns are padded with zeros to 300, see `columns_for_smplx`; not in the file for AMASS.
    """
    paths = export_paths(body.layout, body.gender, folder)
    for path in paths:
        refuse_existing(path, overwrite)
    values = official_values(body, short)
    for path in paths:
        bare = body.layout == "smplh" and path.suffix == ".npz"
        kept = {key: value for key, value in values.items() if not (bare and key.startswith("hands_"))}
        if bare:
            kept["shapedirs"] = _numpy(body.shape_basis)
        write_values(path, kept, overwrite, npz_objects=True)
    note = Path(folder).expanduser() / body.layout / "LICENCE.txt"
    with writing(note):
        note.write_text(_OPEN_NOTE if body.licence == open_body.LICENCE else f"{body.name}: {body.licence}\n")
    return [*paths, note]


def export_paths(layout: str, gender: str, folder: str | Path) -> list[Path]:
    """The model files that `export_body` writes."""
    root, upper = Path(folder).expanduser(), gender.upper()
    names = {
        "smpl": [f"SMPL_{upper}.pkl"],
        "smplh": [f"SMPLH_{upper}.pkl", f"{gender}/model.npz"],
        "smplx": [f"SMPLX_{upper}.npz"],
        "mano": [f"MANO_{upper}.pkl"],
    }
    return [root / layout / name for name in names[layout]]


def official_values(body: BodyModel, short: bool = False) -> dict[str, Any]:
    """A body as a mapping with the keys of the official files."""
    template, regressor = _numpy(body.template), _numpy(body.joint_regressor)
    is_x = body.layout == "smplx"
    values: dict[str, Any] = {
        "v_template": template,
        "f": _numpy(body.faces).astype(np.uint32),
        "shapedirs": _split_columns(body, short) if is_x else columns_for_smplx(_numpy(body.shape_basis)),
        "posedirs": _posedirs(body),
        "J_regressor": regressor if is_x else scipy.sparse.csc_matrix(regressor),
        "weights": _numpy(body.skin_weights),
        "kintree_table": np.array([[_ROOT, *body.skeleton.parents[1:]], range(body.num_joints)], dtype=np.uint32),
        "J": regressor @ template,
        "bs_style": "lbs",
        "bs_type": "lrotmin",
        "model_type": "vitruve-open" if body.licence == open_body.LICENCE else body.layout,
        "name": body.name,
        "gender": body.gender,
        "licence": body.licence,
    }
    if body.layout != "smpl":
        values |= _hands(body)
    if is_x:
        values |= _face(body) | {"joint2num": {name: i for i, name in enumerate(body.skeleton.names)}}
        values["part2num"] = values["joint2num"]
    if body.uv is not None and body.uv_faces is not None:
        values |= {"vt": _numpy(body.uv), "ft": _numpy(body.uv_faces).astype(np.uint32)}
    return values


def columns_for_smplx(basis: np.ndarray) -> np.ndarray:
    """Pad a shape basis [vertices, 3, betas] so that the smplx package uses every column.

    It uses only 10 columns of a file with fewer than 300, so more than 10 are padded with zeros to 300. SMPL-X needs no
    padding: its columns are always 300 + 100, or 10 + 10.
    """
    missing = SHAPES - basis.shape[-1]
    if basis.shape[-1] <= CAPPED or missing <= 0:
        return basis
    return np.concatenate([basis, np.zeros((*basis.shape[:-1], missing), dtype=basis.dtype)], -1)


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def _posedirs(body: BodyModel) -> np.ndarray:
    v, features = body.num_vertices, 9 * (body.num_joints - 1)
    if body.pose_basis is None:
        return np.zeros((v, 3, features), dtype=np.float32)
    return np.ascontiguousarray(_numpy(body.pose_basis).T).reshape(v, 3, features)


def _split_columns(body: BodyModel, short: bool) -> np.ndarray:
    """SMPL-X's single array of shape and expression columns; unused columns are zero."""
    shapes, expressions = (CAPPED, CAPPED) if short else (SHAPES, EXPRESSIONS)
    shape, expression = _numpy(body.shape_basis), _numpy(body.expression_basis)
    if not short and (shape.shape[-1] > shapes or expression.shape[-1] > expressions):
        raise UsageError(f"body '{body.name}' has more columns than the layout", fix="load it with fewer num_betas")
    columns = np.zeros((body.num_vertices, 3, shapes + expressions), dtype=shape.dtype)
    shape, expression = shape[..., :shapes], expression[..., :expressions]
    columns[..., : shape.shape[-1]] = shape
    columns[..., shapes : shapes + expression.shape[-1]] = expression
    return columns


def _hands(body: BodyModel) -> dict[str, np.ndarray]:
    """Hand pose spaces; where a body has none, the flat hand and single joint angles."""
    sides = {body.gender: ""} if body.layout == "mano" else {"left": "l", "right": "r"}
    values = {}
    for side, suffix in sides.items():
        space = body.hands.get(side)
        values[f"hands_mean{suffix}"] = np.zeros(45) if space is None else _numpy(space.mean)
        values[f"hands_components{suffix}"] = np.eye(45) if space is None else _numpy(space.components)
        values[f"hands_coeffs{suffix}"] = np.zeros((1, 45))
    return values


def _face(body: BodyModel) -> dict[str, np.ndarray]:
    """Static landmarks, and the contour by head turn; a body without landmarks gets points on face 0."""
    values = {
        "lmk_faces_idx": np.zeros(51, dtype=np.int64),
        "lmk_bary_coords": np.full((51, 3), 1 / 3),
        "dynamic_lmk_faces_idx": np.zeros((79, 17), dtype=np.int64),
        "dynamic_lmk_bary_coords": np.full((79, 17, 3), 1 / 3),
    }
    if body.landmarks is not None:
        values["lmk_faces_idx"], values["lmk_bary_coords"] = (_numpy(part) for part in body.landmarks)
    if body.licence == open_body.LICENCE:
        contour = open_body.open_contour()
        values["dynamic_lmk_faces_idx"], values["dynamic_lmk_bary_coords"] = (_numpy(part) for part in contour)
    return values
