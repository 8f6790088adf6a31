"""Words that commands and pages put round numbers."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """Such as "1 frame" or "1,200 frames"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
