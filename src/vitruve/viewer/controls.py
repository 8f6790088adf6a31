"""The viewer's panel: time line, what is drawn, camera, bodies, and what there is to know."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vitruve.bodies.catalogue import body_names, find_bodies
from vitruve.bodies.files import SKELETONS
from vitruve.draw.heat import heat_gradient
from vitruve.draw.scene import Actor, Scene
from vitruve.motion.performer import Performer
from vitruve.viewer.actor import SURFACES, ActorNodes, Look, Surface
from vitruve.viewer.aim import PRESETS
from vitruve.viewer.timeline import Player
from vitruve.words import counted

if TYPE_CHECKING:
    import viser

_SPEEDS = {"0.1x": 0.1, "0.25x": 0.25, "0.5x": 0.5, "1x": 1.0, "2x": 2.0, "4x": 4.0}
_BARE = "joints only"
_STEPS = {"-10": -10, "-1": -1, "+1": 1, "+10": 10}


def fitting_bodies(actor: Actor, folder: Any = None) -> list[str]:
    """Names of the bodies on which a motion can be drawn: the open ones, and the licensed ones that were found."""
    motion = actor.performer.motion
    if motion is None:
        return []
    layouts = [layout for layout, skeleton in SKELETONS.items() if skeleton == motion.skeleton.name]
    names = [name for name in body_names() if name.startswith("open-")] + list(find_bodies(folder))
    return [name for name in names if name.removeprefix("open-").split("-")[0] in layouts]


class Controlled(Protocol):
    """What the panel reads of a viewer, and what it can ask it to do. `Viewer` is one."""

    server: viser.ViserServer
    scene: Scene
    folder: Any
    nodes: list[ActorNodes]
    looks: list[Look]
    player: Player
    surface: Surface
    following: bool
    ground: Any
    axes: Any

    def change(self, index: int | None = None, **look: Any) -> None:
        """Change what is drawn of one actor, or of all."""

    def look_from(self, view: tuple[float, float]) -> None:
        """Turn all cameras to a view."""

    def set_heat(self, heat: bool) -> None:
        """Show or hide the heat map."""

    def place(self, beside: bool) -> None:
        """The actors side by side, or in their true places."""

    def set_body(self, index: int, name: str) -> None:
        """Draw an actor on another body."""


class Controls:
    """The panel of a viewer."""

    def __init__(self, viewer: Controlled) -> None:
        self._viewer = viewer
        self._gui = viewer.server.gui
        self._last = len(viewer.scene) - 1
        self._add_time()
        self._add_scene()
        self._add_camera()
        self._infos, self._pickers = [], []
        for index in range(len(viewer.nodes)):
            self._add_actor(index)
        if viewer.scene.notes:
            with self._gui.add_folder("Notes"):
                self._gui.add_html(
                    _block("".join(f"<p style='margin:.2em 0'>{html.escape(note)}</p>" for note in viewer.scene.notes))
                )
        self._add_keys()

    def show_frame(self, frame: int, drawn: list[bool]) -> None:
        """Say which frame is shown, and who has no data there."""
        viewer = self._viewer
        text = f"frame <b>{frame}</b> of 0 to {self._last} · {frame / viewer.scene.fps:.2f} s"
        missing = [node.actor.name for node, here in zip(viewer.nodes, drawn) if not here]
        if missing:
            text += f"<br>no data here: {html.escape(', '.join(missing))}"
        self._now.content = _block(f"<span id='vitruve-frame' data-frame='{frame}'>{text}</span>")
        self.show_errors()

    def show_time(self, frame: int, playing: bool) -> None:
        """Move the time line, and say on the button what it will do."""
        label = "Pause" if playing else "Play"
        if self._slider.value != frame:
            self._slider.value = frame
        if self._play.label != label:
            self._play.label = label

    def show_heat(self, heat: bool, top_mm: float | None) -> None:
        """Show whether there is a heat map, and its scale."""
        if self._heat.value != heat:
            self._heat.value = heat
        self._top.visible = self._legend.visible = heat
        if top_mm is not None:
            self._top.value = top_mm

    def show_actor(self, index: int) -> None:
        """Say anew what an actor is drawn on."""
        actor = self._viewer.nodes[index].actor
        self._infos[index].content = _info(actor)
        self._pickers[index].value = _drawn_on(actor.performer)

    def show_errors(self) -> None:
        """The scale of the heat map, and what it is for the frame that stands still."""
        if not self._legend.visible:
            return
        rows = []
        for node in self._viewer.nodes:
            if node.errors_mm is not None and np.isfinite(node.errors_mm).any():
                mean, worst = np.nanmean(node.errors_mm), np.nanmax(node.errors_mm)
                rows.append(f"{html.escape(node.actor.name)}: mean {mean:.2f} mm, worst {worst:.2f} mm")
        bar = (
            f"<div style='height:.7em;background:{heat_gradient()}'></div>"
            "<div style='display:flex;justify-content:space-between'>"
            f"<span>0</span><span>{self._viewer.looks[-1].top_mm:g} mm</span></div>"
        )
        text = "<br>".join(rows or ["where a frame stands still"])
        self._legend.content = _block(f"{bar}<span id='vitruve-errors'>{text}</span>")

    def _add_time(self) -> None:
        gui, viewer = self._gui, self._viewer
        with gui.add_folder("Time"):
            self._now = gui.add_html("")
            self._slider = gui.add_slider("Frame", 0, max(self._last, 1), 1, 0, disabled=self._last < 1)
            self._play = gui.add_button("Play", disabled=self._last < 1)
            steps = gui.add_button_group("Step", tuple(_STEPS))
            speed = gui.add_dropdown("Speed", tuple(_SPEEDS), initial_value="1x")
            loop = gui.add_checkbox("Loop", viewer.player.loop)

        # Asynchronous functions are called one after the other in the order of the events; they only leave a wish.
        @self._slider.on_update
        async def _(event: Any) -> None:
            if event.client_id is not None:
                viewer.player.go_to(event.target.value)

        @self._play.on_click
        async def _(_: Any) -> None:
            viewer.player.play(not viewer.player.playing)

        @steps.on_click
        async def _(event: Any) -> None:
            viewer.player.step(_STEPS[event.target.value])

        @speed.on_update
        async def _(event: Any) -> None:
            viewer.player.set_speed(_SPEEDS[event.target.value])

        @loop.on_update
        async def _(event: Any) -> None:
            viewer.player.loop = event.target.value

    def _add_scene(self) -> None:
        gui, viewer = self._gui, self._viewer
        several = len(viewer.nodes) > 1
        surfaces = [nodes for nodes in viewer.nodes if nodes.has_surface]
        with gui.add_folder("Scene"):
            surface = gui.add_dropdown("Surface", SURFACES, initial_value=viewer.surface, visible=bool(surfaces))
            joints = gui.add_checkbox(
                "Joints, bones", any(look.joints for look in viewer.looks), visible=bool(surfaces)
            )
            beside = gui.add_checkbox(
                "Side by side", any(any(nodes.actor.offset) for nodes in viewer.nodes), visible=several
            )
            self._heat = gui.add_checkbox("Heat map", False, visible=several and len(surfaces) == len(viewer.nodes))
            self._top = gui.add_number("Darkest, mm", 10.0, min=0.01, step=0.1, visible=False)
            self._legend = gui.add_html("", visible=False)
            ground = gui.add_checkbox("Ground", True)
            axes = gui.add_checkbox("Axes", True)

        @surface.on_update
        async def _(event: Any) -> None:
            viewer.surface = event.target.value
            viewer.player.do(lambda: None)

        @joints.on_update
        async def _(event: Any) -> None:
            viewer.change(joints=event.target.value)

        @beside.on_update
        async def _(event: Any) -> None:
            viewer.place(event.target.value)

        @self._heat.on_update
        async def _(event: Any) -> None:
            if event.client_id is not None:
                viewer.set_heat(event.target.value)

        @self._top.on_update
        async def _(event: Any) -> None:
            if event.client_id is not None:
                viewer.change(top_mm=max(float(event.target.value), 0.01))

        @ground.on_update
        async def _(event: Any) -> None:
            viewer.ground.visible = event.target.value

        @axes.on_update
        async def _(event: Any) -> None:
            viewer.axes.visible = event.target.value

    def _add_camera(self) -> None:
        gui, viewer = self._gui, self._viewer
        with gui.add_folder("Camera"):
            views = gui.add_button_group("View", tuple(PRESETS))
            follow = gui.add_checkbox("Follow", viewer.following)

        @views.on_click
        async def _(event: Any) -> None:
            viewer.look_from(PRESETS[event.target.value])

        @follow.on_update
        async def _(event: Any) -> None:
            viewer.following = event.target.value
            viewer.player.do(lambda: None)

    def _add_actor(self, index: int) -> None:
        gui, viewer = self._gui, self._viewer
        actor = viewer.nodes[index].actor
        with gui.add_folder(actor.name):
            self._infos.append(gui.add_html(_info(actor)))
            shown = gui.add_checkbox("Shown", True)
            names = fitting_bodies(actor, viewer.folder)
            own, motion = _drawn_on(actor.performer), actor.performer.motion
            # Where the joints of a parametric skeleton are, only a body knows.
            bare = (_BARE,) if motion is not None and motion.skeleton.rest is not None else ()
            options = tuple(dict.fromkeys((*bare, own, *names)))
            picker = gui.add_dropdown("Body", options, initial_value=own, visible=len(options) > 1)
            self._pickers.append(picker)

        @shown.on_update
        async def _(event: Any) -> None:
            viewer.change(index, shown=event.target.value)

        @picker.on_update
        async def _(event: Any) -> None:
            if event.client_id is not None:
                viewer.set_body(index, "" if event.target.value == _BARE else event.target.value)

    def _add_keys(self) -> None:
        """Keys of the page; they also stand in its list of commands (Ctrl+K)."""
        gui, viewer = self._gui, self._viewer
        keys: dict[Any, tuple[str, Any]] = {
            "space": ("Play or pause", lambda: viewer.player.play(not viewer.player.playing)),
            # Arrows and W, A, S, D, Q, E turn and move the camera on every page of viser.
            "N": ("Next frame", lambda: viewer.player.step(1)),
            "P": ("Previous frame", lambda: viewer.player.step(-1)),
            "home": ("First frame", lambda: viewer.player.step(-len(viewer.scene))),
            "end": ("Last frame", lambda: viewer.player.step(len(viewer.scene))),
        }
        for key, (label, action) in keys.items():
            command = gui.add_command(label, hotkey=key)

            async def triggered(_: Any, action: Any = action) -> None:
                action()

            command.on_trigger(triggered)


def _drawn_on(performer: Performer) -> str:
    """The body of a motion; else what is drawn."""
    if performer.kind == "meshes":
        return "meshes" if performer.body is None else f"meshes of {performer.body.name}"
    return _BARE if performer.body is None else performer.body.name


def _info(actor: Actor) -> str:
    performer = actor.performer
    red, green, blue = (round(255 * part) for part in actor.colour)
    dot = f"<span style='color:rgb({red},{green},{blue})'>&#9679;</span> "
    gaps = int((~performer.valid).sum())
    skeleton = performer.skeleton if performer.body is None else None
    body = _drawn_on(performer) if skeleton is None else f"no body: joints of {skeleton.name}"
    text = f"{html.escape(body)}<br>{counted(len(performer), 'frame')} at {performer.fps:g} fps"
    return _block(dot + text + (f"<br><b>{counted(gaps, 'frame')} without data</b>" if gaps else ""))


def _block(text: str) -> str:
    return f"<div style='padding:.1em 1em .4em;font-size:.85em;line-height:1.45'>{text}</div>"
