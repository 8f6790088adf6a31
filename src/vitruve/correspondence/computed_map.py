"""Compute maps between the surfaces of two bodies from the bodies alone, in both directions at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vitruve.bodies import BodyModel
from vitruve.correspondence.closest_points import (
    Bools,
    ClosestPointMesh,
    Floats,
    Ints,
    rays_hit,
    vertex_normals,
)
from vitruve.correspondence.registration import register
from vitruve.correspondence.shared_parts import EYES, SharedParts, shared_parts
from vitruve.threads import one_torch_thread

# Increased by every change that alters the maps, to invalidate old caches.
METHOD_VERSION = 2

# A vertex has a counterpart if the registered surfaces are within this distance (metres) and angle (cosine).
_FARTHEST, _LEAST_COSINE = 0.008, 0.5
# Beyond an open edge, such as the cuff of a hand, the limit is tighter.
_FARTHEST_PAST_EDGE = 0.002
# A vertex whose normal hits the head within this distance (metres) is inside: mouth, nostrils, eye sockets.
_INNER = 0.15
BEYOND = "beyond the shared part"


@dataclass(frozen=True)
class VertexMap:
    """The position of each vertex of one body on another.

    Attributes:
        vertices, weights: [V, K] of the other body; rows of weights sum to one.
        regions: name of a region to [V] mask of its vertices without counterpart.
    """

    vertices: Ints
    weights: Floats
    regions: dict[str, Bools]

    @property
    def lost(self) -> Bools:
        """[V] whether a vertex has no counterpart; its row is then a guess: the nearest point."""
        return np.any([np.zeros(len(self.vertices), bool), *self.regions.values()], 0)


@one_torch_thread()
def compute_maps(source: BodyModel, target: BodyModel) -> tuple[VertexMap, VertexMap]:
    """The map from the source's vertices to the target's, and the map back, from one registration.

    Raises:
        UsageError: the bodies have no part in common.
    """
    # The order does not depend on which body is the source, so that A to B and B to A give the same pair of maps.
    swap = _rank(source, target) < _rank(target, source)
    first, second = (target, source) if swap else (source, target)
    parts = shared_parts(first, second)
    first_vertices, second_vertices = register(first, second, parts)
    one = ClosestPointMesh(first_vertices, first.faces.cpu().numpy(), parts.first)
    two = ClosestPointMesh(second_vertices, second.faces.cpu().numpy(), parts.second)
    to_first = _map(first, one, two, parts, parts.allowed)
    to_second = _map(second, two, one, parts, parts.allowed.T)
    return (to_second, to_first) if not swap else (to_first, to_second)


def _rank(body: BodyModel, other: BodyModel) -> tuple[int, int, float]:
    """The body of the higher rank is posed and displaced: of the shared part, more joints can follow fewer."""
    names = body.joint_names
    shared = [joint for joint, name in enumerate(names) if name in other.joint_names]
    joints = len(body.skeleton.below(shared[0])) if shared else 0
    return joints, body.num_vertices, float(body.template.double().abs().sum())


def _map(
    body: BodyModel, points: ClosestPointMesh, surface: ClosestPointMesh, parts: SharedParts, allowed: Bools
) -> VertexMap:
    met = surface.closest(points.vertices, points.normals, allowed, points.parts)
    valid = met.compatible & (met.cosine > _LEAST_COSINE) & (met.distance < _FARTHEST)
    past_edge = met.on_open_edge & (met.distance > _FARTHEST_PAST_EDGE)
    regions = _regions(body, points.parts, ~valid | past_edge, parts)
    return VertexMap(surface.faces[met.face], met.bary, regions)


def _regions(body: BodyModel, part: Ints, lost: Bools, parts: SharedParts) -> dict[str, Bools]:
    """Named regions of the vertices without counterpart: each is in one region; empty regions are omitted."""
    words = np.array([_region_of(name) for name in (*parts.names, "")], dtype=object)
    region = words[part]
    if parts.is_cut:
        region[part == 0] = BEYOND
    region[_inside_head(body, region == "head", lost)] = "inner head"
    return {str(name): lost & (region == name) for name in sorted(set(region[lost]))}


def _inside_head(body: BodyModel, on_head: Bools, lost: Bools) -> Ints:
    """The lost vertices that are inside the head, since their normals hit it."""
    vertices, faces = body.template.detach().cpu().double().numpy(), body.faces.cpu().numpy()
    ids = np.flatnonzero(on_head & lost)
    normals = vertex_normals(vertices, faces)[ids]
    corners = vertices[faces[on_head[faces].all(1)]]
    return ids[rays_hit(vertices[ids], normals, corners, _INNER)]


def _region_of(part: str) -> str:
    """The name of a part's region for users."""
    if part == "":
        return BEYOND
    if part == "eyes" or part in EYES:
        return "eyes"
    if part in ("head", "jaw"):
        return "head"
    if part.endswith(("_foot", "_ankle")):
        return "feet"
    fingers = ("wrist", "hand", "index", "middle", "pinky", "ring", "thumb")
    return "hands" if any(finger in part for finger in fingers) else "body"
