"""One file of `vitruve convert`, in a worker: read once, converted, written, with its figures."""

from __future__ import annotations

import functools
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from vitruve.bodies.find_body import body_on
from vitruve.convert.chosen_bodies import body, body_hash
from vitruve.convert.convert import convert_motion
from vitruve.convert.meshes import convert_meshes
from vitruve.convert.oddities import oddities
from vitruve.convert.options import Facts
from vitruve.convert.poses import PoseConversion, Poses, convert_poses, read_poses, write_poses
from vitruve.convert.settle import Settings
from vitruve.correspondence.body_maps import correspondence
from vitruve.devices import device_of
from vitruve.errors import BadData
from vitruve.fit import prepare
from vitruve.fit.conversion import Conversion
from vitruve.formats import load_motion, save_motion
from vitruve.formats.readers.mesh_sequence import MeshSequence, read_mesh_sequence
from vitruve.jobs.work import Task
from vitruve.motion import Motion
from vitruve.retarget.choose_mapping import GUESS
from vitruve.retarget.mapping import Mapping, mapping_to_toml
from vitruve.retarget.mapping_guess import guess_mapping
from vitruve.retarget.retarget import retarget_motion
from vitruve.runs.progress import Progress

# The histogram of the frames' mean errors: the width of a bin in millimetres, and how many there are; the last is open.
BIN_MM, BINS = 0.1, 201
# Extras that readers keep, and that say again what the motion holds.
_COPIES = ("file_", "root_orient", "pose_")
_Input = Motion | Poses | MeshSequence


def convert_file(task: Task, progress: Progress | None = None) -> dict[str, Any]:
    """Do one file and give the figures for its ledger entry.

    Args:
        task: with `Facts` and `Settings`.
        progress: called with frames done and frames in all of this file.
    """
    settings: Settings = task.settings
    clock = time.perf_counter()
    _make_ready(task)
    started = time.perf_counter()
    source, conversion, result, read_seconds = _conversion(task, progress)
    converted = time.perf_counter()
    found = oddities(source, result)
    looked = time.perf_counter()
    if isinstance(result, Poses):
        write_poses(result, task.output, overwrite=task.overwrite)
    else:
        # BVH needs bones, which only the body has.
        more = {"body": body(settings.target, settings.folder)} if task.output.lower().endswith(".bvh") else {}
        save_motion(result, task.output, format=settings.options.format or None, overwrite=task.overwrite, **more)
    written = time.perf_counter()
    stages = {"read": read_seconds, **conversion.seconds, "look": looked - converted, "write": written - looked}
    frames = len(result)
    return {
        "facts": asdict(_facts(task.facts, source)),
        "source": settings.source,
        "target": settings.target,
        "frames": frames,
        "fps": task.facts.fps,
        "start_seconds": started - clock,
        "seconds": written - started,
        "stages": stages,
        **conversion.error.as_dict(),
        "folder": settings.folder,
        "shown_frames": _shown_frames(conversion),
        "histogram": _histogram(conversion, frames),
        "curve": conversion.error.curve(),
        "failed_frames": int(conversion.failed.sum()),
        "masked_frames": 0 if result.mask is None else int((~result.mask & ~conversion.failed).sum()),
        "warnings": list(dict.fromkeys((*conversion.warnings, *task.notes))),
        "findings": [asdict(finding) for finding in found],
        "trusted": conversion.trusted and all(finding.trusted for finding in found),
    }


def _facts(facts: Facts, source: _Input) -> Facts:
    """What a header does not tell: the joints of a foreign tree, and how many frames its reader has kept."""
    if not isinstance(source, Motion):
        return facts
    return replace(facts, frames=len(source), skeleton=source.skeleton.name)


def _make_ready(task: Task) -> None:
    """Load compiled code, bodies and surface map, once per process; the bodies must be those of the plan."""
    prepare()
    settings: Settings = task.settings
    for names, hashes in zip((settings.source, settings.target), settings.bodies):
        for name, expected in zip(names.split("+"), hashes.split("+")) if names else ():
            found = body_hash(name, settings.folder)
            if found != expected:
                raise BadData(
                    f"the body '{name}' is another here than where the plan was made",
                    where=f"{task.input}: hash {found[:12]}, expected {expected[:12]}",
                    fix="give every worker the same model files",
                )
    find_map(task)


def find_map(task: Task) -> None:
    """Find or work out the surface map of a task's bodies, if it needs one; it is kept on disk."""
    if task.facts.kind == "motion":
        _find_map(task.settings.source, task.settings.target, task.settings.folder)


@functools.lru_cache(maxsize=64)
def _find_map(source: str, target: str, folder: str | None) -> None:
    correspondence(body(source, folder), body(target, folder))


def _conversion(
    task: Task, progress: Progress | None
) -> tuple[_Input, Conversion | PoseConversion, Motion | Poses, float]:
    """The input as it was read, the conversion, its result, and the seconds that reading took."""
    settings: Settings = task.settings
    options, kind, folder, clock = settings.options, task.facts.kind, settings.folder, time.perf_counter()
    how: dict[str, Any] = {"progress": progress}
    device = device_of(options.device)
    if options.betas is not None:
        how["betas"] = options.betas if isinstance(options.betas, str) else torch.tensor(options.betas)
    if options.points is not None and kind != "skeleton":
        how["points"] = options.points
    if kind != "meshes":
        hands = options.hands
        how["hands"] = hands if isinstance(hands, str) else torch.tensor(hands).view(2, 45)
    if kind == "poses":
        poses = read_poses(task.input, gender=options.gender or None)
        read = time.perf_counter() - clock
        converted = convert_poses(poses, options.to, source=options.source or None, folder=folder, device=device, **how)
        return poses, converted, converted.poses, read
    target = body_on(body(settings.target, folder), device)
    source = body(settings.source, folder) if settings.source else None
    if kind == "meshes":
        sequence = read_mesh_sequence(task.input, up=options.up)
        read = time.perf_counter() - clock
        conversion = convert_meshes(sequence, target, topology=source, fps=options.fps, **how)
        return sequence, conversion, conversion.motion, read
    motion = _without_copies(load_motion(task.input, fps=options.fps, gender=options.gender or None))
    read = time.perf_counter() - clock
    if source is not None:
        conversion = convert_motion(motion, target, source=source, **how)
    else:
        mapping = guess_mapping(motion) if options.mapping == GUESS else options.mapping or None
        conversion = retarget_motion(motion, target, mapping=mapping, **how)
        if isinstance(mapping, Mapping):
            # For the user to look at, to correct, and to give for other files.
            Path(task.output).with_suffix(".mapping.toml").write_text(mapping_to_toml(mapping), encoding="utf-8")
    return motion, conversion, conversion.motion, read


def _without_copies(motion: Motion) -> Motion:
    """Without the file's own arrays of its rotations, which a long clip would hold all through its conversion."""
    extras = {key: value for key, value in motion.source.extras.items() if not key.startswith(_COPIES)}
    return motion.replace(source=replace(motion.source, extras=extras))


def _shown_frames(conversion: Conversion | PoseConversion) -> dict[str, int]:
    """The frames that a picture shows."""
    order = conversion.error.frames[conversion.error.per_frame.argsort()].tolist()
    return {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]} if order else {}


def _histogram(conversion: Conversion | PoseConversion, frames: int) -> list[float]:
    """How many frames have a mean error in each bin, up to the last that has any; those measured stand for all."""
    errors = conversion.error.per_frame.double()
    counts = torch.bincount((errors / BIN_MM).long().clamp(max=BINS - 1))
    return [round(float(count) * frames / max(len(errors), 1), 1) for count in counts]
