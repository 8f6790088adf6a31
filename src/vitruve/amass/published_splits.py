"""Published divisions of AMASS into training, validation and test parts, by name.

    split = named_split("humor")
    parts = assign(split, store.clips)             # "train", "val", "test" or None for each clip
    split.missing({"CMU", "KIT"})                  # what a part lacks where only these sets are there

The divisions are data: tables/splits.toml says for each where it is written down and what in it is inferred.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Protocol

from vitruve.amass.sets import canonical_set
from vitruve.errors import UsageError, nearest


class ClipLike(Protocol):
    """What is asked of a clip: its set (any name of it), its subject's folder, its file's name."""

    @property
    def set(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class Subjects:
    """Some subjects of a set: those whose number lies in `first` .. `last`, both included."""

    set: str
    first: int
    last: int

    def holds(self, clip: ClipLike) -> bool:
        """Whether a clip is one of theirs. A subject without a number is not."""
        number = re.search(r"(\d+)$", clip.subject)
        return _set(clip) == self.set and number is not None and self.first <= int(number[1]) <= self.last


@dataclass(frozen=True)
class Dropped:
    """Clips of a set that are in no part: `name`, without its ending, and `subject` match as regular expressions."""

    set: str
    name: str
    subject: str = ".*"

    def holds(self, clip: ClipLike) -> bool:
        """Whether a clip is dropped."""
        name = re.sub(r"(_poses|_stageii)?(\.npz)?$", "", clip.name)
        matches = re.fullmatch(self.name, name) and re.fullmatch(self.subject, clip.subject)
        return _set(clip) == self.set and matches is not None


@dataclass(frozen=True)
class Part:
    """One part of a division: whole sets, and some subjects of others."""

    sets: tuple[str, ...] = ()
    subjects: tuple[Subjects, ...] = ()

    @property
    def asks_for(self) -> tuple[str, ...]:
        """The sets it needs, whole or in part."""
        return tuple(dict.fromkeys([*self.sets, *(each.set for each in self.subjects)]))

    def holds(self, clip: ClipLike) -> bool:
        """Whether a clip belongs to it."""
        return _set(clip) in self.sets or any(each.holds(clip) for each in self.subjects)


@dataclass(frozen=True)
class NamedSplit:
    """A published division.

    Attributes:
        name: how it is called here.
        title: what it is.
        source: where it is written down.
        inferred: what is not written there, and was concluded; empty where nothing is.
        note: what else a user must know.
        contents: part to what is in it.
        drop: clips that are in no part.
        fps: the rate that its clips are resampled to, or None.
        min_seconds: shorter clips are left out; 0 where none are.
        divides: "clips"; "poses" where annotated poses are divided by number, and there is nothing to assign.
    """

    name: str
    title: str
    source: str
    inferred: str = ""
    note: str = ""
    contents: Mapping[str, Part] | None = None
    drop: tuple[Dropped, ...] = ()
    fps: float | None = None
    min_seconds: float = 0.0
    divides: str = "clips"

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts."""
        return tuple(self.contents or ())

    @property
    def sets(self) -> dict[str, tuple[str, ...]]:
        """Part to the sets it needs, whole or in part."""
        return {part: content.asks_for for part, content in (self.contents or {}).items()}

    def part_of(self, clip: ClipLike) -> str | None:
        """The part a clip belongs to, or None: another set, another subject, dropped, or too short."""
        if self.divides != "clips":
            raise UsageError(f"'{self.name}' divides {self.divides}, not clips", where=self.source, fix=self.note)
        if any(each.holds(clip) for each in self.drop) or self._too_short(clip):
            return None
        return next((part for part, content in (self.contents or {}).items() if content.holds(clip)), None)

    def missing(self, present: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Part to the sets that it needs and that are not among those present (by any of their names)."""
        have = {canonical_set(name) or name for name in present}
        return {part: tuple(name for name in needed if name not in have) for part, needed in self.sets.items()}

    def extra(self, present: Collection[str]) -> tuple[str, ...]:
        """The sets present that no part asks for."""
        asked = {name for needed in self.sets.values() for name in needed}
        return tuple(name for name in present if (canonical_set(name) or name) not in asked)

    def _too_short(self, clip: ClipLike) -> bool:
        frames, fps = getattr(clip, "frames", 0), getattr(clip, "fps", 0.0)
        return fps > 0 and frames / fps < self.min_seconds


def split_names() -> tuple[str, ...]:
    """The names of the published divisions."""
    return tuple(_table())


def named_split(name: str) -> NamedSplit:
    """The division of that name.

    Raises:
        UsageError: there is none; the nearest names are given.
    """
    table = _table()
    found = {each.lower().replace("_", "-"): each for each in table}.get(name.lower().replace("_", "-"))
    if found is None:
        raise UsageError(f"there is no published split '{name}'", fix=nearest(name, table))
    return table[found]


def assign(split: NamedSplit | str, clips: Iterable[ClipLike]) -> list[str | None]:
    """The part of each clip, or None."""
    split = named_split(split) if isinstance(split, str) else split
    return [split.part_of(clip) for clip in clips]


def split_notes(split: NamedSplit | str, clips: Sequence[ClipLike]) -> list[str]:
    """What a user must be told who divides these clips so: where the division is from, and what is in no part."""
    split = named_split(split) if isinstance(split, str) else split
    lines = [f"{split.title}; from {split.source}"]
    lines += [f"inferred: {split.inferred}"] if split.inferred else []
    lines += [split.note] if split.note else []
    lines += [f"it is used at {split.fps:g} frames per second"] if split.fps else []
    if split.divides != "clips":
        return lines
    left = [clip for clip, part in zip(clips, assign(split, clips)) if part is None]
    others = split.extra(dict.fromkeys(_set(clip) for clip in left))
    left = [clip for clip in left if _set(clip) not in others]
    kept = [clip for clip in left if not any(each.holds(clip) for each in split.drop)]
    dropped, short = len(left) - len(kept), sum(map(split._too_short, kept))
    rest = len(kept) - short
    lines += [f"{dropped:,} clips are dropped, as there"] if dropped else []
    lines += [f"{short:,} clips are shorter than {split.min_seconds:g} s"] if short else []
    lines += [f"{rest:,} clips are of subjects that no part asks for"] if rest else []
    lines += [f"in no part: {', '.join(others)}"] if others else []
    return lines


def _set(clip: ClipLike) -> str:
    return canonical_set(clip.set) or clip.set


@functools.cache
def _table() -> dict[str, NamedSplit]:
    text = (resources.files("vitruve.amass") / "tables" / "splits.toml").read_text(encoding="utf-8")
    return {name: _split(name, row) for name, row in tomllib.loads(text).items()}


def _split(name: str, row: dict[str, Any]) -> NamedSplit:
    contents = {
        part: Part(
            tuple(_known(each) for each in content.get("sets", ())),
            tuple(Subjects(_known(each.pop("set")), **each) for each in content.get("subjects", ())),
        )
        for part, content in row.pop("parts", {}).items()
    }
    drop = tuple(Dropped(_known(each.pop("set")), **each) for each in row.pop("drop", ()))
    return NamedSplit(name, contents=contents, drop=drop, **row)


def _known(name: str) -> str:
    found = canonical_set(name)
    if found is None:
        raise KeyError(f"tables/splits.toml names a set that is not in tables/amass_sets.toml: {name}")
    return found
