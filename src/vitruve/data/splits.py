"""Splits of a store: the clips of each part, saved as a small file of their keys."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitruve.amass.published_splits import assign, named_split, split_notes
from vitruve.amass.sets import canonical_set, probable_set
from vitruve.data.clips import Clip, ClipSource
from vitruve.errors import BadData, MissingAsset, UsageError, nearest
from vitruve.files.atomic import replacing

Parts = dict[str, list[Clip]]
FRACTIONS = {"train": 0.8, "val": 0.1, "test": 0.1}


@dataclass(frozen=True)
class Leak:
    """A subject or motion that several parts of a split share.

    Attributes:
        what: "subject" or "motion".
        name: the set and subject, or the key of a clip.
        parts: the parts that share it.
    """

    what: str
    name: str
    parts: tuple[str, ...]


def divide(
    clips: Sequence[Clip],
    by: str,
    fractions: Mapping[str, float] = FRACTIONS,
    seed: int = 0,
    allow_missing: bool = False,
) -> Parts:
    """Divide clips into parts.

    Args:
        clips: of a store.
        by: "subject", "hash", a .json or .toml file with lists, or the name of a published split.
        fractions: share of each part, for subject and hash.
        seed: for subject and hash.
        allow_missing: accept that sets of a published split are missing.
    """
    if by == "subject":
        return split_by_subject(clips, fractions, seed)
    if by == "hash":
        return split_by_hash(clips, fractions, seed)
    if _is_file(by):
        return split_by_lists(clips, by)
    return split_by_name(clips, by, allow_missing)


def notes_on(clips: Sequence[Clip], by: str) -> list[str]:
    """Notes on a published split: its source, what is inferred, what is in no part; none for other splits."""
    return list(split_notes(by, clips)) if _is_published(by) else []


def _is_published(by: str) -> bool:
    return by not in ("", "subject", "hash") and not _is_file(by)


def _is_file(by: str) -> bool:
    return by.lower().endswith((".json", ".toml"))


def split_by_hash(clips: Iterable[Clip], fractions: Mapping[str, float] = FRACTIONS, seed: int = 0) -> Parts:
    """Assign each clip by a hash of its key, so that it does not depend on other clips. Parts may share people."""
    check_fractions(fractions)
    out: Parts = {part: [] for part in fractions}
    for clip in clips:
        place, bound = _random(seed, clip.key), 0.0
        for part, share in fractions.items():
            bound += share
            if place < bound:
                out[part].append(clip)
                break
    return out


def split_by_subject(clips: Iterable[Clip], fractions: Mapping[str, float] = FRACTIONS, seed: int = 0) -> Parts:
    """Keep all clips of a subject in one part; the fractions are of the frames, as closely as subjects allow.

    Subjects go, roughly the largest first, to the part that lacks most frames. No part is empty if there are as many
    subjects as parts.
    """
    check_fractions(fractions)
    subjects: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        subjects[subject_of(clip)].append(clip)
    frames = {name: sum(clip.frames for clip in subjects[name]) for name in subjects}
    order = sorted(subjects, key=lambda name: (-frames[name] * (0.5 + _random(seed, name)), name))
    lacking = {part: share * sum(frames.values()) for part, share in fractions.items()}
    left_out = sum(frames.values()) - sum(lacking.values())
    out: Parts = {part: [] for part in fractions}
    for i, name in enumerate(order):
        empty = [part for part in out if not out[part]]
        choice = empty if empty and len(order) - i <= len(empty) else list(out)
        part = max(choice, key=lambda part: lacking[part])
        if not empty and left_out > lacking[part]:  # fractions that do not add up to 1 leave subjects out
            left_out -= frames[name]
            continue
        out[part] += subjects[name]
        lacking[part] -= frames[name]
    return out


def subject_of(clip: Clip) -> str:
    """Set and subject; a set without folders for subjects counts as one."""
    return f"{clip.set}/{clip.subject}"


def _random(seed: int, name: str) -> float:
    """A number from 0 to 1 that depends on seed and name only."""
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8], "little") / 2**64


def split_by_lists(clips: Sequence[Clip], file: str | os.PathLike[str]) -> Parts:
    """The parts in a JSON or TOML file: part -> keys of clips, or the ends of their sources' paths.

    The suffix may be left out: "CMU/01/01_01" and "01/01_01_poses.npz" both name a clip.

    Raises:
        UsageError: an entry does not name exactly one clip.
    """
    names = clips_by_name(clips)
    out: Parts = {}
    for part, entries in read_split(file).items():
        listed: dict[str, Clip] = {}
        for entry in entries:
            found = names.get(entry.removeprefix("./"), [])
            where = f"{file}, part '{part}'"
            if not found:
                raise UsageError(f"the store has no clip '{entry}'", where, nearest(entry, sorted(names)))
            if len(found) > 1:
                hint = ", ".join(clip.key for clip in found[:3])
                raise UsageError(f"'{entry}' names {len(found)} clips of the store", where, hint)
            listed[found[0].key] = found[0]
        out[part] = list(listed.values())
    return out


def clips_by_name(clips: Iterable[Clip]) -> dict[str, list[Clip]]:
    """Clips by every name that lists may use: the key, and all ends of the source's path, with and without suffix."""
    names: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        path = Path(clip.source)
        steps = path.as_posix().split("/")[-4:]
        ends = {"/".join(steps[i:]) for i in range(len(steps))}
        for name in {clip.key, *ends, *(end.removesuffix(path.suffix) for end in ends)}:
            names[name].append(clip)
    return names


def split_by_name(clips: Sequence[Clip], name: str, allow_missing: bool = False) -> Parts:
    """The parts of a published split.

    Raises:
        UsageError: the name is unknown, or the split does not divide clips.
        MissingAsset: the store lacks sets of it, unless `allow_missing`.
    """
    split = named_split(name)
    present = {clip.set for clip in clips}
    parts: Parts = {part: [] for part in split.parts}
    for clip, part in zip(clips, assign(split, clips)):
        if part is not None:
            parts[part].append(clip)
    missing = split.missing(present)
    if any(missing.values()) and not allow_missing:
        unknown = {probable_set(name): name for name in sorted(present) if not canonical_set(name)}
        lines = [f"{part} lacks {', '.join(lacking)}" for part, lacking in missing.items() if lacking]
        empty = [part for part, taken in parts.items() if not taken]
        anyway = "; or split what there is: --allow-missing"
        if empty:
            anyway = f"; --allow-missing, which splits what there is, would leave {' and '.join(empty)} empty"
        lost = [name for names in missing.values() for name in names]
        near = [f"'{unknown[name]}' is probably {name}" for name in lost if name in unknown]
        prepare = "prepare them into the store: vitruve data prepare FOLDERS --out STORE"
        raise MissingAsset(
            f"the store lacks sets of the split '{split.name}'",
            where="; ".join(lines),
            fix=(f"{'; '.join(near)}: rename the folder and prepare it again" if near else prepare) + anyway,
        )
    return parts


def check_fractions(fractions: Mapping[str, float]) -> None:
    """Raise where fractions are not positive numbers with a sum of at most 1."""
    positive = all(share > 0 for share in fractions.values())  # False for NaN
    if not fractions or not positive or sum(fractions.values()) > 1 + 1e-9:
        shown = ", ".join(f"{part}={share:g}" for part, share in fractions.items())
        raise UsageError(
            "the fractions are invalid",
            where=shown or "none given",
            fix="give positive numbers that add up to 1 at most: train=0.8,val=0.1,test=0.1",
        )


def leaks(parts: Mapping[str, Sequence[Clip]]) -> list[Leak]:
    """Subjects, and motions under any name, that are in several parts."""
    found = []
    for what, unit in (("subject", subject_of), ("motion", lambda clip: clip.content)):
        where: dict[str, dict[str, str]] = defaultdict(dict)
        for part, clips in parts.items():
            for clip in clips:
                if unit(clip):
                    where[unit(clip)].setdefault(part, subject_of(clip) if what == "subject" else clip.key)
        found += [
            Leak(what, next(iter(shared.values())), tuple(shared)) for shared in where.values() if len(shared) > 1
        ]
    return found


def refuse_empty(parts: Mapping[str, Sequence[Clip]]) -> None:
    """Raise where a part has no clips, or there are no parts."""
    empty = [part for part, clips in parts.items() if not clips]
    if empty or not parts:
        raise UsageError(
            f"the part '{empty[0]}' of the split is empty" if empty else "the split has no parts",
            where=", ".join(f"{part}: {len(clips)} clips" for part, clips in parts.items()),
            fix="prepare the missing data sets, or split in another way",
        )


def write_split(
    parts: Mapping[str, Sequence[Clip]],
    path: str | os.PathLike[str],
    *,
    how: str = "",
    notes: Sequence[str] = (),
    overwrite: bool = False,
) -> Path:
    """Write a split file: JSON with the sorted keys of each part.

    Args:
        parts: part -> its clips.
        path: the file.
        how: how the clips were divided, such as "by subject".
        notes: to keep in the file.
        overwrite: replace an existing file.

    Raises:
        UsageError: a part is empty.
    """
    refuse_empty(parts)
    keys = {part: sorted(clip.key for clip in clips) for part, clips in parts.items()}
    content = {"split": how, **({"notes": list(notes)} if notes else {}), "parts": keys}
    path = Path(path)
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def read_split(path: str | os.PathLike[str]) -> dict[str, list[str]]:
    """Part -> keys of clips, from a split file in JSON, or in TOML with the lists in a table [parts]."""
    path = Path(path)
    if not path.is_file():
        raise MissingAsset(
            f"there is no split file {path.name}",
            where=str(path),
            fix=f"vitruve data split STORE --by hash --out {path}",
        )
    try:
        text = path.read_text(encoding="utf-8")
        content: Any = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
        parts = {str(part): [str(key) for key in keys] for part, keys in content["parts"].items()}
        single = [part for part, keys in content["parts"].items() if not isinstance(keys, list)]
        if single:
            raise ValueError(f"part '{single[0]}' is not a list")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadData(
            "the split file cannot be read",
            where=f"{path}: {error}",
            fix='it has the form {"parts": {"train": [keys of clips], "test": [...]}}',
        ) from None
    return parts


def clips_of_part(store: ClipSource, split: str) -> list[Clip]:
    """The clips of a part of a split file, "FILE:PART", in the order of the store.

    Raises:
        UsageError: the part is unknown or empty, or the store lacks some of its clips.
    """
    file, _, part = split.rpartition(":")
    if not file or "/" in part or "\\" in part:
        raise UsageError(f"'{split}' is not a part of a split", fix="write FILE:PART, such as split.json:train")
    parts = read_split(file)
    if part not in parts:
        raise UsageError(f"the split has no part '{part}'", where=file, fix=nearest(part, parts))
    wanted = set(parts[part])
    if not wanted:
        fix = "divide the store again: vitruve data split STORE --by subject --out split.json"
        raise UsageError("the part of the split is empty", where=split, fix=fix)
    lacking = sorted(wanted - {clip.key for clip in store.clips})
    if lacking:
        raise UsageError(
            f"{len(lacking)} of {len(wanted)} clips of the split are not in the store",
            where=f"{split}: {', '.join(lacking[:3])}{', ...' if lacking[3:] else ''}; the store is {store.path}",
            fix="prepare their data, or split this store again",
        )
    return [clip for clip in store.clips if clip.key in wanted]


def clips_of_sets(store: ClipSource, sets: Sequence[str]) -> list[Clip]:
    """The clips of some data sets, by any of their names; all clips where `sets` is empty."""
    wanted = {canonical_set(name) or name for name in sets}
    unknown = sorted(wanted - set(store.sets))
    if unknown:
        hint = nearest(unknown[0], store.sets)
        raise UsageError(f"the store has no set '{unknown[0]}'", where=str(store.path), fix=hint)
    return [clip for clip in store.clips if not wanted or clip.set in wanted]


def parse_fractions(text: str) -> dict[str, float]:
    """{"train": 0.8, "test": 0.2} from "train=0.8,test=0.2"."""
    try:
        pairs = [entry.split("=") for entry in text.replace(" ", "").split(",")]
        fractions = {name: float(share) for name, share in pairs}
        if len(fractions) != len(pairs):
            raise ValueError("a part is repeated")
    except ValueError:
        raise UsageError(f"'{text}' is not a list of fractions", fix="write train=0.8,val=0.1,test=0.1") from None
    check_fractions(fractions)
    return fractions


def hours_text(hours: float) -> str:
    """Hours with two digits, also for a short store."""
    return f"{hours:,.2f}" if hours >= 1 else f"{hours:.2g}"


def table(parts: Mapping[str, Sequence[Clip]], by: str = "") -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows of a table: what each part has, and which sets of a published split it lacks."""
    published = named_split(by).sets if _is_published(by) else {}
    rows = []
    for part, clips in parts.items():
        sets = sorted({clip.set for clip in clips})
        lacking = [name for name in published.get(part, ()) if name not in sets]
        hours = sum(clip.seconds for clip in clips) / 3600
        subjects = len({subject_of(clip) for clip in clips})
        counts = (f"{len(clips):,}", f"{subjects:,}", f"{sum(clip.frames for clip in clips):,}", hours_text(hours))
        rows.append((part, *counts, ", ".join(sets) or "-", ", ".join(lacking) or "-"))
    return ("part", "clips", "subjects", "frames", "hours", "sets", "lacks"), rows
