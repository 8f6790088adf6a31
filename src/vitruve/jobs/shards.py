"""`--shard 2/8`: one part of the work, the same whatever else there is to do."""

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
        raise UsageError(f"'{text}' names no part of the work", where="--shard", fix="give --shard 1/4 to --shard 4/4")
    return part, parts


def in_shard(name: str, shard: Shard, number: int = 0) -> bool:
    """Whether something belongs to a part, by its name alone.

    Args:
        name: of the thing.
        shard: (i, n).
        number: of a thing among others of that name; these are dealt out in turn.
    """
    return (int(hashlib.sha256(os.fsencode(name)).hexdigest()[:12], 16) + number) % shard[1] == shard[0] - 1


def shard_suffix(shard: Shard) -> str:
    """What the names of a part's own files end in, before their ending; empty for the whole work."""
    return f"-{shard[0]}of{shard[1]}" if shard[1] > 1 else ""
