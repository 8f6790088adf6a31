"""`vitruve view`: motions in a browser page, with a time line."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from vitruve.cli.options import BodiesFolder, DryRun, Gender, Overwrite, PositiveFloat, Quiet, SourceFps, UpAxis
from vitruve.cli.output import print_notes
from vitruve.errors import UsageError
from vitruve.words import counted

if TYPE_CHECKING:
    from vitruve.draw.scene import Scene


def view(  # noqa: PLR0913 (one parameter per option)
    *motions: str,
    body: list[str] | None = None,
    bodies: BodiesFolder = None,
    source_fps: SourceFps = None,
    gender: Gender = None,
    up: UpAxis = "z",
    side: bool = False,
    joints: bool = False,
    heat: bool = False,
    exact: bool = False,
    play: Annotated[bool | None, Parameter(negative="--no-play")] = None,
    follow: Annotated[bool, Parameter(negative="--no-follow")] = True,
    host: str = "127.0.0.1",
    port: Annotated[int | None, Parameter(validator=Number(gte=0, lt=65536))] = None,
    open: Annotated[bool, Parameter(negative="--no-open")] = True,
    seconds: PositiveFloat = None,
    save: Path | None = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
) -> None:
    """Show motions in a browser page: play, step, compare, turn, measure by eye.

    The command serves the page until Ctrl+C. The first motion is blue, the second orange.

    Examples: `vitruve view walk_poses.npz`, `vitruve view walk.npz walk_smplx.npz --side --heat`, `vitruve view meshes
    --source-fps 30`, `vitruve view walk.npz --save walk.html`.

    Args:
        motions: motion files, and folders of OBJ or PLY files; by default the bundled clip.
        body: the body to draw on: one for all, or one for each motion.
        side: side by side, not in their true places.
        joints: begin with joints and bones.
        heat: begin with a heat map of the error of every further motion against the first.
        exact: draw the exact vertices of the body model while playing, not those the browser skins.
        play: start playing. By default it does, but not with --heat, which is drawn on still frames.
        follow: keep the first motion in the middle.
        host: address to listen on; 0.0.0.0 admits other machines.
        port: by default a free one from 8080 on.
        open: open a browser.
        seconds: end after this time.
        save: write a recording to share, .html or .viser, and serve nothing.
    """
    _check_formats(motions)
    options = {
        "bodies": body or (),
        "folder": bodies,
        "source_fps": source_fps,
        "gender": gender,
        "up": up,
        "layout": "side" if side else "overlay",
        "joints": joints,
    }
    if save is not None:
        if exact and not quiet:
            print_notes(["a recording holds no exact vertices: the browser skins it"])
        if heat and not quiet:
            print_notes(["a recording shows the mean error over the clip, on a body at rest beside it"])
        _save(motions, options, save, follow=follow, heat=heat, overwrite=overwrite, dry_run=dry_run, quiet=quiet)
        return
    if dry_run:
        _load(motions, options, heat, quiet=False)
        print(f"nothing was served; the page would be on {host}, port {port or '8080 or the next free one'}")
        return
    from vitruve.viewer.server import address, close_server, open_server

    # The browser loads the page while torch is loaded here.
    server = open_server(host, port)
    url = address(server)
    if not quiet:
        print(f"{url}  (Ctrl+C ends it)", flush=True)
    if open and not _open(url) and not quiet:
        print("there is no browser to open here: open the address above in one that reaches this machine")
    from vitruve.threads import one_torch_thread

    # The browser keeps the processor busy: several threads inside of small operations would wait for one another.
    with one_torch_thread():
        try:
            scene = _load(motions, options, heat, quiet)
            from vitruve.viewer.viewer import Viewer

            surface = "exact" if exact else "exact when still"
            viewer = Viewer(server, scene, surface=surface, heat=heat, follow=follow, folder=bodies)
        except BaseException:
            close_server(server)
            raise
        with viewer:
            if play or (play is None and not heat):
                viewer.player.play()
            viewer.player.wait(seconds)


def _check_formats(motions: tuple[str, ...]) -> None:
    """Reject what is no motion before a page is opened; the readers themselves are loaded later."""
    from vitruve.formats import recognise
    from vitruve.formats.glimpse import glimpse

    for motion in motions:
        recognise(glimpse(motion))


def _load(motions: tuple[str, ...], options: dict[str, Any], heat: bool, quiet: bool) -> Scene:
    """The scene, checked and described."""
    from vitruve.draw.scene import load_scene
    from vitruve.motion.clips import bundled_clip_path

    scene = load_scene(motions or (bundled_clip_path(),), **options)
    if heat:
        from vitruve.viewer.viewer import check_heat

        check_heat(scene)
    if not quiet:
        for performer in (actor.performer for actor in scene.actors):
            body = f"no body, joints of {performer.skeleton.name}" if performer.skeleton else "no known body"
            body = body if performer.body is None else performer.body.name
            print(f"{performer.name}: {counted(len(performer), 'frame')} at {performer.fps:g} fps on {body}")
        print_notes(scene.notes)
    return scene


def _save(
    motions: tuple[str, ...],
    options: dict[str, Any],
    path: Path,
    *,
    follow: bool,
    heat: bool,
    overwrite: bool,
    dry_run: bool,
    quiet: bool,
) -> None:
    from vitruve.runs import progress_bar
    from vitruve.viewer.recording import check_recording, save_recording

    check_recording(path)
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists already", where=f"--save {path}", fix="add --overwrite, or choose another")
    scene = _load(motions, options, heat, quiet)
    if dry_run:
        print(f"nothing was written; {counted(len(scene), 'frame')} would go to {path}")
        return
    with progress_bar("recording", "frames", quiet) as progress:
        save_recording(scene, path, overwrite=overwrite, follow=follow, heat=heat, progress=progress)
    if not quiet:
        print(f"written to {path} ({path.stat().st_size / 1e6:.1f} MB)")


def _open(url: str) -> bool:
    """Open the page; False where there is no desktop to open it on."""
    import webbrowser

    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    return webbrowser.open(url)
