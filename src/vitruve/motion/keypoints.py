"""The Keypoints type: named points of one person over time, in 3D or in an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vitruve.errors import BadData, UsageError
from vitruve.geometry.camera import Camera, moved_tensors
from vitruve.motion.motion import FARTHEST, Source, check_fps, slice_step
from vitruve.skeletons import Skeleton


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Points of one person over time. A missing point is NaN with confidence 0, never a number.

    Attributes:
        positions: [frames, points, 3] metres in the z-up world, or [frames, points, 2] pixels in the camera's images
            (the centre of the first pixel is at 0, 0).
        skeleton: names and edges of the points.
        confidence: [frames, points] from 0 (missing) to 1.
        camera: the camera of 2D points, if known.
        frame_ids: [frames] frame numbers in the source file or video, increasing.
    """

    positions: Float[Tensor, "frames points dims"]
    fps: float
    skeleton: Skeleton
    confidence: Float[Tensor, "frames points"] = None  # type: ignore[assignment]  # by default from `positions`
    camera: Camera | None = None
    person: str = ""
    frame_ids: Int[Tensor, "frames"] = None  # type: ignore[assignment]  # by default 0, 1, 2 ...
    source: Source = field(default_factory=Source)

    def __post_init__(self) -> None:
        _check(self)
        seen = self.positions.isfinite().all(-1)
        if self.confidence is None:
            object.__setattr__(self, "confidence", seen.to(self.positions.dtype))
        if self.frame_ids is None:
            object.__setattr__(self, "frame_ids", torch.arange(len(self.positions), device=self.positions.device))
        # A point without a position has confidence 0, and a point with confidence 0 has no position.
        seen = seen & (self.confidence > 0)
        if not bool(seen.all()):
            object.__setattr__(self, "positions", self.positions.where(seen[..., None], torch.nan))
            object.__setattr__(self, "confidence", self.confidence.where(seen, 0.0))

    def __len__(self) -> int:
        return len(self.positions)

    def __repr__(self) -> str:
        share = 100 * (1 - float(self.seen.double().mean()))
        return (
            f"Keypoints({len(self)} frames, {len(self) / self.fps:.2f} s at {self.fps:g} fps, {self.skeleton.name}, "
            f"{self.dims}D, {share:.1f} % missing)"
        )

    def __getitem__(self, frames: slice | int) -> Keypoints:
        """Some frames; a step divides the frame rate. A single index is one frame."""
        if isinstance(frames, int):
            if not -len(self) <= frames < len(self):
                raise IndexError(f"frame {frames} of keypoints with {len(self)} frames")
            frames = slice(frames % len(self), frames % len(self) + 1)
        step = slice_step(frames, "keypoints")
        camera = self.camera
        if camera is not None and len(camera) == len(self):
            camera = camera[frames]
        return replace(
            self,
            positions=self.positions[frames],
            confidence=self.confidence[frames],
            frame_ids=self.frame_ids[frames],
            fps=self.fps / step,
            camera=camera,
        )

    @property
    def dims(self) -> int:
        """3 for points in the world, 2 for points in an image."""
        return self.positions.shape[-1]

    @property
    def seen(self) -> Tensor:
        """[frames, points], True where a point has a position."""
        return self.confidence > 0

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the points."""
        return self.skeleton.names

    def point(self, name: str) -> Float[Tensor, "frames dims"]:
        """The positions of one point; the error for an unknown name lists the closest names."""
        return self.positions[:, self.skeleton.index(name)]

    def select(self, names: Sequence[str]) -> Keypoints:
        """Some points by name, in the order given."""
        keep = [self.skeleton.index(name) for name in names]
        return replace(
            self,
            positions=self.positions[:, keep],
            confidence=self.confidence[:, keep],
            skeleton=self.skeleton.subset(names, tree=False),
        )

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Keypoints:
        """The keypoints on another device or in another precision."""
        camera = None if self.camera is None else self.camera.to(device, dtype)
        return replace(self, **moved_tensors(self, device, dtype, same_dtype="frame_ids"), camera=camera)

    def projected(self, camera: Camera) -> Keypoints:
        """Project 3D points into a camera; points behind it or outside the reach of its lens are missing."""
        if self.dims != 3:
            raise UsageError("2D points cannot be projected", where=repr(self), fix="give 3D points")
        return replace(self, positions=camera.project(self.positions)[0].to(self.positions), camera=camera)

    def edited(self, note: str, **changes: Any) -> Keypoints:
        """A changed copy with a note in its source: one sentence without the full stop."""
        return replace(self, source=replace(self.source, notes=(*self.source.notes, note)), **changes)


def _check(keypoints: Keypoints) -> None:
    positions, points = keypoints.positions, len(keypoints.skeleton)
    if positions.dim() != 3 or positions.shape[1] != points or positions.shape[2] not in (2, 3):
        raise BadData(
            "the keypoints have the wrong shape",
            where=f"found {tuple(positions.shape)}, expected [frames, {points}, 2 or 3] on '{keypoints.skeleton.name}'",
            fix="give one position for each point of the skeleton",
        )
    if not len(positions):
        raise BadData("the keypoints have no frames", where="positions", fix="check the file or the slice")
    for key, shape in (("confidence", positions.shape[:2]), ("frame_ids", positions.shape[:1])):
        value = getattr(keypoints, key)
        if value is not None and tuple(value.shape) != tuple(shape):
            raise BadData(
                f"the {key} do not fit the positions",
                where=f"found {tuple(value.shape)}, expected {tuple(shape)}",
                fix="give one for each frame" + (" and point" if key == "confidence" else ""),
            )
    if keypoints.frame_ids is not None and bool((keypoints.frame_ids.diff() <= 0).any()):
        at = int((keypoints.frame_ids.diff() <= 0).nonzero()[0]) + 1
        raise BadData(
            "the frame numbers do not increase", where=f"frame_ids[{at}]", fix="sort the frames, without duplicates"
        )
    confidence = keypoints.confidence
    if confidence is not None and not bool(((confidence >= 0) & (confidence <= 1)).all()):
        raise BadData(
            "the confidence is not between 0 and 1",
            where=f"confidence from {float(confidence.nan_to_num().min()):g} to {float(confidence.max()):g}",
            fix="divide by the highest confidence of that file format",
        )
    if bool((positions.abs().nan_to_num(0.0, 0.0) > FARTHEST).any()):
        raise BadData("the positions are too large", where=f"beyond {FARTHEST:g}", fix="check the file and its unit")
    check_fps(keypoints.fps)
    camera = keypoints.camera
    if camera is not None and camera.moves and len(camera) != len(positions):
        raise BadData(
            "the camera and the keypoints differ in frames",
            where=f"the camera has {len(camera)} frames, the keypoints {len(positions)}",
            fix="give a camera for each frame, or a fixed one",
        )
