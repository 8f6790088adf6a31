"""Splits of a store: which clips belong to which part, in a small file that names them by their keys.

parts = split_by_subject(store, {"train": 0.8, "val": 0.1, "test": 0.1})
write_split(parts, "split.json", how="by subject")
rows = store.sample("split.json:train")
"""

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
    """Something that two parts of a split share.

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
    """Clips in parts: by "subject", by "hash", by the lists of a .json or .toml file, or as a published split has it.

    Args:
        clips: of a store.
        by: one of these.
        fractions: shares of the parts, for subject and hash.
        seed: of the hash.
        allow_missing: whether a published split is taken where sets of it are missing.
    """
    if by == "subject":
        return split_by_subject(clips, fractions, seed)
    if by == "hash":
        return split_by_hash(clips, fractions, seed)
    if _is_file(by):
        return split_by_lists(clips, by)
    return split_by_name(clips, by, allow_missing)


def notes_on(clips: Sequence[Clip], by: str) -> list[str]:
    """What a user must know of a published split: where it is written down, what is inferred, what is in no part."""
    return list(split_notes(by, clips)) if _is_published(by) else []


def _is_published(by: str) -> bool:
    return by not in ("", "subject", "hash") and not _is_file(by)


def _is_file(by: str) -> bool:
    return by.lower().endswith((".json", ".toml"))


def split_by_hash(clips: Iterable[Clip], fractions: Mapping[str, float] = FRACTIONS, seed: int = 0) -> Parts:
    """Each clip by a hash of its key: it stays where it is when others come or go. Persons may be in several parts."""
    check_fractions(fractions)
    out: Parts = {part: [] for part in fractions}
    for clip in clips:
        place, bound = _place(seed, clip.key), 0.0
        for part, share in fractions.items():
            bound += share
            if place < bound:
                out[part].append(clip)
                break
    return out


def split_by_subject(clips: Iterable[Clip], fractions: Mapping[str, float] = FRACTIONS, seed: int = 0) -> Parts:
    """All clips of a subject together, so that none is in two parts; the fractions are of the frames, met as well as
    whole subjects allow.

    Large subjects come first, more or less, as the seed has it, and each goes where most frames are wanting. No part
    stays empty as long as there are as many subjects as parts.
    """
    check_fractions(fractions)
    subjects: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        subjects[subject_of(clip)].append(clip)
    frames = {name: sum(clip.frames for clip in subjects[name]) for name in subjects}
    order = sorted(subjects, key=lambda name: (-frames[name] * (0.5 + _place(seed, name)), name))
    wanting = {part: share * sum(frames.values()) for part, share in fractions.items()}
    left_out = sum(frames.values()) - sum(wanting.values())
    out: Parts = {part: [] for part in fractions}
    for i, name in enumerate(order):
        empty = [part for part in out if not out[part]]
        choice = empty if empty and len(order) - i <= len(empty) else list(out)
        part = max(choice, key=lambda part: wanting[part])
        if not empty and left_out > wanting[part]:  # fractions that do not add up to 1 leave subjects out
            left_out -= frames[name]
            continue
        out[part] += subjects[name]
        wanting[part] -= frames[name]
    return out


def subject_of(clip: Clip) -> str:
    """Set and subject. Where the folders name no subject, the whole set counts as one."""
    return f"{clip.set}/{clip.subject}"


def _place(seed: int, name: str) -> float:
    """A number from 0 to 1 that a name always has."""
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8], "little") / 2**64


def split_by_lists(clips: Sequence[Clip], file: str | os.PathLike[str]) -> Parts:
    """The parts that a file lists: in JSON or TOML, part -> keys of clips, or the ends of their sources' paths.

    An entry may lack the ending: "CMU/01/01_01" and "01/01_01_poses.npz" both name a clip.

    Raises:
        UsageError: an entry names no clip, or more than one.
    """
    names = clips_by_name(clips)
    out: Parts = {}
    for part, entries in read_split(file).items():
        listed: dict[str, Clip] = {}
        for entry in entries:
            found = names.get(entry.removeprefix("./"), [])
            if len(found) != 1:
                what = (
                    f"'{entry}' names {len(found)} clips of the store" if found else f"the store has no clip '{entry}'"
                )
                hint = ", ".join(clip.key for clip in found[:3]) if found else nearest(entry, sorted(names))
                raise UsageError(what, where=f"{file}, part '{part}'", fix=hint)
            listed[found[0].key] = found[0]
        out[part] = list(listed.values())
    return out


def clips_by_name(clips: Iterable[Clip]) -> dict[str, list[Clip]]:
    """Clips by all that lists may call them: the key, and every end of the source's path, with and without ending."""
    names: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        path = Path(clip.source)
        steps = path.as_posix().split("/")[-4:]
        ends = {"/".join(steps[i:]) for i in range(len(steps))}
        for name in {clip.key, *ends, *(end.removesuffix(path.suffix) for end in ends)}:
            names[name].append(clip)
    return names


def split_by_name(clips: Sequence[Clip], name: str, allow_missing: bool = False) -> Parts:
    """A published split, as far as the store has its sets.

    Raises:
        UsageError: there is no split of that name; it divides something else than clips.
        MissingAsset: the store lacks sets of it, unless that is allowed.
    """
    split = named_split(name)
    present = {clip.set for clip in clips}
    parts: Parts = {part: [] for part in split.parts}
    for clip, part in zip(clips, assign(split, clips)):
        if part is not None:
            parts[part].append(clip)
    missing = split.missing(present)
    if any(missing.values()) and not allow_missing:
        odd = {probable_set(name): name for name in sorted(present) if not canonical_set(name)}
        lines = [f"{part} lacks {', '.join(lacking)}" for part, lacking in missing.items() if lacking]
        empty = [part for part, taken in parts.items() if not taken]
        anyway = "; or split what there is: --allow-missing"
        if empty:
            anyway = f"; --allow-missing, which splits what there is, would leave {' and '.join(empty)} empty"
        near = [f"'{odd[lost]}' is probably {lost}" for names in missing.values() for lost in names if lost in odd]
        prepare = "prepare them into the store: vitruve data prepare FOLDERS --out STORE"
        raise MissingAsset(
            f"the store lacks sets of the split '{split.name}'",
            where="; ".join(lines),
            fix=(f"{'; '.join(near)}: rename the folder and prepare it again" if near else prepare) + anyway,
        )
    return parts


def check_fractions(fractions: Mapping[str, float]) -> None:
    """Raise where shares are not shares."""
    right = all(share > 0 for share in fractions.values())  # NaN is not
    if not fractions or not right or sum(fractions.values()) > 1 + 1e-9:
        shown = ", ".join(f"{part}={share:g}" for part, share in fractions.items())
        raise UsageError(
            "the fractions are no shares of one whole",
            where=shown or "none given",
            fix="give positive numbers that add up to 1 at most: train=0.8,val=0.1,test=0.1",
        )


def leaks(parts: Mapping[str, Sequence[Clip]]) -> list[Leak]:
    """What two or more parts share: a subject of a set, or a motion under another name."""
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
    """Raise where a part has no clips, or there is no part."""
    empty = [part for part, clips in parts.items() if not clips]
    if empty or not parts:
        raise UsageError(
            f"the part '{empty[0]}' of the split is empty" if empty else "the split has no parts",
            where=", ".join(f"{part}: {len(clips)} clips" for part, clips in parts.items()),
            fix="prepare the data sets that are missing, or split otherwise",
        )


def write_split(
    parts: Mapping[str, Sequence[Clip]],
    path: str | os.PathLike[str],
    *,
    how: str = "",
    notes: Sequence[str] = (),
    overwrite: bool = False,
) -> Path:
    """Write a split file: JSON with the keys of each part, in order. The same split gives the same bytes.

    Args:
        parts: part to its clips.
        path: the file.
        how: how it was divided, in a word.
        notes: what a reader must know of it, such as what is inferred.
        overwrite: replace a file that is there.

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
    """Part -> keys of clips, of a split file in JSON, or in TOML with the lists of keys in a table [parts]."""
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
            raise ValueError(f"part '{single[0]}' is no list")
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
        UsageError: no such part; or none of its clips is in the store, or not all of them are.
    """
    file, _, part = split.rpartition(":")
    if not file or "/" in part or "\\" in part:
        raise UsageError(f"'{split}' names no part of a split", fix="write FILE:PART, such as split.json:train")
    parts = read_split(file)
    if part not in parts:
        raise UsageError(f"the split has no part '{part}'", where=file, fix=nearest(part, parts))
    return clips_of_keys(store, parts[part], split)


def clips_of_keys(store: ClipSource, keys: Iterable[str], where: str) -> list[Clip]:
    """The clips of keys; an error that counts those the store lacks."""
    wanted = set(keys)
    if not wanted:
        raise UsageError(
            "the part of the split is empty",
            where=where,
            fix="divide the store anew: vitruve data split STORE --by subject --out split.json",
        )
    lacking = sorted(wanted - {clip.key for clip in store.clips})
    if lacking:
        raise UsageError(
            f"{len(lacking)} of {len(wanted)} clips of the split are not in the store",
            where=f"{where}: {', '.join(lacking[:3])}{', ...' if lacking[3:] else ''}; the store is {store.path}",
            fix="prepare the data they are from, or split this store anew",
        )
    return [clip for clip in store.clips if clip.key in wanted]


def clips_of_sets(store: ClipSource, sets: Sequence[str]) -> list[Clip]:
    """The clips of some data sets, by any of their names; of all where none is given."""
    wanted = {canonical_set(name) or name for name in sets}
    unknown = sorted(wanted - set(store.sets))
    if unknown:
        raise UsageError(
            f"the store has no set '{unknown[0]}'", where=str(store.path), fix=nearest(unknown[0], store.sets)
        )
    return [clip for clip in store.clips if not wanted or clip.set in wanted]


def parse_fractions(text: str) -> dict[str, float]:
    """{"train": 0.8, "test": 0.2} from "train=0.8,test=0.2"."""
    try:
        pairs = [entry.split("=") for entry in text.replace(" ", "").split(",")]
        fractions = {name: float(share) for name, share in pairs}
        if len(fractions) != len(pairs):
            raise ValueError("a part twice")
    except ValueError:
        raise UsageError(f"'{text}' gives no fractions", fix="write train=0.8,val=0.1,test=0.1") from None
    check_fractions(fractions)
    return fractions


def hours_text(hours: float) -> str:
    """Hours with as many digits as tell something, also of a short store."""
    return f"{hours:,.2f}" if hours >= 1 else f"{hours:.2g}"


def table(parts: Mapping[str, Sequence[Clip]], by: str = "") -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """What each part has, and of a published split what it lacks: a header and rows of text."""
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
