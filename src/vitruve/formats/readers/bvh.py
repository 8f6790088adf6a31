"""BVH: a joint tree with Euler angles, written by most animation programs and motion data sets.

Position channels replace the joint's OFFSET, as in the common programs. The world is turned from the file's y up to
z up and back; `skeleton.rest` stays in the file's own axes, like a body's template.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.errors import UsageError, nearest
from vitruve.formats.animated_tree import AnimatedTree, Array, animated_tree, float64_array
from vitruve.formats.readers.bvh_text import Hierarchy, format_bvh, parse_bvh
from vitruve.formats.readers.cmu_rates import cmu_rate
from vitruve.formats.readers.euler_curves import matrices_to_curves
from vitruve.formats.readers.plain_text import EndSites, check_finite, read_bytes, recognised, tree_skeleton, z_up_from
from vitruve.geometry.rotations import geodesic_distance, rotation_about
from vitruve.motion import Motion, Source

# Metres per unit. CMU's captures, and BVH files made from them, count in inches over 0.45.
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254, "cmu": 0.0254 / 0.45}
_GUESSED = ("m", "cm", "mm", "cmu")
# Length along the bones from the root to an adult's furthest tip, metres.
_REACH = 1.2
# A rest pose as first frame: its largest joint angle, the smallest step to the next frame, radians, and the ratio of
# that step to the other steps. Clips with fewer frames are not checked.
_AT_REST, _JUMP, _OUTLIER, _LEAST_FRAMES = 0.5, 0.5, 5.0, 5


def read_bvh(
    path: str | PathLike[str],
    *,
    unit: str | float = "auto",
    up: str = "auto",
    rest_frame: str = "auto",
    dtype: torch.dtype | None = None,
) -> Motion:
    """Read a BVH file.

    Args:
        path: the file.
        unit: "m", "cm", "mm", "inch", "cmu", or metres per unit as a number; "auto" guesses from the skeleton's size.
        up: the up axis of the file, "y" or "z"; "auto" means y unless the skeleton both rests and moves along z.
        rest_frame: "auto" drops a first frame that only shows the rest pose; "keep" keeps it.
        dtype: precision; float64 by default.

    Returns:
        The motion. Bones that change length are in `offsets`, the ends of chains in `source.extras["end_sites"]`, and
        guesses in `source.notes`. Joints are in the file's order, or in that of the shipped tree with the same joints.
    """
    path = Path(path)
    tree, table, fps, notes = parse_bvh(read_bytes(path), str(path))
    angles, positions = _split(tree, table)
    rotations = _rotations(tree, torch.from_numpy(angles))
    if _begins_at_rest(rest_frame, rotations):
        rotations, positions = rotations[1:], positions[1:]
        notes = (*notes, "the first frame only shows the rest pose, with a jump to the motion: it was dropped")
    changing = _changing(positions)
    rigid = _rigid(positions, changing)
    scale, unit_note = _metres_per_unit(unit, tree, rigid)
    bones = scale * positions
    # The bone at rest is the position of a fixed joint, but OFFSET for a moving joint and for the root.
    at_rest = np.where(changing[:, None], scale * np.array(tree.offsets), bones[0])
    rest = _cumulated(at_rest, tree.parents)
    root = bones[:, 0].copy()
    bones[:, 0] = rest[0]
    motion = Motion(
        rotations=rotations,
        translation=torch.from_numpy(root - rest[0]),
        fps=fps,
        skeleton=tree_skeleton(path.stem, tree.names, tree.parents, torch.from_numpy(rest)),
        offsets=torch.from_numpy(bones) if changing[1:].any() else None,
    )
    up, up_note = _up_axis(up, motion, torch.from_numpy(_cumulated(rigid, tree.parents)))
    turn = z_up_from(up, motion.rotations)
    ends: EndSites = tuple((tree.names[joint], _scaled(offset, scale)) for joint, offset in tree.end_sites)
    motion = motion.replace(
        rotations=torch.cat([turn @ motion.rotations[:, :1], motion.rotations[:, 1:]], 1),
        translation=torch.from_numpy(root) @ turn.T - torch.from_numpy(rest[0]),
        source=Source(
            str(path), "bvh", {"end_sites": ends}, (*notes, *_rate_note(path, tree, fps), *unit_note, *up_note)
        ),
    )
    return recognised(motion).to(dtype=dtype or torch.float64)


def _rate_note(path: Path, tree: Hierarchy, fps: float) -> tuple[str, ...]:
    """Conversions of CMU's database have 120 frames per second for every trial."""
    known = cmu_rate(path.stem)
    if known is None or abs(fps - known) < 0.01 * known or "lhipjoint" not in map(str.lower, tree.names):
        return ()
    note = f"THE FRAME RATE of the file is {fps:g}, but CMU's trial {path.stem} was recorded at {known:g}"
    return (f"{note}: give --source-fps {known:g}, or fps={known:g}",)


def write_bvh(
    motion: Motion,
    path: str | PathLike[str],
    *,
    body: BodyModel | None = None,
    order: str = "ZXY",
    unit: str | float = "cm",
    up: str = "y",
) -> None:
    """Write a BVH file: rotation channels for every joint, position channels for the root and for bones that change.

    The file has no shape, expression or mask. A chain with an unknown end gets one that extends the last bone by half
    its length, so that other programs have something to draw.

    Args:
        motion: what to write.
        path: the file; it is replaced.
        body: the body whose joints, in the motion's shape, are the skeleton; needed if `motion.skeleton.rest` is empty.
        order: the order of the rotation channels.
        unit: "m", "cm", "mm", "inch", "cmu", or metres per unit as a number.
        up: the up axis of the file's world, "y" or "z". The skeleton's own axes stay as they are, so a file written
            with "z" must be read with `up="z"`.
    """
    scale = _known_unit(unit)
    if up not in ("y", "z"):
        raise UsageError(f"'{up}' is no upward axis", fix="use 'y' or 'z'")
    if not motion.skeleton.parents:
        raise UsageError(f"skeleton '{motion.skeleton.name}' is not a tree", fix="write a motion on a joint tree")
    for key in ("rotations", "translation", "offsets"):
        values = getattr(motion, key)
        if values is not None:
            place = f"{key}, frame {{}}".format
            check_finite(float64_array(values.flatten(1)), "a value to write", place)
    animated = animated_tree(motion, body, up)
    angles = np.degrees(matrices_to_curves(animated.rotations, order))
    tree, joints = _hierarchy(motion, animated, scale, order)
    columns = []
    for joint in joints:
        columns += [animated.paths[joint] / scale] if joint in animated.paths else []
        columns.append(angles[:, joint])
    table = np.concatenate(columns, axis=1)
    # Decimals that keep a hundredth of a micrometre.
    decimals = max(4, int(np.ceil(8 + np.log10(scale))))
    Path(path).write_text(format_bvh(tree, table, motion.fps, decimals), encoding="utf-8", newline="\n")


def _split(tree: Hierarchy, table: Array) -> tuple[Array, Array]:
    """Angles [frames, joints, 3] in the order of the channels, radians, and positions, OFFSET without channels."""
    positions = np.broadcast_to(np.array(tree.offsets), (len(table), len(tree.names), 3)).copy()
    angles = np.zeros_like(positions)
    column = 0
    for joint, channels in enumerate(tree.channels):
        turns = 0
        for channel in channels:
            if channel.endswith("position"):
                positions[:, joint, "XYZ".index(channel[0])] = table[:, column]
            else:
                angles[:, joint, turns] = np.radians(table[:, column])
                turns += 1
            column += 1
    return angles, positions


def _rotations(tree: Hierarchy, angles: Tensor) -> Tensor:
    """[frames, joints, 3, 3]: the product of each joint's rotation channels from left to right."""
    orders = ["".join(name[0] for name in channels if name.endswith("rotation")) for channels in tree.channels]
    matrices = torch.eye(3, dtype=angles.dtype).expand(*angles.shape, 3).clone()
    for order in set(orders) - {""}:
        joints = [joint for joint, its in enumerate(orders) if its == order]
        product = rotation_about(order[0], angles[:, joints, 0])
        for i, axis in enumerate(order[1:], start=1):
            product = product @ rotation_about(axis, angles[:, joints, i])
        matrices[:, joints] = product
    return matrices


def _begins_at_rest(rest_frame: str, rotations: Tensor) -> bool:
    """Whether the first frame is the rest pose, which several exporters put before a motion."""
    if rest_frame not in ("auto", "keep"):
        raise UsageError(f"unknown rest_frame '{rest_frame}'", fix="use 'auto' or 'keep'")
    if rest_frame == "keep" or len(rotations) < _LEAST_FRAMES:
        return False
    turn = geodesic_distance(rotations[:1], torch.eye(3, dtype=rotations.dtype).expand_as(rotations[:1])).max()
    steps = geodesic_distance(rotations[1:], rotations[:-1]).amax(1)
    return bool(turn < _AT_REST and steps[0] > _JUMP and steps[0] > _OUTLIER * steps[1:].quantile(0.95))


def _cumulated(bones: Array, parents: list[int]) -> Array:
    """Values of the joints, each added to that of its parent: bones [joints, 3] become joint positions."""
    rest = bones.copy()
    for joint, parent in enumerate(parents):
        if parent >= 0:
            rest[joint] += rest[parent]
    return rest


def _known_unit(unit: str | float) -> float:
    if isinstance(unit, str):
        if unit not in UNITS:
            raise UsageError(f"unknown unit '{unit}'", fix=nearest(unit, UNITS))
        return UNITS[unit]
    if not 0 < unit < float("inf"):
        raise UsageError(f"invalid unit: {unit} metres", fix="give a positive number")
    return float(unit)


def _changing(positions: Array) -> NDArray[np.bool_]:
    """Which joints move relative to their parent; the root always counts as moving."""
    lengths = np.linalg.norm(positions[0], axis=-1)
    typical = np.median(lengths[lengths > 0]) if lengths.any() else 0.0
    changing = np.ptp(positions, axis=0).max(-1) > 1e-5 * typical
    changing[0] = True
    return changing


def _rigid(positions: Array, changing: NDArray[np.bool_]) -> Array:
    """[joints, 3] bones that show the body's size and orientation; zero for the others.

    The offset from the origin to moving hips is ignored. If no bone is constant, those that change little are used.
    """
    bones = np.where(changing[:, None], 0.0, positions[0])
    if not bones.any():
        mean = positions.mean(0)
        wandering = np.ptp(positions, axis=0).max(-1) > 0.1 * np.linalg.norm(mean, axis=-1)
        bones = np.where(wandering[:, None], 0.0, mean)
        bones[0] = 0.0
    return bones


def _metres_per_unit(unit: str | float, tree: Hierarchy, bones: Array) -> tuple[float, tuple[str, ...]]:
    """The scale, and notes; `bones` [joints, 3] are those of `_rigid`, in file units."""
    if unit != "auto":
        return _known_unit(unit), ()
    reach = _cumulated(np.linalg.norm(bones, axis=-1), tree.parents)
    ends = [reach[joint] + np.linalg.norm(offset) for joint, offset in tree.end_sites]
    longest = float(max([*reach, *ends]))
    if longest == 0:
        return UNITS["cm"], ("the skeleton has no size; its unit was assumed to be cm",)
    name = min(_GUESSED, key=lambda unit: abs(np.log(longest * UNITS[unit] / _REACH)))
    # Inches are rare and lie between two other units: try them only if those do not give an adult.
    name = "inch" if not _is_adult(longest * UNITS[name]) and _is_adult(longest * UNITS["inch"]) else name
    size = longest * UNITS[name]
    note = f"the unit was guessed to be {name} ({UNITS[name]:.5g} m): the longest chain of bones is then {size:.2f} m"
    if not _is_adult(size):
        note += ", which is implausible for an adult; set the unit if that is wrong"
    return UNITS[name], (note,)


def _is_adult(reach: float) -> bool:
    return _REACH / 2 < reach < _REACH * 2


def _up_axis(up: str, motion: Motion, rigid: Tensor) -> tuple[str, tuple[str, ...]]:
    """The up axis of the file, and notes; `rigid` are rest positions from the bones of `_rigid`."""
    if up in ("y", "z"):
        return up, ("the world was turned from y up to z up",) if up == "y" else ()
    if up != "auto":
        raise UsageError(f"'{up}' is no upward axis", fix="use 'y', 'z' or 'auto'")
    body = motion.replace(skeleton=replace(motion.skeleton, rest=rigid), offsets=None)[:: max(1, len(motion) // 20)]
    for joints in (rigid[None], body.joints()):
        _, y, z = np.ptp(float64_array(joints), axis=1).mean(0)
        if z <= 1.5 * y:
            return "y", ("the file was assumed to be y up, as usual in BVH, and the world was turned to z up",)
    return "z", ("the file was assumed to be z up, because its skeleton stands along z",)


def _hierarchy(motion: Motion, animated: AnimatedTree, scale: float, order: str) -> tuple[Hierarchy, list[int]]:
    """The tree in depth-first order, as files have it, and the joints in that order."""
    skeleton, tree, joints = motion.skeleton, Hierarchy(), []
    invalid = [name for name in skeleton.names if set(name) & set("{}\r\n") or name != name.strip() or not name]
    if invalid:
        raise UsageError(f"a BVH file cannot hold the joint name {invalid[0]!r}", fix="rename the joint")
    waiting = [(0, -1)]
    while waiting:
        joint, parent = waiting.pop()
        place = tree.add(skeleton.names[joint], parent)
        joints.append(joint)
        tree.offsets[place] = _scaled(animated.bones[joint], 1 / scale)
        tree.channels[place] = [f"{axis}position" for axis in "XYZ" if joint in animated.paths]
        tree.channels[place] += [f"{axis}rotation" for axis in order]
        waiting += [(child, place) for child in reversed(skeleton.children(joint))]
    ends: EndSites = motion.source.extras.get("end_sites", ())
    tree.end_sites = [
        (tree.names.index(name), _scaled(offset, 1 / scale)) for name, offset in ends if name in tree.names
    ]
    ended = {joint for joint, _ in tree.end_sites}
    for place, joint in enumerate(joints):
        if place not in ended and place not in tree.parents:
            tree.end_sites.append((place, _scaled(animated.bones[joint], 0.5 / scale)))
    return tree, joints


def _scaled(offset: Iterable[float], scale: float) -> tuple[float, float, float]:
    x, y, z = offset
    return scale * float(x), scale * float(y), scale * float(z)
