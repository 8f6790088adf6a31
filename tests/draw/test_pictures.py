"""Pictures and strips: sizes, light, shadow, colours, and what must not be drawn."""

import dataclasses

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from tests.material import small_body, small_motion
from vitruve.draw import picture, save_picture, strip
from vitruve.draw.pictures import _strip_direction, draw_joints, row, spread, stack
from vitruve.draw.shading import _normals, render
from vitruve.errors import BadData, UsageError
from vitruve.geometry.camera import camera_axes, look_at

SPHERE = trimesh.creation.icosphere(subdivisions=3)
SIZE = (96, 80)
FRONT = look_at((0.0, -6.0, 0.5), (0.0, 0.0, 0.0), SIZE, 25.0)


def test_light_comes_from_the_upper_left_and_the_backdrop_is_light():
    image = render(SPHERE.vertices, SPHERE.faces, FRONT, SIZE).astype(int)
    assert image.shape == (80, 96, 3)
    assert image[28, 38].sum() > image[55, 58].sum()
    corners = image[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.min() > 200


def test_turning_all_round_the_upright_axis_turns_the_picture_with_it():
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], float)
    colours = (SPHERE.vertices + 1) / 2
    turned = look_at((turn @ FRONT.position.numpy()).tolist(), (0, 0, 0), SIZE, 25.0)
    before = render(SPHERE.vertices, SPHERE.faces, FRONT, SIZE, colours)
    after = render(SPHERE.vertices @ turn.T, SPHERE.faces, turned, SIZE, colours)
    assert np.abs(before.astype(int) - after).max() <= 1


def test_shadow_darkens_the_ground_only_where_there_is_one():
    without = render(SPHERE.vertices, SPHERE.faces, FRONT, SIZE).astype(int)
    on_ground = render(SPHERE.vertices, SPHERE.faces, FRONT, SIZE, ground=-1.0).astype(int)
    far_below = render(SPHERE.vertices, SPHERE.faces, FRONT, SIZE, ground=-30.0).astype(int)
    darker = without.sum(-1) - on_ground.sum(-1)
    assert darker.min() >= 0
    assert darker[60:].max() > 20
    assert darker[:20].max() <= 3
    assert np.abs(without - far_below).max() <= 2


def test_normals_of_a_sphere_are_its_points():
    points, faces = np.array(SPHERE.vertices, np.float64), np.array(SPHERE.faces, np.int64)
    np.testing.assert_allclose(_normals(points, faces), points, atol=0.02)


def test_vertex_colours_are_seen():
    colours = np.where(SPHERE.vertices[:, :1] > 0, [1.0, 0.1, 0.1], [0.1, 0.1, 1.0])
    image = np.asarray(picture(SPHERE.vertices, SPHERE.faces, FRONT, SIZE, colours)).astype(int)
    left, right = image[40, 36], image[40, 60]
    assert left[2] > left[0] + 60 and right[0] > right[2] + 60


def test_a_picture_without_a_viewpoint_shows_all_of_the_body():
    image = np.asarray(picture(torch.from_numpy(np.array(SPHERE.vertices)), SPHERE.faces, size=(64, 64))).astype(int)
    backdrop = np.asarray(picture(np.zeros((3, 3)), [[0, 1, 2]], FRONT, (64, 64))).astype(int)
    different = np.abs(image - backdrop).sum(-1) > 12
    assert different[32, 32]
    assert not different[[0, -1]].any() and not different[:, [0, -1]].any()


def test_strip_has_one_cell_per_frame_and_tells_progress():
    body, motion, calls = small_body("smplh"), small_motion("smplh"), []
    image = strip(motion, body, frames=3, height=90, progress=lambda done, total: calls.append((done, total)))
    single = strip(motion[:1], body, frames=8, height=90)
    assert image.height == single.height == 90
    assert image.width % 3 == 0 and image.width > image.height
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_strip_shows_the_motion_and_not_where_it_stands():
    body, motion = small_body("smplh"), small_motion("smplh")
    shifted = motion.replace(translation=motion.translation + torch.tensor([30.0, -20.0, 2.0]))
    image, moved = (np.asarray(strip(m, body, frames=2, height=80)).astype(int) for m in (motion, shifted))
    assert np.abs(image - moved).mean() < 0.5
    half = image.shape[1] // 2
    assert np.abs(image[:60, :half] - image[:60, half:]).mean() > 2  # two different frames


def test_strip_colours_per_frame():
    body, motion = small_body("smplh"), small_motion("smplh")
    colours = np.zeros((2, body.num_vertices, 3))
    colours[0, :, 0] = colours[1, :, 2] = 1
    image = np.asarray(strip(motion, body, frames=2, height=80, colours=colours)).astype(int)[:70]
    half = image.shape[1] // 2
    reddish = image[..., 0] - image[..., 2]
    assert reddish[:, :half].max() > 80 and reddish[:, half:].min() < -80
    assert reddish[:, half:].max() < 30 and reddish[:, :half].min() > -30
    with pytest.raises(UsageError, match="colours"):
        strip(motion, body, frames=3, height=80, colours=colours)


def test_strip_draws_joints_on_request():
    body, motion = small_body("smplh"), small_motion("smplh")
    plain, drawn = (strip(motion, body, frames=2, height=120, joints=j) for j in (False, True))
    assert np.abs(np.asarray(plain).astype(int) - np.asarray(drawn)).max() > 50


def test_strip_takes_expressions_along():
    body, motion = small_body("smplx"), small_motion("smplx")
    assert strip(motion, body, frames=3, height=60).height == 60


def test_strip_says_which_frame_is_broken():
    body, motion = small_body("smplh"), small_motion("smplh")
    translation = motion.translation.clone()
    translation[-1] = torch.nan
    with pytest.raises(BadData, match="frame 11"):
        strip(dataclasses.replace(motion, translation=translation), body, frames=4, height=60)
    with pytest.raises(UsageError, match="at least one frame"):
        strip(motion, body, frames=0)


def test_strip_leaves_out_invalid_frames():
    body, motion = small_body("smplh"), small_motion("smplh")
    translation, mask = motion.translation.clone(), torch.ones(len(motion), dtype=torch.bool)
    translation[[0, -1]], mask[[0, -1]] = torch.nan, False
    masked = motion.replace(translation=translation, mask=mask)
    inside = dataclasses.replace(motion[1:-1], mask=None)
    image, expected = (np.asarray(strip(m, body, frames=3, height=70))[:50] for m in (masked, inside))
    assert (image == expected).all()
    with pytest.raises(BadData, match="no frame is valid"):
        strip(motion.replace(mask=~torch.ones_like(mask)), body, frames=3)


def test_strip_at_rest_looks_the_body_in_the_face():
    towards, _ = seen_from([0, 0], np.zeros((2, 3)))
    assert towards @ [1, 0, 0] > 0.85


def facing(degrees):
    """Root rotations [frames, 3, 3] of bodies stood up that face these directions, degrees from +x."""
    angles = torch.deg2rad(torch.as_tensor(degrees, dtype=torch.float64))
    forward = torch.stack([angles.cos(), angles.sin(), 0 * angles], -1)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand_as(forward)
    return torch.stack([torch.linalg.cross(up, forward), up, forward], -1)


def seen_from(degrees, positions):
    rotations = small_body("smplh", vertices=60).rest_rotations(len(degrees))
    rotations[:, 0] = facing(degrees)
    motion = small_motion("smplh", frames=len(degrees))
    towards = np.array(_strip_direction(motion.replace(rotations=rotations, translation=torch.as_tensor(positions))))
    return towards, camera_axes(-torch.as_tensor(towards, dtype=torch.float64)).numpy()


@pytest.mark.parametrize("way_deg", [0, 90, 200])
def test_strip_of_a_straight_walk_goes_to_the_right_and_shows_faces(way_deg):
    way = np.array([np.cos(np.radians(way_deg)), np.sin(np.radians(way_deg)), 0.0])
    _, (right, _, forward) = seen_from([way_deg] * 5, np.linspace(0, 2, 5)[:, None] * way)
    assert right @ way == pytest.approx(np.cos(np.radians(35)), abs=0.02)
    assert forward @ way < -0.5


def test_strip_of_a_round_shows_the_side_that_most_face():
    """Who walks a round comes back to where he was: what counts is where the bodies face."""
    positions = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0.1, 0], [0, 0, 0]], float)
    towards, _ = seen_from([0, 0, 90, 180, 0, 0], positions)
    assert towards @ [1, 0, 0] > 0.85


def test_strip_of_standing_walking_and_standing_the_other_way_shows_few_backs():
    degrees = [0, 0, 3, -77, -129, 115, 115, 115, 115, 115]
    positions = np.zeros((10, 3))
    positions[3:, 0], positions[4:, 1] = 1.5, -1.0
    towards, _ = seen_from(degrees, positions)
    toward_faces = np.cos(np.radians(degrees)) * towards[0] + np.sin(np.radians(degrees)) * towards[1]
    assert (toward_faces > 0.2).sum() >= 8


def test_strip_of_a_whole_turn_begins_with_a_face():
    towards, _ = seen_from([40, 130, 220, 310], np.zeros((4, 3)))
    assert towards @ [np.cos(np.radians(40)), np.sin(np.radians(40)), 0] > 0.85


@pytest.mark.parametrize(("available", "wanted"), [(1, 8), (5, 8), (8, 8), (600, 8), (7, 1)])
def test_spread_takes_first_and_last(available, wanted):
    frames = spread(available, wanted)
    assert len(frames) == min(available, wanted) == len(set(frames))
    assert frames[0] == 0 and (len(frames) == 1 or frames[-1] == available - 1)
    assert max(np.diff(frames), default=0) - min(np.diff(frames), default=0) <= 1


def test_row_and_stack_add_up_sizes():
    a, b = Image.new("RGB", (30, 20)), Image.new("RGB", (10, 20))
    assert row([a, b]).size == (40, 20)
    assert row([a, b], ["a", "b"], label_height=12).size == (40, 32)
    assert stack([a, b]).size == (30, 40)


def test_joints_behind_the_eye_are_not_drawn():
    image = Image.new("RGB", SIZE)
    draw_joints(image, [[0, -9.0, 0], [0.1, -9.0, 0]], [(0, 1)], FRONT)
    assert not np.asarray(image).any()


def test_saving_with_a_palette_is_smaller_and_close(tmp_path):
    image = picture(SPHERE.vertices, SPHERE.faces, FRONT, (256, 256))
    full, small = save_picture(image, tmp_path / "full.png"), save_picture(image, tmp_path / "small.png", colours=64)
    assert small.stat().st_size < full.stat().st_size / 2
    with Image.open(full) as again:
        assert (np.asarray(again) == np.asarray(image)).all()
    with Image.open(small) as again:
        assert np.abs(np.asarray(again.convert("RGB")).astype(int) - np.asarray(image)).mean() < 6


def test_labels_are_as_large_as_fits_below_their_pictures():
    """A long label makes the letters smaller; where none could be read there are none."""

    def inked(width, label):
        out = np.asarray(row([Image.new("RGB", (width, 20), "white")] * 2, [label] * 2, label_height=40))[20:]
        columns = np.flatnonzero((out.min(-1) < 128).any(0))
        return columns[columns < width]

    assert 150 < np.ptp(inked(300, "worst: frame 523")) < 300
    long = inked(300, "median: frame 123456, source of the motion")
    assert 200 < np.ptp(long) < 300 and long.min() > 0
    assert len(inked(33, "523: 17.43 s")) == 0
