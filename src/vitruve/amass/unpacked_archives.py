"""Stamps: records of the unpacked archives, so that none is unpacked twice."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from vitruve.files.hashes import file_hash

# Folder in the output folder with the stamps, the lock, and a scratch folder per running archive.
OURS = ".vitruve-unpack"


@dataclass(frozen=True)
class Stamp:
    """The record of an unpacked archive.

    Attributes:
        archive: file name.
        size, mtime_ns, sha256: of the archive, to recognise it.
        set: its AMASS set, or empty.
        moves: path in the scratch folder -> path in the output folder.
        files: path in the output folder -> `file_sizes` there.
        clips, frames, bad, notes: as of `Unpacked`.
        room: name of the scratch folder.
        done: False until everything is moved into place.
    """

    archive: str
    size: int
    mtime_ns: int
    sha256: str
    set: str
    moves: Mapping[str, str]
    files: Mapping[str, Mapping[str, int]]
    clips: int
    frames: int
    bad: int
    notes: Sequence[str]
    room: str
    done: bool = False

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders it was unpacked to."""
        return tuple(dict.fromkeys(Path(target).parts[0] for target in self.moves.values()))


def read_stamps(out: Path) -> list[Stamp]:
    """All stamps of a folder."""
    stamps = []
    for path in sorted((out / OURS).glob("*.json")):
        try:
            stamp = Stamp(**json.loads(path.read_text(encoding="utf-8")))
            stamps.append(replace(stamp, files={target: dict(sizes) for target, sizes in stamp.files.items()}))
        except (ValueError, TypeError):
            continue  # of another version: the archive counts as not unpacked
    return stamps


def write_stamp(out: Path, stamp: Stamp) -> None:
    """Write a stamp atomically."""
    path = out / OURS / f"{stamp.archive}-{stamp.sha256[:12]}.json"
    partial = path.with_suffix(".tmp")
    partial.write_text(json.dumps(asdict(stamp), indent=1), encoding="utf-8")
    os.replace(partial, path)


def same_archive(file: Path, out: Path, stamps: Sequence[Stamp]) -> Stamp | None:
    """The stamp of an archive whose unpacked files all still exist with their sizes."""
    status = file.stat()
    alike = [stamp for stamp in stamps if stamp.done and stamp.size == status.st_size]
    known = [stamp for stamp in alike if (stamp.archive, stamp.mtime_ns) == (file.name, status.st_mtime_ns)]
    if alike and not known:
        content = file_hash(file)
        known = [stamp for stamp in alike if stamp.sha256 == content]
    return next((stamp for stamp in known if damaged_file(out, stamp) is None), None)


def damaged_file(out: Path, stamp: Stamp) -> Path | None:
    """The first unpacked file that is missing or has another size; None where all are intact."""
    for target, sizes in stamp.files.items():
        now = file_sizes(out / target)
        wrong = next((name for name, size in sizes.items() if now.get(name) != size), None)
        if wrong is not None:
            return out / target / wrong
    return None


def file_sizes(path: Path) -> dict[str, int]:
    """Relative path -> bytes, of all files below a folder; of a file itself by the path ""."""
    if not path.is_dir():
        return {"": path.stat().st_size} if path.exists() else {}
    found = [Path(place, name) for place, _, names in os.walk(path) for name in names]
    return {file.relative_to(path).as_posix(): file.stat().st_size for file in sorted(found)}
