"""The files that a store is prepared from: the set and person of each, and a hash that recognises copies."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vitruve.amass.sets import canonical_set
from vitruve.errors import BadData, MissingAsset, UsageError, nearest
from vitruve.files.npz import npz_members
from vitruve.formats.glimpse import ROTATION_KEYS
from vitruve.jobs.earlier_results import earlier_results

BODY_ENDINGS, TREE_ENDINGS = (".npz", ".safetensors"), (".bvh", ".amc")
_ENDINGS = frozenset((*BODY_ENDINGS, *TREE_ENDINGS))
# File name endings of the two makes of an AMASS clip.
_MAKES = ("_poses", "_stageii", "_stagei")
# A file named like AMASS's may belong to a set that is this many folders above the given one.
_ABOVE = 2
_NO_MOTION = "no motion"


@dataclass(frozen=True)
class SourceFile:
    """A file that may become a clip.

    Attributes:
        path: absolute.
        set, subject, name, key: as of a clip.
        size: bytes.
        content: a hash of the motion; empty where the file cannot be read.
        actor: of a foreign skeleton, a hash of its bones: with set and subject it identifies the person.
        licence: of the data set, in one line; empty if unknown.
    """

    path: Path
    set: str
    subject: str
    name: str
    size: int
    content: str = ""
    actor: str = ""
    licence: str = ""

    @property
    def key(self) -> str:
        """ "set/subject/name", the same for both makes of a clip."""
        name = self.name
        for make in _MAKES:
            name = name.removesuffix(make)
        # The SMPL-X release has underscores where the SMPL+H release has spaces.
        return "/".join(part for part in (self.set, self.subject, name) if part).replace(" ", "_")

    @property
    def is_tree(self) -> bool:
        """Whether it is on a foreign skeleton, so that it may have to be retargeted."""
        return self.path.suffix.lower() in TREE_ENDINGS


def find_sources(given: Sequence[str | Path], set_name: str = "") -> tuple[list[SourceFile], list[Path]]:
    """Find the motion files, in the order of their keys, each path once.

    Args:
        given: files, and folders, which are searched with all folders below: the root of AMASS, one set, any other.
        set_name: the data set of all files, where the folders do not name it.

    Returns:
        (the files; the files without a motion, such as shapes, and results of `vitruve convert` beside their sources)
    """
    if not given:
        raise UsageError("no data was given", fix="vitruve data prepare FOLDER --out STORE")
    roots = [Path(os.path.abspath(Path(name).expanduser())) for name in given]
    found: dict[str, SourceFile] = {}
    for root in roots:
        if not root.exists():
            near = [entry.name for entry in root.parent.iterdir()] if root.parent.is_dir() else []
            hint = nearest(root.name, near) if 0 < len(near) < 10_000 else f"the folder {root.parent} is missing"
            raise MissingAsset(f"there is no {root.name}", where=str(root.parent), fix=hint)
        for path, real in _files(root):
            if real not in found:
                found[real] = _placed(path, root, set_name)
    results = earlier_results([source.path for source in found.values()]) - set(roots)
    candidates = [_with_content(source) for source in found.values() if source.path not in results]
    # A stable sort: of two makes of a clip, the one given first comes first.
    sources = sorted((each for each in candidates if each.content != _NO_MOTION), key=lambda source: source.key)
    passed = sorted(results.union(each.path for each in candidates if each.content == _NO_MOTION))
    if not sources:
        raise UsageError(
            "no motion was found",
            where=", ".join(map(str, given)) + (f"; {len(passed)} files there hold none" if passed else ""),
            fix=f"give folders with {', '.join((*BODY_ENDINGS, *TREE_ENDINGS))} files; archives: vitruve data unpack",
        )
    return sources, passed


def visible_tree(
    root: Path, onerror: Callable[[OSError], None] | None = None
) -> Iterator[tuple[Path, str, list[str], list[str]]]:
    """os.walk through links, sorted and without hidden names: (folder, its real path, subfolders, files)."""
    seen: set[str] = set()
    for place, folders, files in os.walk(root, onerror=onerror, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()  # a link to a parent folder would never end
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(place), real, folders, sorted(name for name in files if not name.startswith("."))


def _files(root: Path) -> Iterator[tuple[Path, str]]:
    """Each motion file and its real path."""
    if root.is_file():
        yield root, os.path.realpath(root)
        return
    for place, real, _, files in visible_tree(root, _unreadable):
        for name in files:
            if os.path.splitext(name)[1].lower() in _ENDINGS:
                path = place / name
                yield path, os.path.realpath(path) if path.is_symlink() else os.path.join(real, name)


def _unreadable(error: OSError) -> None:
    what, fix = f"a folder cannot be read: {error.strerror}", "check the permissions, or name the other folders"
    raise BadData(what, where=str(error.filename), fix=fix)


def _placed(path: Path, root: Path, set_name: str) -> SourceFile:
    """Set and subject by the folders. The set is the outermost known one, otherwise the folder that was given."""
    base = root if root.is_dir() else root.parent
    inside = path.relative_to(base).parts[:-1]
    folders = [base.name, *inside]
    known = next((i for i, name in enumerate(folders) if canonical_set(name)), None)
    if known is None and path.stem.endswith(_MAKES):
        above = base.parent.parts[-_ABOVE:]
        known = next((i for i, name in enumerate(above) if canonical_set(name)), None)
        folders = folders if known is None else [*above, *folders]
    if set_name:
        first, rest = set_name, folders[known + 1 :] if known is not None else folders[1:]
    elif known is not None:
        first, rest = canonical_set(folders[known]) or "", folders[known + 1 :]
    elif len(inside) >= 2:  # a root with sets, as AMASS: set, subject, file
        first, rest = folders[1], folders[2:]
    else:
        first, rest = folders[0], folders[1:]
    subject = "/".join(rest)
    if not subject and path.suffix.lower() == ".amc":
        subject = path.stem.rpartition("_")[0]  # 01_02.amc is of subject 01
    try:
        size = path.stat().st_size
    except OSError:  # a broken link, for example: reading it reports the error
        size = 0
    return SourceFile(path, _folder_name(first), subject, path.stem, size)


def _folder_name(name: str) -> str:
    """A set's name with characters replaced that paths cannot hold."""
    out = "".join(letter if letter.isalnum() or letter in "-_.+ " else "_" for letter in name).strip(" .")
    return out or "data"


def _with_content(source: SourceFile) -> SourceFile:
    ending = source.path.suffix.lower()
    try:
        if ending == ".npz":
            return replace(source, content=_npz_content(source.path))
        if ending == ".amc":
            skeletons = sorted(source.path.parent.glob("*.[aA][sS][fF]"))
            mine = [file for file in skeletons if source.path.stem.startswith(file.stem)] or skeletons
            return replace(source, content=_hash(source.path, *mine), actor=_hash(*mine))
        if ending == ".bvh":
            return replace(source, content=_hash(source.path), actor=_bones(source.path))
        return replace(source, content=_hash(source.path))
    except (OSError, zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError):
        return source  # damaged, or an unsupported compression: reading it reports the error


def _npz_content(path: Path) -> str:
    """A hash of the checksums of rotations and translation in the zip; nothing is decompressed.

    Copies that are compressed otherwise, or lack the markers, have the same hash.
    """
    with path.open("rb") as file:
        members = npz_members(file)
    moving = [key for key in (*ROTATION_KEYS, "root_orient", "pose_body", "trans", "transl") if key in members]
    if not set(moving) - {"trans", "transl"}:
        return _NO_MOTION
    sums = [f"{key} {members[key].crc:08x} {members[key].length}" for key in moving]
    return hashlib.sha256("\n".join(sums).encode()).hexdigest()


def _hash(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _bones(path: Path) -> str:
    """A hash of a BVH file's bones; empty where bones change their length during the motion."""
    with path.open("rb") as file:
        head = file.read(1 << 20).partition(b"MOTION")[0]
    return "" if head.lower().count(b"xposition") > 1 else hashlib.sha256(head).hexdigest()
