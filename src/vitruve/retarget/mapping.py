"""Mapping files: which joint of a foreign skeleton is which joint of the body, and how their axes relate.

A mapping file is TOML; docs/retarget.md explains every key:

    name = "cmu31"
    scale = "legs"
    frames = "x y z"

    [source_frames]
    Hips = "y -x z"

    [joints]
    left_hip = { source = "lfemur", bone = "left_knee" }
    left_elbow = { source = "lradius", rotation = ["lradius", "lwrist"], bone = "left_wrist" }
    head = { source = "head", weight = 0 }
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import os
import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vitruve.errors import BadData, MissingAsset, nearest
from vitruve.geometry.rotations import matrix_to_euler, rotation_about

SCALES = ("legs", "whole", "none")
_KEYS = ("name", "scale", "frames", "source_frames", "joints", "source", "note")
_JOINT_KEYS = ("source", "position", "rotation", "bone", "like", "weight", "hold", "optional")
_FRAME_KEYS = ("axes", "turn")
_UNITS = {f"{sign}{axis}": torch.eye(3, dtype=torch.float64)[i] * (-1 if sign else 1)
          for i, axis in enumerate("xyz") for sign in ("", "-")}  # fmt: skip
# The 24 axis-aligned rotations, by their names in mapping files.
_AXES = {
    " ".join(names): matrix
    for names in itertools.permutations(_UNITS, 3)
    if float(torch.linalg.det(matrix := torch.stack([_UNITS[name] for name in names], -1))) > 0.5
}


@dataclass(frozen=True)
class JointMap:
    """The source of one body joint's position and rotation.

    Attributes:
        joint: name on the body.
        position, rotation: joints of the source whose mean gives its position or rotation; may be empty.
        bone: joint of the body at the other end of the bone that both skeletons share; the axes are aligned along it.
            Empty if the frames alone define the relation.
        like: joint of the body whose correction along its bone applies to this one too, as for a hand in line with its
            forearm; may be empty.
        weight: of the position; 0 if it is only measured.
        hold: cost of a deviation from the source's rotation, metres per radian.
        optional: whether the row is dropped for a source without these joints.
    """

    joint: str
    position: tuple[str, ...]
    rotation: tuple[str, ...]
    bone: str = ""
    weight: float = 1.0
    hold: float = 0.01
    like: str = ""
    optional: bool = False

    @property
    def sources(self) -> tuple[str, ...]:
        """The joints of the source in this row."""
        return tuple(dict.fromkeys((*self.position, *self.rotation)))


@dataclass(frozen=True, eq=False)
class Mapping:
    """A mapping file, read and checked.

    Attributes:
        name: as in errors and notes.
        joints: one entry for each mapped joint of the body.
        frames: [3, 3] by the source's joint name: the rotation from its own axes to those of the body at rest.
        scale: "legs", "whole" or "none": the bones that define the size of the body relative to the source.
        note: for the user.
    """

    name: str
    joints: tuple[JointMap, ...]
    frames: dict[str, Tensor]
    scale: str = "legs"
    note: str = ""

    @property
    def sources(self) -> tuple[str, ...]:
        """The joints of the source in all rows."""
        return tuple(dict.fromkeys(name for entry in self.joints for name in entry.sources))

    def on(self, names: Sequence[str]) -> Mapping | None:
        """The mapping for a source with these joints, without missing optional rows; None if a required one is missing.

        The source's names may have a prefix.
        """
        required = {name for entry in self.joints if not entry.optional for name in entry.sources}
        for prefix in ("", *prefixes(names)):
            real = {name.removeprefix(prefix): name for name in reversed(names)}
            if required <= real.keys():
                return _renamed(self, real)
        return None


def mapping_names() -> tuple[str, ...]:
    """The names of the mappings that ship with the package."""
    files = resources.files("vitruve.retarget") / "mappings"
    return tuple(sorted(file.name.removesuffix(".toml") for file in files.iterdir() if file.name.endswith(".toml")))


def prefixes(names: Sequence[str]) -> tuple[str, ...]:
    """Possible prefixes of the joint names: up to a colon, or common to all of them, or to all but the root."""
    with_colon = Counter(name[: name.rindex(":") + 1] for name in names if ":" in name)
    # Of names, not of paths.
    shared = [os.path.commonprefix(list(some)) for some in (names, names[1:]) if len(some) > 1]  # noqa: RUF071
    return tuple(dict.fromkeys([prefix for prefix, _ in with_colon.most_common(1)] + [text for text in shared if text]))


def load_mapping(name: str | Path) -> Mapping:
    """A shipped mapping by name, or a user's own by the path of its TOML file."""
    if not str(name).endswith(".toml"):
        return shipped_mapping(str(name))
    path = Path(name)
    if not path.is_file():
        raise MissingAsset(f"mapping file {path} does not exist", fix=nearest(path.stem, mapping_names()))
    return mapping_from_toml(path.read_text(encoding="utf-8", errors="replace"), str(path))


def mapping_from_toml(text: str, where: str) -> Mapping:
    """Read and check a mapping file's text; `where` names it in errors."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadData("the mapping file is not TOML", where=f"{where}: {error}", fix="see docs/retarget.md") from None
    _check_keys(table, _KEYS, where)
    entries = table.get("joints")
    if not isinstance(entries, dict) or not entries:
        raise BadData("a mapping needs a table [joints]", where=where, fix="see docs/retarget.md")
    scale = table.get("scale", "legs")
    if scale not in SCALES:
        raise BadData(f"unknown scale rule '{scale}'", where=f"{where}: scale", fix=nearest(str(scale), SCALES))
    joints = tuple(_joint_map(joint, entry, f"{where}: joints.{joint}") for joint, entry in entries.items())
    default = _frame(table.get("frames", "x y z"), f"{where}: frames")
    own = {str(key): _frame(v, f"{where}: source_frames.{key}") for key, v in table.get("source_frames", {}).items()}
    used = {name for entry in joints for name in entry.rotation}
    unused = [name for name in own if name not in used]
    if unused:
        fix = nearest(unused[0], sorted(used))
        raise BadData(f"'{unused[0]}' is used by no joint", where=f"{where}: source_frames", fix=fix)
    return Mapping(
        name=str(table.get("name", Path(where).stem)),
        joints=joints,
        frames={name: own.get(name, default) for name in used},
        scale=scale,
        note=str(table.get("note", "")),
    )


@functools.cache
def shipped_mapping(name: str) -> Mapping:
    """A mapping of the package by its name."""
    if name not in mapping_names():
        fix = f"{nearest(name, mapping_names())} or give the path of a .toml file"
        raise MissingAsset(f"unknown mapping '{name}'", fix=fix)
    file = resources.files("vitruve.retarget") / "mappings" / f"{name}.toml"
    return mapping_from_toml(file.read_text(encoding="utf-8"), file.name)


def _renamed(mapping: Mapping, real: dict[str, str]) -> Mapping:
    """The rows whose joints exist, with their real names, without references to missing rows."""
    rows = [entry for entry in mapping.joints if set(entry.sources) <= real.keys()]
    kept = {entry.joint for entry in rows}
    joints = tuple(
        replace(
            entry,
            position=tuple(real[name] for name in entry.position),
            rotation=tuple(real[name] for name in entry.rotation),
            bone=entry.bone if entry.bone in kept else "",
            like=entry.like if entry.like in kept else "",
        )
        for entry in rows
    )
    frames = {real[name]: frame for name, frame in mapping.frames.items() if name in real}
    return replace(mapping, joints=joints, frames=frames)


def _check_keys(table: dict[str, Any], keys: Sequence[str], where: str) -> None:
    unknown = [key for key in table if key not in keys]
    if unknown:
        raise BadData(f"unknown key '{unknown[0]}'", where=where, fix=nearest(unknown[0], keys))


def _joint_map(joint: str, entry: Any, where: str) -> JointMap:
    if isinstance(entry, str):
        entry = {"source": entry}
    if not isinstance(entry, dict):
        raise BadData("an entry is a name or a table", where=where, fix='write { source = "lfemur" }')
    _check_keys(entry, _JOINT_KEYS, where)
    source = _names(entry.get("source", []), where)
    numbers = {key: entry[key] for key in ("weight", "hold") if key in entry}
    for key, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise BadData(f"invalid {key} '{value}'", where=where, fix="give a number that is not negative")
    row = JointMap(
        joint=joint,
        position=_names(entry.get("position", source), where),
        rotation=_names(entry.get("rotation", source), where),
        bone=str(entry.get("bone", "")),
        like=str(entry.get("like", "")),
        optional=bool(entry.get("optional", False)),
        **{key: float(value) for key, value in numbers.items()},
    )
    if not row.sources:
        raise BadData("the entry names no joint of the source", where=where, fix='write { source = "lfemur" }')
    return row


def _names(value: Any, where: str) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
        return tuple(names)
    raise BadData(f"{value!r} is neither a name nor a list of names", where=where, fix="name joints of the source")


def nearest_axes(frame: Tensor) -> Tensor:
    """[3, 3] the nearest axis-aligned rotation."""
    return max(_AXES.values(), key=lambda axes: float((axes * frame).sum()))


def mapping_to_toml(mapping: Mapping) -> str:
    """The text of a mapping file, angles to a tenth of a degree; the inverse of `mapping_from_toml`."""
    lines = [
        f"{key} = {json.dumps(getattr(mapping, key))}" for key in ("name", "scale", "note") if getattr(mapping, key)
    ]
    lines += ["", "[source_frames]"]
    for name, frame in mapping.frames.items():
        key = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
        lines.append(f"{key} = {_frame_text(frame)}")
    lines += ["", "[joints]"]
    for row in mapping.joints:
        if row.position == row.rotation:
            parts: dict[str, Any] = {"source": row.position}
        else:
            parts = {key: names for key in ("position", "rotation") if (names := getattr(row, key))}
        # Only values that differ from the defaults.
        defaults = {field.name: field.default for field in fields(row)}
        optional = ("bone", "like", "weight", "hold", "optional")
        parts |= {key: value for key in optional if (value := getattr(row, key)) != defaults[key]}
        lines.append(f"{row.joint} = {{ {', '.join(f'{key} = {json.dumps(value)}' for key, value in parts.items())} }}")
    return "\n".join(lines) + "\n"


def _frame_text(frame: Tensor) -> str:
    axes = nearest_axes(frame)
    turned = matrix_to_euler(frame.double() @ axes.T, "ZYX").rad2deg().tolist()[::-1]
    turns = ", ".join(f"{axis} = {degrees:.1f}" for axis, degrees in zip("xyz", turned) if abs(degrees) >= 0.05)
    name = next(name for name, known in _AXES.items() if known is axes)
    return f'{{ axes = "{name}", turn = {{ {turns} }} }}' if turns else f'"{name}"'


def _frame(value: Any, where: str) -> Tensor:
    """[3, 3]: the rotation from a joint's own axes to those of the body at rest, from "y -x z" or a table."""
    table: Any = {"axes": value} if isinstance(value, str) else value
    if not isinstance(table, dict):
        raise BadData(f"invalid axes {value!r}", where=where, fix='write "y -x z"')
    _check_keys(table, _FRAME_KEYS, where)
    axes = " ".join(str(table.get("axes", "x y z")).split())
    matrix = _AXES.get(axes)
    if matrix is None:
        raise BadData(
            f"'{axes}' is not a right-handed frame",
            where=where,
            fix="give the directions of the joint's own x, y and z on the body in T-pose: left is x, up y, ahead z",
        )
    for axis, degrees in table.get("turn", {}).items():
        if axis not in ("x", "y", "z") or not isinstance(degrees, int | float):
            raise BadData(f"invalid turn '{axis} = {degrees}'", where=where, fix="write turn = { x = -20 }, in degrees")
        matrix = rotation_about(axis.upper(), torch.tensor(math.radians(degrees), dtype=torch.float64)) @ matrix
    return matrix
