"""Read a body from a model file, official or ours.

It reads SMPL, SMPL+H, SMPL-X and MANO files of all releases: pickles, npz and our clean copies. The joint count gives
the layout; the file, its name or its folder gives the gender or side.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vitruve.bodies.body_model import BodyModel
from vitruve.bodies.hands import HandSpace
from vitruve.bodies.values import read_values
from vitruve.errors import BadData, UsageError, nearest
from vitruve.files import smpl_layouts
from vitruve.skeletons import Skeleton, load_skeleton

# Layout -> number of joints, and name of the joint tree.
LAYOUTS = {layout.body: layout.columns // 3 for layout in smpl_layouts.LAYOUTS.values()}
SKELETONS = {layout.body: layout.skeleton for layout in smpl_layouts.LAYOUTS.values()}
NEEDED = ("v_template", "shapedirs", "J_regressor", "weights", "kintree_table", "f")
# Shape columns that every release has.
_USUAL = 10
_GENDERS = {"neutral": "neutral", "female": "female", "male": "male", "f": "female", "m": "male", "n": "neutral"}
_SIDES = {"left": "left", "right": "right", "l": "left", "r": "right"}


class BodyNotice(UserWarning):
    """A warning about a body, such as a fallback."""


def read_body(
    path: str | Path,
    *,
    name: str | None = None,
    gender: str | None = None,
    layout: str | None = None,
    num_betas: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> BodyModel:
    """Read a body model file.

    Args:
        path: .pkl, .npz or .safetensors.
        name: name of the body; by default layout and gender, such as "smplx-female".
        gender: "neutral", "female", "male" ("left", "right" for a hand), if file, name and folder do not tell.
        layout: "smpl", "smplh", "smplx" or "mano", to require one.
        num_betas: how many shape columns to keep; by default all but zero padding at the end.

    Raises:
        MissingAsset: the file does not exist.
        BadData: the file is damaged, or not a body model.
        UsageError: more betas than the file has.
    """
    return body_from_values(
        read_values(path), Path(path), name=name, gender=gender, layout=layout, num_betas=num_betas, dtype=dtype
    )


def body_from_values(
    values: Mapping[str, Any],
    path: Path,
    *,
    name: str | None = None,
    gender: str | None = None,
    layout: str | None = None,
    num_betas: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> BodyModel:
    """`read_body` for values already read; `path` is used in errors and to guess the gender."""
    _refuse_incomplete(values, path)
    skeleton, layout = _skeleton(values, path, layout)
    template = array(values, "v_template", path, (None, 3))
    v, j = len(template), len(skeleton)
    weights = array(values, "weights", path, (v, j))
    _refuse_unnormalised(weights, path)
    faces = array(values, "f", path, (None, 3))
    _refuse_faces(faces, v, path)
    shape, expression = shape_columns(array(values, "shapedirs", path, (v, 3, None)), layout)
    shape = _without_filling(shape) if num_betas is None else _first_columns(shape, num_betas, path)
    joints = array(values, "J_regressor", path, (j, v))
    gender = gender_of(values, path, layout, gender, joints @ template)

    def tensor(numbers: np.ndarray, kind: torch.dtype = dtype) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(numbers.astype(numbers.dtype.newbyteorder("=")))).to(kind)

    posedirs = pose_basis(values, path, v, j)
    uv, landmarks = _uv(values, path, len(faces)), _landmarks(values, path, len(faces))
    return BodyModel(
        name=name or text(values, "name") or f"{layout}-{gender}",
        layout=layout,
        gender=gender,
        skeleton=skeleton,
        template=tensor(template),
        shape_basis=tensor(shape),
        expression_basis=tensor(expression),
        pose_basis=None if posedirs is None else tensor(posedirs),
        joint_regressor=tensor(joints),
        skin_weights=tensor(weights),
        faces=tensor(faces, torch.long),
        hands={side: HandSpace(tensor(m), tensor(c)) for side, (m, c) in hand_spaces(values, path, gender).items()},
        uv=None if uv is None else tensor(uv[0]),
        uv_faces=None if uv is None else tensor(uv[1], torch.long),
        landmarks=None if landmarks is None else (tensor(landmarks[0], torch.long), tensor(landmarks[1])),
        licence=text(values, "licence") or "as licensed by the maker of the file; not to be passed on",
    )


def array(values: Mapping[str, Any], key: str, path: Path, shape: tuple[int | None, ...]) -> np.ndarray:
    """One value as a dense array of finite numbers of a shape (None = any length)."""
    value = values[key]
    value = value.toarray() if hasattr(value, "toarray") else np.asarray(value)
    if value.dtype.kind not in "biuf":
        raise _bad(f"'{key}' is not numeric", path, key, f"type {value.dtype}")
    if len(value.shape) != len(shape) or any(b is not None and a != b for a, b in zip(value.shape, shape, strict=True)):
        expected = ", ".join("*" if n is None else str(n) for n in shape)
        raise _bad(f"'{key}' has the wrong shape", path, key, f"shape {value.shape}, expected ({expected})")
    # The sum is NaN or infinite if any number is, and is far cheaper than checking every number.
    if value.dtype.kind == "f" and not np.isfinite(np.sum(value, dtype=np.float64)):
        bad = np.argwhere(~np.isfinite(value))
        place = f"{len(bad)} entries, the first at {tuple(int(i) for i in bad[0])}" if len(bad) else "the sum overflows"
        raise _bad(f"'{key}' holds NaN or infinity", path, key, place)
    return value


def _bad(what: str, path: Path, key: str, detail: str) -> BadData:
    fix = f"the file may be damaged or of another kind: vitruve bodies check {path}"
    return BadData(what, where=f"{path}, key '{key}': {detail}", fix=fix)


def _refuse_incomplete(values: Mapping[str, Any], path: Path) -> None:
    missing = [key for key in NEEDED if key not in values]
    if not missing:
        return
    motion = {"poses", "trans", "root_orient", "fullpose"} & set(values)
    raise BadData(
        f"{path.name} is {'a motion' if motion else 'not a body model'}: '{missing[0]}' is missing",
        where=f"{path}: keys {', '.join(sorted(values)[:14]) or 'none'}",
        fix=f"vitruve info {path}" if motion else f"a model file has {', '.join(NEEDED)}",
    )


def _skeleton(values: Mapping[str, Any], path: Path, layout: str | None) -> tuple[Skeleton, str]:
    table = array(values, "kintree_table", path, (2, None)).astype(np.int64)
    count = table.shape[1]
    found = next((key for key, joints in LAYOUTS.items() if joints == count), None)
    where = f"{path}, key 'kintree_table': {count} joints"
    if layout is not None and layout not in LAYOUTS:
        raise UsageError(f"unknown layout '{layout}'", where=str(path), fix=nearest(layout, LAYOUTS))
    if found is None or layout not in (None, found):
        known = ", ".join(f"{joints} ({key})" for key, joints in LAYOUTS.items())
        raise BadData(
            f"{path.name} is {'of no known layout' if found is None else f'a {found} file, not {layout}'}",
            where=f"{where}, known are {known}",
            fix="check that this is the right file",
        )
    parents = parents_of(table)
    standard = load_skeleton(SKELETONS[found])
    if parents == standard.parents:
        return standard, found
    try:
        own = Skeleton(
            f"{standard.name}-of-{path.stem}", standard.names, parents, standard.pairs, note="parents differ"
        )
    except BadData as error:
        raise _bad("the joint tree is invalid", path, "kintree_table", f"{count} joints: {error.what}") from None
    return own, found


def parents_of(table: np.ndarray) -> tuple[int, ...]:
    """Parent indices of a kinematic tree table, -1 for the root (files write 4294967295 or -1 there)."""
    place = {int(joint): i for i, joint in enumerate(table[1])}
    parents = [place.get(int(parent), -2) for parent in table[0]]
    return (-1, *parents[1:])


def shape_columns(shapedirs: np.ndarray, layout: str) -> tuple[np.ndarray, np.ndarray]:
    """(shape, expression) columns. SMPL-X keeps both in one array: 300 + 100 since v1.1, 10 + 10 before."""
    columns = shapedirs.shape[-1]
    split = columns if layout != "smplx" else 10 if columns == 20 else min(columns, 300)
    return shapedirs[..., :split], shapedirs[..., split:]


def _without_filling(shape: np.ndarray) -> np.ndarray:
    """Drop zero columns at the end, but keep at least 10: files are padded for the smplx package."""
    used = shape.shape[-1]
    while used > _USUAL and not shape[..., used - 1].any():
        used -= 1
    return shape[..., :used]


def _first_columns(shape: np.ndarray, count: int, path: Path) -> np.ndarray:
    columns = shape.shape[-1]
    where = f"{path}, key 'shapedirs': {columns} shape columns"
    if not 0 <= count <= columns:
        raise UsageError(f"{count} betas requested, the file has {columns}", where=where, fix=f"num_betas={columns}")
    if count < columns:
        warnings.warn(f"{path.name}: using {count} of its {columns} betas", BodyNotice, stacklevel=4)
    return shape[..., :count]


def pose_basis(values: Mapping[str, Any], path: Path, v: int, j: int) -> np.ndarray | None:
    """[9 (joints - 1), 3 vertices] from any of the three forms in use, or None without correctives."""
    if values.get("posedirs") is None:
        return None
    features = 9 * (j - 1)
    basis = np.asarray(values["posedirs"])
    forms = {(v, 3, features), (3 * v, features), (features, 3 * v)}
    if basis.shape not in forms:
        detail = f"shape {basis.shape}, expected {(v, 3, features)}"
        raise _bad("'posedirs' has the wrong shape", path, "posedirs", detail)
    basis = array(values, "posedirs", path, basis.shape)
    if not basis.any():
        return None
    return basis if basis.shape == (features, 3 * v) else basis.reshape(3 * v, features).T


def hand_spaces(values: Mapping[str, Any], path: Path, gender: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(mean, components) by side, if the file has them."""
    suffixes = {"left": "l", "right": "r"} | ({gender: ""} if gender in ("left", "right") else {})
    spaces = {}
    for side, suffix in suffixes.items():
        mean, components = f"hands_mean{suffix}", f"hands_components{suffix}"
        if mean in values and components in values:
            flat = np.asarray(values[mean]).shape == (45,)
            spaces[side] = (
                array(values, mean, path, (45,)) if flat else array(values, mean, path, (15, 3)).reshape(45),
                array(values, components, path, (None, 45)),
            )
    return spaces


def _uv(values: Mapping[str, Any], path: Path, faces: int) -> tuple[np.ndarray, np.ndarray] | None:
    if "vt" not in values or "ft" not in values:
        return None
    return array(values, "vt", path, (None, 2)), array(values, "ft", path, (faces, 3))


def _landmarks(values: Mapping[str, Any], path: Path, faces: int) -> tuple[np.ndarray, np.ndarray] | None:
    if "lmk_faces_idx" not in values or "lmk_bary_coords" not in values:
        return None
    index = array(values, "lmk_faces_idx", path, (None,)).astype(np.int64)
    if len(index) and (index.min() < 0 or index.max() >= faces):
        detail = f"{index.min()} to {index.max()}, the mesh has {faces} faces"
        raise _bad("a face landmark is on a missing face", path, "lmk_faces_idx", detail)
    return index, array(values, "lmk_bary_coords", path, (len(index), 3))


def gender_of(values: Mapping[str, Any], path: Path, layout: str, gender: str | None, joints: np.ndarray) -> str:
    """The gender (for a hand: the side): the given one, or from the file, its name or its folder."""
    words = _SIDES if layout == "mano" else _GENDERS
    if gender is not None:
        if gender.lower() not in words:
            choices = sorted(set(words.values()))
            raise UsageError(f"unknown gender '{gender}'", where=str(path), fix=nearest(gender, choices))
        return words[gender.lower()]
    for hint in (text(values, "gender"), path.stem, path.absolute().parent.name):
        for word in re.split(r"[^a-z]+", hint.lower()):
            if word in words:
                return words[word]
    if layout == "mano":
        # At rest the left arm points to +x, and so do the fingers of a left hand.
        return "left" if joints[1:, 0].mean() > joints[0, 0] else "right"
    warnings.warn(
        f"{path.name}: neither the file nor its name or folder tells the gender; using neutral (set gender= otherwise)",
        BodyNotice,
        stacklevel=4,
    )
    return "neutral"


def text(values: Mapping[str, Any], key: str) -> str:
    """A text value of the file, or an empty string."""
    value = values.get(key)
    value = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
    value = value.decode("latin1") if isinstance(value, bytes) else value
    return value if isinstance(value, str) else ""


def _refuse_unnormalised(weights: np.ndarray, path: Path) -> None:
    sums = weights.sum(1)
    worst = int(np.abs(sums - 1).argmax()) if len(sums) else 0
    if len(sums) and abs(sums[worst] - 1) > 1e-2:
        detail = f"vertex {worst} sums to {sums[worst]:.4g}"
        raise _bad("the skin weights do not sum to one", path, "weights", detail)


def _refuse_faces(faces: np.ndarray, vertices: int, path: Path) -> None:
    if faces.dtype.kind == "f" or (len(faces) and (faces.min() < 0 or faces.max() >= vertices)):
        span = f"{faces.min()} to {faces.max()}" if len(faces) else "none"
        detail = f"{faces.dtype} {span}, the mesh has {vertices} vertices"
        raise _bad("the faces use vertices that do not exist", path, "f", detail)
