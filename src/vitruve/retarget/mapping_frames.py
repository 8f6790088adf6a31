"""Estimate the axes of a source's joints relative to the body: from a standing rest pose, or else from its clip."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.geometry.rotations import geodesic_distance, mean_rotation, rotation_between
from vitruve.motion import Motion
from vitruve.retarget.alignment import posed
from vitruve.retarget.mapping import JointMap, nearest_axes
from vitruve.skeletons import Skeleton

# A standing rest pose: cosines between the legs and straight down, the back and upright; the arms may hang, but not
# point inwards.
_LEGS_DOWN, _BACK_UP, _ARMS_IN = 0.8, 0.7, -0.2
# Axes within this angle of the file's are snapped to them, radians.
_SNAP = 0.3
# Frames to use; the share of them in which a foot stands; least bend of an elbow that shows its hinge, as a sine.
_FRAMES, _STANDING_SHARE, _BENT = 400, 0.3, 0.35
# If the arm is straight at rest (cosine), the forearm has the axes of the upper arm.
_STRAIGHT = 0.75

_FINGERS = tuple(f"{finger}{i}" for finger in ("index", "middle", "pinky", "ring", "thumb") for i in (1, 2, 3))
_OUTWARD = {"left": 1.0, "right": -1.0}
Frames = dict[str, Tensor]


def frames_of(rows: Sequence[JointMap], motion: Motion) -> tuple[Frames, str]:
    """[3, 3] for each joint of the source whose rotation a row uses, and a description of where they come from."""
    skeleton = motion.skeleton
    axes = None if skeleton.rest is None else _axes_of_standing_rest(rows, skeleton.rest.double(), skeleton)
    if axes is not None:
        return {name: axes for row in rows for name in row.rotation}, "its standing rest pose"
    clip = _MovingPerson(rows, motion[:: max(1, len(motion) // _FRAMES)])
    return {name: clip.frame(row.joint, name) for row in rows for name in row.rotation}, "its movement"


def _axes_of_standing_rest(rows: Sequence[JointMap], rest: Tensor, skeleton: Skeleton) -> Tensor | None:
    """[3, 3] from the file's axes to the body's if the rest pose is a standing person, else None."""
    at = {row.joint: rest[[skeleton.index(name) for name in row.position]].mean(0) for row in rows if row.position}
    legs = [
        _unit(at[f"{side}_{end}"] - at[f"{side}_{part}"])
        for side in ("left", "right")
        for part, end in (("hip", "knee"), ("knee", "ankle"))
    ]
    up = -_unit(torch.stack(legs).sum(0))
    left = _across(at["left_hip"] - at["right_hip"], up)
    axes = torch.stack([left, up, torch.linalg.cross(left, up)])
    top = at.get("neck", (at["left_shoulder"] + at["right_shoulder"]) / 2)
    arms = {side: at[f"{side}_wrist"] - at[f"{side}_shoulder"] for side in _OUTWARD}
    ahead = [(at[f"{side}_foot"] - at[f"{side}_ankle"]) @ axes[2] for side in _OUTWARD if f"{side}_foot" in at]
    stands = (
        all(float(-leg @ up) > _LEGS_DOWN for leg in legs)
        and float(_unit(top - (at["left_hip"] + at["right_hip"]) / 2) @ up) > _BACK_UP
        and all(float(_OUTWARD[side] * arm @ left) > _ARMS_IN * float(arm.norm()) for side, arm in arms.items())
        and all(float(toe) > 0 for toe in ahead)
    )
    if not stands:
        return None
    nearest = nearest_axes(axes)
    return nearest if float(geodesic_distance(axes, nearest)) < _SNAP else axes


class _MovingPerson:
    """A clip of a moving person: estimates the world rotation of the body's joints in each frame."""

    def __init__(self, rows: Sequence[JointMap], motion: Motion) -> None:
        positions, rotations, valid = posed(motion)
        self.names, self.rest = motion.skeleton.names, motion.skeleton.rest
        self.turned = rotations[valid]
        places = {row.joint: [self.names.index(name) for name in row.position] for row in rows if row.position}
        self.at = {joint: positions[valid][:, joints].mean(1) for joint, joints in places.items()}
        self.own = {row.joint: row.rotation[0] for row in rows if row.rotation}
        hips = (self.at["left_hip"] + self.at["right_hip"]) / 2
        top = self.at.get("neck", (self.at["left_shoulder"] + self.at["right_shoulder"]) / 2)
        self.hips = _basis(x=self.at["left_hip"] - self.at["right_hip"], y=top - hips)
        self.chest = _basis(x=self.at["left_shoulder"] - self.at["right_shoulder"], y=top - hips)

    def frame(self, joint: str, name: str) -> Tensor:
        """[3, 3] from the axes of the source's joint `name` to those of the body's `joint`."""
        side, _, part = joint.partition("_")
        turned = self.turned[:, self.names.index(name)]
        if part in ("wrist", *_FINGERS) and {f"{side}_index1", f"{side}_pinky1"} <= self.own.keys():
            return self._hand(side)
        if part in ("elbow", "wrist", *_FINGERS):
            return self._arm(side, turned)
        if part in ("ankle", "foot") and f"{side}_foot" in self.at:
            # The sole of a standing foot is on the ground.
            height = self.at[f"{side}_ankle"][:, 2]
            low = height <= height.quantile(_STANDING_SHARE)
            up = torch.tensor([0.0, 0.0, 1.0]).to(height).expand(int(low.sum()), 3)
            ahead = (self.at[f"{side}_foot"] - self.at[f"{side}_ankle"])[low]
            return _mean(_basis(x=torch.linalg.cross(up, ahead), y=up), turned[low])
        if part in ("hip", "knee", "ankle"):
            upper, lower = ("hip", "knee") if part == "hip" else ("knee", "ankle")
            shin = self.at[f"{side}_{upper}"] - self.at[f"{side}_{lower}"]
            return _mean(_basis(y=shin, x=self.hips[:, :, 0], first="y"), turned)
        if part == "shoulder":
            return self._upper_arm(side)
        between = self.hips + self.chest
        known = {"pelvis": self.hips, "spine1": self.hips, "spine2": _basis(x=between[:, :, 0], y=between[:, :, 1])}
        return _mean(known.get(joint, self.chest), turned)

    def _upper_arm(self, side: str) -> Tensor:
        """From the bone and the hinge of the elbow, about which the forearm bends forward."""
        sign = _OUTWARD[side]
        upper = _unit(self.at[f"{side}_elbow"] - self.at[f"{side}_shoulder"])
        fore = _unit(self.at[f"{side}_wrist"] - self.at[f"{side}_elbow"])
        hinge = sign * torch.linalg.cross(fore, upper)
        bent = hinge.norm(dim=-1)
        rows = bent >= min(_BENT, float(bent.quantile(0.8)))
        turned = self.turned[:, self.names.index(self.own[f"{side}_shoulder"])]
        return _mean(_basis(x=sign * upper[rows], y=hinge[rows]), turned[rows])

    def _arm(self, side: str, turned: Tensor) -> Tensor:
        """Forearm, and hand without fingers: like the upper arm if the arm is straight at rest, else from the clip."""
        upper = self._upper_arm(side)
        elbow, wrist = (self.names.index(self.own[f"{side}_{part}"]) for part in ("elbow", "wrist"))
        shoulder = self.names.index(self.own[f"{side}_shoulder"])
        if self.rest is not None:
            first, second = (
                _unit((self.rest[b] - self.rest[a]).double()) for a, b in ((shoulder, elbow), (elbow, wrist))
            )
            if float(first @ second) > _STRAIGHT:
                return rotation_between(upper @ second, upper @ first) @ upper
        world = self.turned[:, shoulder] @ upper.T
        fore = _unit(self.at[f"{side}_wrist"] - self.at[f"{side}_elbow"])
        return _mean(_basis(x=_OUTWARD[side] * fore, y=world[:, :, 1]), turned)

    def _hand(self, side: str) -> Tensor:
        """From the knuckles, which are level and side by side at rest."""
        assert self.rest is not None
        wrist, index, pinky = (
            self.rest[self.names.index(self.own[f"{side}_{part}"])].double() for part in ("wrist", "index1", "pinky1")
        )
        along = _OUTWARD[side] * ((index + pinky) / 2 - wrist)
        across = torch.linalg.cross((index - pinky)[None], along[None])
        return _basis(x=along[None], y=across)[0].T


def _mean(world: Float[Tensor, "frames 3 3"], turned: Float[Tensor, "frames 3 3"]) -> Float[Tensor, "3 3"]:
    return mean_rotation(world.mT @ turned)


def _basis(x: Tensor, y: Tensor, first: str = "x") -> Float[Tensor, "frames 3 3"]:
    """[frames, 3, 3] with columns x, y and z; the axis `first` as given, the other orthogonalised."""
    if first == "x":
        x = _unit(x)
        y = _across(y, x)
    else:
        y = _unit(y)
        x = _across(x, y)
    return torch.stack([x, y, torch.linalg.cross(x, y)], -1)


def _across(vector: Tensor, axis: Tensor) -> Tensor:
    """The unit vector nearest to the first that is perpendicular to the second."""
    return _unit(vector - (vector * axis).sum(-1, keepdim=True) * axis)


def _unit(vector: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vector, dim=-1)
