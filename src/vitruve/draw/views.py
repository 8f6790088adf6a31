"""Cameras for a scene: from the front, the side, above; fitted to all frames, or following the bodies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from vitruve.draw.framing import VIEWS, Floats, direction, fit_camera, rightward, spread, target_of
from vitruve.draw.scene import Scene, limbs_facing_deg
from vitruve.draw.sticks import points_of
from vitruve.errors import BadData, UsageError, nearest
from vitruve.geometry.camera import Camera, camera_axes, look_at

PRESETS = {"fit": (30.0, 10.0), **VIEWS}
"""Name to azimuth and elevation in degrees, see `direction`."""
_FOLLOW_SECONDS = 0.35  # smoothing of a following camera
# Frames used to fit the picture: surfaces are slower than joints.
_SURFACES, _TREES = 32, 400
_CLIMB = 1.2  # metres


@dataclass(frozen=True)
class CameraChoice:
    """The user's choice.

    Attributes:
        azimuth, elevation: degrees from where the body faces and from the ground.
        distance: metres from the middle of the bodies; None to fit them into the picture.
        fov_deg: vertical angle of view.
        follow: move with the bodies.
    """

    azimuth: float = PRESETS["fit"][0]
    elevation: float = PRESETS["fit"][1]
    distance: float | None = None
    fov_deg: float = 25.0
    follow: bool = False


def parse_camera(text: str) -> CameraChoice:
    """A choice from text such as "side", "follow", "follow,front", "30,10", "30,10,4" or "30,10,4,40"."""
    words = [word.strip().lower() for word in text.split(",")]
    numbers = [float(word) for word in words if _is_number(word)]
    names = [word for word in words if not _is_number(word)]
    if text.lower().endswith((".toml", ".json")):
        raise UsageError(
            "a camera file goes with a video",
            where=f"--camera {text}",
            fix="name its video: --over VIDEO; or choose a view such as --camera side",
        )
    for name in names:
        if name != "follow" and name not in PRESETS:
            raise UsageError(
                f"'{name}' is not a view of the camera",
                where=f"--camera {text}",
                fix=f"{nearest(name, [*PRESETS, 'follow'])} (or numbers: azimuth,elevation[,distance[,fov]])",
            )
    places = [name for name in names if name != "follow"]
    if len(numbers) not in (0, 2, 3, 4) or len(places) + bool(numbers) > 1:
        raise UsageError(
            "the camera takes one word or two to four numbers",
            where=f"--camera {text}",
            fix="for example --camera side, --camera follow,side or --camera 30,10,4 (degrees, degrees, metres)",
        )
    angles = numbers[:2] if numbers else PRESETS[places[0] if places else "fit"]
    distance, fov = (numbers[2] if len(numbers) > 2 else None), (numbers[3] if len(numbers) > 3 else 25.0)
    if not (-90 <= angles[1] <= 90 and 1 <= fov <= 150 and (distance is None or distance > 0)):
        raise UsageError(
            "the camera's angles or distance are out of range",
            where=f"--camera {text}",
            fix="elevation -90 to 90 degrees, distance above 0 metres, angle of view 1 to 150 degrees",
        )
    return CameraChoice(angles[0], angles[1], distance, fov, "follow" in names)


def scene_facing_deg(scene: Scene, frames: Sequence[int]) -> float:
    """Which way the first actor faces on average in frames of the time line, see `facing_deg`; if it has no data there,
    in all frames.
    """
    actor = scene.actors[0]
    own = scene.own_frames(actor, frames)
    return limbs_facing_deg(actor, [own[i] for i in spread(len(own), _SURFACES)] or actor.some_frames(_SURFACES))


def across(scene: Scene, frames: Sequence[int], choice: CameraChoice) -> tuple[float, float]:
    """The direction on the ground that points to the right in the picture."""
    return rightward(choice.azimuth + scene_facing_deg(scene, frames))


def place_camera(scene: Scene, frames: Sequence[int], choice: CameraChoice, size: tuple[int, int]) -> Camera:
    """The camera that a user chose: fixed, or with a place for each frame if it follows.

    Args:
        frames: of its time line.
        size: of the picture in pixels.
    """
    towards = direction(choice.azimuth + scene_facing_deg(scene, frames), choice.elevation)
    path = _path(scene, frames) if choice.follow else np.zeros((len(frames), 3))
    points = _points(scene, frames, path)
    fitted = fit_camera(points, towards, size, choice.fov_deg)
    if choice.distance is not None:
        target = target_of(fitted, points)
        position = target + np.multiply(choice.distance, towards)
        fitted = look_at(position.tolist(), target.tolist(), size, choice.fov_deg)
    return fitted.moved(torch.from_numpy(path)) if choice.follow else fitted


def aspect(scene: Scene, frames: Sequence[int], choice: CameraChoice) -> float:
    """Width over height of the bodies as a following camera sees them in some frames."""
    points = _points(scene, frames, _path(scene, frames))
    towards = direction(choice.azimuth + scene_facing_deg(scene, frames), choice.elevation)
    right, down, _ = camera_axes(-torch.tensor(towards, dtype=torch.float64)).numpy()
    return float(np.ptp(points @ right) / max(np.ptp(points @ down), 1e-6))


def nothing_to_see(frames: Sequence[int]) -> BadData:
    """The error to raise if no actor has data in these frames."""
    return BadData(
        "there is nothing to see in these frames: none has data",
        where=f"frames {frames[0]} to {frames[-1]}",
        fix="choose others with --frames",
    )


def _points(scene: Scene, frames: Sequence[int], path: Floats) -> Floats:
    """Points [n, 3] that must be in the picture, relative to the path: surfaces in some frames, joints in more."""
    visible = []
    for actor in scene.actors:
        pairs = [(i, scene.frame_of(actor, frame)) for i, frame in enumerate(frames)]
        pairs = [pair for pair in pairs if actor.performer.holds(pair[1])]
        for most, surface in ((_SURFACES, True), (_TREES, False)):
            if not pairs or (surface and not actor.performer.has_surface):
                continue
            some = [pairs[i] for i in spread(len(pairs), most)]
            own = [frame for _, frame in some]
            points = actor.vertices(own).double().cpu().numpy() if surface else points_of(actor, own)
            points = (points - path[[i for i, _ in some], None]).reshape(-1, 3)
            visible.append(points[np.isfinite(points).all(1)])
    if not visible:
        raise nothing_to_see(frames)
    return np.concatenate(visible)


def _path(scene: Scene, frames: Sequence[int]) -> Floats:
    """The mean place of the bodies, smoothed over time: [frames, 3], metres.

    Heights are followed only if they change by more than a jump or a chair, so that the ground stays in place.
    """
    sums, count = np.zeros((len(frames), 3)), 0
    for actor in scene.actors:
        own = np.array([scene.frame_of(actor, frame) for frame in frames])
        at = np.flatnonzero([actor.performer.holds(frame) for frame in own])
        if not len(at):
            continue
        blocks = (own[at[i : i + _TREES]].tolist() for i in range(0, len(at), _TREES))
        middle = np.concatenate([np.nanmedian(points_of(actor, block), axis=1) for block in blocks])
        # In a gap the path is interpolated.
        sums += np.stack([np.interp(np.arange(len(frames)), at, middle[:, k]) for k in range(3)], -1)
        count += 1
    path = sums / max(count, 1)
    if np.ptp(path[:, 2]) < _CLIMB:
        path[:, 2] = 0
    rate = scene.fps * (len(frames) - 1) / max(abs(frames[-1] - frames[0]), 1) if len(frames) > 1 else 1.0
    # Extrapolated at both ends, or the camera would be late at the start and early at the end.
    sigma = max(_FOLLOW_SECONDS * rate, 1e-3)
    room = min(round(4 * sigma), len(path) - 1)
    longer = np.pad(path, ((room, room), (0, 0)), mode="reflect", reflect_type="odd")
    return gaussian_filter1d(longer, sigma, axis=0, mode="nearest")[room : room + len(path)]


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False
