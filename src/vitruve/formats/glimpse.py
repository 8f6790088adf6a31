"""A quick look at a file or folder: its kind, from its content, without reading its arrays.

This module is light on purpose (no torch): it decides which reader is imported.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vitruve.errors import BadData, MissingAsset, nearest
from vitruve.files.smpl_layouts import BY_COLUMNS

_HEAD = 4096
_HEADER_LIMIT = 100_000_000
# The first bytes of Python 2 pickles of a dict in protocol 0, which is text.
_OLD_PICKLES = (b"(d", b"}q")


@dataclass(frozen=True)
class Glimpse:
    """The kind of a path and what was seen of it.

    Attributes:
        path: the file or folder.
        kind: "npz", "pickle", "safetensors", "text", "folder", "empty" or "other".
        shapes: for an npz or safetensors file, the shape of every array by key.
        text: for a text file, its first characters.
        endings: for a folder, the number of files by suffix (in lower case).
    """

    path: Path
    kind: str
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    text: str = ""
    endings: Mapping[str, int] = field(default_factory=dict)


def glimpse(path: str | os.PathLike[str]) -> Glimpse:
    """Look at a file or folder. Raises for a missing path, an unreadable file or a damaged archive."""
    path = Path(path)
    if path.is_dir():
        return Glimpse(path, "folder", endings=Counter(file.suffix.lower() for file in path.iterdir()))
    if not path.exists():
        siblings = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = nearest(path.name, siblings) if 0 < len(siblings) < 10_000 else f"the folder {path.parent} is missing"
        raise MissingAsset(f"there is no file {path}", where=str(path.parent), fix=hint)
    if not path.is_file():  # reading a pipe could block forever, and reading a device never end
        raise BadData(f"{path.name} is neither a file nor a folder", where=str(path), fix="copy it to a file first")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise BadData(
            f"{path.name} cannot be read", where=f"{path}: {error.strerror}", fix="check the file's permissions"
        ) from None
    if not head:
        return Glimpse(path, "empty")
    if head.startswith(b"PK"):
        return Glimpse(path, "npz", shapes=_npz_shapes(path))
    # A safetensors file can begin with the first byte of a pickle, so check it first.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < _HEADER_LIMIT:
        return Glimpse(path, "safetensors", shapes=_safetensors_shapes(path))
    if head[:1] == b"\x80" or head[:2] in _OLD_PICKLES:
        return Glimpse(path, "pickle")
    if b"\0" not in head:
        return Glimpse(path, "text", text=head.decode("utf-8", errors="replace"))
    return Glimpse(path, "other")


def _npz_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    from vitruve.files.npy_header import LONGEST_HEADER, read_npy_header
    from vitruve.files.npz import npz_members, read_member

    try:
        with path.open("rb") as file:
            return {
                key: read_npy_header(io.BytesIO(read_member(file, member, LONGEST_HEADER))).shape
                for key, member in npz_members(file).items()
                if member.name.endswith(".npy")
            }
    # A damaged zip can raise many errors (zlib.error, EOFError, ...) that mean the same to a user.
    except Exception as error:
        raise BadData(
            f"{path.name} is a damaged or truncated zip archive",
            where=f"{path}: {error}",
            fix="copy or download it again, and compare its size with the original",
        ) from None


def _safetensors_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return {key: tuple(entry["shape"]) for key, entry in header.items() if key != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadData(
            f"{path.name} is a damaged safetensors file",
            where=f"{path}: its header cannot be read ({error})",
            fix="write or copy it again",
        ) from None


# Keys of the axis-angle vectors in an npz.
ROTATION_KEYS = ("poses", "pose", "fullpose", "full_pose", "smpl_poses")


def npz_body(look: Glimpse) -> str:
    """The body of an npz, by its values per frame: "smpl", "smplh" or "smplx"; empty if there is none."""
    if look.kind != "npz":
        return ""
    for key in ROTATION_KEYS:
        shape = look.shapes.get(key, ())
        if len(shape) == 2 or (len(shape) == 3 and shape[-1] == 3):
            layout = BY_COLUMNS.get(math.prod(shape[1:]))
            return layout.body if layout else ""
    return "smplx" if {"root_orient", "pose_body"} <= look.shapes.keys() else ""


def is_other_rotations(look: Glimpse) -> bool:
    """An npz with rotations of an unsupported number of values: its reader raises with the reason."""
    return look.kind == "npz" and any(key in look.shapes for key in ROTATION_KEYS)


def is_transfer_folder(look: Glimpse) -> bool:
    return look.kind == "folder" and look.endings.get(".pkl", 0) > 0


def is_mesh_folder(look: Glimpse) -> bool:
    return look.kind == "folder" and (look.endings.get(".obj", 0) + look.endings.get(".ply", 0)) > 0


def is_vitruve(look: Glimpse) -> bool:
    return look.kind == "safetensors" and {"rotations", "translation"} <= look.shapes.keys()


def is_bvh(look: Glimpse) -> bool:
    return look.kind == "text" and look.text.lstrip("\ufeff \t\r\n")[:9].upper() == "HIERARCHY"


def is_amc(look: Glimpse) -> bool:
    """Acclaim motion text: after comments and keywords, a frame number alone on its line, then a bone."""
    lines = [line.strip() for line in look.text.splitlines()]
    content = [line for line in lines if line and line[0] not in "#:"]
    return len(content) > 1 and content[0].isdigit() and content[1][:1].isalpha()


def is_body(look: Glimpse) -> bool:
    """An npz or safetensors body model. (A pickle has to be opened to tell.)"""
    return "v_template" in look.shapes


def is_skeleton(look: Glimpse) -> bool:
    """A skeleton file: TOML that lists names."""
    return look.kind == "text" and look.path.suffix.lower() == ".toml" and "names" in look.text
