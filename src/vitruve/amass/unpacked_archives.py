"""What is kept of every archive that was unpacked, beside the sets: by it, work that is done is not done again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from vitruve.files.hashes import file_hash

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
        files: path in the folder to the files there: each by its path below it, "" for a file itself, with its bytes.
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
    files: Mapping[str, Mapping[str, int]]
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
            stamp = Stamp(**json.loads(path.read_text(encoding="utf-8")))
            stamps.append(replace(stamp, files={target: dict(sizes) for target, sizes in stamp.files.items()}))
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
    """The stamp of the same archive, if all that it became is still there, each file as long as it was."""
    look = file.stat()
    alike = [stamp for stamp in stamps if stamp.done and stamp.size == look.st_size]
    known = [stamp for stamp in alike if (stamp.archive, stamp.mtime_ns) == (file.name, look.st_mtime_ns)]
    if alike and not known:
        content = file_hash(file)
        known = [stamp for stamp in alike if stamp.sha256 == content]
    return next((stamp for stamp in known if damaged_file(out, stamp) is None), None)


def damaged_file(out: Path, stamp: Stamp) -> Path | None:
    """The first file of an archive that is gone or has another length than when it was unpacked; None where all are."""
    for target, sizes in stamp.files.items():
        now = file_sizes(out / target)
        wrong = next((name for name, size in sizes.items() if now.get(name) != size), None)
        if wrong is not None:
            return out / target / wrong
    return None


def file_sizes(path: Path) -> dict[str, int]:
    """The bytes of all files below a folder by their paths; of a file under the name ""."""
    if not path.is_dir():
        return {"": path.stat().st_size} if path.exists() else {}
    found = [Path(place, name) for place, _, names in os.walk(path) for name in names]
    return {file.relative_to(path).as_posix(): file.stat().st_size for file in sorted(found)}
