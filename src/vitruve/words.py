"""Counts and lists in words, for commands and report pages."""

from __future__ import annotations

from collections.abc import Sequence


def counted(count: int, noun: str) -> str:
    """Such as "1 frame" or "1,200 frames"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def few(words: Sequence[str], most: int = 4) -> str:
    """The first words, such as "a, b, c, d, ..."."""
    return ", ".join(words[:most]) + (", ..." if len(words) > most else "")
