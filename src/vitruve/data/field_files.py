"""The files of a field that was added to a shard: what it is, and its values mapped into memory. See data/fields.py."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vitruve.errors import BadData
from vitruve.files.npy_header import read_npy_header

FIELDS_FOLDER, FIELD_FILE, FIELD_VERSION = "fields", "field.json", 1


@dataclass(frozen=True)
class FieldInfo:
    """What a field of a shard is.

    Attributes:
        shape: of the values of one frame.
        dtype: of a value.
        interpolation: what stands between two frames: "linear"; "rotation" for axis-angle vectors along the last axis;
            "nearest" for the value of the nearer frame.
        sha256: of the values.
        version: of this description.
    """

    shape: tuple[int, ...]
    dtype: str
    interpolation: str
    sha256: str
    version: int = FIELD_VERSION

    @property
    def kind(self) -> tuple[tuple[int, ...], str, str]:
        """What must be the same in all shards."""
        return self.shape, self.dtype, self.interpolation


def field_infos(shard: Path) -> dict[str, FieldInfo]:
    """The fields of a shard by name."""
    folders = sorted((shard / FIELDS_FOLDER).glob(f"*/{FIELD_FILE}"))
    return {file.parent.name: _read_info(file) for file in folders if not file.parent.name.startswith(".")}


def map_field(shard: Path, name: str, block: str, frames: int, info: FieldInfo) -> np.ndarray:
    """[frames, values] of a block, straight from the disk's pages."""
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
            raise ValueError(f"it is of version {values['version']}, this program reads {FIELD_VERSION}")
        return FieldInfo(**{**values, "shape": tuple(values["shape"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadData(
            "the description of a field cannot be read",
            where=f"{file}: {error}",
            fix=f"update Vitruve, or remove the folder {file.parent} and add the field again",
        ) from None
