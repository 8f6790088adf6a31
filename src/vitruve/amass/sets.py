"""The sets of AMASS: their names, what folders and archives are called, how many clips and frames there are.

    canonical_set("BioMotionLab_NTroje")     # "BMLrub": any alias, in any letter case
    probable_set("BML")                      # "BMLrub": no name of the release, but probably meant
    found = find_sets("AMASS")               # which sets lie in a folder, and which are missing

The table is tables/amass_sets.toml.
"""

from __future__ import annotations

import difflib
import functools
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from vitruve.errors import BadData, MissingAsset
from vitruve.formats.glimpse import ROTATION_KEYS, glimpse

# How the clips of the two releases end; what else lies beside them (shape.npz, *_stagei.npz) is no motion.
ENDINGS = {"_poses.npz": "smplh", "_stageii.npz": "smplx"}


@dataclass(frozen=True)
class AmassSet:
    """One set of the release.

    Attributes:
        name: as on the site; the name that Vitruve uses.
        smplh: folder in the SMPL+H release, or empty.
        smplx: folder in the SMPL-X release, or empty.
        archives: other names of the archive.
        probably: what a folder may be called when this set is meant.
        files: clips of the SMPL+H release, or None where not known.
        frames: their frames, or None.
        files_smplx: clips of the SMPL-X release, or None.
        vposer_frames: frames that the published preparation of VPoser takes, or None.
        licence: in one line.
    """

    name: str
    smplh: str = ""
    smplx: str = ""
    archives: tuple[str, ...] = ()
    probably: tuple[str, ...] = ()
    files: int | None = None
    frames: int | None = None
    files_smplx: int | None = None
    vposer_frames: int | None = None
    licence: str = ""

    @property
    def aliases(self) -> tuple[str, ...]:
        """Every name of the set, its folders and archives, spelled as in the releases."""
        return tuple(dict.fromkeys(name for name in (self.name, self.smplh, self.smplx, *self.archives) if name))


@dataclass(frozen=True)
class FoundFolder:
    """A folder that holds a set.

    Attributes:
        path: the folder whose sub-folders are subjects.
        set: the set's name.
        generation: "smplh", "smplx" or, where it has no clip, empty.
        exact: whether it is spelled as in a release.
    """

    path: Path
    set: str
    generation: str
    exact: bool


@dataclass(frozen=True)
class FoundSets:
    """What `find_sets` has found.

    Attributes:
        folders: those that hold a set, sorted.
        near_misses: name of a folder that is none of the release, to the set that is probably meant.
        missing: sets of known size of which there is no folder.
    """

    folders: tuple[FoundFolder, ...]
    near_misses: dict[str, str]
    missing: tuple[str, ...]

    def notes(self) -> list[str]:
        """What a user should be told about names."""
        lines = [f"{found.path.name} is probably {_folder(found)}" for found in self.folders if not found.exact]
        return lines + [
            f"{name} is no set; it is probably {_also(SETS[set])}" for name, set in self.near_misses.items()
        ]


@dataclass(frozen=True)
class SetCount:
    """How much a folder of a set holds.

    Attributes:
        files: clips.
        frames: their frames in all.
        bad: clips that cannot be read, with the reason.
    """

    files: int
    frames: int
    bad: tuple[tuple[Path, str], ...] = ()


@functools.cache
def _table() -> dict[str, AmassSet]:
    table = tomllib.loads((resources.files("vitruve.amass") / "tables" / "amass_sets.toml").read_text(encoding="utf-8"))
    return {name: _from_row(name, row, table["licence"]) for name, row in table["sets"].items()}


def _from_row(name: str, row: dict[str, Any], licence: str) -> AmassSet:
    lists = {key: tuple(row.pop(key, ())) for key in ("archives", "probably")}
    return AmassSet(name, **lists, **{"licence": licence, **row})


SETS: dict[str, AmassSet] = _table()


def canonical_set(folder: str) -> str | None:
    """The set that a folder or archive is, by any of its names in any letter case; None where it is none."""
    return _by_alias().get(_plain(folder))


def probable_set(folder: str) -> str | None:
    """The set that is probably meant by a name that is none, or None: to be told to a user, never used silently."""
    plain, known = _plain(folder), _by_alias()
    for each in SETS.values():
        if plain in map(_plain, each.probably):
            return each.name
    close = difflib.get_close_matches(plain, known, n=1, cutoff=0.75) if len(plain) > 2 else []
    return known[close[0]] if close else None


def set_licence(name: str) -> str | None:
    """One line about the licence of a set; None where it is no set of AMASS."""
    found = canonical_set(name)
    return SETS[found].licence if found else None


def archive_set(file: str) -> str | None:
    """The set that an archive holds by its file name, such as "MPIHDM05.tar.bz2" or "BMLrub (1).tar.bz2"."""
    stem = re.sub(r"\.(tar(\.\w+)?|zip|tbz2?|tgz)$", "", Path(file).name, flags=re.IGNORECASE)
    return canonical_set(re.sub(r"[ _-]*\(\d+\)$", "", stem))


def find_sets(folder: str | Path) -> FoundSets:
    """Which folders below `folder` are which sets.

    A set may lie at the top, in a folder named as its archive (`BMLrub/BioMotionLab_NTroje`), or be `folder` itself.

    Raises:
        MissingAsset: there is no such folder.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise MissingAsset(f"there is no folder {folder.name}", where=str(folder), fix="give the folder of the sets")
    found, near = [], {}
    top = _set_folder(folder)
    for path in [folder] if top else _folders(folder):
        if name := canonical_set(path.name):
            inside = [child for child in _folders(path) if canonical_set(child.name) == name]
            for place in inside or [path]:
                exact = place.name in SETS[name].aliases
                found.append(FoundFolder(place, name, generation_of(place), exact))
        elif name := probable_set(path.name):
            near[path.name] = name
    have = {each.set for each in found}
    missing = tuple(name for name, each in SETS.items() if each.files and name not in have)
    return FoundSets(tuple(found), near, missing)


def generation_of(folder: str | Path) -> str:
    """ "smplh" or "smplx" by the first clip in a folder; empty where it has none."""
    return next((ENDINGS[ending] for _, ending in _clips(Path(folder))), "")


def count_clips(folder: str | Path) -> SetCount:
    """Count the clips of a set's folder and their frames, by the head of each file."""
    files, frames, bad = 0, 0, []
    for path, _ in _clips(Path(folder)):
        files += 1
        try:
            frames += clip_frames(path)
        except BadData as error:
            bad.append((path, error.what))
    return SetCount(files, frames, tuple(bad))


def clip_frames(path: str | Path) -> int:
    """Frames of an AMASS clip, without reading them.

    Raises:
        BadData: the file is cut short, or is no clip.
    """
    shapes = glimpse(path).shapes
    for key in ROTATION_KEYS:
        if shapes.get(key):
            return shapes[key][0]
    raise BadData(f"{Path(path).name} holds no rotations", where=f"{path}: {', '.join(shapes)}", fix="fetch it again")


def count_differs(name: str, generation: str, count: SetCount) -> str:
    """How a count differs from the release's, or empty where it does not or nothing is known."""
    row, words = SETS[name], []
    files = {"smplh": row.files, "smplx": row.files_smplx}.get(generation)
    if files is not None and files != count.files:
        words.append(f"{count.files:,} clips, the release has {files:,}")
    if generation == "smplh" and row.frames is not None and row.frames != count.frames and not words:
        words.append(f"{count.frames:,} frames, the release has {row.frames:,}")
    if count.bad:
        words.append(f"{len(count.bad)} clips cannot be read, the first is {count.bad[0][0].name}: {count.bad[0][1]}")
    return "; ".join(words)


@functools.cache
def _by_alias() -> dict[str, str]:
    return {_plain(alias): each.name for each in _table().values() for alias in each.aliases}


def _plain(name: str) -> str:
    """A name without letter case and without signs between the words."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _set_folder(folder: Path) -> bool:
    """Whether the folder is itself a set, and not one of an archive's name around it."""
    name = canonical_set(folder.resolve().name)
    return name is not None and not any(canonical_set(child.name) for child in _folders(folder))


def _folders(folder: Path) -> list[Path]:
    return sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_dir() and entry.name[0] != ".")


def _clips(folder: Path) -> Iterator[tuple[Path, str]]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in sorted(files):
            for ending in ENDINGS:
                if file.endswith(ending) and not file.startswith("."):
                    yield Path(place) / file, ending


def _folder(found: FoundFolder) -> str:
    row = SETS[found.set]
    return (row.smplx if found.generation == "smplx" else row.smplh) or row.name


def _also(row: AmassSet) -> str:
    return " = ".join(dict.fromkeys(name for name in (row.name, row.smplh) if name))
