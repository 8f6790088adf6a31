"""`--shard 2/8`: one part of the work; a file is in the same part whatever other files there are."""

from __future__ import annotations

import hashlib
import os
import re

from vitruve.errors import UsageError

Shard = tuple[int, int]
WHOLE: Shard = (1, 1)


def parse_shard(text: str) -> Shard:
    """(2, 8) from "2/8"."""
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    part, parts = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= part <= parts:
        raise UsageError(f"'{text}' is not a part of the work", where="--shard", fix="give --shard 1/4 to --shard 4/4")
    return part, parts


def in_shard(name: str, shard: Shard, number: int = 0) -> bool:
    """Whether an item belongs to a part, by its name alone; items of one name are dealt out in turn by `number`."""
    return (int(hashlib.sha256(os.fsencode(name)).hexdigest()[:12], 16) + number) % shard[1] == shard[0] - 1


def shard_suffix(shard: Shard) -> str:
    """What a part's own files have before their suffix: "-2of8"; empty for all of the work."""
    return f"-{shard[0]}of{shard[1]}" if shard[1] > 1 else ""
