"""Turn windows about the vertical and move them along the ground, so that all have one position and heading.

The heading of a frame is the rotation about z in its root rotation. It needs no body, and is defined lying and bent
over, but not upside down. Without `root_rest`, `translation` is moved to x = y = 0, and not the root joint.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.errors import UsageError
from vitruve.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle, rotation_about

Batch = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Placement:
    """How windows were turned and moved: a world point p became Rz(yaw) (p - origin).

    Attributes:
        yaw: radians about z.
        origin: metres; its height is 0.
        root_rest: the root joint's rest position, or zeros.
    """

    yaw: Float[Tensor, "windows"]
    origin: Float[Tensor, "windows 3"]
    root_rest: Float[Tensor, "windows 3"]

    def points(self, points: Float[Tensor, "windows *rest 3"]) -> Float[Tensor, "windows *rest 3"]:
        """World points in the canonical windows; exact where the root's rest position was given."""
        return _turned(points.double() - _beside(self.origin, points), self.yaw).to(points)

    def points_undone(self, points: Float[Tensor, "windows *rest 3"]) -> Float[Tensor, "windows *rest 3"]:
        """The inverse of `points`."""
        return (_turned(points.double(), -self.yaw) + _beside(self.origin, points)).to(points)

    def undo(self, batch: Batch) -> Batch:
        """The batch with root and translation as recorded."""
        rest = self.root_rest[:, None]
        translation = self.points_undone(batch["translation"].double() + rest) - rest
        root = _turned_root(batch["root"], -self.yaw)
        return batch | {"root": root, "translation": translation.to(batch["translation"])}


def canonical(
    batch: Batch, frame: int = 0, facing: float = 0.0, root_rest: Float[Tensor, "#windows 3"] | None = None
) -> tuple[Batch, Placement]:
    """Turn and move windows so that one frame of each is above the origin with a given heading. Heights are kept.

    Args:
        batch: from `Windows.fetch`, with root and translation; nothing else in it changes.
        frame: the frame; where it is invalid, the nearest valid one.
        facing: radians about z; 0 faces +x, pi/2 faces +y.
        root_rest: the root joint's rest position for each window's shape, metres.
    """
    if not {"root", "translation"} <= batch.keys():
        raise UsageError("canonical windows need root and translation", fix="make the windows with these fields")
    root, translation = batch["root"], batch["translation"].double()
    windows, length = root.shape[:2]
    if not 0 <= frame < length:
        raise UsageError(f"the windows have no frame {frame}", where=f"{length} frames", fix="count from 0")
    rest = translation.new_zeros(1, 3) if root_rest is None else root_rest.to(translation)
    away = (torch.arange(length, device=root.device) - frame).abs().expand(windows, length)
    nearest = (away + length * ~batch["mask"]).argmin(1) if "mask" in batch else away.argmin(1)
    picked = torch.arange(windows, device=root.device), nearest
    origin = (translation + rest[:, None])[picked] * translation.new_tensor([1, 1, 0])
    placement = Placement(facing - heading_of_root(root[picked]), origin, rest.expand(windows, 3))
    moved = placement.points(translation + placement.root_rest[:, None]) - placement.root_rest[:, None]
    out = {"root": _turned_root(root, placement.yaw), "translation": moved.to(batch["translation"])}
    return batch | out, placement


def heading_of_root(root: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch"]:
    """The heading of root rotations (axis-angle): radians about z, 0 along +x, float64."""
    # At rest a body has y up and faces +z; standing in the world, z up, it faces -y.
    upright = rotation_about("X", torch.tensor(math.pi / 2, dtype=torch.float64, device=root.device))
    turn = axis_angle_to_matrix(root.double()) @ upright.T
    # The twist about z of a rotation.
    return torch.atan2(turn[..., 1, 0] - turn[..., 0, 1], turn[..., 0, 0] + turn[..., 1, 1]) - math.pi / 2


def _turned_root(root: Tensor, yaw: Tensor) -> Tensor:
    """Axis-angle [windows, frames, 3], turned about z."""
    turn = rotation_about("Z", yaw.double())[:, None]
    return matrix_to_axis_angle(turn @ axis_angle_to_matrix(root.double())).to(root)


def _turned(points: Tensor, yaw: Tensor) -> Tensor:
    x, y, z = points.unbind(-1)
    cosine, sine = (part.reshape(-1, *[1] * (x.dim() - 1)) for part in (yaw.cos(), yaw.sin()))
    return torch.stack([cosine * x - sine * y, sine * x + cosine * y, z], -1)


def _beside(origin: Tensor, points: Tensor) -> Tensor:
    return origin.reshape(len(origin), *[1] * (points.dim() - 2), 3)
