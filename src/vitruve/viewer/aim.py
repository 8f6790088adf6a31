"""The viewer's camera: front, side, back and top of the first body, and the path that it follows."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitruve.draw.framing import VIEWS, Floats, direction, fit_camera, rightward, target_of
from vitruve.draw.scene import Actor, Scene, limbs_facing_deg
from vitruve.draw.sticks import points_of

PRESETS = {name.capitalize(): (azimuth, min(elevation, 89.0)) for name, (azimuth, elevation) in VIEWS.items()}
"""Name to azimuth and elevation in degrees; straight down, the orbit of viser's camera has no up direction."""
START = (35.0, 10.0)
"""The first view of a page."""
FOV_DEG = 30.0
_FLESH = 0.15  # metres that the surface reaches beyond the joints
_SMOOTH = 0.4  # seconds over which the followed path is smoothed


def aim(points: NDArray[Any], facing: float, view: tuple[float, float], aspect: float) -> tuple[Floats, Floats]:
    """Position and target of a camera that sees points [..., 3] and the flesh around them.

    Args:
        points: joints, metres, z up.
        facing: from `facing_deg`.
        view: azimuth from the front of the body and elevation, degrees.
        aspect: width over height of the window.
    """
    points = points.reshape(-1, 3)
    box = np.stack([points.min(0) - _FLESH, points.max(0) + _FLESH])
    corners = np.array(list(itertools.product(*box.T)))
    camera = fit_camera(corners, direction(facing + view[0], view[1]), (round(1000 * aspect), 1000), FOV_DEG)
    return camera.position.numpy(), target_of(camera, corners)


def across(scene: Scene) -> tuple[float, float]:
    """Unit vector on the ground that points to the right in the view on the first body's front.

    Side by side along it, no body hides another in that view.
    """
    first = scene.actors[0]
    return rightward(limbs_facing_deg(first, first.performer.valid_frames()[:1].tolist()))


def abreast(scene: Scene) -> Scene:
    """Turn actors that are side by side along x, as `load_scene` places them, so that they face the camera."""
    if any(actor.offset[1] for actor in scene.actors) or not any(actor.offset[0] for actor in scene.actors):
        return scene
    x, y = across(scene)
    turned = (replace(actor, offset=(actor.offset[0] * x, actor.offset[0] * y)) for actor in scene.actors)
    return replace(scene, actors=tuple(turned))


def followed_path(scene: Scene) -> Floats:
    """[frames of the time line, 2] metres: the smoothed path of the first actor's root over the ground.

    Frames without data are interpolated, so that the camera does not jump there.
    """
    actor = scene.actors[0]
    performer, ground = actor.performer, _ground_path(actor)
    width = _SMOOTH * performer.fps
    reach = max(1, math.ceil(3 * width))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(ground, ((reach, reach), (0, 0)), mode="edge")
    smooth = np.stack([np.convolve(padded[:, k], kernel, mode="valid") for k in range(2)], -1)
    own = [min(scene.frame_of(actor, frame), len(performer) - 1) for frame in range(len(scene))]
    return np.asarray(smooth[own], np.float64)


def _ground_path(actor: Actor) -> Floats:
    """[frames, 2] metres: the root over the ground, or the middle of meshes and keypoints; gaps are interpolated."""
    performer, motion = actor.performer, actor.performer.motion
    own, known = np.arange(len(performer)), performer.valid_frames()
    ground: Floats = np.zeros((len(performer), 2))
    if motion is not None and performer.body is not None:
        # The root is at a constant distance from the translation.
        ground = motion.translation[:, :2].detach().cpu().double().numpy()
        first = int(known[0])
        ground = ground + (actor.joint_positions([first])[0, 0, :2].cpu().numpy() - actor.offset - ground[first])
    elif motion is not None:
        ground[known] = points_of(actor, known.tolist())[:, 0, :2] - actor.offset
    else:
        ground[known] = np.nanmedian(points_of(actor, known.tolist())[..., :2], 1) - actor.offset
    return np.stack([np.interp(own, known, ground[known, k]) for k in range(2)], -1)
