"""Recognise a skeleton by its joint names: which shipped tree it is, and which joints are left and right."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from vitruve.skeletons.skeleton import Skeleton, load_skeleton, skeleton_names

# How a left name turns into the right name, from the most to the least reliable spelling.
_SPELLINGS = (
    (re.compile(r"left"), "right"),
    (re.compile(r"Left"), "Right"),
    (re.compile(r"LEFT"), "RIGHT"),
    (re.compile(r"(?<=[_.\- ])L(?![A-Za-z])"), "R"),
    (re.compile(r"(?<=[_.\- ])l(?![A-Za-z])"), "r"),
    (re.compile(r"(?<![A-Za-z])L(?=[_.\- A-Z])"), "R"),
    (re.compile(r"(?<![A-Za-z])l(?=[_.\- A-Za-z])"), "r"),
)


def left_right_pairs(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """(left, right) indices of the joints whose names differ only by their side, in any of the usual spellings."""
    position = {name: i for i, name in enumerate(names)}
    pairs, taken = [], set()
    for spelling, right in _SPELLINGS:
        for i, name in enumerate(names):
            partner = position.get(spelling.sub(right, name, count=1), i)
            if partner != i and not {i, partner} & taken:
                pairs.append((i, partner))
                taken |= {i, partner}
    return tuple(sorted(pairs))


def shipped_tree(names: Sequence[str], parents: Sequence[int]) -> tuple[Skeleton, list[int]] | None:
    """The shipped tree with the same joints and parents, in any order.

    Returns:
        The shipped skeleton, and for each of its joints the index in `names`; None where no tree matches.
    """
    above = {name: names[parent] if parent >= 0 else None for name, parent in zip(names, parents, strict=True)}
    for skeleton in _shipped_trees():
        theirs = [skeleton.names[parent] if parent >= 0 else None for parent in skeleton.parents]
        if len(skeleton) == len(names) and above == dict(zip(skeleton.names, theirs, strict=True)):
            return skeleton, [list(names).index(name) for name in skeleton.names]
    return None


@functools.cache
def _shipped_trees() -> tuple[Skeleton, ...]:
    skeletons = (load_skeleton(name) for name in skeleton_names())
    return tuple(skeleton for skeleton in skeletons if skeleton.parents)
