"""How far two surfaces are apart: in every vertex of every frame, and where a conversion measures its own result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vitruve.correspondence.surface_pair import SurfacePair
from vitruve.fit.surface_points import vertex_groups
from vitruve.metrics import Placement, SurfaceMeter, measured_frames, measured_vertices
from vitruve.motion.performer import Performer
from vitruve.threads import over_threads

# Frames in one block, and blocks between two calls of the progress.
_BLOCK, _BLOCKS = 32, 8
# Vertices that stand for the whole surface where no joints are known.
_ANCHORS = 300


@dataclass(frozen=True, eq=False)
class SurfaceErrors:
    """What was measured.

    Attributes:
        meter: `measured_vertices` in `measured_frames`, as a conversion measures itself.
        every: every vertex of the second's topology in every frame.
        lowest: [frames] height of the lowest vertex of the first and of the second, metres.
    """

    meter: SurfaceMeter
    every: SurfaceMeter
    lowest: tuple[Float[Tensor, "frames"], Float[Tensor, "frames"]]


def anchors(pair: SurfacePair) -> tuple[Float[Tensor, "frames points 3"], Float[Tensor, "frames points 3"]]:
    """A few hundred counterparts spread over the two surfaces in every frame, float64."""
    every = pair.valid.nonzero()[:, 0]
    ids = every[torch.linspace(0, len(every) - 1, min(len(every), _ANCHORS)).long()]
    found = over_threads(
        lambda block: (pair.mapped(pair.first.vertices(block))[:, ids], pair.second.vertices(block)[:, ids]),
        torch.arange(len(pair.first)).split(_BLOCK),
    )
    first, second = zip(*found)
    return torch.cat(first).double(), torch.cat(second).double()


def some_vertices(performer: Performer) -> Float[Tensor, "frames points 3"]:
    """A hundred vertices of the performer's own topology in every frame."""
    blocks = torch.arange(len(performer)).split(_BLOCK)
    count = len(performer.vertices([0])[0])
    ids = torch.linspace(0, count - 1, min(count, 100)).long()
    return torch.cat(over_threads(lambda block: performer.vertices(block)[:, ids], blocks))


def measure_surfaces(
    pair: SurfacePair,
    laid: Placement,
    known: Bool[Tensor, "frames"],
    progress: Callable[[int, int], None] | None = None,
) -> SurfaceErrors:
    """The distance of every vertex to its counterpart in every frame.

    Args:
        pair: the surfaces.
        laid: what lays the second over the first.
        known: frames that count.
        progress: called with frames done and frames in all.
    """
    body, ids = pair.second.body, measured_vertices(pair.valid)
    parts = {} if body is None else vertex_groups(body, torch.arange(body.num_vertices))
    every = SurfaceMeter(parts, len(pair.valid), with_jitter=False)
    meter = SurfaceMeter({part: mask[ids] for part, mask in parts.items() if mask[ids].any()}, len(ids))
    chosen = torch.zeros(len(pair.first), dtype=torch.bool)
    chosen[torch.cat(measured_frames(len(pair.first)))] = True
    sample: list[Tensor] = []
    lowest: list[tuple[Tensor, Tensor]] = []

    def errors(block: Int[Tensor, "block"]) -> tuple[Tensor, Tensor, Tensor]:
        first, second = pair.first.vertices(block), pair.second.vertices(block)
        apart = pair.mapped(first) - laid.of_frames(block).apply(second).to(first)
        return apart.masked_fill(~known[block, None, None], torch.nan), first[..., 2].amin(1), second[..., 2].amin(1)

    blocks = torch.arange(len(pair.first)).split(_BLOCK)
    for start in range(0, len(blocks), _BLOCKS):
        some = blocks[start : start + _BLOCKS]
        for block, (apart, *heights) in zip(some, over_threads(errors, some)):
            every.add(block, apart)
            sample.append(apart[chosen[block]][:, ids])
            lowest.append((heights[0], heights[1]))
        if progress is not None:
            progress(min(len(pair.first), (start + _BLOCKS) * _BLOCK), len(pair.first))
    # At once, since three frames in a row may lie in two blocks.
    meter.add(chosen.nonzero()[:, 0], torch.cat(sample))
    heights = torch.cat([low for low, _ in lowest]), torch.cat([low for _, low in lowest])
    return SurfaceErrors(meter, every, heights)
