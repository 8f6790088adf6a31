"""The errors Vitruve raises: three lines that say what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path


class VitruveError(Exception):
    """An error that the user can fix. The command line prints it without a traceback.

    Args:
        what: what is wrong, in one sentence; lower case, no full stop.
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
    """Escape line breaks and terminal control codes: file names and keys may hold anything."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)


class UsageError(VitruveError):
    """The call is invalid: an unknown name, an impossible option."""

    exit_code = 2


class OutOfRange(UsageError, IndexError):
    """An index beyond the end. It is an IndexError too, so that Python's own loops end."""


class MissingAsset(VitruveError):
    """A required body, extra or file is missing."""

    exit_code = 3


class BadData(VitruveError):
    """A file or array has invalid content."""

    exit_code = 4


class NotWritten(VitruveError):
    """Writing failed because of the machine (disk full, no permission); retry once that is fixed."""

    exit_code = 6


# EFBIG (file size limit) has the same fix as a full disk. Windows has no EDQUOT.
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
# The path itself is impossible, such as a file below a file.
_IMPOSSIBLE = {errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}


def not_written(error: OSError, place: str | PathLike[str], then: str = "run it again") -> VitruveError:
    """Turn an OSError from writing into the error to raise; everything that writes files uses it.

    Args:
        error: the system's error.
        place: the final path of the file or folder, not its temporary name.
        then: what to do once the cause is fixed.

    Returns:
        NotWritten where the machine is to blame; UsageError where the path is impossible, such as below a file.
    """
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    what = f"{Path(place).name or place} cannot be written: {reason}"
    if error.errno in _FULL:
        return NotWritten(what, where=str(place), fix=f"make room on the disk, and {then}")
    if error.errno in _FORBIDDEN:
        fix = f"check the permissions and {then}, or choose another place"
        return NotWritten(what, where=str(place), fix=fix)
    if error.errno in _IMPOSSIBLE:
        return UsageError(what, where=str(place), fix="choose another place: --out")
    return NotWritten(what, where=str(place), fix=f"check the disk, and {then}")


def is_unwritable(error: OSError) -> bool:
    """Whether an error can only come from writing (disk full, read-only file system)."""
    return error.errno in _FULL or error.errno == errno.EROFS


@contextmanager
def writing(place: str | PathLike[str], then: str = "run it again") -> Iterator[None]:
    """Translate OSErrors inside the block with `not_written`; for blocks that only write."""
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
