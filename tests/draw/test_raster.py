"""The rasteriser against a plain loop over pixels, and against what geometry says must be seen."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vitruve.draw.framing import direction, fit_camera, on_picture
from vitruve.draw.raster import corner_weights, covered
from vitruve.geometry.camera import camera_axes, look_at

SIZE = (48, 36)
FRONT = look_at((0.0, -4.0, 0.0), (0.0, 0.0, 0.0), SIZE, 40.0)


def rasterise(vertices, faces, camera, size, cull=True):
    """Of each pixel the nearest triangle, -1 for none; its depth, the weights of its corners, whether there is one."""
    screen, depth = on_picture(camera, vertices, size)
    cover = covered(screen, depth, np.asarray(faces, np.int64).reshape(-1, 3), size, cull)
    shape = size[::-1]
    face, distance, weights = np.full(shape, -1), np.full(shape, np.inf), np.zeros((*shape, 3))
    for row, column in np.argwhere(cover.owner >= 0):
        y, x, t = row + cover.top, column + cover.left, cover.owner[row, column]
        *weights[y, x], distance[y, x] = corner_weights(cover.linear, cover.inverse_depth, t, x + 0.5, y + 0.5)
        face[y, x] = cover.face[t]
    return SimpleNamespace(face=face, depth=distance, weights=weights, mask=face >= 0)


def pixel_rays(camera, size):
    """[height, width, 3]: directions of sight through the pixels, one metre long in depth."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    return camera.rays(torch.from_numpy(np.stack([x, y], -1)).double())[1].numpy()


def by_rays(vertices, faces, camera, size, cull):
    """Every pixel's nearest triangle by intersecting its line of sight with all of them (Moller and Trumbore)."""
    rays = pixel_rays(camera, size).reshape(-1, 1, 3)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    edge1, edge2, origin = b - a, c - a, camera.position.numpy() - a
    p = np.cross(rays, edge2)
    determinant = (p * edge1).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = (p * origin).sum(-1) / determinant
        q = np.cross(origin, edge1)
        v = (rays * q).sum(-1) / determinant
        t = (edge2 * q).sum(-1) / determinant
        hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0.01)
        hit &= determinant > 0 if cull else determinant != 0
        margin = np.where(t > 0.01, np.minimum(np.minimum(u, v), 1 - u - v), -1)
    distance = np.where(hit, t, np.inf)
    nearest = distance.argmin(1)
    # Pixels through whose centre an edge (nearly) runs may fall either way.
    unsure = (np.abs(margin) < 1e-6).any(1)
    depth = distance.min(1)
    face = np.where(np.isfinite(depth), nearest, -1)
    shape = (size[1], size[0])
    return face.reshape(shape), depth.reshape(shape), unsure.reshape(shape)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cull=st.booleans())
@example(seed=6142, cull=False)
def test_equals_ray_casting(seed, cull):
    random = np.random.default_rng(seed)
    vertices = random.uniform(-1, 1, (30, 3))
    faces = np.stack([random.permutation(30)[:3] for _ in range(25)])
    # Of two triangles in one place either may be seen: keep one.
    faces = faces[np.unique(np.sort(faces, axis=1), axis=0, return_index=True)[1]]
    camera = look_at(random.uniform(2.5, 4, 3).tolist(), random.uniform(-0.3, 0.3, 3).tolist(), SIZE, 35.0)
    found = rasterise(vertices, faces, camera, SIZE, cull=cull)
    face, depth, unsure = by_rays(vertices, faces, camera, SIZE, cull)
    sure = ~unsure
    close = np.isclose(found.depth, depth, rtol=1e-5)  # two triangles cross here: either is right
    assert (face >= 0).any()
    assert (close | ((found.face < 0) & (face < 0)))[sure].all()
    assert (found.face == face)[sure].mean() > 0.99


def test_weights_give_the_point_that_is_seen():
    random = np.random.default_rng(1)
    vertices = random.uniform(-1, 1, (12, 3))
    faces = np.arange(12).reshape(4, 3)
    found = rasterise(vertices, faces, FRONT, SIZE, cull=False)
    mask = found.mask
    points = (found.weights[mask][..., None] * vertices[faces[found.face[mask]]]).sum(1)
    pixels, depth = on_picture(FRONT, points, SIZE)
    rows, columns = np.nonzero(mask)
    assert mask.sum() > 50
    np.testing.assert_allclose(pixels, np.stack([columns, rows], -1) + 0.5, atol=1e-9)
    np.testing.assert_allclose(depth, found.depth[mask], atol=1e-9)
    np.testing.assert_allclose(found.weights[mask].sum(-1), 1)


def test_nearer_triangle_hides_the_farther_whatever_their_order():
    near = np.array([[-1, -1, -1], [1, -1, -1], [0, -1, 1]], float)
    vertices = np.concatenate([near, near * [2, -1, 2]])  # the second larger and behind
    for faces, first in (([[0, 1, 2], [3, 4, 5]], 0), ([[3, 4, 5], [0, 1, 2]], 1)):
        found = rasterise(vertices, faces, FRONT, SIZE)
        assert found.face[SIZE[1] // 2, SIZE[0] // 2] == first
        assert set(np.unique(found.face)) == {-1, 0, 1}


def test_area_of_a_square_is_exact():
    square = np.array([[-0.5, 0, -0.5], [0.5, 0, -0.5], [0.5, 0, 0.5], [-0.5, 0, 0.5]])
    size = (400, 400)
    camera = look_at((0.0, -4.0, 0.0), (0.0, 0.0, 0.0), size, 40.0)
    found = rasterise(square, [[0, 1, 2], [0, 2, 3]], camera, size)
    side = 400 / (2 * 4 * np.tan(np.radians(20)))
    assert abs(found.mask.sum() - side**2) <= 4 * side  # half a pixel on each side
    rows, columns = np.nonzero(found.mask)
    # No gap along the diagonal that the two triangles share.
    assert found.mask.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)


def test_sphere_has_no_holes_and_the_right_size():
    sphere = trimesh.creation.icosphere(subdivisions=4)
    size = (300, 300)
    camera = look_at((6.0, -5.0, 4.0), (0.0, 0.0, 0.0), size, 20.0)
    found = rasterise(sphere.vertices, sphere.faces, camera, size)
    distance = float(camera.position.norm())
    radius = np.tan(np.arcsin(1 / distance)) * 150 / np.tan(np.radians(10))
    y, x = np.mgrid[:300, :300] + 0.5 - 150
    assert found.mask[np.hypot(x, y) < 0.995 * radius].all()
    assert not found.mask[np.hypot(x, y) > 1.005 * radius].any()
    assert found.depth.min() == pytest.approx(distance - 1, abs=2e-3)
    # The inside of the far half is never seen, culled or not.
    assert (rasterise(sphere.vertices, sphere.faces, camera, size, cull=False).face == found.face).mean() > 0.999


def test_triangles_behind_or_across_the_camera_are_left_out():
    behind = np.array([[-1, -9, -1], [0, -9, 1], [1, -9, -1]], float)
    across = np.array([[-1, -9, -1], [1, 5, -1], [0, 0, 1]], float)
    found = rasterise(np.concatenate([behind, across]), [[0, 1, 2], [3, 4, 5]], FRONT, SIZE, cull=False)
    assert not found.mask.any()


def test_nothing_to_draw():
    found = rasterise(np.zeros((0, 3)), np.zeros((0, 3), int), FRONT, SIZE)
    assert found.face.shape == (36, 48) and not found.mask.any() and np.isinf(found.depth).all()
    flat = rasterise(np.zeros((3, 3)), [[0, 1, 2]], FRONT, SIZE, cull=False)
    assert not flat.mask.any()
    broken = rasterise(np.full((3, 3), np.nan), [[0, 1, 2]], FRONT, SIZE, cull=False)
    assert not broken.mask.any()


def test_the_order_of_the_triangles_does_not_change_what_is_seen():
    sphere = trimesh.creation.icosphere(subdivisions=2)
    order = np.random.default_rng(0).permutation(len(sphere.faces))
    whole = rasterise(sphere.vertices, sphere.faces, FRONT, SIZE)
    mixed = rasterise(sphere.vertices, sphere.faces[order], FRONT, SIZE)
    assert (whole.mask == mixed.mask).all()
    np.testing.assert_allclose(whole.depth, mixed.depth, rtol=1e-6)
    assert (order[mixed.face[mixed.mask]] == whole.face[whole.mask]).mean() > 0.99  # on an edge either is right


def test_a_part_of_the_picture_is_the_same_as_in_the_whole():
    """What lies outside of the picture does not matter, and where the drawn part begins does not either."""
    sphere = trimesh.creation.icosphere(subdivisions=3)
    screen, depth = on_picture(FRONT, sphere.vertices, (400, 300))
    whole = covered(screen, depth, sphere.faces, (400, 300))
    part = covered(screen - (130, 90), depth, sphere.faces, (140, 100))
    assert (part.left, part.top) == (0, 0) and part.owner.shape == (100, 140)
    inside = whole.owner[90 - whole.top : 190 - whole.top, 130 - whole.left : 270 - whole.left]
    seen = part.owner >= 0
    assert seen.any() and (seen == (inside >= 0)).all()
    assert (part.face[part.owner[seen]] == whole.face[inside[seen]]).mean() > 0.999


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    azimuth=st.floats(-360, 360),
    elevation=st.floats(-80, 80),
    width=st.integers(40, 400),
    margin=st.floats(1.01, 2),
)
def test_fitted_camera_holds_all_points_and_no_more_room_than_asked(seed, azimuth, elevation, width, margin):
    points = np.random.default_rng(seed).normal(size=(20, 3)) * [1, 2, 0.5] + 3
    size = (width, 200)
    camera = fit_camera(points, direction(azimuth, elevation), size, margin=margin)
    pixels, depth = on_picture(camera, points, size)
    assert (depth > 0).all()
    share = np.abs(pixels - np.divide(size, 2)) / np.divide(size, 2)
    assert share.max() == pytest.approx(1 / margin, rel=1e-6)


def test_directions_name_the_sides_of_a_body_that_faces_minus_y():
    assert direction(0, 0) == pytest.approx((0, -1, 0))
    assert direction(90, 0) == pytest.approx((1, 0, 0))  # its left: left is +x
    assert direction(0, 90) == pytest.approx((0, 0, 1))


@pytest.mark.parametrize("towards", [(0, 0, 1), (0, 0, -1), (1, 0, 0), (0.3, -0.5, 0.2)])
def test_axes_are_right_handed(towards):
    axes = camera_axes(-torch.tensor(towards, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1)


def test_up_is_up_and_right_is_right():
    pixels, _ = on_picture(FRONT, [[0, 0, 0], [1, 0, 0], [0, 0, 1]], SIZE)
    np.testing.assert_allclose(pixels[0], [24, 18])
    assert pixels[1][0] > 24 and pixels[1][1] == pytest.approx(18)
    assert pixels[2][1] < 18
