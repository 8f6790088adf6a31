"""A real camera in a GLB file: where it stood, which way it looked, and its angle of view."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vitruve.formats.exporters.gltf_file import GltfFile, add_channel
from vitruve.formats.exporters.gltf_skin import continuous_quaternions
from vitruve.formats.readers.plain_text import z_up_from

# glTF's camera looks along -z with y up, OpenCV's along z with y down.
_TURN = np.diag([1.0, -1.0, -1.0])
# Nearer than this nothing is drawn, metres.
_NEAR = 0.05


@dataclass(frozen=True, eq=False)
class GltfCamera:
    """A camera beside a motion.

    Attributes:
        intrinsics: [3, 3] pixels. The middle of the picture and square pixels are assumed, as glTF has no other.
        size: width and height of its pictures in pixels.
        T_camera_world: [frames, 4, 4] in OpenCV's axes, from the z-up world; one for a camera that stands still.
        fps: how many of them a second has; the first is at the motion's first frame.
    """

    intrinsics: NDArray[np.float64]
    size: tuple[int, int]
    T_camera_world: NDArray[np.float64]
    fps: float

    @property
    def moves(self) -> bool:
        """Whether it has more than one place."""
        return len(self.T_camera_world) > 1


def add_camera(file: GltfFile, camera: GltfCamera, animation: dict[str, Any]) -> int:
    """Add the camera and its animation; returns its node."""
    back = z_up_from("y", torch.zeros((), dtype=torch.float64)).numpy().T
    R_world_camera = camera.T_camera_world[:, :3, :3].transpose(0, 2, 1)
    positions = -(R_world_camera @ camera.T_camera_world[:, :3, 3:])[..., 0] @ back.T
    turned = torch.from_numpy(np.ascontiguousarray(back @ R_world_camera @ _TURN))
    rotations = continuous_quaternions(turned[:, None])[0]
    width, height = camera.size
    lens = {
        "yfov": 2 * math.atan(height / 2 / float(camera.intrinsics[1, 1])),
        "aspectRatio": width / height,
        "znear": _NEAR,
    }
    node = file.add(
        "nodes",
        name="camera",
        camera=file.add("cameras", name="camera", type="perspective", perspective=lens),
        translation=positions[0].tolist(),
        rotation=rotations[0].tolist(),
    )
    if camera.moves:
        times = file.accessor((np.arange(len(positions)) / camera.fps).astype(np.float32), bounds=True)
        add_channel(animation, node, "translation", times, file.accessor(positions.astype(np.float32)))
        add_channel(animation, node, "rotation", times, file.accessor(rotations))
    return node
