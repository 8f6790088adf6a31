"""Unpack the archives of AMASS: in parallel, each atomically, and only once.

An archive is extracted into a temporary folder. Its folders are then renamed into place, and a stamp records the size
and hash of the archive, so that the next call can resume.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vitruve.amass.archives import Member, extract
from vitruve.amass.sets import (
    SETS,
    FoundSets,
    SetCount,
    archive_set,
    canonical_set,
    count_clips,
    count_differs,
    find_sets,
    generation_of,
    probable_set,
)
from vitruve.amass.unpacked_archives import (
    OURS,
    Stamp,
    damaged_file,
    file_sizes,
    read_stamps,
    same_archive,
    write_stamp,
)
from vitruve.errors import BadData, MissingAsset, UsageError, VitruveError, not_written, writing
from vitruve.jobs.failures import unexpected
from vitruve.runs import Progress
from vitruve.runs.lock import alone

ENDINGS = (".tar.bz2", ".tbz2", ".tar.gz", ".tgz", ".tar.xz", ".tar", ".zip")


@dataclass(frozen=True)
class Unpacked:
    """The result for one archive.

    Attributes:
        set: its AMASS set, or empty.
        state: "unpacked", "done before", "to do" (in a dry run) or "failed".
        folders: the folders it was unpacked to.
        clips, frames, bad: numbers of clips, of their frames, and of unreadable clips.
        notes: differences from the release, and names that were guessed.
        error: of a failed archive.
    """

    archive: Path
    set: str
    state: str
    folders: tuple[str, ...] = ()
    clips: int = 0
    frames: int = 0
    notes: tuple[str, ...] = ()
    error: VitruveError | None = None
    bad: int = 0


@dataclass(frozen=True)
class UnpackReport:
    """The result of `unpack`: a row per archive, and the sets now in the folder (None where it does not exist)."""

    rows: tuple[Unpacked, ...]
    found: FoundSets | None

    @property
    def failed(self) -> list[Unpacked]:
        """The archives that failed."""
        return [row for row in self.rows if row.state == "failed"]


@dataclass
class _Work:
    """The output folder, and the state that the threads share."""

    out: Path
    overwrite: bool
    progress: Progress
    total: int
    read: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopped: bool = False

    def count(self, count: int) -> None:
        if self.stopped:
            raise UsageError("stopped", fix="run it again: what is done is not done again")
        with self.lock:
            self.read += count
            self.progress(self.read // 1_000_000, self.total // 1_000_000)


def unpack(
    archives: Sequence[str | Path],
    out: str | Path,
    *,
    workers: int = 1,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> UnpackReport:
    """Unpack archives of AMASS into one folder, with a folder for each set.

    Args:
        archives: archives, or folders with archives.
        out: the folder.
        workers: archives unpacked at the same time.
        overwrite: replace existing folders that an archive also has.
        dry_run: only list what would be done.
        progress: called with megabytes of the archives read, and megabytes in all.

    Raises:
        UsageError, MissingAsset: no archives, or another run is active in the folder. Errors of single archives are in
            their rows.
    """
    files, out = _archives(archives), Path(out).expanduser()
    if dry_run:
        stamps = read_stamps(out)
        rows = tuple(_planned(file, out, stamps) for file in files)
        return UnpackReport(rows, find_sets(out) if out.is_dir() else None)
    with writing(out):
        (out / OURS).mkdir(parents=True, exist_ok=True)
    # Exclusive, since leftovers of other runs are removed.
    with alone(out / OURS, "another run is unpacking into this folder"):
        stamps = _tidied(out)
        before = {file: same_archive(file, out, stamps) for file in files} if not overwrite else {}
        to_do = [file for file in files if before.get(file) is None]
        total = sum(file.stat().st_size for file in to_do)
        work = _Work(out, overwrite, progress or (lambda done, total: None), total)
        with ThreadPoolExecutor(max(1, workers)) as pool:
            jobs = {file: pool.submit(_attempt, file, work) for file in to_do}
            try:
                now = {file: job.result() for file, job in jobs.items()}
            except BaseException:  # Ctrl-C: otherwise the threads would finish their archives
                work.stopped = True
                pool.shutdown(cancel_futures=True)
                raise
    return UnpackReport(tuple(now.get(file) or _row(file, before[file]) for file in files), find_sets(out))


def _attempt(file: Path, work: _Work) -> Unpacked:
    try:
        return _row(file, _unpack_one(file, work), "unpacked")
    except Exception as error:  # the other archives continue
        expected = error if isinstance(error, VitruveError) else unexpected(error, file)
        return Unpacked(file, archive_set(file.name) or "", "failed", error=expected)


def _unpack_one(file: Path, work: _Work) -> Stamp:
    """Called in threads, since decompressing, hashing and writing release the GIL."""
    scratch = work.out / OURS / f"{file.name}.partial-{threading.get_ident()}"
    try:
        scratch.mkdir()
        stamp = _written(file, scratch, work)
        with work.lock:
            _refuse_present(stamp.moves.values(), work)
            write_stamp(work.out, stamp)
    except BaseException as error:
        shutil.rmtree(scratch, ignore_errors=True)
        if isinstance(error, OSError):
            raise _stopped_by(error, file, work.out) from None
        raise
    # After a crash from here on, the next run finds the scratch folder by its stamp and finishes the move.
    try:
        with work.lock:
            return _move(work.out, stamp, work.overwrite)
    except OSError as error:
        raise _stopped_by(error, file, work.out) from None


def _written(file: Path, scratch: Path, work: _Work) -> Stamp:
    """Extract an archive into the scratch folder, and make its stamp."""
    status = file.stat()
    sha256 = extract(file, scratch, progress=work.count, check=lambda member: _check_top(member, work))
    moves, name, notes = _placement(scratch, file)
    counts = [count_clips(scratch / source) for source in moves if (scratch / source).is_dir()]
    count = SetCount(sum(c.files for c in counts), sum(c.frames for c in counts), sum((c.bad for c in counts), ()))
    if not count.files:
        inside = sorted(file.name for file in scratch.rglob("*") if file.name.lower().endswith(ENDINGS))
        notes.append("it has no clips" + (f", but archives: {', '.join(inside[:3])}" if inside else ""))
    differs = count_differs(name, generation_of(scratch), count) if name else ""
    return Stamp(
        archive=file.name,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        sha256=sha256,
        set=name,
        moves=moves,
        files={target: file_sizes(scratch / source) for source, target in moves.items()},
        clips=count.files,
        frames=count.frames,
        bad=len(count.bad),
        notes=[*notes, *filter(None, [differs])],
        room=scratch.name,
    )


def _stopped_by(error: OSError, file: Path, out: Path) -> VitruveError:
    if error.filename == str(file):
        return BadData(f"{file.name} cannot be read", where=f"{file}: {error.strerror}", fix="check its permissions")
    return not_written(error, out, f"run it again: {file.name} is unpacked then")


def _check_top(member: Member, work: _Work) -> None:
    """Raise for an existing folder at the first member, not after an hour."""
    work.count(0)  # raises after Ctrl-C
    if len(member.parts) > 1 and canonical_set(member.parts[0]) and not work.overwrite:
        with work.lock:
            _refuse_present([member.parts[0]], work)


def _refuse_present(targets: Any, work: _Work) -> None:
    for target in targets:
        place = work.out / target
        if place.exists() and not work.overwrite:
            owner = next((stamp for stamp in read_stamps(work.out) if target in stamp.moves.values()), None)
            wrong = None if owner is None else damaged_file(work.out, owner)
            what = f"the folder {target} exists already"
            raise UsageError(
                f"{what}, from {owner.archive}" if owner else f"{what}, and was not made by this command",
                where=str(place) if wrong is None else f"{wrong}: changed since it was unpacked",
                fix="choose another --out (SMPL+H and SMPL-X need one each), or give --overwrite to replace it",
            )


def _placement(scratch: Path, file: Path) -> tuple[dict[str, str], str, list[str]]:
    """(path in the scratch folder -> path in the output folder, the set, notes on guesses)."""
    inner, notes = scratch, list[str]()
    # In some archives the sets are inside other folders.
    while len(tops := list(inner.iterdir())) == 1 and tops[0].is_dir() and not canonical_set(tops[0].name):
        inner = tops[0]
    if any(canonical_set(top.name) for top in tops if top.is_dir()):
        around = inner.relative_to(scratch).as_posix()
        notes += [f"the folder {around} around the sets was left out"] if inner != scratch else []
    else:
        inner = scratch
    tops = sorted(inner.iterdir())
    sets = [top for top in tops if top.is_dir() and canonical_set(top.name)]
    name = canonical_set(sets[0].name) if sets else archive_set(file.name)
    if not tops:
        raise BadData(f"{file.name} is empty", where=str(file), fix="fetch the archive again")
    stem = re.sub("|".join(map(re.escape, ENDINGS)) + "$", "", file.name, flags=re.IGNORECASE)
    if sets:
        home = sets[0].name
    elif name:
        home = SETS[name].folder(generation_of(inner))
        notes.append(f"the archive has no folder {home}; it was created")
    else:
        probably = probable_set(stem)
        notes.append("this is not a set of AMASS" + (f"; it is probably {probably}" if probably else ""))
        home = tops[0].name if len(tops) == 1 and tops[0].is_dir() else stem
    own = {top for top in tops if top.is_dir() and (canonical_set(top.name) or top.name == home)}
    targets = {top: top.name if top in own else f"{home}/{top.name}" for top in tops}
    # Sets first: other files are moved into them.
    ordered = sorted(targets, key=lambda top: (top not in own, top.name))
    return {str(top.relative_to(scratch)): targets[top] for top in ordered}, name or "", notes


def _move(out: Path, stamp: Stamp, overwrite: bool) -> Stamp:
    """Rename the content of the scratch folder into place. Can be repeated after a crash at any point."""
    scratch = out / OURS / stamp.room
    for source, target in stamp.moves.items():
        if not (scratch / source).exists():
            continue
        place = out / target
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists() and overwrite:
            os.replace(place, scratch / f".replaced-{place.name}")
        if not place.exists():
            os.replace(scratch / source, place)
    done = replace(stamp, done=True)
    write_stamp(out, done)
    shutil.rmtree(scratch, ignore_errors=True)
    return done


def _tidied(out: Path) -> list[Stamp]:
    """Finish or remove the leftovers of interrupted runs; return the stamps."""
    stamps = [stamp if stamp.done else _move(out, stamp, overwrite=False) for stamp in read_stamps(out)]
    for scratch in (out / OURS).glob("*.partial-*"):
        shutil.rmtree(scratch, ignore_errors=True)
    return stamps


def _planned(file: Path, out: Path, stamps: Sequence[Stamp]) -> Unpacked:
    done = same_archive(file, out, stamps)
    if done is not None:
        return _row(file, done)
    name = archive_set(file.name) or ""
    probably = "" if name else probable_set(file.name.partition(".")[0])
    return Unpacked(file, name, "to do", notes=(f"probably {probably}",) if probably else ())


def _row(file: Path, stamp: Stamp | None, state: str = "done before") -> Unpacked:
    assert stamp is not None
    kept = (stamp.folders, stamp.clips, stamp.frames, tuple(stamp.notes))
    return Unpacked(file, stamp.set, state, *kept, bad=stamp.bad)


def _archives(paths: Sequence[str | Path]) -> list[Path]:
    files: list[Path] = []
    for path in map(lambda each: Path(each).expanduser(), paths):
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.name.lower().endswith(ENDINGS))
            if not inside:
                raise MissingAsset("no archives in this folder", where=str(path), fix=f"endings: {', '.join(ENDINGS)}")
            files += inside
        elif not path.exists():
            raise MissingAsset(f"there is no archive {path.name}", where=str(path), fix="check the path")
        elif not path.is_file():
            raise BadData(f"{path.name} is not a file", f"{path}: a pipe or device", fix="copy it to a file first")
        else:
            files.append(path)
    if not files:
        raise UsageError("no archives given", fix="name archives, or a folder with archives")
    return list(dict.fromkeys(files))
