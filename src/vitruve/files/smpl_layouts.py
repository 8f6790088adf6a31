"""How files of the SMPL family lay out a pose: three axis-angle values per joint, part after part."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """The layout of one body.

    Attributes:
        body: "smpl", "smplh", "smplx" or "mano".
        skeleton: name of its joint tree.
        parts: the parts of a pose in joint order, by their names in the smplx package, with their numbers of joints.
        arrays: the same in AMASS's names, which group eyes and hands; empty if AMASS has no such files.
    """

    body: str
    skeleton: str
    parts: Mapping[str, int]
    arrays: Mapping[str, int]

    @property
    def columns(self) -> int:
        """Number of axis-angle values per frame."""
        return 3 * sum(self.parts.values())


def slices(counts: Mapping[str, int], width: int = 1) -> dict[str, slice]:
    """The joints of each part, or its columns with `width` values per joint."""
    stops = itertools.accumulate(counts.values())
    return {key: slice(width * (stop - n), width * stop) for (key, n), stop in zip(counts.items(), stops, strict=True)}


_BODY, _HANDS = {"global_orient": 1, "body_pose": 21}, {"left_hand_pose": 15, "right_hand_pose": 15}
_FACE = {"jaw_pose": 1, "leye_pose": 1, "reye_pose": 1}
_ROOT, _FINGERS = {"root_orient": 1, "pose_body": 21}, {"pose_hand": 30}

_ALL = (
    Layout("smpl", "smpl24", {"global_orient": 1, "body_pose": 23}, {}),
    Layout("smplh", "smplh52", {**_BODY, **_HANDS}, {**_ROOT, **_FINGERS}),
    Layout("smplx", "smplx55", {**_BODY, **_FACE, **_HANDS}, {**_ROOT, "pose_jaw": 1, "pose_eye": 2, **_FINGERS}),
    Layout("mano", "mano16", {"global_orient": 1, "hand_pose": 15}, {}),
)
LAYOUTS = {layout.body: layout for layout in _ALL}
BY_SKELETON = {layout.skeleton: layout for layout in _ALL}
# By number of axis-angle values per frame (72, 156, 165), and the joint trees by body; both without MANO.
BY_COLUMNS = {layout.columns: layout for layout in _ALL[:3]}
SKELETONS = {layout.body: layout.skeleton for layout in _ALL[:3]}
