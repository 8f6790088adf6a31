"""Check the frame rate of a motion by physics: how people fall, and how fast they walk.

In the air a person falls with 9.81 m/s², and nobody walks much faster than 2 m/s without leaving the ground. Most
motions show neither, but there are no false alarms: of 269 clips of the CMU database and 81 BVH files none is flagged
at its own rate; at twice the rate 74 are, 44 by a jump or a run, 30 by walking.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vitruve.bodies import load_body
from vitruve.bodies.kinematics import forward_kinematics
from vitruve.motion.motion import Motion
from vitruve.motion.smoothing import runs_of_true

GRAVITY = 9.81
# Tolerated factor between the fall and gravity: a rate wrong by a factor of two gives four.
_TOO_FAST, _TOO_SLOW = 2.0, 0.4
# A flight: minimum height of the lowest joint above the floor, metres; more for a slow one, since climbing and standing
# on tiptoe look like slow flights; and its longest duration, seconds.
_CLEAR, _SURELY_CLEAR, _LONGEST = 0.06, 0.15, 2.5
# A measurable flight: its minimum rise, metres, and its maximum relative deviation from a parabola.
_RISE, _ROUGHNESS = 0.03, 0.05
# Walking: speed in m/s over half a second; the height in metres below which a foot is on the ground, with few frames
# off it; and the largest speed of the standing foot, relative to the root's.
_WALKING, _GROUND, _RARELY, _STANDING = 2.3, 0.03, 0.02, 0.4
# Candidates for the true rate.
_USUAL = (24, 25, 30, 50, 60, 100, 120, 240)
_FRAMES_AT_A_TIME = 2048
_Joints = NDArray[np.float64]


@dataclass(frozen=True)
class Pace:
    """The probable frame rate of a motion, if it differs from its own.

    Attributes:
        fps: probable frames per second.
        why: the evidence, a clause.
        where: frames and figures.
    """

    fps: float
    why: str
    where: str


def seen_pace(motion: Motion) -> Pace | None:
    """The probable frame rate if the motion contradicts its own, else None; z must be up and the unit metres."""
    joints = _positions(motion)
    if joints is None or len(joints) < 8:
        return None
    valid = np.ones(len(joints), np.bool_) if motion.mask is None else motion.mask.cpu().numpy()
    valid &= np.isfinite(joints).all((1, 2))
    if not valid.any():
        return None
    joints = np.where(valid[:, None, None], joints, 0.0)
    return _by_falling(motion, joints, valid) or _by_walking(motion, joints, valid)


def _by_falling(motion: Motion, joints: _Joints, valid: NDArray[np.bool_]) -> Pace | None:
    flights = _flights(joints, valid, motion)
    if not flights:
        return None
    falls = float(np.median([fall for _, _, fall, _ in flights]))
    if falls < _TOO_FAST * GRAVITY:
        flights = [flight for flight in flights if flight[3] > _SURELY_CLEAR]
        falls = float(np.median([fall for _, _, fall, _ in flights])) if flights else GRAVITY
        if falls > _TOO_SLOW * GRAVITY:
            return None
    start, stop = flights[0][:2]
    times = "once" if len(flights) == 1 else f"{len(flights)} times"
    return Pace(
        fps=_guess(motion.fps, motion.fps * (GRAVITY / falls) ** 0.5),
        why=f"in the air it falls {'faster' if falls > GRAVITY else 'slower'} than gravity allows",
        where=f"{times}, first in frames {start}-{stop - 1}: {falls:.1f} m/s², free fall is {GRAVITY:.1f}",
    )


def _flights(joints: _Joints, valid: NDArray[np.bool_], motion: Motion) -> list[tuple[int, int, float, float]]:
    """First frame, end, downward acceleration in m/s² and clearance in metres of each measurable flight."""
    low = joints[:, :, 2].min(1)
    low = low - np.percentile(low[valid], 5)
    height = _centre_height(joints, motion.skeleton.parents)
    found = []
    for start, stop in runs_of_true((low > _CLEAR) & valid):
        if start == 0 or stop == len(joints) or not 6 <= stop - start <= _LONGEST * motion.fps:
            continue
        time = np.arange(stop - start) / motion.fps
        curve = np.polynomial.Polynomial.fit(time, height[start:stop], 2)
        _, slope, bend = curve.convert(domain=(-1, 1)).coef.tolist() if curve.degree() == 2 else (0.0, 0.0, 0.0)
        rise = -bend * (time[-1] / 2) ** 2
        off = float(np.sqrt(np.mean((curve(time) - height[start:stop]) ** 2)))
        if rise > _RISE and off < _ROUGHNESS * rise and 0.3 < -slope / (2 * bend * time[-1]) < 0.7:
            found.append((start, stop, -2 * bend, float(low[start:stop].max())))
    return found


def _by_walking(motion: Motion, joints: _Joints, valid: NDArray[np.bool_]) -> Pace | None:
    names = [name.lower() for name in motion.skeleton.names]
    feet = [i for i, name in enumerate(names) if any(word in name for word in ("foot", "toe", "ankle"))]
    steps = max(1, round(motion.fps / 2))
    if len(feet) < 2 or len(joints) <= steps:
        return None
    heights = joints[:, feet, 2] - np.percentile(joints[valid][:, feet, 2], 5, axis=0)
    if float((heights[valid].min(1) > _GROUND).mean()) > _RARELY or not valid.all():
        return None  # it runs, or that is unknown
    speeds = np.linalg.norm(joints[steps:, 0, :2] - joints[:-steps, 0, :2], axis=-1) * motion.fps / steps
    speed = float(np.percentile(speeds, 80))
    slowest = np.linalg.norm(np.diff(joints[:, feet, :2], axis=0), axis=-1).min(1) * motion.fps
    if speed < _WALKING or float(np.median(slowest)) > _STANDING * speed:
        return None  # skating and riding: no foot ever stands
    return Pace(
        fps=_guess(motion.fps, motion.fps / 2),
        why="it walks faster than a person can",
        where=f"{speed:.1f} m/s with a foot always on the ground",
    )


def _positions(motion: Motion) -> _Joints | None:
    """[frames, joints, 3] joints in the world; a body is replaced by the open body's mean shape; None if unknown."""
    skeleton = motion.skeleton
    if not motion.body:
        known = skeleton.parents and (skeleton.rest is not None or motion.offsets is not None)
        return motion.joints().detach().cpu().double().numpy() if known else None
    rest = _rest(skeleton.name)
    if rest is None:
        return None
    rotations = motion.rotations.detach().cpu()[:, :22]
    parts = rotations.split(_FRAMES_AT_A_TIME)  # of a long clip, all at once would take gigabytes
    turned = [forward_kinematics(part, rest.to(part), skeleton.parents[:22])[1].clone() for part in parts]
    return (torch.cat(turned) + motion.translation.detach().cpu()[:, None]).double().numpy()


@functools.cache
def _rest(skeleton: str) -> torch.Tensor | None:
    """[22, 3] rest joints of the open body, without hands and face."""
    layout = skeleton.rstrip("0123456789")
    return load_body(f"open-{layout}").shaped().rest_joints[:22] if layout in ("smpl", "smplh", "smplx") else None


def _centre_height(joints: _Joints, parents: Sequence[int]) -> _Joints:
    """[frames] approximate height of the centre of mass: bones weighted by their length."""
    ends = [i for i, parent in enumerate(parents[: joints.shape[1]]) if parent >= 0]
    starts = [parents[i] for i in ends]
    lengths = np.linalg.norm(joints[:, ends] - joints[:, starts], axis=-1).mean(0)
    return ((joints[:, ends, 2] + joints[:, starts, 2]) / 2) @ (lengths / max(float(lengths.sum()), 1e-9))


def _guess(fps: float, seen: float) -> float:
    """The probable rate near the measured one: a simple multiple of the given rate, or a usual rate."""
    likely = [fps * 2.0**power for power in (-3, -2, -1, 1, 2, 3)]
    near = min(likely, key=lambda rate: abs(np.log(rate / seen)))
    return near if abs(np.log(near / seen)) < 0.15 else float(min(_USUAL, key=lambda rate: abs(np.log(rate / seen))))
