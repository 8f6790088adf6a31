"""One file of a conversion of many: everything a worker needs to know, and the work itself."""

from __future__ import annotations

import functools
import hashlib
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from vitruve.bodies import BodyModel, load_body
from vitruve.bodies.catalogue import LICENSED, find_file, is_path, parse_name
from vitruve.convert.convert import Conversion, convert_motion
from vitruve.convert.correspondence import correspondence
from vitruve.convert.meshes import convert_meshes
from vitruve.convert.retarget import retarget_motion
from vitruve.errors import BadData, VitruveError
from vitruve.formats import FORMATS, load_motion, recognise, save_motion
from vitruve.formats.glimpse import glimpse
from vitruve.formats.mesh_sequence import read_mesh_sequence
from vitruve.motion import Motion

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
        betas: "fit", "zero", "keep-if-same", or the betas.
        hands: "flat", "mean", or 90 axis-angle values of the left and right hand, for sources without fingers.
        format: a name in the table of formats; empty for that of the target's layout, or of the output's ending.
        points: about how many surface points the fit looks at.
        fps: frames per second, for files that do not say.
        mapping: for motions on a foreign skeleton, the mapping file; found by itself where left out.
        up: the axis that points upwards in mesh files, "z" or "y".
    """

    to: str
    source: str = ""
    betas: str | Numbers = "fit"
    hands: str | Numbers = "flat"
    format: str = ""
    points: int = 600
    fps: float | None = None
    mapping: str = ""
    up: str = "z"


@dataclass(frozen=True)
class Facts:
    """What a look into an input finds.

    Attributes:
        kind: "motion", "skeleton" (a motion on a foreign tree) or "meshes".
        frames, fps: of the motion.
        body, gender, skeleton: as the file says; the body is empty for a foreign tree and for meshes.
    """

    kind: str
    frames: int
    fps: float
    body: str = ""
    gender: str = "neutral"
    skeleton: str = ""


@dataclass(frozen=True)
class Job:
    """One input, ready to be handed to a worker.

    Attributes:
        input, output: absolute paths.
        name: the output relative to the folder of the ledger.
        key: a hash of the input's content, the options, both bodies and the version.
        content: the hash of the input's content.
        facts: about the input.
        source, target: names or files of the bodies; no source where none is known.
        bodies: hashes of the two.
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
    folder: str | None = None
    overwrite: bool = False


def look(path: Path, options: Options) -> Facts:
    """Read an input and say what it is; raises what its reader raises."""
    kind = FORMATS[recognise(glimpse(path))]
    if kind.holds == "meshes":
        frames = sum(file.suffix.lower() in kind.files for file in path.iterdir())
        return Facts("meshes", frames, options.fps or 30.0)
    motion = load_motion(path, fps=options.fps)
    told = "motion" if motion.body or options.source else "skeleton"
    return Facts(told, len(motion), motion.fps, motion.body, motion.gender, motion.skeleton.name)


def body_for(name: str, gender: str, folder: str | None, strict: bool = False) -> tuple[str, str]:
    """Which body a name means for a motion of a gender, and a note where that is not what the name says.

    Args:
        name: such as "smplx", "open-smplx-female" or a file.
        gender: of the motion; counts where the name says none.
        folder: where licensed bodies are looked for first.
        strict: another gender does not do.
    """
    plain = name.lower().replace("_", "-")
    if is_path(name) or plain not in (*LICENSED, *(f"open-{layout}" for layout in LICENSED)):
        return name, ""
    layout, _, is_open = parse_name(plain)
    if is_open:
        return f"open-{layout}-{gender}", ""
    if find_file(layout, gender, folder) is not None:
        return f"{layout}-{gender}", ""
    if not any(find_file(layout, other, folder) for other in ("neutral", "female", "male")):
        return f"open-{layout}-{gender}", f"no {layout} file was found: '{name}' is taken as the open body"
    if strict or find_file(layout, "neutral", folder) is None:
        return f"{layout}-{gender}", ""  # loading it says what is missing
    return f"{layout}-neutral", f"there is no {layout}-{gender}, so motions of that gender go to {layout}-neutral"


@functools.lru_cache(maxsize=8)
def body(name: str, folder: str | None) -> BodyModel:
    """A body, loaded once per process."""
    return load_body(name, folder=folder)


@functools.lru_cache(maxsize=64)
def body_hash(name: str, folder: str | None) -> str:
    """A hash of everything a body consists of."""
    digest, loaded = hashlib.sha256(), body(name, folder)
    digest.update("\n".join((loaded.layout, loaded.gender, *loaded.skeleton.names)).encode())
    for key, value in sorted(loaded.state_dict().items()):
        digest.update(f"{key} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
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
    source, target = _ready(job.source, job.target, job.folder)
    for name, wanted in zip((job.source, job.target), job.bodies):
        if name and body_hash(name, job.folder) != wanted:
            raise BadData(
                f"the body '{name}' is another here than where the plan was made",
                where=f"{job.input}: hash {body_hash(name, job.folder)[:12]}, expected {wanted[:12]}",
                fix="give every worker the same model files",
            )
    started = time.perf_counter()
    conversion, read_seconds = _conversion(job, source, target, progress)
    converted = time.perf_counter()
    _write(job, conversion.motion)
    written = time.perf_counter()
    stages = {"read": read_seconds, **conversion.seconds, "write": written - converted}
    frames = len(conversion.motion)
    return {
        "content": job.content,
        "facts": asdict(job.facts),
        "source": job.source,
        "target": job.target,
        "frames": frames,
        "fps": conversion.motion.fps,
        "start_seconds": started - clock,
        "seconds": written - started,
        "stages": stages,
        **conversion.error.as_dict(),
        "folder": job.folder,
        "shown_frames": _shown_frames(conversion),
        "histogram": _histogram(conversion, frames),
        "failed_frames": int(conversion.failed.sum()),
        "warnings": list(conversion.warnings),
        "trusted": conversion.trusted,
    }


@functools.lru_cache(maxsize=8)
def _ready(source: str, target: str, folder: str | None) -> tuple[BodyModel | None, BodyModel]:
    """The bodies of a pair, once per process: loaded, their surface map found, compiled code loaded.

    What this costs belongs to the start of a process, not to the first file.
    """
    to = body(target, folder)
    if not source:
        return None, to
    at = body(source, folder)
    correspondence(at, to)
    rest = Motion(rotations=at.rest_rotations(2), translation=torch.zeros(2, 3), fps=30.0, skeleton=at.skeleton)
    convert_motion(rest, to, source=at, points=1)
    return at, to


def _conversion(
    job: Job, source: BodyModel | None, target: BodyModel, progress: Progress | None
) -> tuple[Conversion, float]:
    """The conversion and the seconds that reading took."""
    options, clock = job.options, time.perf_counter()
    betas = options.betas if isinstance(options.betas, str) else torch.tensor(options.betas)
    hands = options.hands if isinstance(options.hands, str) else torch.tensor(options.hands).view(2, 45)
    if job.facts.kind == "meshes":
        sequence = read_mesh_sequence(job.input, up=options.up)
        read = time.perf_counter() - clock
        meshes = convert_meshes(
            sequence,
            target,
            topology=source,
            fps=job.facts.fps,
            betas=betas,
            points=options.points,
            progress=progress,
        )
        return meshes, read
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a reader notices stands in the notes of the motion
        motion = load_motion(job.input, fps=options.fps)
    read = time.perf_counter() - clock
    if source is None:
        mapping = options.mapping or None
        skeleton = retarget_motion(motion, target, mapping=mapping, betas=betas, hands=hands, progress=progress)
        return skeleton, read
    converted = convert_motion(
        motion, target, source=source, betas=betas, hands=hands, points=options.points, progress=progress
    )
    return converted, read


def _write(job: Job, motion: Motion) -> None:
    path = Path(job.output)
    save_motion(motion, path, format=job.options.format or None, overwrite=job.overwrite)


def _shown_frames(conversion: Conversion) -> dict[str, int]:
    """The frames that a picture shows."""
    order = conversion.error.frames[conversion.error.per_frame.argsort()].tolist()
    return {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]} if order else {}


def _histogram(conversion: Conversion, frames: int) -> list[float]:
    """How many frames have a mean error in each bin, up to the last that has any; those measured stand for all."""
    errors = conversion.error.per_frame.double()
    counts = torch.bincount((errors / BIN_MM).long().clamp(max=BINS - 1))
    return [round(float(count) * frames / max(len(errors), 1), 1) for count in counts]
