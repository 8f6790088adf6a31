"""Limbs: two bones that reach a point, arms that take a posture, hands that take a shape."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from vitruve.geometry.rotations import axis_angle_to_matrix, rotation_about


def frame(bone: Tensor, across: Tensor) -> Tensor:
    """Orthonormal columns (bone, across made square to it, third)."""
    first = normalize(bone, dim=-1)
    second = normalize(across - (across * first).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)


def two_bone_rotations(
    start: Tensor, end: Tensor, bends_to: Tensor, bones: tuple[Tensor, Tensor], rest_bends_to: tuple[float, ...]
) -> tuple[Tensor, Tensor]:
    """World rotations of the two bones of a limb that reaches from `start` to `end`, or as far as it can.

    Args:
        start, end: [frames, 3] hip and ankle, or shoulder and wrist, in the world.
        bends_to: [frames, 3] where the knee or the elbow's tip points.
        bones: the bones at rest, [3] each.
        rest_bends_to: where knee or elbow point at rest.
    """
    upper_length, lower_length = (bone.norm() for bone in bones)
    line = end - start
    reach = line.norm(dim=-1, keepdim=True).clamp_max((upper_length + lower_length) * 0.9995)
    along = normalize(line, dim=-1)
    out = normalize(bends_to - (bends_to * along).sum(-1, keepdim=True) * along, dim=-1)
    cosine = (upper_length**2 + reach**2 - lower_length**2) / (2 * upper_length * reach)
    upper = upper_length * (cosine * along + (1 - cosine**2).clamp_min(0).sqrt() * out)
    lower = reach * along - upper
    # The hinge stands square to the plane of the limb.
    hinge = torch.linalg.cross(out, along)
    rest_out = torch.tensor(rest_bends_to, dtype=torch.float64)
    rest = [frame(bone, torch.linalg.cross(rest_out, bone)) for bone in bones]
    return frame(upper, hinge) @ rest[0].T, frame(lower, hinge) @ rest[1].T


@dataclass(frozen=True)
class ArmPosture:
    """How an arm is held, for the left side, in the frame of the chest (x left, y up, z forward). Angles in degrees.

    Attributes:
        upper: direction of the upper arm.
        elbow_points: where the tip of the elbow points: the forearm bends away from it.
        elbow: bend of the elbow, 0 for a straight arm.
        twist: turn of the forearm about itself; positive turns the palm up (supination).
        wrist: (bend towards the palm, bend towards the thumb).
    """

    upper: tuple[float, float, float]
    elbow_points: tuple[float, float, float]
    elbow: float
    twist: float = 0.0
    wrist: tuple[float, float] = (0.0, 0.0)


def arm_rotations(posture: ArmPosture, side: str) -> Tensor:
    """[3, 3, 3] rotations of shoulder, elbow and wrist relative to their parents; the chest is the parent of the first.

    At rest the left arm points along x, palm down, and its elbow bends forward about -y.
    """
    upper, tip = (torch.tensor(v, dtype=torch.float64) for v in (posture.upper, posture.elbow_points))
    rest = frame(torch.tensor([1.0, 0, 0]).double(), torch.tensor([0, 0, -1.0]).double())
    shoulder = frame(upper, tip) @ rest.T
    elbow, twist, bend, thumb = (torch.tensor(math.radians(a)) for a in (posture.elbow, posture.twist, *posture.wrist))
    # The forearm turns over its whole length: half at the elbow, half at the wrist.
    half = rotation_about("X", -twist.double() / 2)
    elbow_rotation = rotation_about("Y", -elbow.double()) @ half
    wrist = half @ rotation_about("Z", -bend.double()) @ rotation_about("Y", -thumb.double())
    out = torch.stack([shoulder, elbow_rotation, wrist])
    if side == "right":
        mirror = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
        out = mirror[:, None] * out * mirror
    return out


@dataclass(frozen=True)
class HandShape:
    """How far the three joints of each finger are bent, in degrees; the thumb's are (across the palm, bent, bent)."""

    index: tuple[float, float, float]
    middle: tuple[float, float, float]
    pinky: tuple[float, float, float]
    ring: tuple[float, float, float]
    thumb: tuple[float, float, float]
    spread: float = 0.0


def hand_rotations(shape: HandShape, side: str) -> Tensor:
    """[15, 3, 3] rotations of one hand's joints, in SMPL's order.

    At rest the left fingers point along x, palm down: they bend about -z and spread about y.
    """
    spreads = {"index": 1.0, "middle": 0.2, "pinky": -1.4, "ring": -0.5}
    vectors = []
    for finger, share in spreads.items():
        for joint, bend in enumerate(getattr(shape, finger)):
            vectors.append([0.0, -share * shape.spread if joint == 0 else 0.0, -bend])
    across, middle, end = shape.thumb
    # The thumb swings under the palm about the arm's line, and bends about an axis between the palm's and the finger's.
    vectors += [[across, 0.35 * across, 0.0], [0.0, 0.85 * middle, -0.5 * middle], [0.0, 0.85 * end, -0.5 * end]]
    rotations = axis_angle_to_matrix(torch.deg2rad(torch.tensor(vectors, dtype=torch.float64)))
    if side == "right":
        mirror = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
        rotations = mirror[:, None] * rotations * mirror
    return rotations
