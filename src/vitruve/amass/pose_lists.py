"""The files of PoseScript and PoseFix that list the sources of annotated poses; they hold no poses themselves.

| file | content |
|---|---|
| ids_2_dataset_sequence_and_frame_index.json, .._100k.json | pose id to [data set, path of the sequence, frame] |
| {train,val,test}_ids_100k.json and the like | a list of ids |
| posescript_human_6293.json, posefix_human_6157.json and the like | id to texts; its keys are ids |
| pair_id_2_pose_ids.json | a list of [pose A, pose B]; the place in the list is the pair's id |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitruve.bodies.pickles import existing_file
from vitruve.errors import BadData


@dataclass(frozen=True)
class PosePlace:
    """The source of a pose: a frame of a sequence in a collection such as "AMASS"."""

    collection: str
    sequence: str
    frame: int


def read_pose_list(path: str | Path) -> dict[str, PosePlace]:
    """Pose id -> source of the pose; BadData names the first invalid entry."""
    path = existing_file(path)
    content = _json(path)
    if not isinstance(content, Mapping) or not content:
        found = f"found a {type(content).__name__}, expected id: [set, path, frame]"
        raise _not(path, "a list of sources of poses", found)
    places = {}
    for name, entry in content.items():
        valid = isinstance(entry, list) and len(entry) == 3 and all(isinstance(word, str) for word in entry[:2])
        if not valid or not isinstance(entry[2], int) or isinstance(entry[2], bool):
            found = json.dumps(entry)[:60]
            raise _not(path, "a list of sources of poses", f"pose {name}: found {found}, expected [set, path, frame]")
        places[str(name)] = PosePlace(*entry)
    return places


def read_ids(path: str | Path) -> list[str]:
    """The ids of a list, or the keys of a mapping, without duplicates."""
    path = existing_file(path)
    content = _json(path)
    if isinstance(content, Mapping):
        content = list(content)
    if not isinstance(content, list) or not all(isinstance(each, int | str) for each in content):
        raise _not(path, "a list of ids", "expected [1, 2, ...] or {id: ...}")
    return list(dict.fromkeys(str(each) for each in content))


def read_pairs(path: str | Path) -> dict[str, tuple[str, str]]:
    """Pair id -> ids of its poses A and B."""
    path = existing_file(path)
    content = _json(path)
    pairs = content if isinstance(content, Mapping) else dict(enumerate(content)) if isinstance(content, list) else {}
    for name, pair in pairs.items():
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(each, int | str) for each in pair)):
            raise _not(path, "a list of pairs", f"pair {name}: found {json.dumps(pair)[:60]}, expected [A, B]")
    if not pairs:
        raise _not(path, "a list of pairs", "expected [[A, B], ...]")
    return {str(name): (str(pair[0]), str(pair[1])) for name, pair in pairs.items()}


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise BadData(f"{path.name} is not valid JSON", where=f"{path}: {error}", fix="fetch the file again") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping; an error for repeated keys, of which json would silently keep the last."""
    out: dict[str, Any] = {}
    for key, value in pairs:
        if out.setdefault(key, value) != value:
            raise ValueError(f"the key {key} has two different values")
    return out


def _not(path: Path, expected: str, found: str) -> BadData:
    return BadData(
        f"{path.name} is not {expected}", where=f"{path}: {found}", fix="see docs/data-sets.md for the files"
    )
