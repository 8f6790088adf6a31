"""Where a clip is seen from: from the front, the side, above; fitted to all of it, or going along."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from vitruve.draw.facing import limbs_facing_deg
from vitruve.draw.framing import Floats, direction, fit_camera, target_of
from vitruve.draw.scene import Actor, Scene
from vitruve.draw.sticks import points_of
from vitruve.errors import BadData, UsageError, nearest
from vitruve.geometry.camera import Camera, camera_axes, look_at

# word -> azimuth and elevation in degrees; azimuth 0 looks the body in the face, 90 sees its left side.
PRESETS = {
    "fit": (30.0, 10.0),
    "front": (0.0, 8.0),
    "side": (90.0, 8.0),
    "back": (180.0, 8.0),
    "top": (0.0, 90.0),
}
_FOLLOW_SECONDS = 0.35  # how smoothly a following camera goes along
# Frames that are looked at to fit the picture: surfaces are slower than joints.
_SURFACES, _TREES = 32, 400
_CLIMB = 1.2  # metres


@dataclass(frozen=True)
class CameraChoice:
    """What a user asked for.

    Attributes:
        azimuth, elevation: degrees from where the body faces and from the ground.
        distance: metres from the middle of what is seen; None to fit it into the picture.
        fov_deg: vertical angle of view.
        follow: go along with the bodies.
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
            fix="name the video it belongs to: --over VIDEO; or choose a place such as --camera side",
        )
    for name in names:
        if name != "follow" and name not in PRESETS:
            raise UsageError(
                f"'{name}' is no place of the camera",
                where=f"--camera {text}",
                fix=f"{nearest(name, [*PRESETS, 'follow'])} (or numbers: azimuth,elevation[,distance[,fov]])",
            )
    places = [name for name in names if name != "follow"]
    if len(numbers) not in (0, 2, 3, 4) or len(places) + bool(numbers) > 1:
        raise UsageError(
            "the camera is said by one word or by two to four numbers",
            where=f"--camera {text}",
            fix="for example --camera side, --camera follow,side or --camera 30,10,4 (degrees, degrees, metres)",
        )
    angles = numbers[:2] if numbers else PRESETS[places[0] if places else "fit"]
    distance, fov = (numbers[2] if len(numbers) > 2 else None), (numbers[3] if len(numbers) > 3 else 25.0)
    if not (-90 <= angles[1] <= 90 and 1 <= fov <= 150 and (distance is None or distance > 0)):
        raise UsageError(
            "the camera stands where none can be",
            where=f"--camera {text}",
            fix="elevation -90 to 90 degrees, distance above 0 metres, angle of view 1 to 150 degrees",
        )
    return CameraChoice(angles[0], angles[1], distance, fov, "follow" in names)


def scene_facing_deg(scene: Scene, frames: Sequence[int]) -> float:
    """Which way the first actor faces on the whole in some frames of the time line, see `facing_deg`."""
    actor = scene.actors[0]
    return limbs_facing_deg(actor, _own(scene, actor, frames, _SURFACES))


def across(scene: Scene, frames: Sequence[int], choice: CameraChoice) -> tuple[float, float]:
    """The direction on the ground that is to the right in the picture; bodies side by side stand along it."""
    angle = math.radians(choice.azimuth + scene_facing_deg(scene, frames))
    return math.cos(angle), math.sin(angle)


def place_camera(scene: Scene, frames: Sequence[int], choice: CameraChoice, size: tuple[int, int]) -> Camera:
    """The camera that a user chose: standing still, or with a place for each frame where it goes along.

    Args:
        scene: what is seen.
        frames: of its time line.
        choice: what the user asked for.
        size: of the picture in pixels.
    """
    towards = direction(choice.azimuth + scene_facing_deg(scene, frames), choice.elevation)
    path = _path(scene, frames) if choice.follow else np.zeros((len(frames), 3))
    points = _points(scene, frames, path)
    fitted = fit_camera(points, towards, size, choice.fov_deg)
    if choice.distance is not None:
        target = target_of(fitted, points)
        fitted = look_at(
            (target + np.multiply(choice.distance, towards)).tolist(), target.tolist(), size, choice.fov_deg
        )
    return fitted.moved(torch.from_numpy(path)) if choice.follow else fitted


def aspect(scene: Scene, frames: Sequence[int], choice: CameraChoice) -> float:
    """How wide the bodies are over how tall, as a camera that goes along sees them in some frames."""
    points = _points(scene, frames, _path(scene, frames))
    towards = direction(choice.azimuth + scene_facing_deg(scene, frames), choice.elevation)
    right, down, _ = camera_axes(-torch.tensor(towards, dtype=torch.float64)).numpy()
    return float(np.ptp(points @ right) / max(np.ptp(points @ down), 1e-6))


def _own(scene: Scene, actor: Actor, frames: Sequence[int], most: int) -> list[int]:
    """At most so many of the actor's own frames with data, spread over the frames; of all where these have none."""
    own = [scene.frame_of(actor, frame) for frame in frames]
    own = [frame for frame in own if actor.performer.holds(frame)] or actor.performer.valid_frames().tolist()
    return [own[i] for i in np.linspace(0, len(own) - 1, min(len(own), most)).round().astype(int)]


def _points(scene: Scene, frames: Sequence[int], path: Floats) -> Floats:
    """Points [points, 3] that must be in the picture, relative to the path: surfaces in some frames, joints in more."""
    found = []
    for actor in scene.actors:
        pairs = [(i, scene.frame_of(actor, frame)) for i, frame in enumerate(frames)]
        pairs = [pair for pair in pairs if actor.performer.holds(pair[1])]
        for most, surface in ((_SURFACES, True), (_TREES, False)):
            if not pairs or (surface and not actor.performer.has_surface):
                continue
            some = [pairs[i] for i in np.linspace(0, len(pairs) - 1, min(len(pairs), most)).round().astype(int)]
            own = [frame for _, frame in some]
            points = actor.vertices(own).double().cpu().numpy() if surface else points_of(actor, own)
            points = (points - path[[i for i, _ in some], None]).reshape(-1, 3)
            found.append(points[np.isfinite(points).all(1)])
    if not found:
        raise BadData(
            "there is nothing to see in these frames: none has data",
            where=f"frames {frames[0]} to {frames[-1]}",
            fix="choose others with --frames",
        )
    return np.concatenate(found)


def _path(scene: Scene, frames: Sequence[int]) -> Floats:
    """Where the bodies are on the whole, smoothed over time: [frames, 3], metres.

    Heights are followed only where they change by more than a jump or a chair, so that the ground stays where it is.
    """
    sums, count = np.zeros((len(frames), 3)), 0
    for actor in scene.actors:
        own = np.array([scene.frame_of(actor, frame) for frame in frames])
        at = np.flatnonzero([actor.performer.holds(frame) for frame in own])
        if not len(at):
            continue
        middle = np.concatenate(
            [
                np.nanmedian(points_of(actor, own[at[i : i + _TREES]].tolist()), axis=1)
                for i in range(0, len(at), _TREES)
            ]
        )
        # In a gap the path goes straight on to where the body is next.
        sums += np.stack([np.interp(np.arange(len(frames)), at, middle[:, k]) for k in range(3)], -1)
        count += 1
    path = sums / max(count, 1)
    if np.ptp(path[:, 2]) < _CLIMB:
        path[:, 2] = 0
    rate = scene.fps * (len(frames) - 1) / max(abs(frames[-1] - frames[0]), 1) if len(frames) > 1 else 1.0
    # Carried on straight at both ends, or the camera would be late at the start and early at the end.
    sigma = max(_FOLLOW_SECONDS * rate, 1e-3)
    room = min(round(4 * sigma), len(path) - 1)
    longer = np.pad(path, ((room, room), (0, 0)), mode="reflect", reflect_type="odd")
    return gaussian_filter1d(longer, sigma, axis=0, mode="nearest")[room : room + len(path)]


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False
