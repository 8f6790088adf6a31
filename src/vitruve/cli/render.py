"""`vitruve render`: motions as a film, a picture or a strip, without a display."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from vitruve.cli.options import BodiesFolder, DryRun, Gender, Out, Overwrite, PositiveFloat, Quiet, SourceFps, UpAxis
from vitruve.cli.output import print_notes
from vitruve.errors import UsageError
from vitruve.words import counted

if TYPE_CHECKING:
    from vitruve.draw.film import Look
    from vitruve.draw.render import TimeLine
    from vitruve.draw.scene import Scene
    from vitruve.draw.views import CameraChoice
    from vitruve.runs.progress import Progress

    # What writes the output, given (overwrite, progress), and returns the number of frames.
    Write = Callable[[bool, Progress], int]


def render(  # noqa: PLR0913 (one parameter per option)
    *motions: str,
    out: Out,
    body: tuple[str, ...] = (),
    bodies: BodiesFolder = None,
    camera: str = "fit",
    layout: Literal["overlay", "side"] = "overlay",
    heat: bool = False,
    heat_top: PositiveFloat = None,
    joints: bool = False,
    numbers: bool = False,
    grid: Annotated[bool, Parameter(negative="--no-grid")] = True,
    frames: str | None = None,
    frame: int | None = None,
    strip: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    fps: Annotated[float | None, Parameter(validator=Number(gt=0, lte=1000))] = None,
    source_fps: SourceFps = None,
    gender: Gender = None,
    up: UpAxis = "z",
    size: str | None = None,
    over: Path | None = None,
    opacity: Annotated[float, Parameter(validator=Number(gt=0, lte=1))] = 1.0,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Draw motions: a film (.mp4, .mov, .mkv, .gif), or a .png with a strip of frames or one frame.

    No display, graphics card or browser is needed. Several motions are drawn in one place or side by side; frames
    without data stay empty.

    Examples: `vitruve render walk_poses.npz -o walk.mp4`, `vitruve render walk_poses.npz walk_smplx.npz --layout side
    --heat -o compare.mp4`, `vitruve render take.bvh -o take.png --strip 16`.

    Args:
        motions: motion files, and folders of OBJ or PLY files, one per frame.
        out: the file to write; its suffix gives the format.
        body: the body to draw on: one for all, or one each (--body A --body B); by default that of the file.
        camera: fit, front, side, back, top, follow, "follow,side", or "azimuth,elevation[,distance[,fov]]" in degrees
            and metres; with --over a camera file.
        layout: all in their true places, or side by side.
        heat: colour every further motion by its distance to the first.
        heat_top: millimetres of the darkest colour.
        joints: draw joints and bones over the surface.
        numbers: draw the frame's number and time.
        grid: draw lines on the ground every metre.
        frames: which frames, as 10:200 or 10:200:2; of the video with --over.
        frame: write this one frame as a .png.
        strip: how many frames a .png shows; by default 16.
        fps: frames per second of the film.
        size: width and height in pixels, by default 1280x720; of each picture in a strip.
        over: a video to draw over.
        opacity: of the bodies, from 0 to 1.
    """
    from vitruve.draw.film import Look
    from vitruve.draw.render import spread_out, time_line
    from vitruve.draw.scene import load_scene
    from vitruve.draw.views import parse_camera
    from vitruve.runs import progress_bar

    if out.exists() and not overwrite and not dry_run:  # before anything slow
        raise UsageError(f"{out} exists already", where=str(out), fix="choose another name, or give --overwrite")
    if strip and out.suffix.lower() != ".png":
        raise UsageError("a strip is a picture", where=f"--strip {strip}, --out {out}", fix="use the suffix .png")
    if frame is not None and (strip or frames):
        other = f"--strip {strip}" if strip else f"--frames {frames}"
        raise UsageError("one frame and several exclude each other", f"--frame {frame} {other}", "give one of them")
    pixels, choice = _pixels(size), parse_camera("fit" if over else camera)
    look = Look(grid=grid, numbers=numbers, heat_top_mm=heat_top, opacity=opacity)
    scene = load_scene(
        motions, body, folder=bodies, source_fps=source_fps, gender=gender, up=up, joints=joints, heat=heat
    )
    print_notes([] if quiet else scene.notes)
    chosen = frames if frame is None else str(frame)
    if over:
        description, write = _over_video(scene, out, over, camera, chosen, look)
    else:
        times = time_line(scene, chosen, fps)
        if layout == "side":
            scene = spread_out(scene, times.frames, choice)
        if out.suffix.lower() != ".png":
            description, write = _film(scene, out, times, pixels, choice, look)
        elif frame is not None:
            description, write = _picture(scene, out, frame, pixels, choice, look)
        else:
            description, write = _strip(scene, out, times, strip or 16, pixels, choice, look)
    if dry_run:
        for actor in scene.actors:
            on = actor.performer.body
            print(f"{actor.name}: {actor.performer}, on {on.name if on else 'no known body'}")
        print(f"would write {out}: {description}; nothing was written")
        return
    with progress_bar("drawing", "frames", quiet) as progress:
        clock = time.perf_counter()
        done = write(overwrite, progress)
        seconds = time.perf_counter() - clock
    if not quiet:
        print(f"{out}: {description}; {done} drawn in {seconds:.1f} s, {done / seconds:.0f} frames/s")


def _film(
    scene: Scene, out: Path, times: TimeLine, size: tuple[int, int] | None, camera: CameraChoice, look: Look
) -> tuple[str, Write]:
    from vitruve.draw.render import SIZE, TimeLine, render_film
    from vitruve.draw.video import check_film, gif_step

    if out.suffix.lower() == ".gif":
        step = gif_step(times.fps)
        times = TimeLine(times.frames[::step], times.fps / step)
    size, count = size or SIZE, len(times.frames)
    check_film(out, size, count)

    def write(overwrite: bool, progress: Progress) -> int:
        return render_film(scene, out, times, size, camera, look, overwrite, progress)

    return f"{counted(count, 'frame')}, {size[0]}x{size[1]}, {times.fps:g} fps, {count / times.fps:.1f} s", write


def _picture(
    scene: Scene, out: Path, frame: int, size: tuple[int, int] | None, camera: CameraChoice, look: Look
) -> tuple[str, Write]:
    from vitruve.draw.render import SIZE, render_frame, write_picture

    def write(overwrite: bool, progress: Progress) -> int:
        write_picture(render_frame(scene, frame, size or SIZE, camera, look), out, overwrite)
        return 1

    return f"frame {frame}", write


def _strip(
    scene: Scene,
    out: Path,
    times: TimeLine,
    most: int,
    size: tuple[int, int] | None,
    camera: CameraChoice,
    look: Look,
) -> tuple[str, Write]:
    from vitruve.draw.render import render_strip, write_picture

    count = min(most, len(times.frames))

    def write(overwrite: bool, progress: Progress) -> int:
        write_picture(render_strip(scene, most, times, size, camera, look, progress), out, overwrite)
        return count

    return f"a strip of {counted(count, 'frame')}", write


def _over_video(scene: Scene, out: Path, over: Path, camera: str, chosen: str | None, look: Look) -> tuple[str, Write]:
    from vitruve.draw.render import picture_over, render_over, shots_over, write_picture
    from vitruve.draw.video import VideoSource, check_film
    from vitruve.formats.readers.camera_file import read_camera

    if not camera.lower().endswith((".toml", ".json")):
        raise UsageError(
            "drawing over a video needs its camera",
            where=f"--over {over}, --camera {camera}" if camera != "fit" else f"--over {over} without --camera",
            fix="--camera FILE.toml, see docs/render.md",
        )
    lens, video = read_camera(camera), VideoSource(over)
    count = len(video.times())
    if count < video.announced:
        print(f"vitruve: {over} is truncated: {count} of its {video.announced} frames exist", file=sys.stderr)
    shots = shots_over(scene, video, lens, chosen)
    if out.suffix.lower() != ".png":
        check_film(out, shots.size, len(shots.video))

    def write(overwrite: bool, progress: Progress) -> int:
        if out.suffix.lower() == ".png":
            write_picture(picture_over(scene, video, shots, look), out, overwrite)
            return 1
        return render_over(scene, video, shots, out, look, overwrite, progress)

    description = f"{counted(len(shots.video), 'frame')} over {over.name}"
    return f"{description}, {video.size[0]}x{video.size[1]}, {shots.fps:g} fps", write


def _pixels(size: str | None) -> tuple[int, int] | None:
    if size is None:
        return None
    width, _, height = size.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and 16 <= int(width) <= 8192 and 16 <= int(height) <= 8192):
        fix = "--size 1280x720; 16 to 8192 pixels each way"
        raise UsageError(f"'{size}' is not a size of a picture", where=f"--size {size}", fix=fix)
    return int(width), int(height)
