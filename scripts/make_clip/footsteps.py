"""Planted feet: where and when each foot stands, and how it swings from one foothold to the next."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from gait_curves import STANCE_SHARE, foot_pitch, min_jerk
from torch import Tensor

from vitruve.geometry.rotations import rotation_about

# Where the template's axes (x left, y up, z forward) point for a body that stands in a z-up world and faces +x.
UPRIGHT = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
# The toes bend this far; more lifts their tips.
_TOE_BEND = math.radians(54)
_TOE_OUT = math.radians(6)


@dataclass(frozen=True)
class Foothold:
    """A foot that stands: from `start` to `end` (seconds), its ankle above `position` [2], turned by `yaw`."""

    start: float
    end: float
    position: Tensor
    yaw: float


@dataclass(frozen=True)
class Foot:
    """The foot at rest, in the sagittal plane of the template: (up, forward) of points relative to the ankle.

    Attributes:
        ankle: height of the ankle above the sole.
        ball: (up, forward) of the toe joint.
        heel: how far the back of the heel lies behind the ankle.
        toe: how far the tip lies before the toe joint.
    """

    ankle: float
    ball: tuple[float, float]
    heel: float
    toe: float


@dataclass(frozen=True)
class FootPath:
    """A foot over the frames: ankle [frames, 3], yaw, pitch of the sole and bend of the toes [frames], in radians.

    `lifted` is 0 where the foot stands and 1 in the middle of a swing; `phase` is the gait phase in cycles.
    """

    ankle: Tensor
    yaw: Tensor
    pitch: Tensor
    bend: Tensor
    lifted: Tensor
    phase: Tensor


@dataclass(frozen=True)
class Walk:
    """The way of the body: place [2] and heading at a time in seconds, and the times of the steps of both feet."""

    place: Callable[[Tensor], Tensor]
    heading: Callable[[Tensor], Tensor]
    swings: tuple[tuple[str, float, float], ...]


def footholds(walk: Walk, side: str, length: float, offset: Callable[[float], tuple[float, float]]) -> list[Foothold]:
    """The stances of one foot: each lies beside the place where the body passes in the middle of the stance.

    Args:
        walk: the way of the body.
        side: "left" or "right".
        length: seconds of the clip.
        offset: where the ankle stands beside the body's way at a time: metres (ahead, outwards).
    """
    sign = 1.0 if side == "left" else -1.0
    swings = [(start, end) for foot, start, end in walk.swings if foot == side]
    out = []
    for number in range(len(swings) + 1):
        start = swings[number - 1][1] if number else -math.inf
        end = swings[number][0] if number < len(swings) else math.inf
        # The first and the last stance have no other end: the body stands above them.
        middle = torch.tensor(0.0 if number == 0 else length if end == math.inf else (start + end) / 2).double()
        # In a turn the feet open outwards: the inner foot leads, the outer one lags, and they never cross.
        opening = float((walk.heading(middle + 0.2) - walk.heading(middle - 0.2)).abs()) / 2
        heading = float(walk.heading(middle)) + sign * opening
        ahead = torch.tensor([math.cos(heading), math.sin(heading)], dtype=torch.float64)
        left = torch.tensor([-math.sin(heading), math.cos(heading)], dtype=torch.float64)
        forward, outward = offset(float(middle))
        place = walk.place(middle) + forward * ahead + sign * outward * left
        out.append(Foothold(start, end, place, heading + sign * _TOE_OUT))
    return out


def foot_path(stances: list[Foothold], foot: Foot, time: Tensor) -> FootPath:
    """How a foot moves over its footholds: it rolls over heel and toe joint while it stands, and swings in between."""
    frames = len(time)
    zero = torch.zeros(frames, dtype=torch.float64)
    ankle = torch.zeros(frames, 3, dtype=torch.float64)
    yaw, pitch, bend, lifted, phase = (zero.clone() for _ in range(5))
    strides = [_stride(a, b) for a, b in itertools.pairwise(stances)]
    for number, stance in enumerate(stances):
        here = (time >= stance.start) & (time <= stance.end)
        before, after = (strides[number - 1] if number else 0.0), (strides[number] if number < len(strides) else 0.0)
        phase[here], pitch[here] = _stance_pitch(stance, time[here], before, after)
        bend[here] = (-pitch[here]).clamp(0, _TOE_BEND)
        yaw[here] = stance.yaw
        ankle[here] = _standing(stance, foot, pitch[here])
    for start, end, stride in zip(stances, stances[1:], strides, strict=False):
        here = (time > start.end) & (time < end.start)
        share = (time[here] - start.end) / (end.start - start.end)
        phase[here] = STANCE_SHARE + share * (1 - STANCE_SHARE)
        pitch[here] = stride * foot_pitch(phase[here])
        bend[here] = (-pitch[here]).clamp(0, _TOE_BEND) * (1 - min_jerk(share / 0.6))
        yaw[here] = start.yaw + (end.yaw - start.yaw) * min_jerk(share)
        lifted[here] = torch.sin(math.pi * share) ** 2
        leave, land = (_standing_at(stance, foot, stride, at) for stance, at in ((start, "push"), (end, "strike")))
        clearance = (0.035 - 0.015 * stride) * torch.sin(math.pi * share) ** 2
        ankle[here] = _swung(leave, land, end.start - start.end, share)
        ankle[here, 2] = clearance + _ankle_height(foot, pitch[here], bend[here])
    return FootPath(ankle, yaw, pitch, bend, lifted, phase)


def foot_rotations(path: FootPath) -> tuple[Tensor, Tensor]:
    """World rotations [frames, 3, 3] of the foot and of the toes."""
    turned = rotation_about("Z", path.yaw) @ UPRIGHT
    return turned @ rotation_about("X", -path.pitch), turned @ rotation_about("X", -(path.pitch + path.bend))


def _stride(start: Foothold, end: Foothold) -> float:
    """How much of a full stride (1.2 m) a swing covers: small steps roll the foot less."""
    return float(min(1.0, (end.position - start.position).norm() / 1.2 + 0.12))


def _stance_pitch(stance: Foothold, time: Tensor, before: float, after: float) -> tuple[Tensor, Tensor]:
    """Phase and pitch while a foot stands: the landing by its own clock, the push-off by the time that is left."""
    cycle = 1.1
    since, left = (time - stance.start) / cycle, (stance.end - time) / cycle
    landing = since.clamp(max=STANCE_SHARE / 2)
    pushing = (STANCE_SHARE - left).clamp(min=STANCE_SHARE / 2)
    pitch = before * foot_pitch(landing) * (since < STANCE_SHARE / 2) + after * foot_pitch(pushing)
    span = stance.end - stance.start
    phase = STANCE_SHARE * since * cycle / span if math.isfinite(span) else torch.where(since < left, landing, pushing)
    return phase, pitch


def _standing(stance: Foothold, foot: Foot, pitch: Tensor) -> Tensor:
    """The ankle of a standing foot, turned about the heel while the toes are up, else about the toe joint."""
    ball_up, ball_forward = foot.ball
    sine, cosine = pitch.sin(), pitch.cos()
    toes_up = pitch > 0
    # The ankle relative to its pivot at rest is (up, forward); a pitch turns forward towards up.
    up = torch.where(toes_up, foot.ankle, -ball_up).to(pitch)
    forward = torch.where(toes_up, foot.heel, -ball_forward).to(pitch)
    turned_up = up * cosine + forward * sine
    turned_forward = forward * cosine - up * sine
    height = turned_up + torch.where(toes_up, 0.0, foot.ankle + ball_up)
    moved = turned_forward - forward
    direction = torch.tensor([math.cos(stance.yaw), math.sin(stance.yaw)], dtype=torch.float64)
    return torch.cat([stance.position + moved[:, None] * direction, height[:, None]], -1)


def _standing_at(stance: Foothold, foot: Foot, stride: float, event: str) -> tuple[Tensor, Tensor]:
    """The ankle and its speed per second when the foot leaves the ground ("push") or meets it ("strike")."""
    step = 1e-3
    times = torch.tensor([stance.end - step, stance.end] if event == "push" else [stance.start, stance.start + step])
    before, after = (0.0, stride) if event == "push" else (stride, 0.0)
    _, pitch = _stance_pitch(stance, times.double(), before, after)
    ankle = _standing(stance, foot, pitch)
    return ankle[-1 if event == "push" else 0], (ankle[1] - ankle[0]) / step


def _swung(leave: tuple[Tensor, Tensor], land: tuple[Tensor, Tensor], seconds: float, share: Tensor) -> Tensor:
    """The ankle between two stances: a quintic that meets place and speed at both ends."""
    s = share[:, None]
    (a, va), (b, vb) = leave, land
    change = b - a - va * seconds
    slope = (vb - va) * seconds
    return (
        a
        + va * seconds * s
        + (10 * change - 4 * slope) * s**3
        + (7 * slope - 15 * change) * s**4
        + (6 * change - 3 * slope) * s**5
    )


def _ankle_height(foot: Foot, pitch: Tensor, bend: Tensor) -> Tensor:
    """The ankle's height when the lowest point of the sole (heel, toe joint or toe tip) just meets the ground."""
    ball_up, ball_forward = foot.ball
    radius = foot.ankle + ball_up
    sine, cosine = pitch.sin(), pitch.cos()
    heel = -foot.ankle * cosine - foot.heel * sine
    joint = ball_up * cosine + ball_forward * sine
    tip = joint - radius * (pitch + bend).cos() + foot.toe * (pitch + bend).sin()
    return -torch.stack([heel, joint - radius, tip]).amin(0)
