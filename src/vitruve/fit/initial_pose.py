"""The initial pose of a fit: shared rotations are copied by joint name, other joints get defaults."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vitruve.bodies import BodyModel, ShapedBody
from vitruve.errors import UsageError, nearest
from vitruve.geometry.rotations import axis_angle_to_matrix, mean_rotation
from vitruve.motion import Motion

FINGERS = ("index", "middle", "pinky", "ring", "thumb")
HANDS = ("flat", "mean")
# Joints that only move skin inside the face: copied if both bodies have them, and never fitted.
FACE = ("jaw", "left_eye_smplhf", "right_eye_smplhf")


@dataclass(frozen=True, eq=False)
class InitialPose:
    """The pose that a fit starts from, on the target's joints.

    Attributes:
        rotations: [frames, joints, 3, 3] parent-relative.
        translation: [frames, 3]: the root joint is where the source's is.
        free: [joints] joints that the fit may rotate.
        defaulted: joints that are missing in the source and keep a default rotation.
        dropped: moving joints of the source that are missing in the target.
    """

    rotations: Float[Tensor, "frames joints 3 3"]
    translation: Float[Tensor, "frames 3"]
    free: Bool[Tensor, "joints"]
    defaulted: tuple[str, ...]
    dropped: tuple[str, ...]


def copy_pose(
    motion: Motion,
    source: ShapedBody,
    target: BodyModel,
    hands: str | Tensor = "flat",
    betas: Tensor | None = None,
) -> InitialPose:
    """Copy the shared rotations of a motion to the target's joints.

    Args:
        motion: on the source's joints.
        source: the source body with the motion's shape.
        target: the target body.
        hands: for a source without fingers: "flat", "mean" (the target's relaxed hand), or [2, 45] axis-angle of the
            left and right hand.
        betas: the target's; None for its mean shape.
    """
    names = motion.skeleton.names
    rotations = target.rest_rotations(len(motion))
    copied = motion.rotations.to(rotations)
    free = torch.tensor([name in names and name not in FACE for name in target.skeleton.names])
    defaulted, used = [], set()
    for joint, name in enumerate(target.skeleton.names):
        knuckles = [names.index(knuckle) for knuckle in _knuckles(name) if knuckle in names]
        if name in names:
            rotations[:, joint] = copied[:, names.index(name)]
            used.add(name)
        elif knuckles:
            rotations[:, joint] = mean_rotation(copied[:, knuckles])
            used.update(other for other in names if _hand_of(other) == name)
            free[joint] = True
        else:
            defaulted.append(name)
            if _hand_of(name):
                rotations[:, joint] = _hand_rotation(name, target, hands)
    root = source.rest_joints[..., 0, :] + motion.translation.to(source.rest_joints)
    rest_root = target.shaped(betas).rest_joints[0]
    extremes = torch.stack([copied.amax(0), copied.amin(0)])  # over the frames, without another copy of them
    moving = (extremes - torch.eye(3).to(copied)).abs().amax((0, 2, 3)) > 1e-4
    dropped = [name for joint, name in enumerate(names) if name not in used and moving[joint]]
    return InitialPose(rotations, (root - rest_root).to(rotations), free, tuple(defaulted), tuple(dropped))


def _knuckles(name: str) -> list[str]:
    """The first finger joints of "left_hand" or "right_hand"; none for other joints."""
    side, _, part = name.partition("_")
    return [f"{side}_{finger}1" for finger in FINGERS[:4]] if part == "hand" else []


def _hand_of(name: str) -> str:
    """ "left_hand" or "right_hand" for a finger joint; empty for other joints."""
    side, _, part = name.partition("_")
    return f"{side}_hand" if side in ("left", "right") and part.rstrip("123") in FINGERS else ""


def _hand_rotation(name: str, target: BodyModel, hands: str | Tensor) -> Tensor:
    side = name.partition("_")[0]
    place = [joint for joint in target.skeleton.names if _hand_of(joint) == f"{side}_hand"].index(name)
    if isinstance(hands, Tensor):
        return axis_angle_to_matrix(hands.view(2, 15, 3)[0 if side == "left" else 1, place])
    if hands not in HANDS:
        raise UsageError(f"unknown hands '{hands}'", fix=nearest(hands, HANDS))
    if hands == "flat":
        return torch.eye(3)
    if side not in target.hands:
        raise UsageError(f"body '{target.name}' has no mean hand", fix="use hands='flat', or give the rotations")
    return axis_angle_to_matrix(torch.as_tensor(target.hands[side].mean).view(15, 3)[place])
