"""What is to be seen: motions on bodies, in one place or side by side; for pictures, video and the viewer alike.

scene = load_scene(["walk_poses.npz", "walk_smplx.npz"], layout="side", heat=True)
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.bodies.body_model import ShapedBody
from vitruve.bodies.catalogue import LICENSED
from vitruve.errors import BadData, MissingAsset, UsageError
from vitruve.formats import load_motion_at
from vitruve.formats.fields import kept_gender
from vitruve.motion import Motion
from vitruve.motion.body_of import body_of

Colour = tuple[float, float, float]
Errors = Callable[[Sequence[int]], NDArray[np.float32]]

Layout = Literal["overlay", "side"]

COLOURS: tuple[Colour, ...] = ((0.35, 0.55, 0.85), (0.95, 0.55, 0.25), (0.42, 0.68, 0.45), (0.70, 0.48, 0.75))
"""Colours of the actors in turn: the first is the source's blue, the second the result's orange."""

# Frames that the height of the ground is looked for in, and metres from body to body where they stand side by side.
_GROUND_FRAMES, _GAP = 24, 1.0
_SAME = 1e-6  # of a frame: rounding


@dataclass(frozen=True, eq=False)
class Actor:
    """A motion on a body, and how it is drawn.

    Attributes:
        name: what it is called on the screen.
        motion: the clip.
        body: what it is drawn on; None for a plain joint tree, which is drawn as joints and bones.
        colour: red, green, blue from 0 to 1.
        offset: metres in x and y that it stands beside its true place.
        joints: draw the joints and bones over the surface.
        errors: gives for frames the error of each vertex [frames, vertices] in millimetres, NaN where unknown; drawn as
            a heat map. None where no error is known.
    """

    name: str
    motion: Motion
    body: BodyModel | None
    colour: Colour = COLOURS[0]
    offset: tuple[float, float] = (0.0, 0.0)
    joints: bool = False
    errors: Errors | None = None

    @cached_property
    def shaped(self) -> ShapedBody | None:
        """The body with the clip's shape; each frame's expression is added when it is posed."""
        return None if self.body is None else self.body.shaped(self.motion.betas)

    def valid(self, frame: int) -> bool:
        """False for frames without data and after the end."""
        return frame < len(self.motion) and (self.motion.mask is None or bool(self.motion.mask[frame]))

    def valid_frames(self) -> NDArray[np.int64]:
        """Indices of the frames that have data."""
        mask = self.motion.mask
        return np.arange(len(self.motion)) if mask is None else mask.cpu().numpy().nonzero()[0]

    def vertices(self, frames: Sequence[int]) -> Float[Tensor, "chosen vertices 3"]:
        """Where the surface is in the scene at some frames, metres."""
        if self.body is None:
            raise UsageError("a plain joint tree has no surface", where=self.name, fix="give a body: --body open-smplx")
        part = self._part(frames)
        shaped = self.shaped
        assert shaped is not None
        if part.expression is not None and part.expression.shape[1]:
            shaped = self.body.shaped(part.betas, part.expression)
        return shaped.vertices(part.rotations, part.translation) + self._shift(part)

    def joint_positions(self, frames: Sequence[int]) -> Float[Tensor, "chosen joints 3"]:
        """Where the joints are in the scene at some frames, metres."""
        part = self._part(frames)
        return part.joints(self.body) + self._shift(part)

    def _part(self, frames: Sequence[int]) -> Motion:
        chosen = torch.as_tensor(list(frames))

        def at(value: Tensor | None) -> Tensor | None:
            return None if value is None else value[chosen]

        motion = self.motion
        return replace(
            motion,
            rotations=motion.rotations[chosen],
            translation=motion.translation[chosen],
            expression=at(motion.expression),
            offsets=at(motion.offsets),
            mask=None,
            source=replace(motion.source, extras={}),
        )

    def _shift(self, part: Motion) -> Tensor:
        return part.translation.new_tensor((*self.offset, 0.0))


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
        return max(round(len(actor.motion) / actor.motion.fps * self.fps) for actor in self.actors)

    def frame_of(self, actor: Actor, frame: int) -> int:
        """The actor's own frame at a frame of the time line: the nearest; its length where the actor has ended."""
        moment, last = frame / self.fps * actor.motion.fps, len(actor.motion) - 1
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
    motions: Sequence[str | Path | Motion],
    bodies: Sequence[str | BodyModel] = (),
    *,
    folder: str | Path | None = None,
    source_fps: float | None = None,
    gender: str | None = None,
    layout: Layout = "overlay",
    joints: bool = False,
    heat: bool = False,
) -> Scene:
    """Motions, the bodies they are drawn on, and the ground below them.

    A motion that names its body is drawn on it, or on the open body of its layout where there is no file; one on a
    plain joint tree (BVH, ASF/AMC) as joints and bones. Frames that hold no data, or NaN, are masked: they stay empty.

    Args:
        motions: files, folders, or motions that are loaded already.
        bodies: what they are drawn on: one for all, or one each; names or model files, "" for what a motion says.
        folder: where licensed bodies lie, before the usual places.
        source_fps: frames per second, for files that do not say.
        gender: likewise.
        layout: all in their true places, or side by side.
        joints: draw joints and bones over the surfaces.
        heat: show on every further body how far it is from the first.
    """
    if bodies and len(bodies) not in (1, len(motions)):
        raise UsageError(
            f"{len(bodies)} bodies for {len(motions)} motions",
            where=f"--body {', '.join(str(getattr(body, 'name', body)) for body in bodies)}",
            fix="give one body for all motions, or one for each",
        )
    wanted = list(bodies) * len(motions) if len(bodies) == 1 else list(bodies) or [""] * len(motions)
    loaded = [given if isinstance(given, Motion) else load_motion_at(given, source_fps, gender) for given in motions]
    actors, notes = [], []
    for i, (motion, which, name) in enumerate(zip(loaded, wanted, _names(motions, loaded))):
        motion, said = _without_nan(motion)
        body, motion, more = _body_for(motion, which, folder)
        actors.append(Actor(name, motion, body, COLOURS[i % len(COLOURS)], joints=joints))
        said += kept_gender(motion.gender, gender)
        notes += [f"{name}: {note}" for note in (*said, *more)]
    if heat:
        actors[1:] = [replace(actor, errors=errors_between(actors[0], actor)) for actor in _comparable(actors)]
    rate = actors[0].motion.fps if actors else 30.0
    scene = Scene(tuple(actors), rate, notes=tuple(notes))
    scene = replace(scene, ground=lowest(scene))
    return side_by_side(scene, _GAP) if layout == "side" else scene


def lowest(scene: Scene) -> float:
    """Height in metres of the lowest point in a few frames of all actors: where the ground is."""
    heights = []
    for actor in scene.actors:
        frames = actor.valid_frames()
        chosen = frames[np.linspace(0, len(frames) - 1, min(len(frames), _GROUND_FRAMES)).round().astype(int)].tolist()
        points = actor.joint_positions(chosen) if actor.body is None else actor.vertices(chosen)
        heights.append(float(points[..., 2].min()))
    return min(heights)


def errors_between(reference: Actor, actor: Actor) -> Errors:
    """How far an actor's surface is from another's, for `Actor.errors`: [frames, vertices] in millimetres.

    On bodies of one topology it is the distance of equal vertices; else a map between the two surfaces says where on
    the first one each vertex belongs, and NaN stands where it has no counterpart.
    """
    if reference.body is None or actor.body is None:
        raise UsageError(
            "an error is shown between two surfaces, and this is a plain joint tree",
            where=(reference if reference.body is None else actor).name,
            fix="leave out --heat, or convert it to a body first: vitruve convert FILE --to open-smplx",
        )
    from vitruve.correspondence.correspondence import correspondence  # loads much, and few scenes need it

    there = correspondence(reference.body, actor.body)
    first, second = replace(reference, offset=(0.0, 0.0)), replace(actor, offset=(0.0, 0.0))
    lost = ~there.valid.cpu().numpy()

    def errors(frames: Sequence[int]) -> NDArray[np.float32]:
        own = [round(frame / second.motion.fps * first.motion.fps) for frame in frames]
        known = np.array([first.valid(frame) for frame in own])
        of_first = first.vertices([frame if ok else 0 for frame, ok in zip(own, known)])
        found = 1000 * (there.apply(of_first) - second.vertices(frames).to(of_first)).norm(dim=-1)
        out = found.cpu().numpy().astype(np.float32)
        out[~known], out[:, lost] = np.nan, np.nan
        return out

    return errors


def _comparable(actors: Sequence[Actor]) -> Sequence[Actor]:
    if len(actors) < 2:
        raise UsageError(
            "an error needs two motions: one to compare with, and one that is judged",
            where="--heat with one motion",
            fix="name two: vitruve render SOURCE CONVERTED --heat",
        )
    return actors[1:]


def _names(given: Sequence[str | Path | Motion], motions: Sequence[Motion]) -> list[str]:
    """What the motions are called: their files' names, with the folder where two are alike, and numbers at the last."""
    files = [motion.source.file if isinstance(one, Motion) else str(one) for one, motion in zip(given, motions)]
    paths = [
        Path(os.path.abspath(file)).with_suffix("") if file else Path(f"motion {i + 1}") for i, file in enumerate(files)
    ]
    names = [path.name for path in paths]
    names = ["/".join(path.parts[-2:]) if names.count(name) > 1 else name for path, name in zip(paths, names)]
    return [f"{name} ({i + 1})" if names.count(name) > 1 else name for i, name in enumerate(names)]


def _quoted(motion: Motion) -> str:
    """The motion's file as one writes it in a shell."""
    return shlex.quote(motion.source.file or "FILE")


def _without_nan(motion: Motion) -> tuple[Motion, list[str]]:
    """The motion with frames that hold NaN masked, and a note that counts the frames without data."""
    values = [motion.rotations, motion.translation]
    values += [value for value in (motion.expression, motion.offsets) if value is not None]
    good = torch.stack([value.flatten(1).isfinite().all(1) for value in values]).all(0)
    if not bool(torch.isfinite(motion.betas).all()):
        raise BadData(
            "the shape holds NaN",
            where=f"{motion.source.file}: betas",
            fix=f"look at it: vitruve info {_quoted(motion)}",
        )
    if motion.mask is not None:
        good = good & motion.mask
    gaps = int((~good).sum())
    if gaps == len(motion):
        raise BadData(
            "there is nothing to see: no frame has data",
            where=f"{motion.source.file or 'the motion'}: all {gaps} frames are masked or hold NaN",
            fix=f"look at it: vitruve info {_quoted(motion)}",
        )
    if not gaps:
        return replace(motion, mask=None), []
    return replace(motion, mask=good), [f"{gaps} of {len(motion)} frames have no data and stay empty"]


def _body_for(
    motion: Motion, which: str | BodyModel, folder: str | Path | None
) -> tuple[BodyModel | None, Motion, list[str]]:
    """The body to draw a motion on (None for a plain joint tree), the motion that fits it, and what to know."""
    if not which and not motion.body:
        return None, motion, []
    where = f"{motion.source.file or 'the motion'}: {motion.body_name or motion.skeleton.name}"
    try:
        body, notes = body_of(motion, which or None, folder)
    except MissingAsset as error:
        stands_in = not which and motion.body in LICENSED
        fix = f"{error.fix}: --body open-{motion.body}" if stands_in else error.fix
        raise MissingAsset(error.what, f"{where}; {error.where}", fix) from None
    except UsageError as error:
        raise UsageError(error.what, where, f"name the body it is to be drawn on: --body BODY; {error.fix}") from None
    if body.num_joints != len(motion.skeleton):
        raise UsageError(
            f"a motion of {len(motion.skeleton)} joints cannot be drawn on '{body.name}', which has {body.num_joints}",
            where=where,
            fix="name a body of its layout with --body, or convert it: "
            f"vitruve convert {_quoted(motion)} --to {body.name} --out FILE.npz",
        )
    if len(motion.betas) > body.num_betas:
        notes = [
            *notes,
            f"of its {len(motion.betas)} betas {body.name} knows {body.num_betas}; the others are left out",
        ]
        motion = replace(motion, betas=motion.betas[: body.num_betas])
    if motion.expression is not None and motion.expression.shape[1] > body.num_expressions:
        motion = replace(motion, expression=motion.expression[:, : body.num_expressions])
    return body, motion, notes
