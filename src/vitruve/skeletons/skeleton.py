"""The Skeleton type and the reader of skeleton files, whose format docs/skeletons.md describes."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vitruve.errors import BadData, MissingAsset, UsageError, nearest

_KEYS = ("name", "names", "parents", "edges", "pairs", "root", "rest", "oks_sigmas", "source", "note")


@dataclass(frozen=True, eq=False)
class Skeleton:
    """An ordered set of named joints or keypoints.

    Attributes:
        names: one name per joint.
        parents: index of each joint's parent, -1 for the root, parents before children; empty for a plain point set.
        pairs: (left, right) indices that mirroring swaps.
        root: the root joint, or several whose mean is the root; empty where there is none.
        rest: [joints, 3] positions at rest in metres, or None.
        oks_sigmas: per-point spread for the object keypoint similarity, or empty.
        note: what a user should know.
    """

    name: str
    names: tuple[str, ...]
    parents: tuple[int, ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()
    edges: tuple[tuple[int, int], ...] = ()
    root: tuple[int, ...] = ()
    rest: Tensor | None = None
    oks_sigmas: tuple[float, ...] = ()
    source: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        _check(self)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Skeleton({self.name}, {len(self)} joints)"

    @property
    def flip(self) -> tuple[int, ...]:
        """The permutation for mirroring: joint i of the mirrored set is joint flip[i] of the original."""
        permutation = list(range(len(self)))
        for left, right in self.pairs:
            permutation[left], permutation[right] = right, left
        return tuple(permutation)

    def index(self, name: str) -> int:
        """The index of a joint; the error for an unknown name lists the closest names."""
        try:
            return self.names.index(name)
        except ValueError:
            raise UsageError(f"skeleton '{self.name}' has no joint '{name}'", fix=nearest(name, self.names)) from None

    def children(self, joint: int) -> tuple[int, ...]:
        """The direct children of a joint."""
        return tuple(i for i, parent in enumerate(self.parents) if parent == joint)

    def below(self, joint: int) -> tuple[int, ...]:
        """A joint and all its descendants, in order."""
        inside = {joint}
        for i, parent in enumerate(self.parents):
            if parent in inside:
                inside.add(i)
        return tuple(sorted(inside))

    def map_to(self, other: Skeleton) -> dict[int, int]:
        """Joints of equal name: index here to index in `other`."""
        position = {name: i for i, name in enumerate(other.names)}
        return {i: position[name] for i, name in enumerate(self.names) if name in position}

    def subset(self, names: Sequence[str], name: str | None = None, tree: bool = True) -> Skeleton:
        """The skeleton of some joints, in the order given; the parent of a joint is its nearest kept ancestor.

        Joints that do not form one tree are an error; with `tree=False` they become points without parents.
        """
        keep = [self.index(joint) for joint in names]
        new = {old: i for i, old in enumerate(keep)}

        def kept_ancestor(joint: int) -> int:
            parent = self.parents[joint]
            while parent >= 0 and parent not in new:
                parent = self.parents[parent]
            return new.get(parent, -1)

        parents = tuple(kept_ancestor(joint) for joint in keep) if self.parents else ()
        if not tree and (parents.count(-1) != 1 or any(parent >= i for i, parent in enumerate(parents))):
            parents = ()
        return Skeleton(
            name=name or f"{self.name}-subset",
            names=tuple(names),
            parents=parents,
            pairs=tuple((new[a], new[b]) for a, b in self.pairs if a in new and b in new),
            edges=tuple((new[a], new[b]) for a, b in self.edges if a in new and b in new),
            root=tuple(new[i] for i in self.root if i in new),
            rest=None if self.rest is None else self.rest[keep],
            oks_sigmas=tuple(self.oks_sigmas[i] for i in keep) if self.oks_sigmas else (),
            source=self.source,
            note=self.note,
        )


def skeleton_names() -> tuple[str, ...]:
    """Names of the skeletons that ship with the package."""
    files = resources.files("vitruve.skeletons") / "data"
    return tuple(sorted(file.name.removesuffix(".toml") for file in files.iterdir() if file.name.endswith(".toml")))


def load_skeleton(name: str | Path) -> Skeleton:
    """Load a shipped skeleton by name, or a user's own by the path of its TOML file."""
    if str(name).endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise MissingAsset(f"skeleton file {path} does not exist", fix=nearest(path.stem, skeleton_names()))
        return skeleton_from_toml(path.read_text(encoding="utf-8", errors="replace"), str(path))
    return _shipped(str(name))


@functools.cache
def _shipped(name: str) -> Skeleton:
    if name not in skeleton_names():
        raise MissingAsset(
            f"unknown skeleton '{name}'", fix=nearest(name, skeleton_names()) + " or give the path of a .toml file"
        )
    file = resources.files("vitruve.skeletons") / "data" / f"{name}.toml"
    return skeleton_from_toml(file.read_text(encoding="utf-8"), file.name)


def skeleton_from_toml(text: str, where: str) -> Skeleton:
    """Read and check a skeleton file's text; `where` names it in errors."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadData("the skeleton file is not TOML", where=f"{where}: {error}", fix="see docs/skeletons.md") from None
    unknown = [key for key in table if key not in _KEYS]
    if unknown:
        raise BadData(f"unknown key '{unknown[0]}'", where=where, fix=nearest(unknown[0], _KEYS))
    try:
        return _from_table(table, where)
    except BadData as error:
        raise BadData(error.what, where=f"{where}: {error.where}", fix=error.fix) from None
    except (TypeError, ValueError, OverflowError) as error:
        raise BadData("an entry has the wrong type", where=f"{where}: {error}", fix="see docs/skeletons.md") from None


def _from_table(table: dict[str, Any], where: str) -> Skeleton:
    names = table.get("names", [])
    if not isinstance(names, list) or not names:
        raise BadData(
            "a skeleton needs 'names'", where="names", fix='list the joints in order: names = ["pelvis", ...]'
        )
    names = tuple(str(joint) for joint in names)

    def indices(entries: Sequence[Any], key: str) -> tuple[int, ...]:
        return tuple(_joint_index(entry, names, key) for entry in entries)

    parents = tuple(-1 if parent == -1 else indices([parent], "parents")[0] for parent in table.get("parents", []))
    edges = tuple(indices(edge, "edges") for edge in table.get("edges", ()))
    if not edges and parents:
        edges = tuple((parent, i) for i, parent in enumerate(parents) if parent >= 0)
    root = table.get("root", [parents.index(-1)] if -1 in parents else [])
    return Skeleton(
        name=str(table.get("name", Path(where).stem)),
        names=names,
        parents=parents,
        pairs=tuple(indices(pair, "pairs") for pair in table.get("pairs", ())),  # type: ignore[misc]
        edges=edges,  # type: ignore[arg-type]
        root=indices(root if isinstance(root, list) else [root], "root"),
        rest=torch.tensor(table["rest"], dtype=torch.float64) if "rest" in table else None,
        oks_sigmas=tuple(float(sigma) for sigma in table.get("oks_sigmas", ())),
        source=str(table.get("source", "")),
        note=str(table.get("note", "")),
    )


def _joint_index(entry: Any, names: tuple[str, ...], where: str) -> int:
    if isinstance(entry, str):
        if entry not in names:
            raise BadData(f"unknown joint '{entry}'", where=where, fix=nearest(entry, names))
        return names.index(entry)
    if not isinstance(entry, int) or not 0 <= entry < len(names):
        raise BadData(
            f"'{entry}' is not a joint", where=where, fix=f"use a name, or an index from 0 to {len(names) - 1}"
        )
    return entry


def _check(skeleton: Skeleton) -> None:
    names, parents = skeleton.names, skeleton.parents

    def bad(what: str, where: str, fix: str) -> BadData:
        return BadData(f"skeleton '{skeleton.name}': {what}", where=where, fix=fix)

    repeated = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if repeated is not None:
        raise bad(f"duplicate name '{repeated}'", "names", "give every joint a unique name")
    if parents and len(parents) != len(names):
        raise bad(
            f"{len(parents)} parents for {len(names)} joints", "parents", "give one parent per joint, -1 for the root"
        )
    for i, parent in enumerate(parents):
        if not -1 <= parent < i:
            raise bad(f"'{names[i]}' comes before its parent", f"parents[{i}] = {parent}", "list parents first")
    if parents and parents.count(-1) != 1:
        raise bad(f"{parents.count(-1)} roots", "parents", "exactly one joint has the parent -1")
    paired = [i for pair in skeleton.pairs for i in pair]
    if len(set(paired)) != len(paired) or any(len(pair) != 2 for pair in skeleton.pairs):
        raise bad("a joint is in two pairs", "pairs", "put each joint into one (left, right) pair")
    if any(len(edge) != 2 for edge in skeleton.edges):
        raise bad("an edge does not join two points", "edges", "write edges = [[a, b], ...]")
    everywhere = [*paired, *skeleton.root, *(i for edge in skeleton.edges for i in edge)]
    if any(not 0 <= i < len(names) for i in everywhere):
        raise bad("an index is out of range", "pairs, edges or root", f"use 0 to {len(names) - 1}")
    if skeleton.rest is not None and tuple(skeleton.rest.shape) != (len(names), 3):
        raise bad(f"rest has shape {tuple(skeleton.rest.shape)}", "rest", f"give [{len(names)}, 3] positions in metres")
    if skeleton.rest is not None and not skeleton.rest.isfinite().all():
        raise bad("a rest position is not finite", "rest", "give numbers in metres")
    if skeleton.oks_sigmas and len(skeleton.oks_sigmas) != len(names):
        raise bad(f"{len(skeleton.oks_sigmas)} sigmas for {len(names)} points", "oks_sigmas", "one per point")
