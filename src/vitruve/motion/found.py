"""What is odd about one motion as a whole, with what its reader said; and about many, put together.

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
    """What is odd about a motion and what its reader had to decide, errors first."""
    return by_severity([*inspect_motion(motion), *map(finding_of_note, motion.source.notes)])


def finding_of_note(note: str) -> Finding:
    """A reader's note; one that begins with capitals must not be overlooked."""
    if note.startswith(DOUBTFUL):
        return Finding("warning", note.removeprefix(DOUBTFUL), trusted=False)
    return Finding("warning" if note[:4].isupper() else "note", note)


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def gathered(found: Iterable[tuple[str, Finding]]) -> list[dict[str, Any]]:
    """Of many motions: each kind of finding once, in the words about the first, with how many have it.

    Args:
        found: the name of a motion and what is odd about it, name by name.

    Returns:
        Rows of a finding's fields with `clips`, how many motions have it, and `first`, the first of them; errors first,
        then what most have.
    """
    names: dict[tuple[str, str], list[str]] = {}
    firsts: dict[tuple[str, str], Finding] = {}
    for name, finding in found:
        # The same thing whatever its numbers are.
        what = re.sub(r"-?\d[\d.,]*", "n", re.sub(r"\bonce\b", "1 times", finding.what))
        known = names.setdefault((finding.severity, what), [])
        if not known or known[-1] != name:
            known.append(name)
        firsts.setdefault((finding.severity, what), finding)
    rows = [{**asdict(firsts[kind]), "clips": len(has), "first": has[0]} for kind, has in names.items()]
    return sorted(rows, key=lambda row: (SEVERITIES.index(row["severity"]), -row["clips"]))


def in_words(row: Mapping[str, Any]) -> str:
    """A finding, as the mapping that `dataclasses.asdict` makes of it, in one sentence."""
    where = f" ({row['where']})" if row["where"] else ""
    return f"{row['what']}{where}" + (f": {row['hint']}" if row["hint"] else "")
