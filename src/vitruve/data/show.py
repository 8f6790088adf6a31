"""Figures of a store: counts, hours, frame rates, lengths, joint angles, and findings about its clips."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from vitruve.data.clips import Clip
from vitruve.data.fields import field_counts
from vitruve.data.labels import label_figures
from vitruve.data.sampling import evenly
from vitruve.data.store import Store
from vitruve.motion.checks import inspect_motion
from vitruve.motion.finding import Finding, summarise_findings
from vitruve.runs.progress import Progress
from vitruve.skeletons import load_skeleton

# Frames that joint angles are measured on, and the first frames of each inspected clip.
_SAMPLE, LOOKED = 20_000, 1_000


def store_figures(store: Store, inspect: int = 100, progress: Progress | None = None) -> dict[str, Any]:
    """Everything that `vitruve data show` prints, as plain numbers and text.

    Args:
        store: an open store.
        inspect: how many clips are inspected for oddities, spread evenly; 0 for none.
        progress: called with clips inspected and clips to inspect.
    """
    by_set: dict[str, list[Clip]] = defaultdict(list)
    for clip in store.clips:
        by_set[clip.set].append(clip)
    inspected = evenly(store.clips, inspect)
    return {
        "store": str(store.path),
        **_counts(store.clips),
        "sets": {name: _counts(clips) for name, clips in by_set.items()},
        "hours_by_fps": _hours(store.clips, lambda clip: f"{clip.fps:g}"),
        "hours_by_body": _hours(store.clips, lambda clip: clip.body),
        "hours_by_gender": _hours(store.clips, lambda clip: clip.gender),
        "seconds": _spread([clip.seconds for clip in store.clips]),
        "seconds_histogram": _lengths(store.clips),
        "turns_deg": _turns(store),
        "labels": label_figures(store),
        "fields": field_counts(store),
        "clips_looked_through": len(inspected),
        "frames_looked_through": LOOKED,
        "findings": _findings(store, inspected, progress),
    }


def _counts(clips: Sequence[Clip]) -> dict[str, Any]:
    retargeted = [clip for clip in clips if clip.error_mm is not None]
    frames = sum(clip.frames for clip in retargeted)
    error = sum((clip.error_mm or 0.0) * clip.frames for clip in retargeted) / frames if frames else None
    licences = sorted({clip.licence or "not stated" for clip in clips})
    return {
        "clips": len(clips),
        "subjects": len({(clip.set, clip.subject) for clip in clips}),
        "frames": sum(clip.frames for clip in clips),
        "hours": sum(clip.seconds for clip in clips) / 3600,
        "masked_frames": sum(clip.masked for clip in clips),
        "fps": sorted({clip.fps for clip in clips}),
        "bodies": sorted({clip.body for clip in clips}),
        "genders": sorted({clip.gender for clip in clips}),
        "licences": licences,
        "non_commercial": any(is_non_commercial(clip.licence) for clip in clips),
        "retarget_error_mm": error,
    }


def is_non_commercial(licence: str) -> bool:
    """Whether a licence excludes commercial use, or is not stated."""
    text = licence.lower().replace("‑", "-")
    return not text or bool(re.search(r"non-? ?commercial|\bby-nc\b|\bnc\b|research only", text))


def _hours(clips: Iterable[Clip], kind: Callable[[Clip], str]) -> dict[str, float]:
    out: dict[str, float] = defaultdict(float)
    for clip in clips:
        out[kind(clip)] += clip.seconds / 3600
    return dict(sorted(out.items(), key=lambda item: -item[1]))


def _spread(values: Sequence[float]) -> dict[str, float]:
    low, middle, high = np.percentile(values, [5, 50, 95]).tolist() if values else (0.0, 0.0, 0.0)
    return {"p5": low, "median": middle, "p95": high, "max": max(values, default=0.0)}


def _lengths(clips: Sequence[Clip]) -> dict[str, Any]:
    """Histogram of clip lengths."""
    longest = max((clip.seconds for clip in clips), default=1.0)
    usual = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600, 86400)
    width = next((width for width in usual if longest / width <= 50), longest / 50)
    bins = np.bincount([int(clip.seconds / width) for clip in clips])
    return {"bin_s": width, "clips": bins.tolist()}


def _turns(store: Store) -> dict[str, dict[str, float]]:
    """Joint -> its angle from rest in degrees: median and 95th percentile over frames."""
    rows = np.linspace(0, len(store) - 1, min(_SAMPLE, len(store))).astype(np.int64)
    rows = rows[store.mask(rows).numpy()]
    if not len(rows):
        return {}
    angles = np.rad2deg(store.body(rows).norm(dim=-1).numpy())
    names = load_skeleton("smplh52").names[1:22]
    median, high = np.percentile(angles, [50, 95], axis=0).round(2).tolist()
    return {name: {"median": a, "p95": b} for name, a, b in zip(names, median, high)}


def _findings(store: Store, clips: Sequence[Clip], progress: Progress | None) -> list[dict[str, Any]]:
    found: list[tuple[str, Finding]] = []
    for number, clip in enumerate(clips, start=1):
        found += [(clip.key, finding) for finding in inspect_motion(store.motion(clip)[:LOOKED])]
        if progress:
            progress(number, len(clips))
    return summarise_findings(found)
