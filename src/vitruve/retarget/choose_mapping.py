"""Choose the mapping for a skeleton: a shipped one that fits its names and rest pose, a user's own, or a guess."""

from __future__ import annotations

import math
import shlex
from pathlib import Path

import torch

from vitruve.errors import UsageError
from vitruve.files.smpl_layouts import SKELETONS
from vitruve.retarget.mapping import Mapping, load_mapping, mapping_names, shipped_mapping
from vitruve.retarget.mapping_guess import describe_rows, guess_rows
from vitruve.skeletons import Skeleton

GUESS = "guess"  # the name of a guessed mapping
# Directions of a body's bones in T-pose, by the row that has the bone, and how far a source's may be from it at rest,
# degrees: arms may hang down.
_POINTING = {
    f"{side}_{joint}": (pointing, most)
    for side, outward in (("left", 1.0), ("right", -1.0))
    for joints, pointing, most in (
        (("hip", "knee"), (0.0, -1.0, 0.0), 60.0),
        (("shoulder", "elbow"), (outward, 0.0, 0.0), 100.0),
    )
    for joint in joints
}


def find_mapping(skeleton: Skeleton, file: str = "FILE") -> Mapping:
    """The shipped mapping that fits a skeleton's names and rest pose; of several, the one with the most joints.

    `file` is the source, for the command in an error.
    """
    named = [fitted for name in mapping_names() if (fitted := shipped_mapping(name).on(skeleton.names)) is not None]
    fitting = [mapping for mapping in named if _has_same_rest(mapping, skeleton)]
    if fitting:
        return max(fitting, key=lambda mapping: len(mapping.sources))
    layout = next((layout for layout, tree in SKELETONS.items() if tree == skeleton.name), "")
    if layout:
        raise UsageError(
            f"the motion has the joints of {layout}, but names no body",
            where=f"skeleton '{skeleton.name}'",
            fix=f'name it: vitruve convert --from {layout}, or --from open-{layout}; in Python source="{layout}"',
        )
    why = f" ({named[0].name} fits its names, but not its rest pose)" if named else ""
    rows, missing = guess_rows(skeleton)
    if missing:
        raise UsageError(
            f"no shipped mapping fits the skeleton '{skeleton.name}'{why}, and its names are too unclear to guess one",
            where=f"not found: {', '.join(missing)}; its joints are {_first(skeleton.names, 8)}",
            fix=f"write a mapping file (docs/retarget.md); shipped are: {', '.join(mapping_names())}",
        )
    raise UsageError(
        f"no shipped mapping fits the skeleton '{skeleton.name}'{why}",
        where=f"a guess from its names: {describe_rows(rows)}",
        fix=f"if that is right: vitruve convert {shlex.quote(file)} --to BODY --mapping {GUESS}; else write a mapping "
        "file (docs/retarget.md)",
    )


def chosen_mapping(name: str | Path | Mapping, skeleton: Skeleton) -> Mapping:
    """A user's mapping, adapted to the joint names of a skeleton."""
    mapping = name if isinstance(name, Mapping) else load_mapping(name)
    return mapping.on(skeleton.names) or mapping


def _has_same_rest(mapping: Mapping, skeleton: Skeleton) -> bool:
    """Whether the source's long bones at rest agree with the mapping's frames; True if its rest pose is unknown."""
    if skeleton.rest is None:
        return True
    rows = {row.joint: row for row in mapping.joints}
    for joint, (pointing, most) in _POINTING.items():
        row = rows.get(joint)
        end = rows.get(row.bone) if row else None
        if row is None or end is None or len(row.position) != 1 or len(end.position) != 1 or not row.rotation:
            continue
        here, there = (skeleton.rest[skeleton.index(one.position[0])].double() for one in (row, end))
        along = mapping.frames[row.rotation[0]].double() @ (there - here)
        cosine = torch.cosine_similarity(along, torch.tensor(pointing).double(), dim=0)
        if float(cosine) < math.cos(math.radians(most)):
            return False
    return True


def _first(names: tuple[str, ...], count: int) -> str:
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")
