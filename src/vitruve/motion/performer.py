"""The Performer type: what can be drawn and compared, made from a motion, meshes or keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from vitruve.bodies.body_model import BodyModel, ShapedBody
from vitruve.bodies.find_body import body_on
from vitruve.bodies.kinematics import forward_kinematics
from vitruve.errors import BadData, UsageError
from vitruve.motion.keypoint_editing import resample_keypoints
from vitruve.motion.keypoints import Keypoints
from vitruve.motion.motion import Motion
from vitruve.motion.resampling import resample
from vitruve.skeletons import Skeleton

Frames = Sequence[int] | Int[Tensor, "chosen"]


@dataclass(frozen=True, eq=False)
class Performer:
    """A surface, or joints and bones, over time. It has exactly one of: a motion, meshes, keypoints.

    All of it lies on the CPU, where it is drawn and compared, wherever it came from.

    Attributes:
        valid: [frames] True where a frame has data.
        motion: the clip, masked where it has no data.
        body: what the motion is on, or whose surface the meshes are; None for a plain joint tree and where it is not
            known.
        meshes: [frames, vertices, 3] metres.
        mesh_faces: [faces, 3] vertex indices of the meshes; may be empty.
        keypoints: points in space.
        notes: how it was read, one sentence each.
        warnings: doubts about the content, such as a body used in place of another.
    """

    name: str
    fps: float
    valid: Bool[Tensor, "frames"]
    motion: Motion | None = None
    body: BodyModel | None = None
    meshes: Float[Tensor, "frames vertices 3"] | None = None
    mesh_faces: Int[Tensor, "faces 3"] | None = None
    keypoints: Keypoints | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.valid)

    def __repr__(self) -> str:
        if self.meshes is not None:
            return f"{len(self)} meshes of {self.meshes.shape[1]:,} vertices at {self.fps:g} fps"
        return repr(self.motion if self.motion is not None else self.keypoints)

    def __getitem__(self, frames: slice) -> Performer:
        """Some frames; a step divides the frame rate."""
        return replace(
            self,
            fps=self.fps / (frames.step or 1),
            valid=self.valid[frames],
            motion=None if self.motion is None else self.motion[frames],
            meshes=None if self.meshes is None else self.meshes[frames],
            keypoints=None if self.keypoints is None else self.keypoints[frames],
        )

    @property
    def kind(self) -> str:
        """What it is: "motion", "joint tree", "meshes" or "keypoints"."""
        if self.motion is not None:
            return "joint tree" if self.body is None else "motion"
        return "meshes" if self.meshes is not None else "keypoints"

    @property
    def has_surface(self) -> bool:
        """Whether it has vertices."""
        return self.body is not None or self.meshes is not None

    @property
    def skeleton(self) -> Skeleton | None:
        """The joints and their tree; None for meshes."""
        if self.motion is not None:
            return self.motion.skeleton
        return None if self.keypoints is None else self.keypoints.skeleton

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names that are the same on all bodies: those of a hand say which hand it is. Empty for meshes."""
        if self.motion is not None and self.body is not None:
            return self.body.joint_names
        return () if self.skeleton is None else self.skeleton.names

    @property
    def faces(self) -> Int[Tensor, "faces 3"] | None:
        """Triangles of the surface; None where there is none, or where points have no known faces."""
        if self.mesh_faces is not None and len(self.mesh_faces):
            return self.mesh_faces
        return None if self.body is None else self.body.faces

    @cached_property
    def shaped(self) -> ShapedBody | None:
        """The body with the shape and the expressions of the motion; None without both."""
        if self.motion is None or self.body is None:
            return None
        return self.motion.shaped(self.body)

    @property
    def height(self) -> float | None:
        """Metres from the lowest to the highest vertex of the body at rest; None where it is not known."""
        if self.shaped is None:
            return None
        rest = self.shaped.rest_vertices[:, 1]
        return float(rest.max() - rest.min())

    def holds(self, frame: int) -> bool:
        """Whether a frame has data; False after the end."""
        return frame < len(self) and bool(self.valid[frame])

    def valid_frames(self) -> NDArray:
        """Numbers of the frames that have data."""
        return self.valid.nonzero()[:, 0].numpy()

    def vertices(self, frames: Frames) -> Float[Tensor, "chosen vertices 3"]:
        """The surface at some frames, metres in the world; NaN in frames without data."""
        chosen = torch.as_tensor(frames)
        if self.meshes is not None:
            return self.meshes[chosen]
        if self.motion is None or self.shaped is None:
            raise UsageError(
                f"there is no surface: this is a {self.kind}",
                where=self.name,
                fix="give a body: --body open-smplx; or convert it to one first: vitruve convert",
            )
        posed = self.shaped.of_frames(chosen)
        return self._known(posed.vertices(self.motion.rotations[chosen], self.motion.translation[chosen]), chosen)

    def joints(self, frames: Frames) -> Float[Tensor, "chosen joints 3"]:
        """The joints at some frames, metres in the world; NaN in frames without data. Meshes have no joints.

        They are float64: a third difference in time shows the rounding of float32.
        """
        chosen = torch.as_tensor(frames)
        if self.keypoints is not None:
            return self.keypoints.positions[chosen].double()
        if self.motion is None:
            return torch.zeros(len(chosen), 0, 3, dtype=torch.float64)
        motion = self.motion
        rotations, translation = motion.rotations[chosen].double(), motion.translation[chosen].double()
        if self.shaped is not None:
            rest = self.shaped.of_frames(chosen).rest_joints.double()
            turned = forward_kinematics(rotations, rest, motion.skeleton.parents)[1]
            return self._known(turned + translation[:, None], chosen)
        offsets = None if motion.offsets is None else motion.offsets[chosen].double()
        part = Motion(rotations, translation, motion.fps, motion.skeleton, offsets=offsets)
        return self._known(part.joints(), chosen)

    def _known(self, points: Tensor, chosen: Tensor) -> Tensor:
        valid = self.valid[chosen]
        return points if bool(valid.all()) else points.masked_fill(~valid[:, None, None], torch.nan)


def motion_performer(motion: Motion, body: BodyModel | None = None, name: str = "") -> Performer:
    """A motion on a body, or without one on its plain joint tree; frames with NaN are masked.

    The name is by default that of the file.
    """
    name, motion = name or Path(motion.source.file).name or "motion", motion.to("cpu")
    if not bool(torch.isfinite(motion.betas).all()):
        file = motion.source.file or "FILE"
        raise BadData("the shape holds NaN", where=f"{name}: betas", fix=f"look at it: vitruve info {file}")
    values = [motion.rotations, motion.translation]
    values += [value for value in (motion.expression, motion.offsets) if value is not None]
    valid = torch.stack([value.flatten(1).isfinite().all(1) for value in values]).all(0)
    if motion.mask is not None:
        valid = valid & motion.mask
    mask = None if bool(valid.all()) else valid
    body = None if body is None else body_on(body, "cpu")
    return Performer(name, motion.fps, valid, motion=motion.replace(mask=mask), body=body)


def mesh_performer(
    vertices: Float[Tensor, "frames vertices 3"],
    faces: Int[Tensor, "faces 3"],
    fps: float,
    body: BodyModel | None = None,
    name: str = "meshes",
) -> Performer:
    """Meshes over time (metres), as `read_mesh_sequence` reads them; a frame without a finite vertex has no data.

    `faces` is empty for a point cloud. `body` is the body that the meshes show, if known.
    """
    vertices, body = vertices.cpu(), None if body is None else body_on(body, "cpu")
    valid = vertices.isfinite().all(-1).any(1)
    return Performer(name, fps, valid, body=body, meshes=vertices, mesh_faces=faces.cpu())


def keypoint_performer(keypoints: Keypoints, name: str = "") -> Performer:
    """Keypoints in space as joints and bones; a frame in which no point is seen has no data."""
    name = name or Path(keypoints.source.file).name or keypoints.person or "keypoints"
    if keypoints.dims != 3:
        raise UsageError(
            "2D keypoints have no position in space", where=f"{name}: {keypoints!r}", fix="give keypoints in 3D"
        )
    keypoints = keypoints.to("cpu")
    return Performer(name, keypoints.fps, keypoints.seen.any(1), keypoints=keypoints)


def at_rate(performer: Performer, fps: float) -> Performer:
    """The performer at another frame rate."""
    if performer.motion is not None:
        changed = motion_performer(resample(performer.motion, fps), performer.body, performer.name)
    elif performer.keypoints is not None:
        changed = keypoint_performer(resample_keypoints(performer.keypoints, fps), performer.name)
    else:
        raise UsageError(
            "meshes cannot be resampled",
            where=f"{performer.name} at {performer.fps:g} fps, requested {fps:g} fps",
            fix="give --source-fps the rate of the meshes, or leave it out to take that of the motion",
        )
    return replace(changed, fps=fps, notes=performer.notes, warnings=performer.warnings)
