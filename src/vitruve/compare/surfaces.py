"""Distances of two surfaces: in every vertex and frame, and in the sample that a conversion measures."""

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

# Frames in one block, and blocks between two progress calls.
_BLOCK, _BLOCKS = 32, 8
# Number of vertices that represent a surface without joints.
_ANCHORS = 300


@dataclass(frozen=True, eq=False)
class SurfaceErrors:
    """Measured distances.

    Attributes:
        meter: of `measured_vertices` in `measured_frames`, as in a conversion's report.
        every: of every vertex of the second's topology in every frame.
        lowest: [frames] height of the lowest vertex of the first and of the second, metres.
    """

    meter: SurfaceMeter
    every: SurfaceMeter
    lowest: tuple[Float[Tensor, "frames"], Float[Tensor, "frames"]]


def anchors(pair: SurfacePair) -> tuple[Float[Tensor, "frames points 3"], Float[Tensor, "frames points 3"]]:
    """A few hundred corresponding points of both surfaces in every frame, float64."""
    every = pair.valid.nonzero()[:, 0]
    ids = every[torch.linspace(0, len(every) - 1, min(len(every), _ANCHORS)).long()]
    blocks = over_threads(
        lambda block: (pair.mapped(pair.first.vertices(block))[:, ids], pair.second.vertices(block)[:, ids]),
        torch.arange(len(pair.first)).split(_BLOCK),
    )
    first, second = zip(*blocks)
    return torch.cat(first).double(), torch.cat(second).double()


def some_vertices(performer: Performer) -> Float[Tensor, "frames points 3"]:
    """A hundred vertices of the performer's own topology in every frame."""
    blocks = torch.arange(len(performer)).split(_BLOCK)
    count = len(performer.vertices([0])[0])
    ids = torch.linspace(0, count - 1, min(count, 100)).long()
    return torch.cat(over_threads(lambda block: performer.vertices(block)[:, ids], blocks))


def measure_surfaces(
    pair: SurfacePair,
    placement: Placement,
    known: Bool[Tensor, "frames"],
    progress: Callable[[int, int], None] | None = None,
) -> SurfaceErrors:
    """Measure the distances of corresponding vertices.

    Args:
        pair: the surfaces.
        placement: aligns the second with the first.
        known: False for excluded frames.
        progress: called with the finished frames and their total.
    """
    body, ids = pair.second.body, measured_vertices(pair.valid)
    parts = {} if body is None else vertex_groups(body, torch.arange(body.num_vertices))
    every = SurfaceMeter(parts, len(pair.valid), with_jitter=False)
    meter = SurfaceMeter({part: mask[ids] for part, mask in parts.items() if mask[ids].any()}, len(ids))
    chosen = torch.zeros(len(pair.first), dtype=torch.bool)
    chosen[torch.cat(measured_frames(len(pair.first)))] = True
    sample: list[Tensor] = []
    lowest: list[tuple[Tensor, ...]] = []

    def errors(block: Int[Tensor, "block"]) -> tuple[Tensor, Tensor, Tensor]:
        first, second = pair.first.vertices(block), pair.second.vertices(block)
        apart = pair.mapped(first) - placement.of_frames(block).apply(second).to(first)
        return apart.masked_fill(~known[block, None, None], torch.nan), first[..., 2].amin(1), second[..., 2].amin(1)

    blocks = torch.arange(len(pair.first)).split(_BLOCK)
    for start in range(0, len(blocks), _BLOCKS):
        some = blocks[start : start + _BLOCKS]
        for block, (apart, *heights) in zip(some, over_threads(errors, some)):
            every.add(block, apart)
            sample.append(apart[chosen[block]][:, ids])
            lowest.append(tuple(heights))
        if progress is not None:
            progress(min(len(pair.first), (start + _BLOCKS) * _BLOCK), len(pair.first))
    # In one call, since three consecutive frames may be in two blocks.
    meter.add(chosen.nonzero()[:, 0], torch.cat(sample))
    lowest_first, lowest_second = map(torch.cat, zip(*lowest))
    return SurfaceErrors(meter, every, (lowest_first, lowest_second))
