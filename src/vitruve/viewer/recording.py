"""A scene as one file that plays in a browser: a self-contained page, or a recording of viser."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from vitruve.draw.framing import BAND, INK
from vitruve.draw.heat import colour_strip, heat_colours, nice_top
from vitruve.draw.heat_views import at_rest, vertex_means
from vitruve.draw.scene import Actor, Scene, errors_between
from vitruve.errors import UsageError
from vitruve.files.atomic import replacing
from vitruve.geometry.rotations import matrix_to_quaternion_wxyz
from vitruve.runs.progress import Progress
from vitruve.viewer.aim import across
from vitruve.viewer.heat_glb import coloured_glb
from vitruve.viewer.server import open_server
from vitruve.viewer.viewer import Viewer, check_heat

if TYPE_CHECKING:
    from os import PathLike

ENDINGS = (".html", ".viser")
_HEAT_FRAMES, _AT_ONCE = 60, 20  # frames of the mean error, and how many are computed at a time
_APART = 1.1  # metres from a heat map to its neighbour


def check_recording(path: str | PathLike[str]) -> Path:
    """The path, if its suffix is supported."""
    path = Path(path)
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(
            f"a recording cannot be written as '{path.suffix or path.name}'",
            where=f"--save {path}",
            fix="use .html for a self-contained page, or .viser; for video: vitruve render",
        )
    return path


def save_recording(
    scene: Scene,
    path: str | PathLike[str],
    *,
    rate: float = 30.0,
    overwrite: bool = False,
    follow: bool = True,
    heat: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write all frames of a scene into one file, with play, pause, speed and a time line; returns its path.

    The browser skins surfaces in one colour each, so errors are shown as their mean over the clip, on a body at rest.
    Meshes are written with all their vertices in every frame.

    Args:
        path: .html is a self-contained page; .viser is played by a viser page (`?playbackPath=`).
        rate: at most so many frames a second are recorded.
        heat: show each further actor at rest beside the scene, coloured by its mean error against the first.
        progress: called with frames done and frames in all.
    """
    path = check_recording(path)
    if heat:
        check_heat(scene)
    stride = max(1, round(scene.fps / rate))
    frames = range(0, len(scene), stride)
    with replacing(path, overwrite=overwrite) as temporary:
        viewer = Viewer(open_server(port=0), scene, surface="skinned", follow=follow)
        try:
            if heat:
                _stand_beside(viewer)
            recorder = viewer.server.get_scene_serializer()
            for done, frame in enumerate(frames, 1):
                viewer.draw(frame)
                recorder.insert_sleep(stride / scene.fps)
                if progress:
                    progress(done, len(frames))
            if path.suffix.lower() == ".html":
                temporary.write_text(recorder.as_html(), encoding="utf-8")
            else:
                temporary.write_bytes(recorder.serialize())
        finally:
            viewer.close()
    return path


def _stand_beside(viewer: Viewer) -> None:
    """Show every further actor at rest, to the right, coloured by its mean error over the clip, with its scale."""
    first, *others = viewer.scene.actors
    right = np.array([*across(viewer.scene), 0.0])
    reach = max(float(np.dot(actor.offset, right[:2])) for actor in viewer.scene.actors)
    start = viewer.joints().mean(0) * (1, 1, 0)  # offsets are the same on both sides
    angle = math.atan2(right[1], right[0])  # a body at rest has its left on +x
    board = matrix_to_quaternion_wxyz(torch.from_numpy(np.stack([right, (0, 0, -1), np.cross(right, (0, 0, -1))], 1)))
    scene = viewer.server.scene
    for i, actor in enumerate(others, 1):
        faces = actor.performer.faces
        assert faces is not None
        errors = _mean_errors(first, actor)
        rest, top = at_rest(actor.performer), nice_top(errors)
        place = start + right * (reach + i * _APART) + np.array([0.0, 0.0, viewer.scene.ground or 0.0])
        glb = coloured_glb(rest, faces.cpu().numpy(), heat_colours(errors, top))
        turned = (math.cos(angle / 2), 0.0, 0.0, math.sin(angle / 2))
        scene.add_glb(f"/heat{i}", glb, position=place, wxyz=turned)
        image, high = _board(f"{actor.name}: mean error", top), float(rest[:, 2].max())
        size = 0.8, 0.8 * image.height / image.width
        above = place + np.array([0.0, 0.0, high + 0.08 + size[1] / 2])
        scene.add_image(
            f"/scale{i}", np.asarray(image), *size, format="png", wxyz=board.numpy(), position=above, cast_shadow=False
        )
        viewer.stand_by(np.stack([place, above + np.array([0.0, 0.0, size[1] / 2])]))


def _mean_errors(first: Actor, actor: Actor) -> np.ndarray:
    """[vertices] millimetres, the mean over frames at equal times."""
    frames, errors = actor.some_frames(_HEAT_FRAMES), errors_between(first, actor)
    return vertex_means(errors(frames[i : i + _AT_ONCE]) for i in range(0, len(frames), _AT_ONCE))


def _board(title: str, top_mm: float) -> Image.Image:
    """The scale of a heat map below its title."""
    width = 400
    out = Image.new("RGB", (width, 140), BAND)
    out.paste(colour_strip(top_mm, width - 40, 28), (20, 58))
    draw, font = ImageDraw.Draw(out), ImageFont.load_default(32)
    while font.getlength(title) > width - 40 and len(title) > len("mean error"):
        title = "…" + title[2:]
    for place, text, anchor in (((20, 28), title, "lm"), ((20, 112), "0", "lm"), ((380, 112), f"{top_mm:g} mm", "rm")):
        draw.text(place, text, INK, font, anchor=anchor)
    return out
