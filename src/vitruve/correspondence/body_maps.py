"""The correspondence between the surfaces of two bodies.

    surface_map = correspondence(load_body("open-smplh-neutral"), load_body("open-smplx-neutral"))
    vertices = surface_map.apply(smplh_vertices)  # [..., 10475, 3]; vertices not in surface_map.valid are a guess
    surface_map.residual_mm                       # {"mean": ..., "p95": ..., "max": ...} of the round trip

Bodies of the same topology correspond vertex by vertex. Otherwise the official correspondence files are used if the
user has them; if not, the map is computed from the two bodies and cached.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.correspondence.computed_map import BEYOND, VertexMap
from vitruve.correspondence.map_cache import cached_maps
from vitruve.correspondence.official_maps import read_map, read_mask
from vitruve.errors import BadData

IDENTITY, FILE, CLOSEST = "identity", "deformation transfer file", "closest points"


@dataclass(frozen=True, eq=False)
class Correspondence:
    """A linear map from the vertices of a source body to those of a target body.

    Attributes:
        source, target: names of the bodies.
        source_vertices: number of vertices of the source.
        vertices: [V_t, K] source vertices of each target vertex; K is 1 for the same topology, 3 for a computed map.
        weights: [V_t, K] their weights, float64; rows sum to one.
        valid: [V_t] whether the vertex has a counterpart; other rows are a guess, the nearest point.
        regions: name to [V_t] mask of the vertices without counterpart: "eyes", "inner head" (mouth, nostrils,
            sockets), "beyond the shared part" (of a hand), "left out by the mask file", or a part of the body.
        method: "identity", "deformation transfer file" or "closest points".
        residual: [V_s] round-trip error of each source vertex on the template, metres; NaN without counterpart.
        file: the file of the map, or None.
    """

    source: str
    target: str
    source_vertices: int
    vertices: Int[Tensor, "targets k"]
    weights: Float[Tensor, "targets k"]
    valid: Bool[Tensor, " targets"]
    regions: dict[str, Tensor]
    method: str
    residual: Float[Tensor, " sources"]
    file: Path | None = None

    def __len__(self) -> int:
        return len(self.vertices)

    def __repr__(self) -> str:
        share = 100 * float(self.valid.double().mean()) if len(self) else 100.0
        return (
            f"Correspondence({self.source} [{self.source_vertices}] to {self.target} [{len(self)}] by {self.method}, "
            f"{share:.1f} % valid, residual {self.residual_mm['mean']:.2f} mm)"
        )

    @property
    def residual_mm(self) -> dict[str, float]:
        """Mean, 95th percentile and maximum of the finite values of `residual`, in millimetres."""
        known = 1000 * self.residual[~self.residual.isnan()].double()
        if not len(known):
            return dict.fromkeys(("mean", "p95", "max"), float("nan"))
        return {"mean": float(known.mean()), "p95": float(known.quantile(0.95)), "max": float(known.max())}

    def apply(self, source_vertices: Float[Tensor, "*batch sources 3"]) -> Float[Tensor, "*batch targets 3"]:
        """Map vertices, or any other per-vertex values, from the source to the target."""
        if source_vertices.dim() < 2 or source_vertices.shape[-2] != self.source_vertices:
            raise BadData(
                f"the vertices do not fit body '{self.source}'",
                where=f"found shape {tuple(source_vertices.shape)}, expected [..., {self.source_vertices}, 3]",
                fix="give the vertices of the source body",
            )
        weights = self.weights.to(source_vertices)
        out = source_vertices.index_select(-2, self.vertices[:, 0])
        if self.method == IDENTITY:
            return out
        out = out * weights[:, :1]
        for column in range(1, self.vertices.shape[1]):
            part = source_vertices.index_select(-2, self.vertices[:, column])
            out = torch.addcmul(out, part, weights[:, column, None])
        return out

    def matrix(self) -> Float[Tensor, "targets sources"]:
        """The map as a sparse tensor, for use as a regressor."""
        rows = torch.arange(len(self), device=self.vertices.device)[:, None].expand_as(self.vertices)
        places = torch.stack([rows.flatten(), self.vertices.flatten()])
        size = (len(self), self.source_vertices)
        return torch.sparse_coo_tensor(places, self.weights.flatten(), size, check_invariants=False).coalesce()

    def subset(self, target_ids: Int[Tensor, " chosen"]) -> Correspondence:
        """The map for some target vertices, in the order given."""
        ids = torch.as_tensor(target_ids, device=self.vertices.device)
        return replace(
            self,
            vertices=self.vertices[ids],
            weights=self.weights[ids],
            valid=self.valid[ids],
            regions={name: mask[ids] for name, mask in self.regions.items()},
        )

    def compact(self) -> tuple[Int[Tensor, " used"], Correspondence]:
        """The source vertices in use, and the map from these alone, as only these must be posed after `subset`."""
        entries = torch.where(self.weights != 0, self.vertices, self.vertices[:, :1])
        used, place = entries.unique(return_inverse=True)
        return used, replace(self, vertices=place, source_vertices=len(used), residual=self.residual[used])

    def to(self, device: torch.device | str) -> Correspondence:
        """The same on another device."""
        moved = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **moved, regions={name: mask.to(device) for name, mask in self.regions.items()})


def correspondence(
    source: BodyModel, target: BodyModel, *, files: Path | None = None, cache: bool | Path = True
) -> Correspondence:
    """The correspondence between two bodies, from the source to the target.

    Args:
        source, target: any two bodies, or a body and a hand.
        files: folder with the official correspondence files, searched before the folders of bodies.
        cache: cache a computed map in the user's cache folder (True), in the given folder, or not at all (False).

    Raises:
        UsageError: the bodies have no part in common, such as a left and a right hand.
        BadData: a correspondence file is damaged or of another mesh.
    """
    if same_topology(source, target):
        return _identity(source, target)
    maps = functools.cache(lambda: cached_maps(source, target, cache))
    there, file = _one_way(source, target, files, lambda: maps()[0])
    back, _ = _one_way(target, source, files, lambda: maps()[1])
    device = target.template.device
    regions = {name: torch.from_numpy(mask).to(device) for name, mask in there.regions.items() if mask.any()}
    surface = Correspondence(
        source=source.name,
        target=target.name,
        source_vertices=source.num_vertices,
        vertices=torch.from_numpy(there.vertices).to(device),
        weights=torch.from_numpy(there.weights).to(device),
        valid=torch.from_numpy(~there.lost).to(device),
        regions=regions,
        method=CLOSEST if file is None else FILE,
        residual=torch.zeros(0),
        file=file,
    )
    return replace(surface, residual=_round_trip(surface, back, source.template.to(device)))


def same_topology(source: BodyModel, target: BodyModel) -> bool:
    """Whether vertex i of one body is vertex i of the other: equal faces, in any order."""
    if source.num_vertices != target.num_vertices or len(source.faces) != len(target.faces):
        return False
    ours, theirs = source.faces.cpu(), target.faces.cpu()
    return bool(torch.equal(ours, theirs) or torch.equal(_ordered(ours), _ordered(theirs)))


def _ordered(faces: Tensor) -> Tensor:
    """Sorted faces, each starting at its smallest vertex, with its winding kept."""
    first = faces.argmin(1)
    turned = faces.gather(1, (first[:, None] + torch.arange(3)) % 3)
    return turned.unique(dim=0)


def _identity(source: BodyModel, target: BodyModel) -> Correspondence:
    count, device = source.num_vertices, target.template.device
    return Correspondence(
        source=source.name,
        target=target.name,
        source_vertices=count,
        vertices=torch.arange(count, device=device)[:, None],
        weights=torch.ones(count, 1, dtype=torch.float64, device=device),
        valid=torch.ones(count, dtype=torch.bool, device=device),
        regions={},
        method=IDENTITY,
        residual=torch.zeros(count, dtype=torch.float64, device=device),
    )


def _one_way(
    source: BodyModel, target: BodyModel, files: Path | None, computed: Callable[[], VertexMap]
) -> tuple[VertexMap, Path | None]:
    """(map, file) from the official file, or (computed map, None)."""
    read = read_map(source, target, files)
    if read is None:
        return computed(), None
    vertices, weights, path = read
    if "mano" in (source.layout, target.layout):
        listed = (weights != 0).any(1)
        if listed.all():
            return VertexMap(vertices, weights, {}), path
        # Vertices missing in the file get the guess of the computed map.
        guess = computed()
        vertices = np.where(listed[:, None], np.pad(vertices, ((0, 0), (0, 2))), guess.vertices)
        weights = np.where(listed[:, None], np.pad(weights, ((0, 0), (0, 2))), guess.weights)
        return VertexMap(vertices, weights, {BEYOND: ~listed}), path
    of_target, of_source = read_mask(target, files), read_mask(source, files)
    if of_target is not None:
        left_out = ~of_target
    elif of_source is not None:
        left_out = (weights * of_source[vertices]).sum(1) <= 0.5
    else:
        return VertexMap(vertices, weights, computed().regions), path
    return VertexMap(vertices, weights, {"left out by the mask file": left_out}), path


def _round_trip(there: Correspondence, back: VertexMap, template: Tensor) -> Tensor:
    """The round-trip error on the source's template: [V_s] metres."""
    template = template.double()
    arrived = there.apply(template)
    vertices, weights = torch.from_numpy(back.vertices).to(arrived.device), torch.from_numpy(back.weights).to(arrived)
    returned = (arrived[vertices] * weights[..., None]).sum(1)
    defined = torch.from_numpy(~back.lost).to(arrived.device) & (there.valid[vertices] | (weights == 0)).all(1)
    return torch.where(defined, (returned - template).norm(dim=1), torch.nan)
