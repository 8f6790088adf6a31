"""Vitruve's own motion file: one safetensors file with everything that a motion has, exactly.

Rotations are stored as matrices. Axis-angle would take a third of the space, but the round trip changes the last
digits, and this format is lossless. Everything that is not an array is JSON in the file's metadata.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor

from vitruve.errors import BadData
from vitruve.motion import Motion, Source
from vitruve.skeletons import Skeleton

_VERSION = 1
_KEY = "vitruve_motion"
_TENSORS = ("rotations", "translation", "betas", "expression", "offsets", "mask")
_STORED = "?bBhHiIlLqQefd"


def write_vitruve(motion: Motion, path: str | os.PathLike[str]) -> None:
    """Write everything that a motion has. Extras that are neither arrays nor JSON are skipped, with a note."""
    arrays: dict[str, np.ndarray] = {}
    for key in _TENSORS:
        value = getattr(motion, key)
        if value is not None:
            arrays[key] = _plain(value)
    if motion.skeleton.rest is not None:
        arrays["skeleton.rest"] = _plain(motion.skeleton.rest)
    values: dict[str, Any] = {}
    left_out = []
    for key, value in motion.source.extras.items():
        value = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        if isinstance(value, np.ndarray) and value.dtype.char in _STORED:
            arrays[f"extras.{key}"] = _plain(value)
        elif (written := _as_json(value)) is not None:
            values[key] = written
        else:
            left_out.append(key)
    notes = [*motion.source.notes]
    if left_out:
        notes.append(f"not written, because neither arrays nor plain values: {', '.join(left_out)}")
    skeleton = {field.name: getattr(motion.skeleton, field.name) for field in fields(Skeleton) if field.name != "rest"}
    header = {
        "version": _VERSION,
        "fps": motion.fps,
        "body": motion.body,
        "gender": motion.gender,
        "skeleton": skeleton,
        "source": {"file": motion.source.file, "format": motion.source.format, "notes": notes, "extras": values},
    }
    Path(path).write_bytes(save(arrays, metadata={_KEY: json.dumps(header)}))


def read_vitruve(path: str | os.PathLike[str], *, dtype: torch.dtype | None = None) -> Motion:
    """Read a motion that `write_vitruve` wrote.

    Args:
        path: the file.
        dtype: precision; by default that of the file.
    """
    path = Path(path)
    header, arrays = _content(path)
    try:
        tree = {key: _tuples(value) for key, value in header["skeleton"].items()}
        skeleton = Skeleton(**tree, rest=arrays.pop("skeleton.rest", None))
        source = header["source"]
        extras = {key: _of_json(value) for key, value in source["extras"].items()}
        extras |= {
            key.removeprefix("extras."): value.numpy() for key, value in arrays.items() if key.startswith("extras.")
        }
        motion = Motion(
            **{key: value for key, value in arrays.items() if key in _TENSORS},  # type: ignore[arg-type]
            fps=float(header["fps"]),
            skeleton=skeleton,
            body=header["body"],
            gender=header["gender"],
            source=Source(file=source["file"], format=source["format"], extras=extras, notes=tuple(source["notes"])),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        fix = "write it again from its source"
        raise BadData(f"{path.name} is a damaged motion file", where=f"{path}: {error}", fix=fix) from None
    except BadData as error:
        raise BadData(error.what, where=f"{path}: {error.where}", fix=error.fix) from None
    return motion if dtype is None else motion.to(dtype=dtype)


def _content(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        header = json.loads(metadata[_KEY])
    except KeyError:
        where = f"{path}: no '{_KEY}' in its metadata"
        raise BadData(f"{path.name} is not a Vitruve motion file", where, fix="check the file") from None
    except (SafetensorError, ValueError, OSError) as error:
        raise BadData(f"{path.name} is damaged or truncated", f"{path}: {error}", "copy or write it again") from None
    if header.get("version") != _VERSION:
        raise BadData(
            f"{path.name} has an unsupported format version",
            where=f"{path}: version {header.get('version')}, this program reads {_VERSION}",
            fix="update Vitruve: pip install -U vitruve",
        )
    return header, arrays


def _tuples(value: Any) -> Any:
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list) else value


def _plain(value: Tensor | np.ndarray) -> np.ndarray:
    array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
    return np.ascontiguousarray(array).reshape(array.shape)  # ascontiguousarray turns a number into one row


def _as_json(value: Any) -> Any:
    """A value as JSON, text arrays with their dtype; None if that is impossible."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "US":
        told = {"dtype": value.dtype.str, "shape": value.shape, "bytes": base64.b64encode(value.tobytes()).decode()}
        return {"text array": told}
    try:
        return {"value": json.loads(json.dumps(value))}
    except (TypeError, ValueError):
        return None


def _of_json(entry: Mapping[str, Any]) -> Any:
    if "value" in entry:
        return _tuples(entry["value"])
    array = entry["text array"]
    dtype = np.dtype(array["dtype"])
    if dtype.kind not in "US":
        raise ValueError(f"a text array of dtype {dtype}")
    return np.frombuffer(bytearray(base64.b64decode(array["bytes"])), dtype).reshape(array["shape"])
