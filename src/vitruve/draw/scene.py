"""What to draw: performers in one place or side by side, for pictures, films and the viewer.

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
from vitruve.draw.framing import facing_deg, spread
from vitruve.errors import BadData, UsageError
from vitruve.formats.fields import kept_gender
from vitruve.formats.performers import Source, load_performers
from vitruve.motion import Keypoints, Motion
from vitruve.motion.performer import Performer

Colour = tuple[float, float, float]
Errors = Callable[[Sequence[int]], NDArray[np.float32]]

Layout = Literal["overlay", "side"]

COLOURS: tuple[Colour, ...] = ((0.35, 0.55, 0.85), (0.95, 0.55, 0.25), (0.42, 0.68, 0.45), (0.70, 0.48, 0.75))
"""Colours of the actors in turn: blue for the source, orange for the result."""

MESH_FPS = 30.0
"""Frames per second of meshes by default."""

_GROUND_FRAMES = 24  # frames that the height of the ground is taken from
_GAP = 1.0  # metres from body to body side by side
_SAME = 1e-6  # of a frame: rounding
_SOME_VERTICES = 100  # vertices that represent a surface without joints


@dataclass(frozen=True, eq=False)
class Actor:
    """A performer, and how to draw it.

    Attributes:
        colour: red, green, blue from 0 to 1.
        offset: from its true place, metres in x and y.
        errors: maps frames to the error of each vertex [frames, vertices] in millimetres, NaN where unknown; drawn as a
            heat map. None if no error is known.
    """

    performer: Performer
    colour: Colour = COLOURS[0]
    offset: tuple[float, float] = (0.0, 0.0)
    joints: bool = False
    errors: Errors | None = None

    @property
    def name(self) -> str:
        """Its name on the screen."""
        return self.performer.name

    def some_frames(self, most: int) -> list[int]:
        """At most so many of its own frames with data, evenly spread."""
        frames = self.performer.valid_frames()
        return frames[spread(len(frames), most)].tolist()

    def vertices(self, frames: Sequence[int]) -> Float[Tensor, "chosen vertices 3"]:
        """The surface in the scene at some of its own frames, metres."""
        return self._placed(self.performer.vertices(frames))

    def joint_positions(self, frames: Sequence[int]) -> Float[Tensor, "chosen joints 3"]:
        """The joints in the scene at some of its own frames, metres."""
        return self._placed(self.performer.joints(frames))

    def points(self, frames: Sequence[int]) -> Float[Tensor, "chosen points 3"]:
        """The joints, or some vertices if there are none, in the scene at some of its own frames, metres."""
        if self.performer.skeleton is not None:
            return self.joint_positions(frames)
        vertices = self.vertices(frames)
        return vertices[:, :: max(1, vertices.shape[1] // _SOME_VERTICES)].double()

    def _placed(self, points: Tensor) -> Tensor:
        return points + points.new_tensor((*self.offset, 0.0)) if any(self.offset) else points


def limbs_facing_deg(actor: Actor, own: Sequence[int]) -> float:
    """Which way an actor faces on average in some of its own frames, see `facing_deg`; 0 if it has no joints."""
    performer, body = actor.performer, actor.performer.body
    if performer.kind != "meshes":
        return 0.0 if performer.skeleton is None else facing_deg(actor.joint_positions(own), performer.skeleton)
    if body is None:
        return 0.0
    # Meshes of a known body: the mean of the skin that a joint moves represents the joint.
    main, vertices = body.skin_weights.argmax(1), actor.vertices(own).double()
    points = torch.full((len(vertices), body.num_joints, 3), torch.nan, dtype=torch.float64)
    for joint in {joint for pair in body.skeleton.pairs for joint in pair} & set(main.tolist()):
        points[:, joint] = vertices[:, main == joint].mean(1)
    return facing_deg(points, body.skeleton)


@dataclass(frozen=True, eq=False)
class Scene:
    """Actors on one time line.

    Attributes:
        actors: what to draw.
        fps: of the time line. An actor's own frame is the nearest in time.
        ground: height of the ground in metres; None for none.
        notes: one sentence each on frames without data, substitute bodies and other things that a user must know.
    """

    actors: tuple[Actor, ...]
    fps: float
    ground: float | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.actors:
            raise UsageError("there is nothing to see", where="no motion was given", fix="name a motion file")

    def __len__(self) -> int:
        """Frames of the time line, which is as long as the longest actor."""
        return max(round(len(one) / one.fps * self.fps) for one in (actor.performer for actor in self.actors))

    def frame_of(self, actor: Actor, frame: int) -> int:
        """The actor's own frame that is nearest to a frame of the time line; its length after the actor's end."""
        moment, last = frame / self.fps * actor.performer.fps, len(actor.performer) - 1
        # The last frame stays until its time is over, even if its end is nearer.
        return last if last < moment < last + 1 - _SAME else round(moment)

    def own_frames(self, actor: Actor, frames: Sequence[int]) -> list[int]:
        """The actor's own frames at frames of the time line, without those that have no data."""
        own = [self.frame_of(actor, frame) for frame in frames]
        return [frame for frame in own if actor.performer.holds(frame)]


def side_by_side(scene: Scene, gap: float = 1.0, along: tuple[float, float] = (1.0, 0.0)) -> Scene:
    """The actors side by side, the first on the left.

    Args:
        gap: metres from middle to middle.
        along: unit vector on the ground from the first to the last.
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

    A motion that names its body is drawn on it, or on the open body of its layout if the file is missing. A motion on a
    plain joint tree (BVH, ASF/AMC) and keypoints are drawn as joints and bones. Frames without data, or with NaN, stay
    empty.

    Args:
        sources: motion files, folders of meshes, or loaded motions, meshes, keypoints and performers.
        bodies: one for all sources, or one each; names or model files, "" for the one that a motion names.
        folder: of licensed bodies, searched before the usual places.
        source_fps: frames per second, for files without it, and for meshes.
        gender: for motions whose files have none.
        up: the axis that points upwards in meshes.
        heat: show on every further surface its distance to the first.
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
    notes = [
        f"{one.name}: {note}" for one in performers for note in (*_gaps(one), *_assumptions(one, source_fps, gender))
    ]
    if heat:
        actors[1:] = [replace(actor, errors=errors_between(actors[0], actor)) for actor in _comparable(actors)]
    rate = performers[0].fps if performers else MESH_FPS
    scene = Scene(tuple(actors), rate, notes=tuple(notes))
    scene = replace(scene, ground=lowest(scene))
    return side_by_side(scene, _GAP) if layout == "side" else scene


def lowest(scene: Scene) -> float:
    """Height in metres of the ground: the lowest point in a few frames of all actors."""
    heights = []
    for actor in scene.actors:
        chosen = actor.some_frames(_GROUND_FRAMES)
        points = actor.vertices(chosen) if actor.performer.has_surface else actor.joint_positions(chosen)
        heights.append(float(points[..., 2].nan_to_num(torch.inf).min()))
    return min(heights)


def errors_between(reference: Actor, actor: Actor) -> Errors:
    """The distance of an actor's surface to another's, for `Actor.errors`: [frames, vertices] in millimetres.

    Surfaces of one topology are compared vertex by vertex; otherwise a map between the two surfaces gives the
    counterpart of each vertex, with NaN where there is none.
    """
    from vitruve.correspondence.surface_pair import pair_surfaces  # slow to import, and few scenes need it

    pair = pair_surfaces(reference.performer, actor.performer)
    first, second = pair.first, pair.second

    def errors(frames: Sequence[int]) -> NDArray[np.float32]:
        own = torch.tensor([round(frame / second.fps * first.fps) for frame in frames])
        over = own >= len(first)
        apart = pair.apart_mm(first.vertices(own.masked_fill(over, 0)), second.vertices(frames))
        return apart.masked_fill(over.to(apart.device)[:, None], torch.nan).cpu().numpy().astype(np.float32)

    return errors


def _comparable(actors: Sequence[Actor]) -> Sequence[Actor]:
    if len(actors) < 2:
        raise UsageError(
            "an error needs two motions: a reference, and one to compare with it",
            where="--heat with one motion",
            fix="name two: vitruve render SOURCE CONVERTED --heat",
        )
    return actors[1:]


def _names(sources: Sequence[Source]) -> list[str]:
    """The names of the files; equal names get their folders, and if these are equal too, numbers."""
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
    """A note on frames without data; an error if no frame has data, or if points have no faces."""
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


def _assumptions(performer: Performer, source_fps: float | None, gender: str | None) -> tuple[str, ...]:
    """Notes on a substitute body, an assumed frame rate, and a gender that the file contradicts."""
    guessed = performer.kind == "meshes" and source_fps is None
    kept = () if performer.motion is None else kept_gender(performer.motion.gender, gender)
    return (*kept, *performer.warnings, *(performer.notes if guessed else ()))
