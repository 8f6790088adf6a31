"""Where the viewer's camera stands: front, side, back and top of the body that is shown, and the path it follows."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitruve.draw.facing import limbs_facing_deg
from vitruve.draw.framing import direction, fit_camera, target_of
from vitruve.draw.scene import Actor, Scene
from vitruve.draw.sticks import points_of

Floats = NDArray[np.float64]

# name -> how far round the body from its front, and how high, in degrees.
PRESETS = {"Front": (0.0, 4.0), "Side": (90.0, 4.0), "Back": (180.0, 4.0), "Top": (0.0, 89.0)}
START = (35.0, 10.0)
"""The view that a page opens with."""
FOV_DEG = 30.0

# The surface reaches this far beyond the joints, metres. A path is smoothed over this many seconds.
_FLESH, _SMOOTH = 0.15, 0.4


def aim(points: NDArray[Any], facing: float, view: tuple[float, float], aspect: float) -> tuple[Floats, Floats]:
    """Where a camera stands that has joints [..., 3] and the flesh around them in the picture, and where it looks.

    Args:
        points: metres, z up.
        facing: as `facing_deg` gives it.
        view: degrees round the body from its front, and upwards.
        aspect: width over height of the window.
    """
    points = points.reshape(-1, 3)
    box = np.stack([points.min(0) - _FLESH, points.max(0) + _FLESH])
    corners = np.array([[box[i, 0], box[j, 1], box[k, 2]] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    camera = fit_camera(corners, direction(facing + view[0], view[1]), (round(1000 * aspect), 1000), FOV_DEG)
    return camera.position.numpy(), target_of(camera, corners)


def across(scene: Scene) -> tuple[float, float]:
    """The direction on the ground, of length one, from the left to the right of who looks the first body in the face.

    Side by side along it, no body hides another in the view from the front, whichever way they face.
    """
    first = scene.actors[0]
    angle = math.radians(limbs_facing_deg(first, first.performer.valid_frames()[:1].tolist()))
    return math.cos(angle), math.sin(angle)


def abreast(scene: Scene) -> Scene:
    """Actors that stand side by side along x, as `load_scene` places them, stand side by side before the camera."""
    if any(actor.offset[1] for actor in scene.actors) or not any(actor.offset[0] for actor in scene.actors):
        return scene
    x, y = across(scene)
    turned = (replace(actor, offset=(actor.offset[0] * x, actor.offset[0] * y)) for actor in scene.actors)
    return replace(scene, actors=tuple(turned))


def followed_path(scene: Scene) -> Floats:
    """[frames of the time line, 2] metres: the way of the first actor's root over the ground, smoothed.

    Frames without data are bridged, so that the camera does not jump there.
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
    """[frames, 2] metres: the root over the ground, or the middle of meshes and keypoints; gaps are bridged."""
    performer, motion = actor.performer, actor.performer.motion
    own, known = np.arange(len(performer)), performer.valid_frames()
    ground: Floats = np.zeros((len(performer), 2))
    if motion is not None and performer.body is not None:
        # The root stands at a constant from the translation.
        ground = motion.translation[:, :2].detach().cpu().double().numpy()
        first = int(known[0])
        ground = ground + (actor.joint_positions([first])[0, 0, :2].cpu().numpy() - actor.offset - ground[first])
    elif motion is not None:
        ground[known] = points_of(actor, known.tolist())[:, 0, :2] - actor.offset
    else:
        ground[known] = np.nanmedian(points_of(actor, known.tolist())[..., :2], 1) - actor.offset
    return np.stack([np.interp(own, known, ground[known, k]) for k in range(2)], -1)
