"""The errors Vitruve raises: what is wrong, where, and what to do about it, in three lines."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class VitruveError(Exception):
    """Something the user can mend. The command line prints it without a traceback.

    Args:
        what: one sentence: what is wrong.
        where: file, key, frame, and the shape found and expected.
        fix: what to do, as a command where there is one.
    """

    exit_code = 1

    def __init__(self, what: str, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.fix = what, where, fix

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.fix:
            lines.append(f"  do:    {self.fix}")
        return "\n".join(_printable(line) for line in lines)


def _printable(line: str) -> str:
    """Without what breaks lines or commands a terminal: names of files and keys may hold anything."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)


class UsageError(VitruveError):
    """The call itself cannot be meant: an unknown name, an impossible option."""

    exit_code = 2


class OutOfRange(UsageError, IndexError):
    """An index beyond the end. Python's own loops end by the IndexError that it is, too."""


class MissingAsset(VitruveError):
    """A body, extra or file that is needed was not found."""

    exit_code = 3


class BadData(VitruveError):
    """A file or array has content that cannot be right."""

    exit_code = 4


def nearest(name: str, choices: Iterable[str], count: int = 3) -> str:
    """A hint for an unknown name: the closest choices, or all of them where nothing is close.

    Returns:
        Text such as ``did you mean 'left_hip'?`` to put into an error's `fix`.
    """
    choices = [str(choice) for choice in choices]
    close = difflib.get_close_matches(str(name), choices, n=count, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(repr(choice) for choice in close) + "?"
    shown = ", ".join(choices[:12]) + (", ..." if len(choices) > 12 else "")
    return f"choose one of: {shown}"
