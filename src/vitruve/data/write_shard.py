"""Write one shard of a store: read its files, append their frames, then rename the folder into place."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from vitruve.bodies import BodyModel, load_body
from vitruve.convert.chosen_bodies import chosen_body
from vitruve.data.clips import CLIPS_FILE, MASK_FILE, Clip, field_file, to_line, widths
from vitruve.data.read_arrays import Arrays, arrays_of_motion, read_arrays
from vitruve.data.sources import SourceFile
from vitruve.errors import BadData, VitruveError, not_written
from vitruve.formats import load_motion_at
from vitruve.jobs.failures import failure, unexpected
from vitruve.motion.checks import inspect_with_notes
from vitruve.motion.finding import Finding, finding_of_note
from vitruve.retarget.mapping import load_mapping
from vitruve.retarget.quality import JOINT_ERROR_LIMITS
from vitruve.retarget.retarget import actor_betas, retarget_motion
from vitruve.runs.progress import Progress

PARTIAL = ".partial-"
KEPT = "run the same again: what is done is kept"
# Clips per person that the shape is estimated from.
_SHAPE_CLIPS = 24


@dataclass(frozen=True)
class Target:
    """How files are converted.

    Attributes:
        body: the body that motions on foreign skeletons are retargeted to.
        mapping: name or file of the mapping for these; the shipped one that fits where empty.
        source_fps: frames per second of files that do not state it.
        gender: of files that do not state it, and of people on foreign skeletons where `body` names none.
    """

    body: str = "open-smplh"
    mapping: str = ""
    source_fps: float | None = None
    gender: str | None = None


@dataclass(frozen=True)
class ShardJob:
    """What a worker needs to write the shard STORE/<set>/<number>.

    Attributes:
        files: in the order of their clips.
        betas: actor -> shape, for motions on foreign skeletons.
    """

    store: str
    set: str
    number: int
    files: tuple[SourceFile, ...]
    target: Target = field(default_factory=Target)
    betas: dict[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The final folder."""
        return Path(self.store, self.set, f"{self.number:04d}")


@dataclass(frozen=True)
class Written:
    """The result of writing a shard: counts, an entry per failed file, (key, finding) of the others."""

    clips: int
    frames: int
    failed: tuple[dict[str, Any], ...]
    warned: tuple[tuple[str, Finding], ...] = ()


def checked_target(target: Target) -> Target:
    """The target with the body's full name; an error where there is no such body or mapping."""
    body, _ = chosen_body(target.body, target.gender or "neutral", None)
    if target.mapping:
        load_mapping(target.mapping)
    return replace(target, body=body)


def actor_of(source: SourceFile) -> str:
    """Identifies the person of a motion on a foreign skeleton; all files of an actor get one shape."""
    return "/".join((source.set, source.subject, source.actor[:12]))


def shape_of_actor(
    task: tuple[str, Sequence[SourceFile], Target], progress: Progress | None = None
) -> tuple[float, ...] | None:
    """One shape for an actor from some of the clips; None where none of these can be read.

    Args:
        task: (actor, files, target).
        progress: not used; workers call every task with it.
    """
    _, files, target = task
    motions = []
    for source in files[:: -(-len(files) // _SHAPE_CLIPS)]:
        try:
            motions.append(load_motion_at(source.path, target.source_fps, target.gender))
        except VitruveError:
            continue  # writing its shard reports the error
    if not motions:
        return None
    try:
        return tuple(actor_betas(motions, _body(target.body), mapping=target.mapping or None).double().tolist())
    except VitruveError:
        return None  # writing each clip reports the error


def write_shard(job: ShardJob, progress: Progress | None = None) -> Written:
    """Write a shard; files that cannot be read are left out and reported. Without clips no shard is written.

    Raises:
        NotWritten: the disk is full, for example. Nothing of the shard remains.
    """
    partial = job.folder.with_name(f"{PARTIAL}{job.folder.name}")
    clips: list[Clip] = []
    failed: list[dict[str, Any]] = []
    warned: list[tuple[str, Finding]] = []
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        with _Writer(partial) as writer:
            for count, source in enumerate(job.files, start=1):
                read = _read(source, job)
                if isinstance(read, dict):
                    failed.append(read)
                else:
                    arrays, error_mm, odd = read
                    warned += [(source.key, finding) for finding in odd if finding.severity != "note"]
                    clips.append(_clip(source, arrays, error_mm))
                    writer.add(clips[-1], arrays)
                if progress:
                    progress(count, len(job.files))
        if clips:
            partial.rename(job.folder)
    except OSError as error:
        raise not_written(error, job.folder, KEPT) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Written(len(clips), sum(clip.frames for clip in clips), tuple(failed), tuple(warned))


class _Writer(ExitStack):
    """Appends clips to the files of a shard, which stay open until the end."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder, self._files = folder, dict[tuple[str, str], IO[bytes]]()
        self._index = self.enter_context((folder / CLIPS_FILE).open("w", encoding="utf-8", newline="\n"))

    def add(self, clip: Clip, arrays: Arrays) -> None:
        for name in widths(clip.skeleton, clip.expressions):
            self._file(clip.block, field_file(name)).write(arrays.fields[name].data)
        self._file(clip.block, MASK_FILE).write(arrays.valid.data)
        self._index.write(to_line(clip))

    def _file(self, block: str, name: str) -> IO[bytes]:
        if (block, name) not in self._files:
            (self._folder / block).mkdir(exist_ok=True)
            self._files[block, name] = self.enter_context((self._folder / block / name).open("wb"))
        return self._files[block, name]


def _clip(source: SourceFile, arrays: Arrays, error_mm: float | None) -> Clip:
    expression = arrays.fields.get("expression")
    return Clip(
        key=source.key,
        set=source.set,
        subject=source.subject,
        name=source.name,
        start=0,
        frames=len(arrays),
        fps=arrays.fps,
        body=arrays.body,
        gender=arrays.gender,
        betas=arrays.betas,
        source=str(source.path),
        licence=source.licence,
        skeleton=arrays.skeleton,
        expressions=0 if expression is None else expression.shape[1],
        content=source.content,
        masked=len(arrays) - int(arrays.valid.sum()),
        actor=actor_of(source) if source.is_tree else "",
        error_mm=error_mm,
        notes=arrays.notes,
    )


_Read = tuple[Arrays, float | None, list[Finding]]


def _read(source: SourceFile, job: ShardJob) -> _Read | dict[str, Any]:
    """The arrays of a file, its retargeting error in mm, and findings; the failure entry where it cannot be read."""
    try:
        return _retargeted(source, job) if source.is_tree else _on_body(source, job.target)
    except Exception as error:
        expected = error if isinstance(error, VitruveError) else unexpected(error, source.path)
        return failure(expected, file=str(source.path))


def _on_body(source: SourceFile, target: Target) -> _Read:
    """Findings are the reader's notes only: `data show` inspects motions that are on a body."""
    arrays = read_arrays(source.path, target.source_fps, target.gender)
    return arrays, None, list(map(finding_of_note, arrays.notes))


def _retargeted(source: SourceFile, job: ShardJob) -> _Read:
    motion = load_motion_at(source.path, job.target.source_fps, job.target.gender)
    if motion.body:
        arrays, _, odd = _on_body(source, job.target)
        return arrays, 0.0, odd
    body, betas = _body(job.target.body), job.betas.get(actor_of(source))
    shape: dict[str, Any] = {} if betas is None else {"betas": body.template.new_tensor(betas), "scale": 1.0}
    conversion = retarget_motion(motion, body, mapping=job.target.mapping or None, **shape)
    if conversion.error.mean > JOINT_ERROR_LIMITS.mean:
        raise BadData(
            f"the retargeted motion is {conversion.error.mean:.0f} mm off on average",
            where=f"{source.path}: worst frames {list(conversion.error.worst)[:3]}; "
            f"limit {JOINT_ERROR_LIMITS.mean:.0f} mm",
            fix="check units and mapping: vitruve convert FILE --to open-smplh; give --mapping",
        )
    return arrays_of_motion(conversion.motion), round(conversion.error.mean, 3), inspect_with_notes(motion)


@functools.lru_cache(maxsize=2)
def _body(name: str) -> BodyModel:
    return load_body(name)
