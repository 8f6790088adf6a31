"""The metadata of a clip, and the files of a store: docs/data.md has the layout.

A block holds the clips of a shard that have the same fields. Shards are written atomically and never changed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vitruve.errors import BadData, MissingAsset
from vitruve.files.npy_header import read_npy_header
from vitruve.files.smpl_layouts import LAYOUTS, Layout, slices

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 1
FIELDS_FOLDER, FIELD_FILE, FIELD_VERSION = "fields", "field.json", 1
STORE_FILE, CLIPS_FILE, MASK_FILE = "store.json", "clips.jsonl", "mask.u8"

_OF_ARRAYS = {"root_orient": "root", "pose_body": "body", "pose_jaw": "jaw", "pose_eye": "eyes", "pose_hand": "hands"}


def _columns_of(layout: Layout) -> dict[str, tuple[int, int]]:
    return {_OF_ARRAYS[key]: (part.start, part.stop) for key, part in slices(layout.arrays, 3).items()}


# skeleton -> columns of each field among the axis-angle values of a frame
FIELDS: dict[str, dict[str, tuple[int, int]]] = {
    "smpl24": {"root": (0, 3), "body": (3, 66), "palms": (66, 72)},
    **{LAYOUTS[body].skeleton: _columns_of(LAYOUTS[body]) for body in ("smplh", "smplx")},
}


@dataclass(frozen=True)
class Clip:
    """One clip of a store: every frame of one source file.

    Attributes:
        key: "set/subject/name" without the ending; unique in a store. Splits name clips by it.
        set: the data set, by its canonical name where it is known.
        subject: the person or session, as the data set names it.
        name: the source file's name without its ending.
        start: number of the first frame in the store; frame i of the source is row `start + i`.
        fps: of the source.
        body: layout and make of the body, such as "smplh" or "open-smplh".
        gender: "neutral", "female" or "male".
        source: path of the source file.
        licence: of the data set, in one line; empty if unknown.
        skeleton: a key of FIELDS.
        expressions: expression values per frame.
        content: a hash of the motion, the same for copies under any name.
        masked: number of invalid frames.
        actor: of a retargeted clip, identifies the person whose shape it has; empty for others.
        error_mm: of a retargeted clip, the mean distance of its joints to those of the source; None for others.
        notes: of the reader.
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
        """Length of the clip."""
        return self.frames / self.fps

    @property
    def block(self) -> str:
        """Name of the block folder with its frames."""
        return block_name(self.skeleton, self.expressions)


def block_name(skeleton: str, expressions: int) -> str:
    """Name of a block's folder."""
    return f"{skeleton}-expression{expressions}" if expressions else skeleton


def widths(skeleton: str, expressions: int) -> dict[str, int]:
    """Field -> values per frame, for the float32 fields of a block."""
    out = {name: stop - start for name, (start, stop) in FIELDS[skeleton].items()} | {"translation": 3}
    return out | ({"expression": expressions} if expressions else {})


def field_file(field: str) -> str:
    """File name of a field in its block's folder."""
    return f"{field}.f32"


_NAMES = tuple(field.name for field in fields(Clip) if field.name != "start")


def to_line(clip: Clip) -> str:
    """The line of a clip in its shard's index; `start` is left out, it follows from the lines before."""
    values = {name: getattr(clip, name) for name in _NAMES}
    return json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n"


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The clips of a shard as plain values."""
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        if not lines:
            raise ValueError("no lines")
        for number, line in enumerate(lines, start=1):
            if not _is_clip(line):
                raise ValueError(f"line {number} is not a clip")
    except (OSError, ValueError) as error:
        raise BadData(
            "the index of a shard cannot be read",
            where=f"{path}: {error}",
            fix=f"remove the folder {path.parent} and prepare again: only its clips are read again",
        ) from None
    return lines


def check_shard(folder: Path, lines: list[dict[str, Any]]) -> None:
    """Raise BadData where the size of a shard's file does not match its clips. No file is read."""
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
    """Raise BadData where a file of a shard is missing or does not have `expected` bytes."""
    size = path.stat().st_size if path.is_file() else -1
    if size != expected:
        raise BadData(
            "a shard of the store is damaged",
            where=f"{path}: {'missing' if size < 0 else f'{size} bytes'}, expected {expected} bytes",
            fix=f"remove the folder {path.parent.parent} and prepare again: only its clips are read again",
        )


def _is_clip(line: Any) -> bool:
    """Whether a line has all keys, and valid values where the positions of other clips depend on them."""
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
    """The shards of a store, by set, then by number; none where there is no store."""
    found = [path.parent for path in store.glob(f"*/*/{CLIPS_FILE}") if path.parent.name.isdigit()]
    return sorted(found, key=lambda folder: (folder.parent.name, int(folder.name)))


def check_store(path: Path) -> None:
    """Raise where a folder is not a store, or is of another version."""
    file = path / STORE_FILE
    if not file.is_file():
        raise MissingAsset(
            f"{path} is not a clip store" if path.exists() else f"there is no clip store {path}",
            where=f"no {STORE_FILE} in it",
            fix=f"create one: vitruve data prepare FOLDER --out {path}",
        )
    try:
        version = json.loads(file.read_text(encoding="utf-8"))["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        fix = f'write {{"version": {VERSION}}} into it if the rest is intact, or prepare into another folder'
        raise BadData("the clip store cannot be read", where=f"{file}: {error}", fix=fix) from None
    if version != VERSION:
        raise BadData(
            "the clip store has another version",
            where=f"{file}: version {version}, this program reads {VERSION}",
            fix="update Vitruve, or prepare the store again",
        )


@dataclass(frozen=True)
class FieldInfo:
    """The description of a field.

    Attributes:
        shape: of one frame's values.
        dtype: of a value.
        interpolation: "linear"; "rotation" for axis-angle vectors along the last axis; "nearest".
        sha256: of the values.
        version: of this format.
    """

    shape: tuple[int, ...]
    dtype: str
    interpolation: str
    sha256: str
    version: int = FIELD_VERSION

    @property
    def kind(self) -> tuple[tuple[int, ...], str, str]:
        """The part that must be the same in all shards."""
        return self.shape, self.dtype, self.interpolation


def field_infos(shard: Path) -> dict[str, FieldInfo]:
    """The fields of a shard by name."""
    folders = sorted((shard / FIELDS_FOLDER).glob(f"*/{FIELD_FILE}"))
    return {file.parent.name: _read_info(file) for file in folders if not file.parent.name.startswith(".")}


def map_field(shard: Path, name: str, block: str, frames: int, info: FieldInfo) -> np.ndarray:
    """[frames, values] of a block, memory-mapped."""
    path = shard / FIELDS_FOLDER / name / f"{block}.npy"
    try:
        with path.open("rb") as stream:
            header = read_npy_header(stream)
            offset = stream.tell()
        if header.shape != (frames, *info.shape) or header.dtype != np.dtype(info.dtype):
            raise ValueError(f"found {header.dtype} {header.shape}, expected {info.dtype} {(frames, *info.shape)}")
        mapped = np.memmap(path, header.dtype, mode="r", offset=offset, shape=header.shape)
    except (OSError, ValueError) as error:
        raise BadData(
            f"the field '{name}' of a shard is damaged",
            where=f"{path}: {error}",
            fix=f"remove the folder {path.parent} and add the field again",
        ) from None
    return np.asarray(mapped).reshape(frames, -1)


def _read_info(file: Path) -> FieldInfo:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if values["version"] > FIELD_VERSION:
            raise ValueError(f"version {values['version']}, this program reads {FIELD_VERSION}")
        return FieldInfo(**{**values, "shape": tuple(values["shape"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadData(
            "the description of a field cannot be read",
            where=f"{file}: {error}",
            fix=f"update Vitruve, or remove the folder {file.parent} and add the field again",
        ) from None


class ClipSource(Protocol):
    """What samples and splits need of a store; `Store` has it."""

    @property
    def path(self) -> Path: ...
    @property
    def clips(self) -> Sequence[Clip]: ...
    @property
    def sets(self) -> tuple[str, ...]: ...

    def clip(self, key: str) -> Clip: ...

    def mask(self, rows: Any) -> Tensor: ...
