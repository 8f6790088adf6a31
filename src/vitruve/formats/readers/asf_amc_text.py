"""Parse the text of ASF and AMC files: bones, and the numbers of every frame."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vitruve.formats.readers.plain_text import check_finite, damaged

_DOF = ("rx", "ry", "rz", "tx", "ty", "tz", "l")
Line = tuple[int, list[str]]  # line number, and its words


@dataclass
class Bone:
    """A bone, or the root (which has no length).

    Attributes:
        name: its name in both files.
        dof: the channels in the AMC file: "rx", "ry", "rz", and for the root "tx", "ty", "tz".
        parent: index of the parent bone, at whose end it starts; -1 for the root.
        tip: its end relative to its start, at rest, in units of length.
        axis: Euler angles of its own axes, in units of angle; `axis_order` is their order.
        limits: (lowest, highest) of each channel, in units of angle; may be empty.
    """

    name: str
    dof: tuple[str, ...] = ()
    parent: int = -1
    tip: tuple[float, ...] = (0.0, 0.0, 0.0)
    axis: tuple[float, ...] = (0.0, 0.0, 0.0)
    axis_order: str = "XYZ"
    limits: tuple[tuple[float, float], ...] = ()


@dataclass
class Figure:
    """An ASF file.

    Attributes:
        bones: parents first, the root at 0.
        length: the factor to inches: a unit of length is 1 / length inches.
        degrees: whether angles are in degrees.
        position: of the root, in units of length.
    """

    bones: list[Bone] = field(default_factory=list)
    length: float = 1.0
    degrees: bool = True
    position: tuple[float, ...] = (0.0, 0.0, 0.0)


def parse_asf(data: bytes, where: str) -> Figure:
    """Parse an ASF file; unknown sections are ignored."""
    sections = _sections(data, where)
    missing = [name for name in ("root", "bonedata", "hierarchy") if name not in sections]
    if missing:
        raise damaged(f"the ASF file has no section ':{missing[0]}'", where, "check that it is a complete ASF file")
    figure = Figure()
    for number, (key, *words) in sections.get("units", []):
        here = f"{where}, line {number}"
        if key.lower() == "length":
            (figure.length,) = _numbers(words, 1, here)
            if figure.length <= 0:
                raise damaged("the unit of length is not positive", here)
        elif key.lower() == "angle":
            unit = words[0].lower() if words else ""
            if not unit.startswith(("deg", "rad")):
                raise damaged(f"unknown unit of angle '{unit}'", here, "write deg or rad")
            figure.degrees = unit.startswith("deg")
    root, figure.position = _root(sections["root"], where)
    bones = _bones(sections["bonedata"], where)
    figure.bones = _linked(root, bones, sections["hierarchy"], where)
    return figure


def parse_amc(data: bytes, where: str, widths: Mapping[str, int]) -> tuple[dict[str, NDArray[np.float64]], bool | None]:
    """Parse an AMC file with `widths` numbers per frame by bone.

    Returns:
        [frames, numbers] by bone, and whether the angles are in degrees, or None if the file does not say.
    """
    lines = data.decode("latin-1").splitlines()
    header = 0
    while header < len(lines) and lines[header].strip()[:1] in ("", "#", ":"):
        header += 1
    keywords = [line.strip().lower()[:4] for line in lines[:header]]
    degrees = ":deg" in keywords if ":deg" in keywords or ":rad" in keywords else None
    body = lines[header:]
    moving = [name for name, width in widths.items() if width]
    values = _regular(body, moving, widths)
    if values is None:
        values = _line_by_line(body, header + 1, moving, widths, where)
    for name, table in values.items():
        check_finite(table, f"a value of '{name}'", lambda frame: f"{where}, frame {frame + 1}")
    frames = len(next(iter(values.values()))) if values else 0
    return {name: values.get(name, np.zeros((frames, 0))) for name in widths}, degrees


def _regular(body: list[str], moving: list[str], widths: Mapping[str, int]) -> dict[str, NDArray[np.float64]] | None:
    # Bytes take a quarter of the memory of texts.
    words = " ".join(body).encode("latin-1").split()
    period = 1 + sum(1 + widths[name] for name in moving)
    if not words or len(words) % period:
        return None
    table = np.array(words).reshape(-1, period)
    values, column = {}, 1
    try:
        numbers = table[:, 0].astype(np.int64)
        while column < period:
            name = table[0, column].decode("latin-1")
            if name not in moving or name in values or (table[:, column] != table[0, column]).any():
                return None
            values[name] = table[:, column + 1 : column + 1 + widths[name]].astype(np.float64)
            column += 1 + widths[name]
    except ValueError:
        return None
    return values if (np.diff(numbers) == 1).all() else None


def _line_by_line(
    body: list[str], first: int, moving: list[str], widths: Mapping[str, int], where: str
) -> dict[str, NDArray[np.float64]]:
    frames: list[dict[str, list[float]]] = []
    last = None

    def check_complete(place: str) -> None:
        missing = [name for name in moving if name not in frames[-1]]
        if missing:
            fix = "copy the file again, or give its own ASF file"
            raise damaged(f"a frame has no values for '{missing[0]}'", f"{where}, {place}", fix)

    for number, line in enumerate(body, start=first):
        words, here = line.split(), f"{where}, line {number}"
        if not words or words[0].startswith("#"):
            continue
        if len(words) == 1 and words[0].isdigit():
            if frames:
                check_complete(f"before line {number}")
            if last is not None and int(words[0]) != last + 1:
                raise damaged(f"frame {words[0]} follows frame {last}", here)
            last = int(words[0])
            frames.append({})
        elif not frames:
            raise damaged(f"'{words[0][:20]}' comes before the first frame", here, "check that it is an AMC file")
        elif words[0] not in widths:
            raise damaged(f"the skeleton has no bone '{words[0][:30]}'", here, "give the ASF file of this take")
        elif words[0] in frames[-1]:
            raise damaged(f"bone '{words[0]}' occurs twice in a frame", here)
        else:
            frames[-1][words[0]] = _numbers(words[1:], widths[words[0]], here)
    if not frames:
        raise damaged("the AMC file has no frames", where, "check that it is a complete AMC file")
    check_complete("the last frame")
    return {name: np.array([frame[name] for frame in frames]) for name in moving}


def _sections(data: bytes, where: str) -> dict[str, list[Line]]:
    """The lines of each section, without comments; the header line is included if it has more than the name."""
    sections: dict[str, list[Line]] = {}
    current = None
    for number, line in enumerate(data.decode("latin-1").splitlines(), start=1):
        text = line.strip()
        if text.startswith(":"):
            current = sections.setdefault(text[1:].split()[0].lower() if text[1:].split() else "", [])
        elif current is not None and text and not text.startswith("#"):
            current.append((number, text.split("#")[0].replace("(", " ( ").replace(")", " ) ").split()))
    if not sections:
        raise damaged("this is not an ASF file", f"{where}: it has no ':' sections", "give the .asf file")
    return sections


def _root(lines: list[Line], where: str) -> tuple[Bone, tuple[float, ...]]:
    bone, position = Bone("root", dof=("tx", "ty", "tz", "rx", "ry", "rz")), (0.0, 0.0, 0.0)
    for number, (key, *words) in lines:
        here = f"{where}, line {number}"
        if key.lower() == "order":
            bone.dof = _dof(words, here)
        elif key.lower() == "axis":
            bone.axis_order = _axis_order(words, here)
        elif key.lower() == "position":
            position = tuple(_numbers(words, 3, here))
        elif key.lower() == "orientation":
            bone.axis = tuple(_numbers(words, 3, here))
    return bone, position


def _bones(lines: list[Line], where: str) -> dict[str, Bone]:
    bones: dict[str, Bone] = {}
    fields: dict[str, Line] | None = None
    key = ""
    for number, words in lines:
        here, word = f"{where}, line {number}", words[0].lower()
        if word == "begin":
            fields = {}
        elif fields is None:
            raise damaged(f"'{words[0]}' is outside of a bone", here, "check 'begin' and 'end'")
        elif word == "end":
            bone = _bone(fields, here, where)
            if bone.name in bones or bone.name == "root":
                raise damaged(f"two bones are called '{bone.name}'", here, "rename one of them")
            bones[bone.name] = bone
            fields = None
        elif word == "(" and key == "limits":
            fields["limits"][1].extend(words)
        else:
            key = word
            fields[key] = (number, words[1:])
    if fields is not None:
        raise damaged("the bone data ends early", where)
    return bones


def _bone(fields: Mapping[str, Line], here: str, where: str) -> Bone:
    missing = [key for key in ("name", "direction", "length") if key not in fields or not fields[key][1]]
    if missing:
        raise damaged(f"a bone has no '{missing[0]}'", here)

    def at(key: str) -> str:
        return f"{where}, line {fields[key][0]}"

    bone = Bone(fields["name"][1][0])
    direction = np.array(_numbers(fields["direction"][1], 3, at("direction")))
    (length,) = _numbers(fields["length"][1], 1, at("length"))
    norm = float(np.linalg.norm(direction))
    if length and not norm:
        raise damaged(f"bone '{bone.name}' has no direction", at("direction"))
    bone.tip = tuple(direction / norm * length) if norm else bone.tip
    if "axis" in fields:
        *angles, order = fields["axis"][1] or [""]
        bone.axis = tuple(_numbers(angles, 3, at("axis")))
        bone.axis_order = _axis_order([order], at("axis"))
    if "dof" in fields:
        bone.dof = _dof(fields["dof"][1], at("dof"))
        other = [channel for channel in bone.dof if channel[0] != "r"]
        if other:
            what = f"bone '{bone.name}' slides or stretches, which is not supported"
            raise damaged(what, f"{at('dof')}: {other[0]}", "export the take with bones of constant length")
    if "limits" in fields:
        words = [word for word in fields["limits"][1] if word not in "()"]
        bounds = _numbers(words, 2 * len(bone.dof), at("limits"), finite=False)
        bone.limits = tuple(zip(bounds[::2], bounds[1::2], strict=True))
    return bone


def _linked(root: Bone, bones: dict[str, Bone], lines: list[Line], where: str) -> list[Bone]:
    """The bones with their parents set: parents first, otherwise in the file's order."""
    parents: dict[str, str] = {}
    for number, (parent, *children) in lines:
        here = f"{where}, line {number}"
        if parent.lower() in ("begin", "end") and not children:
            continue
        for name in (parent, *children):
            if name != "root" and name not in bones:
                raise damaged(f"the hierarchy names a bone '{name}' that has no data", here)
        for child in children:
            if child in parents or child == "root":
                raise damaged(f"'{child}' hangs on two bones", here, "fix the hierarchy")
            parents[child] = parent
    order, waiting = [root], list(bones.values())
    place = {"root": 0}
    while waiting:
        bone = next((bone for bone in waiting if parents.get(bone.name) in place), None)
        if bone is None:
            raise damaged(f"bone '{waiting[0].name}' does not hang on the root", where, "fix the hierarchy")
        waiting.remove(bone)
        bone.parent, place[bone.name] = place[parents[bone.name]], len(order)
        order.append(bone)
    return order


def _dof(words: list[str], where: str) -> tuple[str, ...]:
    dof = tuple(word.lower() for word in words)
    if set(dof) - set(_DOF) or len(set(dof)) < len(dof):
        raise damaged(f"'{' '.join(words)}' is no list of channels", where, f"use each of {', '.join(_DOF)} once")
    return dof


def _axis_order(words: list[str], where: str) -> str:
    order = words[0].upper() if len(words) == 1 else ""
    if sorted(order) != ["X", "Y", "Z"]:
        raise damaged(f"'{' '.join(words)}' is no order of axes", where, "write XYZ, ZYX or another order")
    return order


def _numbers(words: list[str], count: int, where: str, finite: bool = True) -> list[float]:
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise damaged(f"'{' '.join(words)[:40]}' is not numbers", where) from None
    if len(values) != count:
        raise damaged(f"{len(values)} numbers where {count} are needed", where)
    if any(math.isnan(value) or (finite and math.isinf(value)) for value in values):
        raise damaged("a value is not a finite number", where)
    return values
