"""Labels of clips, or of parts of them: style, action, text. They stand beside the store's frames in labels.jsonl.

    labels, unknown = find_labels(store, "labels.csv")       # a file, or "bandai-namco": from the names of the clips
    add_labels(store, labels)
    read_labels(store)                                       # Label(clip='...', kind='style', label='angry', ...)

A CSV file has a column `clip`, if need be `start` and `end` in seconds, and one column for each kind of label:

    clip,start,end,style,action
    own/someone/walk_01,,,angry,walk
    own/*/run_*,0.5,2,,run

JSON holds a list of objects with the same names. BABEL's files are read as they are.
"""

from __future__ import annotations

import csv
import fnmatch
import functools
import io
import json
import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from vitruve.amass.sets import canonical_set
from vitruve.data.clips import Clip, ClipSource
from vitruve.data.splits import clips_by_name
from vitruve.errors import BadData, MissingAsset, UsageError, nearest
from vitruve.files.atomic import replacing

LABELS_FILE = "labels.jsonl"
_SUFFIXES = (".csv", ".json", ".jsonl")


@dataclass(frozen=True)
class Label:
    """What a clip, or a part of it, is called.

    Attributes:
        clip: the clip's key.
        kind: what the label tells, such as "style", "action" or "text".
        label: a word or a sentence.
        start: seconds from the start of the clip.
        end: seconds; the first moment that is no longer meant. None is the end of the clip.
    """

    clip: str
    kind: str
    label: str
    start: float = 0.0
    end: float | None = None

    @property
    def seconds(self) -> float:
        """How long it lasts; without an end, for ever."""
        return math.inf if self.end is None else self.end - self.start


def find_labels(store: ClipSource, by: str) -> tuple[list[Label], list[str]]:
    """Labels for the clips of a store.

    Args:
        store: an open store.
        by: a .csv, .json or .jsonl file, or the name of a rule that reads them from the clips' names.

    Returns:
        (the labels, in order and none twice; the entries of the file that name no clip of the store)
    """
    rows, unknown = _rows(store.clips, by), list[str]()
    names, found = clips_by_name(store.clips), set[Label]()
    for row in rows:
        clips = _clips_of(str(row["clip"]), store.clips, names)
        if not clips:
            unknown.append(str(row["clip"]))
        found |= {label for clip in clips for label in _labels(row, clip, by)}
    if not found:
        raise UsageError(
            "there is no label for any clip of the store",
            where=f"{by}: {len(rows)} entries; the store is {store.path}",
            fix="name clips by their keys, such as 'CMU/01/01_01', patterns, or ends of their files' paths",
        )
    return _sorted(found), unknown


def read_labels(store: ClipSource) -> list[Label]:
    """The labels that a store has."""
    file = store.path / LABELS_FILE
    if not file.is_file():
        return []
    try:
        return [Label(**json.loads(line)) for line in file.read_text(encoding="utf-8").split("\n") if line]
    except (OSError, ValueError, TypeError) as error:
        raise BadData("the labels of a store cannot be read", where=f"{file}: {error}", fix="add them again") from None


def add_labels(store: ClipSource, labels: Iterable[Label], overwrite: bool = False) -> int:
    """Write labels beside those that the store has; the same one stands once.

    Args:
        store: an open store.
        labels: of its clips.
        overwrite: remove those that it has.

    Returns:
        How many the store has now.
    """
    new = set(labels)
    for key in sorted({label.clip for label in new}):
        store.clip(key)  # raises the error that names the nearest
    kept = _sorted(new | set([] if overwrite else read_labels(store)))
    with replacing(store.path / LABELS_FILE, overwrite=True) as temporary:
        lines = (json.dumps(asdict(label), ensure_ascii=False) + "\n" for label in kept)
        temporary.write_text("".join(lines), encoding="utf-8")
    return len(kept)


def label_figures(store: ClipSource, labels: Iterable[Label] | None = None) -> dict[str, dict[str, dict[str, float]]]:
    """Kind -> label -> in how many clips it occurs, and for how many hours. The store's labels where none are given."""
    clips = {clip.key: clip for clip in store.clips}
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for label in read_labels(store) if labels is None else labels:
        clip = clips.get(label.clip)
        if clip is None:
            continue  # a set was written anew, and has it no longer
        row = found.setdefault(label.kind, {}).setdefault(label.label, {"clips": set(), "hours": 0.0})
        row["clips"].add(label.clip)
        row["hours"] += max(min(label.end or math.inf, clip.seconds) - label.start, 0) / 3600
    return {
        kind: {label: {"clips": len(row["clips"]), "hours": row["hours"]} for label, row in sorted(labels.items())}
        for kind, labels in sorted(found.items())
    }


def _sorted(labels: Iterable[Label]) -> list[Label]:
    return sorted(labels, key=lambda each: (each.clip, each.kind, each.start, each.seconds, each.label))


def _rows(clips: Sequence[Clip], by: str) -> list[Mapping[str, Any]]:
    """Entries with `clip`, `start`, `end` and a label for each kind."""
    if Path(by).suffix.lower() not in _SUFFIXES:
        return _rows_of_names(clips, by)
    path = Path(by)
    if not path.is_file():
        raise MissingAsset(f"there is no label file {path.name}", where=str(path), fix="check the path")
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".csv":
            rows: Any = list(csv.DictReader(io.StringIO(text, newline="")))
        elif path.suffix.lower() == ".jsonl":
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            rows = json.loads(text)
            if isinstance(rows, dict):
                rows = _rows_of_babel(rows)
        if any(not row["clip"] for row in rows):
            raise ValueError("an entry names no clip")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise BadData(
            "the label file cannot be read",
            where=f"{path}: {type(error).__name__}: {error}",
            fix="give it the columns clip, start, end and one for each kind of label, such as style",
        ) from None
    return rows


def _labels(row: Mapping[str, Any], clip: Clip, by: str) -> list[Label]:
    try:
        start, end = (None if row.get(name) in (None, "") else float(row[name]) for name in ("start", "end"))
        if not 0 <= (start or 0.0) < (math.inf if end is None else end):
            raise ValueError(f"from {start} to {end} seconds")
    except (TypeError, ValueError) as error:
        raise BadData("a label has no right time", where=f"{by}, {row['clip']}: {error}", fix="give seconds") from None
    kinds = {row["kind"]: row["label"]} if "kind" in row else dict(row)
    told = {str(kind): value for kind, value in kinds.items() if kind not in ("clip", "start", "end")}
    return [Label(clip.key, kind, str(v).strip(), start or 0.0, end) for kind, v in told.items() if v not in (None, "")]


def _clips_of(name: str, clips: Sequence[Clip], names: Mapping[str, list[Clip]]) -> list[Clip]:
    """The clips that an entry names: by key, by a pattern of keys, or by the end of its source's path."""
    if any(sign in name for sign in "*?["):
        return [clip for clip in clips if fnmatch.fnmatchcase(clip.key, name)]
    steps = name.removeprefix("./").split("/")
    # Lists of AMASS clips put the archive's name and folders before: the longest end that a clip of the set has.
    for skipped in range(max(len(steps) - 1, 1)):
        found = names.get("/".join(steps[skipped:]), [])
        if len(found) == 1 and (not skipped or found[0].set in (steps[0], canonical_set(steps[0]))):
            return found
    return []


@functools.cache
def _rules() -> dict[str, dict[str, Any]]:
    text = (resources.files("vitruve.data") / "tables" / "label_rules.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _rows_of_names(clips: Sequence[Clip], rule: str) -> list[Mapping[str, Any]]:
    if rule not in _rules():
        files = f"or give a file ({', '.join(_SUFFIXES)})"
        raise UsageError(f"no rule for labels is called '{rule}'", fix=f"{nearest(rule, _rules())}; {files}")
    pattern, words = re.compile(_rules()[rule]["name"]), _rules()[rule].get("words", {})
    matches = {clip.key: pattern.fullmatch(clip.name) for clip in clips}
    return [
        {"clip": key, **{kind: words.get(kind, {}).get(code, code) for kind, code in match.groupdict().items()}}
        for key, match in matches.items()
        if match
    ]


def _rows_of_babel(entries: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """BABEL: the categories of acts as "action", the annotators' own words as "text"."""
    rows: list[Mapping[str, Any]] = []
    for entry in entries.values():
        for part in ("seq_ann", "frame_ann"):
            for label in (entry.get(part) or {}).get("labels") or ():
                time = {"clip": entry["feat_p"], "start": label.get("start_t"), "end": label.get("end_t")}
                rows.append({**time, "text": label.get("raw_label")})
                rows += [{**time, "action": act} for act in label.get("act_cat") or ()]
    return rows
