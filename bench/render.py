"""How fast films are drawn: python bench/render.py [--frames 240] [--size 1280x720] [--rounds 3]

A body of 10,475 vertices walks through the bundled clip: posed, with shadow, grid, light, anti-aliasing and frame
numbers, encoded as H.264 and written. Printed are frames a second as they passed on the clock, the processor time that
a frame took, and how it is shared; on a machine with other work the second one is the one to compare.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

import vitruve
from vitruve.draw.backdrop import backdrop, cast, shadow_of
from vitruve.draw.film import Look, film
from vitruve.draw.framing import on_picture
from vitruve.draw.raster import covered
from vitruve.draw.render import render_film, time_line
from vitruve.draw.scene import Scene, load_scene
from vitruve.draw.shading import draw
from vitruve.draw.video import write_film
from vitruve.draw.views import parse_camera, place_camera
from vitruve.motion import Motion
from vitruve.motion.clips import bundled_clip_path
from vitruve.skeletons import load_skeleton


def walking(frames: int) -> Motion:
    """The bundled clip on the joints of SMPL-X."""
    clip, skeleton = vitruve.load_motion(bundled_clip_path()), load_skeleton("smplx55")
    rotations = torch.eye(3, dtype=clip.dtype).repeat(len(clip), len(skeleton), 1, 1)
    for here, there in clip.skeleton.map_to(skeleton).items():
        rotations[:, there] = clip.rotations[:, here]
    start = 100
    return clip.replace(rotations=rotations, skeleton=skeleton, body="smplx", betas=clip.betas[:0])[
        start : start + frames
    ]


def measured(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Least seconds on the clock and of the processor."""
    clock, processor = [], []
    for _ in range(rounds):
        a, b = time.perf_counter(), time.process_time()
        work()
        clock.append(time.perf_counter() - a)
        processor.append(time.process_time() - b)
    return min(clock), min(processor)


def whole(scene: Scene, camera: str, size: tuple[int, int], rounds: int) -> None:
    """Print how fast a film is made from the scene to the file."""
    frames, look = len(scene), Look(numbers=True)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "film.mp4"

        def work() -> None:
            render_film(scene, out, time_line(scene), size, parse_camera(camera), look, overwrite=True)

        clock, processor = measured(work, rounds)
    per_frame = 1000 * processor / frames
    cores = len(os.sched_getaffinity(0))
    print(
        f"{camera:<14}{frames / clock:>8.1f} frames/s on the clock,{per_frame:>6.1f} ms of processor a frame: "
        f"{1000 * cores / per_frame:.0f} frames/s where {cores} cores have nothing else to do"
    )


def parts(scene: Scene, size: tuple[int, int], rounds: int) -> None:
    """Print what the processor's time of a frame goes into."""
    frames = list(range(0, len(scene), max(1, len(scene) // 40)))[:40]
    camera = place_camera(scene, frames, parse_camera("fit"), size)
    (actor,) = scene.actors
    assert actor.performer.faces is not None and scene.ground is not None
    ground, faces = scene.ground, actor.performer.faces.numpy()
    vertices = actor.vertices(frames).double().numpy()
    pictures = list(film(scene, frames, camera, size))
    empty = backdrop(size, camera, ground)
    fine = (2 * size[0], 2 * size[1])

    def shadows() -> None:
        for mesh in vertices:
            shadow = shadow_of(mesh, faces, ground)
            assert shadow is not None
            cast(empty.copy(), shadow, camera)

    with tempfile.TemporaryDirectory() as folder:
        work: dict[str, Callable[[], object]] = {
            "posing": lambda: [actor.vertices(frames[i : i + 8]) for i in range(0, len(frames), 8)],
            "ground shadow": shadows,
            "drawing": lambda: [draw(empty.copy(), mesh, faces, camera) for mesh in vertices],
            "of it the z-buffer": lambda: [covered(*on_picture(camera, mesh, fine), faces, fine) for mesh in vertices],
            "H.264": lambda: write_film(pictures, Path(folder) / "a.mp4", 30, size),
        }
        for name, task in work.items():
            print(f"  {name:<20}{1000 * measured(task, rounds)[1] / len(frames):>6.1f} ms")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure how fast films are drawn.")
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    width, height = (int(number) for number in given.size.split("x"))
    scene = load_scene([walking(given.frames)], ["open-smplx"])
    print(f"{scene.actors[0].performer.body!r:.60}, {width}x{height}, {len(scene)} frames")
    torch.set_num_threads(1)
    whole(scene, "fit", (width, height), 1)  # compiles, and fills caches
    for camera in ("fit", "follow"):
        whole(scene, camera, (width, height), given.rounds)
    parts(scene, (width, height), given.rounds)


if __name__ == "__main__":
    main()
