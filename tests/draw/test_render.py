"""What is shown when and from where: time lines, cameras, gaps, strips."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.material import small_body, small_motion
from vitruve.draw.film import Look, film
from vitruve.draw.framing import on_picture, target_of
from vitruve.draw.render import render_film, render_frame, render_strip, spread_out, time_line
from vitruve.draw.scene import Scene, load_scene
from vitruve.draw.video import VideoSource
from vitruve.draw.views import CameraChoice, across, parse_camera, place_camera, scene_facing_deg
from vitruve.errors import BadData, UsageError

SIZE = (96, 64)
BODY = small_body("smplh")


def scene_of(frames=12, fps=30.0, **options) -> Scene:
    return load_scene([small_motion("smplh", frames=frames, fps=fps)], [BODY], **options)


def with_gap(scene, gone):
    mask = torch.ones(len(scene.actors[0].performer.motion), dtype=torch.bool)
    mask[list(gone)] = False
    return load_scene([scene.actors[0].performer.motion.replace(mask=mask)], [BODY])


def test_a_time_line_is_all_frames_at_the_rate_of_the_motion():
    times = time_line(scene_of())
    assert (times.frames, times.fps) == (list(range(12)), 30)


@pytest.mark.parametrize(
    ("chosen", "frames", "fps"),
    [
        ("2:9", range(2, 9), 30),
        ("2:9:3", range(2, 9, 3), 10),
        ("::4", range(0, 12, 4), 7.5),
        ("-3:", range(9, 12), 30),
        ("5", [5], 30),
        ("-1", [11], 30),
        (":99", range(12), 30),
    ],
)
def test_frames_go_as_slices_do_and_keep_the_speed(chosen, frames, fps):
    times = time_line(scene_of(), chosen)
    assert (times.frames, times.fps) == (list(frames), fps)


@pytest.mark.parametrize("chosen", ["a:b", "1:2:3:4", "9:2", "20:30", "5:1:-1", "1:5:0", "1.5"])
def test_frames_that_cannot_be_meant(chosen):
    with pytest.raises(UsageError, match="--frames"):
        time_line(scene_of(), chosen)


def test_fast_motions_are_thinned_and_a_rate_is_met_by_time():
    fast = scene_of(120, 120.0)
    assert time_line(fast).frames == list(range(0, 120, 2)) and time_line(fast).fps == 60
    times = time_line(fast, fps=30)
    assert times.frames == list(range(0, 120, 4)) and times.fps == 30
    slow = time_line(scene_of(12, 10.0), fps=25)
    assert len(slow.frames) == 30 and slow.frames[:6] == [0, 0, 1, 1, 2, 2]
    assert time_line(fast, "0:60:10", fps=5).frames == list(range(0, 60, 10))


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("fit", CameraChoice()),
        ("side", CameraChoice(90, 8)),
        ("Follow", CameraChoice(follow=True)),
        ("follow,front", CameraChoice(0, 8, follow=True)),
        ("30,10", CameraChoice(30, 10)),
        ("follow,30,10,4,40", CameraChoice(30, 10, 4, 40, True)),
    ],
)
def test_cameras_by_words_and_numbers(text, choice):
    assert parse_camera(text) == choice


@pytest.mark.parametrize(
    "text", ["frnt", "side,30,10", "30", "1,2,3,4,5", "30,100", "30,10,-1", "30,10,4,0", "side,top"]
)
def test_cameras_that_cannot_be_meant(text):
    with pytest.raises(UsageError, match="--camera"):
        parse_camera(text)


def turned(scene, degrees):
    """The same, turned about the upright axis."""
    angle = np.radians(degrees)
    turn = torch.tensor([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])
    motion = scene.actors[0].performer.motion
    rotations = motion.rotations.clone()
    rotations[:, 0] = turn.double() @ rotations[:, 0]
    return load_scene([motion.replace(rotations=rotations)], [BODY])


@settings(max_examples=10, deadline=None)
@given(degrees=st.floats(-170, 170))
def test_facing_turns_with_the_body(degrees):
    scene = scene_of(3)
    difference = scene_facing_deg(turned(scene, degrees), [0]) - scene_facing_deg(scene, [0]) - degrees
    assert abs((difference + 180) % 360 - 180) < 1e-6


@pytest.mark.parametrize("text", ["fit", "front", "side", "top", "follow", "follow,back", "70,-20"])
def test_all_of_the_body_is_in_every_picture(text):
    scene = scene_of()
    camera = place_camera(scene, range(12), parse_camera(text), SIZE)
    for frame in range(12):
        pixels, depth = on_picture(camera.at(frame), scene.actors[0].vertices([frame])[0], SIZE)
        assert (depth > 0).all() and (pixels >= 0).all() and (pixels <= SIZE).all()


def test_following_keeps_a_walker_in_the_middle_and_the_ground_level():
    motion = small_motion("smplh", frames=60)
    far = torch.linspace(0, 40, 60, dtype=torch.float64)
    moved = motion.translation.clone()
    moved[:, 0] = far
    scene = load_scene([motion.replace(translation=moved)], [BODY])
    camera = place_camera(scene, range(60), parse_camera("follow,front"), SIZE)
    for frame in (0, 30, 59):
        pixels, _ = on_picture(camera.at(frame), scene.actors[0].vertices([frame])[0], SIZE)
        assert abs(pixels.mean(0)[0] - SIZE[0] / 2) < 0.15 * SIZE[0]
    assert len(camera) == 60 and float(camera.position[:, 2].max() - camera.position[:, 2].min()) < 1e-9
    assert not place_camera(scene, range(60), CameraChoice(), SIZE).moves


def test_a_distance_is_kept():
    scene = scene_of()
    camera = place_camera(scene, [3], parse_camera("30,10,4,40"), SIZE)
    fitted = place_camera(scene, [3], parse_camera("30,10"), SIZE)
    target = target_of(fitted, scene.actors[0].vertices([3])[0])
    assert np.linalg.norm(camera.position.numpy() - target) == pytest.approx(4, abs=0.02)
    assert float(camera.fov_deg) == pytest.approx(40)


@pytest.mark.parametrize("camera", ["front", "side", "30,10"])
def test_side_by_side_goes_from_left_to_right_without_overlap(camera):
    motion, choice = small_motion("smplh"), parse_camera(camera)
    scene = spread_out(load_scene([motion] * 3, [BODY]), range(12), choice)
    placed = place_camera(scene, range(12), choice, SIZE)
    middles = [on_picture(placed, actor.vertices([5])[0].mean(0), SIZE)[0][0] for actor in scene.actors]
    assert middles[0] < middles[1] < middles[2]
    right = across(scene, range(12), choice)
    ends = [actor.vertices([5])[0][:, :2].numpy() @ right for actor in scene.actors]
    assert ends[0].max() < ends[1].min() and ends[1].max() < ends[2].min()


def test_a_film_is_its_frames_whatever_the_blocks(monkeypatch):
    scene = scene_of(11)
    seen_by = place_camera(scene, range(11), CameraChoice(), SIZE)
    together = list(film(scene, range(11), seen_by, SIZE, Look(grid=False)))
    alone = [next(film(scene, [i], seen_by, SIZE, Look(grid=False))) for i in range(11)]
    assert all((a == b).all() for a, b in zip(together, alone, strict=True))
    assert any((a != together[0]).any() for a in together[1:])


def test_gaps_are_empty_pictures():
    scene = with_gap(scene_of(), [4, 5])
    seen_by = place_camera(scene, range(12), CameraChoice(), SIZE)
    pictures = list(film(scene, range(12), seen_by, SIZE, Look(grid=False)))
    assert [bool((p != p[:, :1]).any()) for p in pictures] == [i not in (4, 5) for i in range(12)]
    with pytest.raises(BadData, match="none has data"):
        render_frame(scene, 4)


def test_an_actor_that_ends_leaves_the_other_alone():
    long, short = small_motion("smplh"), small_motion("smplh", frames=4, seed=3)
    both = load_scene([long, short], [BODY])
    seen_by = place_camera(both, range(12), CameraChoice(), SIZE)
    look = Look(names=False)
    alone = dataclasses.replace(both, actors=both.actors[:1])
    first, last = (list(film(scene, [2, 9], seen_by, SIZE, look)) for scene in (both, alone))
    assert (first[0] != last[0]).any() and (first[1] == last[1]).all()


def test_numbers_names_joints_and_bars_are_drawn():
    motion = small_motion("smplh")
    scene = load_scene([motion, motion.replace(translation=motion.translation + 0.01)], [BODY], heat=True)
    seen_by = place_camera(scene, [0], CameraChoice(), (320, 240))

    def drawn(scene, **look):
        return next(film(scene, [0], seen_by, (320, 240), Look(**look))).astype(int)

    bare = drawn(scene, names=False)
    numbers, names = np.abs(drawn(scene, names=False, numbers=True) - bare), np.abs(drawn(scene) - bare)
    assert numbers[-20:, :120].max() > 100 and numbers[:200].max() == 0
    assert names[:40, :160].max() > 60 and names[60:180, -60:].max() > 60  # the names, and the bar on the right
    jointed = dataclasses.replace(scene, actors=tuple(dataclasses.replace(a, joints=True) for a in scene.actors))
    assert np.abs(drawn(jointed, names=False) - bare).max() > 60
    hot = drawn(scene, names=False, heat_top_mm=1.0)  # 17 mm are far beyond
    assert hot.sum() < bare.sum()


def test_a_film_is_written_with_progress_and_never_over_another(tmp_path):
    scene, calls, out = scene_of(), [], tmp_path / "a.mp4"
    assert render_film(scene, out, size=SIZE, progress=lambda done, total: calls.append((done, total))) == 12
    assert calls == [(i, 12) for i in range(1, 13)]
    video = VideoSource(out)
    assert video.size == SIZE and video.fps == 30 and len(video.times()) == 12
    before = out.read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        render_film(scene, out, size=SIZE)
    assert out.read_bytes() == before
    assert render_film(scene, out, time_line(scene, "0:3"), SIZE, overwrite=True) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_film_that_fails_leaves_nothing(tmp_path):
    scene = scene_of()
    broken = dataclasses.replace(scene.actors[0], errors=lambda frames: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        render_film(dataclasses.replace(scene, actors=(broken,)), tmp_path / "a.mp4", size=SIZE)
    assert not list(tmp_path.iterdir())


def test_strips_have_rows_of_eight_and_leave_gaps_out():
    scene = with_gap(scene_of(), [0, 1])
    image = render_strip(scene, 16, cell=(40, 50))
    assert image.size == (8 * 40, 2 * (50 + 28))  # ten frames have data
    assert render_strip(scene, 3, time_line(scene, "4:8"), cell=(40, 50)).size == (120, 78)
    two = load_scene([scene.actors[0].performer.motion] * 2, [BODY], heat=True)
    assert render_strip(two, 2, cell=(40, 50)).height > 78  # names above, colours below
    with pytest.raises(BadData, match="none has data"):
        render_strip(scene, 4, time_line(scene, "0:2"))


def test_one_frame():
    assert render_frame(scene_of(), 11, SIZE).size == SIZE
    with pytest.raises(UsageError, match="no frame 12"):
        render_frame(scene_of(), 12, SIZE)
