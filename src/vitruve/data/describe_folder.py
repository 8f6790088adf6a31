"""Describe a folder of motions: counts, bodies, frame rates, hours, licences, and findings.

The headers of all files are read, about a millisecond each, and some files in full, spread evenly.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from vitruve.amass.sets import canonical_set, set_licence
from vitruve.amass.unpack import ENDINGS as ARCHIVES
from vitruve.data.licences import licence_by_name
from vitruve.data.sampling import evenly
from vitruve.data.sources import visible_tree
from vitruve.errors import VitruveError
from vitruve.formats import FORMATS
from vitruve.formats.describe import Description
from vitruve.formats.describe import describe as describe_one
from vitruve.formats.glimpse import Glimpse, glimpse, is_body, is_mesh_folder, is_transfer_folder
from vitruve.formats.headers import Header, read_header
from vitruve.formats.readers.poses_by_id import read_poses
from vitruve.motion.finding import Finding, by_severity, summarise_findings
from vitruve.runs.progress import Progress
from vitruve.words import counted

_ENDINGS = frozenset(ending for row in FORMATS.values() for ending in row.endings if ending != "/")
# Number of files that are read in full.
_READ_IN_FULL = 12
# What a file may not state -> what to do.
_HINTS = {
    "frame rate": "give it: --source-fps 30",
    "gender": "neutral is used unless you give one",
    "translation": "the body stays at the origin",
}
# The same in the findings about a single file.
_KNOWN_FROM_HEADERS = ("has no frame rate", "has no gender", "has no translation", "NO TRANSLATION")
# An npz or safetensors file with one of these should hold a motion.
_MOTION_KEYS = frozenset(("poses", "pose", "fullpose", "full_pose", "smpl_poses", "root_orient", "rotations"))


@dataclass
class _Found:
    """Content of a folder: headers by motion, errors by unreadable file, counts of other kinds, archives."""

    motions: dict[Path, Header] = field(default_factory=dict)
    bad: dict[Path, VitruveError] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)
    archives: list[Path] = field(default_factory=list)


def describe_folder(
    path: Path, fps: float | None = None, gender: str | None = None, progress: Progress | None = None
) -> Description:
    """Describe a folder and all folders below it; the arguments are those of `describe`."""
    found, entries = _Found(), list(_entries(path))
    total = len(entries) + min(len(entries), _READ_IN_FULL)

    def report(done: int) -> None:
        if progress:
            progress(done, total)

    for number, entry in enumerate(entries, start=1):
        _add(entry, found)
        report(number)
    chosen = evenly(list(found.motions), _READ_IN_FULL)
    inspected = _inspected(chosen, fps, gender, lambda done: report(len(entries) + done))
    report(total)
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
    return Description(path, "folder", facts, by_severity([*_findings(found, fps, gender), *inspected]))


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def _entries(root: Path) -> Iterator[Path]:
    """Files with the ending of a motion or an archive, and folders that are one motion."""
    for here, _, folders, files in visible_tree(root):
        for name in [name for name in folders if is_one_motion(glimpse(here / name))]:
            yield here / name
            folders.remove(name)
        for name in files:
            if Path(name).suffix.lower() in _ENDINGS or _is_archive(name):
                yield here / name


def is_one_motion(look: Glimpse) -> bool:
    """Whether a folder holds one pickle or mesh per frame, and neither other motions nor body models."""
    others = sum(count for ending, count in look.endings.items() if ending in _ENDINGS - {".pkl"})
    if others or not (is_transfer_folder(look) or is_mesh_folder(look)):
        return False
    pickles = sorted(file for file in look.path.iterdir() if file.suffix.lower() == ".pkl")
    return not pickles or _pickle_without_motion(pickles[0]) == ""


def _add(entry: Path, found: _Found) -> None:
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
    """The kind of a valid file without a motion; empty for a file that should hold one."""
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


def _body_of(header: Header, default_gender: str | None) -> str:
    if not header.body:
        return "meshes" if FORMATS[header.format].holds == "meshes" else "a skeleton of its own"
    gender = header.gender or default_gender
    return f"{header.body}-{gender}" if gender else header.body


def _set_of(entry: Path, root: Path) -> str:
    """The AMASS set named by the folders; empty where there is none, and for formats that AMASS does not use."""
    if entry.suffix.lower() not in (".npz", ".safetensors"):
        return ""
    folders = (root.absolute().name, *entry.relative_to(root).parts[:-1])
    return next((name for folder in folders if (name := canonical_set(folder))), "")


def _licence(entry: Path, root: Path) -> str:
    return licence_by_name(entry.name) or set_licence(_set_of(entry, root)) or "not stated"


def _findings(found: _Found, fps: float | None, gender: str | None) -> Iterator[Finding]:
    """Findings from the headers."""
    reasons: dict[str, list[Path]] = defaultdict(list)
    for path, error in found.bad.items():
        reasons[error.what.replace(path.name, "it")].append(path)
    for what, paths in reasons.items():
        text = f"{counted(len(paths), 'file')} cannot be read: {what}"
        yield Finding("error", text, _some(paths[0], len(paths)), found.bad[paths[0]].fix)
    for lacking, hint in _HINTS.items():
        paths = [path for path, header in found.motions.items() if lacking in header.lacks]
        if paths and not (lacking == "frame rate" and fps) and not (lacking == "gender" and gender):
            severity = "warning" if lacking == "frame rate" else "note"
            text = f"{counted(len(paths), 'file')} {'does' if len(paths) == 1 else 'do'} not say the {lacking}"
            yield Finding(severity, text, _some(paths[0], len(paths)), hint)
    if not fps and any(header.format == "asf-amc" for header in found.motions.values()):
        yield Finding("note", "ASF/AMC files do not say their rate; that of CMU was taken", "", _HINTS["frame rate"])
    if found.archives:
        text, where = f"{counted(len(found.archives), 'archive')} still packed", found.archives[0]
        yield Finding("note", text, _some(where, len(found.archives)), "vitruve data unpack FOLDER --out AMASS")
    if not found.motions:
        hint = f"files that may hold one end in {' '.join(sorted(_ENDINGS))}"
        yield Finding("warning", "no motion was found", "", hint)


def _inspected(
    paths: Sequence[Path], fps: float | None, gender: str | None, report: Callable[[int], None]
) -> list[Finding]:
    """Findings about files that are read in full, each kind once."""
    found: list[tuple[str, Finding]] = []
    for number, path in enumerate(paths, start=1):
        try:
            findings = describe_one(path, fps=fps, gender=gender).findings
        except VitruveError as error:
            findings = [Finding("error", error.what, error.where, error.fix)]
        found += [
            (str(path), each) for each in findings if not any(words in each.what for words in _KNOWN_FROM_HEADERS)
        ]
        report(number)
    read = f"{counted(len(paths), 'file')} read in full"
    return [
        Finding(
            row["severity"],
            f"{row['what']}; so in {row['clips']} of {read}",
            _some(row["first"], row["clips"]),
            row["hint"],
            row["trusted"],
        )
        for row in summarise_findings(found)
    ]


def _some(first: Path | str, count: int) -> str:
    return str(first) if count == 1 else f"{first} and {count - 1:,} more"
