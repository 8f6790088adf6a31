"""The camera: intrinsics, pose, image size and lens model. One type for fitting, drawing, videos and files.

OpenCV's conventions: in the camera x is to the right, y down, z forward; the centre of the first pixel is at 0, 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.errors import BadData, UsageError
from vitruve.geometry.lens import distort, lens_coefficients, undistort

# Pixel centres are whole numbers. Scaling an image keeps its outer edges, which lie half a pixel further out.
_HALF = 0.5


@dataclass(frozen=True, eq=False)
class Camera:
    """A calibrated camera, fixed or moving.

    Attributes:
        intrinsics: [3, 3] or [frames, 3, 3] pixels: focal lengths, skew, principal point.
        T_camera_world: [4, 4] or [frames, 4, 4], maps points of the z-up world, metres, to the camera.
        distortion: coefficients of the lens model, in its order; empty for a lens without distortion.
        lens: the lens model, a key of `geometry.lens.LENSES`.
        fps: frames per second; None for a fixed camera, or one with the frame rate of its video.
    """

    intrinsics: Float[Tensor, "*frames 3 3"]
    T_camera_world: Float[Tensor, "*frames 4 4"]
    size: tuple[int, int]
    distortion: Float[Tensor, "coefficients"] = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    lens: str = "opencv"
    fps: float | None = None

    def __post_init__(self) -> None:
        _check(self)
        object.__setattr__(self, "distortion", lens_coefficients(self.lens, self.distortion))

    def __len__(self) -> int:
        """Number of frames; 1 for a fixed camera."""
        return max(
            len(self.T_camera_world) if self.T_camera_world.dim() == 3 else 1,
            len(self.intrinsics) if self.intrinsics.dim() == 3 else 1,
        )

    def __repr__(self) -> str:
        moves = f"{len(self)} frames" if self.moves else "still"
        return f"Camera({self.size[0]}x{self.size[1]}, {self.lens}, {moves})"

    def __getitem__(self, frames: int | slice | Tensor) -> Camera:
        """Some frames of a moving camera, or the camera at one of them; a fixed camera is returned as it is."""
        if isinstance(frames, slice) and (frames.step or 1) < 1:
            raise UsageError("a camera cannot be sliced backwards", where=f"step {frames.step}", fix="use a step of 1")

        def cut(value: Tensor) -> Tensor:
            return value[frames] if value.dim() == 3 else value

        step = (frames.step or 1) if isinstance(frames, slice) else 1
        fps = None if self.fps is None or isinstance(frames, int) else self.fps / step
        return replace(self, intrinsics=cut(self.intrinsics), T_camera_world=cut(self.T_camera_world), fps=fps)

    def at(self, frame: int) -> Camera:
        """The camera at one of its frames; after the end, the last frame."""
        return self[min(frame, len(self) - 1)]

    @property
    def moves(self) -> bool:
        """Whether pose or intrinsics are given per frame."""
        return self.T_camera_world.dim() == 3 or self.intrinsics.dim() == 3

    @property
    def axes(self) -> Float[Tensor, "*frames 3 3"]:
        """The unit vectors right, down and forward as rows, in world coordinates."""
        return self.T_camera_world[..., :3, :3]

    @property
    def position(self) -> Float[Tensor, "*frames 3"]:
        """The camera's position in the world, metres."""
        return -(self.axes.mT @ self.T_camera_world[..., :3, 3:])[..., 0]

    @property
    def fov_deg(self) -> Float[Tensor, "*frames"]:
        """Vertical field of view of the undistorted image, degrees."""
        return torch.rad2deg(2 * torch.atan(self.size[1] / 2 / self.intrinsics[..., 1, 1]))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Camera:
        """The camera on another device or in another precision."""
        return replace(self, **moved_tensors(self, device, dtype))

    def moved(self, offset: Float[Tensor, "*frames 3"]) -> Camera:
        """The camera moved in the world by a vector, metres, or by one vector per frame."""
        pose = self.T_camera_world.expand(*offset.shape[:-1], 4, 4).clone()
        pose[..., :3, 3] -= (self.axes @ offset.to(pose)[..., None])[..., 0]
        return replace(self, T_camera_world=pose)

    def resized(self, size: tuple[int, int]) -> Camera:
        """The same camera at another image size; the aspect ratio must stay."""
        scale = (size[0] / self.size[0], size[1] / self.size[1])
        if abs(scale[0] / scale[1] - 1) > 0.01:
            raise UsageError(
                "the camera and the video differ in aspect ratio",
                where=f"the camera's size is {self.size[0]}x{self.size[1]}, the video's {size[0]}x{size[1]}",
                fix="give the camera of this video (upright, as a player shows it)",
            )
        lens = self.intrinsics.clone()
        for row in (0, 1):
            lens[..., row, :] *= scale[row]
            lens[..., row, 2] += _HALF * (scale[row] - 1)
        return replace(self, intrinsics=lens, size=size)

    def project(self, points: Float[Tensor, "*batch 3"]) -> tuple[Float[Tensor, "*batch 2"], Float[Tensor, "*batch"]]:
        """Pixel positions [..., 2] and depths [...] along the optical axis, metres.

        Args:
            points: in the world, metres. For a moving camera, the first axis is the frames.

        The pixel is NaN for points at or behind the camera, and for points so far outside the image that the lens
        model would fold them back into it.
        """
        depth, plane = self._on_plane(points)
        bent, _ = distort(self.lens, self.distortion.to(plane), plane)
        return self._pixels(bent, points), depth

    def project_with_derivatives(
        self, points: Float[Tensor, "*batch 3"]
    ) -> tuple[Float[Tensor, "*batch 2"], Float[Tensor, "*batch 2 3"]]:
        """Pixel positions, and their derivatives with respect to the world points, pixels per metre."""
        depth, plane = self._on_plane(points)
        bent, slope = distort(self.lens, self.distortion.to(plane), plane)
        flat = torch.eye(2, 3, dtype=plane.dtype, device=plane.device).expand(*plane.shape[:-1], 2, 3).clone()
        flat[..., 2] = -plane
        turned = flat @ self._per_point(self.axes, points) / torch.where(depth > 0, depth, torch.nan)[..., None, None]
        return self._pixels(bent, points), self._per_point(self.intrinsics, points)[..., :2, :2] @ slope @ turned

    def rays(self, pixels: Float[Tensor, "*batch 2"]) -> tuple[Float[Tensor, "*#batch 3"], Float[Tensor, "*batch 3"]]:
        """World rays through pixels: origins, and directions that are one metre long in depth."""
        lens = self._per_point(self.intrinsics, pixels)
        bent = torch.linalg.solve(lens[..., :2, :2], (pixels.to(lens) - lens[..., :2, 2])[..., None])[..., 0]
        plane = undistort(self.lens, self.distortion.to(bent), bent)
        direction = torch.cat([plane, torch.ones_like(plane[..., :1])], -1)
        turn = self._per_point(self.axes, pixels)
        return self._per_point(self.position, pixels, own=1), (turn.mT @ direction[..., None])[..., 0]

    def unproject(self, pixels: Float[Tensor, "*batch 2"], depth: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 3"]:
        """The world points, metres, at given pixels and depths: the inverse of `project`."""
        start, direction = self.rays(pixels)
        return start + depth.to(direction)[..., None] * direction

    def _on_plane(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Depths of world points, and their places on the ideal image plane, NaN behind the camera."""
        turn = self._per_point(self.axes, points)
        shift = self._per_point(self.T_camera_world[..., :3, 3], points, own=1)
        seen = (turn @ points.to(turn)[..., None])[..., 0] + shift
        depth = seen[..., 2]
        return depth, seen[..., :2] / torch.where(depth > 0, depth, torch.nan)[..., None]

    def _pixels(self, plane: Tensor, points: Tensor) -> Tensor:
        lens = self._per_point(self.intrinsics, points)
        return (lens[..., :2, :2] @ plane[..., None])[..., 0] + lens[..., :2, 2]

    def _per_point(self, value: Tensor, points: Tensor, own: int = 2) -> Tensor:
        """A per-frame value with singleton axes, to broadcast against points [frames, ..., coordinates]."""
        if value.dim() == own:
            return value
        if points.dim() < 2 or len(points) != len(value):
            raise UsageError(
                "the points and the camera differ in frames",
                where=f"points have shape {tuple(points.shape)}, the camera has {len(value)} frames",
                fix="give points [frames, ..., coordinates], or one frame of the camera: camera.at(frame)",
            )
        return value.reshape(len(value), *[1] * (points.dim() - 2), *value.shape[1:])


def moved_tensors(
    item: Any, device: torch.device | str | None, dtype: torch.dtype | None, same_dtype: str = ""
) -> dict[str, Tensor]:
    """The tensors of a dataclass, by field, on a device and in a precision; the field `same_dtype` keeps its own."""
    tensors = {key: value for key, value in vars(item).items() if isinstance(value, Tensor)}
    return {key: value.to(device, None if key == same_dtype else dtype) for key, value in tensors.items()}


def look_at(
    position: Sequence[float],
    target: Sequence[float],
    size: tuple[int, int],
    fov_deg: float = 25.0,
    up: Sequence[float] = (0.0, 0.0, 1.0),
) -> Camera:
    """A camera without distortion at a position (metres), with a target in the middle of its image (pixels).

    Args:
        fov_deg: vertical field of view, degrees.
        up: the direction that is up in the image. If the camera looks along it, the world's x axis points right.
    """
    place = torch.as_tensor(position, dtype=torch.float64)
    axes = camera_axes(torch.as_tensor(target, dtype=torch.float64) - place, up)
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3], pose[:3, 3] = axes, -axes @ place
    return Camera(pinhole(size, fov_deg), pose, size)


def pinhole(size: tuple[int, int], fov_deg: float) -> Float[Tensor, "3 3"]:
    """Intrinsics with square pixels and the principal point in the middle of the image."""
    focal = size[1] / 2 / math.tan(math.radians(fov_deg) / 2)
    return torch.tensor(
        [[focal, 0, size[0] / 2 - _HALF], [0, focal, size[1] / 2 - _HALF], [0, 0, 1]], dtype=torch.float64
    )


def camera_axes(forward: Float[Tensor, "3"], up: Sequence[float] = (0.0, 0.0, 1.0)) -> Float[Tensor, "3 3"]:
    """The unit vectors right, down and forward, as rows, of a camera that looks along `forward`."""
    forward = forward / forward.norm()
    right = torch.linalg.cross(forward, torch.as_tensor(up, dtype=forward.dtype))
    length = right.norm()
    # Straight down or up, any direction can be "right"; the x axis keeps the usual map orientation.
    right = right / length if float(length) > 1e-9 else forward.new_tensor([1.0, 0.0, 0.0])
    return torch.stack([right, torch.linalg.cross(forward, right), forward])


def _check(camera: Camera) -> None:
    lens, pose = camera.intrinsics, camera.T_camera_world
    counts = {len(value) for value in (lens, pose) if value.dim() == 3}
    shapes = (tuple(lens.shape), tuple(pose.shape))
    if lens.shape[-2:] != (3, 3) or pose.shape[-2:] != (4, 4) or max(lens.dim(), pose.dim()) > 3 or 0 in counts:
        raise BadData(
            "the camera matrices have the wrong shape",
            where=f"intrinsics and T_camera_world have shapes {shapes[0]} and {shapes[1]}",
            fix="give [3, 3] and [4, 4], or one of each for every frame",
        )
    if len(counts) > 1:
        raise BadData(
            "the camera's intrinsics and poses differ in frames",
            where=f"intrinsics have shape {shapes[0]}, T_camera_world {shapes[1]}",
            fix="give both for the same frames, or one of them once",
        )
    flat = (lens.detach().reshape(-1, 3, 3), pose.detach().reshape(-1, 4, 4))
    if not flat[0].isfinite().all() or not flat[1].isfinite().all():
        raise BadData("the camera matrices are not finite", where="intrinsics, T_camera_world", fix="check the file")
    last = flat[0][:, 2] - flat[0].new_tensor([0.0, 0.0, 1.0])
    if (flat[0][:, 0, 0] <= 0).any() or (flat[0][:, 1, 1] <= 0).any() or (last.abs() > 1e-6).any():
        raise BadData(
            "the camera's intrinsics are invalid",
            where=f"intrinsics = {flat[0][0].tolist()}",
            fix="write [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels",
        )
    turn = flat[1][:, :3, :3].double()
    off = (turn @ turn.mT - torch.eye(3, dtype=turn.dtype, device=turn.device)).abs().amax((1, 2))
    bottom = (flat[1][:, 3] - flat[1].new_tensor([0.0, 0.0, 0.0, 1.0])).abs().amax(1)
    bad = (off > 1e-3) | (torch.linalg.det(turn) < 0) | (bottom > 1e-6)
    if bad.any():
        raise BadData(
            "the camera's pose is not a rigid transform",
            where=f"T_camera_world, frame {int(bad.nonzero()[0])}",
            fix="its upper left 3x3 must be a rotation, its last row 0, 0, 0, 1",
        )
    if len(camera.size) != 2 or min(camera.size) < 1:
        raise BadData("the camera's image size is invalid", where=f"size = {camera.size}", fix="give (width, height)")
    if camera.fps is not None and not camera.fps > 0:
        raise BadData("the camera's fps is not a positive number", where=f"fps = {camera.fps}", fix="write fps = 30")
