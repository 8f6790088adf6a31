"""Convert one file in a worker: read, convert, write, and give the figures."""

from __future__ import annotations

import functools
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from vitruve.bodies.catalogue import shared_body
from vitruve.bodies.find_body import body_on
from vitruve.convert.chosen_bodies import body_hash
from vitruve.convert.convert import convert_motion
from vitruve.convert.input_findings import oddities
from vitruve.convert.meshes import convert_meshes
from vitruve.convert.options import Facts, Options
from vitruve.convert.poses import PoseConversion, Poses, convert_poses, read_poses, write_poses
from vitruve.convert.settle import Settings
from vitruve.correspondence.body_maps import correspondence
from vitruve.devices import device_of
from vitruve.errors import BadData
from vitruve.fit import prepare
from vitruve.fit.conversion import Conversion, Stopwatch
from vitruve.formats import load_motion, save_motion
from vitruve.formats.left_out import COPIES
from vitruve.formats.readers.mesh_sequence import MeshSequence, read_mesh_sequence
from vitruve.jobs.work import Task
from vitruve.motion import Motion
from vitruve.retarget.choose_mapping import GUESS
from vitruve.retarget.mapping import Mapping, mapping_to_toml
from vitruve.retarget.mapping_guess import guess_mapping
from vitruve.retarget.retarget import retarget_motion
from vitruve.runs.progress import Progress

# Histogram of the frames' mean errors: width of a bin in millimetres, and number of bins; the last is open.
BIN_MM, BINS = 0.1, 201
_Input = Motion | Poses | MeshSequence


def convert_file(task: Task, progress: Progress | None = None) -> dict[str, Any]:
    """Convert one file; the figures for its ledger entry.

    Args:
        task: with `Facts` and `Settings`.
        progress: called with (frames done, frames) of this file.
    """
    settings: Settings = task.settings
    watch = Stopwatch()
    _prepare(task)
    watch.lap("prepare")
    source = _read(task)
    watch.lap("read")
    conversion = _convert(source, task, progress)
    result = conversion.poses if isinstance(conversion, PoseConversion) else conversion.motion
    watch.lap("convert")
    findings = oddities(source, result)
    watch.lap("look")
    if isinstance(result, Poses):
        write_poses(result, task.output, overwrite=task.overwrite)
    else:
        # BVH needs bones, which only the body has.
        more = {"body": shared_body(settings.target, settings.folder)} if task.output.lower().endswith(".bvh") else {}
        save_motion(result, task.output, format=settings.options.format or None, overwrite=task.overwrite, **more)
    watch.lap("write")
    seconds, frames = watch.seconds, len(result)
    return {
        "facts": asdict(_facts(task.facts, source)),
        "source": settings.source,
        "target": settings.target,
        "frames": frames,
        "fps": task.facts.fps,
        "start_seconds": seconds["prepare"],
        "seconds": sum(seconds.values()) - seconds["prepare"],
        "stages": {"read": seconds["read"], **conversion.seconds, "look": seconds["look"], "write": seconds["write"]},
        **conversion.error.as_dict(),
        "folder": settings.folder,
        "shown_frames": _shown_frames(conversion),
        "histogram": _histogram(conversion, frames),
        "curve": conversion.error.curve(),
        "failed_frames": int(conversion.failed.sum()),
        "masked_frames": 0 if result.mask is None else int((~result.mask & ~conversion.failed).sum()),
        "warnings": list(dict.fromkeys((*conversion.warnings, *task.notes))),
        "findings": [asdict(finding) for finding in findings],
        "trusted": conversion.trusted and all(finding.trusted for finding in findings),
    }


def _facts(facts: Facts, source: _Input) -> Facts:
    """With what a header does not tell: the joints of a foreign tree, and the number of frames that were kept."""
    if not isinstance(source, Motion):
        return facts
    return replace(facts, frames=len(source), skeleton=source.skeleton.name)


def _prepare(task: Task) -> None:
    """Load compiled code, bodies and surface map, once per process; the bodies must be those of the plan."""
    prepare()
    settings: Settings = task.settings
    for names, hashes in zip((settings.source, settings.target), settings.bodies):
        for name, expected in zip(names.split("+"), hashes.split("+")) if names else ():
            actual = body_hash(name, settings.folder)
            if actual != expected:
                raise BadData(
                    f"the body '{name}' differs from the one on the machine that made the plan",
                    where=f"{task.input}: hash {actual[:12]}, expected {expected[:12]}",
                    fix="give every worker the same model files",
                )
    find_map(task)


def find_map(task: Task) -> None:
    """Load or compute the surface map of a task's bodies, if it needs one; it is cached on disk."""
    if task.facts.kind == "motion":
        _find_map(task.settings.source, task.settings.target, task.settings.folder)


@functools.lru_cache(maxsize=64)
def _find_map(source: str, target: str, folder: str | None) -> None:
    correspondence(shared_body(source, folder), shared_body(target, folder))


def _read(task: Task) -> _Input:
    options: Options = task.settings.options
    if task.facts.kind == "poses":
        return read_poses(task.input, gender=options.gender or None)
    if task.facts.kind == "meshes":
        return read_mesh_sequence(task.input, up=options.up)
    return _without_copies(load_motion(task.input, fps=options.fps, gender=options.gender or None))


def _convert(source: _Input, task: Task, progress: Progress | None) -> Conversion | PoseConversion:
    settings: Settings = task.settings
    options, folder, kind = settings.options, settings.folder, task.facts.kind
    how: dict[str, Any] = {"progress": progress}
    device = device_of(options.device)
    if options.betas is not None:
        how["betas"] = options.betas if isinstance(options.betas, str) else torch.tensor(options.betas)
    if options.points is not None and kind != "skeleton":
        how["points"] = options.points
    if kind != "meshes":
        hands = options.hands
        how["hands"] = hands if isinstance(hands, str) else torch.tensor(hands).view(2, 45)
    if isinstance(source, Poses):
        return convert_poses(source, options.to, source=options.source or None, folder=folder, device=device, **how)
    target = body_on(shared_body(settings.target, folder), device)
    made_on = shared_body(settings.source, folder) if settings.source else None
    if isinstance(source, MeshSequence):
        return convert_meshes(source, target, topology=made_on, fps=options.fps, **how)
    if made_on is not None:
        return convert_motion(source, target, source=made_on, **how)
    mapping = guess_mapping(source) if options.mapping == GUESS else options.mapping or None
    conversion = retarget_motion(source, target, mapping=mapping, **how)
    if isinstance(mapping, Mapping):
        # For the user to correct, and to use for other files.
        Path(task.output).with_suffix(".mapping.toml").write_text(mapping_to_toml(mapping), encoding="utf-8")
    return conversion


def _without_copies(motion: Motion) -> Motion:
    """Without the file's own arrays of its rotations, which would take memory throughout the conversion."""
    extras = {key: value for key, value in motion.source.extras.items() if not key.startswith(COPIES)}
    return motion.replace(source=replace(motion.source, extras=extras))


def _shown_frames(conversion: Conversion | PoseConversion) -> dict[str, int]:
    """The frames in the pictures of the report."""
    order = conversion.error.frames[conversion.error.per_frame.argsort()].tolist()
    return {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]} if order else {}


def _histogram(conversion: Conversion | PoseConversion, frames: int) -> list[float]:
    """Number of frames in each bin of mean error, up to the last non-empty one, extrapolated to all frames."""
    errors = conversion.error.per_frame.double()
    counts = torch.bincount((errors / BIN_MM).long().clamp(max=BINS - 1))
    return [round(float(count) * frames / max(len(errors), 1), 1) for count in counts]
