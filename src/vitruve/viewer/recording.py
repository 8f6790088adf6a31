"""A scene as one file that plays in a browser: a page that needs nothing else, or a recording of viser."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from vitruve.draw.heat import heat_colours, nice_top
from vitruve.draw.heat_views import at_rest, vertex_means
from vitruve.draw.pictures import spread
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
# Frames that the mean error is taken over, how many at a time, and metres from a heat map to its neighbour.
_HEAT_FRAMES, _AT_ONCE, _APART = 60, 20, 1.1


def check_recording(path: str | PathLike[str]) -> Path:
    """The path, if its ending is one that can be written."""
    path = Path(path)
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(
            f"a recording is not written as '{path.suffix or path.name}'",
            where=f"--save {path}",
            fix="end it in .html for a page that opens by itself, or in .viser; for video: vitruve render",
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
    """Write all frames of a scene into one file, with play, pause, speed and a time line.

    Surfaces are skinned by the browser, which knows one colour for each: errors are shown as their mean over the clip,
    on a body at rest. Of meshes every frame is written with all its vertices.

    Args:
        scene: what to record.
        path: .html opens in a browser by itself; .viser is played by a viser page (`?playbackPath=`).
        rate: no more frames a second than this are recorded.
        overwrite: replace what is there.
        follow: keep the first actor in the middle.
        heat: let each further actor stand at rest beside the scene, coloured by its mean error against the first.
        progress: called with frames done and frames in all.

    Returns:
        The path written.
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
    """Every further actor at rest, on the right of all, coloured by its mean error over the clip; with its scale."""
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
    valid, errors = actor.performer.valid_frames(), errors_between(first, actor)
    frames = [int(valid[i]) for i in spread(len(valid), _HEAT_FRAMES)]
    return vertex_means(errors(frames[i : i + _AT_ONCE]) for i in range(0, len(frames), _AT_ONCE))


def _board(title: str, top_mm: float) -> Image.Image:
    """The scale of a heat map below its title."""
    width, ink = 400, (60, 66, 76)
    out = Image.new("RGB", (width, 140), (236, 238, 242))
    strip = (255 * heat_colours(np.linspace(0, top_mm, width - 40), top_mm) + 0.5).astype(np.uint8)
    out.paste(Image.fromarray(np.repeat(strip[None], 28, 0)), (20, 58))
    draw, font = ImageDraw.Draw(out), ImageFont.load_default(32)
    while font.getlength(title) > width - 40 and len(title) > len("mean error"):
        title = "…" + title[2:]
    draw.text((20, 28), title, ink, font, anchor="lm")
    draw.text((20, 112), "0", ink, font, anchor="lm")
    draw.text((width - 20, 112), f"{top_mm:g} mm", ink, font, anchor="rm")
    return out
