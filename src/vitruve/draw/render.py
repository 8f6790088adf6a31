"""Films, pictures and strips of a scene, and bodies drawn over a video: what `vitruve render` does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from vitruve.draw.backdrop import Picture
from vitruve.draw.film import Look, draw_names, film, heat_top
from vitruve.draw.heat import heat_bar
from vitruve.draw.pictures import row, save_picture, spread, stack
from vitruve.draw.scene import Scene, side_by_side
from vitruve.draw.sticks import points_of
from vitruve.draw.video import VideoSource, check_film, write_film
from vitruve.draw.views import CameraChoice, across, aspect, nothing_to_see, place_camera
from vitruve.errors import BadData, UsageError
from vitruve.files.atomic import replacing
from vitruve.geometry.camera import Camera
from vitruve.motion.editing import frame_range
from vitruve.runs.progress import Progress

SIZE = (1280, 720)
_CELL_HEIGHT = 320  # of a picture in a strip
_COLUMNS = 8
# Above this rate a film has only every second, third ... frame of a motion.
_MOST_FPS = 60.0


@dataclass(frozen=True)
class TimeLine:
    """The frames of a scene that are shown, and their rate."""

    frames: list[int]
    fps: float


def time_line(scene: Scene, chosen: str | None = None, fps: float | None = None) -> TimeLine:
    """The frames of a film.

    Args:
        chosen: a Python slice such as "10:200:2", or the number of one frame; all if None.
        fps: of the film. The motion keeps its speed: frames are dropped or repeated. If `chosen` has a step, exactly
            these frames are shown, at this rate.
    """
    start, stop, step = _slice(chosen, len(scene))
    if step is not None:
        return TimeLine(list(range(start, stop, step)), fps or scene.fps / step)
    if fps is None:
        step = math.ceil(scene.fps / _MOST_FPS - 1e-6)
        return TimeLine(list(range(start, stop, step)), scene.fps / step)
    count = max(1, round((stop - start) / scene.fps * fps))
    return TimeLine([min(start + int(i * scene.fps / fps + 0.5), stop - 1) for i in range(count)], fps)


def spread_out(scene: Scene, frames: Sequence[int], camera: CameraChoice) -> Scene:
    """The actors side by side, along the picture and as far apart as they are wide."""
    right = across(scene, frames, camera)
    widest = 0.0
    for actor in scene.actors:
        some = actor.some_frames(16)
        points = actor.vertices(some).double().cpu().numpy() if actor.performer.has_surface else points_of(actor, some)
        along = points[..., :2] @ right
        widest = max(widest, float((np.nanmax(along, 1) - np.nanmin(along, 1)).max()))
    return side_by_side(scene, min(max(1.15 * widest, 0.3), 3.0), right)


def render_film(
    scene: Scene,
    out: str | Path,
    times: TimeLine | None = None,
    size: tuple[int, int] = SIZE,
    camera: CameraChoice | None = None,
    look: Look | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> int:
    """Write a film (.mp4, .mov, .mkv: H.264; .gif); returns its number of frames.

    Args:
        times: from `time_line`; all frames if None.
        camera: fitted to all frames if None.
    """
    times = times or time_line(scene)
    frames = times.frames
    check_film(Path(out), size, len(frames))
    with replacing(Path(out), overwrite=overwrite) as temporary:
        placed = place_camera(scene, frames, camera or CameraChoice(), size)
        pictures = film(scene, frames, placed, size, look)
        return write_film(_counted(pictures, len(frames), progress), temporary, times.fps, size)


def render_frame(
    scene: Scene,
    frame: int,
    size: tuple[int, int] = SIZE,
    camera: CameraChoice | None = None,
    look: Look | None = None,
) -> Image.Image:
    """One frame as a picture; the camera is fitted to this frame."""
    if not 0 <= frame < len(scene):
        raise UsageError(
            f"there is no frame {frame}", where=f"the time line has {len(scene)} frames", fix="--frame 0 is the first"
        )
    placed = place_camera(scene, [frame], camera or CameraChoice(), size)
    return Image.fromarray(next(film(scene, [frame], placed, size, look)))


def render_strip(
    scene: Scene,
    count: int = 16,
    times: TimeLine | None = None,
    cell: tuple[int, int] | None = None,
    camera: CameraChoice | None = None,
    look: Look | None = None,
    progress: Progress | None = None,
) -> Image.Image:
    """A contact sheet: frames at equal distances in rows of eight, each with its number and time below.

    Args:
        count: number of frames; at most as many as have data.
        times: the frames to choose from; all if None.
        cell: width and height of one picture in pixels; if None, 320 high and as wide as the bodies.
        camera: its direction and lens; it follows the bodies.
    """
    if count < 1:
        raise UsageError("a strip needs at least one frame", where=f"--strip {count}", fix="--strip 16")
    frames = (times or time_line(scene)).frames
    known = [frame for frame in frames if any(scene.own_frames(actor, [frame]) for actor in scene.actors)]
    if not known:
        raise nothing_to_see(frames)
    chosen = [known[i] for i in spread(len(known), count)]
    camera = replace(camera or CameraChoice(), follow=True)
    width = round(_CELL_HEIGHT * float(np.clip(aspect(scene, chosen, camera), 0.4, 3.0)))
    cell = cell or (width, _CELL_HEIGHT)
    top = (look and look.heat_top_mm) or heat_top(scene, chosen)
    # The camera follows, so grid lines would only show seams. Numbers are below the pictures, names above.
    look = replace(look or Look(), grid=False, numbers=False, names=False, heat_top_mm=top)
    placed = place_camera(scene, chosen, camera, cell)
    pictures = _counted(film(scene, chosen, placed, cell, look), len(chosen), progress)
    images = [Image.fromarray(picture) for picture in pictures]
    labels = [f"{scene.frame_of(scene.actors[0], frame)}: {frame / scene.fps:.2f} s" for frame in chosen]
    rows = [row(images[i : i + _COLUMNS], labels[i : i + _COLUMNS]) for i in range(0, len(images), _COLUMNS)]
    if len(scene.actors) > 1:
        band = Image.new("RGB", (rows[0].width, round(28 * (len(scene.actors) + 0.5))), rows[0].getpixel((0, 0)))
        draw_names(band, scene, 17)
        rows.insert(0, band)
    if any(actor.errors is not None for actor in scene.actors):
        rows.append(heat_bar(top, max(rows[0].width, 480)))
    return stack(rows)


def write_picture(image: Image.Image, out: str | Path, overwrite: bool = False) -> None:
    """Write a PNG atomically."""
    with replacing(Path(out), overwrite=overwrite) as temporary:
        save_picture(image, temporary)


@dataclass(frozen=True)
class Shots:
    """Frames of a video, the scene's frames at the same times, their cameras, rate and size."""

    video: list[int]
    frames: list[int]
    camera: Camera
    fps: float
    size: tuple[int, int]


def render_over(
    scene: Scene,
    video: VideoSource,
    shots: Shots,
    out: str | Path,
    look: Look | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> int:
    """Draw the bodies over the frames of a video; returns how many frames were written.

    Args:
        shots: from `shots_over`.
    """
    check_film(Path(out), shots.size, len(shots.video))
    with replacing(Path(out), overwrite=overwrite) as temporary:
        pictures = film(scene, shots.frames, shots.camera, shots.size, look, _chosen_pictures(video, shots))
        return write_film(_counted(pictures, len(shots.video), progress), temporary, shots.fps, shots.size)


def picture_over(scene: Scene, video: VideoSource, shots: Shots, look: Look | None = None) -> Image.Image:
    """The first of the shots as a picture."""
    behind = _chosen_pictures(video, shots)
    return Image.fromarray(next(film(scene, shots.frames[:1], shots.camera[:1], shots.size, look, behind)))


def shots_over(scene: Scene, video: VideoSource, camera: Camera, chosen: str | None = None) -> Shots:
    """Match frames of the scene and of the camera to the frames of a video.

    The motion's frame is the nearest in time, counted from the video's first frame; so is the camera's if its file has
    an fps. The shots end where the video, the motion or the camera's path ends first.

    Args:
        chosen: frames of the video, "10:200"; all if None.
    """
    # H.264 has no half pixels of colour: an odd last row or column is cut off.
    size = (video.size[0] - video.size[0] % 2, video.size[1] - video.size[1] % 2)
    lens = replace(camera.resized(video.size), size=size)
    times = video.times()
    start, stop, step = _slice(chosen, len(times))
    video_frames, own_frames, places = list[int](), list[int](), list[int]()
    for i in range(start, stop, step or 1):
        own = int(times[i] * scene.fps + 0.5)
        place = (i if camera.fps is None else int(times[i] * camera.fps + 0.5)) if camera.moves else 0
        if own >= len(scene) or place >= len(camera):
            break
        video_frames.append(i)
        own_frames.append(own)
        places.append(place)
    if not video_frames:
        raise BadData(
            "the motion and the camera have nothing for these frames of the video",
            where=f"frames {start} to {stop} of {video.path}; the motion lasts {len(scene) / scene.fps:.2f} s",
            fix="choose earlier frames of the video with --frames",
        )
    return Shots(video_frames, own_frames, lens[torch.tensor(places)], video.fps / (step or 1), size)


def _chosen_pictures(video: VideoSource, shots: Shots) -> Iterator[Picture]:
    wanted = set(shots.video)
    for i, (_, picture) in enumerate(video.pictures()):
        if i in wanted:
            yield np.ascontiguousarray(picture[: shots.size[1], : shots.size[0]])
        if i >= shots.video[-1]:
            return


def _counted(pictures: Iterable[Picture], total: int, progress: Progress | None) -> Iterator[Picture]:
    for done, picture in enumerate(pictures, start=1):
        yield picture
        if progress:
            progress(done, total)


def _slice(chosen: str | None, length: int) -> tuple[int, int, int | None]:
    """First frame, end, and the step or None."""
    part = frame_range(chosen, length) if chosen else slice(None)
    start, stop, _ = part.indices(length)
    return start, stop, part.step
