"""What lies in a folder of motions: how many, on which bodies, at what rates, how long, what licences, what is odd.

The headers of all files are read, which takes about a millisecond each, and a few files in full, spread evenly.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from vitruve.amass.sets import canonical_set, set_licence
from vitruve.amass.unpack import ENDINGS as ARCHIVES
from vitruve.data.licences import licence_by_name
from vitruve.errors import VitruveError
from vitruve.formats import FORMATS
from vitruve.formats.describe import Description
from vitruve.formats.describe import describe as describe_one
from vitruve.formats.glimpse import Glimpse, glimpse, is_body, is_mesh_folder, is_transfer_folder
from vitruve.formats.headers import Header, read_header
from vitruve.formats.readers.poses_by_id import read_poses
from vitruve.motion.finding import SEVERITIES, Finding
from vitruve.words import counted

Progress = Callable[[int, int], None]
_ENDINGS = frozenset(ending for row in FORMATS.values() for ending in row.endings if ending != "/")
# Files of a folder that are read in full.
_LOOKED_THROUGH = 12
# What files lack, and what to do about it.
_HINTS = {
    "frame rate": "give it: --source-fps 30",
    "gender": "neutral is taken where nothing else is said",
    "translation": "the body stays at the origin",
}
# How the readers of single files say the same.
_TOLD_BY_HEADERS = ("has no frame rate", "has no gender", "has no translation", "NO TRANSLATION")
# An npz or safetensors file with one of these was meant as a motion.
_MOTION_KEYS = frozenset(("poses", "pose", "fullpose", "full_pose", "smpl_poses", "root_orient", "rotations"))


@dataclass
class _Found:
    """What lies in a folder.

    Attributes:
        motions: with their headers.
        bad: files that should hold a motion, and why they cannot be read.
        others: how many there are of each other kind.
        archives: still packed.
    """

    motions: dict[Path, Header] = field(default_factory=dict)
    bad: dict[Path, VitruveError] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)
    archives: list[Path] = field(default_factory=list)


def describe_folder(
    path: Path, fps: float | None = None, gender: str | None = None, progress: Progress | None = None
) -> Description:
    """Say what lies in a folder and below it; arguments as of `describe`."""
    found, entries = _Found(), list(_entries(path))
    # The last ones are those that are read in full.
    total = len(entries) + min(len(entries), _LOOKED_THROUGH)

    def tell(done: int) -> None:
        if progress:
            progress(done, total)

    for number, entry in enumerate(entries, start=1):
        _look_at(entry, found)
        tell(number)
    chosen = _evenly(list(found.motions))
    oddities = _oddities(chosen, fps, gender, lambda done: tell(len(entries) + done))
    tell(total)
    headers = found.motions.values()
    rates = [fps or header.fps for header in headers]
    seconds = sum(header.frames / rate for header, rate in zip(headers, rates, strict=True) if rate)
    facts = {
        "format": "folder",
        "motions": len(headers),
        "frames": sum(header.frames for header in headers),
        "hours": round(seconds / 3600, 3),
        "sets": _counts(name for entry in found.motions if (name := _set_of(entry, path))),
        "formats": _counts(header.format for header in headers),
        "bodies": _counts(_body_of(header, gender) for header in headers),
        "rates": _counts("not told" if rate is None else f"{rate:.6g} fps" for rate in rates),
        "licences": _counts(_licence(entry, path) for entry in found.motions),
        "others": _counts(found.others.elements()),
        "unreadable": len(found.bad),
        "read_in_full": len(chosen),
    }
    findings = sorted(
        [*_findings(found, fps, gender), *oddities], key=lambda finding: SEVERITIES.index(finding.severity)
    )
    return Description(path, "folder", facts, findings)


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def _entries(root: Path) -> Iterator[Path]:
    """Files with the ending of a motion or an archive, and folders that are one motion; each place once."""
    seen: set[str] = set()
    for place, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()  # a link to a folder above would be walked for ever
            continue
        seen.add(real)
        here = Path(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in [name for name in folders if is_one_motion(glimpse(here / name))]:
            yield here / name
            folders.remove(name)
        for name in sorted(files):
            if not name.startswith(".") and (Path(name).suffix.lower() in _ENDINGS or _is_archive(name)):
                yield here / name


def is_one_motion(look: Glimpse) -> bool:
    """A folder with one pickle or one mesh a frame and nothing that is a motion by itself; not one of body models."""
    others = sum(count for ending, count in look.endings.items() if ending in _ENDINGS - {".pkl"})
    if others or not (is_transfer_folder(look) or is_mesh_folder(look)):
        return False
    pickles = sorted(file for file in look.path.iterdir() if file.suffix.lower() == ".pkl")
    return not pickles or _pickle_without_motion(pickles[0]) == ""


def _look_at(entry: Path, found: _Found) -> None:
    if entry.is_file() and _is_archive(entry.name):
        found.archives.append(entry)
        return
    try:
        look = glimpse(entry)
        other = _without_motion(look)
        if other:
            found.others[other] += 1
        else:
            found.motions[entry] = read_header(entry)
    except VitruveError as error:
        found.bad[entry] = error


def _without_motion(look: Glimpse) -> str:
    """What a file is that is sound and holds no motion; empty for one that should hold one."""
    if look.kind == "pickle":
        return _pickle_without_motion(look.path)
    if is_body(look):
        return "body models"
    if {"ids", "poses"} <= look.shapes.keys():
        return "files of poses by id"
    if look.kind in ("npz", "safetensors") and look.shapes and not _MOTION_KEYS & look.shapes.keys():
        return "files without a motion"
    return ""


def _pickle_without_motion(path: Path) -> str:
    try:
        return "body models" if describe_one(path, fps=1.0).kind == "body" else ""
    except VitruveError:
        with suppress(VitruveError):
            read_poses(path)
            return "files of poses by id"
        return ""


def _is_archive(name: str) -> bool:
    return name.lower().endswith(ARCHIVES)


def _body_of(header: Header, given: str | None) -> str:
    if not header.body:
        return "meshes" if FORMATS[header.format].holds == "meshes" else "a skeleton of its own"
    gender = header.gender or given
    return f"{header.body}-{gender}" if gender else header.body


def _set_of(entry: Path, root: Path) -> str:
    """The set of AMASS by the folders; empty where none is named so, and for other files, which it does not have."""
    if entry.suffix.lower() not in (".npz", ".safetensors"):
        return ""
    folders = (root.absolute().name, *entry.relative_to(root).parts[:-1])
    return next((name for folder in folders if (name := canonical_set(folder))), "")


def _licence(entry: Path, root: Path) -> str:
    return licence_by_name(entry.name) or set_licence(_set_of(entry, root)) or "not stated"


def _findings(found: _Found, fps: float | None, gender: str | None) -> Iterator[Finding]:
    """What the headers show."""
    reasons: dict[str, list[Path]] = defaultdict(list)
    for path, error in found.bad.items():
        reasons[error.what.replace(path.name, "it")].append(path)
    for what, paths in reasons.items():
        told = f"{counted(len(paths), 'file')} cannot be read: {what}"
        yield Finding("error", told, _some(paths), found.bad[paths[0]].fix)
    for lacking, hint in _HINTS.items():
        paths = [path for path, header in found.motions.items() if lacking in header.lacks]
        if paths and not (lacking == "frame rate" and fps) and not (lacking == "gender" and gender):
            severity = "warning" if lacking == "frame rate" else "note"
            told = f"{counted(len(paths), 'file')} {'does' if len(paths) == 1 else 'do'} not say the {lacking}"
            yield Finding(severity, told, _some(paths), hint)
    if not fps and any(header.format == "asf-amc" for header in found.motions.values()):
        yield Finding("note", "ASF/AMC files do not say their rate; that of CMU was taken", "", _HINTS["frame rate"])
    if found.archives:
        told = f"{counted(len(found.archives), 'archive')} still packed"
        yield Finding("note", told, _some(found.archives), "vitruve data unpack FOLDER --out AMASS")
    if not found.motions:
        yield Finding(
            "warning", "no motion was found", "", f"files that may hold one end in {' '.join(sorted(_ENDINGS))}"
        )


def _oddities(
    paths: Sequence[Path], fps: float | None, gender: str | None, tell: Callable[[int], None]
) -> list[Finding]:
    """What is odd in some files that are read in full, each thing told once for all that have it."""
    files: dict[tuple[str, str], list[Path]] = defaultdict(list)
    firsts: dict[tuple[str, str], Finding] = {}
    for number, path in enumerate(paths, start=1):
        try:
            findings = describe_one(path, fps=fps, gender=gender).findings
        except VitruveError as error:
            findings = [Finding("error", error.what, error.where, error.fix)]
        for finding in findings:
            if any(words in finding.what for words in _TOLD_BY_HEADERS):
                continue
            # The same thing whatever its numbers are.
            kind = (finding.severity, re.sub(r"-?\d[\d.,]*", "n", finding.what.replace("once", "1 times")))
            firsts.setdefault(kind, finding)
            if path not in files[kind]:
                files[kind].append(path)
        tell(number)
    told = []
    for kind, having in files.items():
        what = f"{firsts[kind].what}; so in {len(having)} of {counted(len(paths), 'file')} read in full"
        told.append(replace(firsts[kind], what=what, where=_some(having)))
    return told


def _evenly(paths: list[Path]) -> list[Path]:
    few = min(len(paths), _LOOKED_THROUGH)
    return [paths[i * len(paths) // few] for i in range(few)]


def _some(paths: Sequence[Path]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1:,} more"
