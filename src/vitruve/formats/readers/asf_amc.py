"""ASF and AMC: Acclaim's skeleton and motion files, as used by the CMU motion capture database.

A bone is a segment from the end of its parent to its own end; its joint is at its start and has its name. Its angles
are about axes C of its own: with local rotation L it turns by C L C^-1 relative to the world at rest. Rotations are
about fixed axes in the listed order: for "rx ry rz" the matrix is Rz Ry Rx.
"""

from __future__ import annotations

import math
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitruve.errors import MissingAsset, UsageError
from vitruve.formats.readers.asf_amc_text import Bone, Figure, parse_amc, parse_asf
from vitruve.formats.readers.cmu_rates import USUAL_RATE, cmu_rate
from vitruve.formats.readers.plain_text import EndSites, read_bytes, recognised, tree_skeleton, z_up_from
from vitruve.geometry.rotations import rotation_about
from vitruve.motion import Motion, Source

_INCH = 0.0254


def read_asf_amc(
    path: str | PathLike[str],
    *,
    asf: str | PathLike[str] | None = None,
    fps: float | None = None,
    unit: float | None = None,
    dtype: torch.dtype | None = None,
) -> Motion:
    """Read an AMC file with the skeleton it belongs to.

    Args:
        path: the AMC file.
        asf: its skeleton; by default searched next to the AMC file: 01_02.amc belongs to 01_02.asf or 01.asf.
        fps: frames per second, which the file lacks; by default that of CMU's trial with that name, 120 for most.
        unit: metres per unit of length, if the factor in the ASF file is wrong.
        dtype: precision; float64 by default.

    Returns:
        The motion, turned from y up to z up. `source.extras` has the ends of the last bones in "end_sites", and in
        "limits" those of the bones' angles, in radians, as {bone: ((channel, lowest, highest), ...)}.
    """
    path = Path(path)
    data = read_bytes(path)
    asf_path = Path(asf) if asf is not None else _skeleton_beside(path)
    figure = parse_asf(read_bytes(asf_path), str(asf_path))
    values, degrees = parse_amc(data, str(path), {bone.name: len(bone.dof) for bone in figure.bones})
    metres = _INCH / figure.length if unit is None else unit
    if not 0 < metres < math.inf:
        raise UsageError(f"invalid unit: {metres} metres", fix="give a positive number")
    angle = math.pi / 180 if (figure.degrees if degrees is None else degrees) else 1.0
    own_angle = math.pi / 180 if figure.degrees else 1.0
    rotations = torch.stack([_rotations(bone, angle * values[bone.name], own_angle) for bone in figure.bones], 1)
    turn = z_up_from("y", rotations)
    rotations[:, 0] = turn @ rotations[:, 0]
    rest, ends = _rest_and_ends(figure, metres)
    rate, rate_note = _rate(path, fps)
    notes = (
        f"the skeleton is that of {asf_path.name}",
        rate_note,
        f"a unit of length was read as {metres:.5g} m",
        "the world was turned from y up to z up",
    )
    names, parents = [bone.name for bone in figure.bones], [bone.parent for bone in figure.bones]
    motion = Motion(
        rotations=rotations,
        translation=torch.from_numpy(metres * _root_positions(figure, values["root"])) @ turn.T,
        fps=rate,
        skeleton=tree_skeleton(asf_path.stem, names, parents, torch.from_numpy(rest)),
        source=Source(str(path), "asf-amc", {"end_sites": ends, "limits": _limits(figure, own_angle)}, notes),
    )
    return recognised(motion).to(dtype=dtype or torch.float64)


def _rate(path: Path, requested: float | None) -> tuple[float, str]:
    """Frames per second, and a note about it."""
    if requested is not None:
        return float(requested), f"the frame rate is {requested:g} fps as requested, the file has none"
    known = cmu_rate(path.stem)
    if known is not None:
        return known, f"the frame rate is {known:g} fps by the table of CMU's trials, the file has none"
    return USUAL_RATE, f"the frame rate was assumed to be {USUAL_RATE:g} fps, as in CMU's trials; the file has none"


def _skeleton_beside(path: Path) -> Path:
    stems = [path.stem.lower(), path.stem.rpartition("_")[0].lower()]
    skeletons = {file.stem.lower(): file for file in sorted(path.parent.iterdir()) if file.suffix.lower() == ".asf"}
    for stem in stems:
        if stem in skeletons:
            return skeletons[stem]
    there = ", ".join(file.name for file in list(skeletons.values())[:5])
    raise MissingAsset(
        f"the skeleton of {path.name} is missing",
        where=f"{path.parent}: neither {stems[0]}.asf nor {stems[1]}.asf" + (f", but {there}" if there else ""),
        fix="pass it: read_asf_amc(path, asf='skeleton.asf')",
    )


def _rotations(bone: Bone, values: NDArray[np.float64], own_angle: float) -> Tensor:
    """[frames, 3, 3] from `values` [frames, channels], radians; `own_angle` is the ASF file's unit in radians."""
    axes = torch.tensor(bone.axis, dtype=torch.float64) * own_angle
    own = torch.eye(3, dtype=torch.float64)
    for axis, angle in zip(bone.axis_order, axes, strict=True):
        own = rotation_about(axis, angle) @ own
    local = torch.eye(3, dtype=torch.float64).expand(len(values), 3, 3)
    for channel, angles in zip(bone.dof, torch.from_numpy(values).unbind(-1), strict=True):
        if channel[0] == "r":
            local = rotation_about(channel[1].upper(), angles) @ local
    return own @ local @ own.T


def _rest_and_ends(figure: Figure, metres: float) -> tuple[NDArray[np.float64], EndSites]:
    """Joints at rest and the ends of the last bones, in metres; a joint is at the end of its parent's bone."""
    tips = metres * np.array([bone.tip for bone in figure.bones])
    parents = [bone.parent for bone in figure.bones]
    rest = np.zeros_like(tips)
    for joint, parent in enumerate(parents[1:], start=1):
        rest[joint] = rest[parent] + tips[parent]
    last = [(figure.bones[joint].name, tips[joint].tolist()) for joint in range(len(parents)) if joint not in parents]
    return rest, tuple((name, (x, y, z)) for name, (x, y, z) in last)


def _root_positions(figure: Figure, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """[frames, 3] in units of length, in the file's axes."""
    positions = np.tile(np.array(figure.position), (len(values), 1))
    for column, channel in enumerate(figure.bones[0].dof):
        if channel[0] == "t":
            positions[:, "xyz".index(channel[1])] += values[:, column]
    return positions


def _limits(figure: Figure, own_angle: float) -> dict[str, tuple[tuple[str, float, float], ...]]:
    return {
        bone.name: tuple((dof, low * own_angle, high * own_angle) for dof, (low, high) in zip(bone.dof, bone.limits))
        for bone in figure.bones
        if bone.limits
    }
