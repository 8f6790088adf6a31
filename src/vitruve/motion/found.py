"""Findings: all of one motion, with the notes of its reader; and a summary over many motions.

for finding in look_through(load_motion("walk.npz")):
    print(finding.severity, finding.what)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from vitruve.motion.finding import SEVERITIES, Finding
from vitruve.motion.findings import inspect_motion
from vitruve.motion.motion import DOUBTFUL, Motion


def look_through(motion: Motion) -> list[Finding]:
    """Findings about a motion and the notes of its reader, errors first."""
    return by_severity([*inspect_motion(motion), *map(finding_of_note, motion.source.notes)])


def finding_of_note(note: str) -> Finding:
    """A reader's note as a finding; one that begins with capitals is a warning."""
    if note.startswith(DOUBTFUL):
        return Finding("warning", note.removeprefix(DOUBTFUL), trusted=False)
    return Finding("warning" if note[:4].isupper() else "note", note)


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Sorted by severity, errors first."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def gathered(found: Iterable[tuple[str, Finding]]) -> list[dict[str, Any]]:
    """Summarise the findings of many motions: each kind once, with its first text and a count.

    Args:
        found: (name of a motion, finding), grouped by motion.

    Returns:
        Rows with the fields of a finding, `clips` (how many motions have it) and `first` (the first of them); errors
        first, then the most frequent.
    """
    names: dict[tuple[str, str], list[str]] = {}
    firsts: dict[tuple[str, str], Finding] = {}
    for name, finding in found:
        # Texts that differ only in numbers are the same kind.
        what = re.sub(r"-?\d[\d.,]*", "n", re.sub(r"\bonce\b", "1 times", finding.what))
        known = names.setdefault((finding.severity, what), [])
        if not known or known[-1] != name:
            known.append(name)
        firsts.setdefault((finding.severity, what), finding)
    rows = [{**asdict(firsts[kind]), "clips": len(has), "first": has[0]} for kind, has in names.items()]
    return sorted(rows, key=lambda row: (SEVERITIES.index(row["severity"]), -row["clips"]))


def in_words(row: Mapping[str, Any]) -> str:
    """One sentence for a finding given as a mapping (from `dataclasses.asdict`)."""
    where = f" ({row['where']})" if row["where"] else ""
    return f"{row['what']}{where}" + (f": {row['hint']}" if row["hint"] else "")
