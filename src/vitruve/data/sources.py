"""Which files a store is prepared from, what set and person each belongs to, and which of them are copies."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vitruve.amass.sets import canonical_set
from vitruve.errors import BadData, MissingAsset, UsageError, nearest
from vitruve.files.npz import npz_members
from vitruve.formats.glimpse import ROTATION_KEYS
from vitruve.jobs.earlier_results import earlier_results

BODY_ENDINGS, TREE_ENDINGS = (".npz", ".safetensors"), (".bvh", ".amc")
# Endings of names that AMASS gives to the two makes of one clip.
_MAKES = ("_poses", "_stageii", "_stagei")
# How far above a folder that was named its data set is looked for, if the file is named as AMASS's are.
_ABOVE = 2


@dataclass(frozen=True)
class SourceFile:
    """A file that may become a clip.

    Attributes:
        path: absolute.
        set, subject, name, key: as of a clip.
        size: bytes.
        content: a hash of what moves; empty where the file cannot be read.
        actor: of a motion on a foreign skeleton, what is shared by files of one person besides set and subject.
    """

    path: Path
    set: str
    subject: str
    name: str
    size: int
    content: str = ""
    actor: str = ""

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
        """Whether it has to be retargeted."""
        return self.path.suffix.lower() in TREE_ENDINGS


def find_sources(given: Sequence[str | Path], set_name: str = "") -> tuple[list[SourceFile], list[Path]]:
    """The motion files that are meant, in the order of their keys, each path once.

    Args:
        given: files, or folders that are searched with all below: the root of AMASS, a set of it, any other.
        set_name: the data set that all of them are of, where the folders do not say it.

    Returns:
        (the files; those passed over: what holds no motion, such as shapes, and results of `vitruve convert` beside
        their sources.)
    """
    if not given:
        raise UsageError("no data was given", fix="vitruve data prepare FOLDER --out STORE")
    found: dict[str, SourceFile] = {}
    for name in given:
        root = Path(os.path.abspath(Path(name).expanduser()))
        if not root.exists():
            near = [entry.name for entry in root.parent.iterdir()] if root.parent.is_dir() else []
            hint = nearest(root.name, near) if 0 < len(near) < 10_000 else f"{root.parent} is not there"
            raise MissingAsset(f"there is no {root.name}", where=str(root.parent), fix=hint)
        for path, real in _files(root):
            if real not in found:
                found[real] = _placed(path, root, set_name)
    named = {Path(os.path.abspath(Path(name).expanduser())) for name in given}
    results = earlier_results([source.path for source in found.values()]) - named
    looked = [_with_content(source) for source in found.values() if source.path not in results]
    # Stable: of two makes of a clip the one that was named first comes first.
    sources = sorted((entry for entry in looked if entry.content != _NO_MOTION), key=lambda source: source.key)
    passed = sorted(results.union(entry.path for entry in looked if entry.content == _NO_MOTION))
    if not sources:
        raise UsageError(
            "no motion was found",
            where=", ".join(map(str, given)) + (f"; {len(passed)} files there hold none" if passed else ""),
            fix=f"give folders with {', '.join((*BODY_ENDINGS, *TREE_ENDINGS))} files; archives: vitruve data unpack",
        )
    return sources, passed


def _files(root: Path) -> Iterator[tuple[Path, str]]:
    """Each motion file, and its place without links, by which one that is reached twice is known."""
    if root.is_file():
        yield root, os.path.realpath(root)
        return
    seen: set[str] = set()
    for place, folders, files in os.walk(root, onerror=_unreadable, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()  # a link to a folder above would be walked for ever
            continue
        seen.add(real)
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in (*BODY_ENDINGS, *TREE_ENDINGS):
                path = os.path.join(place, name)
                yield Path(path), os.path.realpath(path) if os.path.islink(path) else os.path.join(real, name)


def _unreadable(error: OSError) -> None:
    what, fix = f"a folder cannot be read: {error.strerror}", "check the rights, or give the other folders by name"
    raise BadData(what, where=str(error.filename), fix=fix)


def _placed(path: Path, root: Path, set_name: str) -> SourceFile:
    """Tell set and subject from the folders: the outermost that is a known set, else the one that was named."""
    inside = list(path.relative_to(root).parts[:-1]) if root.is_dir() else []
    folders = [root.name if root.is_dir() else root.parent.name, *inside]
    known = next((i for i, name in enumerate(folders) if canonical_set(name)), None)
    if known is None and path.stem.endswith(_MAKES):
        above = list((root if root.is_dir() else root.parent).parent.parts[-_ABOVE:])
        known = next((i for i, name in enumerate(above) if canonical_set(name)), None)
        folders = folders if known is None else above + folders
    if set_name:
        first, rest = set_name, folders[known + 1 :] if known is not None else folders[1:]
    elif known is not None:
        first, rest = canonical_set(folders[known]) or "", folders[known + 1 :]
    elif len(inside) >= 2:  # a root of sets as AMASS is one: set, subject, file
        first, rest = folders[1], folders[2:]
    else:
        first, rest = folders[0], folders[1:]
    subject = "/".join(rest)
    if not subject and path.suffix.lower() == ".amc":
        subject = path.stem.rpartition("_")[0]  # 01_02.amc is of subject 01
    return SourceFile(path, _safe(first), subject, path.stem, _size(path))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # a link to nowhere, say: reading it will say what is wrong
        return 0


def _safe(name: str) -> str:
    """A set's name as a folder's: what a path cannot hold is replaced."""
    out = "".join(letter if letter.isalnum() or letter in "-_.+ " else "_" for letter in name).strip(" .")
    return out or "data"


_NO_MOTION = "no motion"


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
        return source  # reading it will say what is wrong, a compression that zipfile lacks among it


def _npz_content(path: Path) -> str:
    """A hash of the rotations and the translation, from the sums of the zip: nothing is inflated.

    A copy that was packed anew, or that lacks the markers, has the same.
    """
    with path.open("rb") as file:
        members = npz_members(file)
    moving = [key for key in (*ROTATION_KEYS, "root_orient", "pose_body", "trans", "transl") if key in members]
    if not any(key in members for key in (*ROTATION_KEYS, "root_orient", "pose_body")):
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
    """What tells the person of a BVH file: its bones, unless they move, when every frame has its own."""
    with path.open("rb") as file:
        head = file.read(1 << 20).partition(b"MOTION")[0]
    return "" if head.lower().count(b"xposition") > 1 else hashlib.sha256(head).hexdigest()
