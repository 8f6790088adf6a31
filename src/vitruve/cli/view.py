"""`vitruve view`: motions in a browser page, with a time line."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from vitruve.cli.options import BodiesFolder, Gender, Rate
from vitruve.errors import UsageError
from vitruve.words import counted

if TYPE_CHECKING:
    from vitruve.draw.scene import Scene


def view(  # noqa: PLR0913 (one parameter per option)
    *motions: str,
    body: list[str] | None = None,
    bodies: BodiesFolder = None,
    source_fps: Rate = None,
    gender: Gender = None,
    up: Literal["z", "y"] = "z",
    side: bool = False,
    joints: bool = False,
    heat: bool = False,
    exact: bool = False,
    play: Annotated[bool | None, Parameter(negative="--no-play")] = None,
    follow: Annotated[bool, Parameter(negative="--no-follow")] = True,
    host: str = "127.0.0.1",
    port: Annotated[int | None, Parameter(validator=Number(gte=0, lt=65536))] = None,
    open: Annotated[bool, Parameter(negative="--no-open")] = True,
    seconds: Rate = None,
    save: Path | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    quiet: bool = False,
) -> None:
    """Show motions in a browser page: play, step, compare, turn, measure by eye.

    The page is served by this command until it is ended with Ctrl+C. The first motion is blue, the second orange.

    Examples: `vitruve view walk_poses.npz`, `vitruve view walk.npz walk_smplx.npz --side --heat`, `vitruve view meshes
    --source-fps 30`, `vitruve view walk.npz --save walk.html`.

    Args:
        motions: motion files, and folders of OBJ or PLY files; the bundled clip where left out.
        body: the body to draw on: one for all, or one for each motion.
        bodies: folder of licensed bodies, looked into before the usual places.
        source_fps: frames per second, for files that do not say, and for meshes.
        gender: neutral, female or male, for files that do not say.
        up: the axis that points upwards in folders of meshes.
        side: side by side, not in their true places.
        joints: begin with joints and bones.
        heat: begin with the error of every further motion against the first as a heat map.
        exact: draw the vertices of the body model also while it plays, not the skin of the browser.
        play: begin to play. Where left out it does, but not with --heat, which shows frames that stand still.
        follow: keep the first motion in the middle.
        host: address to listen on; 0.0.0.0 lets other machines in.
        port: a free one from 8080 on where left out.
        open: open a browser.
        seconds: end after this time.
        save: write a recording for others, .html or .viser, and show nothing.
        overwrite: replace the recording that is there.
        dry_run: say what would be shown or written, and do nothing.
        quiet: print nothing but errors.
    """
    _look_at(motions)
    options = {
        "folder": bodies,
        "source_fps": source_fps,
        "gender": gender,
        "up": up,
        "layout": "side" if side else "overlay",
        "joints": joints,
    }
    if save is not None:
        if exact and not quiet:
            print("note: a recording holds no exact vertices: the browser skins it", file=sys.stderr)
        if heat and not quiet:
            print("note: a recording shows the mean error over the clip, on a body at rest beside it", file=sys.stderr)
        given = (motions, body or (), options, save)
        _save(*given, follow=follow, heat=heat, overwrite=overwrite, dry_run=dry_run, quiet=quiet)
        return
    if dry_run:
        scene = _load(motions, body or (), options)
        if heat:
            from vitruve.viewer.viewer import check_heat

            check_heat(scene)
        _say_scene(scene, False)
        print(f"nothing was served; the page would be on {host}, port {port or '8080 or the next free one'}")
        return
    from vitruve.viewer.server import address, close_server, open_server

    # The page is asked for before torch is loaded: both take their time at once.
    server = open_server(host, port)
    place = address(server)
    if not quiet:
        print(f"{place}  (Ctrl+C ends it)", flush=True)
    if open and not _open(place) and not quiet:
        print("there is no browser to open here: open the address above in one that reaches this machine")
    from vitruve.threads import one_torch_thread

    # The browser keeps the processor busy: several threads inside of small operations would wait for one another.
    with one_torch_thread():
        try:
            scene = _load(motions, body or (), options)
            from vitruve.viewer.viewer import Viewer

            surface = "exact" if exact else "exact when still"
            viewer = Viewer(server, scene, surface=surface, heat=heat, follow=follow, folder=bodies)
        except BaseException:
            close_server(server)
            raise
        _say_scene(scene, quiet)
        with viewer:
            if play or (play is None and not heat):
                viewer.player.play()
            viewer.player.wait(seconds)


def _look_at(motions: tuple[str, ...]) -> None:
    """Refuse what is no motion before a page is opened; the readers themselves are loaded later."""
    from vitruve.formats import recognise
    from vitruve.formats.glimpse import glimpse

    for motion in motions:
        recognise(glimpse(motion))


def _load(motions: tuple[str, ...], body: list[str] | tuple[()], options: dict) -> Scene:
    from vitruve.draw.scene import load_scene
    from vitruve.motion.clips import bundled_clip_path

    return load_scene(motions or (bundled_clip_path(),), body, **options)


def _save(
    motions: tuple[str, ...],
    body: list[str] | tuple[()],
    options: dict,
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
        raise UsageError(f"{path} is there already", where=f"--save {path}", fix="add --overwrite, or name another")
    scene = _load(motions, body, options)
    if heat:
        from vitruve.viewer.viewer import check_heat

        check_heat(scene)
    _say_scene(scene, quiet)
    if dry_run:
        print(f"nothing was written; {counted(len(scene), 'frame')} would go to {path}")
        return
    with progress_bar("recording", "frames", quiet) as progress:
        save_recording(scene, path, overwrite=overwrite, follow=follow, heat=heat, progress=progress)
    if not quiet:
        print(f"written to {path} ({path.stat().st_size / 1e6:.1f} MB)")


def _say_scene(scene: Scene, quiet: bool) -> None:
    if quiet:
        return
    for actor in scene.actors:
        performer = actor.performer
        body = f"no body, joints of {performer.skeleton.name}" if performer.skeleton else "no known body"
        body = body if performer.body is None else performer.body.name
        print(f"{performer.name}: {counted(len(performer), 'frame')} at {performer.fps:g} fps on {body}")
    for note in scene.notes:
        print(f"note: {note}", file=sys.stderr)


def _open(place: str) -> bool:
    """Open the page; False where there is no desktop to open it on."""
    import webbrowser

    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    return webbrowser.open(place)
