"""Published splits of AMASS: tables/splits.toml has their parts, sources, and what is inferred."""

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
    """A clip with its set (by any name), its subject's folder and its file's name."""

    @property
    def set(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class Selection:
    """Some clips of a set: by regular expressions for subject and name, or by the subject's number.

    Attributes:
        name: for the clip's name without its ending.
        first, last: range of subject numbers, inclusive; any subject where `last` is None.
    """

    set: str
    name: str = ".*"
    subject: str = ".*"
    first: int = 0
    last: int | None = None

    def holds(self, clip: ClipLike) -> bool:
        """Whether a clip is selected."""
        name = re.sub(r"(_poses|_stageii)?(\.npz)?$", "", clip.name)
        if _set(clip) != self.set or not re.fullmatch(self.name, name) or not re.fullmatch(self.subject, clip.subject):
            return False
        number = re.search(r"(\d+)$", clip.subject)
        return self.last is None or (number is not None and self.first <= int(number[1]) <= self.last)


@dataclass(frozen=True)
class Part:
    """One part of a split: whole sets, and some subjects of other sets."""

    sets: tuple[str, ...] = ()
    subjects: tuple[Selection, ...] = ()

    def holds(self, clip: ClipLike) -> bool:
        """Whether a clip belongs to the part."""
        return _set(clip) in self.sets or any(each.holds(clip) for each in self.subjects)


@dataclass(frozen=True)
class NamedSplit:
    """A published split.

    Attributes:
        title: description.
        source: where it was published.
        inferred: what is not stated there; may be empty.
        note: for the user.
        contents: the parts by name.
        drop: clips that are in no part.
        fps: the frame rate that its clips are resampled to, or None.
        min_seconds: shorter clips are in no part.
        divides: "clips"; "poses" where annotated poses are divided by number, so that clips cannot be assigned.
    """

    name: str
    title: str
    source: str
    inferred: str = ""
    note: str = ""
    contents: Mapping[str, Part] | None = None
    drop: tuple[Selection, ...] = ()
    fps: float | None = None
    min_seconds: float = 0.0
    divides: str = "clips"

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts."""
        return tuple(self.contents or ())

    @property
    def sets(self) -> dict[str, tuple[str, ...]]:
        """Part -> the sets it needs, whole or in part."""
        return {
            name: tuple(dict.fromkeys([*part.sets, *(each.set for each in part.subjects)]))
            for name, part in (self.contents or {}).items()
        }

    def part_of(self, clip: ClipLike) -> str | None:
        """The part of a clip, or None: another set or subject, dropped, or too short."""
        if self.divides != "clips":
            raise UsageError(f"'{self.name}' divides {self.divides}, not clips", where=self.source, fix=self.note)
        if any(each.holds(clip) for each in self.drop) or self._too_short(clip):
            return None
        return next((part for part, content in (self.contents or {}).items() if content.holds(clip)), None)

    def missing(self, present: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Part -> the sets that it needs and that are not present (under any of their names)."""
        have = {canonical_set(name) or name for name in present}
        return {part: tuple(name for name in needed if name not in have) for part, needed in self.sets.items()}

    def extra(self, present: Collection[str]) -> tuple[str, ...]:
        """The present sets that no part needs."""
        needed = {name for names in self.sets.values() for name in names}
        return tuple(name for name in present if (canonical_set(name) or name) not in needed)

    def _too_short(self, clip: ClipLike) -> bool:
        frames, fps = getattr(clip, "frames", 0), getattr(clip, "fps", 0.0)
        return fps > 0 and frames / fps < self.min_seconds


def split_names() -> tuple[str, ...]:
    """The names of the published splits."""
    return tuple(_table())


def named_split(name: str) -> NamedSplit:
    """The published split of a name, in any letter case; UsageError with the nearest names where there is none."""
    by_name = {each.lower().replace("_", "-"): split for each, split in _table().items()}
    if (plain := name.lower().replace("_", "-")) not in by_name:
        raise UsageError(f"there is no published split '{name}'", fix=nearest(name, _table()))
    return by_name[plain]


def assign(split: NamedSplit | str, clips: Iterable[ClipLike]) -> list[str | None]:
    """The part of each clip, or None."""
    split = named_split(split) if isinstance(split, str) else split
    return [split.part_of(clip) for clip in clips]


def split_notes(split: NamedSplit | str, clips: Sequence[ClipLike]) -> list[str]:
    """Notes for the user: the source of the split, what is inferred, and which of these clips are in no part."""
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
    lines += [f"{dropped:,} clips are dropped, as in the source"] if dropped else []
    lines += [f"{short:,} clips are shorter than {split.min_seconds:g} s"] if short else []
    lines += [f"{rest:,} clips are of subjects that no part has"] if rest else []
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
            tuple(Selection(_known(each.pop("set")), **each) for each in content.get("subjects", ())),
        )
        for part, content in row.pop("parts", {}).items()
    }
    drop = tuple(Selection(_known(each.pop("set")), **each) for each in row.pop("drop", ()))
    return NamedSplit(name, contents=contents, drop=drop, **row)


def _known(name: str) -> str:
    found = canonical_set(name)
    if found is None:
        raise KeyError(f"tables/splits.toml has a set that is not in tables/amass_sets.toml: {name}")
    return found
