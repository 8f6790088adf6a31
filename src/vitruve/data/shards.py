"""One shard of a store: its files read, its frames written one after the other, the folder renamed when it is whole."""

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
from vitruve.retarget.quality import JOINT_LIMITS
from vitruve.retarget.retarget import actor_betas, retarget_motion
from vitruve.runs.progress import Progress

PARTIAL = ".partial-"
KEPT = "run the same again: what is done is kept"
# Clips of a person that the shape is found on; a few frames of each are looked at.
_SHAPE_CLIPS = 24


@dataclass(frozen=True)
class Target:
    """What files become.

    Attributes:
        body: the body that motions on foreign skeletons are brought to.
        mapping: for these, a mapping's name or file; the shipped one that fits where empty.
        source_fps: frames per second of files that do not say, whatever they are on.
        gender: likewise; that of the people on foreign skeletons, too, where `body` names none.
    """

    body: str = "open-smplh"
    mapping: str = ""
    source_fps: float | None = None
    gender: str | None = None


@dataclass(frozen=True)
class ShardJob:
    """What a worker needs to know to write a shard.

    Attributes:
        store: the store's folder.
        set, number: the shard's place below it.
        files: in the order in which their clips stand.
        licences: of each file's set, in one line.
        target: for motions on foreign skeletons.
        betas: actor -> shape, for the same.
    """

    store: str
    set: str
    number: int
    files: tuple[SourceFile, ...]
    licences: tuple[str, ...]
    target: Target = field(default_factory=Target)
    betas: dict[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the shard will stand."""
        return Path(self.store, self.set, f"{self.number:04d}")


@dataclass(frozen=True)
class Written:
    """What a shard came to: clips, frames, a line for each file that failed, (key, what is odd) of the others."""

    clips: int
    frames: int
    failed: tuple[dict[str, Any], ...]
    warned: tuple[tuple[str, Finding], ...] = ()


def checked_target(target: Target) -> Target:
    """The same with the body's full name, if there is such a body and such a mapping."""
    body, _ = chosen_body(target.body, target.gender or "neutral", None)
    if target.mapping:
        load_mapping(target.mapping)
    return replace(target, body=body)


def actor_of(source: SourceFile) -> str:
    """The person of a motion on a foreign skeleton: files of one actor get one shape."""
    return "/".join((source.set, source.subject, source.actor[:12]))


def shape_of_actor(files: Sequence[SourceFile], target: Target) -> tuple[float, ...] | None:
    """One shape for all clips of an actor, from clips spread over them; None where none of these can be read."""
    motions = []
    for source in files[:: -(-len(files) // _SHAPE_CLIPS)]:
        try:
            motions.append(load_motion_at(source.path, target.source_fps, target.gender))
        except VitruveError:
            continue  # the shard that holds it will report it
    if not motions:
        return None
    try:
        return tuple(actor_betas(motions, _body(target.body), mapping=target.mapping or None).double().tolist())
    except VitruveError:
        return None  # each clip will say why


def write_shard(job: ShardJob, progress: Progress | None = None) -> Written:
    """Write a shard; a file that cannot be read is left out and reported. No clips, no shard.

    Args:
        job: what to do.
        progress: called with files done and files in all of this shard.

    Raises:
        NotWritten: the disk is full, say. Nothing of the shard stays.
    """
    partial = job.folder.with_name(f"{PARTIAL}{job.folder.name}")
    clips: list[Clip] = []
    failed: list[dict[str, Any]] = []
    warned: list[tuple[str, Finding]] = []
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        with _Writer(partial) as writer:
            for count, (source, licence) in enumerate(zip(job.files, job.licences, strict=True), start=1):
                read = _read(source, job)
                if isinstance(read, dict):
                    failed.append(read)
                else:
                    arrays, error_mm, odd = read
                    warned += [(source.key, finding) for finding in odd if finding.severity != "note"]
                    clips.append(_clip(source, arrays, licence, error_mm))
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


class _Writer:
    """Appends the frames of clips to the files of a shard; holds one clip at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._files, self._open = folder, dict[tuple[str, str], IO[bytes]](), ExitStack()

    def __enter__(self) -> _Writer:
        self._index = self._open.enter_context((self._folder / CLIPS_FILE).open("w", encoding="utf-8", newline="\n"))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, clip: Clip, arrays: Arrays) -> None:
        for name in widths(clip.skeleton, clip.expressions):
            self._file(clip.block, field_file(name)).write(arrays.fields[name].data)
        self._file(clip.block, MASK_FILE).write(arrays.valid.data)
        self._index.write(to_line(clip))

    def _file(self, block: str, name: str) -> IO[bytes]:
        if (block, name) not in self._files:
            (self._folder / block).mkdir(exist_ok=True)
            self._files[block, name] = self._open.enter_context((self._folder / block / name).open("wb"))
        return self._files[block, name]


def _clip(source: SourceFile, arrays: Arrays, licence: str, error_mm: float | None) -> Clip:
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
        licence=licence,
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
    """The arrays of a file, of a retargeted one its error, and what is odd; or the line that says why not."""
    try:
        return _retargeted(source, job) if source.is_tree else _on_body(source, job.target)
    except VitruveError as error:
        return failure(error, file=str(source.path))
    except Exception as error:
        return failure(unexpected(error, source.path), file=str(source.path))


def _on_body(source: SourceFile, target: Target) -> _Read:
    """A motion on a body is looked through by `data show`; here only what its reader has noticed counts."""
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
    if conversion.error.mean > JOINT_LIMITS.mean:
        raise BadData(
            f"the retargeted motion is {conversion.error.mean:.0f} mm off on average",
            where=f"{source.path}: worst frames {list(conversion.error.worst)[:3]}; limit {JOINT_LIMITS.mean:.0f} mm",
            fix="check units and mapping: vitruve convert FILE --to open-smplh; give --mapping",
        )
    return arrays_of_motion(conversion.motion), round(conversion.error.mean, 3), inspect_with_notes(motion)


@functools.lru_cache(maxsize=2)
def _body(name: str) -> BodyModel:
    return load_body(name)
