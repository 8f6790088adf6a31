"""Tensors and a few words in one safetensors file, written whole or not at all, read without running anything."""

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

# What to do where a file of a training cannot be written.
GO_ON = "go on with --resume; what stood there before is untouched"


def save_checkpoint(path: str | Path, tensors: Mapping[str, Tensor], words: Mapping[str, Any]) -> None:
    """Write a checkpoint under a temporary name and rename it: an earlier one stays until the new one is on the disk.

    Args:
        path: the file.
        tensors: by name.
        words: nested plain values; each top-level value is stored as JSON in the file's metadata.
    """
    path = Path(path)
    data = save(
        {key: value.detach().cpu().contiguous() for key, value in tensors.items()},
        {key: json.dumps(value, sort_keys=True) for key, value in words.items()},
    )
    write_bytes(path, _in_order(data), durable=True, then=GO_ON)


def _in_order(data: bytes) -> bytes:
    """The file with its words in the order of their names: safetensors writes them in a random one.

    So runs that end alike leave the same bytes.
    """
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the tensors begin at a multiple of eight
    return len(text).to_bytes(8, "little") + text + data[end:]


def load_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, words) of a checkpoint."""
    path = Path(path)
    if not path.is_file():
        raise MissingAsset("the checkpoint does not exist", where=str(path), fix="check the path")
    if not os.access(path, os.R_OK):
        raise MissingAsset("the checkpoint may not be read", where=str(path), fix="see whose it is: ls -l")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
            words = {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        fix = "take another; where it is the state of a training, begin that anew with --overwrite"
        raise BadData("the checkpoint is damaged", where=f"{path}: {error}", fix=fix) from None
    return tensors, words
