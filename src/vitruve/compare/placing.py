"""Alignment of the second motion with the first before distances are measured."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.errors import UsageError
from vitruve.metrics import Placement, placement

LEAST_POINTS = 3
"""Fewer points do not determine a rotation."""

ALIGNMENTS = {
    "none": "as they are in the world",
    "root": "moved in every frame so that the roots meet, not turned",
    "procrustes": "turned, moved and scaled in every frame for the least distance (per frame, a similarity)",
    "first-frame": "turned and moved once for the whole clip, so that the first common frame fits best (rigid)",
    "clip": "turned and moved once for the whole clip, for the least distance over all frames (rigid)",
}


def place(
    how: str, first: Float[Tensor, "frames points 3"], second: Float[Tensor, "frames points 3"], root: int | None
) -> Placement:
    """The placement that aligns the second with the first.

    Args:
        how: a key of ALIGNMENTS.
        first, second: corresponding points, NaN in excluded frames.
        root: index of the root; None for meshes.
    """
    identity = torch.eye(3, dtype=first.dtype)
    if how == "none":
        return Placement(identity, torch.zeros(3).to(first), torch.ones(()).to(first))
    if how == "root":
        if root is None:
            raise UsageError("meshes have no root joint", where="--align root", fix="use --align clip or procrustes")
        shift, frames = first[:, root] - second[:, root], len(first)
        return Placement(identity.expand(frames, 3, 3), shift, torch.ones(frames).to(first))
    if how == "procrustes":
        return placement(second, first, scale=True)
    if how == "first-frame":
        known = (first.isfinite() & second.isfinite()).all(-1).any(-1).nonzero()
        start = int(known[0, 0]) if len(known) else 0
        return placement(second[start], first[start])
    return placement(second.flatten(0, 1), first.flatten(0, 1))
