"""The live viewer: a scene in a browser page, with a time line and controls.

    with Viewer(open_server(), load_scene(["walk_poses.npz"])) as viewer:
        viewer.player.play()
        viewer.player.wait()          # until the process is interrupted

The browser skins the surface and only gets the bones of each frame, so that long clips scrub without stalling. Exact
vertices, heat maps and errors are computed only for the frame that is shown.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitruve.draw.heat import nice_top
from vitruve.draw.scene import Actor, Scene, errors_between, limbs_facing_deg, load_scene, side_by_side
from vitruve.errors import UsageError
from vitruve.motion.performer import motion_performer
from vitruve.viewer.actor import ActorNodes, Look, Surface
from vitruve.viewer.aim import FOV_DEG, START, abreast, across, aim, followed_path
from vitruve.viewer.controls import Controls
from vitruve.viewer.server import close_server
from vitruve.viewer.timeline import Player

if TYPE_CHECKING:
    import viser

_SCALE_FRAMES = 8  # frames that the scale of the heat map is taken from
# Width over height of the picture that the camera is fitted to: the maximum, and the default for an unknown window.
_WIDEST, _USUAL = 1.6, 1.0


class Viewer:
    """A scene on a viser server. Inside `with`, it can play, and methods may be called from any thread.

    Attributes:
        looks: what is drawn of each actor.
        surface: "exact when still" is skinned by the browser, and by the body model once a frame is still.
        following: whether the first actor stays in the middle.
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
            server: from `open_server`.
            heat: show the error of every further actor against the first from the beginning.
            follow: keep the first actor in the middle.
            folder: of licensed bodies, for the choice of bodies.
        """
        if heat:
            check_heat(scene)
        scene = abreast(scene)
        self.server, self.scene, self.folder = server, scene, folder
        # The originals: a body with fewer betas keeps only those.
        self._motions = [actor.performer.motion for actor in scene.actors]
        self.surface: Surface = surface
        self.following = follow
        self.looks = [Look(joints=actor.joints) for actor in scene.actors]
        self.player = Player(self, len(scene), scene.fps)
        self._path, self._view = followed_path(scene), START
        self._bystanders = np.zeros((0, 3), np.float32)
        self._world = server.scene.add_frame("/world", show_axes=False)
        self.nodes = [ActorNodes(server, actor, f"/world/actor{i}") for i, actor in enumerate(scene.actors)]
        self._made = len(self.nodes) - 1
        self._add_ground()
        self.controls = Controls(self)
        self.draw(0)
        self._aim(None)
        server.on_client_connect(lambda client: self.player.do(lambda: self._aim(client)))
        if heat:
            self.set_heat(True)

    def __enter__(self) -> Viewer:
        self.player.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop drawing and the server."""
        self.player.close()
        close_server(self.server)

    def change(self, index: int | None = None, **look: Any) -> None:
        """Change what is drawn of one actor, or of all: fields of `Look`."""

        def task() -> None:
            for i in range(len(self.looks)) if index is None else (index,):
                self.looks[i] = replace(self.looks[i], **look)

        self.player.do(task)

    def look_from(self, view: tuple[float, float]) -> None:
        """Turn all cameras to a view: azimuth from the first body's front and elevation, degrees."""

        def task() -> None:
            self._view = view
            for client in (None, *self.server.get_clients().values()):
                self._aim(client)

        self.player.do(task)

    def follow(self, following: bool) -> None:
        """Keep the first actor in the middle, or stop that."""
        self.following = following
        self.player.do(lambda: None)

    def set_surface(self, surface: Surface) -> None:
        """Choose how surfaces are drawn, see the attribute."""
        self.surface = surface
        self.player.do(lambda: None)

    def set_heat(self, heat: bool) -> None:
        """Show the error of every further actor against the first on its surface, once a frame is still."""
        self.player.do(lambda: self._set_heat(heat))

    def place(self, beside: bool) -> None:
        """Place the actors side by side, or in their true places."""

        def task() -> None:
            for nodes, actor in zip(self.nodes, side_by_side(self.scene, along=across(self.scene)).actors):
                nodes.actor = replace(nodes.actor, offset=actor.offset if beside else (0.0, 0.0))

        self.player.do(task)

    def set_body(self, index: int, name: str) -> None:
        """Draw an actor on another body, or only as joints and bones if the name is empty."""
        self.player.do(lambda: self._set_body(index, name))

    def joints(self) -> NDArray[np.float32]:
        """[joints of all actors with data, 3] on the page, metres; of meshes some vertices."""
        frame = self.player.frame
        pairs = [(nodes, self.scene.frame_of(nodes.actor, frame)) for nodes in self.nodes]
        found = [nodes.points(own) for nodes, own in pairs if nodes.actor.performer.holds(own)]
        middle = np.array([[*self._path[frame], 0.9]], np.float32)
        return (np.concatenate(found or [middle]) + self._world.position).astype(np.float32)

    def stand_by(self, points: NDArray[Any]) -> None:
        """Add points [n, 3] beside the actors, metres on the page, that the camera of a new page must see too."""
        self._bystanders = np.concatenate([self._bystanders, points]).astype(np.float32)
        self._aim(None)

    def draw(self, frame: int) -> None:
        """Draw a frame at once, on the drawing thread."""
        with self.server.atomic():
            if self.following:
                x, y = self._path[frame]
                self._world.position = (-x, -y, 0.0)
            self._show(frame, exact=self.surface == "exact")

    def settle(self, round: int) -> bool:
        """Add exact vertices to a still frame, and heat maps, which the browser must read before they are shown."""
        frame, wanted = self.player.frame, False
        with self.server.atomic():
            if round:
                for nodes in self.nodes:
                    nodes.show_heat()
                return False
            if self.surface == "exact when still":
                self._show(frame, exact=True)
            for nodes, look in zip(self.nodes, self.looks):
                wanted |= nodes.send_heat(self.scene.frame_of(nodes.actor, frame), look)
        self.controls.show_errors()
        return wanted

    def moved(self, frame: int, playing: bool) -> None:
        """Update the time line of the page."""
        self.controls.show_time(frame, playing)

    def say(self, title: str, text: str) -> None:
        """Show a message on every page."""
        for client in self.server.get_clients().values():
            client.add_notification(title, text, auto_close_seconds=8.0)

    def _show(self, frame: int, exact: bool) -> None:
        drawn = [
            nodes.show(self.scene.frame_of(nodes.actor, frame), replace(look, exact=exact))
            for nodes, look in zip(self.nodes, self.looks)
        ]
        self.controls.show_frame(frame, drawn)

    def _set_heat(self, heat: bool) -> None:
        first, *others = self.nodes
        if heat and any(nodes.actor.errors is None for nodes in others):
            self.say("Heat map", "mapping the surfaces ...")
            try:
                errors = [errors_between(first.actor, nodes.actor) for nodes in others]
            except Exception:  # any: there is no heat map, so the box is cleared
                self.controls.show_heat(False, None)
                raise
            for nodes, own in zip(others, errors):
                nodes.actor = replace(nodes.actor, errors=own)
        top = self._top() if heat else None
        self.looks = [replace(look, heat=heat, top_mm=top or look.top_mm) for look in self.looks]
        self.controls.show_heat(heat, top)

    def _top(self) -> float:
        """The top of the scale in millimetres, from some frames of all actors."""
        actors = [nodes.actor for nodes in self.nodes]
        errors = [actor.errors(actor.some_frames(_SCALE_FRAMES)).ravel() for actor in actors if actor.errors]
        return nice_top(np.concatenate([np.zeros(0), *errors]))

    def _set_body(self, index: int, name: str) -> None:
        nodes, motion = self.nodes[index], self._motions[index]
        if motion is None:  # meshes and keypoints have no choice of bodies
            return
        old, notes = nodes.actor, ()
        actor = Actor(motion_performer(motion))
        if name:
            try:
                found = load_scene([motion], [name], folder=self.folder)
            except Exception:  # any: the choice returns to the body that is drawn
                self.controls.show_actor(index)
                raise
            actor, notes = found.actors[0], found.notes
        performer = replace(actor.performer, name=old.name)
        actor = replace(actor, performer=performer, colour=old.colour, offset=old.offset)
        self._made += 1
        self.nodes[index] = ActorNodes(self.server, actor, f"/world/actor{self._made}")
        nodes.retire()
        for node in self.nodes:
            node.actor = replace(node.actor, errors=None)
        self.scene = replace(self.scene, actors=tuple(node.actor for node in self.nodes))
        self.controls.show_actor(index)
        if self.looks[0].heat:
            self._set_heat(all(node.has_surface for node in self.nodes))
        for note in notes:
            self.say(old.name, note)

    def _add_ground(self) -> None:
        place = (0.0, 0.0, self.scene.ground or 0.0)
        self.ground = self.server.scene.add_grid(
            "/world/ground",
            infinite_grid=True,
            cell_size=0.5,
            section_size=1.0,
            cell_color=(215, 218, 222),
            section_color=(170, 175, 182),
            fade_distance=30.0,
            position=place,
            shadow_opacity=0.25,
            visible=self.scene.ground is not None,
        )
        self.axes = self.server.scene.add_frame("/world/axes", axes_length=0.3, axes_radius=0.008, position=place)

    def _aim(self, client: viser.ClientHandle | None) -> None:
        """Set the camera of a page, or the one of new pages and "Reset view"."""
        first = self.nodes[0].actor
        own = self.scene.frame_of(first, self.player.frame)
        facing = limbs_facing_deg(first, [own]) if first.performer.holds(own) else 0.0
        camera = self.server.initial_camera if client is None else client.camera
        aspect = _USUAL if client is None else min(client.camera.aspect, _WIDEST)
        position, target = aim(np.concatenate([self.joints(), self._bystanders]), facing, self._view, aspect)
        with self.server.atomic() if client is None else client.atomic():
            camera.fov = np.radians(FOV_DEG)
            camera.position = position
            camera.look_at = target


def check_heat(scene: Scene) -> None:
    """Raise UsageError if a heat map has no error to show."""
    bare = next((actor.name for actor in scene.actors if not actor.performer.has_surface), None)
    if len(scene.actors) > 1 and bare is None:
        return
    raise UsageError(
        "a heat map shows the error of a surface against that of the first motion",
        where=f"--heat with {bare}, which has no surface" if bare else "--heat with one motion",
        fix="leave out --heat"
        + (", or convert it first: vitruve convert FILE --to BODY" if bare else ", or name a second motion"),
    )
