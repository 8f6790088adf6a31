"""Which frames of a clip a text such as "10:200:2" means."""

from __future__ import annotations

from vitruve.errors import UsageError


def frame_range(text: str, count: int) -> slice:
    """First frame, end and step of "10:200", "::2", "100:" or of one frame's number; at least one frame is left.

    Args:
        text: what the user wrote; frames count from 0, negative numbers from the end.
        count: how many frames there are.
    """
    parts = text.split(":")
    try:
        numbers = [int(part) if part.strip() else None for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) == 1 and numbers[0] is not None:
        numbers = [numbers[0], numbers[0] + 1 or None]
    if len(numbers) not in (2, 3) or (len(numbers) == 3 and numbers[2] is not None and numbers[2] < 1):
        raise UsageError(
            f"'{text}' does not say which frames",
            where=f"--frames {text}",
            fix="write FIRST:END, FIRST:END:STEP with a step above zero, or one frame: --frames 10:200",
        )
    chosen = slice(*numbers)
    if not range(count)[chosen]:
        raise UsageError(
            "there are no such frames",
            where=f"--frames {text}: there are {count}, the first is 0",
            fix=f"--frames 0:{min(count, 10)}",
        )
    return chosen
