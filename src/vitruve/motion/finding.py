"""One thing that is odd about a motion."""

from __future__ import annotations

from dataclasses import dataclass

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One odd thing.

    Attributes:
        severity: "error": the motion cannot be used so; "warning": probably wrong; "note": good to know.
        what: one sentence.
        where: frames (counted from 0), joints, values.
        hint: what to do about it, or what it usually means; may be empty.
        trusted: False where what is made of the motion should not be used without a look.
    """

    severity: str
    what: str
    where: str = ""
    hint: str = ""
    trusted: bool = True
