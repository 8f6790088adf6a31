"""The Keypoints type: named points of one person over time, in space or in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vitruve.errors import BadData, UsageError
from vitruve.geometry.camera import Camera
from vitruve.motion.motion import FARTHEST, FASTEST, SLOWEST, Source
from vitruve.skeletons import Skeleton


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Where the points of a person are. What was not seen is NaN with confidence 0, never a number.

    Attributes:
        positions: [frames, points, 3] metres in the z-up world, or [frames, points, 2] pixels of the camera's pictures
            (the centre of the first pixel is at 0, 0).
        fps: frames per second.
        skeleton: the names of the points, and how they belong together.
        confidence: [frames, points] from 0 (not seen) to 1.
        camera: the camera of points in pictures, where it is known.
        person: which of several persons this is.
        frame_ids: [frames] numbers of the frames in the file or video they come from, rising.
        source: where they come from.
    """

    positions: Float[Tensor, "frames points dims"]
    fps: float
    skeleton: Skeleton
    confidence: Float[Tensor, "frames points"] = None  # type: ignore[assignment]  # made from `positions` where left out
    camera: Camera | None = None
    person: str = ""
    frame_ids: Int[Tensor, "frames"] = None  # type: ignore[assignment]  # 0, 1, 2 ... where left out
    source: Source = field(default_factory=Source)

    def __post_init__(self) -> None:
        _check(self)
        seen = self.positions.isfinite().all(-1)
        if self.confidence is None:
            object.__setattr__(self, "confidence", seen.to(self.positions.dtype))
        if self.frame_ids is None:
            object.__setattr__(self, "frame_ids", torch.arange(len(self.positions), device=self.positions.device))
        # A point without a position has no confidence, and one without confidence no position.
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
        step = frames.step or 1
        if step < 1:
            raise UsageError("keypoints cannot be sliced backwards", where=f"step {step}", fix="use a positive step")
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
        """3 for points in space, 2 for points in a picture."""
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
        """The positions of one point; an unknown name is an error that gives the nearest names."""
        return self.positions[:, self.skeleton.index(name)]

    def select(self, names: Sequence[str]) -> Keypoints:
        """Some points by their names, in the order given."""
        keep = [self.skeleton.index(name) for name in names]
        return replace(
            self,
            positions=self.positions[:, keep],
            confidence=self.confidence[:, keep],
            skeleton=self.skeleton.subset(names, tree=False),
        )

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Keypoints:
        """The keypoints on another device or in another precision."""
        return replace(
            self,
            positions=self.positions.to(device=device, dtype=dtype),
            confidence=self.confidence.to(device=device, dtype=dtype),
            frame_ids=self.frame_ids.to(device=device),
            camera=None if self.camera is None else self.camera.to(device=device, dtype=dtype),
        )

    def projected(self, camera: Camera) -> Keypoints:
        """Points in space as a camera sees them; those behind it or outside of what its lens shows are missing."""
        if self.dims != 3:
            raise UsageError("points in a picture cannot be projected", where=repr(self), fix="give points in space")
        return replace(self, positions=camera.project(self.positions)[0].to(self.positions), camera=camera)

    def edited(self, note: str, **changes: Any) -> Keypoints:
        """A changed copy whose source says what was done, in one sentence without the full stop."""
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
        raise BadData("there are no frames", where="positions", fix="check the file, or the slice that was taken")
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
            "the numbers of the frames do not rise", where=f"frame_ids[{at}]", fix="sort the frames, each of them once"
        )
    confidence = keypoints.confidence
    if confidence is not None and not bool(((confidence >= 0) & (confidence <= 1)).all()):
        raise BadData(
            "a confidence lies between 0 and 1",
            where=f"confidence runs from {float(confidence.nan_to_num().min()):g} to {float(confidence.max()):g}",
            fix="divide by what a certain point has in that file",
        )
    if bool((positions.abs().nan_to_num(0.0, 0.0) > FARTHEST).any()):
        raise BadData("positions cannot be that large", where=f"beyond {FARTHEST:g}", fix="check the file and its unit")
    if not SLOWEST <= keypoints.fps <= FASTEST:
        raise BadData(
            f"a frame rate is a positive number, from {SLOWEST:g} to {FASTEST:,}",
            where=f"fps = {keypoints.fps}",
            fix="pass fps=30, say",
        )
    camera = keypoints.camera
    if camera is not None and camera.moves and len(camera) != len(positions):
        raise BadData(
            "the camera moves over other frames than the keypoints",
            where=f"the camera has {len(camera)} frames, the keypoints {len(positions)}",
            fix="give a camera for each frame, or one that stands still",
        )
