"""Before distances are taken, the second motion may be laid over the first: how, by name."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.errors import UsageError, nearest
from vitruve.metrics import Placement, placement

LEAST_POINTS = 3
"""With fewer points a rotation is open."""

ALIGNMENTS = {
    "none": "as they stand in the world",
    "root": "moved in every frame so that the roots meet, not turned",
    "procrustes": "turned, moved and scaled in every frame for the least distance (per frame, a similarity)",
    "first-frame": "turned and moved once for the whole clip, so that the first common frame fits best (rigid)",
    "clip": "turned and moved once for the whole clip, for the least distance over all frames (rigid)",
}


def place(
    how: str, first: Float[Tensor, "frames points 3"], second: Float[Tensor, "frames points 3"], root: int | None
) -> Placement:
    """What lays the second over the first.

    Args:
        how: a key of ALIGNMENTS.
        first, second: counterparts, NaN in frames that do not count.
        root: which point is the root; None where there is none, as for meshes.
    """
    if how not in ALIGNMENTS:
        raise UsageError(f"there is no alignment '{how}'", where="--align", fix=nearest(how, ALIGNMENTS))
    identity = torch.eye(3, dtype=first.dtype)
    if how == "none":
        return Placement(identity, torch.zeros(3).to(first), torch.ones(()).to(first))
    if how == "root":
        if root is None:
            raise UsageError("meshes have no root joint", where="--align root", fix="use --align clip or procrustes")
        frames = len(first)
        shift = first[:, root] - second[:, root]
        return Placement(identity.expand(frames, 3, 3), shift, torch.ones(frames).to(first))
    if how == "procrustes":
        return placement(second, first, scale=True)
    if how == "first-frame":
        known = (first.isfinite() & second.isfinite()).all(-1).any(-1).nonzero()
        start = int(known[0, 0]) if len(known) else 0
        return placement(second[start], first[start])
    return placement(second.flatten(0, 1), first.flatten(0, 1))
