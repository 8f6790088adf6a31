"""What is to be seen: performers in one place or side by side; for pictures, video and the viewer alike.

scene = load_scene(["walk_poses.npz", "walk_smplx.npz"], layout="side", heat=True)
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.errors import BadData, UsageError
from vitruve.formats.fields import kept_gender
from vitruve.formats.performers import Source, load_performers
from vitruve.motion import Keypoints, Motion
from vitruve.motion.performer import Performer

Colour = tuple[float, float, float]
Errors = Callable[[Sequence[int]], NDArray[np.float32]]

Layout = Literal["overlay", "side"]

COLOURS: tuple[Colour, ...] = ((0.35, 0.55, 0.85), (0.95, 0.55, 0.25), (0.42, 0.68, 0.45), (0.70, 0.48, 0.75))
"""Colours of the actors in turn: the first is the source's blue, the second the result's orange."""

MESH_FPS = 30.0
"""Frames per second of meshes where nothing says it."""

# Frames that the height of the ground is looked for in, and metres from body to body where they stand side by side.
_GROUND_FRAMES, _GAP = 24, 1.0
_SAME = 1e-6  # of a frame: rounding
# Vertices that stand for a surface without joints.
_SOME_VERTICES = 100


@dataclass(frozen=True, eq=False)
class Actor:
    """A performer, and how it is drawn.

    Attributes:
        performer: who is drawn.
        colour: red, green, blue from 0 to 1.
        offset: metres in x and y that it stands beside its true place.
        joints: draw the joints and bones over the surface.
        errors: gives for frames the error of each vertex [frames, vertices] in millimetres, NaN where unknown; drawn as
            a heat map. None where no error is known.
    """

    performer: Performer
    colour: Colour = COLOURS[0]
    offset: tuple[float, float] = (0.0, 0.0)
    joints: bool = False
    errors: Errors | None = None

    @property
    def name(self) -> str:
        """What it is called on the screen."""
        return self.performer.name

    def vertices(self, frames: Sequence[int]) -> Float[Tensor, "chosen vertices 3"]:
        """Where the surface is in the scene at some frames, metres."""
        return self._placed(self.performer.vertices(frames))

    def joint_positions(self, frames: Sequence[int]) -> Float[Tensor, "chosen joints 3"]:
        """Where the joints are in the scene at some frames, metres."""
        return self._placed(self.performer.joints(frames))

    def points(self, frames: Sequence[int]) -> Float[Tensor, "chosen points 3"]:
        """Points that say where it is at some frames, metres: the joints, or some vertices where it has none."""
        if self.performer.skeleton is not None:
            return self.joint_positions(frames)
        vertices = self.vertices(frames)
        return vertices[:, :: max(1, vertices.shape[1] // _SOME_VERTICES)].double()

    def _placed(self, points: Tensor) -> Tensor:
        return points + points.new_tensor((*self.offset, 0.0)) if any(self.offset) else points


@dataclass(frozen=True, eq=False)
class Scene:
    """Actors on one time line.

    Attributes:
        actors: what is drawn.
        fps: of the time line. An actor's own frame is the nearest in time.
        ground: height of the ground in metres; None for none.
        notes: what a user must know: frames without data, bodies that stand in for others. One sentence each.
    """

    actors: tuple[Actor, ...]
    fps: float
    ground: float | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.actors:
            raise UsageError("there is nothing to see", where="no motion was given", fix="name a motion file")

    def __len__(self) -> int:
        """Frames of the time line: as long as the longest actor."""
        return max(round(len(one) / one.fps * self.fps) for one in (actor.performer for actor in self.actors))

    def frame_of(self, actor: Actor, frame: int) -> int:
        """The actor's own frame at a frame of the time line: the nearest; its length where the actor has ended."""
        moment, last = frame / self.fps * actor.performer.fps, len(actor.performer) - 1
        # The last frame stays until its time is over, also where the end of it is nearer.
        return last if last < moment < last + 1 - _SAME else round(moment)


def side_by_side(scene: Scene, gap: float = 1.0, along: tuple[float, float] = (1.0, 0.0)) -> Scene:
    """The actors beside each other, the first on the left, `gap` metres from middle to middle.

    Args:
        scene: what stands in one place.
        gap: metres.
        along: direction on the ground from the first to the last, of length one.
    """
    middle = (len(scene.actors) - 1) / 2
    steps = [((i - middle) * gap * along[0], (i - middle) * gap * along[1]) for i in range(len(scene.actors))]
    return replace(scene, actors=tuple(replace(actor, offset=step) for actor, step in zip(scene.actors, steps)))


def load_scene(
    sources: Sequence[Source],
    bodies: Sequence[str | BodyModel] = (),
    *,
    folder: str | Path | None = None,
    source_fps: float | None = None,
    gender: str | None = None,
    up: str = "z",
    layout: Layout = "overlay",
    joints: bool = False,
    heat: bool = False,
) -> Scene:
    """Motions on their bodies, meshes and keypoints, and the ground below them.

    A motion that names its body is drawn on it, or on the open body of its layout where there is no file; one on a
    plain joint tree (BVH, ASF/AMC) as joints and bones, and so are keypoints. Frames that hold no data, or NaN, stay
    empty.

    Args:
        sources: motion files, folders of meshes, or motions, meshes, keypoints and performers that are loaded already.
        bodies: what they are drawn on: one for all, or one each; names or model files, "" for what a motion says.
        folder: where licensed bodies lie, before the usual places.
        source_fps: frames per second, for files that do not say, and for meshes.
        gender: of motions whose files do not say it.
        up: the axis that points upwards in meshes.
        layout: all in their true places, or side by side.
        joints: draw joints and bones over the surfaces.
        heat: show on every further surface how far it is from the first.
    """
    if bodies and len(bodies) not in (1, len(sources)):
        raise UsageError(
            f"{len(bodies)} bodies for {len(sources)} motions",
            where=f"--body {', '.join(str(getattr(body, 'name', body)) for body in bodies)}",
            fix="give one body for all motions, or one for each",
        )
    wanted = list(bodies) * len(sources) if len(bodies) == 1 else list(bodies)
    performers = load_performers(
        sources, wanted, names=_names(sources), folder=folder, source_fps=source_fps, gender=gender, mesh_fps=MESH_FPS,
        up=up,
    )  # fmt: skip
    actors = [Actor(one, COLOURS[i % len(COLOURS)], joints=joints) for i, one in enumerate(performers)]
    notes = [f"{one.name}: {note}" for one in performers for note in (*_gaps(one), *_to_know(one, source_fps, gender))]
    if heat:
        actors[1:] = [replace(actor, errors=errors_between(actors[0], actor)) for actor in _comparable(actors)]
    rate = performers[0].fps if performers else MESH_FPS
    scene = Scene(tuple(actors), rate, notes=tuple(notes))
    scene = replace(scene, ground=lowest(scene))
    return side_by_side(scene, _GAP) if layout == "side" else scene


def lowest(scene: Scene) -> float:
    """Height in metres of the lowest point in a few frames of all actors: where the ground is."""
    heights = []
    for actor in scene.actors:
        frames = actor.performer.valid_frames()
        chosen = frames[np.linspace(0, len(frames) - 1, min(len(frames), _GROUND_FRAMES)).round().astype(int)].tolist()
        points = actor.vertices(chosen) if actor.performer.has_surface else actor.joint_positions(chosen)
        heights.append(float(points[..., 2].nan_to_num(torch.inf).min()))
    return min(heights)


def errors_between(reference: Actor, actor: Actor) -> Errors:
    """How far an actor's surface is from another's, for `Actor.errors`: [frames, vertices] in millimetres.

    On bodies of one topology it is the distance of equal vertices; else a map between the two surfaces says where on
    the first one each vertex belongs, and NaN stands where it has no counterpart.
    """
    from vitruve.correspondence.surface_pair import pair_surfaces  # loads much, and few scenes need it

    pair = pair_surfaces(reference.performer, actor.performer)
    first, second = pair.first, pair.second

    def errors(frames: Sequence[int]) -> NDArray[np.float32]:
        own = torch.tensor([round(frame / second.fps * first.fps) for frame in frames])
        over = own >= len(first)
        found = pair.apart_mm(first.vertices(own.masked_fill(over, 0)), second.vertices(frames))
        return found.masked_fill(over.to(found.device)[:, None], torch.nan).cpu().numpy().astype(np.float32)

    return errors


def _comparable(actors: Sequence[Actor]) -> Sequence[Actor]:
    if len(actors) < 2:
        raise UsageError(
            "an error needs two motions: one to compare with, and one that is judged",
            where="--heat with one motion",
            fix="name two: vitruve render SOURCE CONVERTED --heat",
        )
    return actors[1:]


def _names(sources: Sequence[Source]) -> list[str]:
    """What they are called: their files' names, with the folder where two are alike, and numbers at the last."""
    paths = []
    for i, source in enumerate(sources):
        if isinstance(source, str | Path):
            file = str(source)
        elif isinstance(source, Motion | Keypoints):
            file = source.source.file
        elif isinstance(source, Performer):
            file = source.name
        else:
            file = str(source.files[0].parent) if source.files else ""
        word = "meshes" if hasattr(source, "faces") else "motion"
        paths.append(Path(os.path.abspath(file)).with_suffix("") if file else Path(f"{word} {i + 1}"))
    names = [path.name for path in paths]
    names = ["/".join(path.parts[-2:]) if names.count(name) > 1 else name for path, name in zip(paths, names)]
    return [f"{name} ({i + 1})" if names.count(name) > 1 else name for i, name in enumerate(names)]


def _gaps(performer: Performer) -> list[str]:
    """How many frames have no data, in words; an error where none has, or where there is nothing to draw."""
    count, gaps = len(performer), int((~performer.valid).sum())
    if gaps == count:
        file = "" if performer.motion is None else performer.motion.source.file
        raise BadData(
            "there is nothing to see: no frame has data",
            where=f"{performer.name}: all {gaps} frames are masked or hold NaN",
            fix=f"look at it: vitruve info {shlex.quote(file or 'FILE')}",
        )
    if performer.has_surface and performer.faces is None:
        raise BadData(
            "these are points without faces, of no known body",
            where=f"{performer.name}: {performer!r}",
            fix="name the body whose vertices they are: --body; or export the meshes with their faces",
        )
    return [f"{gaps} of {count} frames have no data and stay empty"] if gaps else []


def _to_know(performer: Performer, source_fps: float | None, gender: str | None) -> tuple[str, ...]:
    """What was guessed: a body that stands in, a frame rate; and a gender that the file says otherwise."""
    guessed = performer.kind == "meshes" and source_fps is None
    kept = () if performer.motion is None else kept_gender(performer.motion.gender, gender)
    return (*kept, *performer.warnings, *(performer.notes if guessed else ()))
