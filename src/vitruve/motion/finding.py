"""What a check reports about a motion, and a summary of the findings of many motions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vitruve.motion.motion import DOUBTFUL

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """Something unusual about a motion.

    Attributes:
        severity: "error": the motion cannot be used as it is; "warning": probably wrong; "note": good to know.
        what: one sentence.
        where: frames (counted from 0), joints, values.
        hint: the fix or the usual cause; may be empty.
        trusted: False where results made from the motion need a check by eye.
    """

    severity: str
    what: str
    where: str = ""
    hint: str = ""
    trusted: bool = True


def finding_of_note(note: str) -> Finding:
    """A reader's note as a finding; one that begins with capitals is a warning."""
    if note.startswith(DOUBTFUL):
        return Finding("warning", note.removeprefix(DOUBTFUL), trusted=False)
    return Finding("warning" if note[:4].isupper() else "note", note)


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Sorted by severity, errors first."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def summarise_findings(found: Iterable[tuple[str, Finding]]) -> list[dict[str, Any]]:
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


def finding_text(row: Mapping[str, Any]) -> str:
    """One sentence for a finding given as a mapping (from `dataclasses.asdict`)."""
    where = f" ({row['where']})" if row["where"] else ""
    return f"{row['what']}{where}" + (f": {row['hint']}" if row["hint"] else "")
