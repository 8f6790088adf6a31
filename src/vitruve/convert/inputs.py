"""Which files a conversion of many is about: files, folders, patterns and lists, each with its place in the output."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vitruve.convert.earlier import earlier_results
from vitruve.errors import BadData, MissingAsset, UsageError, VitruveError
from vitruve.formats import FORMATS, recognise
from vitruve.formats.glimpse import Glimpse, glimpse, is_mesh_folder, is_transfer_folder

# Why a file is passed over.
NO_MOTION, RESULT = "holds no motion", "is the result of an earlier conversion of another of these files"
_LIST_ENDINGS = (".txt", ".lst")
_ENDINGS = frozenset(ending for row in FORMATS.values() for ending in row.endings if ending != "/")


@dataclass(frozen=True)
class Input:
    """A motion file, or a folder that is one motion.

    Attributes:
        path: absolute.
        relative: its place below the folder that was searched; just its name for a file that was named.
    """

    path: Path
    relative: Path


def find_inputs(given: Sequence[str | Path], skip: Path | None = None) -> tuple[list[Input], dict[Path, str]]:
    """The motions that are meant.

    Args:
        given: files; folders, which are searched with all folders below; patterns such as "data/**/*.npz"; lists of
            paths, one a line, as "@files.txt" or "files.txt".
        skip: a folder that is not searched: the output.

    Returns:
        (the motions, the files that are passed over and why: those of folders that hold no motion though their ending
        is that of one, and results of an earlier conversion beside their sources). A file that cannot be read counts as
        a motion: it will fail and be reported.

    Raises:
        MissingAsset: something that was named is not there.
        UsageError: nothing was found.
    """
    if not given:
        raise UsageError("no input was given", fix="vitruve convert walk.npz --to smplx")
    found: list[Input] = []
    passed: list[Path] = []
    for name in given:
        found += _expand(str(name), skip, passed)
    unique = {entry.path: entry for entry in found}
    results = earlier_results(list(unique)) - {_absolute(Path(name).expanduser()) for name in given}
    unique = [entry for entry in unique.values() if entry.path not in results]
    if not unique:
        raise UsageError(
            "no motion was found",
            where=", ".join(str(name) for name in given) + (f"; {len(passed)} files there hold none" if passed else ""),
            fix="look at a file: vitruve info FILE",
        )
    return unique, dict.fromkeys(passed, NO_MOTION) | dict.fromkeys(sorted(results), RESULT)


def _expand(name: str, skip: Path | None, passed: list[Path]) -> list[Input]:
    if name.startswith("@"):
        return _listed(Path(name[1:]), skip, passed)
    path = Path(name).expanduser()
    if path.is_dir():
        return _searched(path, skip, passed)
    if path.is_file() and path.suffix.lower() in _LIST_ENDINGS:
        return _listed(path, skip, passed)
    if path.exists():
        return [Input(_absolute(path), Path(path.name))]
    if glob.has_magic(name):
        return _matched(name, skip, passed)
    look = glimpse(path)  # raises the error that names the files beside it
    return [Input(_absolute(look.path), Path(path.name))]


def _matched(pattern: str, skip: Path | None, passed: list[Path]) -> list[Input]:
    paths = _once([Path(path) for path in sorted(glob.glob(os.path.expanduser(pattern), recursive=True))])
    if not paths:
        raise MissingAsset(f"nothing fits the pattern {pattern}", where=os.getcwd(), fix="check the pattern")
    files = [path for path in paths if path.is_file() and path.suffix.lower() in _ENDINGS and not _below(path, skip)]
    if not files:  # folders were meant
        return [entry for path in paths if path.is_dir() for entry in _searched(path, skip, passed, Path(path.name))]
    fixed = Path(*_parts_before_magic(os.path.expanduser(pattern)))
    return [Input(_absolute(path), path.relative_to(fixed)) for path in files if _is_motion(path, passed)]


def _once(paths: list[Path]) -> list[Path]:
    """Each entry of each folder by its shortest path: a link to a folder above makes "**" find it forty times."""
    by_place: dict[str, Path] = {}
    for path in sorted(paths, key=lambda path: len(path.parts)):
        by_place.setdefault(os.path.join(os.path.realpath(path.parent), path.name), path)
    return sorted(by_place.values())


def _parts_before_magic(pattern: str) -> Iterator[str]:
    for part in Path(pattern).parts[:-1]:
        if glob.has_magic(part):
            return
        yield part


def _listed(path: Path, skip: Path | None, passed: list[Path]) -> list[Input]:
    """The entries of a list keep their tree below the folder that they all share."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(
            "the list cannot be read", where=f"{path}: {error}", fix="give a text with a path a line"
        ) from None
    names = [line for line in lines if line and not line.startswith("#")]
    for number, name in enumerate(lines, start=1):
        if name in names and not Path(name).expanduser().exists() and not glob.has_magic(name):
            raise MissingAsset(
                f"there is no file {name}",
                where=f"{path}, line {number}; paths count from {os.getcwd()}",
                fix="mend the list, or run where its paths begin",
            )
    paths = [entry.path for name in names for entry in _expand(name, skip, passed)]
    if not paths:
        return []
    shared = Path(os.path.commonpath([entry.parent for entry in paths]))
    return [Input(entry, entry.relative_to(shared)) for entry in paths]


def _searched(folder: Path, skip: Path | None, passed: list[Path], below: Path = Path()) -> list[Input]:
    """All motions below a folder, or the folder itself where it is one motion."""
    if _is_one_motion(glimpse(folder)):
        return [Input(_absolute(folder), Path(_absolute(folder).name))]
    found: list[Input] = []
    seen: set[str] = set()
    skip = None if _below(folder, skip) else skip  # named by itself, so it is meant
    for place, folders, files in os.walk(folder, followlinks=True):
        here = Path(place)
        real = os.path.realpath(place)
        if real in seen or _below(here, skip):
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in [name for name in folders if _is_one_motion(glimpse(here / name))]:
            found.append(Input(_absolute(here / name), below / (here / name).relative_to(folder)))
            folders.remove(name)
        for name in sorted(files):
            path = here / name
            if not name.startswith(".") and path.suffix.lower() in _ENDINGS and _is_motion(path, passed):
                found.append(Input(_absolute(path), below / path.relative_to(folder)))
    return found


def _is_one_motion(look: Glimpse) -> bool:
    """A folder with one pickle or one mesh a frame, and with nothing that is a motion by itself."""
    others = sum(count for ending, count in look.endings.items() if ending in _ENDINGS - {".pkl"})
    return (is_transfer_folder(look) or is_mesh_folder(look)) and not others


def _is_motion(path: Path, passed: list[Path]) -> bool:
    """Whether a file that was not named by itself is to be converted."""
    try:
        look = glimpse(path)
    except VitruveError:
        return True  # damaged: to be reported, not passed over
    if look.kind in ("npz", "safetensors") and look.shapes:
        try:
            recognise(look)
        except VitruveError:
            passed.append(path)
            return False
    return True


def _below(path: Path, folder: Path | None) -> bool:
    return folder is not None and _absolute(path).is_relative_to(_absolute(folder))


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # not resolve(): a link stays a link
