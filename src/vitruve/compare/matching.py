"""Matches the joints of two motions by name, or by a mapping file for skeletons with other names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.errors import BadData, UsageError, VitruveError
from vitruve.fit.surface_points import GROUPS
from vitruve.motion.features import FOOT_JOINTS
from vitruve.motion.performer import Performer
from vitruve.retarget.choose_mapping import find_mapping
from vitruve.retarget.mapping import Mapping, load_mapping

# With fewer joints of equal name, a mapping is used.
_LEAST_SHARED = 3


@dataclass(frozen=True, eq=False)
class Named:
    """The joints of one side with common names.

    Attributes:
        names: one per point.
        points: [frames, points, 3] metres, float64, NaN in frames without data.
        joints: index of the joint of each point; -1 for the mean of several.
        unused: joints without a common name.
        mapping: the source of the names; None if they are the joints' own.
    """

    names: tuple[str, ...]
    points: Float[Tensor, "frames points 3"]
    joints: tuple[int, ...]
    unused: tuple[str, ...] = ()
    mapping: Mapping | None = None

    def feet(self, side: Performer) -> dict[str, str]:
        """Foot joints by common name, with their names in the side's skeleton."""
        own = () if side.skeleton is None else side.skeleton.names
        at = dict(zip(self.names, self.joints))
        return {name: own[at[name]] for name in FOOT_JOINTS if at.get(name, -1) >= 0}


@dataclass(frozen=True, eq=False)
class Shared:
    """The joints of both sides, in the order of the first.

    Attributes:
        first, second: [frames, shared, 3] metres.
        joints: (joint of the first, joint of the second) for each name; -1 for the mean of several.
        only_first, only_second: joints without a counterpart.
        root: index of the root among the shared joints.
        notes: for the user.
    """

    names: tuple[str, ...]
    first: Float[Tensor, "frames shared 3"]
    second: Float[Tensor, "frames shared 3"]
    joints: tuple[tuple[int, int], ...]
    only_first: tuple[str, ...] = ()
    only_second: tuple[str, ...] = ()
    root: int = 0
    notes: tuple[str, ...] = ()


def name_joints(first: Performer, second: Performer, mapping: str | None = None) -> tuple[Named, Named]:
    """The joints of both sides with common names.

    Args:
        first, second: the sides.
        mapping: for plain trees, as in `vitruve convert --mapping`; by default a shipped one if few names agree.
    """
    if first.skeleton is None or second.skeleton is None:
        return _own(first), _own(second)
    agree = len(set(first.joint_names) & set(second.joint_names))
    if mapping is None and (agree >= _LEAST_SHARED or first.joint_names == second.joint_names):
        return _own(first), _own(second)
    chosen = load_mapping(mapping) if mapping else None
    if chosen is not None and not any(_fits(side, chosen) for side in (first, second)):
        plain = [side for side in (first, second) if side.body is None]
        raise UsageError(
            f"the mapping '{chosen.name}' fits neither motion",
            where=f"it names {', '.join(chosen.sources[:5])}, ..."
            + (f"; {plain[0].name} has {', '.join(plain[0].joint_names[:5])}, ..." if plain else ""),
            fix="leave out --mapping, or give one for that skeleton (docs/retarget.md)",
        )
    return _mapped(first, chosen), _mapped(second, chosen)


def shared_joints(first: Named, second: Named, roots: tuple[str, str] = ("", "")) -> Shared:
    """The joints of both sides; `roots` are the names of their root joints."""
    place = {name: i for i, name in enumerate(second.names)}
    names = tuple(name for name in first.names if name in place)
    rows = [first.names.index(name) for name in names]
    columns = [place[name] for name in names]
    return Shared(
        names=names,
        first=first.points[:, rows],
        second=second.points[:, columns],
        joints=tuple((first.joints[i], second.joints[j]) for i, j in zip(rows, columns)),
        only_first=tuple(name for name in first.names if name not in place) + first.unused,
        only_second=tuple(name for name in second.names if name not in names) + second.unused,
        root=next((names.index(name) for name in roots if name in names), 0),
        notes=tuple(
            f"the joints of the {word} motion are matched by the mapping '{side.mapping.name}'"
            for word, side in (("first", first), ("second", second))
            if side.mapping is not None
        ),
    )


def parts_of(names: Sequence[str]) -> dict[str, list[int]]:
    """Parts of the body with the indices of their joints, by words in the names; parts without joints are omitted."""
    of_name = [
        next((part for part, words in GROUPS.items() if any(word in name.lower() for word in words)), "other")
        for name in names
    ]
    parts = {part: [i for i, own in enumerate(of_name) if own == part] for part in (*GROUPS, "other")}
    return {part: places for part, places in parts.items() if places}


def _own(side: Performer) -> Named:
    return Named(side.joint_names, _all_joints(side), tuple(range(len(side.joint_names))))


def _all_joints(side: Performer) -> Tensor:
    return side.joints(torch.arange(len(side)))


def _fits(side: Performer, mapping: Mapping) -> bool:
    return side.body is None and mapping.on(side.joint_names) is not None


def _mapped(side: Performer, chosen: Mapping | None) -> Named:
    """A plain tree with the names of a body."""
    if side.body is not None or side.skeleton is None:
        return _own(side)
    mapping = chosen.on(side.joint_names) if chosen is not None else None
    if mapping is None:
        try:
            mapping = find_mapping(side.skeleton)
        except VitruveError:
            raise UsageError(
                f"the joints of {side.name} have names that the other motion does not have",
                where=f"{', '.join(side.joint_names[:8])}, ...",
                fix="say which is which with a mapping file: --mapping FILE (docs/retarget.md)",
            ) from None
    # Joints of weight zero are at different places in the two skeletons, such as a head at the neck.
    entries = [entry for entry in mapping.joints if entry.position and entry.weight > 0]
    own, joints = side.joint_names, _all_joints(side)
    used = {name for entry in entries for name in entry.position}
    return Named(
        names=tuple(entry.joint for entry in entries),
        points=torch.stack([joints[:, [own.index(n) for n in entry.position]].mean(1) for entry in entries], 1),
        joints=tuple(own.index(entry.position[0]) if len(entry.position) == 1 else -1 for entry in entries),
        unused=tuple(name for name in own if name not in used),
        mapping=mapping,
    )


def check_shared(shared: Shared, first: Performer, second: Performer) -> None:
    """Raise if two motions have no joint in common."""
    if not shared.names and first.skeleton is not None and second.skeleton is not None:
        raise BadData(
            "the two motions have no joint of the same name",
            where=f"{first.name}: {', '.join(first.joint_names[:5])}, ...; "
            f"{second.name}: {', '.join(second.joint_names[:5])}, ...",
            fix="say which is which with a mapping file: --mapping FILE (docs/retarget.md)",
        )
