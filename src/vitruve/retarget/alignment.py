"""Align a motion on a foreign skeleton with a body: joint positions, and rotations in the body's own frames."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.bodies.kinematics import forward_kinematics
from vitruve.errors import BadData, UsageError, nearest
from vitruve.geometry.rotations import (
    axis_angle_to_matrix,
    continuous_axis_angle,
    matrix_to_axis_angle,
    rotation_between,
)
from vitruve.motion import Motion
from vitruve.motion.resampling import nearest_frames
from vitruve.retarget.mapping import JointMap, Mapping
from vitruve.retarget.rolled_limbs import unrolled
from vitruve.skeletons import Skeleton

# Radians between two rotations from which their mean may jump to the other side, and from which the continued mean is
# on the wrong side: a forearm does not turn by three quarters of a turn.
_NEAR_HALF_TURN, _TOO_FAR = 2.6, 1.5 * torch.pi


@dataclass(frozen=True, eq=False)
class Aligned:
    """A source motion in terms of the body's joints.

    Attributes:
        entries: the rows of the mapping for joints of the body.
        joints: [entries] their indices on the body.
        positions: [frames, entries, 3] metres; NaN for entries without a position, and in frames without data.
        rotations: [frames, entries, 3, 3] target world rotations of the body's joints.
        has_rotation: [entries] False for an entry without rotation, which has the identity.
        valid: [frames] False where the source has no data; such frames have the rotations of the nearest valid frame.
        rolled: number of frames in which a rolled-over foot or hand was corrected, by the body's joint.
    """

    entries: tuple[JointMap, ...]
    joints: list[int]
    positions: Float[Tensor, "frames entries 3"]
    rotations: Float[Tensor, "frames entries 3 3"]
    has_rotation: list[bool]
    valid: Bool[Tensor, "frames"]
    rolled: dict[str, int] = field(default_factory=dict)

    @property
    def weights(self) -> Float[Tensor, "entries"]:
        """The weight of each position; zero if there is none."""
        return torch.tensor([entry.weight if entry.position else 0.0 for entry in self.entries])

    def some(self, count: int) -> Aligned:
        """Evenly spread valid frames, at most `count`."""
        known = self.valid.nonzero()[:, 0]
        rows = known[torch.linspace(0, len(known) - 1, min(len(known), count)).long()]
        return replace(self, positions=self.positions[rows], rotations=self.rotations[rows], valid=self.valid[rows])

    def world(self, parents: Float[Tensor, "frames 3 3"], joint: int) -> Tensor:
        """World rotation of a joint of the body; its parent's if the source has none."""
        place = self.joints.index(joint) if joint in self.joints else -1
        return self.rotations[:, place] if place >= 0 and self.has_rotation[place] else parents


def align(motion: Motion, mapping: Mapping, body: BodyModel, rest: Float[Tensor, "joints 3"]) -> Aligned:
    """Compute the positions and rotations that the mapping defines. `rest` are the body's joints at rest, metres."""
    check_names(mapping, motion.skeleton, body.skeleton)
    entries = tuple(entry for entry in mapping.joints if entry.joint in body.skeleton.names)
    positions, rotations, valid = posed(motion)
    names = motion.skeleton.names
    at = {
        entry.joint: positions[:, [names.index(name) for name in entry.position]].mean(1)
        for entry in entries
        if entry.position
    }
    rest_at = dict(zip(body.skeleton.names, rest))
    turns: dict[str, Tensor] = {}
    rows = {entry.joint: entry for entry in entries}
    for entry in entries:
        own = []
        for name in entry.rotation:
            lead = rows.get(entry.like, entry)
            first = name if lead is entry else (*lead.rotation, name)[0]
            frame, turned = mapping.frames[first], rotations[valid, names.index(first)]
            correction = torch.eye(3).to(turned)
            if lead.bone in at and lead.bone in rest_at:
                theirs = (at[lead.bone] - at[lead.joint])[valid]
                correction = _along_the_bone(theirs, rest_at[lead.bone] - rest_at[lead.joint], frame, turned)
            own.append(rotations[:, names.index(name)] @ (mapping.frames[name].T.to(turned) @ correction))
        turns[entry.joint] = _mean(own, rotations[:, 0])
    corrected = unrolled({joint: turns[joint] for joint in turns if rows[joint].rotation}, at, valid, rest_at)
    nowhere = torch.full_like(positions[:, 0], torch.nan)
    return Aligned(
        entries=entries,
        joints=[body.skeleton.index(entry.joint) for entry in entries],
        positions=torch.stack([at.get(entry.joint, nowhere) for entry in entries], 1).masked_fill(
            ~valid[:, None, None], torch.nan
        ),
        rotations=torch.stack(list((turns | corrected).values()), 1),
        has_rotation=[bool(entry.rotation) for entry in entries],
        valid=valid,
        rolled={joint: int((turn != turns[joint]).flatten(1).any(1)[valid].sum()) for joint, turn in corrected.items()},
    )


def local_rotations(
    aligned: Aligned, skeleton: Skeleton, like: Float[Tensor, "frames joints 3 3"], fitted: bool = False
) -> Float[Tensor, "frames joints 3 3"]:
    """Parent-relative rotations on the body's tree that give the joints the source's world rotations.

    Args:
        aligned: the source.
        skeleton: the body's tree.
        like: rotations of the joints that are not in the mapping.
        fitted: compute each joint's local rotation relative to parents as in `like`, not as in the source.
    """
    out = like.clone()
    world: list[Tensor] = []
    identity = torch.eye(3).to(like).expand_as(like[:, 0])
    for joint, parent in enumerate(skeleton.parents):
        above = world[parent] if parent >= 0 else identity
        target = aligned.world(above @ like[:, joint], joint).to(like)
        out[:, joint] = above.mT @ target
        world.append(above @ like[:, joint] if fitted else target)
    return out


def check_names(mapping: Mapping, source: Skeleton, body: Skeleton) -> None:
    """Check that every joint in the mapping exists, on the source and (for `bone`) on the body."""
    for entry in mapping.joints:
        for name in entry.sources:
            if name not in source.names:
                raise UsageError(
                    f"the source has no joint '{name}'",
                    where=f"mapping '{mapping.name}', joints.{entry.joint}; skeleton '{source.name}'",
                    fix=nearest(name, source.names),
                )
        if entry.like and not any(other.joint == entry.like and other.bone for other in mapping.joints):
            raise BadData(
                f"'{entry.joint}' is like '{entry.like}', which has no bone",
                where=f"mapping '{mapping.name}', joints.{entry.joint}",
                fix="name a row with a bone",
            )
        partner = next((other for other in mapping.joints if other.joint == entry.bone), None)
        if entry.bone and (partner is None or not partner.position or not entry.position):
            raise BadData(
                f"the bone from '{entry.joint}' to '{entry.bone}' has no two positions",
                where=f"mapping '{mapping.name}', joints.{entry.joint}",
                fix="map both ends, each with a position",
            )
    if not any(entry.joint in body.names for entry in mapping.joints):
        raise UsageError(
            "the mapping has no joint of the body",
            where=f"mapping '{mapping.name}', skeleton '{body.name}'",
            fix=nearest(mapping.joints[0].joint, body.names),
        )


def posed(motion: Motion) -> tuple[Tensor, Tensor, Tensor]:
    """Positions and world rotations, with invalid frames filled from the nearest valid ones, and which are valid.

    Returns:
        [frames, joints, 3] metres, [frames, joints, 3, 3], and [frames] True where the motion has data.
    """
    positions = motion.joints().double()
    rotations, _ = forward_kinematics(motion.rotations.double(), motion.rest_joints().double(), motion.skeleton.parents)
    valid = torch.isfinite(positions).all(-1).all(-1) & torch.isfinite(rotations).flatten(1).all(-1)
    if motion.mask is not None:
        valid &= motion.mask
    known = valid.nonzero()[:, 0]
    if not len(known):
        raise BadData("no frame of the motion is valid", where=motion.source.file, fix="inspect it: vitruve info FILE")
    if not valid.all():
        rows = nearest_frames(known, torch.arange(len(valid), device=valid.device))
        positions, rotations = positions[rows], rotations[rows]
    return positions, rotations, valid


def _along_the_bone(
    source: Float[Tensor, "valid 3"], target: Float[Tensor, "3"], frame: Tensor, turned: Float[Tensor, "valid 3 3"]
) -> Float[Tensor, "3 3"]:
    """The rotation of the body's axes that aligns its bone with the source's; constant over the clip."""
    own = (turned.mT @ source[..., None])[..., 0].median(0).values
    # The smallest rotation: the twist about the bone comes from the frames.
    return rotation_between(target.to(own), frame.to(own) @ own)


def _mean(rotations: list[Tensor], like: Tensor) -> Tensor:
    """The mean of several rotations, without jumps over time where they are half a turn apart."""
    if not rotations:
        return torch.eye(3).to(like).expand_as(like)
    first = rotations[0]
    away = torch.stack([matrix_to_axis_angle(first.mT @ other) for other in rotations], 1)
    if float(away.norm(dim=-1).max()) > _NEAR_HALF_TURN:
        away = torch.stack([_continued(one) for one in away.unbind(1)], 1)
    return first @ axis_angle_to_matrix(away.mean(1))


def _continued(vectors: Float[Tensor, "frames 3"]) -> Float[Tensor, "frames 3"]:
    """Axis-angle vectors that continue beyond half a turn, and wrap where they have gone too far."""
    out, first = continuous_axis_angle(vectors), 0
    while bool((beyond := out[first:].norm(dim=-1) > _TOO_FAR).any()):
        first += int(beyond.nonzero()[0, 0])
        out[first:] = continuous_axis_angle(vectors[first:])
    return out
