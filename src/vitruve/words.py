"""Numbers with their nouns, for commands and report pages."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """Such as "1 frame" or "1,200 frames"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
