"""Features of a motion in SI units: speeds, accelerations, heading, foot contacts, sliding.

The frame rate is always the motion's. Derivatives are central differences, one-sided at the ends and next to an invalid
frame. NaN means missing: at invalid frames, and where no neighbour is valid. Positions need the body of the motion,
except for a plain tree with rest positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vitruve.bodies.body_model import BodyModel
from vitruve.errors import BadData, UsageError, nearest
from vitruve.geometry.rotations import matrix_to_axis_angle
from vitruve.motion.motion import Motion
from vitruve.skeletons import Skeleton

# Heel (ankle) and toe, left and right: the columns of `foot_contacts`.
FOOT_JOINTS = ("left_ankle", "left_foot", "right_ankle", "right_foot")
# Hysteresis: a contact lasts until a threshold is exceeded by this factor.
_LEAVE = 1.5
# Left-right pairs whose line across the body gives the heading.
ACROSS = (("left_hip", "right_hip"), ("left_shoulder", "right_shoulder"))


def derivative(
    values: Float[Tensor, "frames *rest"], fps: float, mask: Bool[Tensor, "frames"] | None = None
) -> Float[Tensor, "frames *rest"]:
    """Derivative over time, per second."""
    return _at_frames((values[1:] - values[:-1]) * fps, mask, len(values))


def velocities(motion: Motion, body: BodyModel | None = None) -> Float[Tensor, "frames joints 3"]:
    """Joint velocities in the world, m/s."""
    return derivative(motion.joints(body), motion.fps, motion.mask)


def accelerations(motion: Motion, body: BodyModel | None = None) -> Float[Tensor, "frames joints 3"]:
    """Joint accelerations in the world, m/s^2; NaN where a neighbour is missing, and so at both ends."""
    return _differences(motion.joints(body), motion.mask, 2, motion.fps)


def angular_velocities(motion: Motion) -> Float[Tensor, "frames joints 3"]:
    """Angular velocity of each joint relative to its parent, rad/s, in the parent's frame (the root's in the world)."""
    steps = motion.rotations[1:] @ motion.rotations[:-1].transpose(-1, -2)
    # Invalid frames may hold anything, even non-rotations: ignore them.
    if motion.mask is not None:
        valid = motion.mask[1:] & motion.mask[:-1]
        identity = torch.eye(3).to(steps)
        steps = torch.where(valid[:, None, None, None], steps, identity)
    return _at_frames(matrix_to_axis_angle(steps) * motion.fps, motion.mask, len(motion))


def heading(
    motion: Motion, body: BodyModel | None = None, across: Sequence[tuple[str, str]] = ACROSS
) -> Float[Tensor, "frames"]:
    """The heading: radians about z, 0 along +x and pi/2 along +y, unwrapped.

    It is perpendicular to the mean line across hips and shoulders, or other (left, right) joints given by `across`, so
    a twisted trunk counts half. NaN where that line is vertical (lying on the side).
    """
    joints = motion.joints(body)
    pairs = [(_named(motion.skeleton, a, "across"), _named(motion.skeleton, b, "across")) for a, b in across]
    line = torch.stack([joints[:, left] - joints[:, right] for left, right in pairs]).sum(0)
    unknown = line[:, :2].norm(dim=-1) < 0.1 * line.norm(dim=-1)
    if motion.mask is not None:
        unknown |= ~motion.mask
    angles = torch.atan2(-line[:, 0], line[:, 1]).detach().cpu().double().numpy()
    known = ~unknown.cpu().numpy() & np.isfinite(angles)
    out = np.full_like(angles, np.nan)
    out[known] = np.unwrap(angles[known])
    return torch.from_numpy(out).to(joints)


def ground_speed(motion: Motion) -> Float[Tensor, "frames"]:
    """Horizontal speed of the root joint, m/s. It needs no body: the root's rest position is constant over a clip."""
    return derivative(motion.translation[:, :2], motion.fps, motion.mask).norm(dim=-1)


def foot_contacts(
    motion: Motion,
    body: BodyModel | None = None,
    height: float = 0.04,
    speed: float = 0.2,
    ground: float = 0.0,
    joints: Sequence[str] = FOOT_JOINTS,
) -> Bool[Tensor, "frames feet"]:
    """Which foot joints touch the ground, one column per joint; False at invalid frames.

    A joint is in contact while it is at most `height` above its height when standing, and slower than `speed`. With
    hysteresis, a contact extends in both directions of time until a threshold is exceeded by half. Speeds are averaged
    over 50 ms, so that clips at 20 and 120 fps agree.

    Args:
        body: the body of the motion, whose sole gives the ankle's height when standing; without a body, the 5 %
            quantile of the joint's height is used.
        height: metres.
        speed: m/s.
        ground: height of the ground in metres, see `put_on_ground`.
    """
    indices = [_named(motion.skeleton, name, "joints") for name in joints]
    positions = motion.joints(body)[:, indices]
    valid = torch.ones(len(motion), dtype=torch.bool) if motion.mask is None else motion.mask.cpu()
    if not bool(valid.any()):
        return torch.zeros(len(motion), len(indices), dtype=torch.bool, device=positions.device)
    if body is None:
        # A quantile and not the minimum: a single frame below the floor must not decide.
        heights = positions[valid.to(positions.device), :, 2]
        standing = heights.quantile(0.05, dim=0, interpolation="lower") - ground
    else:
        standing = _standing_heights(motion, body, indices)
    above = positions[..., 2] - ground - standing
    speeds = _averaged(derivative(positions, motion.fps, motion.mask).norm(dim=-1), round(0.05 * motion.fps))
    # A single frame has no speed: height alone decides.
    speeds = speeds.nan_to_num(0.0)
    surely = (above <= height) & (speeds <= speed)
    maybe = (above <= _LEAVE * height) & (speeds <= _LEAVE * speed) & valid.to(above.device)[:, None]
    return _runs_with(surely.cpu(), maybe.cpu()).to(positions.device)


def foot_level(motion: Motion, body: BodyModel, joints: Sequence[str] = FOOT_JOINTS) -> float:
    """Height of the level ground under the feet, metres: in 5 % of the valid frames the lower foot is below it."""
    indices = [_named(motion.skeleton, name, "joints") for name in joints]
    heights = (motion.joints(body)[:, indices, 2] - _standing_heights(motion, body, indices)).amin(1)
    valid = heights if motion.mask is None else heights[motion.mask]
    return float(np.quantile(valid.cpu().double().numpy(), 0.05)) if len(valid) else 0.0


def _standing_heights(motion: Motion, body: BodyModel, indices: Sequence[int]) -> Tensor:
    """How high joints are above the sole at rest."""
    shaped = body.shaped(motion.betas)
    return shaped.rest_joints[list(indices), 1] - shaped.rest_vertices[:, 1].min()


def foot_sliding(
    motion: Motion,
    body: BodyModel | None = None,
    contacts: Bool[Tensor, "frames feet"] | None = None,
    joints: Sequence[str] = FOOT_JOINTS,
) -> float:
    """Mean horizontal speed, m/s, of foot joints in contact (by default from `foot_contacts`); NaN without contact."""
    if contacts is None:
        contacts = foot_contacts(motion, body, joints=joints)
    indices = [_named(motion.skeleton, name, "joints") for name in joints]
    if tuple(contacts.shape) != (len(motion), len(indices)):
        raise BadData(
            "the contacts do not fit the motion",
            where=f"found {tuple(contacts.shape)}, expected {(len(motion), len(indices))}",
            fix="give one column per foot joint",
        )
    moving = derivative(motion.joints(body)[:, indices, :2], motion.fps, motion.mask).norm(dim=-1)
    return float(moving[contacts.to(moving.device)].nanmean())


def _at_frames(steps: Tensor, mask: Tensor | None, frames: int) -> Tensor:
    """Rates between frames, [frames - 1, ...], to rates at frames: the mean of the valid ones on both sides."""
    shape = (-1, *[1] * (steps.dim() - 1))
    valid = torch.ones(frames, dtype=torch.bool) if mask is None else mask
    known = (valid[1:] & valid[:-1]).to(steps.device).reshape(shape)
    steps = torch.where(known, steps, torch.zeros_like(steps))
    total, count = steps.new_zeros(frames, *steps.shape[1:]), steps.new_zeros(frames, *known.shape[1:])
    total[:-1] += steps
    total[1:] += steps
    count[:-1] += known.to(steps)
    count[1:] += known.to(steps)
    return torch.where(count > 0, total / count.clamp_min(1), torch.full_like(total, torch.nan))


def _differences(values: Tensor, mask: Tensor | None, order: int, fps: float) -> Tensor:
    """Difference quotient of an order, centred in the frames it uses; NaN where one of them is missing."""
    out = torch.full_like(values, torch.nan)
    if len(values) <= order:
        return out
    quotient = torch.diff(values, n=order, dim=0) * fps**order
    if mask is not None:
        known = mask.to(values.device).unfold(0, order + 1, 1).all(-1).reshape(-1, *[1] * (values.dim() - 1))
        quotient = torch.where(known, quotient, torch.full_like(quotient, torch.nan))
    start = order // 2
    out[start : start + len(quotient)] = quotient
    return out


def _averaged(values: Tensor, window: int) -> Tensor:
    """Moving mean over an odd number of frames, about `window`, ignoring NaN."""
    side = window // 2
    if side < 1:
        return values
    known = ~values.isnan()

    def summed(array: Tensor) -> Tensor:
        padded = torch.nn.functional.pad(array, (0, 0, side, side))
        return padded.unfold(0, 2 * side + 1, 1).sum(-1)

    mean = summed(values.nan_to_num(0.0)) / summed(known.to(values)).clamp_min(1)
    return torch.where(known, mean, torch.full_like(mean, torch.nan))


def _runs_with(surely: Tensor, maybe: Tensor) -> Tensor:
    """Per column, the runs of `maybe` that contain a frame of `surely`."""
    from scipy import ndimage

    out = torch.zeros_like(maybe)
    for column in range(maybe.shape[1]):
        labels = ndimage.label(maybe[:, column].numpy())[0]  # type: ignore[index]
        found = np.unique(labels[(surely & maybe)[:, column].numpy()])
        out[:, column] = torch.from_numpy(np.isin(labels, found[found > 0]))
    return out


def _named(skeleton: Skeleton, name: str, argument: str) -> int:
    if name not in skeleton.names:
        raise UsageError(
            f"skeleton '{skeleton.name}' has no joint '{name}'",
            where=f"{argument}=...",
            fix=f"{nearest(name, skeleton.names)} Pass the names of this skeleton as `{argument}`",
        )
    return skeleton.names.index(name)
