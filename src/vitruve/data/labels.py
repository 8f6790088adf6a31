"""Labels of clips, or of parts of them: style, action, text. Stored in labels.jsonl.

Read from CSV with the columns clip, start, end (seconds) and one per kind of label, from JSON lists of objects with the
same names, from BABEL's files, or derived from the clips' names.
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
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitruve.amass.sets import canonical_set
from vitruve.data.clips import Clip, ClipSource
from vitruve.data.splits import clips_by_name
from vitruve.errors import BadData, MissingAsset, UsageError, nearest
from vitruve.files.atomic import replacing

LABELS_FILE = "labels.jsonl"
_SUFFIXES = (".csv", ".json", ".jsonl")
# Seconds. Tolerance for times that are meant to fall on a frame.
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Label:
    """A label of a clip, or of a part of it.

    Attributes:
        clip: the clip's key.
        kind: such as "style", "action" or "text".
        label: a word or a sentence.
        start: seconds from the start of the clip.
        end: seconds, exclusive; None is the end of the clip.
    """

    clip: str
    kind: str
    label: str
    start: float = 0.0
    end: float | None = None

    @property
    def seconds(self) -> float:
        """Duration; infinite without an end."""
        return math.inf if self.end is None else self.end - self.start


def find_labels(store: ClipSource, by: str) -> tuple[list[Label], list[str]]:
    """Read labels for the clips of a store.

    Args:
        store: an open store.
        by: a .csv, .json or .jsonl file, or the name of a rule that derives labels from the clips' names.

    Returns:
        (the labels, sorted and unique; the entries of the file that match no clip of the store)
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
    """The labels of a store."""
    file = store.path / LABELS_FILE
    if not file.is_file():
        return []
    try:
        return [Label(**json.loads(line)) for line in file.read_text(encoding="utf-8").split("\n") if line]
    except (OSError, ValueError, TypeError) as error:
        raise BadData("the labels of a store cannot be read", where=f"{file}: {error}", fix="add them again") from None


def add_labels(store: ClipSource, labels: Iterable[Label], overwrite: bool = False) -> int:
    """Add labels to a store, without duplicates; with `overwrite` they replace the labels that it has.

    Returns:
        The number of labels of the store.
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
    """Kind -> label -> number of "clips" and "hours", for `labels` or else the store's own."""
    clips = {clip.key: clip for clip in store.clips}
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for label in read_labels(store) if labels is None else labels:
        clip = clips.get(label.clip)
        if clip is None:
            continue  # the set was overwritten and no longer has the clip
        row = found.setdefault(label.kind, {}).setdefault(label.label, {"clips": set(), "hours": 0.0})
        row["clips"].add(label.clip)
        row["hours"] += max(min(label.end or math.inf, clip.seconds) - label.start, 0) / 3600
    return {
        kind: {label: {"clips": len(row["clips"]), "hours": row["hours"]} for label, row in sorted(labels.items())}
        for kind, labels in sorted(found.items())
    }


@dataclass(frozen=True, eq=False)
class WindowLabels:
    """Labels of the chosen kinds; `labels` of other kinds are ignored."""

    kinds: tuple[str, ...]
    labels: tuple[Label, ...]

    @cached_property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Kind -> its labels in order; a class index counts into it."""
        return {kind: tuple(sorted({each.label for each in self.labels if each.kind == kind})) for kind in self.kinds}

    @cached_property
    def _by_clip(self) -> dict[str, list[tuple[Label, int]]]:
        """Key of a clip -> its labels with their class index, the longest first, so that shorter ones override it."""
        numbers = {(kind, name): place for kind, names in self.classes.items() for place, name in enumerate(names)}
        out: dict[str, list[tuple[Label, int]]] = {}
        for label in sorted(self.labels, key=lambda each: -each.seconds):
            if label.kind in self.kinds:
                out.setdefault(label.clip, []).append((label, numbers[label.kind, label.label]))
        return out

    def at(self, clip: Clip, moments: NDArray[np.float64]) -> dict[str, NDArray[np.int64]]:
        """Kind -> the class index at each moment (seconds) of a clip, -1 where there is none."""
        out = {kind: np.full(len(moments), -1, np.int64) for kind in self.kinds}
        for label, number in self._by_clip.get(clip.key, ()):
            end = np.inf if label.end is None else label.end
            out[label.kind][(moments + _TOLERANCE >= label.start) & (moments + _TOLERANCE < end)] = number
        return out

    def between(self, clip: Clip, start: float, end: float) -> list[Label]:
        """All labels of a clip that overlap the time from `start` to `end`, seconds."""
        labels = [label for label, _ in self._by_clip.get(clip.key, ())]
        return [label for label in labels if label.start < end and (label.end is None or label.end > start)]


def window_labels(store: ClipSource, labels: Sequence[str] | Sequence[Label]) -> WindowLabels:
    """The store's labels of some kinds; or the labels that were passed, of all kinds."""
    passed = tuple(label for label in labels if isinstance(label, Label))
    if passed:
        return WindowLabels(tuple(sorted({label.kind for label in passed})), passed)
    kinds = tuple(str(kind) for kind in labels)
    stored = tuple(read_labels(store)) if kinds else ()
    known = sorted({label.kind for label in stored})
    for kind in kinds:
        if kind not in known:
            hint = nearest(kind, known) if known else "add labels: vitruve data label STORE --by labels.csv"
            raise UsageError(f"there are no labels of the kind '{kind}'", where=str(store.path), fix=hint)
    return WindowLabels(kinds, stored)


def _sorted(labels: Iterable[Label]) -> list[Label]:
    return sorted(labels, key=lambda each: (each.clip, each.kind, each.start, each.seconds, each.label))


def _rows(clips: Sequence[Clip], by: str) -> list[Mapping[str, Any]]:
    """Entries with `clip`, `start`, `end` and a label per kind."""
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
            raise ValueError("an entry does not name a clip")
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
        raise BadData("a label has an invalid time", f"{by}, {row['clip']}: {error}", fix="give seconds") from None
    kinds = {row["kind"]: row["label"]} if "kind" in row else row
    return [
        Label(clip.key, str(kind), str(value).strip(), start or 0.0, end)
        for kind, value in kinds.items()
        if kind not in ("clip", "start", "end") and value not in (None, "")
    ]


def _clips_of(name: str, clips: Sequence[Clip], names: Mapping[str, list[Clip]]) -> list[Clip]:
    """The clips with a name: a key, a pattern of keys, or the end of a source's path."""
    if any(sign in name for sign in "*?["):
        return [clip for clip in clips if fnmatch.fnmatchcase(clip.key, name)]
    steps = name.removeprefix("./").split("/")
    # Lists of AMASS clips prepend the archive's name and folders: use the longest end that fits a clip of the set.
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
        raise UsageError(f"there is no label rule '{rule}'", fix=f"{nearest(rule, _rules())}; {files}")
    pattern, words = re.compile(_rules()[rule]["name"]), _rules()[rule].get("words", {})
    matches = {clip.key: pattern.fullmatch(clip.name) for clip in clips}
    return [
        {"clip": key, **{kind: words.get(kind, {}).get(code, code) for kind, code in match.groupdict().items()}}
        for key, match in matches.items()
        if match
    ]


def _rows_of_babel(entries: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """BABEL: act categories as "action", the annotators' words as "text"."""
    rows: list[Mapping[str, Any]] = []
    for entry in entries.values():
        for part in ("seq_ann", "frame_ann"):
            for label in (entry.get(part) or {}).get("labels") or ():
                time = {"clip": entry["feat_p"], "start": label.get("start_t"), "end": label.get("end_t")}
                rows.append({**time, "text": label.get("raw_label")})
                rows += [{**time, "action": act} for act in label.get("act_cat") or ()]
    return rows
