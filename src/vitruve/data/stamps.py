"""What is kept of every archive that was unpacked, beside the sets: by it, work that is done is not done again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vitruve.runs.run_folder import file_hash

# In the folder that the sets go to: the stamps, the lock, and the rooms of archives that are being unpacked.
OURS = ".vitruve-unpack"


@dataclass(frozen=True)
class Stamp:
    """What is kept of an archive that was unpacked.

    Attributes:
        archive: its name.
        size, mtime_ns, sha256: of the archive; by them it is known again.
        set: the set it holds, or empty.
        moves: path in the room to path in the folder.
        files: path in the folder to how many files lie there.
        clips, frames, bad: counts of the motions, and of those that cannot be read.
        notes: what was to be told.
        room: the folder it was written into before.
        done: False from the moment all is written until all is in place.
    """

    archive: str
    size: int
    mtime_ns: int
    sha256: str
    set: str
    moves: Mapping[str, str]
    files: Mapping[str, int]
    clips: int
    frames: int
    bad: int
    notes: Sequence[str]
    room: str
    done: bool = False

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders it became."""
        return tuple(dict.fromkeys(Path(target).parts[0] for target in self.moves.values()))


def read_stamps(out: Path) -> list[Stamp]:
    """All stamps of a folder."""
    stamps = []
    for path in sorted((out / OURS).glob("*.json")):
        try:
            stamps.append(Stamp(**json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, TypeError):
            continue  # not ours, or of another version: the archive counts as not unpacked
    return stamps


def write_stamp(out: Path, stamp: Stamp) -> None:
    """Write a stamp, whole or not at all."""
    path = out / OURS / f"{stamp.archive}-{stamp.sha256[:12]}.json"
    partial = path.with_suffix(".tmp")
    partial.write_text(json.dumps(asdict(stamp), indent=1), encoding="utf-8")
    os.replace(partial, path)


def same_archive(file: Path, out: Path, stamps: Sequence[Stamp]) -> Stamp | None:
    """The stamp of the same archive, if all that it became is still there."""
    look = file.stat()
    alike = [stamp for stamp in stamps if stamp.done and stamp.size == look.st_size]
    known = [stamp for stamp in alike if (stamp.archive, stamp.mtime_ns) == (file.name, look.st_mtime_ns)]
    if alike and not known:
        content = file_hash(file)
        known = [stamp for stamp in alike if stamp.sha256 == content]
    return next(
        (stamp for stamp in known if all(count_files(out / each) >= n for each, n in stamp.files.items())), None
    )


def count_files(path: Path) -> int:
    """How many files lie below a folder; 1 for a file, 0 for nothing."""
    return sum(len(files) for _, _, files in os.walk(path)) if path.is_dir() else int(path.exists())
