"""A real camera in a GLB file: its pose and angle of view."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from vitruve.formats.animated_tree import world_to_file
from vitruve.formats.exporters.gltf_file import GltfFile, add_channel
from vitruve.formats.exporters.gltf_skin import continuous_quaternions
from vitruve.geometry.camera import Camera

# glTF's camera looks along -z with y up, OpenCV's along z with y down.
_TURN = np.diag([1.0, -1.0, -1.0])
# Near clipping plane, metres.
_NEAR = 0.05


def add_camera(file: GltfFile, camera: Camera, animation: dict[str, Any], fps: float) -> int:
    """Add the camera and its animation, at the motion's rate if it has none of its own; returns its node."""
    back = world_to_file("y")
    R_world_camera = camera.axes.mT.reshape(-1, 3, 3).double().numpy()
    positions = camera.position.reshape(-1, 3).double().numpy() @ back.T
    turned = torch.from_numpy(np.ascontiguousarray(back @ R_world_camera @ _TURN))
    rotations = continuous_quaternions(turned[:, None])[0]
    width, height = camera.size
    lens = {
        "yfov": 2 * math.atan(height / 2 / float(camera.intrinsics[..., 1, 1].reshape(-1)[0])),
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
        times = file.accessor((np.arange(len(positions)) / (camera.fps or fps)).astype(np.float32), bounds=True)
        add_channel(animation, node, "translation", times, file.accessor(positions.astype(np.float32)))
        add_channel(animation, node, "rotation", times, file.accessor(rotations))
    return node
