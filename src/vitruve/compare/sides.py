"""The two sides of a comparison: a motion on a body, a motion on a plain joint tree, or meshes alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.bodies.find_body import find_body
from vitruve.bodies.kinematics import forward_kinematics
from vitruve.bodies.recognise import recognise
from vitruve.correspondence.shared_parts import joint_names
from vitruve.errors import UsageError, VitruveError
from vitruve.formats import FORMATS, load_motion_at
from vitruve.formats import recognise as recognise_format
from vitruve.formats.glimpse import glimpse
from vitruve.formats.readers.mesh_sequence import MeshSequence, read_mesh_sequence
from vitruve.motion import Motion, resample
from vitruve.motion.body_of import body_of
from vitruve.motion.found import finding_of_note
from vitruve.skeletons import Skeleton

Input = Motion | MeshSequence


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two.

    Attributes:
        name: what it is called.
        fps: frames per second.
        motion: the clip; None for meshes alone.
        body: what the motion is on, or whose surface the meshes are; None for a plain tree and for unknown meshes.
        meshes: the vertices themselves, where there is no motion.
        notes: how it was read.
        warnings: what may make its figures those of something else, such as a body that stands in for another.
    """

    name: str
    fps: float
    motion: Motion | None = None
    body: BodyModel | None = None
    meshes: MeshSequence | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.motion) if self.motion is not None else len(self._vertices)

    @property
    def kind(self) -> str:
        """What it is: "motion", "joint tree" or "meshes"."""
        if self.motion is None:
            return "meshes"
        return "joint tree" if self.body is None else "motion"

    @property
    def skeleton(self) -> Skeleton | None:
        """The joint tree; None for meshes."""
        return None if self.motion is None else self.motion.skeleton

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names that are the same on all bodies: those of a hand say which hand it is."""
        if self.motion is None:
            return ()
        return self.motion.skeleton.names if self.body is None else joint_names(self.body)

    @cached_property
    def joints(self) -> Float[Tensor, "frames joints 3"]:
        """Joint positions in the world, metres, float64: a third difference in time shows the rounding of float32.

        NaN in frames without data.
        """
        if self.motion is None:
            return torch.zeros(len(self), 0, 3, dtype=torch.float64)
        motion = self.motion
        if self.body is None:
            places = motion.to(dtype=torch.float64).joints()
        else:
            expression = motion.expression if self.body.num_expressions else None
            rest = self.body.shaped(motion.betas, expression).rest_joints.double()
            turned = forward_kinematics(motion.rotations.double(), rest, motion.skeleton.parents)[1]
            places = turned + motion.translation.double()[:, None]
        valid = places.isfinite().flatten(1).all(1)
        if motion.mask is not None:
            valid &= motion.mask.to(valid.device)
        return torch.where(valid[:, None, None], places, torch.nan)

    @cached_property
    def valid(self) -> Bool[Tensor, "frames"]:
        """False in frames without data."""
        if self.motion is None:
            return self._vertices.isfinite().all(-1).any(1)
        return self.joints.isfinite().flatten(1).all(1)

    @property
    def has_surface(self) -> bool:
        """Whether there are vertices to compare."""
        return self.body is not None or self.meshes is not None

    @property
    def faces(self) -> Tensor | None:
        """Triangles of the surface."""
        if self.meshes is not None:
            return self.meshes.faces
        return None if self.body is None else self.body.faces

    @cached_property
    def vertices(self) -> Callable[[Tensor], Float[Tensor, "block vertices 3"]]:
        """Gives the vertices of some frames, metres; NaN in frames without data."""
        if self.motion is None:
            return lambda frames: self._vertices[frames]
        motion, body = self.motion, self.body
        if body is None:
            raise UsageError("a plain joint tree has no surface", where=self.name, fix="compare joints alone")
        shaped = body.shaped(motion.betas, motion.expression if body.num_expressions else None)

        def posed(frames: Tensor) -> Tensor:
            found = shaped.of_frames(frames).vertices(motion.rotations[frames], motion.translation[frames])
            return found.masked_fill(~self.valid[frames][:, None, None], torch.nan)

        return posed

    @property
    def _vertices(self) -> Tensor:
        assert self.meshes is not None  # a side has a motion or meshes
        return self.meshes.vertices

    def cut(self, start: int, stop: int) -> Side:
        """Some frames in a row."""
        if self.motion is not None:
            return replace(self, motion=self.motion[start:stop])
        assert self.meshes is not None
        meshes = MeshSequence(self._vertices[start:stop], self.meshes.faces, self.meshes.files[start:stop])
        return replace(self, meshes=meshes)

    def at_rate(self, fps: float) -> Side:
        """At another frame rate."""
        if self.motion is None:
            raise UsageError(
                "meshes are not brought to another frame rate",
                where=f"{self.name} at {self.fps:g} fps, asked for {fps:g}",
                fix="give --source-fps the rate of the meshes, or leave it out to take that of the motion",
            )
        return replace(self, motion=resample(self.motion, fps), fps=fps)


def read(path: str | Path, source_fps: float | None = None, up: str = "z", gender: str | None = None) -> Input:
    """A motion file, or a folder of meshes.

    Args:
        path: the file or folder.
        source_fps: frames per second, for files that do not say.
        up: the axis that points upwards in meshes.
        gender: of motions whose files do not say it.
    """
    look = glimpse(path)
    if FORMATS[recognise_format(look)].holds == "meshes":
        return read_mesh_sequence(look.path, up=up)
    return load_motion_at(path, source_fps, gender)


def described(given: Input) -> str:
    """What was read, in one line."""
    if isinstance(given, Motion):
        return repr(given)
    return f"{len(given)} meshes of {given.vertices.shape[1]:,} vertices"


def make_sides(
    first: Input,
    second: Input,
    bodies: tuple[str | BodyModel | None, str | BodyModel | None] = (None, None),
    fps: float | None = None,
    folder: str | Path | None = None,
) -> tuple[Side, Side]:
    """Both sides with their bodies found, each at its own frame rate.

    Args:
        first, second: motions, or meshes.
        bodies: what they are on, where they do not say it; names in the catalogue, files, or bodies.
        fps: frames per second of meshes; that of the motion where not given.
        folder: where licensed bodies lie, before the usual places.
    """
    words = ("first", "second")
    sides = {
        i: _of_motion(given, bodies[i], folder, words[i])
        for i, given in enumerate((first, second))
        if isinstance(given, Motion)
    }
    for i, given in enumerate((first, second)):
        if not isinstance(given, Motion):
            sides[i] = _of_meshes(given, bodies[i], sides.get(1 - i), fps, folder)
    if sides[0].name == sides[1].name:
        sides = {i: replace(side, name=f"{side.name} ({words[i]})") for i, side in sides.items()}
    return sides[0], sides[1]


def _of_motion(motion: Motion, which: str | BodyModel | None, folder: str | Path | None, word: str) -> Side:
    name = Path(motion.source.file).name or word
    # What the reader says about units, axes and the gender explains many a difference.
    read_notes = tuple(f"{name}: {note}" for note in motion.source.notes)
    if not (which or motion.body):
        return Side(name, motion.fps, motion, notes=read_notes)
    body, notes = body_of(motion, which, folder)
    if body.skeleton.names != motion.skeleton.names:
        raise UsageError(
            f"{name} is not made on {body.name}",
            where=f"{len(motion.skeleton)} joints of {motion.skeleton.name}, the body has {body.num_joints}",
            fix="name the body it was made on, or leave it out",
        )
    # What a reader had to decide may explain a difference.
    said = list(map(finding_of_note, motion.source.notes))
    decided = [finding.what for finding in said if finding.severity == "note"]
    serious = [finding.what for finding in said if finding.severity != "note"]
    return Side(
        name,
        motion.fps,
        motion,
        body,
        notes=tuple(f"{name}: {note}" for note in decided),
        warnings=tuple(f"{name}: {note}" for note in (*notes, *serious)),
    )


def _of_meshes(
    meshes: MeshSequence,
    which: str | BodyModel | None,
    other: Side | None,
    fps: float | None,
    folder: str | Path | None,
) -> Side:
    fps = fps or (other.fps if other is not None else None)
    if fps is None:
        raise UsageError(
            "meshes do not say their frame rate", where=_folder(meshes), fix="give it: --source-fps 30, say"
        )
    name = Path(_folder(meshes)).name or "meshes"
    notes = (f"{name}: meshes do not say their frame rate; {fps:g} fps was taken",)
    side = Side(name, fps, meshes=meshes, notes=notes)
    if which is not None:
        body, said = find_body(which, "neutral", folder)
        if body.num_vertices != meshes.vertices.shape[1]:
            raise UsageError(
                f"{name} are no meshes of {body.name}",
                where=f"{meshes.vertices.shape[1]} vertices, the body has {body.num_vertices}",
                fix="name the body that they were made with, or leave it out to have it recognised",
            )
        return replace(side, body=body, warnings=tuple(said))
    known = other.body if other is not None else None
    # Meshes that are torn or otherwise wrong must be compared too, so only the counts are asked for.
    counts = (meshes.vertices.shape[1], len(meshes.faces))
    if known is not None and counts in ((known.num_vertices, len(known.faces)), (known.num_vertices, 0)):
        return replace(side, body=known)
    try:
        return replace(side, body=recognise(meshes.vertices, meshes.faces, folder=folder, where=_folder(meshes)))
    except VitruveError:
        if known is not None:  # against a body there is nothing to go by
            raise
        return side


def first_name(side: Side) -> str:
    """The name of the root joint; empty for meshes."""
    return side.joint_names[0] if side.joint_names else ""


def _folder(meshes: MeshSequence) -> str:
    return str(meshes.files[0].parent) if meshes.files else ""
