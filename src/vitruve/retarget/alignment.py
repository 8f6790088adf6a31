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
        turned: [entries] False for an entry without rotation, which has the identity.
        valid: [frames] False where the source has no data; such frames have the rotations of the nearest valid frame.
        rolled: number of frames in which a rolled-over foot or hand was turned back, by the body's joint.
    """

    entries: tuple[JointMap, ...]
    joints: list[int]
    positions: Float[Tensor, "frames entries 3"]
    rotations: Float[Tensor, "frames entries 3 3"]
    turned: list[bool]
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
        return self.rotations[:, place] if place >= 0 and self.turned[place] else parents


def align(motion: Motion, mapping: Mapping, body: BodyModel, rest: Float[Tensor, "joints 3"]) -> Aligned:
    """Compute the positions and rotations that the mapping defines.

    Args:
        motion: on a plain tree.
        mapping: from its joints to the body's.
        body: the target body.
        rest: its joints at rest, metres; they give the directions of its bones.
    """
    check_names(mapping, motion.skeleton, body.skeleton)
    entries = tuple(entry for entry in mapping.joints if entry.joint in body.skeleton.names)
    positions, rotations, valid = posed(motion)
    names = motion.skeleton.names
    nowhere = torch.full_like(positions[:, 0], torch.nan)
    at = {
        entry.joint: positions[:, [names.index(name) for name in entry.position]].mean(1)
        for entry in entries
        if entry.position
    }
    turns: list[Tensor] = []
    rows = {entry.joint: entry for entry in entries}
    for entry in entries:
        own = []
        for name in entry.rotation:
            lead = rows.get(entry.like, entry)
            first = name if lead is entry else (*lead.rotation, name)[0]
            frame, turned = mapping.frames[first], rotations[valid, names.index(first)]
            correction = _along_the_bone(lead, frame, turned, valid, at, body, rest)
            own.append(rotations[:, names.index(name)] @ (mapping.frames[name].T.to(turned) @ correction))
        turns.append(_mean(own, rotations[:, 0]))
    named = {entry.joint: turn for entry, turn in zip(entries, turns) if entry.rotation}
    back = unrolled(named, at, valid, body, rest)
    turns = [back.get(entry.joint, turn) for entry, turn in zip(entries, turns)]
    return Aligned(
        entries=entries,
        joints=[body.skeleton.index(entry.joint) for entry in entries],
        positions=torch.stack([at.get(entry.joint, nowhere) for entry in entries], 1).masked_fill(
            ~valid[:, None, None], torch.nan
        ),
        rotations=torch.stack(turns, 1),
        turned=[bool(entry.rotation) for entry in entries],
        valid=valid,
        rolled={joint: int((turn != named[joint]).flatten(1).any(1)[valid].sum()) for joint, turn in back.items()},
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
        wanted = aligned.world(above @ like[:, joint], joint).to(like)
        out[:, joint] = above.mT @ wanted
        world.append(above @ like[:, joint] if fitted else wanted)
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
        rows = torch.arange(len(valid), device=valid.device)
        after = torch.searchsorted(known, rows).clamp(max=len(known) - 1)
        before = (after - 1).clamp(min=0)
        nearest_known = torch.where(
            (known[after] - rows).abs() < (rows - known[before]).abs(), known[after], known[before]
        )
        positions, rotations = positions[nearest_known], rotations[nearest_known]
    return positions, rotations, valid


def _along_the_bone(
    entry: JointMap,
    frame: Tensor,
    turned: Float[Tensor, "valid 3 3"],
    valid: Tensor,
    at: dict[str, Tensor],
    body: BodyModel,
    rest: Tensor,
) -> Float[Tensor, "3 3"]:
    """The rotation of the body's axes that aligns its bone with the source's; constant over the clip."""
    if not entry.bone or entry.bone not in at or entry.bone not in body.skeleton.names:
        return torch.eye(3).to(turned)
    theirs = (turned.mT @ (at[entry.bone] - at[entry.joint])[valid][..., None])[..., 0].median(0).values
    ours = (rest[body.skeleton.index(entry.bone)] - rest[body.skeleton.index(entry.joint)]).to(theirs)
    # The smallest rotation: the twist about the bone comes from the frames.
    return rotation_between(ours, frame.to(theirs) @ theirs)


def _mean(rotations: list[Tensor], like: Tensor) -> Tensor:
    """The mean of several rotations, without jumps over time where they are half a turn apart."""
    if not rotations:
        return torch.eye(3).to(like).expand_as(like)
    first = rotations[0]
    away = torch.stack([matrix_to_axis_angle(first.mT @ other) for other in rotations], 1)
    if float(away.norm(dim=-1).max()) > _NEAR_HALF_TURN:
        away = torch.stack([_run_on(one) for one in away.unbind(1)], 1)
    return first @ axis_angle_to_matrix(away.mean(1))


def _run_on(vectors: Float[Tensor, "frames 3"]) -> Float[Tensor, "frames 3"]:
    """Axis-angle vectors that continue beyond half a turn, and wrap where they have gone too far."""
    out, begin = continuous_axis_angle(vectors), 0
    while bool((beyond := out[begin:].norm(dim=-1) > _TOO_FAR).any()):
        begin += int(beyond.nonzero()[0, 0])
        out[begin:] = continuous_axis_angle(vectors[begin:])
    return out
