"""The page about a clip store: its content, lengths and variety, and what is odd."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vitruve.data.show import is_non_commercial
from vitruve.data.splits import hours_text
from vitruve.report.blocks import Block, Drawing, Heading, Note, Table, made_by, page
from vitruve.report.findings import findings_table
from vitruve.report.plots import bars, histogram
from vitruve.words import counted

SET_HEADER = ("set", "clips", "subjects", "frames", "hours", "fps", "body", "masked", "retarget, mm")
LICENCE_HEADER = ("licence", "sets")
LABEL_HEADER = ("labels", "", "clips", "hours")
FIELD_HEADER = ("added field", "a frame", "type", "between frames", "frames")
# How many labels of a kind a table shows: there can be thousands of texts.
_MOST_LABELS = 20
_COLUMNS_EXPLAINED = (
    "Masked frames hold no valid data. The last column is the mean distance of the joints from the recorded ones, "
    "where a recording on another skeleton was retargeted to a body."
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
    """Rows under LABEL_HEADER of `vitruve.data.labels.label_figures`, the most frequent first; the rest is counted."""
    rows: list[tuple[str, ...]] = []
    for kind, counts in labels.items():
        order = sorted(counts, key=lambda label: (-counts[label]["clips"], label))
        for label in order[:_MOST_LABELS]:
            rows.append((kind, label, f"{counts[label]['clips']:,}", hours_text(counts[label]["hours"])))
        if order[_MOST_LABELS:]:
            rows.append((kind, f"and {len(order) - _MOST_LABELS:,} more", "", ""))
    return rows


def field_rows(figures: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """One row for each added field, under FIELD_HEADER."""
    return [
        (name, str(row["shape"]), row["dtype"], row["interpolation"], f"{row['frames']:,} of {figures['frames']:,}")
        for name, row in figures["fields"].items()
    ]


def label_and_field_tables(figures: Mapping[str, Any]) -> list[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    """Header and rows of the labels and of the added fields, where the store has any."""
    tables = [(LABEL_HEADER, label_rows(figures["labels"])), (FIELD_HEADER, field_rows(figures))]
    return [(header, rows) for header, rows in tables if rows]


def _few(words: list[str], most: int = 3) -> str:
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def data_page(figures: Mapping[str, Any]) -> str:
    """The page as HTML, from `vitruve.data.show.store_figures`."""
    seconds, turns, lengths = figures["seconds"], figures["turns_deg"], figures["seconds_histogram"]
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
        Note(_COLUMNS_EXPLAINED),
        Table(LICENCE_HEADER, licence_rows(figures)),
        *(
            block
            for header, rows in label_and_field_tables(figures)
            for block in (Heading("Labels" if header == LABEL_HEADER else "Added fields"), Table(header, rows))
        ),
        *_findings(figures),
        Heading("How long clips are"),
        Drawing(histogram(lengths["bin_s"], lengths["clips"], "length, s", "clips"), "Number of clips by length."),
        Heading("What they were recorded with"),
        Drawing(bars({f"{fps} fps": h for fps, h in figures["hours_by_fps"].items()}, "hours"), "Hours by frame rate."),
        Drawing(bars(figures["hours_by_body"], "hours"), "Hours by body."),
        Drawing(bars(figures["hours_by_gender"], "hours"), "Hours by gender of the body."),
        Heading("How far joints turn"),
    ]
    if turns:
        plot = bars({name: turn["p95"] for name, turn in turns.items()}, "degrees")
        blocks.append(Drawing(plot, "Degrees from rest that 95 % of the frames stay below, by joint."))
    return page("Clip store", blocks, f"{figures['store']}. {made_by('data show')}")


def _oddities(figures: Mapping[str, Any]) -> str:
    """A summary of `_findings`."""
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
    licences = {name: set(values["licences"]) for name, values in figures["sets"].items()}
    unknown = [name for name, lines in licences.items() if "not stated" in lines]
    barred = [name for name, lines in licences.items() if any(map(is_non_commercial, lines - {"not stated"}))]
    sentences = [f"Not for commercial use: {', '.join(barred)}."] if barred else []
    sentences += (
        [f"Licence not stated: {', '.join(unknown)}; give it with --licence when preparing."] if unknown else []
    )
    return Note(f"{' '.join(sentences)} Everything trained on them inherits it.", "warning")


def _findings(figures: Mapping[str, Any]) -> list[Block]:
    looked = figures["clips_looked_through"]
    if not looked:
        return []
    words = "All clips" if looked == figures["clips"] else f"{looked:,} clips, spread evenly,"
    how = f"{words} were looked through, the first {figures['frames_looked_through']:,} frames of each."
    blocks: list[Block] = [Heading("What is odd"), Note(how)]
    rows = figures["findings"]
    return [*blocks, findings_table(rows) if rows else Note("Nothing odd was found.", "good")]
