"""The figures of a conversion of many files, from the lines of the ledger."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any

from vitruve.jobs.work import Entry
from vitruve.motion.finding import Finding, finding_text, summarise_findings


def summarise(entries: Sequence[Entry], failed: Sequence[Entry]) -> dict[str, Any]:
    """Figures over all converted files; the content of `results.json`.

    Means are over frames, also that of the files' 95th percentiles. `seconds` is the sum of the files' time from before
    reading to after writing; `start_seconds` is what a process loads once (bodies, surface maps, compiled code).
    """
    frames, seconds = (sum(entry[key] for entry in entries) for key in ("frames", "seconds"))
    errors = [(entry["error_mm"], entry["frames"]) for entry in entries]
    groups = _names(error["groups"] for error, _ in errors)
    return {
        "kinds": sorted({entry["facts"]["kind"] for entry in entries}),
        "files": len(entries),
        "failures": len(failed),
        "untrusted": sum(not entry["trusted"] for entry in entries),
        "warned": sum(any(row["severity"] != "note" for row in entry.get("findings", ())) for entry in entries),
        "frames": frames,
        "failed_frames": sum(entry["failed_frames"] for entry in entries),
        "masked_frames": sum(entry["masked_frames"] for entry in entries),
        "motion_hours": sum(entry["frames"] / entry["fps"] for entry in entries if entry["fps"]) / 3600,
        "seconds": seconds,
        "frames_per_second": frames / seconds if seconds else None,
        "start_seconds": sum(entry["start_seconds"] for entry in entries),
        "error_mm": {
            "mean": _mean((error["mean"], count) for error, count in errors),
            "p95": _mean((error["p95"], count) for error, count in errors),
            "max": max((error["max"] for error, _ in errors), default=None),
            "groups": {name: _mean((error["groups"].get(name), count) for error, count in errors) for name in groups},
        },
        "jitter_mm": _mean((entry["jitter_mm"], entry["frames"]) for entry in entries),
        "map_residual_mm": _mean((entry["map_residual_mm"], entry["frames"]) for entry in entries),
        "stages": {
            stage: sum(entry["stages"].get(stage, 0.0) for entry in entries)
            for stage in _names(entry["stages"] for entry in entries)
        },
        "findings": summarise_findings(
            (entry["output"].removeprefix("../"), Finding(**row))
            for entry in entries
            for row in entry.get("findings", ())
        ),
    }


def reasons(entry: Entry) -> list[str]:
    """The findings that make a result untrusted, then its warnings."""
    errors = [row for row in entry.get("findings", ()) if not row["trusted"]]
    return [*map(finding_text, errors), *entry["warnings"]]


def worst_first(entries: Iterable[Entry]) -> list[Entry]:
    """Untrusted entries first, then by mean error."""

    def order(entry: Entry) -> tuple[bool, float]:
        mean = entry["error_mm"]["mean"]
        return entry["trusted"], -mean if mean is not None and math.isfinite(mean) else 0.0

    return sorted(entries, key=order)


def histogram(entries: Sequence[Entry]) -> list[float]:
    """Frames in each bin of mean error, over all files."""
    return [sum(counts) for counts in zip_longest(*(entry["histogram"] for entry in entries), fillvalue=0.0)]


def _names(mappings: Iterable[Any]) -> list[str]:
    return list({name: None for mapping in mappings for name in mapping})


def _mean(values: Iterable[tuple[float | None, int]]) -> float | None:
    """The mean of the finite values, weighted by frames."""
    known = [(value, frames) for value, frames in values if value is not None and math.isfinite(value)]
    total = sum(frames for _, frames in known)
    return sum(value * frames for value, frames in known) / total if total else None
