"""Closest points on triangles and surfaces against brute force and against shapes whose answer is known."""

from __future__ import annotations

import numpy as np
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruve.correspondence.closest_points import (
    ClosestPointMesh,
    boundary_vertices,
    closest_on_triangles,
    components,
    edges_of,
    rays_hit,
    vertex_areas,
    vertex_normals,
)


def _ball(subdivisions: int = 2) -> tuple[np.ndarray, np.ndarray]:
    mesh = trimesh.creation.icosphere(subdivisions)
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_no_other_point_of_the_triangle_is_closer(seed: int, thin: bool):
    random = np.random.default_rng(seed)
    corners, point = random.normal(size=(3, 3)), 2 * random.normal(size=3)
    if thin:
        corners[2] = corners[0] + 1e-5 * random.normal(size=3)
    bary = closest_on_triangles(point, corners)
    assert (bary >= 0).all()
    assert np.isclose(bary.sum(), 1)
    others = random.dirichlet([0.5, 0.5, 0.5], 500) @ corners
    assert np.linalg.norm(bary @ corners - point) <= np.linalg.norm(others - point, axis=1).min() + 1e-6


def test_corners_are_their_own_closest_points():
    corners = np.random.default_rng(0).normal(size=(20, 3, 3))
    for corner in range(3):
        assert np.allclose(closest_on_triangles(corners[:, corner], corners), np.eye(3)[corner])


def test_points_above_a_ball_fall_straight_down():
    vertices, faces = _ball(3)
    surface = ClosestPointMesh(vertices, faces, np.zeros(len(vertices), int))
    directions = np.random.default_rng(1).normal(size=(200, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    met = surface.closest(1.3 * directions, directions, np.ones((1, 1), bool), np.zeros(200, int))
    assert np.abs(met.distance - 0.3).max() < 0.01
    assert (met.cosine > 0.99).all()
    assert np.abs((met.positions * directions).sum(1) - 1).max() < 0.01


def test_a_sheet_that_looks_away_is_not_met():
    sheet = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    near, far = sheet + np.array([0, 0, 0.01]), sheet - np.array([0, 0, 0.02])
    faces = np.array([[0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7]])  # the near one looks down, the far one up
    surface = ClosestPointMesh(np.concatenate([near, far]), faces, np.zeros(8, int))
    up = np.array([[0.0, 0, 1]])
    met = surface.closest(np.array([[0.5, 0.4, 0]]), up, np.ones((1, 1), bool), np.zeros(1, int))
    assert np.isclose(met.distance[0], 0.02)


def test_a_part_that_is_not_allowed_is_not_met():
    sheet = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    surface = ClosestPointMesh(np.concatenate([sheet, sheet - np.array([0, 0, 0.05])]), faces, np.repeat([0, 1], 4))
    point, up = np.array([[0.5, 0.4, 0]]), np.array([[0.0, 0, 1]])
    met = surface.closest(point, up, np.eye(2, dtype=bool), np.array([1]))
    assert met.compatible[0]
    assert np.isclose(met.distance[0], 0.05)
    assert not surface.closest(point, up, np.zeros((2, 2), bool), np.array([1])).compatible[0]


def test_normals_and_areas_of_a_ball():
    vertices, faces = _ball(4)
    assert (vertex_normals(vertices, faces) * vertices).sum(1).min() > 0.999
    assert np.isclose(vertex_areas(vertices, faces).sum(), 4 * np.pi, rtol=0.01)


def test_edges_boundary_and_pieces():
    vertices, faces = _ball(1)
    assert len(edges_of(faces)[0]) == len(vertices) + len(faces) - 2
    assert not boundary_vertices(faces, len(vertices)).any()
    opened = faces[1:]
    assert set(np.flatnonzero(boundary_vertices(opened, len(vertices)))) == set(faces[0])
    two = np.concatenate([faces + 3, [[0, 1, 2]]])
    assert components(two, len(vertices) + 3).tolist() == [1, 1, 1] + [0] * len(vertices)


def test_rays_hit_what_a_linear_system_says_they_hit():
    vertices, faces = _ball(1)
    random = np.random.default_rng(2)
    starts, directions = 0.8 * random.normal(size=(60, 3)), random.normal(size=(60, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    expected = np.zeros(60, bool)
    for i, (start, direction) in enumerate(zip(starts, directions)):
        for a, b, c in vertices[faces]:
            along, v, w = np.linalg.solve(np.column_stack([-direction, b - a, c - a]), start - a)
            expected[i] |= 1e-6 < along < 0.7 and v >= 0 and w >= 0 and v + w <= 1
    assert (rays_hit(starts, directions, vertices[faces], 0.7) == expected).all()
    assert 10 < expected.sum() < 50
