"""The output folder of `vitruve convert`, and the path of each result."""

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

# The ending of a file; folders may be named v1.5 or 2024.03.
_FILE_ENDING = r"\.[A-Za-z][A-Za-z0-9]{1,11}"
_BY_LAYOUT = {"smplx": "amass-smplx", "smplh": "amass-smplh", "smpl": "smpl-npz", "mano": "vitruve"}
_WRITTEN_ENDINGS = {*ENDINGS, *(end for row in FORMATS.values() if row.write for end in row.endings if end != "/")}


@dataclass(frozen=True)
class Place:
    """Where results go.

    Attributes:
        folder: for the ledger, the records and, without `file`, the results.
        file: the path of the only result.
    """

    folder: Path
    file: Path | None = None


def place_of(out: str | Path, inputs: int) -> Place:
    """The place for `--out`: a path with the ending of a motion file is a file, everything else a folder."""
    path = Path(os.path.abspath(Path(out).expanduser()))
    if path.suffix.lower() not in _WRITTEN_ENDINGS or path.is_dir():
        if path.suffix.lower() in EXPORTS and not path.is_dir():
            raise UsageError(
                f"'{path.suffix}' is an export format, not a motion file",
                where=f"--out {out}",
                fix=f"convert to an .npz, then: vitruve export FILE.npz -o {path.name}",
            )
        if path.exists() and not path.is_dir():
            raise UsageError(
                f"{path.name} is an existing file, but not a motion file",
                where=str(path),
                fix=f"choose a folder, or one of the endings {' '.join(sorted(_WRITTEN_ENDINGS))}",
            )
        return Place(path)
    if inputs > 1:
        raise UsageError(
            f"{inputs} motions cannot be written to one file",
            where=f"--out {out}",
            fix="give a folder: --out converted",
        )
    return Place(path.with_name(f"{path.stem}-report"), path)


def refuse_misspelt(place: Place, out: str | Path) -> None:
    """Raise UsageError if the folder for one motion has the name of a file, such as `walk.xyz`."""
    suffix = place.folder.suffix
    if place.file is None and not place.folder.exists() and re.fullmatch(_FILE_ENDING, suffix):
        raise UsageError(
            f"'{suffix}' is not the ending of a motion file",
            where=f"--out {out}",
            fix=f"{nearest(suffix.lower(), sorted(_WRITTEN_ENDINGS))} To use a folder, create it first: mkdir",
        )


def outputs_of(inputs: Sequence[Input], place: Place, options: Options) -> list[Path]:
    """The output of each input: the same tree and names, with the ending of the format."""
    name = _format_of(options)
    if place.file is not None:
        if options.format and place.file.suffix.lower() not in FORMATS[name].endings:
            raise UsageError(
                f"the format '{name}' does not have the ending '{place.file.suffix}'",
                where=f"--format {name} --out {place.file}",
                fix=f"give only one of the two; this format ends in {' '.join(FORMATS[name].endings)}",
            )
        return [place.file]
    ending = FORMATS[name].endings[0].rstrip("/")
    stems = [entry.relative.name if entry.path.is_dir() else entry.relative.stem for entry in inputs]
    return [place.folder / entry.relative.with_name(stem + ending) for entry, stem in zip(inputs, stems)]


def _format_of(options: Options) -> str:
    if options.format:
        if options.format not in FORMATS:
            raise UsageError(f"unknown format '{options.format}'", fix=nearest(options.format, FORMATS))
        if not FORMATS[options.format].write:
            writable = ", ".join(name for name, row in FORMATS.items() if row.write)
            raise UsageError(f"the format '{options.format}' is read-only", fix=f"choose one of: {writable}")
        return options.format
    return next((name for layout, name in _BY_LAYOUT.items() if layout in options.to.lower()), _BY_LAYOUT["smplx"])
