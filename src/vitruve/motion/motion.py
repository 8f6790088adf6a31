"""The Motion type: a body, or any joint tree, moving over time."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vitruve.bodies.body_model import BodyModel, ShapedBody
from vitruve.bodies.catalogue import is_own
from vitruve.bodies.kinematics import forward_kinematics
from vitruve.errors import BadData, OutOfRange, UsageError, VitruveError
from vitruve.geometry.camera import moved_tensors
from vitruve.skeletons import Skeleton
from vitruve.words import counted

if TYPE_CHECKING:
    from os import PathLike

GENDERS = ("neutral", "female", "male")
# Limits of frame rates; outside them it is a mistake, and times or frame counts overflow.
SLOWEST, FASTEST = 1e-6, 100_000
# Metres, or standard deviations of a shape; beyond it the file is damaged, and squared distances overflow.
FARTHEST = 1e9
# Prefix of a reader's note about implausible content: results made from the motion are not trusted.
DOUBTFUL = "DOUBTFUL: "


@dataclass(frozen=True, eq=False)
class Source:
    """Where a motion comes from.

    Attributes:
        file: the file or command that made it.
        format: name of the file format, as in the table of formats.
        extras: fields of the file that Vitruve does not interpret (soft tissue, markers ...), by their names there; the
            same format writes them back. Arrays whose first axis is the frames are sliced with the motion.
        notes: decisions of the reader (up axis turned, unit guessed ...), one sentence each; one that begins with
            capitals is a warning, one that begins with DOUBTFUL reports implausible content.
    """

    file: str = ""
    format: str = ""
    extras: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # Extras can be megabytes of markers: show only their names.
        return f"Source({self.file!r}, {self.format!r}, extras {list(self.extras)}, notes {list(self.notes)})"


@dataclass(frozen=True, eq=False)
class Motion:
    """A clip of motion. World: metres, z up, right-handed. Rotations are matrices; files hold axis-angle.

    Attributes:
        rotations: [frames, joints, 3, 3] relative to the parent; joint 0 relative to the world.
        translation: [frames, 3]: the root joint is at its rest position plus this. The rest position is that of the
            shaped body, so turning the world needs the body (see `rotate_world`).
        skeleton: the joint tree; its `rest` positions are used if `body` is empty.
        body: the body it was made on without its gender, such as "smplh" or "open-smplx"; the whole name of a hand
            ("mano-left") and of a user's own file ("mine#1f3a9c02"); empty for a plain tree.
        gender: "neutral", "female" or "male".
        betas: [shapes], one shape for the clip; may be empty.
        expression: [frames, expressions] or None.
        offsets: [frames, joints, 3] from the parent, for trees whose bones change length; None otherwise.
        mask: [frames], True where a frame is valid; None if all are.
    """

    rotations: Float[Tensor, "frames joints 3 3"]
    translation: Float[Tensor, "frames 3"]
    fps: float
    skeleton: Skeleton
    body: str = ""
    gender: str = "neutral"
    betas: Float[Tensor, "betas"] = field(default_factory=lambda: torch.zeros(0))
    expression: Float[Tensor, "frames expressions"] | None = None
    offsets: Float[Tensor, "frames joints 3"] | None = None
    mask: Bool[Tensor, "frames"] | None = None
    source: Source = field(default_factory=Source)

    def __post_init__(self) -> None:
        _check(self)

    def __len__(self) -> int:
        return len(self.rotations)

    def __repr__(self) -> str:
        return (
            f"Motion({counted(len(self), 'frame')}, {self.duration:.2f} s at {self.fps:g} fps, {self.skeleton.name}"
            f"{', ' + self.body_name if self.body else ''})"
        )

    def __getitem__(self, frames: slice | SupportsIndex) -> Motion:
        """One frame, or a slice of frames; per-frame extras are sliced too. A step divides the frame rate.

        Negative indices count from the end, as in a list. Iterating over a motion gives its frames one by one.
        """
        if not isinstance(frames, slice):
            frame = self._frame(frames)
            return self[frame : frame + 1]
        step = slice_step(frames, "a motion")
        extras = {
            key: value[frames] if self._is_per_frame(value) else value for key, value in self.source.extras.items()
        }

        def optional(value: Tensor | None) -> Tensor | None:
            return None if value is None else value[frames]

        return replace(
            self,
            rotations=self.rotations[frames],
            translation=self.translation[frames],
            fps=self.fps / step,
            expression=optional(self.expression),
            offsets=optional(self.offsets),
            mask=optional(self.mask),
            source=replace(self.source, extras=extras),
        )

    def _is_per_frame(self, extra: Any) -> bool:
        return isinstance(extra, Tensor | np.ndarray) and extra.ndim > 0 and len(extra) == len(self)

    def _source_without_frames(self) -> Source:
        extras = {key: value for key, value in self.source.extras.items() if not self._is_per_frame(value)}
        return replace(self.source, extras=extras)

    def _frame(self, index: SupportsIndex) -> int:
        """The index of a frame, counted from the start."""
        try:
            frame = operator.index(index)
        except TypeError:
            raise UsageError(
                "a motion is indexed by a frame number or a slice",
                where=f"index {index!r}"[:200],
                fix="motion[10] is one frame, motion[10:20] are ten; for times in seconds use vitruve.motion.crop",
            ) from None
        if not -len(self) <= frame < len(self):
            raise OutOfRange(
                f"the motion has no frame {frame}",
                where=f"it has {counted(len(self), 'frame')}",
                fix=f"use {-len(self)} to {len(self) - 1}",
            )
        return frame % len(self)

    @property
    def duration(self) -> float:
        """Length in seconds: frames over frame rate."""
        return len(self) / self.fps

    @property
    def body_name(self) -> str:
        """The body's name for `load_body`, for example "smplh-male"; empty for a plain tree.

        The `body` of a hand ("mano-left") and of a user's own file ("mine#1f3a9c02") is the whole name already.
        """
        if not self.body or self.body.endswith(("-left", "-right")) or is_own(self.body):
            return self.body
        return f"{self.body}-{self.gender}"

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the rotations and translations."""
        return self.rotations.dtype

    def replace(self, **changes: Any) -> Motion:
        """A copy with some fields changed; it is checked again.

        If the number of frames changes, per-frame extras are dropped, since they would no longer match.
        """
        changed = replace(self, **changes)
        if len(changed) != len(self) and "source" not in changes:
            changed = replace(changed, source=self._source_without_frames())
        return changed

    def edited(self, note: str, **changes: Any) -> Motion:
        """A changed copy with a note in its source: one sentence without the full stop.

        Per-frame extras of the file (markers, soft tissue) describe the old frames in the old world. They are dropped,
        and the note lists them.
        """
        source = self._source_without_frames()
        dropped = [key for key in self.source.extras if key not in source.extras]
        if dropped:
            note += f" (dropped with it: {', '.join(dropped)})"
        return replace(self, source=replace(source, notes=(*source.notes, note)), **changes)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Motion:
        """The motion on another device or in another precision."""
        return replace(self, **moved_tensors(self, device, dtype, same_dtype="mask"))

    def joints(self, body: BodyModel | None = None) -> Float[Tensor, "frames joints 3"]:
        """Joint positions in the world, metres: on a body, or on the rest positions of a plain tree."""
        if body is not None:
            return self.shaped(body).joints(self.rotations, self.translation)
        rest = self.rest_joints()
        if self.offsets is None:
            return forward_kinematics(self.rotations, rest, self.skeleton.parents)[1] + self.translation[:, None]
        return (
            _moving_bones(self.rotations, self.offsets, self.skeleton.parents) + (rest[0] + self.translation)[:, None]
        )

    def vertices(self, body: BodyModel, chunk: int | None = None) -> Float[Tensor, "frames vertices 3"]:
        """Vertex positions in the world, metres."""
        return self.shaped(body).vertices(self.rotations, self.translation, chunk=chunk)

    def shaped(self, body: BodyModel) -> ShapedBody:
        """The body with the shape and, if it has a face, the expression of this clip."""
        return body.shaped(self.betas, self.expression if body.num_expressions else None)

    def rest_joints(self, body: BodyModel | None = None) -> Float[Tensor, "joints 3"]:
        """Joint positions at rest: of the body with this clip's shape, or of the plain tree."""
        if body is not None:
            return body.shaped(self.betas).rest_joints
        if self.skeleton.rest is None:
            raise UsageError(
                "joint positions depend on the body, and none was given",
                where=f"a motion on '{self.body_name or self.skeleton.name}'",
                fix=f"pass the body: load_body('{self.body_name or 'open-smplx-neutral'}')",
            )
        return self.skeleton.rest.to(self.rotations)

    def smplx_arguments(self, *, num_betas: int | None = None, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """Arguments for a model of the `smplx` package, one row per frame: `model(**motion.smplx_arguments())`.

        Args:
            num_betas: shape columns, if the model was created with another number than `smplx_create_arguments`
                gives; missing ones are zero.
            dtype: precision; must be the model's.

        Returns:
            Axis-angle vectors `global_orient`, `body_pose` and, where the body has them, `left_hand_pose`,
            `right_hand_pose`, `jaw_pose`, `leye_pose`, `reye_pose` (of MANO: `hand_pose`), each [frames, joints * 3];
            `betas`, `transl`, and for SMPL-X `expression`. Hands are absolute. A masked frame is at rest.
        """
        from vitruve.formats.smplx_package import smplx_arguments  # formats stand above this layer

        return smplx_arguments(self, num_betas=num_betas, dtype=dtype)

    def smplx_create_arguments(self, *, num_betas: int | None = None) -> dict[str, Any]:
        """Arguments to create that model: `smplx.create("body_models", **motion.smplx_create_arguments())`.

        Args:
            num_betas: shape columns; by default ten, or as many as the motion uses.
        """
        from vitruve.formats.smplx_package import smplx_create_arguments

        return smplx_create_arguments(self, num_betas=num_betas)

    def save(self, path: str | PathLike[str], overwrite: bool = False) -> Path:
        """Write the motion; the suffix chooses the format, as in `vitruve.save_motion`."""
        from vitruve import save_motion  # the table of formats stands above this layer

        return save_motion(self, path, overwrite=overwrite)


def slice_step(frames: slice, what: str) -> int:
    """The step of a slice of frames, which must be positive; `what` names the sliced object in the error."""
    step = frames.step or 1
    if step < 1:
        raise UsageError(f"{what} cannot be sliced backwards", where=f"step {step}", fix="use a positive step")
    return step


def check_fps(fps: float, error: type[VitruveError] = BadData) -> None:
    """Raise the error for a frame rate outside the limits, or NaN."""
    if not SLOWEST <= fps <= FASTEST:
        limits = f"between {SLOWEST:g} and {FASTEST:,}"
        raise error(f"the frame rate is not {limits}", where=f"fps = {fps}", fix="for example fps=30")


def _moving_bones(rotations: Tensor, offsets: Tensor, parents: tuple[int, ...]) -> Tensor:
    """Joint positions relative to the root, for bones that change length over time."""
    world, positions = [rotations[:, 0]], [torch.zeros_like(offsets[:, 0])]
    for joint, parent in enumerate(parents[1:], start=1):
        positions.append(positions[parent] + (world[parent] @ offsets[:, joint, :, None])[..., 0])
        world.append(world[parent] @ rotations[:, joint])
    return torch.stack(positions, 1)


def _check(motion: Motion) -> None:
    frames, joints = len(motion.rotations), len(motion.skeleton)
    expected: dict[str, tuple[int, ...]] = {
        "rotations": (frames, joints, 3, 3),
        "translation": (frames, 3),
        "offsets": (frames, joints, 3),
        "mask": (frames,),
    }
    for key, shape in expected.items():
        value = getattr(motion, key)
        if value is not None and tuple(value.shape) != shape:
            raise BadData(
                f"the motion's {key} have the wrong shape",
                where=f"found {tuple(value.shape)}, expected {shape} on skeleton '{motion.skeleton.name}'",
                fix="give every field the same number of frames, and one rotation matrix per joint",
            )
    if motion.betas.dim() != 1:
        raise BadData(
            "a motion needs one shape for the whole clip",
            where=f"betas have shape {tuple(motion.betas.shape)}",
            fix="average them, or cut the clip by person",
        )
    if motion.expression is not None and (motion.expression.dim() != 2 or len(motion.expression) != frames):
        raise BadData(
            "the expression does not fit the frames",
            where=f"found {tuple(motion.expression.shape)}, expected ({frames}, expressions)",
            fix="give one row per frame",
        )
    for key in ("translation", "offsets", "betas", "expression"):
        value = getattr(motion, key)
        if value is not None and bool((value.abs() > FARTHEST).any()):
            place = (value.abs() > FARTHEST).nonzero()[0].tolist()
            raise BadData(
                f"a value of the motion's {key} is too large",
                where=f"{key}{place} is {float(value[tuple(place)]):g}",
                fix="check the file: damaged, or another unit than metres",
            )
    check_fps(motion.fps)
    if motion.gender not in GENDERS:
        raise BadData(f"unknown gender '{motion.gender}'", where="gender", fix="use 'neutral', 'female' or 'male'")
    if frames == 0:
        raise BadData("the motion has no frames", where="rotations", fix="check the file or the slice")
