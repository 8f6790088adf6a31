"""The live viewer: a scene in a browser page, with a time line and controls.

    server = open_server()
    with Viewer(server, load_scene(["walk_poses.npz"])) as viewer:
        viewer.play()
        viewer.wait()                 # until the process is interrupted

The surface is skinned in the browser: of each frame only the bones are sent, so long clips scrub without stalling.
Exact vertices, heat maps and errors are worked out for the frame that is shown, and for no other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from vitruve.errors import VitruveError
from vitruve.view.scene import Actor, Scene, errors_between, load_scene, side_by_side
from vitruve.view.viewer_actor import ActorNodes, Look, Surface
from vitruve.view.viewer_camera import FOV_DEG, START, aim, facing_deg, followed_path
from vitruve.view.viewer_controls import Controls
from vitruve.view.viewer_heat import round_up
from vitruve.view.viewer_server import close_server

if TYPE_CHECKING:
    import viser

# A frame counts as still after this many seconds. No more pictures a second than this are sent, with heat maps fewer.
_STILL = 0.25
_RATE, _HEAT_RATE = 60.0, 10.0
# Frames that the scale of the heat map is chosen from.
_SCALE_FRAMES = 8


class Viewer:
    """A scene on a viser server. Inside `with` a thread of its own draws, and methods may be called from anywhere.

    Attributes:
        scene: what is shown.
        frame: of the time line, the one that is shown or about to be.
        playing: whether time runs.
        speed: seconds of the clip per second.
        loop: begin again at the end.
        nodes: the nodes of each actor.
        surface: "exact when still": skinned by the browser, and by the body model once a frame stands still.
    """

    def __init__(
        self,
        server: viser.ViserServer,
        scene: Scene,
        *,
        surface: Surface = "exact when still",
        heat: bool = False,
        follow: bool = True,
        folder: str | Path | None = None,
    ) -> None:
        """
        Args:
            server: as `open_server` gives it.
            scene: what to show.
            surface: see the attribute.
            heat: show the error of every further actor against the first from the beginning.
            follow: keep the first actor in the middle.
            folder: where licensed bodies lie, for the choice of bodies.
        """
        self.server, self.scene, self.folder = server, scene, folder
        self.frame, self.playing, self.speed, self.loop = 0, False, 1.0, True
        self.surface: Surface = surface
        self.looks = [Look(joints=actor.joints) for actor in scene.actors]
        self.following = follow
        self.error: BaseException | None = None
        self._path = followed_path(scene)
        self._changed = threading.Condition()
        self._tasks: list[Callable[[], None]] = []
        self._drawn, self._drawn_at, self._settled = -1, 0.0, False
        self._busy, self._closed, self._nudged = False, False, False
        self._clock = (0.0, 0.0)
        self._world = server.scene.add_frame("/world", show_axes=False)
        self.nodes = [ActorNodes(server, actor, f"/world/actor{i}") for i, actor in enumerate(scene.actors)]
        self._add_ground()
        self.controls = Controls(self)
        if heat:
            self.do(lambda: self._set_heat(True))
        self.draw(0)
        server.initial_camera.fov = np.radians(FOV_DEG)
        self.look_from(START)
        server.on_client_connect(self._welcome)
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self.scene)

    def __enter__(self) -> Viewer:
        self._thread = threading.Thread(target=self._run, name="vitruve-viewer", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def go_to(self, frame: int) -> None:
        """Show a frame of the time line."""
        with self._changed:
            self.frame = max(0, min(int(frame), len(self) - 1))
            self._clock = (time.monotonic(), self.frame)
            self._changed.notify_all()
        self.controls.set_slider(self.frame)

    def step(self, frames: int) -> None:
        """Stop, and go some frames forward or back."""
        self.pause()
        self.go_to(self.frame + frames)

    def play(self, playing: bool = True) -> None:
        """Let time run, from the beginning where the end was reached."""
        with self._changed:
            if playing and self.frame == len(self) - 1:
                self.frame = 0
            self.playing, self._clock, self._nudged = playing, (time.monotonic(), self.frame), True
            self._changed.notify_all()
        self.controls.show_playing(playing)

    def pause(self) -> None:
        """Stop time."""
        if self.playing:
            self.play(False)

    def set_speed(self, speed: float) -> None:
        """Seconds of the clip per second."""
        with self._changed:
            self.speed, self._clock = speed, (time.monotonic(), self.frame)

    def change(self, index: int | None = None, **look: Any) -> None:
        """Change what is drawn of one actor, or of all: fields of `Look`."""

        def task() -> None:
            for i in range(len(self.looks)) if index is None else (index,):
                self.looks[i] = replace(self.looks[i], **look)

        self.do(task)

    def do(self, task: Callable[[], None]) -> None:
        """Have something done by the thread that draws, before the next frame; then all is drawn anew."""
        with self._changed:
            self._tasks.append(task)
            self._nudged = True
            self._changed.notify_all()

    def look_from(self, view: tuple[float, float]) -> None:
        """Turn all cameras to a view: degrees round the first body from its front, and upwards."""
        self._view = view
        for client in self.server.get_clients().values():
            self._aim(client)
        self._aim(None)

    def follow(self, following: bool) -> None:
        """Keep the first actor in the middle of the page, or let it walk away."""

        def task() -> None:
            self.following = following

        self.do(task)

    def set_heat(self, heat: bool) -> None:
        """Show the error of every further actor against the first on its surface."""
        self.do(lambda: self._set_heat(heat))

    def place(self, beside: bool) -> None:
        """The actors side by side, or all in their true places."""

        def task() -> None:
            scene = side_by_side(self.scene) if beside else self.scene
            for nodes, actor in zip(self.nodes, scene.actors):
                nodes.actor = replace(nodes.actor, offset=actor.offset if beside else (0.0, 0.0))

        self.do(task)

    def set_body(self, index: int, name: str) -> None:
        """Draw an actor on another body, or as joints and bones only where the name is empty."""
        self.do(lambda: self._set_body(index, name))

    def wait_until_drawn(self, seconds: float = 10.0) -> bool:
        """Wait until all that was asked for is drawn and stands still; False where that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: self._idle or self.error is not None, seconds) and self._idle

    def wait(self, seconds: float | None = None) -> None:
        """Wait for some time, or until the viewer is closed; an error of the drawing thread is raised here."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self.error is not None, seconds)
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """Stop the drawing thread and the server."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(5.0)
        close_server(self.server)

    def joints(self) -> np.ndarray:
        """[joints of all actors, 3] as they stand on the page now, metres."""
        found = [
            nodes.joints(own)
            for nodes in self.nodes
            if nodes.actor.valid(own := self.scene.frame_of(nodes.actor, self.frame))
        ]
        middle = np.array([[*self._path[self.frame], 0.9]], np.float32)
        return np.concatenate(found or [middle]) + np.asarray(self._world.position)

    @property
    def _idle(self) -> bool:
        return not (self._tasks or self._busy or self.playing) and self._settled and self._drawn == self.frame

    def _run(self) -> None:
        try:
            while not self._closed:
                self._turn()
        except BaseException as error:  # handed to the thread that waits for the viewer
            with self._changed:
                self.error = error
                self._changed.notify_all()

    def _turn(self) -> None:
        with self._changed:
            if self._idle:
                self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or self._nudged or self._drawn != self.frame, self._patience())
            self._nudged = False
            if self._closed:
                return
            tasks, self._tasks = self._tasks, []
            self._busy = True
        for task in tasks:
            try:
                task()
            except VitruveError as error:
                self.controls.say(error.what, error.fix)
        if self.playing:
            self._advance()
        still = not self.playing and time.monotonic() - self._drawn_at >= _STILL
        if tasks or self._drawn != self.frame:
            self.draw(self.frame)
        elif still and not self._settled:
            self._settle()
        self._busy = False

    def _patience(self) -> float | None:
        """Seconds until there is something to do without being asked."""
        since = time.monotonic() - self._drawn_at
        if self.playing:
            rate = _HEAT_RATE if any(look.heat for look in self.looks) else min(_RATE, self.scene.fps * self.speed)
            return max(1 / rate - since, 0.001)
        return None if self._settled else max(_STILL - since, 0.001)

    def _advance(self) -> None:
        """The frame that the clock says; frames are left out where drawing takes longer than they last."""
        start, frame = self._clock
        now = int(frame + (time.monotonic() - start) * self.scene.fps * self.speed)
        if now < len(self):
            self.frame = now
        elif self.loop:
            self.frame, self._clock = 0, (time.monotonic(), 0)
        else:
            self.frame = len(self) - 1
            self.play(False)
        self.controls.set_slider(self.frame)

    def draw(self, frame: int) -> None:
        """Draw a frame at once. Inside `with` this is left to the thread: call `go_to`."""
        exact = self.surface == "exact"
        self._settled = False
        with self.server.atomic():
            if self.following:
                x, y = self._path[frame]
                self._world.position = (-x, -y, 0.0)
            self._show(frame, exact)
        self._drawn, self._drawn_at = frame, time.monotonic()

    def _settle(self) -> None:
        """What is added once a frame stands still: exact vertices, and heat maps that waited for the browser."""
        with self.server.atomic():
            if self.surface == "exact when still":
                self._show(self._drawn, exact=True)
            for nodes in self.nodes:
                nodes.settle()
        self._settled = True

    def _show(self, frame: int, exact: bool) -> None:
        drawn = []
        for nodes, look in zip(self.nodes, self.looks):
            drawn.append(nodes.show(self.scene.frame_of(nodes.actor, frame), replace(look, exact=exact)))
        self.controls.show_frame(frame, drawn)

    def _set_heat(self, heat: bool) -> None:
        first, *others = self.nodes
        if heat and any(nodes.actor.errors is None for nodes in others):
            self.controls.say("Heat map", "looking where the two surfaces correspond ...")
            for nodes in others:
                nodes.actor = replace(nodes.actor, errors=errors_between(first.actor, nodes.actor))
        top = self._top(others) if heat else None
        self.looks = [replace(look, heat=heat, top_mm=top or look.top_mm) for look in self.looks]
        self.controls.show_heat(heat, top)

    def _top(self, nodes: list[ActorNodes]) -> float:
        """The top of the scale, millimetres: few vertices of a few frames have larger errors."""
        worst = []
        for node in nodes:
            frames = node.actor.valid_frames()
            chosen = frames[np.linspace(0, len(frames) - 1, min(len(frames), _SCALE_FRAMES)).astype(int)].tolist()
            errors = node.actor.errors(chosen) if node.actor.errors else np.zeros((1, 1))
            known = errors[np.isfinite(errors)]
            worst.append(np.percentile(known, 99) if len(known) else 0.0)
        return round_up(float(max(worst)))

    def _set_body(self, index: int, name: str) -> None:
        nodes = self.nodes[index]
        old = nodes.actor
        found = load_scene([old.motion], [name] if name else (), folder=self.folder) if name else None
        actor = replace(found.actors[0], name=old.name, colour=old.colour, offset=old.offset) if found else None
        actor = actor or Actor(old.name, old.motion, None, old.colour, old.offset)
        nodes.remove()
        self.nodes[index] = ActorNodes(self.server, actor, nodes.name)
        actors = [node.actor for node in self.nodes]
        self.scene = replace(self.scene, actors=tuple(actors))
        self.controls.show_actor(index)
        if any(look.heat for look in self.looks):
            for node in self.nodes[1:]:
                node.actor = replace(node.actor, errors=None)
            self._set_heat(True)
        for note in found.notes if found else ():
            self.controls.say(old.name, note)

    def _add_ground(self) -> None:
        height = self.scene.ground or 0.0
        self.ground = self.server.scene.add_grid(
            "/world/ground",
            infinite_grid=True,
            cell_size=0.5,
            section_size=1.0,
            cell_color=(215, 218, 222),
            section_color=(170, 175, 182),
            fade_distance=30.0,
            position=(0.0, 0.0, height),
            shadow_opacity=0.25,
        )
        self.axes = self.server.scene.add_frame(
            "/world/axes", axes_length=0.3, axes_radius=0.008, position=(0.0, 0.0, height)
        )

    def _welcome(self, client: viser.ClientHandle) -> None:
        """A page that was opened gets the camera that all have."""
        self.do(lambda: self._aim(client))

    def _aim(self, client: viser.ClientHandle | None) -> None:
        """Set the camera of a page, or the one that new pages and "Reset view" get."""
        first = self.nodes[0].actor
        own = min(self.scene.frame_of(first, self.frame), len(first.motion) - 1)
        facing = facing_deg(first, own) if first.valid(own) else 0.0
        camera = self.server.initial_camera if client is None else client.camera
        aspect = 1.6 if client is None else client.camera.aspect
        viewpoint = aim(self.joints(), facing, self._view, min(aspect, 1.6))
        with self.server.atomic() if client is None else client.atomic():
            camera.fov = np.radians(FOV_DEG)
            camera.position = viewpoint.position
            camera.look_at = viewpoint.target
