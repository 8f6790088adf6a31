"""The shared parts of two bodies: joints of equal name, and the part of each vertex."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vitruve.bodies import BodyModel
from vitruve.correspondence.closest_points import Bools, Ints, components
from vitruve.errors import UsageError

EYES = ("left_eye", "right_eye", "left_eye_smplhf", "right_eye_smplhf")
# A separate piece of a mesh on the head with a smaller share of the vertices is an eyeball (or teeth, a tongue).
_SMALL_PIECE = 0.1


@dataclass(frozen=True)
class SharedParts:
    """The joints that two bodies share, as parts of their surfaces.

    Attributes:
        names: the shared joints, then "eyes": the separate pieces in the head.
        first_joints, second_joints: index of each shared joint in either body.
        first, second: [V] part of each vertex of either body; -1 if the other body lacks the part.
        allowed: [parts + 1, parts + 1] which parts may match: the same, parent and child, neighbours of the trunk. The
            last row and column are for -1.
        is_cut: whether one body is only a part of the other, such as a hand.
    """

    names: tuple[str, ...]
    first_joints: Ints
    second_joints: Ints
    first: Ints
    second: Ints
    allowed: Bools
    is_cut: bool


def shared_parts(first: BodyModel, second: BodyModel) -> SharedParts:
    """The parts that two bodies share.

    A joint that only one body has belongs to its nearest shared ancestor: jaw and eyes to the head, fingers to the
    wrist. A separate hand matches the part of a body from the wrist on.

    Raises:
        UsageError: the bodies have no joint in common, such as a left and a right hand.
    """
    ours, theirs = first.joint_names, second.joint_names
    common = tuple(name for name in ours if name in theirs and name not in EYES)
    if not common:
        raise UsageError(
            f"'{first.name}' and '{second.name}' have no part in common",
            where="no joint has the same name in both",
            fix="choose two bodies, or a body and a hand",
        )
    return SharedParts(
        names=(*common, "eyes"),
        first_joints=np.array([ours.index(name) for name in common]),
        second_joints=np.array([theirs.index(name) for name in common]),
        first=_parts_of_vertices(first, ours, common),
        second=_parts_of_vertices(second, theirs, common),
        allowed=_allowed(first, ours, common),
        is_cut=common[0] != ours[0] or common[0] != theirs[0],
    )


def _parts_of_vertices(body: BodyModel, names: tuple[str, ...], common: tuple[str, ...]) -> Ints:
    parents = body.skeleton.parents
    of_joint = np.full(len(names) + 1, -1)
    for joint, name in enumerate(names):
        of_joint[joint] = common.index(name) if name in common else of_joint[parents[joint]]
    # If the shared tree is only a part of this body's, skin of the parent joint surrounds the cut.
    top = parents[names.index(common[0])]
    if top >= 0:
        of_joint[top] = 0
    weights = body.skin_weights.cpu().numpy()
    parts = of_joint[weights.argmax(1)]
    return np.where(_eyes(body, names, weights), len(common), parts) if "head" in common else parts


def _eyes(body: BodyModel, names: tuple[str, ...], weights: np.ndarray) -> Bools:
    """Vertices of separate pieces that are bound to the head or the eyes."""
    pieces = components(body.faces.cpu().numpy(), body.num_vertices)
    small = np.bincount(pieces) < _SMALL_PIECE * body.num_vertices
    on_head = np.zeros(body.num_vertices, bool)
    for name in ("head", "jaw", *EYES):
        if name in names:
            on_head |= weights.argmax(1) == names.index(name)
    return small[pieces] & on_head


def _allowed(body: BodyModel, names: tuple[str, ...], common: tuple[str, ...]) -> Bools:
    tree = body.skeleton.subset([body.skeleton.names[names.index(name)] for name in common])
    count = len(common) + 2
    allowed = np.zeros((count, count), bool)
    np.fill_diagonal(allowed, True)
    allowed[-1, -1] = False
    twins = {frozenset((name, "right" + name.removeprefix("left"))) for name in common if name.startswith("left")}
    for i, parent in enumerate(tree.parents):
        if parent >= 0:
            allowed[i, parent] = allowed[parent, i] = True
        for j in range(i):
            # Children of one joint meet on the trunk; fingers, toes and the two sides of the body do not.
            of_trunk = tree.parents[j] == parent and not common[parent].endswith("wrist")
            if of_trunk and frozenset((common[i], common[j])) not in twins:
                allowed[i, j] = allowed[j, i] = True
    return allowed
