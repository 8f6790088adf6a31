"""Files of single poses keyed by an id: npz, json or pkl; docs/convert-inputs.md describes their content."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vitruve.bodies.catalogue import is_own
from vitruve.bodies.pickles import existing_file, read_npz, read_pickle
from vitruve.errors import BadData, UsageError
from vitruve.files.atomic import replacing
from vitruve.files.smpl_layouts import BY_COLUMNS, LAYOUTS, SKELETONS
from vitruve.formats.axis_angle import doubtful_turns, rotations_of_file
from vitruve.formats.fields import read_gender, real_array, word
from vitruve.geometry.rotations import matrix_to_axis_angle
from vitruve.motion import Motion
from vitruve.skeletons import load_skeleton
from vitruve.words import counted

# Number of axis-angle columns -> layout; 22 joints are SMPL with both hands at rest.
_LAYOUTS = {66: LAYOUTS["smpl"], **BY_COLUMNS}
ENDINGS = (".npz", ".json", ".pkl")
_GIVE_VALUES = "give the axis-angle values of each id, or a mapping with `poses` (docs/convert-inputs.md)"
FIELDS = ("poses", "trans", "betas", "gender", "expression", "body")


@dataclass(frozen=True, eq=False)
class Poses:
    """Poses of one layout.

    Attributes:
        ids: one per pose, unique.
        rotations: [poses, joints, 3, 3] parent-relative; joint 0 relative to the world.
        translation: [poses, 3] metres; zero if the file has none.
        betas: [poses, betas] the shape of each pose; no columns if the file has none.
        genders: "neutral", "female" or "male" of each pose.
        body: as `Motion.body`: "smplh", "open-smplx", or "mine#1f3a9c02" from a user's own file.
        expression: [poses, expressions] or None.
        mask: [poses] False for a pose with NaN or infinity, or one that could not be converted.
        notes: decisions of the reader.
    """

    ids: tuple[str, ...]
    rotations: Float[Tensor, "poses joints 3 3"]
    translation: Float[Tensor, "poses 3"]
    betas: Float[Tensor, "poses betas"]
    genders: tuple[str, ...]
    body: str
    expression: Float[Tensor, "poses expressions"] | None
    mask: Bool[Tensor, "poses"]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        ids = f"{self.ids[0]} to {self.ids[-1]}" if self.ids else "none"
        return f"Poses({counted(len(self), 'pose')}, ids {ids}, {self.body}, {', '.join(sorted(set(self.genders)))})"

    @property
    def layout(self) -> str:
        """ "smpl", "smplh" or "smplx"."""
        return BY_COLUMNS[3 * self.rotations.shape[1]].body

    def as_motion(self, rows: Tensor) -> Motion:
        """Some poses as a motion, one per frame; they must have the same shape. The frame rate is meaningless."""
        return Motion(
            rotations=self.rotations[rows],
            translation=self.translation[rows],
            fps=1.0,
            skeleton=load_skeleton(SKELETONS[self.layout]),
            body=self.body,
            gender=self.genders[int(rows[0])],
            betas=self.betas[rows[0]],
            expression=None if self.expression is None else self.expression[rows],
            mask=None if self.mask[rows].all() else self.mask[rows],
        )


def read_poses(path: str | Path, *, gender: str | None = None) -> Poses:
    """Read poses keyed by id from an npz, json or pkl file; see docs/convert-inputs.md for its content.

    Args:
        path: the file.
        gender: "neutral", "female" or "male", for poses without a gender; neutral by default.
    """
    path = existing_file(path)
    ids, columns = _columns(_content(path), path)
    values = real_array(columns["poses"], "poses", path)
    if values.ndim != 2 or len(values) != len(ids) or values.shape[1] not in _LAYOUTS:
        raise BadData(
            "the poses fit no supported body",
            where=f"{path}: poses have shape {values.shape} for {len(ids)} ids",
            fix=f"give one row of {', '.join(map(str, _LAYOUTS))} axis-angle values per id, hands without PCA",
        )
    layout = _LAYOUTS[values.shape[1]]
    padding = (0, layout.columns - values.shape[1])
    vectors = torch.nn.functional.pad(torch.from_numpy(values), padding).unflatten(1, (-1, 3))
    rotations, good = rotations_of_file(vectors)
    read = {}
    for key in ("trans", "betas", "expression"):
        rows, finite = _rows(columns.get(key), key, len(ids), path)
        read[key], good = rows.to(rotations), good & finite
    if read["trans"].shape[1] not in (0, 3):
        raise BadData(
            "a translation is three numbers", where=f"{path}: {tuple(read['trans'].shape)}", fix="write three columns"
        )
    notes = doubtful_turns(vectors, load_skeleton(layout.skeleton).names)
    if "trans" not in columns:
        notes.append("the file has no translations; every pose is at the origin")
        read["trans"] = rotations.new_zeros(len(ids), 3)
    return Poses(
        ids=ids,
        rotations=rotations,
        translation=read["trans"],
        betas=read["betas"],
        genders=_genders(columns.get("gender", gender or "neutral"), len(ids), path, notes, gender),
        body=_body(columns.get("body"), layout.body, path),
        expression=read["expression"] if "expression" in columns else None,
        mask=good,
        notes=tuple(dict.fromkeys(notes)),
    )


def write_poses(poses: Poses, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write poses keyed by id; the suffix chooses the format: .npz (columns), .json or .pkl (id to fields).

    A masked pose is written as NaN (null in json).
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        fix = f"end the name in {', '.join(ENDINGS)}"
        raise UsageError(f"poses are not written as '{ending}'", where=str(path), fix=fix)
    vectors = matrix_to_axis_angle(poses.rotations).flatten(1)
    columns = {"poses": vectors.masked_fill(~poses.mask[:, None], torch.nan), "trans": poses.translation}
    columns["betas"] = poses.betas
    if poses.expression is not None:
        columns["expression"] = poses.expression
    arrays = {key: value.detach().cpu().numpy() for key, value in columns.items()}
    with replacing(path, overwrite=overwrite) as temporary:
        if ending == ".npz":
            words = {"ids": np.asarray(poses.ids), "gender": np.asarray(poses.genders), "body": np.asarray(poses.body)}
            np.savez_compressed(temporary, allow_pickle=False, **words, **arrays)
            return path
        by_id = {
            name: {key: value[row] for key, value in arrays.items()}
            | {"gender": poses.genders[row], "body": poses.body}
            for row, name in enumerate(poses.ids)
        }
        if ending == ".pkl":
            temporary.write_bytes(pickle.dumps(by_id))
        else:
            temporary.write_text(json.dumps(by_id, default=_with_nulls, allow_nan=False), encoding="utf-8")
    return path


def _with_nulls(values: np.ndarray) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _content(path: Path) -> Mapping[Any, Any]:
    ending = path.suffix.lower()
    if ending == ".npz":
        return dict(read_npz(path))
    if ending == ".pkl":
        content = read_pickle(path)
    elif ending == ".json":
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise BadData(f"{path.name} is no json", where=f"{path}: {error}", fix="download it again") from None
    else:
        raise UsageError(f"poses are not read from '{ending}'", where=str(path), fix=f"use {', '.join(ENDINGS)}")
    if not isinstance(content, Mapping):
        fix = "give {id: values}, or the columns ids and poses"
        raise BadData(f"{path.name} is not keyed by ids", f"{path}: found a {type(content).__name__}", fix)
    return content


def _columns(content: Mapping[Any, Any], path: Path) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The ids and the fields as columns, from columns or from rows keyed by id."""
    if "poses" in content and "ids" in content:
        ids = tuple(word(value) for value in np.asarray(content["ids"], dtype=object).reshape(-1).tolist())
        columns = {key: value for key, value in content.items() if key in FIELDS}
    elif "poses" in content or not content:
        raise BadData(
            f"{path.name} has poses without ids",
            where=f"{path}: keys are {', '.join(map(str, list(content)[:8])) or 'none'}",
            fix="add `ids`, one for each row of `poses`; a clip is read by load_motion(path)",
        )
    else:
        if all(_values(value) is None for value in content.values()):
            raise _no_poses(content, path)
        ids = tuple(word(key) for key in content)
        rows = [_row(name, value, path) for name, value in zip(ids, content.values())]
        keys = rows[0].keys()
        for name, row in zip(ids, rows):
            if row.keys() != keys or np.shape(row["poses"]) != np.shape(rows[0]["poses"]):
                raise BadData(
                    f"pose '{name}' has other fields than the first",
                    where=f"{path}: has {_shapes(row)}, the first has {_shapes(rows[0])}",
                    fix="give all poses the same fields, on one body",
                )
        columns: dict[str, Any] = {key: [row[key] for row in rows] for key in keys}
        if "body" in columns:
            columns["body"] = np.unique(np.asarray(columns["body"], dtype=str))
    if len(set(ids)) != len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise BadData(f"the id '{twice}' occurs twice", where=str(path), fix="give every pose its own id")
    return ids, columns


def _row(name: str, value: Any, path: Path) -> dict[str, Any]:
    """The fields of one pose, from its values or a mapping."""
    values = _values(value)
    if values is None:
        raise BadData(f"pose '{name}' has no values", where=f"{path}: found {str(value)[:60]}", fix=_GIVE_VALUES)
    fields = value if isinstance(value, Mapping) else {}
    return {key: field for key, field in fields.items() if key in FIELDS} | {"poses": values}


def _values(value: Any) -> np.ndarray | None:
    """[values] of one pose; None for anything else (text, a single number, lists of unequal length)."""
    try:
        array = _numbers(value.get("poses") if isinstance(value, Mapping) else value)
    except (TypeError, ValueError):
        return None
    return array.reshape(-1) if array.ndim and array.dtype.kind in "fiu" else None


def _no_poses(content: Mapping[Any, Any], path: Path) -> BadData:
    """The error for a file without values: a list of where poses are, or another file."""
    name, value = next(iter(content.items()))
    if isinstance(value, list | tuple) and len(value) == 3 and isinstance(value[1], str) and isinstance(value[2], int):
        return BadData(
            f"{path.name} lists where poses are, but does not hold them",
            where=f"{path}: pose {name} is frame {value[2]} of {value[1]}",
            fix=f"take them from the data set first: vitruve data poses {path} --amass FOLDER --out poses.npz",
        )
    return BadData(f"{path.name} holds no poses", where=f"{path}: '{name}' is {str(value)[:60]}", fix=_GIVE_VALUES)


def _numbers(value: Any) -> np.ndarray:
    """An array with NaN for JSON's null."""
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype == object else array


def _shapes(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {np.shape(value)}" for key, value in row.items())


def _rows(value: Any, key: str, count: int, path: Path) -> tuple[Tensor, Tensor]:
    """A column [count, n] with non-finite values set to zero, and where it is finite. One row applies to all."""
    if value is None:
        return torch.zeros(count, 0), torch.ones(count, dtype=torch.bool)
    array = np.atleast_2d(real_array(_numbers(value), key, path))
    if array.ndim != 2 or len(array) not in (1, count):
        where = f"{path}: {key} have shape {array.shape} for {count} ids"
        raise BadData(f"{key} do not fit the poses", where, fix="give one row for each id")
    rows = torch.from_numpy(array).expand(count, -1)
    finite = rows.isfinite().all(1)
    return rows.masked_fill(~finite[:, None], 0.0), finite


def _genders(value: Any, count: int, path: Path, notes: list[str], given: str | None) -> tuple[str, ...]:
    genders = np.asarray(value, dtype=object).reshape(-1).tolist()
    if len(genders) not in (1, count):
        raise BadData(f"{len(genders)} genders for {count} poses", where=str(path), fix="give one, or one for each id")
    return tuple(read_gender(gender, path, notes, given) for gender in genders) * (count // len(genders))


def _body(value: Any, layout: str, path: Path) -> str:
    names = [layout] if value is None else sorted({word(name) for name in np.asarray(value).reshape(-1).tolist()})
    fits = names[0].rpartition("-")[2] == layout or is_own(names[0])
    if len(names) != 1 or not fits:
        raise BadData(
            "the body named in the file does not fit its poses",
            where=f"{path}: body is {', '.join(names)}, the number of values is that of {layout}",
            fix=f"leave `body` out, or write '{layout}' or 'open-{layout}'",
        )
    return names[0]
