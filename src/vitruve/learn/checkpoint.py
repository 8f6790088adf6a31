"""Checkpoints: tensors and metadata in one safetensors file, written atomically and read without running code."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vitruve.errors import BadData, MissingAsset
from vitruve.files.atomic import write_bytes

# What to do if a file of a training cannot be written.
GO_ON = "continue with --resume; the previous file is unchanged"


def save_checkpoint(path: str | Path, tensors: Mapping[str, Tensor], words: Mapping[str, Any]) -> None:
    """Write a checkpoint atomically; the values of `words` are stored as JSON in the file's metadata."""
    path = Path(path)
    data = save(
        {key: value.detach().cpu().contiguous() for key, value in tensors.items()},
        {key: json.dumps(value, sort_keys=True) for key, value in words.items()},
    )
    write_bytes(path, _sorted(data), durable=True, then=GO_ON)


def _sorted(data: bytes) -> bytes:
    """The file with sorted metadata, for reproducible bytes: safetensors writes them in a random order."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of eight
    return len(text).to_bytes(8, "little") + text + data[end:]


def load_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the metadata of a checkpoint."""
    path = Path(path)
    if not path.is_file():
        raise MissingAsset("the checkpoint does not exist", where=str(path), fix="check the path")
    if not os.access(path, os.R_OK):
        raise MissingAsset("permission denied for the checkpoint", where=str(path), fix="check its owner: ls -l")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
            words = {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        fix = "take another; if it is the state of a training, start again with --overwrite"
        raise BadData("the checkpoint is damaged", where=f"{path}: {error}", fix=fix) from None
    return tensors, words
