"""One file of a conversion of many: everything a worker needs to know, and the work itself."""

from __future__ import annotations

import functools
import hashlib
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vitruve.bodies import BodyModel
from vitruve.bodies.catalogue import is_path, shared_body
from vitruve.bodies.find_body import find_body, other_than_named
from vitruve.convert.convert import convert_motion
from vitruve.convert.fingerprint import fingerprint
from vitruve.convert.meshes import MESH_FPS, convert_meshes
from vitruve.convert.oddities import oddities
from vitruve.convert.poses import PoseConversion, Poses, convert_poses, read_poses, write_poses
from vitruve.correspondence.correspondence import correspondence
from vitruve.errors import BadData, VitruveError
from vitruve.fit import prepare
from vitruve.fit.conversion import Conversion, check_some_data
from vitruve.formats import FORMATS, load_motion, recognise, save_motion
from vitruve.formats.glimpse import glimpse
from vitruve.formats.readers.mesh_sequence import MeshSequence, read_mesh_sequence
from vitruve.formats.readers.poses_by_id import SKELETONS
from vitruve.motion import Motion
from vitruve.retarget.choose_mapping import GUESS
from vitruve.retarget.mapping import Mapping, mapping_to_toml
from vitruve.retarget.mapping_guess import guess_mapping
from vitruve.retarget.retarget import retarget_motion

Progress = Callable[[int, int], None]
Numbers = tuple[float, ...]

# The histogram of the frames' mean errors: the width of a bin in millimetres, and how many there are; the last is open.
BIN_MM, BINS = 0.1, 201


@dataclass(frozen=True)
class Options:
    """All that a result depends on besides its input and the bodies.

    Attributes:
        to: the body to go to; without a gender, that of each motion is kept.
        source: the body the motions were made on, where they do not say it rightly.
        betas: "fit", "zero", "keep-if-same", or the betas; None as the conversion of that kind has it.
        hands: "flat", "mean", or 90 axis-angle values of the left and right hand, for sources without fingers.
        format: a name in the table of formats; empty for that of the target's layout, or of the output's ending.
        points: about how many surface points the fit looks at; None as the conversion has it.
        fps: frames per second, for files that do not say.
        gender: "neutral", "female" or "male", likewise; empty where it is not known.
        mapping: for motions on a foreign skeleton, the mapping file, or "guess"; found by itself where left out.
        up: the axis that points upwards in mesh files, "z" or "y".
    """

    to: str
    source: str = ""
    betas: str | Numbers | None = None
    hands: str | Numbers = "flat"
    format: str = ""
    points: int | None = None
    fps: float | None = None
    mapping: str = ""
    up: str = "z"
    gender: str = ""


@dataclass(frozen=True)
class Facts:
    """What a look into an input finds.

    Attributes:
        kind: "motion", "skeleton" (a motion on a foreign tree), "meshes", or "poses" (single ones, keyed by an id).
        frames, fps: of the motion; poses have no fps: 0.
        body, gender, skeleton: as the file says; the body is empty for a foreign tree and for meshes. Poses can be of
            several genders, joined by commas.
        asked: the rate and gender that the input was read with, where it does not say them.
    """

    kind: str
    frames: int
    fps: float
    body: str = ""
    gender: str = "neutral"
    skeleton: str = ""
    asked: str = ""


@dataclass(frozen=True)
class Job:
    """One input, ready to be handed to a worker.

    Attributes:
        input, output: absolute paths.
        name: the output relative to the folder of the ledger.
        key: a hash of the input's content, the options, both bodies and the version.
        content: the hash of the input's content.
        facts: about the input.
        source, target: names or files of the bodies; no source where none is known. Several are joined by plus signs.
        bodies: hashes of the two.
        notes: what a user must know of the choice of the bodies.
        options: as asked for.
        folder: where licensed bodies lie, before the usual places.
        overwrite: whether a file at the output may be replaced.
    """

    input: str
    output: str
    name: str
    key: str
    content: str
    facts: Facts
    source: str
    target: str
    bodies: tuple[str, str]
    options: Options
    notes: tuple[str, ...] = ()
    folder: str | None = None
    overwrite: bool = False


def asked_of_readers(options: Options) -> str:
    """What of the options a reader takes: what it finds holds for these only."""
    return " ".join(str(given) for given in (options.fps, options.gender) if given)


def look(path: Path, options: Options) -> Facts:
    """Read an input and say what it is; raises what its reader raises."""
    return replace(_look(path, options), asked=asked_of_readers(options))


def _look(path: Path, options: Options) -> Facts:
    seen = glimpse(path)
    if path.suffix.lower() == ".json" or "ids" in seen.shapes:
        return _look_at_poses(path, options)
    row = FORMATS[recognise(seen)]
    if row.holds == "meshes":
        frames = sum(file.suffix.lower() in row.files for file in path.iterdir())
        return Facts("meshes", frames, options.fps or MESH_FPS, gender=options.gender or "neutral")
    try:
        motion = load_motion(path, fps=options.fps, gender=options.gender or None)
    except BadData:
        if seen.kind != "pickle":
            raise
        with suppress(VitruveError):
            return _look_at_poses(path, options)
        raise
    check_some_data(motion)
    told = "motion" if motion.body or options.source else "skeleton"
    return Facts(told, len(motion), motion.fps, motion.body, motion.gender, motion.skeleton.name)


def _look_at_poses(path: Path, options: Options) -> Facts:
    poses = read_poses(path, gender=options.gender or None)
    return Facts("poses", len(poses), 0.0, poses.body, ",".join(sorted(set(poses.genders))), SKELETONS[poses.layout])


@functools.lru_cache(maxsize=64)
def chosen_body(which: str, gender: str, folder: str | None, named: str = "") -> tuple[str, tuple[str, ...]]:
    """The name or file of the body that is meant, and what a user must know of the choice.

    Args:
        which: a name or a file.
        gender: what is meant by a name without one.
        folder: where licensed bodies lie, before the usual places.
        named: the body that the motion itself names.
    """
    if is_path(which):
        return which, tuple(other_than_named(named, body(which, folder).name))
    found, notes = find_body(which, gender, folder)
    return found.name, (*notes, *other_than_named(named, found.name))


def body(name: str, folder: str | None) -> BodyModel:
    """A body, loaded once per process."""
    return shared_body(name, folder)


@functools.lru_cache(maxsize=64)
def body_hash(name: str, folder: str | None) -> str:
    """A hash of everything a body consists of."""
    digest, loaded = hashlib.sha256(), body(name, folder)
    digest.update("\n".join((loaded.layout, loaded.gender, *loaded.skeleton.names)).encode())
    for key, value in sorted(loaded.state_dict().items()):
        digest.update(f"{key} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().reshape(-1).view(np.uint8))
    return digest.hexdigest()


def convert_job(job: Job, progress: Progress | None = None) -> dict[str, Any]:
    """Do one job: read, convert, write.

    Returns:
        The line for the ledger: "done" with the figures, or "failed" with the error. Nothing is raised: a bad file must
        not end the others.
    """
    about = {"input": job.input, "output": job.name}
    try:
        return {"event": "done", "key": job.key, **about, **_convert(job, progress)}
    except VitruveError as error:
        return failure(job.input, job.name, error)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{job.input}: in {Path(last.filename).name}, line {last.lineno}"
        odd = VitruveError(f"{type(error).__name__}: {error}", where, "this is a fault of Vitruve: please report it")
        return failure(job.input, job.name, odd)


def failure(path: str, output: str, error: VitruveError) -> dict[str, Any]:
    """The entry for an input that cannot be converted."""
    return {
        "event": "failed",
        "input": path,
        "output": output,
        "what": error.what,
        "where": error.where,
        "do": error.fix,
        "exit_code": error.exit_code,
    }


def _convert(job: Job, progress: Progress | None) -> dict[str, Any]:
    clock = time.perf_counter()
    _make_ready(job)
    started = time.perf_counter()
    given, conversion, result, read_seconds = _conversion(job, progress)
    converted = time.perf_counter()
    found = oddities(given, result)
    looked = time.perf_counter()
    if isinstance(result, Poses):
        write_poses(result, job.output, overwrite=job.overwrite)
    else:
        # BVH needs bones, which only the body has.
        more = {"body": body(job.target, job.folder)} if job.output.lower().endswith(".bvh") else {}
        save_motion(result, job.output, format=job.options.format or None, overwrite=job.overwrite, **more)
    stamp = fingerprint(Path(job.output))
    written = time.perf_counter()
    stages = {"read": read_seconds, **conversion.seconds, "look": looked - converted, "write": written - looked}
    frames = len(result)
    return {
        "content": job.content,
        "result": stamp,
        "facts": asdict(job.facts),
        "source": job.source,
        "target": job.target,
        "frames": frames,
        "fps": job.facts.fps,
        "start_seconds": started - clock,
        "seconds": written - started,
        "stages": stages,
        **conversion.error.as_dict(),
        "folder": job.folder,
        "shown_frames": _shown_frames(conversion),
        "histogram": _histogram(conversion, frames),
        "curve": conversion.error.curve(),
        "failed_frames": int(conversion.failed.sum()),
        "masked_frames": 0 if result.mask is None else int((~result.mask & ~conversion.failed).sum()),
        "warnings": list(dict.fromkeys((*conversion.warnings, *job.notes))),
        "findings": [asdict(finding) for finding in found],
        "trusted": conversion.trusted and all(finding.trusted for finding in found),
    }


def _make_ready(job: Job) -> None:
    """Load compiled code, bodies and surface map, once per process; the bodies must be those of the plan."""
    prepare()
    for names, hashes in zip((job.source, job.target), job.bodies):
        for name, expected in zip(names.split("+"), hashes.split("+")) if names else ():
            found = body_hash(name, job.folder)
            if found != expected:
                raise BadData(
                    f"the body '{name}' is another here than where the plan was made",
                    where=f"{job.input}: hash {found[:12]}, expected {expected[:12]}",
                    fix="give every worker the same model files",
                )
    if job.facts.kind == "motion":
        find_map(job)


def find_map(job: Job) -> None:
    """Find or work out the surface map of a job's bodies; it is kept on disk."""
    _find_map(job.source, job.target, job.folder)


@functools.lru_cache(maxsize=64)
def _find_map(source: str, target: str, folder: str | None) -> None:
    correspondence(body(source, folder), body(target, folder))


_Given = Motion | Poses | MeshSequence


def _conversion(
    job: Job, progress: Progress | None
) -> tuple[_Given, Conversion | PoseConversion, Motion | Poses, float]:
    """The input as it was read, the conversion, its result, and the seconds that reading took."""
    options, kind, clock = job.options, job.facts.kind, time.perf_counter()
    settings: dict[str, Any] = {"progress": progress}
    if options.betas is not None:
        settings["betas"] = options.betas if isinstance(options.betas, str) else torch.tensor(options.betas)
    if options.points is not None and kind != "skeleton":
        settings["points"] = options.points
    if kind != "meshes":
        hands = options.hands
        settings["hands"] = hands if isinstance(hands, str) else torch.tensor(hands).view(2, 45)
    if kind == "poses":
        poses = read_poses(job.input, gender=options.gender or None)
        read = time.perf_counter() - clock
        settings |= {"source": options.source or None, "folder": job.folder}
        converted = convert_poses(poses, options.to, **settings)
        return poses, converted, converted.poses, read
    target, source = body(job.target, job.folder), body(job.source, job.folder) if job.source else None
    if kind == "meshes":
        sequence = read_mesh_sequence(job.input, up=options.up)
        read = time.perf_counter() - clock
        conversion = convert_meshes(sequence, target, topology=source, fps=options.fps, **settings)
        return sequence, conversion, conversion.motion, read
    motion = load_motion(job.input, fps=options.fps, gender=options.gender or None)
    read = time.perf_counter() - clock
    if source is None:
        mapping = guess_mapping(motion) if options.mapping == GUESS else options.mapping or None
        conversion = retarget_motion(motion, target, mapping=mapping, **settings)
        if isinstance(mapping, Mapping):
            # For the user to look at, to correct, and to give for other files.
            Path(job.output).with_suffix(".mapping.toml").write_text(mapping_to_toml(mapping), encoding="utf-8")
    else:
        conversion = convert_motion(motion, target, source=source, **settings)
    return motion, conversion, conversion.motion, read


def _shown_frames(conversion: Conversion | PoseConversion) -> dict[str, int]:
    """The frames that a picture shows."""
    order = conversion.error.frames[conversion.error.per_frame.argsort()].tolist()
    return {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]} if order else {}


def _histogram(conversion: Conversion | PoseConversion, frames: int) -> list[float]:
    """How many frames have a mean error in each bin, up to the last that has any; those measured stand for all."""
    errors = conversion.error.per_frame.double()
    counts = torch.bincount((errors / BIN_MM).long().clamp(max=BINS - 1))
    return [round(float(count) * frames / max(len(errors), 1), 1) for count in counts]
