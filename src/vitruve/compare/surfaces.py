"""Two surfaces, vertex by vertex: directly where they share their topology, else through the map between the bodies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vitruve.compare.sides import Side
from vitruve.correspondence.correspondence import IDENTITY, Correspondence, correspondence
from vitruve.errors import BadData
from vitruve.fit.surface_points import vertex_groups
from vitruve.metrics import Placement, SurfaceMeter
from vitruve.threads import over_threads

# Frames in one block, and blocks between two calls of the progress.
_BLOCK, _BLOCKS = 32, 8
# Vertices that stand for the whole surface where no joints are known.
_ANCHORS = 300


@dataclass(frozen=True, eq=False)
class SurfacePair:
    """Two sides as vertices of one topology, that of the second.

    Attributes:
        first, second: the sides.
        map: from the first body's vertices to the second's; None for meshes of one unknown topology.
        valid: [vertices] which have a counterpart.
    """

    first: Side
    second: Side
    map: Correspondence | None
    valid: Bool[Tensor, "vertices"]

    def mapped(self, vertices: Float[Tensor, "block sources 3"]) -> Float[Tensor, "block vertices 3"]:
        """The first side's vertices where the second's should be; NaN where there is no counterpart."""
        if self.map is None or self.map.method == IDENTITY:
            return vertices
        return self.map.apply(vertices).masked_fill(~self.valid[:, None], torch.nan)

    def anchors(self) -> tuple[Float[Tensor, "frames points 3"], Float[Tensor, "frames points 3"]]:
        """A few hundred counterparts spread over the surface in every frame, float64."""
        every = self.valid.nonzero()[:, 0]
        ids = every[torch.linspace(0, len(every) - 1, min(len(every), _ANCHORS)).long()]
        found = over_threads(
            lambda block: (self.mapped(self.first.vertices(block))[:, ids], self.second.vertices(block)[:, ids]),
            torch.arange(len(self.first)).split(_BLOCK),
        )
        first, second = zip(*found)
        return torch.cat(first).double(), torch.cat(second).double()


@dataclass(frozen=True, eq=False)
class SurfaceErrors:
    """What was measured.

    Attributes:
        meter: errors of the vertices of the second side's topology, metres.
        lowest: [frames] height of the lowest vertex of the first and of the second, metres.
    """

    meter: SurfaceMeter
    lowest: tuple[Float[Tensor, "frames"], Float[Tensor, "frames"]]


def some_vertices(side: Side) -> Float[Tensor, "frames points 3"]:
    """A hundred vertices of the side's own topology in every frame."""
    blocks = torch.arange(len(side)).split(_BLOCK)
    count = len(side.vertices(blocks[0][:1])[0])
    ids = torch.linspace(0, count - 1, min(count, 100)).long()
    return torch.cat(over_threads(lambda block: side.vertices(block)[:, ids], blocks))


def pair_surfaces(first: Side, second: Side) -> SurfacePair | None:
    """The two surfaces; None where a side has none."""
    if not (first.has_surface and second.has_surface):
        return None
    if first.body is not None and second.body is not None:
        found = correspondence(first.body, second.body)
        return SurfacePair(first, second, found, found.valid.cpu())
    counts = [len(side.vertices(torch.tensor([0]))[0]) for side in (first, second)]
    if counts[0] != counts[1]:
        raise BadData(
            "these are meshes of two bodies, and it is not known which",
            where=f"{first.name} has {counts[0]} vertices, {second.name} has {counts[1]}",
            fix="name the bodies: --body-a and --body-b",
        )
    return SurfacePair(first, second, None, torch.ones(counts[0], dtype=torch.bool))


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
    body = pair.second.body
    parts = {} if body is None else vertex_groups(body, torch.arange(body.num_vertices))
    meter = SurfaceMeter(parts, len(pair.valid))
    lowest: list[tuple[Tensor, Tensor]] = []

    def errors(block: Int[Tensor, "block"]) -> tuple[Tensor, Tensor, Tensor]:
        first, second = pair.first.vertices(block), pair.second.vertices(block)
        apart = pair.mapped(first) - laid.of_frames(block).apply(second).to(first)
        distances = apart.norm(dim=-1).masked_fill(~known[block, None], torch.nan)
        return distances, first[..., 2].amin(1), second[..., 2].amin(1)

    blocks = torch.arange(len(pair.first)).split(_BLOCK)
    for start in range(0, len(blocks), _BLOCKS):
        for distances, *heights in over_threads(errors, blocks[start : start + _BLOCKS]):
            meter.add(distances)
            lowest.append((heights[0], heights[1]))
        if progress is not None:
            progress(min(len(pair.first), (start + _BLOCKS) * _BLOCK), len(pair.first))
    return SurfaceErrors(meter, (torch.cat([low for low, _ in lowest]), torch.cat([low for _, low in lowest])))
