"""Find out what an input of `vitruve convert` is, from its header if the format allows it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from vitruve.convert.meshes import MESH_FPS
from vitruve.convert.options import Facts, Options
from vitruve.convert.poses import read_poses
from vitruve.errors import BadData, VitruveError
from vitruve.files.smpl_layouts import SKELETONS
from vitruve.fit.conversion import check_some_data
from vitruve.formats import FORMATS, load_motion, recognise
from vitruve.formats.glimpse import glimpse
from vitruve.formats.headers import quick_header


def _reader_options(options: Options) -> str:
    """The options that the facts depend on."""
    return " ".join(str(option) for option in (options.fps, options.gender) if option)


def look(path: Path, options: Options) -> Facts:
    """The facts about an input; raises what its reader raises. Damage behind the header is found later."""
    return replace(_look(path, options), asked=_reader_options(options))


def recall(known: Mapping[str, Any], options: Options) -> Facts | None:
    """The facts of an earlier run, if they are still valid: the same rate and gender, and a named body."""
    return Facts(**known) if known.get("body") and known.get("asked", "") == _reader_options(options) else None


def _look(path: Path, options: Options) -> Facts:
    seen = glimpse(path)
    if path.suffix.lower() == ".json" or "ids" in seen.shapes:
        return _look_at_poses(path, options)
    row = FORMATS[recognise(seen)]
    if row.holds == "meshes":
        frames = sum(file.suffix.lower() in row.files for file in path.iterdir())
        return Facts("meshes", frames, options.fps or MESH_FPS, gender=options.gender or "neutral")
    header = quick_header(seen)
    fps = options.fps or (header.fps if header else None)
    # If the user names a body for a foreign tree, its joints must be known.
    if header is not None and header.frames and fps and (header.body or not options.source):
        kind, gender = "motion" if header.body else "skeleton", header.gender or options.gender or "neutral"
        return Facts(kind, header.frames, fps, header.body, gender, header.skeleton)
    try:
        motion = load_motion(path, fps=options.fps, gender=options.gender or None)
    except BadData:
        if seen.kind != "pickle":
            raise
        with suppress(VitruveError):
            return _look_at_poses(path, options)
        raise
    check_some_data(motion)
    kind = "motion" if motion.body or options.source else "skeleton"
    return Facts(kind, len(motion), motion.fps, motion.body, motion.gender, motion.skeleton.name)


def _look_at_poses(path: Path, options: Options) -> Facts:
    poses = read_poses(path, gender=options.gender or None)
    return Facts("poses", len(poses), 0.0, poses.body, ",".join(sorted(set(poses.genders))), SKELETONS[poses.layout])
