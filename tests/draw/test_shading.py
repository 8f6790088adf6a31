"""Parts of a picture: blur, shadow, grid, opacity, heat colours, sticks."""

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from tests.material import small_motion
from vitruve.draw.backdrop import backdrop, gaussian, shadow_of
from vitruve.draw.framing import on_picture
from vitruve.draw.heat import draw_colour_bar, heat_colours, nice_top
from vitruve.draw.scene import Actor
from vitruve.draw.shading import draw, render
from vitruve.draw.sticks import bones, sticks_of
from vitruve.geometry.camera import look_at
from vitruve.motion.performer import motion_performer

SPHERE = trimesh.creation.icosphere(subdivisions=3)
SIZE = (96, 80)
FRONT = look_at((0.0, -6.0, 0.5), (0.0, 0.0, 0.0), SIZE, 25.0)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), sigma=st.floats(0.3, 6))
def test_blur_is_that_of_scipy(seed, sigma):
    image = np.random.default_rng(seed).random((23, 41)).astype(np.float32)
    expected = gaussian_filter(image.astype(float), sigma, mode="constant")
    np.testing.assert_allclose(gaussian(image, sigma), expected, atol=2e-6)


def test_a_shadow_is_darkest_below_and_gone_far_away():
    shadow = shadow_of(SPHERE.vertices, SPHERE.faces, -1.0)
    assert shadow is not None
    x, y = ((np.zeros(2) - shadow.corner) / shadow.cell).round().astype(int)
    assert shadow.dark[x, y] == shadow.dark[x - 5 : x + 6, y - 5 : y + 6].max() > 0.3
    edges = np.concatenate([shadow.dark[[0, -1]].ravel(), shadow.dark[:, [0, -1]].ravel()])
    assert edges.max() < 0.01 and shadow.dark.min() >= 0 and shadow.dark.max() <= 1
    assert shadow_of(np.full((4, 3), np.nan), np.array([[0, 1, 2]]), 0.0) is None


def test_the_shadow_of_a_large_triangle_has_no_gaps():
    """Corners alone would leave three dots."""
    shadow = shadow_of(np.array([[0, 0, 0.01], [3.0, 0, 0.01], [0, 3.0, 0.01]]), np.array([[0, 1, 2]]), 0.0)
    assert shadow is not None
    x, y = (int((0.9 - shadow.corner[k]) / shadow.cell) for k in range(2))
    inside = shadow.dark[x - 20 : x + 20, y - 20 : y + 20]
    assert inside.min() > 0.5 and np.ptp(inside) < 0.02


def test_bodies_far_apart_need_no_more_memory():
    far = np.concatenate([SPHERE.vertices, SPHERE.vertices + np.array([500, 300, 0])])
    shadow = shadow_of(far, np.concatenate([SPHERE.faces, SPHERE.faces + len(SPHERE.vertices)]), -1.0)
    assert shadow is not None and shadow.dark.size < 700_000


def test_grid_lines_stand_every_metre():
    size = (400, 400)
    above = look_at((0.5, 0.5, 10.0), (0.5, 0.5, 0.0), size, 40.0)
    plain, grid = (backdrop(size, above, height).astype(int).sum(-1) for height in (None, 0.0))
    darker = plain - grid
    assert darker.min() >= -2
    pixels, _ = on_picture(above, [[i, 0.5, 0.0] for i in range(4)], size)
    for x, y in pixels:
        column = darker[int(y), int(x) - 3 : int(x) + 4]
        assert column.max() > 10
    middle, _ = on_picture(above, [[0.5, 0.5, 0.0]], size)
    assert abs(darker[int(middle[0][1]), int(middle[0][0])]) <= 2
    up = look_at((0, 0, 1.0), (0, 5.0, 4.0), size, 40.0)
    assert (backdrop(size, up, 0.0) == backdrop(size)).all()  # no ground in the sky


def test_opacity_mixes_with_what_is_behind():
    behind = np.full((80, 96, 3), 200, np.uint8)
    full, half = behind.copy(), behind.copy()
    draw(full, SPHERE.vertices, SPHERE.faces, FRONT)
    draw(half, SPHERE.vertices, SPHERE.faces, FRONT, opacity=0.5)
    assert np.abs(half.astype(int) - (full.astype(int) + behind) / 2).max() <= 1
    assert (full[0] == 200).all()


def test_triangles_with_nan_are_left_out():
    vertices = np.concatenate([SPHERE.vertices, np.full((3, 3), np.nan)])
    faces = np.concatenate([SPHERE.faces, [[len(vertices) - 3, len(vertices) - 2, len(vertices) - 1]]])
    with_nan = render(vertices, faces, FRONT, SIZE, ground=-1.0)
    assert (with_nan == render(SPHERE.vertices, SPHERE.faces, FRONT, SIZE, ground=-1.0)).all()


def test_heat_goes_from_pale_to_dark_and_grey_is_unknown():
    colours = heat_colours([0, 2.5, 5, 9, np.nan], 5.0)
    luma = colours @ [0.3, 0.6, 0.1]
    assert (np.diff(luma[:3]) < 0).all()
    np.testing.assert_array_equal(colours[2], colours[3])
    assert np.ptp(colours[4]) < 0.06 and heat_colours(np.zeros((2, 7)), 1.0).shape == (2, 7, 3)


@pytest.mark.parametrize(("most", "top"), [(0.7, 1), (1, 1), (1.3, 2), (3.0, 5), (7, 10), (140, 200), (0, 0.01)])
def test_the_scale_ends_at_a_round_number(most, top):
    assert nice_top([most, np.nan, most]) == pytest.approx(top)
    assert nice_top([]) == 0.01


def test_the_colour_bar_has_the_colours_of_the_scale():
    image = Image.new("RGB", (640, 360), (255, 255, 255))
    draw_colour_bar(image, 20.0)
    pixels = np.asarray(image).reshape(-1, 3).astype(float)
    for share in (0.0, 0.5, 1.0):
        wanted = 255 * heat_colours([20 * share], 20.0)[0]
        assert np.abs(pixels - wanted).max(1).min() < 4


@pytest.mark.parametrize("top", [0.01, 0.2, 20.0, 5000.0])
def test_the_numbers_of_the_colour_bar_are_whole(top):
    """Nothing is drawn on the picture's last columns, where a number too long would be cut off."""
    image = Image.new("RGB", (640, 360), (100, 100, 100))
    draw_colour_bar(image, top)
    assert (np.asarray(image)[:, -2:] == 100).all()


def test_sticks_are_closed_and_lie_round_the_joints():
    actor = Actor(motion_performer(small_motion("smplh"), None, "tree"))
    joints = np.random.default_rng(0).normal(size=(12, 52, 3))
    object.__setattr__(actor, "joint_positions", lambda frames: torch.from_numpy(joints[list(frames)]))
    tree = sticks_of(actor)
    points = tree.vertices(joints[:2])
    assert points.shape[0] == 2 and tree.faces.max() == points.shape[1] - 1
    nearest = np.linalg.norm(points[0][:, None] - joints[0][None], axis=-1).min(1)
    assert nearest.max() <= 2 * tree.radius
    # Every ball faces outwards: its volume is positive.
    ball = trimesh.Trimesh(points[0][:42], tree.faces[:80], process=False)
    assert ball.volume > 0 and ball.is_watertight
    rod_faces = tree.faces[tree.faces.min(1) >= 42 * len(tree.joints)]
    a, b, c = (points[0][rod_faces[:, k]] for k in range(3))
    outward = np.cross(b - a, c - a)
    bone = joints[0][tree.edges]
    middle = bone.mean(1).repeat(20, axis=0)
    along = (bone[:, 1] - bone[:, 0]).repeat(20, axis=0)
    away = (a + b + c) / 3 - middle
    away -= along * ((away * along).sum(1) / (along**2).sum(1))[:, None]
    assert ((outward * away).sum(1) > 0).all()


def test_a_line_that_stretches_is_no_bone():
    motion = small_motion("smplh")
    joints = np.tile(np.random.default_rng(1).normal(size=(1, 52, 3)), (5, 1, 1))
    assert len(bones(motion.skeleton, joints)) == len(motion.skeleton.edges)
    joints[:, 1:] += np.linspace(0, 9, 5)[:, None, None]  # all but the root walk away
    kept = bones(motion.skeleton, joints)
    assert 0 not in kept and len(kept) == len(motion.skeleton.edges) - 3
