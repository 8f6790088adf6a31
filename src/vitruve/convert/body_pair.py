"""What a conversion computes once for two bodies and caches: the surface map, and the points to fit and to measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from torch import Tensor

from vitruve.bodies import BodyModel, ShapedBody
from vitruve.bodies.skin import Skin
from vitruve.correspondence.body_maps import Correspondence, correspondence
from vitruve.fit.points import Points, choose_points
from vitruve.fit.surface_points import fit_points, vertex_groups
from vitruve.metrics import measured_vertices
from vitruve.threads import one_torch_thread


@dataclass(frozen=True, eq=False)
class MappedPoints:
    """Some vertices of the target, and the vertices of the source that they are interpolated from.

    Attributes:
        ids: [points] vertices of the target.
        target_skin: of these vertices.
        used: [used] vertices of the source.
        source_skin: of these vertices.
        place: [points, k] indices into `used`.
        weights: [points, k] their weights.
    """

    ids: Tensor
    target_skin: Skin
    used: Tensor
    source_skin: Skin
    place: Tensor
    weights: Tensor

    @staticmethod
    def of(source: BodyModel, target: BodyModel, surface: Correspondence, ids: Tensor) -> MappedPoints:
        """For some vertices of the target."""
        part = surface.subset(ids)
        used, place = part.vertices.unique(return_inverse=True)
        weights = part.weights.to(source.dtype)
        return MappedPoints(ids, target.skin(ids), used, source.skin(used), place, weights)

    def on_target(self, shaped: ShapedBody) -> ShapedBody:
        """The target with only these points."""
        return shaped.only(self.ids, self.target_skin)

    def on_source(self, shaped: ShapedBody) -> ShapedBody:
        """The source with only the used vertices."""
        return shaped.only(self.used, self.source_skin)

    def read(self, vertices: Tensor) -> Tensor:
        """[..., points, 3] from the vertices [..., used, 3] of `on_source`."""
        out = vertices.index_select(-2, self.place[:, 0])
        if self.place.shape[1] > 1:
            out *= self.weights[:, :1]
        for column in range(1, self.place.shape[1]):
            out.addcmul_(vertices.index_select(-2, self.place[:, column]), self.weights[:, column, None])
        return out


@dataclass(frozen=True, eq=False)
class Pair:
    """Two bodies and their correspondence.

    Attributes:
        surface: from source to target.
        fitted: the points to fit.
        weights: [points] of each, the share of the vertices around it.
        points: the fitted points, for the solver.
        checked: the points that the error is measured at.
        groups: masks of the checked points by part of the body.
    """

    surface: Correspondence
    fitted: MappedPoints
    weights: Tensor
    points: Points
    checked: MappedPoints
    groups: Mapping[str, Tensor]


# source -> target -> number of points -> (state of both, the pair); a pair does not hold its bodies.
_known: WeakKeyDictionary[BodyModel, WeakKeyDictionary[BodyModel, dict[int, tuple[object, Pair]]]] = WeakKeyDictionary()


def pair_of(source: BodyModel, target: BodyModel, points: int) -> Pair:
    """The cached pair of two bodies, with about as many fitted points."""
    kept = _known.setdefault(source, WeakKeyDictionary()).setdefault(target, {})
    state = _state(source), _state(target)
    if points not in kept or kept[points][0] != state:
        kept[points] = state, _make_pair(source, target, points)
    return kept[points][1]


@one_torch_thread()
def _make_pair(source: BodyModel, target: BodyModel, points: int) -> Pair:
    surface = correspondence(source, target)
    ids, weights = fit_points(target, surface.valid, points)
    checks = measured_vertices(surface.valid)
    return Pair(
        surface=surface,
        fitted=MappedPoints.of(source, target, surface, ids),
        weights=weights,
        points=choose_points(target, vertices=ids),
        checked=MappedPoints.of(source, target, surface, checks),
        groups=vertex_groups(target, checks),
    )


def _state(body: BodyModel) -> tuple[object, ...]:
    """Changes when the body is moved to another device or precision, or written to."""
    return body.dtype, body.device, tuple(buffer._version for buffer in body.buffers())
