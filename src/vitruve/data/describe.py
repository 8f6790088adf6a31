"""Describe any path: a single file, poses keyed by an id, a clip store, a folder of files."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

from vitruve.data.clips import STORE_FILE
from vitruve.errors import BadData, VitruveError
from vitruve.formats.describe import Description
from vitruve.formats.describe import describe as describe_one
from vitruve.formats.glimpse import Glimpse, glimpse
from vitruve.formats.readers.poses_by_id import Poses, read_poses
from vitruve.motion.finding import Finding
from vitruve.runs.progress import Progress
from vitruve.words import counted


def describe(
    path: str | os.PathLike[str],
    *,
    fps: float | None = None,
    gender: str | None = None,
    progress: Progress | None = None,
) -> Description:
    """Determine the kind of a path from its content, with facts and findings.

    Args:
        path: a motion, a body model, a skeleton, poses keyed by an id; a folder that is one motion, or any other.
        fps: frames per second, for files that do not state it.
        gender: "neutral", "female" or "male", for files that do not state it.
        progress: called with files done and files in all, for a folder.
    """
    path = Path(path).expanduser()
    look = glimpse(path)
    if look.kind == "folder" and (path / STORE_FILE).is_file():
        return _store(path)
    if look.kind == "folder":
        from vitruve.data.describe_folder import describe_folder, is_one_motion  # slow to import

        if not is_one_motion(look):
            return describe_folder(path, fps, gender, progress)
    if path.suffix.lower() == ".json" or {"ids", "poses"} <= look.shapes.keys():
        return _poses(look, read_poses(path))
    try:
        return describe_one(path, fps=fps, gender=gender)
    except BadData:
        if look.kind == "pickle":
            with suppress(VitruveError):
                return _poses(look, read_poses(path))
        raise


def _poses(look: Glimpse, poses: Poses) -> Description:
    genders = Counter(poses.genders)
    by_columns = "ids" in look.shapes or look.kind == "npz"
    facts = {
        "format": "poses by id",
        "body": poses.body,
        "genders": dict(genders.most_common()),
        "poses": len(poses),
        "ids": f"{poses.ids[0]} to {poses.ids[-1]}",
        "joints": poses.rotations.shape[1],
        "masked": int((~poses.mask).sum()),
        "betas": poses.betas.shape[1],
        "expressions": 0 if poses.expression is None else poses.expression.shape[1],
        "keys": "columns, one row for each of `ids`" if by_columns else "one entry for each id",
        "arrays": {key: list(shape) for key, shape in look.shapes.items()},
    }
    findings = [Finding("note", note) for note in poses.notes]
    if not poses.mask.all():
        bad = [name for name, good in zip(poses.ids, poses.mask.tolist()) if not good]
        where = ", ".join(bad[:6]) + (", ..." if len(bad) > 6 else "")
        findings.insert(0, Finding("warning", f"{counted(len(bad), 'pose')} hold values that are not numbers", where))
    return Description(look.path, "poses", facts, findings)


def _store(path: Path) -> Description:
    from vitruve.data.store import open_store

    clips = open_store(path).clips
    facts = {
        "format": "clip store",
        "sets": dict(Counter(clip.set for clip in clips)),
        "clips": len(clips),
        "frames": sum(clip.frames for clip in clips),
        "hours": round(sum(clip.seconds for clip in clips) / 3600, 3),
        "bodies": dict(Counter(f"{clip.body}-{clip.gender}" for clip in clips).most_common()),
        "rates": dict(Counter(f"{clip.fps:g} fps" for clip in clips).most_common()),
        "licences": dict(Counter(clip.licence or "not stated" for clip in clips).most_common()),
    }
    return Description(path, "store", facts, [Finding("note", "for more: vitruve data show", str(path))])
