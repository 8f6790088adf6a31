"""Find the inputs of a command: from files, folders, patterns and lists, each with its relative path."""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vitruve.errors import BadData, MissingAsset, UsageError, nearest
from vitruve.jobs.earlier_results import earlier_results
from vitruve.jobs.work import InputKind

RESULT = "is the result of an earlier run on another of these files"
_LIST_ENDINGS = (".txt", ".lst")


@dataclass(frozen=True)
class Input:
    """A file, or a folder that is one input.

    Attributes:
        path: absolute.
        relative: to the folder that was searched; only the name for a file that was named.
    """

    path: Path
    relative: Path


@dataclass(frozen=True)
class _Search:
    """What to search for, the folder to leave out, and the files that were skipped."""

    kind: InputKind
    skip: Path | None
    passed: list[Path] = field(default_factory=list)

    def accepts(self, path: Path) -> bool:
        """Whether a file found in a folder is an input; other files with a fitting suffix are noted."""
        if path.suffix.lower() not in self.kind.endings:
            return False
        if not self.kind.is_input(path):
            self.passed.append(path)
            return False
        return True


def find_inputs(
    named: Sequence[str | Path], kind: InputKind, skip: Path | None = None
) -> tuple[list[Input], dict[Path, str]]:
    """Find the inputs.

    Args:
        named: files; folders, which are searched recursively; patterns such as "data/**/*.npz"; lists of paths, one a
            line, as "@files.txt" or "files.txt".
        kind: what counts as an input.
        skip: a folder that is not searched: the output.

    Returns:
        (the inputs, the skipped files and why). Files in folders are skipped whose suffix fits but whose content does
        not, and results of an earlier run beside their sources. An unreadable file counts as an input: it will fail and
        be reported.

    Raises:
        MissingAsset: a name does not exist.
        UsageError: nothing was found.
    """
    if not named:
        raise UsageError("no input was given", fix=kind.example)
    search = _Search(kind, skip)
    found = {entry.path: entry for name in named for entry in _expand(str(name), search)}
    results = earlier_results(list(found)) - {_absolute(Path(name).expanduser()) for name in named}
    inputs = [entry for entry in found.values() if entry.path not in results]
    if not inputs:
        passed = f"; {len(search.passed)} files there hold none" if search.passed else ""
        raise UsageError(
            f"no {kind.noun} was found",
            where=", ".join(str(name) for name in named) + passed,
            fix="look at a file: vitruve info FILE",
        )
    return inputs, dict.fromkeys(search.passed, f"holds no {kind.noun}") | dict.fromkeys(sorted(results), RESULT)


def _expand(name: str, search: _Search) -> list[Input]:
    if name.startswith("@"):
        return _from_list(Path(name[1:]), search)
    path = Path(name).expanduser()
    if path.is_dir():
        return _from_folder(path, search)
    if path.is_file() and path.suffix.lower() in _LIST_ENDINGS:
        return _from_list(path, search)
    if path.exists():
        return [Input(_absolute(path), Path(path.name))]
    if glob.has_magic(name):
        return _from_pattern(os.path.expanduser(name), search)
    siblings = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = nearest(path.name, siblings) if 0 < len(siblings) < 10_000 else f"the folder {path.parent} does not exist"
    raise MissingAsset(f"there is no file {path}", where=str(path.parent), fix=hint)


def _from_pattern(pattern: str, search: _Search) -> list[Input]:
    # Each entry by its shortest path: with a link to a parent folder, "**" finds it forty times.
    shortest: dict[str, Path] = {}
    for path in sorted(map(Path, sorted(glob.glob(pattern, recursive=True))), key=lambda path: len(path.parts)):
        shortest.setdefault(os.path.join(os.path.realpath(path.parent), path.name), path)
    paths = sorted(shortest.values())
    if not paths:
        raise MissingAsset(f"nothing fits the pattern {pattern}", where=os.getcwd(), fix="check the pattern")
    endings = search.kind.endings
    files = [p for p in paths if p.is_file() and not _is_below(p, search.skip) and p.suffix.lower() in endings]
    if not files:  # the pattern names folders
        return [entry for path in paths if path.is_dir() for entry in _from_folder(path, search, Path(path.name))]
    fixed = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), Path(pattern).parts[:-1]))
    return [Input(_absolute(path), path.relative_to(fixed)) for path in files if search.accepts(path)]


def _from_list(path: Path, search: _Search) -> list[Input]:
    """The files in a list keep their folders below the one that they all share."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(
            "the list cannot be read", where=f"{path}: {error}", fix="give a text with a path a line"
        ) from None
    names = {number: line.strip() for number, line in enumerate(lines, start=1) if line.strip()}
    names = {number: name for number, name in names.items() if not name.startswith("#")}
    for number, name in names.items():
        if not Path(name).expanduser().exists() and not glob.has_magic(name):
            raise MissingAsset(
                f"there is no file {name}",
                where=f"{path}, line {number}; paths are relative to {os.getcwd()}",
                fix="correct the list, or run in the folder that its paths are relative to",
            )
    paths = [entry.path for name in names.values() for entry in _expand(name, search)]
    if not paths:
        return []
    shared = Path(os.path.commonpath([entry.parent for entry in paths]))
    return [Input(entry, entry.relative_to(shared)) for entry in paths]


def _from_folder(folder: Path, search: _Search, prefix: Path = Path()) -> list[Input]:
    """All inputs below a folder, or the folder itself where it is one input."""
    kind = search.kind
    if kind.is_one_folder(folder):
        return [Input(_absolute(folder), Path(_absolute(folder).name))]
    found: list[Path] = []
    seen: set[str] = set()
    skip = None if _is_below(folder, search.skip) else search.skip  # a folder that is named is searched
    for place, folders, files in os.walk(folder, followlinks=True):
        here, real = Path(place), os.path.realpath(place)
        if real in seen or _is_below(here, skip):
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in [name for name in folders if kind.is_one_folder(here / name)]:
            found.append(here / name)
            folders.remove(name)
        found += [here / name for name in sorted(files) if not name.startswith(".") and search.accepts(here / name)]
    return [Input(_absolute(path), prefix / path.relative_to(folder)) for path in found]


def _is_below(path: Path, folder: Path | None) -> bool:
    return folder is not None and _absolute(path).is_relative_to(_absolute(folder))


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # not resolve(): a link stays a link
