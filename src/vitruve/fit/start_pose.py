"""The start pose of a conversion: shared rotations are copied by joint name, other joints get defaults."""

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
class Start:
    """The pose from which a fit starts.

    Attributes:
        rotations: [frames, joints, 3, 3] on the target's tree.
        translation: [frames, 3]: the root joint is where the source's is.
        free: [joints] which joints the fit may turn.
        invented: names of joints missing in the source, held at a default rotation.
        dropped: names of moving joints of the source that are missing in the target.
    """

    rotations: Float[Tensor, "frames joints 3 3"]
    translation: Float[Tensor, "frames 3"]
    free: Bool[Tensor, "joints"]
    invented: tuple[str, ...]
    dropped: tuple[str, ...]


def start(
    motion: Motion,
    source: ShapedBody,
    target: BodyModel,
    hands: str | Tensor = "flat",
    betas: Tensor | None = None,
) -> Start:
    """Copy the shared rotations of a motion on the source body to the target's joint tree.

    Args:
        motion: on the source's tree.
        source: the source body with the motion's shape.
        target: the target body.
        hands: for a source without fingers: "flat", "mean" (the target's relaxed hand), or [2, 45] axis-angle of the
            left and right hand.
        betas: the target's, if known before the fit; otherwise its mean shape.
    """
    names, frames = motion.skeleton.names, len(motion)
    rotations = target.rest_rotations(frames)
    free = torch.ones(target.num_joints, dtype=torch.bool)
    given = motion.rotations.to(rotations)
    invented, used = [], set()
    for joint, name in enumerate(target.skeleton.names):
        if name in names:
            rotations[:, joint] = given[:, names.index(name)]
            used.add(name)
            free[joint] = name not in FACE
        elif name in ("left_hand", "right_hand"):
            first = [names.index(f"{name[:-4]}{finger}1") for finger in FINGERS[:4] if f"{name[:-4]}{finger}1" in names]
            if first:
                rotations[:, joint] = mean_rotation(given[:, first])
                used.update(other for other in names if _hand_of(other) == name)
            else:
                invented.append(name)
                free[joint] = False
        else:
            invented.append(name)
            free[joint] = False
            if _hand_of(name):
                rotations[:, joint] = _hand_rotation(name, target, hands)
    root = source.rest_joints[..., 0, :] + motion.translation.to(source.rest_joints)
    rest_root = target.shaped(betas).rest_joints[0]
    farthest = torch.stack([given.amax(0), given.amin(0)])  # of all frames, without another copy of them
    turning = (farthest - torch.eye(3).to(given)).abs().amax((0, 2, 3)) > 1e-4
    dropped = [name for joint, name in enumerate(names) if name not in used and turning[joint]]
    return Start(rotations, (root - rest_root).to(rotations), free, tuple(invented), tuple(dropped))


def _hand_of(name: str) -> str:
    """ "left_hand" or "right_hand" for a finger joint; empty for other joints."""
    side, _, part = name.partition("_")
    return f"{side}_hand" if side in ("left", "right") and part.rstrip("123") in FINGERS else ""


def _hand_rotation(name: str, target: BodyModel, hands: str | Tensor) -> Tensor:
    side = name.partition("_")[0]
    fingers = [joint for joint in target.skeleton.names if _hand_of(joint) == f"{side}_hand"]
    place = fingers.index(name)
    if isinstance(hands, Tensor):
        return axis_angle_to_matrix(hands.view(2, 15, 3)[0 if side == "left" else 1, place])
    if hands not in HANDS:
        raise UsageError(f"unknown hands '{hands}'", fix=nearest(hands, HANDS))
    if hands == "flat":
        return torch.eye(3)
    if side not in target.hands:
        raise UsageError(f"body '{target.name}' has no mean hand", fix="use hands='flat', or give the rotations")
    return axis_angle_to_matrix(torch.as_tensor(target.hands[side].mean).view(15, 3)[place])
