"""Films on disk, cameras from files, and bodies over a video: where the pixels are."""

import dataclasses
import json
import struct

import av
import numpy as np
import pytest
import torch
from PIL import Image

from tests.material import shared_data, small_motion
from vitruve.draw import video as video_module
from vitruve.draw.film import Look
from vitruve.draw.framing import on_picture
from vitruve.draw.render import picture_over, render_over, shots_over
from vitruve.draw.scene import load_scene
from vitruve.draw.video import VideoSource, check_film, write_film
from vitruve.errors import BadData, MissingAsset, UsageError
from vitruve.formats.readers.camera_file import read_camera
from vitruve.skeletons import Skeleton

SIZE = (96, 64)
LENS = [[70.0, 0.0, 47.5], [0.0, 72.0, 31.5], [0.0, 0.0, 1.0]]
# Two metres in front of the origin, looking along +y, with z up.
PLACE = [[1.0, 0, 0, 0.1], [0, 0, -1.0, 0.05], [0, 1.0, 0, 2.0], [0, 0, 0, 1.0]]


def camera_file(folder, **changes):
    values = {"intrinsics": LENS, "T_camera_world": PLACE, "size": list(SIZE), **changes}
    path = folder / "camera.json"
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))
    return path


def moving_square(count, size=SIZE):
    """Dark pictures with a white square that moves to the right by two pixels a frame."""
    for i in range(count):
        picture = np.full((size[1], size[0], 3), 30, np.uint8)
        picture[4:12, 4 + 2 * i : 12 + 2 * i] = 255
        yield picture


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".mov", ".gif"])
def test_a_film_reads_back(tmp_path, ending):
    path = tmp_path / f"film{ending}"
    assert write_film(moving_square(9), path, 25, SIZE) == 9
    source = VideoSource(path)
    frames = list(source.pictures())
    assert source.size == SIZE and source.fps == pytest.approx(25) and len(frames) == 9
    np.testing.assert_allclose([time for time, _ in frames], np.arange(9) / 25, atol=2e-3)
    np.testing.assert_allclose(source.times(), np.arange(9) / 25, atol=2e-3)
    for (_, found), wanted in zip(frames, moving_square(9)):
        assert np.abs(found.astype(int) - wanted).mean() < 6


def test_a_gif_keeps_its_speed(tmp_path):
    """Players show no more than fifty frames of a GIF in a second, so a faster film has every second one."""
    assert write_film(moving_square(12), tmp_path / "a.gif", 60, SIZE) == 6
    with Image.open(tmp_path / "a.gif") as image:
        times = []
        for i in range(6):
            image.seek(i)
            times.append(image.info["duration"])
    assert sum(times) == 200 and min(times) >= 30


def test_a_film_starts_fast_and_says_its_colours(tmp_path):
    path = tmp_path / "film.mp4"
    write_film(moving_square(3), path, 29.97, SIZE)
    content = path.read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == pytest.approx(29.97) and stream.codec_context.colorspace == 1


def test_what_cannot_be_written_is_said_first(tmp_path, monkeypatch):
    check_film(tmp_path / "a.mp4", SIZE, 10)
    with pytest.raises(UsageError, match=r"'\.avi'(.|\n)*\.mp4"):
        check_film(tmp_path / "a.avi", SIZE, 10)
    with pytest.raises(UsageError, match="98x66"):
        check_film(tmp_path / "a.mp4", (97, 65), 10)
    check_film(tmp_path / "a.gif", (97, 65), 10)
    with pytest.raises(UsageError, match="too long for a GIF"):
        check_film(tmp_path / "a.gif", (1280, 720), 1000)
    monkeypatch.setattr(video_module, "_ENCODERS", ("no_such_encoder",))
    with pytest.raises(MissingAsset, match=r"no H\.264 encoder(.|\n)*pip install"):
        check_film(tmp_path / "a.mp4", SIZE, 10)
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(MissingAsset, match=r"vitruve\[video\]"):
        check_film(tmp_path / "a.mp4", SIZE, 10)


def test_a_video_that_breaks_off_says_how_much_is_missing(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (40, SIZE[1], SIZE[0], 3), dtype=np.uint8)
    write_film(noise, tmp_path / "whole.mp4", 25, SIZE)
    whole = VideoSource(tmp_path / "whole.mp4")
    assert whole.announced == len(whole.times()) == 40
    content = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) // 2])  # the head stands first
    cut = VideoSource(tmp_path / "cut.mp4")
    assert cut.announced == 40 and 0 < len(cut.times()) < 40


def test_bad_videos(tmp_path):
    with pytest.raises(MissingAsset, match="does not exist"):
        VideoSource(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(BadData, match="cannot be read"):
        VideoSource(tmp_path / "text.mp4")


def by_opencv(points, lens, place, distortion=()):
    """OpenCV's projection, written from its documentation: pixels whose middles are whole numbers."""
    k1, k2, p1, p2, k3, k4, k5, k6 = [*distortion, *[0.0] * (8 - len(distortion))]
    pixels = []
    for point in points:
        x, y, z, _ = np.asarray(place) @ [*point, 1.0]
        x, y = x / z, y / z
        r = np.hypot(x, y)
        stretch = (1 + k1 * r**2 + k2 * r**4 + k3 * r**6) / (1 + k4 * r**2 + k5 * r**4 + k6 * r**6)
        u = x * stretch + 2 * p1 * x * y + p2 * (r**2 + 2 * x**2)
        v = y * stretch + p1 * (r**2 + 2 * y**2) + 2 * p2 * x * y
        pixels.append([lens[0][0] * u + lens[0][1] * v + lens[0][2], lens[1][1] * v + lens[1][2]])
    return np.array(pixels)


POINTS = np.random.default_rng(0).uniform(-0.6, 0.6, (20, 3))


@pytest.mark.parametrize(
    "distortion", [(), (-0.1, 0.01, 0.002, -0.001), (-0.2, 0.05, 0, 0, 0.01), (0.1, 0.1, 0, 0.01, 0, 0.2, 0.1, 0.05)]
)
def test_projection_is_that_of_opencv(tmp_path, distortion):
    camera = read_camera(camera_file(tmp_path, distortion=list(distortion) or None))
    pixels, depth = on_picture(camera, POINTS, SIZE)
    np.testing.assert_allclose(pixels - 0.5, by_opencv(POINTS, LENS, PLACE, distortion), atol=1e-9)
    np.testing.assert_allclose(depth, POINTS[:, 1] + 2)
    # Twice the picture: the corner of the first pixel stays, so its middle moves.
    np.testing.assert_allclose(on_picture(camera, POINTS, (192, 128))[0], 2 * pixels, atol=1e-9)


def test_points_that_the_lens_would_fold_back_are_left_out(tmp_path):
    """With k1 < 0 a point far aside would come back into the picture."""
    camera = read_camera(camera_file(tmp_path, distortion=[-0.3, 0, 0, 0]))
    pixels, _ = on_picture(camera, [[0.5, 0, 0], [3.5, 0, 0], [0, -3.0, 0]], SIZE)
    assert np.isfinite(pixels[0]).all() and np.isnan(pixels[1:]).all()


def test_another_size_of_the_same_picture(tmp_path):
    camera = read_camera(camera_file(tmp_path))
    pixels, _ = on_picture(camera, POINTS, SIZE)
    twice, _ = on_picture(camera.resized((192, 128)), POINTS, (192, 128))
    np.testing.assert_allclose(twice, 2 * pixels, atol=1e-9)
    with pytest.raises(UsageError, match="aspect ratio"):
        camera.resized((128, 96))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"intrinsics": None}, "no 'intrinsics'"),
        ({"glass": 1}, "unknown key 'glass'"),
        ({"lens": "fish"}, "fisheye"),
        ({"intrinsics": [[1, 0], [0, 1]]}, r"shape \[2, 2\]"),
        ({"intrinsics": [[-1, 0, 0], [0, 1, 0], [0, 0, 1]]}, "intrinsics are invalid"),
        ({"T_camera_world": [[2.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}, "frame 0"),
        ({"T_camera_world": []}, "T_camera_world"),
        ({"distortion": [1, 2, 3]}, "distortion"),
        ({"distortion": ["a", 0, 0, 0]}, "distortion"),
        ({"size": [0, 4]}, "size"),
        ({"fps": -1}, "fps"),
    ],
)
def test_bad_camera_files(tmp_path, changes, said):
    with pytest.raises(BadData, match=said):
        read_camera(camera_file(tmp_path, **changes))


def test_camera_files_that_cannot_be_read(tmp_path):
    with pytest.raises(MissingAsset):
        read_camera(tmp_path / "none.toml")
    (tmp_path / "a.toml").write_text("size = [")
    (tmp_path / "a.json").write_text("[1, 2]")
    for name in ("a.toml", "a.json"):
        with pytest.raises(BadData):
            read_camera(tmp_path / name)


def two_points(frames, fps):
    """A tree of two joints, half a metre apart, that goes to the right by ten centimetres a second."""
    skeleton = Skeleton(
        "two", ("a", "b"), parents=(-1, 0), edges=((0, 1),), rest=torch.tensor([[0.0, 0, 0], [0.5, 0, 0]])
    )
    motion = small_motion("smplh", frames=frames, fps=fps)
    translation = motion.translation * 0
    translation[:, 0] = 0.1 * torch.arange(frames) / fps - 0.3
    return dataclasses.replace(
        motion,
        rotations=motion.rotations[:, :2] * 0 + torch.eye(3),
        translation=translation,
        skeleton=skeleton,
        body="",
        betas=motion.betas[:0],
    )


def ends_of(picture):
    """The left and the right end of what is drawn on grey, (x, y) each, with the first pixel's middle at 0, 0."""
    drawn = np.abs(picture.astype(int) - 60).max(-1) > 25
    rows, columns = np.nonzero(drawn)
    left, right = columns <= columns.min() + 3, columns >= columns.max() - 3
    return np.array([[columns[left].mean(), rows[left].mean()], [columns[right].mean(), rows[right].mean()]])


@pytest.mark.parametrize(("fps", "distortion"), [(30.0, None), (10.0, None), (30.0, [-0.4, 0.1, 0.02, 0.01])])
def test_markers_are_drawn_where_the_camera_sees_them(tmp_path, fps, distortion):
    """The video runs at 30 frames a second, the motion at its own rate: what counts is the time."""
    size = (480, 320)
    lens = (5 * np.array(LENS)).tolist()
    lens[2][2] = 1.0
    write_film((np.full((320, 480, 3), 60, np.uint8) for _ in range(31)), tmp_path / "in.mp4", 30, size)
    scene = load_scene([two_points(round(2 * fps), fps)])
    camera = read_camera(camera_file(tmp_path, intrinsics=lens, size=list(size), distortion=distortion))
    video = VideoSource(tmp_path / "in.mp4")
    shots = shots_over(scene, video, camera)
    assert render_over(scene, video, shots, tmp_path / "out.mp4") == 31
    pictures = [picture for _, picture in VideoSource(tmp_path / "out.mp4").pictures()]
    for i in (0, 12, 30):
        ends = np.array([[0.1 * i / 30 - 0.3, 0, 0], [0.1 * i / 30 + 0.2, 0, 0]])
        expected = by_opencv(ends, lens, PLACE, distortion or ())
        np.testing.assert_allclose(ends_of(pictures[i]), expected, atol=1.5)


def test_a_moving_camera_goes_by_the_videos_frames_or_by_its_own_rate(tmp_path):
    write_film(moving_square(20), tmp_path / "in.mp4", 20, SIZE)
    places = np.tile(np.array(PLACE), (10, 1, 1))
    places[:, 0, 3] = np.arange(10) / 100
    video, scene = VideoSource(tmp_path / "in.mp4"), load_scene([two_points(30, 30.0)])
    by_frame = shots_over(scene, video, read_camera(camera_file(tmp_path, T_camera_world=places.tolist())))
    assert by_frame.video == list(range(10))  # ends with the camera
    by_time = shots_over(scene, video, read_camera(camera_file(tmp_path, T_camera_world=places.tolist(), fps=10)))
    assert len(by_time.video) == 19
    assert float(by_time.camera.at(8).T_camera_world[0, 3]) == pytest.approx(0.04)
    assert by_time.frames[8] == 12
    some = shots_over(scene, video, read_camera(camera_file(tmp_path)), "4:10:2")
    assert some.video == [4, 6, 8] and some.fps == 10
    with pytest.raises(BadData, match="nothing for these frames"):
        shots_over(load_scene([two_points(3, 30.0)]), video, read_camera(camera_file(tmp_path)), "10:")


MATRICES = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


@pytest.mark.parametrize("clockwise", [0, 90, 180, 270])
def test_the_rotation_that_a_phone_notes_is_honoured(tmp_path, clockwise):
    """The matrix in the track header turns the picture clockwise for display."""
    path = tmp_path / "phone.mp4"
    (picture,) = moving_square(1)
    picture[-20:, -40:] = (255, 0, 0)
    write_film([picture] * 3, path, 30, SIZE)
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 44
    a, b, c, d = (value << 16 for value in MATRICES[clockwise])
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    source = VideoSource(path)
    upright = np.rot90(picture, -clockwise // 90)
    assert source.size == (upright.shape[1], upright.shape[0])
    _, found = next(source.pictures())
    assert np.abs(found.astype(int) - upright).mean() < 8


def test_odd_videos_and_pictures_over_them(tmp_path):
    Image.new("RGB", (97, 65), (60, 60, 60)).save(tmp_path / "odd.png")
    video, scene = VideoSource(tmp_path / "odd.png"), load_scene([two_points(3, 30.0)])
    shots = shots_over(scene, video, read_camera(camera_file(tmp_path, size=[97, 65])))
    assert shots.size == (96, 64)
    full = np.asarray(picture_over(scene, video, shots)).astype(int)
    half = np.asarray(picture_over(scene, video, shots, Look(opacity=0.5))).astype(int)
    assert full.shape == (64, 96, 3) and (full[:5] == full[0, 0]).all()
    changed = np.abs(full - full[0, 0]).sum(-1) > 60
    assert 0.4 < np.abs(half - half[0, 0])[changed].sum() / np.abs(full - full[0, 0])[changed].sum() < 0.6


@pytest.mark.slow
def test_a_real_video(tmp_path):
    video = VideoSource(shared_data("video") / "walk_run_sagittal.mp4")
    assert video.size == (1768, 994) and video.fps == pytest.approx(30) and len(video.times()) == 230
