"""Where results of `vitruve convert` go: the place, and the name of each."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vitruve.convert.options import Options
from vitruve.errors import UsageError, nearest
from vitruve.formats import FORMATS
from vitruve.formats.exporters.table import EXPORTS
from vitruve.formats.readers.poses_by_id import ENDINGS
from vitruve.jobs.inputs import Input

# The ending of a file; folders are called v1.5 or 2024.03 too.
_AN_ENDING = r"\.[A-Za-z][A-Za-z0-9]{1,11}"
_BY_LAYOUT = {"smplx": "amass-smplx", "smplh": "amass-smplh", "smpl": "smpl-npz", "mano": "vitruve"}
_WRITTEN_ENDINGS = {*ENDINGS, *(end for row in FORMATS.values() if row.write for end in row.endings if end != "/")}


@dataclass(frozen=True)
class Place:
    """Where results go.

    Attributes:
        folder: holds the ledger and what is said about the run; the results too, unless there is a single file.
        file: the one result, where a file was asked for.
    """

    folder: Path
    file: Path | None = None


def place_of(out: str | Path, inputs: int) -> Place:
    """Where results go for `--out`: a path with the ending of a motion file is a file, everything else a folder."""
    path = Path(os.path.abspath(Path(out).expanduser()))
    if path.suffix.lower() not in _WRITTEN_ENDINGS or path.is_dir():
        if path.suffix.lower() in EXPORTS and not path.is_dir():
            raise UsageError(
                f"'{path.suffix}' is no motion file; it is exported from one",
                where=f"--out {out}",
                fix=f"convert to an .npz, then: vitruve export FILE.npz -o {path.name}",
            )
        if path.exists() and not path.is_dir():
            raise UsageError(
                f"{path.name} is a file that is no motion; a folder or a motion file can be written",
                where=str(path),
                fix=f"choose a folder, or one of the endings {' '.join(sorted(_WRITTEN_ENDINGS))}",
            )
        return Place(path)
    if inputs > 1:
        raise UsageError(
            f"{inputs} motions cannot go into one file", where=f"--out {out}", fix="give a folder: --out converted"
        )
    return Place(path.with_name(f"{path.stem}-report"), path)


def refuse_misspelt(place: Place, out: str | Path) -> None:
    """Raise UsageError where one motion would get a folder that is called as a file is, `walk.xyz` say."""
    suffix = place.folder.suffix
    if place.file is None and not place.folder.exists() and re.fullmatch(_AN_ENDING, suffix):
        raise UsageError(
            f"'{suffix}' is not the ending of a motion file",
            where=f"--out {out}",
            fix=f"{nearest(suffix.lower(), sorted(_WRITTEN_ENDINGS))} A folder of that name is to be made first: mkdir",
        )


def outputs_of(inputs: Sequence[Input], place: Place, options: Options) -> list[Path]:
    """The output of each input: the same tree and names, with the ending of the format.

    Raises:
        UsageError: the format cannot be written.
    """
    name = format_of(options)
    if place.file is not None:
        if options.format and place.file.suffix.lower() not in FORMATS[name].endings:
            raise UsageError(
                f"'{name}' is not written with the ending '{place.file.suffix}'",
                where=f"--format {name} --out {place.file}",
                fix=f"give one of the two; this format ends in {' '.join(FORMATS[name].endings)}",
            )
        return [place.file]
    ending = FORMATS[name].endings[0].rstrip("/")
    paths = []
    for entry in inputs:
        stem = entry.relative.name if entry.path.is_dir() else entry.relative.stem
        paths.append(place.folder / entry.relative.with_name(stem + ending))
    return paths


def format_of(options: Options) -> str:
    """The name of the format that folders are filled with."""
    if options.format:
        if options.format not in FORMATS:
            raise UsageError(f"there is no format '{options.format}'", fix=nearest(options.format, FORMATS))
        if not FORMATS[options.format].write:
            writable = ", ".join(name for name, row in FORMATS.items() if row.write)
            raise UsageError(f"'{options.format}' can be read, not written", fix=f"choose one of: {writable}")
        return options.format
    layout = next((layout for layout in ("smplx", "smplh", "smpl", "mano") if layout in options.to.lower()), "smplx")
    return _BY_LAYOUT[layout]
