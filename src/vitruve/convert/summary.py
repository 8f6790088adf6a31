"""The figures of a conversion of many files: one set of figures over all files, from the lines of the ledger."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any

from vitruve.jobs.work import Entry
from vitruve.motion.finding import Finding, finding_text, summarise_findings


def summarise(entries: Sequence[Entry], failed: Sequence[Entry]) -> dict[str, Any]:
    """Figures over all files that are done, units in the keys; the content of `results.json`.

    Means are over frames. `error_mm.p95` is the mean over frames of each file's 95th percentile over points; for one
    file it is that percentile. `seconds` is the time from before reading to after writing, summed over the files; what
    a process needs once (bodies, surface maps, compiled code) stands apart in `start_seconds`.
    """
    frames = sum(entry["frames"] for entry in entries)
    seconds = sum(entry["seconds"] for entry in entries)
    results: dict[str, Any] = {
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
    }
    results["error_mm"] = {
        "mean": _mean(entries, lambda entry: entry["error_mm"]["mean"]),
        "p95": _mean(entries, lambda entry: entry["error_mm"]["p95"]),
        "max": max((entry["error_mm"]["max"] for entry in entries), default=None),
        "groups": {
            group: _mean(entries, lambda entry, group=group: entry["error_mm"]["groups"].get(group))
            for group in _names(entry["error_mm"]["groups"] for entry in entries)
        },
    }
    results["jitter_mm"] = _mean(entries, lambda entry: entry["jitter_mm"])
    results["map_residual_mm"] = _mean(entries, lambda entry: entry["map_residual_mm"])
    results["stages"] = {
        stage: sum(entry["stages"].get(stage, 0.0) for entry in entries)
        for stage in _names(entry["stages"] for entry in entries)
    }
    results["findings"] = summarise_findings(
        (entry["output"].removeprefix("../"), Finding(**row)) for entry in entries for row in entry.get("findings", ())
    )
    return results


def reasons(entry: Entry) -> list[str]:
    """Why a result is not to be trusted, and what else there is to know of it: what spoils it first."""
    found = [row for row in entry.get("findings", ()) if not row["trusted"]]
    return [*map(finding_text, found), *entry["warnings"]]


def worst_first(entries: Iterable[Entry]) -> list[Entry]:
    """Entries by their trust, then by their mean error."""
    return sorted(entries, key=lambda entry: (entry["trusted"], -(_finite(entry["error_mm"]["mean"]) or 0.0)))


def histogram(entries: Sequence[Entry]) -> list[float]:
    """Frames in each bin of mean error, over all files."""
    return [sum(counts) for counts in zip_longest(*(entry["histogram"] for entry in entries), fillvalue=0.0)]


def _names(mappings: Iterable[Any]) -> list[str]:
    """All keys, in the order in which they first come."""
    return list({name: None for mapping in mappings for name in mapping})


def _mean(entries: Sequence[Entry], value: Any) -> float | None:
    """The mean over frames of the files that have the value."""
    pairs = [(_finite(value(entry)), entry["frames"]) for entry in entries]
    known = [(figure, frames) for figure, frames in pairs if figure is not None]
    total = sum(frames for _, frames in known)
    return sum(figure * frames for figure, frames in known) / total if total else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
