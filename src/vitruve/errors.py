"""The errors Vitruve raises: what is wrong, where, and what to do about it, in three lines."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path


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


class NotWritten(VitruveError):
    """The machine did not take what was to be written; the same call works once that is mended."""

    exit_code = 6


# A limit on the size of files (EFBIG) is mended as a full disk is. Windows knows no quota.
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
# There can be no such file, a file below a file say.
_IMPOSSIBLE = {errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}


def not_written(error: OSError, place: str | PathLike[str], then: str = "run it again") -> VitruveError:
    """The error to show where a file or folder could not be written: one rule for all that writes.

    Args:
        error: what the system says.
        place: the file or folder, by the name that it was to have in the end.
        then: what to do when the reason is mended.

    Returns:
        NotWritten where the machine is to blame; UsageError where there can be no such place, such as below a file.
    """
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    what = f"{Path(place).name or place} cannot be written: {reason}"
    if error.errno in _FULL:
        return NotWritten(what, where=str(place), fix=f"make room on the disk, and {then}")
    if error.errno in _FORBIDDEN:
        fix = f"see who may write there and {then}, or choose another place"
        return NotWritten(what, where=str(place), fix=fix)
    if error.errno in _IMPOSSIBLE:
        return UsageError(what, where=str(place), fix="choose another place: --out")
    return NotWritten(what, where=str(place), fix=f"check the disk, and {then}")


def is_unwritable(error: OSError) -> bool:
    """Whether an error can only come from writing, whatever was at work."""
    return error.errno in _FULL or error.errno == errno.EROFS


@contextmanager
def writing(place: str | PathLike[str], then: str = "run it again") -> Iterator[None]:
    """Tell of the system's errors within as `not_written` does; for blocks that do nothing but write."""
    try:
        yield
    except OSError as error:
        raise not_written(error, place, then) from None


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
