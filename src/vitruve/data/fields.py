"""Added fields of a store's frames: foot contacts, keypoints, rotations of other skeletons.

Each shard has its part of a field, in fields/<name>: a description and the values of each block. It is written
atomically, and shards that have it are skipped, so the same call resumes a stopped run, and adds the field to shards
that were prepared later.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitruve.data.clips import FIELD_FILE, FIELDS, FIELDS_FOLDER, Clip, FieldInfo, field_infos
from vitruve.errors import BadData, UsageError, nearest
from vitruve.files.atomic import replacing
from vitruve.runs.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor

    from vitruve.data.store import Store

INTERPOLATIONS = ("linear", "rotation", "nearest")
_TYPES = ("float32", "bool", "uint8", "int32", "int64")
# Names with another meaning in a store or in a batch of windows.
_TAKEN = frozenset(
    {"translation", "expression", "mask", "betas", "fps", "yaw", "origin", *(n for f in FIELDS.values() for n in f)}
)

ClipValues = Callable[[Clip], "np.ndarray | Tensor"]


def add_field(
    store: Store,
    name: str,
    values: ClipValues,
    interpolation: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> int:
    """Add values to every frame of a store.

    Args:
        store: an open store.
        name: letters, digits and underscores.
        values: computes the values of a clip, one row per frame: float (kept as float32), bool or integer, of the
            same shape for all clips. NaN is missing.
        interpolation: "linear", "rotation" (axis-angle vectors along the last axis) or "nearest"; where None, linear
            for floats and nearest for others.
        overwrite: compute shards that have the field again.
        progress: called with clips done and clips in all.

    Returns:
        The number of shards written. Open the store again to see them.
    """
    _check_name(name, interpolation)
    stored = () if overwrite else [field_infos(shard).get(name) for shard in store.shards()]
    expected = next((info.kind for info in stored if info), None)
    done, written = 0, 0
    for shard, clips in store.shards().items():
        folder = shard / FIELDS_FOLDER / name
        if overwrite or not (folder / FIELD_FILE).is_file():
            with replacing(folder, overwrite=overwrite, folder_of=(".npy", ".json")) as scratch:
                info = _write(scratch, clips, values, interpolation)
                expected = expected or info.kind
                if info.kind != expected:
                    raise _differs(f"field '{name}' in {shard}", info.kind, expected)
                (scratch / FIELD_FILE).write_text(json.dumps(asdict(info)) + "\n", encoding="utf-8")
            written += 1
        done += len(clips)
        if progress:
            progress(done, len(store.clips))
    return written


def add_contacts(
    store: Store,
    body: str = "",
    bodies: str | Path | None = None,
    height: float = 0.04,
    speed: float = 0.2,
    progress: Progress | None = None,
) -> int:
    """Add the field "contacts": contact of left ankle, left foot, right ankle and right foot, see `foot_contacts`.

    Each clip's ground is at its `foot_level`, which need not be z = 0.

    Args:
        store: an open store.
        body: name of the body for all clips, such as "open-smplh-neutral"; each clip's own where empty.
        bodies: folder of model files.
        height, speed: thresholds of `foot_contacts`, metres and m/s.
        progress: called with clips done and clips in all.

    Raises:
        MissingAsset: the model file of a clip's body is missing.
    """
    from vitruve.bodies import load_body
    from vitruve.motion.features import foot_contacts, foot_level

    load = functools.lru_cache(maxsize=3)(load_body)

    def contacts(clip: Clip) -> Tensor:
        motion = store.motion(clip)
        model = load(body or motion.body_name, folder=bodies)
        return foot_contacts(motion, model, height, speed, foot_level(motion, model))

    return add_field(store, "contacts", contacts, progress=progress)


def field_counts(store: Store) -> dict[str, dict[str, Any]]:
    """Field -> shape, dtype, interpolation, and the number of frames that have it."""
    out: dict[str, dict[str, Any]] = {}
    for shard, clips in store.shards().items():
        for name, info in field_infos(shard).items():
            row = {"shape": list(info.shape), "dtype": info.dtype, "interpolation": info.interpolation, "frames": 0}
            out.setdefault(name, row)["frames"] += sum(clip.frames for clip in clips)
    return out


def _write(scratch: Path, clips: Sequence[Clip], values: ClipValues, interpolation: str | None) -> FieldInfo:
    """Write the values of a shard's clips; one clip is in memory at a time."""
    digest, info = hashlib.sha256(), None
    for block in dict.fromkeys(clip.block for clip in clips):
        inside = [clip for clip in clips if clip.block == block]
        with (scratch / f"{block}.npy").open("wb") as file:
            for clip in inside:
                array = _checked_values(values(clip), clip)
                if info is None:
                    between = interpolation or ("linear" if array.dtype == np.float32 else "nearest")
                    info = FieldInfo(array.shape[1:], str(array.dtype), between, "")
                if (array.shape[1:], str(array.dtype)) != (info.shape, info.dtype):
                    raise _differs(f"clip {clip.key}", (array.shape[1:], str(array.dtype)), (info.shape, info.dtype))
                if clip is inside[0]:
                    shape = (sum(each.frames for each in inside), *info.shape)
                    header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False}
                    np.lib.format.write_array_header_1_0(file, {**header, "shape": shape})
                data = np.ascontiguousarray(array).tobytes()
                digest.update(data)
                file.write(data)
    assert info is not None  # a shard has clips
    if info.interpolation == "rotation" and (info.dtype != "float32" or info.shape[-1:] != (3,)):
        raise UsageError(
            "rotations are axis-angle vectors, three numbers along the last axis",
            where=f"values of shape {info.shape}, {info.dtype}",
            fix="turn matrices into axis-angle: vitruve.geometry.rotations.matrix_to_axis_angle",
        )
    return FieldInfo(info.shape, info.dtype, info.interpolation, digest.hexdigest())


def _checked_values(values: Any, clip: Clip) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    array = np.asarray(values)
    if array.dtype.kind == "f":
        array = array.astype(np.float32)
    if array.ndim == 0 or len(array) != clip.frames or str(array.dtype) not in _TYPES:
        raise BadData(
            "the values do not fit the clip",
            where=f"{clip.key}: found {array.dtype} {array.shape}, expected {clip.frames} rows",
            fix=f"give one row a frame, of floats or {', '.join(_TYPES[1:])}",
        )
    return array


def _check_name(name: str, interpolation: str | None) -> None:
    if name in _TAKEN or not (name.isascii() and name.isidentifier()):
        raise UsageError(
            f"a field cannot be called '{name}'",
            fix="use letters, digits and underscores, and not the name of another field, such as 'body'",
        )
    if interpolation is not None and interpolation not in INTERPOLATIONS:
        raise UsageError(f"there is no interpolation '{interpolation}'", fix=nearest(interpolation, INTERPOLATIONS))


def _differs(where: str, found: Any, expected: Any) -> BadData:
    return BadData(
        "the values of a field are not of one kind",
        where=f"{where}: found {found}, expected {expected}",
        fix="give the same shape and type for all clips, or add it again with overwrite=True",
    )
