"""The open body: Vitruve's own body (CC0), in two meshes that ship with the package.

The file of the SMPL+H mesh also gives the SMPL body (with stiff fingers) and both hands; the SMPL-X mesh has a face.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor

from vitruve.bodies.body_model import BodyModel
from vitruve.bodies.files import LAYOUTS, SKELETONS
from vitruve.bodies.hands import HandSpace
from vitruve.errors import BadData, MissingAsset, UsageError, nearest
from vitruve.skeletons import load_skeleton

LICENCE = "CC0-1.0 (open body of Vitruve, made from MakeHuman data; not SMPL)"

_GENDERS = ("neutral", "female", "male")
_SIDES = ("left", "right")
_WRISTS = {"left": 20, "right": 21}


def load_open_body(
    layout: str, gender: str = "neutral", num_betas: int | None = None, dtype: torch.dtype = torch.float32
) -> BodyModel:
    """The open body in the layout of SMPL, SMPL+H, SMPL-X or MANO.

    Its numbers are computed in float64 and rounded to float32, so that both precisions and exported files hold exactly
    the same body.

    For a hand, `gender` is "left" or "right".
    """
    if layout not in LAYOUTS:
        raise UsageError(f"the open body has no layout '{layout}'", fix=nearest(layout, LAYOUTS))
    genders = open_genders(layout)
    if gender not in genders:
        raise UsageError(f"unknown open {layout} body '{gender}'", fix=nearest(gender, genders))
    parts = _parts(layout, "neutral" if layout == "mano" else gender)
    if layout == "smpl":
        parts = _stiff_fingers(parts)
    elif layout == "mano":
        parts = _hand(parts, gender)
    parts = {key: value.float() if value.is_floating_point() else value for key, value in parts.items()}
    shape = parts.pop("shape_basis")
    if num_betas is not None:
        if not 0 <= num_betas <= shape.shape[-1]:
            raise UsageError(
                f"{num_betas} betas requested, the open body has {shape.shape[-1]}",
                where=f"open-{layout}-{gender}",
                fix=f"num_betas={shape.shape[-1]}",
            )
        shape = shape[..., :num_betas].clone()
    landmarks = (parts.pop("landmark_faces"), parts.pop("landmark_bary")) if "landmark_faces" in parts else None
    hands = _hand_spaces(parts)
    kept = {key: value.to(dtype) if value.is_floating_point() else value for key, value in parts.items()}
    return BodyModel(
        name=f"open-{layout}-{gender}",
        layout=layout,
        gender=gender,
        skeleton=load_skeleton(SKELETONS[layout]),
        shape_basis=shape.to(dtype),
        hands={side: HandSpace(mean.to(dtype), components.to(dtype)) for side, (mean, components) in hands.items()},
        landmarks=None if landmarks is None else (landmarks[0], landmarks[1].to(dtype)),
        pose_basis=None if layout == "mano" else _pose_basis(layout, len(kept["template"]), dtype),
        licence=LICENCE,
        **kept,
    )


def open_genders(layout: str) -> tuple[str, ...]:
    """The genders, or for hands the sides, that a layout has."""
    return _SIDES if layout == "mano" else _GENDERS


def open_contour() -> tuple[Tensor, Tensor]:
    """The face contour of the SMPL-X layout by head turn: (face indices [79, 17], barycentric weights [79, 17, 3])."""
    tensors, _ = _open("smplx", ("contour_faces", "contour_bary"))
    return tensors["contour_faces"].long(), tensors["contour_bary"].double()


def open_words(layout: str) -> dict[str, str]:
    """The metadata of a baked file: licence, source, expression names."""
    return _open(layout, ())[1]


def _open(layout: str, keys: Sequence[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a baked file by key (those that it has), and its metadata."""
    from safetensors import SafetensorError, safe_open

    name = "smplx" if layout == "smplx" else "smplh"
    path = Path(str(resources.files("vitruve.bodies") / "open_data" / f"{name}.safetensors"))
    if not path.is_file():
        raise MissingAsset("the open body's data is missing", where=str(path), fix="install the package again")
    try:
        with safe_open(path, framework="pt") as file:
            present = set(file.keys())
            return {key: file.get_tensor(key) for key in keys if key in present}, dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise BadData(
            "the open body's data is damaged", where=f"{path}: {error}", fix="install the package again"
        ) from None


_KEYS = (
    *("template", "shape_space", "expression_basis", "skin_joints", "skin_values", "faces", "uv", "uv_faces"),
    *("regressor_rows", "regressor_columns", "regressor_values", "landmark_faces", "landmark_bary"),
    *("hand_mean_left", "hand_mean_right", "hand_components_left", "hand_components_right"),
)


def _parts(layout: str, gender: str) -> dict[str, Tensor]:
    """The tensors of one gender's body, from the baked ones, in float64."""
    mean, mix = f"shape_mean_{gender}", f"shape_mix_{gender}"
    extra = ("mano_left_ids", "mano_right_ids") if layout == "mano" else ()
    raw, _ = _open(layout, (*_KEYS, mean, mix, *extra))
    space = raw.pop("shape_space").double()
    template = raw.pop("template").double() + space @ raw.pop(mean).double()
    joints = len(load_skeleton(SKELETONS["smplx" if layout == "smplx" else "smplh"]))
    regressor = torch.zeros(joints, len(template), dtype=torch.float64)
    entries = (raw.pop("regressor_rows").long(), raw.pop("regressor_columns").long())
    regressor[entries] = raw.pop("regressor_values").double()
    parts = {
        "template": template,
        "shape_basis": space @ raw.pop(mix).double(),
        "joint_regressor": _rows_to_one(regressor),
        "skin_weights": _skin_weights(raw.pop("skin_joints"), raw.pop("skin_values"), joints),
    }
    if "expression_basis" in raw:
        parts["expression_basis"] = raw.pop("expression_basis").double()
    return parts | {key: value.double() if value.is_floating_point() else value.long() for key, value in raw.items()}


def _skin_weights(joints_of: Tensor, values: Tensor, joints: int) -> Tensor:
    """Weights that sum to exactly one, in float32 too: multiples of 2^-20; the largest takes the rest."""
    weights = torch.zeros(len(values), joints, dtype=torch.float64)
    weights.scatter_add_(1, joints_of.long(), values.double())
    grid = (_rows_to_one(weights) * 2**20).round()
    largest = grid.argmax(1, keepdim=True)
    grid.scatter_add_(1, largest, 2**20 - grid.sum(1, keepdim=True))
    return grid / 2**20


def _pose_basis(layout: str, vertices: int, dtype: torch.dtype) -> Tensor:
    """The pose correctives as the dense matrix of official files; all layouts number their joints alike."""
    raw, _ = _open(layout, ("pose_basis_joints", "pose_basis_vertices", "pose_basis_values"))
    joints = len(load_skeleton(SKELETONS[layout]))
    basis = torch.zeros(joints - 1, 9, vertices, 3, dtype=dtype)
    rows = raw["pose_basis_joints"].long() - 1
    basis[rows, :, raw["pose_basis_vertices"].long()] = raw["pose_basis_values"].to(dtype).transpose(1, 2)
    return basis.reshape(9 * (joints - 1), 3 * vertices)


def _rows_to_one(rows: Tensor) -> Tensor:
    return rows / rows.sum(-1, keepdim=True)


def _stiff_fingers(parts: dict[str, Tensor]) -> dict[str, Tensor]:
    """SMPL's 24 joints from SMPL+H's 52: the fingers of each hand become one joint at the base of the middle finger."""
    weights, regressor = parts["skin_weights"], parts["joint_regressor"]
    lumped = torch.stack([weights[:, 22:37].sum(1), weights[:, 37:52].sum(1)], 1)
    names = load_skeleton(SKELETONS["smplh"])
    middle = [names.index("left_middle1"), names.index("right_middle1")]
    bare = {key: value for key, value in parts.items() if not key.startswith("hand_")}
    return bare | {
        "skin_weights": torch.cat([weights[:, :22], lumped], 1),
        "joint_regressor": torch.cat([regressor[:22], regressor[middle]]),
    }


def _hand(parts: dict[str, Tensor], side: str) -> dict[str, Tensor]:
    """One hand as a separate body: the wrist is its root and, in every shape, its origin."""
    ids = parts[f"mano_{side}_ids"]
    first = 22 if side == "left" else 37
    joints = [_WRISTS[side], *range(first, first + 15)]
    weights, regressor = parts["skin_weights"][ids], parts["joint_regressor"][joints][:, ids]
    weights = torch.cat([1 - weights[:, joints[1:]].sum(1, keepdim=True), weights[:, joints[1:]]], 1)
    regressor = _rows_to_one(regressor)
    new = torch.full((len(parts["template"]),), -1)
    new[ids] = torch.arange(len(ids))
    faces = new[parts["faces"]]
    inside = (faces >= 0).all(1)
    template, shape = parts["template"][ids], parts["shape_basis"][ids]
    hand = {
        "template": template - regressor[0] @ template,
        "shape_basis": shape - torch.einsum("v,vcs->cs", regressor[0], shape),
        "joint_regressor": regressor,
        "skin_weights": weights,
        "faces": faces[inside],
        f"hand_mean_{side}": parts[f"hand_mean_{side}"],
        f"hand_components_{side}": parts[f"hand_components_{side}"],
    }
    if "uv" in parts:
        used, uv_faces = parts["uv_faces"][inside].unique(return_inverse=True)
        hand |= {"uv": parts["uv"][used], "uv_faces": uv_faces}
    return hand


def _hand_spaces(parts: dict[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    sides = [side for side in _SIDES if f"hand_mean_{side}" in parts]
    return {side: (parts.pop(f"hand_mean_{side}"), parts.pop(f"hand_components_{side}")) for side in sides}
