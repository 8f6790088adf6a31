"""The surfaces of two performers, vertex by vertex: through the map if their topologies differ."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vitruve.bodies.recognise import recognise
from vitruve.correspondence.body_maps import IDENTITY, Correspondence, correspondence
from vitruve.errors import BadData, UsageError
from vitruve.motion.performer import Performer


@dataclass(frozen=True, eq=False)
class SurfacePair:
    """Two performers as vertices of one topology, that of the second.

    Attributes:
        first, second: the performers.
        map: from the first body's vertices to the second's; None for meshes of one unknown topology.
        valid: [vertices] whether a vertex has a counterpart.
    """

    first: Performer
    second: Performer
    map: Correspondence | None
    valid: Bool[Tensor, "vertices"]

    def mapped(self, vertices: Float[Tensor, "block sources 3"]) -> Float[Tensor, "block vertices 3"]:
        """The first's vertices mapped to the second's topology; NaN without counterpart."""
        if self.map is None or self.map.method == IDENTITY:
            return vertices
        return self.map.apply(vertices).masked_fill(~self.valid.to(vertices.device)[:, None], torch.nan)

    def apart_mm(
        self, first: Float[Tensor, "block sources 3"], second: Float[Tensor, "block vertices 3"]
    ) -> Float[Tensor, "block vertices"]:
        """Distances of the second's vertices from their counterparts, millimetres; NaN without counterpart."""
        mapped = self.mapped(first)
        return 1000 * (mapped - second.to(mapped)).norm(dim=-1)


def pair_surfaces(first: Performer, second: Performer) -> SurfacePair:
    """Pair two surfaces.

    Raises:
        UsageError: one of them has no surface.
        BadData: meshes of unknown bodies with different topologies.
    """
    bare = next((performer for performer in (first, second) if not performer.has_surface), None)
    if bare is not None:
        raise UsageError(
            f"distances need two surfaces, and this has none: {bare.kind}",
            where=bare.name,
            fix="convert it to a body first: vitruve convert FILE --to open-smplx",
        )
    if first.body is not None and second.body is not None:
        surface = correspondence(first.body, second.body)
        return SurfacePair(first, second, surface, surface.valid.cpu())
    for performer in (first, second):
        if performer.body is None and (first.body is not None or second.body is not None):
            assert performer.meshes is not None and performer.mesh_faces is not None
            recognise(performer.meshes, performer.mesh_faces, where=performer.name)  # raises with the reason
    counts = [len(performer.vertices([0])[0]) for performer in (first, second)]
    if counts[0] != counts[1]:
        raise BadData(
            "these are meshes of two unknown bodies",
            where=f"{first.name} has {counts[0]} vertices, {second.name} has {counts[1]}",
            fix="name the bodies: --body, or --body-a and --body-b",
        )
    return SurfacePair(first, second, None, torch.ones(counts[0], dtype=torch.bool))
