"""The sets of AMASS: names of sets, folders and archives, and numbers of clips and frames (tables/amass_sets.toml)."""

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

from vitruve.errors import BadData, MissingAsset
from vitruve.formats.glimpse import ROTATION_KEYS, glimpse

# File name endings of the clips of the two releases. Other files (shape.npz, *_stagei.npz) hold no motion.
ENDINGS = {"_poses.npz": "smplh", "_stageii.npz": "smplx"}


@dataclass(frozen=True)
class AmassSet:
    """One set; numbers are None where unknown.

    Attributes:
        name: as on the site; the name that Vitruve uses.
        smplh, smplx: folder in the SMPL+H and the SMPL-X release, or empty.
        archives: other names of the archive.
        probably: other names that people give to its folder.
        files, frames: clips of the SMPL+H release, and their frames.
        files_smplx: clips of the SMPL-X release.
        vposer_frames: frames that the published preparation of VPoser uses.
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
        """All names of the set, its folders and archives, as in the releases."""
        return tuple(dict.fromkeys(name for name in (self.name, self.smplh, self.smplx, *self.archives) if name))

    def folder(self, generation: str) -> str:
        """Name of its folder in the SMPL-X release for "smplx", otherwise in the SMPL+H release."""
        return (self.smplx if generation == "smplx" else self.smplh) or self.name


@dataclass(frozen=True)
class FoundFolder:
    """A folder with a set.

    Attributes:
        path: the folder, with a subfolder per subject.
        set: the set's name.
        generation: "smplh", "smplx", or empty without clips.
        exact: whether it is spelled as in a release.
    """

    path: Path
    set: str
    generation: str
    exact: bool


@dataclass(frozen=True)
class FoundSets:
    """The result of `find_sets`.

    Attributes:
        folders: sorted.
        near_misses: unknown folder name -> the set that it probably is.
        missing: sets of known size without a folder.
    """

    folders: tuple[FoundFolder, ...]
    near_misses: dict[str, str]
    missing: tuple[str, ...]

    def notes(self) -> list[str]:
        """Remarks for the user about the names of folders."""
        lines = [
            f"{each.path.name} is probably {SETS[each.set].folder(each.generation)}"
            for each in self.folders
            if not each.exact
        ]
        for name, near in self.near_misses.items():
            names = dict.fromkeys(filter(None, (SETS[near].name, SETS[near].smplh)))
            lines.append(f"{name} is not a set; it is probably {' = '.join(names)}")
        return lines


@dataclass(frozen=True)
class SetCount:
    """Numbers of clips and frames in a folder, and the unreadable clips with the reason."""

    files: int
    frames: int
    bad: tuple[tuple[Path, str], ...] = ()


def _read_table() -> dict[str, AmassSet]:
    table = tomllib.loads((resources.files("vitruve.amass") / "tables" / "amass_sets.toml").read_text(encoding="utf-8"))
    sets = {}
    for name, row in table["sets"].items():
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
        sets[name] = AmassSet(name, **{"licence": table["licence"], **values})
    return sets


SETS: dict[str, AmassSet] = _read_table()


def canonical_set(folder: str) -> str | None:
    """The set of a folder or archive, by any of its names in any letter case; None where there is none."""
    return _by_alias().get(_plain(folder))


def probable_set(folder: str) -> str | None:
    """A guess for a name that is not of a set, or None; for messages only."""
    plain, known = _plain(folder), _by_alias()
    for each in SETS.values():
        if plain in map(_plain, each.probably):
            return each.name
    close = difflib.get_close_matches(plain, known, n=1, cutoff=0.75) if len(plain) > 2 else []
    return known[close[0]] if close else None


def set_licence(name: str) -> str | None:
    """The licence of a set in one line; None where it is not of AMASS."""
    found = canonical_set(name)
    return SETS[found].licence if found else None


def archive_set(file: str) -> str | None:
    """The set of an archive by its file name, such as "MPIHDM05.tar.bz2" or "BMLrub (1).tar.bz2"."""
    stem = re.sub(r"\.(tar(\.\w+)?|zip|tbz2?|tgz)$", "", Path(file).name, flags=re.IGNORECASE)
    return canonical_set(re.sub(r"[ _-]*\(\d+\)$", "", stem))


def find_sets(folder: str | Path) -> FoundSets:
    """Find the folders of sets.

    A set may be directly in `folder`, in a folder named as its archive (`BMLrub/BioMotionLab_NTroje`), or `folder`
    itself.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise MissingAsset(f"there is no folder {folder.name}", where=str(folder), fix="give the folder of the sets")
    found, near = [], {}
    itself = canonical_set(folder.resolve().name) and not any(canonical_set(child.name) for child in _folders(folder))
    for path in [folder] if itself else _folders(folder):
        if name := canonical_set(path.name):
            inside = [child for child in _folders(path) if canonical_set(child.name) == name]
            for place in inside or [path]:
                found.append(FoundFolder(place, name, generation_of(place), place.name in SETS[name].aliases))
        elif name := probable_set(path.name):
            near[path.name] = name
    have = {each.set for each in found}
    missing = tuple(name for name, each in SETS.items() if each.files and name not in have)
    return FoundSets(tuple(found), near, missing)


def generation_of(folder: str | Path) -> str:
    """ "smplh" or "smplx" by the first clip in a folder; empty without clips."""
    return next((ENDINGS[ending] for _, ending in _clips(Path(folder))), "")


def count_clips(folder: str | Path) -> SetCount:
    """Count the clips in a folder and their frames, by the headers of the files."""
    files, frames, bad = 0, 0, []
    for path, _ in _clips(Path(folder)):
        files += 1
        try:
            frames += clip_frames(path)
        except BadData as error:
            bad.append((path, error.what))
    return SetCount(files, frames, tuple(bad))


def clip_frames(path: str | Path) -> int:
    """Number of frames of an AMASS clip, by the header; BadData where it is truncated or not a clip."""
    shapes = glimpse(path).shapes
    for key in ROTATION_KEYS:
        if shapes.get(key):
            return shapes[key][0]
    raise BadData(f"{Path(path).name} holds no rotations", where=f"{path}: {', '.join(shapes)}", fix="fetch it again")


def count_differs(name: str, generation: str, count: SetCount) -> str:
    """How a count differs from the release's; empty where it does not, or where the release's is unknown."""
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
    return {_plain(alias): each.name for each in SETS.values() for alias in each.aliases}


def _plain(name: str) -> str:
    """A name in lower case, without other characters than letters and digits."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _folders(folder: Path) -> list[Path]:
    return sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_dir() and entry.name[0] != ".")


def _clips(folder: Path) -> Iterator[tuple[Path, str]]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in sorted(files):
            for ending in ENDINGS:
                if file.endswith(ending) and not file.startswith("."):
                    yield Path(place) / file, ending
