"""The inputs of a command that takes many files: from files, folders, patterns and lists, each with its place below."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
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
        relative: its place below the folder that was searched; just its name for a file that was named.
    """

    path: Path
    relative: Path


@dataclass(frozen=True)
class _Search:
    """One search: for what, where not, and what was passed over."""

    kind: InputKind
    skip: Path | None
    passed: list[Path] = field(default_factory=list)


def find_inputs(
    named: Sequence[str | Path], kind: InputKind, skip: Path | None = None
) -> tuple[list[Input], dict[Path, str]]:
    """Find the inputs.

    Args:
        named: files; folders, which are searched with all folders below; patterns such as "data/**/*.npz"; lists of
            paths, one a line, as "@files.txt" or "files.txt".
        kind: what counts as an input.
        skip: a folder that is not searched: the output.

    Returns:
        (the inputs, the files that are passed over and why: those of folders whose ending fits and whose content does
        not, and results of an earlier run beside their sources). A file that cannot be read counts as an input: it will
        fail and be reported.

    Raises:
        MissingAsset: something that was named is not there.
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
        return _listed(Path(name[1:]), search)
    path = Path(name).expanduser()
    if path.is_dir():
        return _searched(path, search)
    if path.is_file() and path.suffix.lower() in _LIST_ENDINGS:
        return _listed(path, search)
    if path.exists():
        return [Input(_absolute(path), Path(path.name))]
    if glob.has_magic(name):
        return _matched(name, search)
    siblings = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = nearest(path.name, siblings) if 0 < len(siblings) < 10_000 else f"the folder {path.parent} is not there"
    raise MissingAsset(f"there is no file {path}", where=str(path.parent), fix=hint)


def _matched(pattern: str, search: _Search) -> list[Input]:
    paths = _once([Path(path) for path in sorted(glob.glob(os.path.expanduser(pattern), recursive=True))])
    if not paths:
        raise MissingAsset(f"nothing fits the pattern {pattern}", where=os.getcwd(), fix="check the pattern")
    files = [path for path in paths if path.is_file() and not _below(path, search.skip) and _fits(path, search)]
    if not files:  # folders were meant
        return [entry for path in paths if path.is_dir() for entry in _searched(path, search, Path(path.name))]
    fixed = Path(*_parts_before_magic(os.path.expanduser(pattern)))
    return [Input(_absolute(path), path.relative_to(fixed)) for path in files if _is_input(path, search)]


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


def _listed(path: Path, search: _Search) -> list[Input]:
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
    paths = [entry.path for name in names for entry in _expand(name, search)]
    if not paths:
        return []
    shared = Path(os.path.commonpath([entry.parent for entry in paths]))
    return [Input(entry, entry.relative_to(shared)) for entry in paths]


def _searched(folder: Path, search: _Search, below: Path = Path()) -> list[Input]:
    """All inputs below a folder, or the folder itself where it is one input."""
    kind = search.kind
    if kind.is_one_folder(folder):
        return [Input(_absolute(folder), Path(_absolute(folder).name))]
    found: list[Input] = []
    seen: set[str] = set()
    skip = None if _below(folder, search.skip) else search.skip  # named by itself, so it is wanted
    for place, folders, files in os.walk(folder, followlinks=True):
        here = Path(place)
        real = os.path.realpath(place)
        if real in seen or _below(here, skip):
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in [name for name in folders if kind.is_one_folder(here / name)]:
            found.append(Input(_absolute(here / name), below / (here / name).relative_to(folder)))
            folders.remove(name)
        for name in sorted(files):
            path = here / name
            if not name.startswith(".") and _fits(path, search) and _is_input(path, search):
                found.append(Input(_absolute(path), below / path.relative_to(folder)))
    return found


def _fits(path: Path, search: _Search) -> bool:
    return path.suffix.lower() in search.kind.endings


def _is_input(path: Path, search: _Search) -> bool:
    """Whether a file that was not named by itself is an input; notes it where it is not."""
    if search.kind.is_input(path):
        return True
    search.passed.append(path)
    return False


def _below(path: Path, folder: Path | None) -> bool:
    return folder is not None and _absolute(path).is_relative_to(_absolute(folder))


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # not resolve(): a link stays a link
