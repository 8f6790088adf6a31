"""The viewer's panel: time line, what is drawn, camera, bodies and notes."""

from __future__ import annotations

import html
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vitruve.bodies.catalogue import body_names, find_bodies
from vitruve.bodies.files import SKELETONS
from vitruve.draw.framing import rgb
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
    """Names of the bodies that fit a motion: open ones, and installed licensed ones."""
    motion = actor.performer.motion
    if motion is None:
        return []
    layouts = [layout for layout, skeleton in SKELETONS.items() if skeleton == motion.skeleton.name]
    names = [name for name in body_names() if name.startswith("open-")] + list(find_bodies(folder))
    return [name for name in names if name.removeprefix("open-").split("-")[0] in layouts]


class Controlled(Protocol):
    """What the panel uses of a `Viewer`."""

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

    def change(self, index: int | None = None, **look: Any) -> None: ...
    def look_from(self, view: tuple[float, float]) -> None: ...
    def follow(self, following: bool) -> None: ...
    def set_surface(self, surface: Surface) -> None: ...
    def set_heat(self, heat: bool) -> None: ...
    def place(self, beside: bool) -> None: ...
    def set_body(self, index: int, name: str) -> None: ...


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
            notes = (f"<p style='margin:.2em 0'>{html.escape(note)}</p>" for note in viewer.scene.notes)
            with self._gui.add_folder("Notes"):
                self._gui.add_html(_block("".join(notes)))
        self._add_keys()

    def show_frame(self, frame: int, drawn: list[bool]) -> None:
        """Show the number of the frame, and the actors without data there."""
        viewer = self._viewer
        text = f"frame <b>{frame}</b> of 0 to {self._last} · {frame / viewer.scene.fps:.2f} s"
        missing = [node.actor.name for node, here in zip(viewer.nodes, drawn) if not here]
        if missing:
            text += f"<br>no data here: {html.escape(', '.join(missing))}"
        self._now.content = _block(f"<span id='vitruve-frame' data-frame='{frame}'>{text}</span>")
        self.show_errors()

    def show_time(self, frame: int, playing: bool) -> None:
        """Update the time line and the label of the button."""
        _update(self._slider, value=frame)
        _update(self._play, label="Pause" if playing else "Play")

    def show_heat(self, heat: bool, top_mm: float | None) -> None:
        """Update the controls of the heat map."""
        _update(self._heat, value=heat)
        self._top.visible = self._legend.visible = heat
        if top_mm is not None:
            self._top.value = top_mm

    def show_actor(self, index: int) -> None:
        """Update the body of an actor."""
        actor = self._viewer.nodes[index].actor
        self._infos[index].content = _info(actor)
        self._pickers[index].value = _drawn_on(actor.performer)

    def show_errors(self) -> None:
        """Update the scale of the heat map, and the errors of a still frame."""
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
        text = "<br>".join(rows or ["shown for a still frame"])
        self._legend.content = _block(f"{bar}<span id='vitruve-errors'>{text}</span>")

    def _add_time(self) -> None:
        gui, player = self._gui, self._viewer.player
        with gui.add_folder("Time"):
            self._now = gui.add_html("")
            self._slider = gui.add_slider("Frame", 0, max(self._last, 1), 1, 0, disabled=self._last < 1)
            self._play = gui.add_button("Play", disabled=self._last < 1)
            steps = gui.add_button_group("Step", tuple(_STEPS))
            speed = gui.add_dropdown("Speed", tuple(_SPEEDS), initial_value="1x")
            loop = gui.add_checkbox("Loop", player.loop)
        _on(self._slider.on_update, player.go_to, by_user=True)
        _on(self._play.on_click, lambda _: player.play(not player.playing))
        _on(steps.on_click, lambda label: player.step(_STEPS[label]))
        _on(speed.on_update, lambda label: player.set_speed(_SPEEDS[label]))
        _on(loop.on_update, partial(setattr, player, "loop"))

    def _add_scene(self) -> None:
        gui, viewer, nodes = self._gui, self._viewer, self._viewer.nodes
        several, surfaces = len(nodes) > 1, sum(node.has_surface for node in nodes)
        joints_on, beside_on = any(look.joints for look in viewer.looks), any(any(node.actor.offset) for node in nodes)
        with gui.add_folder("Scene"):
            surface = gui.add_dropdown("Surface", SURFACES, initial_value=viewer.surface, visible=surfaces > 0)
            joints = gui.add_checkbox("Joints, bones", joints_on, visible=surfaces > 0)
            beside = gui.add_checkbox("Side by side", beside_on, visible=several)
            self._heat = gui.add_checkbox("Heat map", False, visible=several and surfaces == len(nodes))
            self._top = gui.add_number("Darkest, mm", 10.0, min=0.01, step=0.1, visible=False)
            self._legend = gui.add_html("", visible=False)
            ground = gui.add_checkbox("Ground", True)
            axes = gui.add_checkbox("Axes", True)
        _on(surface.on_update, viewer.set_surface)
        _on(joints.on_update, lambda shown: viewer.change(joints=shown))
        _on(beside.on_update, viewer.place)
        _on(self._heat.on_update, viewer.set_heat, by_user=True)
        _on(self._top.on_update, lambda top: viewer.change(top_mm=max(float(top), 0.01)), by_user=True)
        _on(ground.on_update, partial(setattr, viewer.ground, "visible"))
        _on(axes.on_update, partial(setattr, viewer.axes, "visible"))

    def _add_camera(self) -> None:
        with self._gui.add_folder("Camera"):
            views = self._gui.add_button_group("View", tuple(PRESETS))
            follow = self._gui.add_checkbox("Follow", self._viewer.following)
        _on(views.on_click, lambda name: self._viewer.look_from(PRESETS[name]))
        _on(follow.on_update, self._viewer.follow)

    def _add_actor(self, index: int) -> None:
        gui, viewer = self._gui, self._viewer
        actor = viewer.nodes[index].actor
        with gui.add_folder(actor.name):
            self._infos.append(gui.add_html(_info(actor)))
            shown = gui.add_checkbox("Shown", True)
            own, motion = _drawn_on(actor.performer), actor.performer.motion
            # The joints of a parametric skeleton need a body.
            bare = (_BARE,) if motion is not None and motion.skeleton.rest is not None else ()
            options = tuple(dict.fromkeys((*bare, own, *fitting_bodies(actor, viewer.folder))))
            picker = gui.add_dropdown("Body", options, initial_value=own, visible=len(options) > 1)
            self._pickers.append(picker)
        _on(shown.on_update, lambda value: viewer.change(index, shown=value))
        _on(picker.on_update, lambda name: viewer.set_body(index, "" if name == _BARE else name), by_user=True)

    def _add_keys(self) -> None:
        """Keys of the page; they are also in its list of commands (Ctrl+K)."""
        player, frames = self._viewer.player, len(self._viewer.scene)
        keys: dict[Any, tuple[str, Callable[[], None]]] = {
            "space": ("Play or pause", lambda: player.play(not player.playing)),
            # Arrows and W, A, S, D, Q, E turn and move the camera on every page of viser.
            "N": ("Next frame", lambda: player.step(1)),
            "P": ("Previous frame", lambda: player.step(-1)),
            "home": ("First frame", lambda: player.step(-frames)),
            "end": ("Last frame", lambda: player.step(frames)),
        }
        for key, (label, action) in keys.items():

            async def triggered(_: Any, action: Callable[[], None] = action) -> None:
                action()

            self._gui.add_command(label, hotkey=key).on_trigger(triggered)


def _on(register: Callable[[Any], Any], action: Callable[[Any], None], by_user: bool = False) -> None:
    """Call an action with the new value of a control; `by_user`: not for values that the program sets."""

    # viser calls asynchronous functions one after the other in the order of the events; they only leave a request.
    async def changed(event: Any) -> None:
        if event.client_id is not None or not by_user:
            action(event.target.value)

    register(changed)


def _drawn_on(performer: Performer) -> str:
    if performer.kind == "meshes":
        return "meshes" if performer.body is None else f"meshes of {performer.body.name}"
    return _BARE if performer.body is None else performer.body.name


def _info(actor: Actor) -> str:
    performer = actor.performer
    dot = f"<span style='color:rgb{rgb(actor.colour)}'>&#9679;</span> "
    gaps = int((~performer.valid).sum())
    skeleton = performer.skeleton if performer.body is None else None
    body = _drawn_on(performer) if skeleton is None else f"no body: joints of {skeleton.name}"
    text = f"{html.escape(body)}<br>{counted(len(performer), 'frame')} at {performer.fps:g} fps"
    return _block(dot + text + (f"<br><b>{counted(gaps, 'frame')} without data</b>" if gaps else ""))


def _update(control: Any, **values: Any) -> None:
    """Set attributes that have changed: each assignment is a message to the pages."""
    for name, value in values.items():
        if getattr(control, name) != value:
            setattr(control, name, value)


def _block(text: str) -> str:
    return f"<div style='padding:.1em 1em .4em;font-size:.85em;line-height:1.45'>{text}</div>"
