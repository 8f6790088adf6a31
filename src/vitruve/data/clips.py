"""What a store knows of a clip, and how a store lies on disk.

    STORE/store.json                              what this folder is
    STORE/<set>/<number>/clips.jsonl              a shard's clips in order, one line each
    STORE/<set>/<number>/<block>/<field>.f32      a field of all frames of a block, one row of float32 after the other
    STORE/<set>/<number>/<block>/mask.u8          1 where a frame is valid

A block holds the clips of a shard that have the same fields. A shard is written once, under another name, renamed when
it is whole, and never changed. This module needs numpy alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vitruve.errors import BadData, MissingAsset
from vitruve.files.smpl_layouts import LAYOUTS, Layout, slices

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 1
STORE_FILE, CLIPS_FILE, MASK_FILE = "store.json", "clips.jsonl", "mask.u8"

_OF_ARRAYS = {"root_orient": "root", "pose_body": "body", "pose_jaw": "jaw", "pose_eye": "eyes", "pose_hand": "hands"}


def _columns_of(layout: Layout) -> dict[str, tuple[int, int]]:
    return {_OF_ARRAYS[key]: (part.start, part.stop) for key, part in slices(layout.arrays, 3).items()}


# skeleton -> where the fields stand among the axis-angle values of a frame
FIELDS: dict[str, dict[str, tuple[int, int]]] = {
    "smpl24": {"root": (0, 3), "body": (3, 66), "palms": (66, 72)},
    **{LAYOUTS[body].skeleton: _columns_of(LAYOUTS[body]) for body in ("smplh", "smplx")},
}


@dataclass(frozen=True)
class Clip:
    """One clip of a store: every frame of one source file.

    Attributes:
        key: "set/subject/name" without the ending; unique in a store. Splits name clips by it.
        set: the data set, by its canonical name where it is a known one.
        subject: the person or session, as the data set names it.
        name: the source file's name without its ending.
        start: the first frame's number in the store; frame i of the source is row `start + i`.
        frames: how many there are.
        fps: the source's own rate.
        body: layout and make of the body, such as "smplh" or "open-smplh".
        gender: "neutral", "female" or "male".
        betas: one shape for the clip.
        source: the file it came from.
        licence: of the data set, in one line; empty where nobody said.
        skeleton: the joint tree, a key of FIELDS.
        expressions: how many expression values a frame has.
        content: a hash of what moves, by which copies of a clip are told whatever they are called.
        masked: how many frames are not valid.
        actor: of a retargeted clip, what tells the person whose shape it has; empty for others.
        error_mm: of a retargeted clip, the mean distance of its joints to those of the source; None for others.
        notes: what the reader had to decide.
    """

    key: str
    set: str
    subject: str
    name: str
    start: int
    frames: int
    fps: float
    body: str
    gender: str
    betas: tuple[float, ...]
    source: str
    licence: str
    skeleton: str
    expressions: int = 0
    content: str = ""
    masked: int = 0
    actor: str = ""
    error_mm: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Length: frames over frame rate."""
        return self.frames / self.fps

    @property
    def block(self) -> str:
        """The name of the folder of its shard that its frames lie in."""
        return block_name(self.skeleton, self.expressions)


def block_name(skeleton: str, expressions: int) -> str:
    """What the folder of a block is called: clips with the same fields share one."""
    return f"{skeleton}-expression{expressions}" if expressions else skeleton


def widths(skeleton: str, expressions: int) -> dict[str, int]:
    """Field -> values a frame, of all float32 fields of a block."""
    out = {name: stop - start for name, (start, stop) in FIELDS[skeleton].items()} | {"translation": 3}
    return out | ({"expression": expressions} if expressions else {})


def field_file(field: str) -> str:
    """The file of a field in its block's folder."""
    return f"{field}.f32"


_NAMES = tuple(field.name for field in fields(Clip) if field.name != "start")


def to_line(clip: Clip) -> str:
    """The line of a clip in its shard's index. Where it starts follows from the lines before."""
    values = {name: getattr(clip, name) for name in _NAMES}
    return json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n"


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The clips of a shard as plain values."""
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        if not lines:
            raise ValueError("it is empty")
        for number, line in enumerate(lines, start=1):
            if not _is_clip(line):
                raise ValueError(f"line {number} is no clip")
    except (OSError, ValueError) as error:
        raise BadData(
            "the index of a shard cannot be read",
            where=f"{path}: {error}",
            fix=f"remove the folder {path.parent} and prepare again: only its clips are read anew",
        ) from None
    return lines


def check_shard(folder: Path, lines: list[dict[str, Any]]) -> None:
    """Raise BadData where a file of a shard is not as long as its clips, `lines`, say. Nothing is read."""
    frames: dict[tuple[str, int], int] = {}
    for line in lines:
        block = line["skeleton"], line["expressions"]
        frames[block] = frames.get(block, 0) + line["frames"]
    for block, count in frames.items():
        place = folder / block_name(*block)
        check_size(place / MASK_FILE, count)
        for field, width in widths(*block).items():
            check_size(place / field_file(field), 4 * width * count)


def check_size(path: Path, expected: int) -> None:
    """Raise BadData where a file of a shard has not so many bytes."""
    found = path.stat().st_size if path.is_file() else -1
    if found != expected:
        shard = path.parent.parent
        raise BadData(
            "a shard of the store is damaged",
            where=f"{path}: {'missing' if found < 0 else f'{found} bytes'}, expected {expected} bytes",
            fix=f"remove the folder {shard} and prepare again: only its clips are read anew",
        )


def _is_clip(line: Any) -> bool:
    """Whether a line has what the places of all other clips depend on. Its values are those that we have written."""
    return (
        isinstance(line, dict)
        and line.keys() >= set(_NAMES)
        and all(type(line[name]) is int and line[name] >= 0 for name in ("frames", "expressions"))
        and all(isinstance(line[name], list) for name in ("betas", "notes"))
        and line["skeleton"] in FIELDS
    )


def clip_of(line: dict[str, Any], start: int) -> Clip:
    """A clip from its line."""
    values: dict[str, Any] = {key: line[key] for key in _NAMES}
    values |= {"betas": tuple(line["betas"]), "notes": tuple(line["notes"])}
    return Clip(start=start, **values)


def shard_folders(store: Path) -> list[Path]:
    """The finished shards of a store: by set, then by number."""
    found = [path.parent for path in store.glob(f"*/*/{CLIPS_FILE}") if path.parent.name.isdigit()]
    return sorted(found, key=lambda folder: (folder.parent.name, int(folder.name)))


def check_store(path: Path) -> None:
    """Raise where a folder is no store, or one of another version."""
    file = path / STORE_FILE
    if not file.is_file():
        raise MissingAsset(
            f"{path} is no clip store" if path.exists() else f"there is no clip store {path}",
            where=f"no {STORE_FILE} in it",
            fix=f"make one: vitruve data prepare FOLDER --out {path}",
        )
    try:
        version = json.loads(file.read_text(encoding="utf-8"))["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        fix = f'write {{"version": {VERSION}}} into it if the rest is whole, or prepare into another folder'
        raise BadData("the clip store cannot be read", where=f"{file}: {error}", fix=fix) from None
    if version != VERSION:
        raise BadData(
            "the clip store is of another version",
            where=f"{file}: version {version}, this program reads {VERSION}",
            fix="update Vitruve, or prepare the store again",
        )


class ClipSource(Protocol):
    """What samples and splits need to know of a store. `Store` is one."""

    @property
    def path(self) -> Path:
        """Its folder."""
        ...

    @property
    def clips(self) -> Sequence[Clip]:
        """All clips, in order."""
        ...

    @property
    def sets(self) -> tuple[str, ...]:
        """The names of its data sets."""
        ...

    def clip(self, key: str) -> Clip:
        """The clip of a key; an unknown key is an error that names the nearest."""
        ...

    def mask(self, rows: Any) -> Tensor:
        """[rows] True where a frame is valid."""
        ...
