"""A scene as one file that plays in a browser: a page that needs nothing else, or a recording of viser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vitruve.errors import UsageError
from vitruve.formats.replacing import replacing
from vitruve.runs.progress import Progress
from vitruve.view.scene import Scene
from vitruve.view.viewer import Viewer
from vitruve.view.viewer_server import open_server

if TYPE_CHECKING:
    from os import PathLike

ENDINGS = (".html", ".viser")


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
    progress: Progress | None = None,
) -> Path:
    """Write all frames of a scene into one file, with play, pause, speed and a time line.

    Surfaces are skinned by the browser; heat maps are not recorded.

    Args:
        scene: what to record.
        path: .html opens in a browser by itself; .viser is played by a viser page (`?playbackPath=`).
        rate: no more frames a second than this are recorded.
        overwrite: replace what is there.
        follow: keep the first actor in the middle.
        progress: called with frames done and frames in all.

    Returns:
        The path written.
    """
    path = check_recording(path)
    stride = max(1, round(scene.fps / rate))
    frames = range(0, len(scene), stride)
    with replacing(path, overwrite=overwrite) as temporary:
        viewer = Viewer(open_server(port=0), scene, surface="skinned", follow=follow)
        try:
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
