"""The page about a clip store: what is in it, how long, how varied, and what is odd."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import vitruve
from vitruve.data.show import is_non_commercial
from vitruve.data.splits import hours_text
from vitruve.report.blocks import Block, Drawing, Heading, Note, Table, page
from vitruve.report.findings import findings_table
from vitruve.report.plots import bars, histogram
from vitruve.words import counted

SET_HEADER = ("set", "clips", "subjects", "frames", "hours", "fps", "body", "masked", "retarget, mm")
LICENCE_HEADER = ("licence", "sets")
LABEL_HEADER = ("labels", "", "clips", "hours")
FIELD_HEADER = ("added field", "a frame", "type", "between frames", "frames")
# Labels of a kind that a table shows: texts can be thousands.
_LABELS = 20
_COLUMNS_SAID = (
    "Masked frames are there and hold no valid data. The last column is how far the joints of a clip are from those "
    "that were recorded, on average, where a recording on another skeleton was brought to a body."
)


def set_rows(figures: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """One row for each set, and one for all, under SET_HEADER."""
    rows = [_row(name, values) for name, values in figures["sets"].items()]
    return rows if len(rows) == 1 else [*rows, _row("all", figures)]


def _row(name: str, values: Mapping[str, Any]) -> tuple[str, ...]:
    error = values["retarget_error_mm"]
    return (
        name,
        f"{values['clips']:,}",
        f"{values['subjects']:,}",
        f"{values['frames']:,}",
        hours_text(values["hours"]),
        _few([f"{fps:g}" for fps in values["fps"]]),
        _few(values["bodies"]),
        f"{values['masked_frames']:,}",
        "-" if error is None else f"{error:.1f}",
    )


def licence_rows(figures: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """One row for each licence with the sets that have it, under LICENCE_HEADER."""
    sets = figures["sets"].items()
    return [(line, ", ".join(n for n, values in sets if line in values["licences"])) for line in figures["licences"]]


def label_rows(labels: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[tuple[str, ...]]:
    """One row for each label under LABEL_HEADER, the most frequent first; many labels of a kind are counted only.

    Args:
        labels: of `vitruve.data.labels.label_figures`.
    """
    rows: list[tuple[str, ...]] = []
    for kind, counts in labels.items():
        order = sorted(counts, key=lambda label: (-counts[label]["clips"], label))
        for label in order[:_LABELS]:
            rows.append((kind, label, f"{counts[label]['clips']:,}", hours_text(counts[label]["hours"])))
        if order[_LABELS:]:
            rows.append((kind, f"and {len(order) - _LABELS:,} more", "", ""))
    return rows


def field_rows(figures: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """One row for each field that was added, under FIELD_HEADER."""
    return [
        (name, str(row["shape"]), row["dtype"], row["interpolation"], f"{row['frames']:,} of {figures['frames']:,}")
        for name, row in figures["fields"].items()
    ]


def _few(words: list[str], most: int = 3) -> str:
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def data_page(figures: Mapping[str, Any]) -> str:
    """The page as HTML.

    Args:
        figures: of `vitruve.data.show.store_figures`.
    """
    seconds = figures["seconds"]
    blocks: list[Block] = [
        Note(
            f"{counted(figures['frames'], 'frame')} in {counted(figures['clips'], 'clip')} of "
            f"{counted(figures['subjects'], 'subject')}: "
            f"{hours_text(figures['hours'])} hours. Half of the clips are shorter than {seconds['median']:.1f} s, the "
            f"longest lasts {seconds['max']:.1f} s. {_oddities(figures)}"
        ),
        _licence(figures),
        Heading("Data sets"),
        Table(SET_HEADER, set_rows(figures)),
        Note(_COLUMNS_SAID),
        Table(LICENCE_HEADER, licence_rows(figures)),
        *_added(figures),
        *_findings(figures),
        Heading("How long clips are"),
        _lengths(figures["seconds_histogram"]),
        Heading("What they were recorded with"),
        Drawing(bars({f"{fps} fps": h for fps, h in figures["hours_by_fps"].items()}, "hours"), "Hours by frame rate."),
        Drawing(bars(figures["hours_by_body"], "hours"), "Hours by body."),
        Drawing(bars(figures["hours_by_gender"], "hours"), "Hours by gender of the body."),
        Heading("How far joints turn"),
    ]
    turns = figures["turns_deg"]
    if turns:
        words = "Degrees from rest that 95 % of the frames stay below, joint by joint"
        blocks.append(Drawing(bars({name: turn["p95"] for name, turn in turns.items()}, "degrees"), f"{words}."))
    return page("Clip store", blocks, f"{figures['store']}. Made by vitruve {vitruve.__version__}: vitruve data show")


def _oddities(figures: Mapping[str, Any]) -> str:
    """In short, what `_findings` shows."""
    looked, kinds = figures["clips_looked_through"], len(figures["findings"])
    if not looked:
        return ""
    where = f"In {counted(looked, 'clip')} looked through"
    if not kinds:
        return f"{where}, nothing odd was found."
    return f"{where}, {counted(kinds, 'thing')} {'is' if kinds == 1 else 'are'} odd: see below."


def _licence(figures: Mapping[str, Any]) -> Note:
    if not figures["non_commercial"]:
        return Note(f"Licences: {'; '.join(figures['licences'])}.", "good")
    sets = figures["sets"].items()
    silent = [name for name, values in sets if "not stated" in values["licences"]]
    stated = {name: [line for line in values["licences"] if line != "not stated"] for name, values in sets}
    barred = [name for name, lines in stated.items() if any(map(is_non_commercial, lines))]
    words = [f"Not for commercial use: {', '.join(barred)}."] if barred else []
    words += [f"Licence not stated: {', '.join(silent)}; give it with --licence when preparing."] if silent else []
    return Note(f"{' '.join(words)} What is trained on them inherits it.", "warning")


def _lengths(bins: Mapping[str, Any]) -> Drawing:
    return Drawing(histogram(bins["bin_s"], bins["clips"], "length, s", "clips"), "How many clips there are by length.")


def _added(figures: Mapping[str, Any]) -> list[Block]:
    """Labels and fields, where the store has any."""
    labels, fields = label_rows(figures["labels"]), field_rows(figures)
    blocks: list[Block] = [Heading("Labels"), Table(LABEL_HEADER, labels)] if labels else []
    return blocks + ([Heading("Added fields"), Table(FIELD_HEADER, fields)] if fields else [])


def _findings(figures: Mapping[str, Any]) -> list[Block]:
    looked = figures["clips_looked_through"]
    if not looked:
        return []
    words = "All clips" if looked == figures["clips"] else f"{looked:,} clips, spread evenly,"
    how = f"{words} were looked through, the first {figures['frames_looked_through']:,} frames of each."
    blocks: list[Block] = [Heading("What is odd"), Note(how)]
    rows = figures["findings"]
    return [*blocks, findings_table(rows) if rows else Note("Nothing odd was found.", "good")]
