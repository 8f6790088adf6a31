"""Check model files, write clean copies, and merge SMPL+H with MANO's hands."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vitruve.bodies.body_model import BodyModel
from vitruve.bodies.export import columns_for_smplx
from vitruve.bodies.files import LAYOUTS, NEEDED, SKELETONS, array, body_from_values, parents_of, shape_columns
from vitruve.bodies.values import read_values, write_values
from vitruve.errors import BadData, VitruveError
from vitruve.skeletons import load_skeleton

Severity = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class CheckedKey:
    """The finding on one key of a model file ("file" for the whole): severity and text."""

    severity: Severity
    key: str
    text: str


def check_body(path: str | Path) -> list[CheckedKey]:
    """Check every key of a model file. Errors are reported as findings; nothing is raised."""
    try:
        values = read_values(path)
    except VitruveError as error:
        return [CheckedKey("error", "file", f"{error.what} ({error.where})")]
    findings = [CheckedKey("error", key, "is missing") for key in NEEDED if key not in values]
    arrays: dict[str, np.ndarray] = {}
    shapes = {"v_template": (None, 3), "f": (None, 3), "shapedirs": (None, 3, None), "kintree_table": (2, None)}
    for key in NEEDED:
        if key not in values:
            continue
        try:
            arrays[key] = array(values, key, Path(path), shapes.get(key, (None, None)))
        except VitruveError as error:
            findings.append(CheckedKey("error", key, _short(error, path)))
    for needs, check in _CHECKS:
        if all(key in arrays for key in needs):
            findings += check(*(arrays[key] for key in needs))
    if not any(finding.severity == "error" for finding in findings):
        findings += _as_a_whole(values, Path(path))
    return findings


def clean_body(path: str | Path, out: str | Path, overwrite: bool = False) -> Path:
    """Rewrite any readable model file without pickled objects: same keys, same numbers.

    Args:
        out: .npz or .safetensors (.pkl works too, with plain numpy and scipy objects).
    """
    values = read_values(path)
    _body_of(values, Path(path))
    return write_values(out, values, overwrite)


def merge_hands(
    smplh: str | Path, mano_left: str | Path, mano_right: str | Path, out: str | Path, overwrite: bool = False
) -> Path:
    """Write one SMPL+H file with the hand pose spaces of two MANO files, as the `smplx` package needs it.

    More than 10 shape columns (AMASS has 16) are padded with zeros to 300; otherwise `smplx` would use only 10.

    Args:
        smplh: a SMPL+H file, with or without hands (the npz files of AMASS have none).
        mano_left, mano_right: the two MANO files.
        out: .pkl, .npz or .safetensors.
    """
    values = dict(read_values(smplh))
    _body_of(values, Path(smplh), layout="smplh")
    for path, side in ((mano_left, "left"), (mano_right, "right")):
        hand = read_values(path)
        body = _body_of(hand, Path(path), layout="mano")
        if body.gender != side or side not in body.hands:
            raise BadData(
                f"{Path(path).name} is not a {side} hand with a pose space",
                where=f"{path}: a {body.gender} hand, keys {', '.join(sorted(hand))}",
                fix=f"give MANO_{side.upper()}.pkl as the {side} hand",
            )
        for key in ("components", "coeffs", "mean"):
            if f"hands_{key}" in hand:
                values[f"hands_{key}{side[0]}"] = hand[f"hands_{key}"]
    values["shapedirs"] = columns_for_smplx(np.asarray(values["shapedirs"]))
    return write_values(out, values, overwrite)


def _body_of(values: Mapping[str, Any], path: Path, layout: str | None = None) -> BodyModel:
    """Build a body from values, to see whether that works; warnings about its name do not matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return body_from_values(values, path, layout=layout)


def _short(error: VitruveError, path: str | Path) -> str:
    detail = error.where.replace(f"{path}, ", "").split(": ", 1)[-1]
    return f"{error.what}: {detail}"


def _as_a_whole(values: Mapping[str, Any], path: Path) -> Iterator[CheckedKey]:
    try:
        body = _body_of(values, path)
    except VitruveError as error:
        yield CheckedKey("error", "file", f"{error.what} ({error.where})")
        return
    hands = f"hands {' and '.join(body.hands)}" if body.hands else "no hand pose spaces"
    counts = f"{body.num_vertices} vertices, {body.num_joints} joints, {body.num_betas} betas"
    correctives = "pose correctives" if body.pose_basis is not None else "no pose correctives"
    whole = f"{body.layout}, {body.gender}: {counts}, {body.num_expressions} expressions, {hands}, {correctives}"
    yield CheckedKey("ok", "file", whole)
    if body.skeleton.parents != load_skeleton(SKELETONS[body.layout]).parents:
        yield CheckedKey("warning", "kintree_table", "the parents differ from those of the layout")
    if body.layout == "smplh" and not body.hands:
        yield CheckedKey(
            "warning",
            "hands_meanl",
            "the hand pose spaces are missing, which the smplx package needs: vitruve bodies merge",
        )


def _sizes(template: np.ndarray, weights: np.ndarray, regressor: np.ndarray, tree: np.ndarray) -> Iterator[CheckedKey]:
    v, j = len(template), tree.shape[1]
    if j not in LAYOUTS.values():
        yield CheckedKey("error", "kintree_table", f"{j} joints; known: {', '.join(map(str, LAYOUTS.values()))}")
    if weights.shape != (v, j):
        yield CheckedKey("error", "weights", f"shape {weights.shape}, expected {(v, j)}")
    if regressor.shape != (j, v):
        yield CheckedKey("error", "J_regressor", f"shape {regressor.shape}, expected {(j, v)}")


def _tree(tree: np.ndarray) -> Iterator[CheckedKey]:
    parents = parents_of(tree.astype(np.int64))
    wrong = [i for i, parent in enumerate(parents) if i and not 0 <= parent < i]
    if wrong:
        yield CheckedKey("error", "kintree_table", f"joint {wrong[0]} has parent {int(tree[0, wrong[0]])}: no tree")
    else:
        yield CheckedKey("ok", "kintree_table", f"{len(parents)} joints, a tree, parents first")


def _weights(weights: np.ndarray) -> Iterator[CheckedKey]:
    yield from _sums("weights", weights, "vertex")
    if weights.min(initial=0) < -1e-6:
        yield CheckedKey("error", "weights", f"{int((weights < -1e-6).sum())} negative, lowest {weights.min():.3g}")
    idle = np.flatnonzero(~(weights > 0).any(0))
    if len(idle):
        yield CheckedKey("warning", "weights", f"joints {', '.join(map(str, idle[:8]))} move no vertex")


def _sums(key: str, rows: np.ndarray, what: str) -> Iterator[CheckedKey]:
    away = np.abs(rows.sum(1) - 1)
    worst = int(away.argmax()) if len(away) else 0
    off = float(away[worst]) if len(away) else 0.0
    severity: Severity = "error" if off > 1e-2 else "warning" if off > 1e-4 else "ok"
    place = f", worst {what} {worst}" if severity != "ok" else ""
    yield CheckedKey(severity, key, f"rows sum to one within {off:.1e}{place}")


def _faces(faces: np.ndarray, template: np.ndarray) -> Iterator[CheckedKey]:
    v = len(template)
    if faces.dtype.kind == "f" or not len(faces) or faces.min() < 0 or faces.max() >= v:
        span = f"{faces.min()} to {faces.max()}" if len(faces) else "there are none"
        yield CheckedKey("error", "f", f"indices ({faces.dtype}) {span}, the mesh has {v} vertices")
        return
    same = (faces == np.roll(faces, 1, axis=1)).any(1)
    corners = template[faces.astype(np.int64)]
    area = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    flat = same | (area < 1e-12)
    unused = v - len(np.unique(faces))
    if flat.any():
        yield CheckedKey("warning", "f", f"{int(flat.sum())} degenerate faces, the first {int(flat.argmax())}")
    if unused:
        yield CheckedKey("warning", "f", f"{unused} vertices are in no face")
    if not flat.any() and not unused:
        yield CheckedKey("ok", "f", f"{len(faces)} faces, indices in range, none degenerate, all vertices used")


def _template(template: np.ndarray, tree: np.ndarray) -> Iterator[CheckedKey]:
    size = np.ptp(template, axis=0)
    low, high = (0.08, 0.35) if tree.shape[1] == LAYOUTS["mano"] else (0.4, 2.6)
    inside = low <= size.max() <= high
    text = f"{size[0]:.2f} x {size[1]:.2f} x {size[2]:.2f} m" + ("" if inside else "; is it in metres?")
    yield CheckedKey("ok" if inside else "warning", "v_template", text)
    if inside and tree.shape[1] != LAYOUTS["mano"] and size[2] > size[1]:
        yield CheckedKey("warning", "v_template", "deeper than high; is y up?")


def _shape(shapedirs: np.ndarray, tree: np.ndarray) -> Iterator[CheckedKey]:
    layout = next((key for key, joints in LAYOUTS.items() if joints == tree.shape[1]), "")
    shape, expression = shape_columns(shapedirs, layout)
    used = np.abs(shape).max((0, 1), initial=0) > 0
    if not used.any():
        yield CheckedKey("error", "shapedirs", f"all {len(used)} shape columns are zero")
    else:
        moving = f"{int(used.sum())} of {len(used)} shape columns are in use"
        yield CheckedKey("ok", "shapedirs", f"{moving}, {expression.shape[-1]} expression columns")


_CHECKS: tuple[tuple[tuple[str, ...], Callable[..., Iterator[CheckedKey]]], ...] = (
    (("v_template", "weights", "J_regressor", "kintree_table"), _sizes),
    (("kintree_table",), _tree),
    (("v_template", "kintree_table"), _template),
    (("shapedirs", "kintree_table"), _shape),
    (("weights",), _weights),
    (("J_regressor",), lambda regressor: _sums("J_regressor", regressor, "joint")),
    (("f", "v_template"), _faces),
)
