"""The body that follows the schedule: trunk, legs on planted feet, arms, head."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from footsteps import UPRIGHT, Foot, FootPath, Walk, foot_path, foot_rotations, footholds
from gait_curves import keyed, min_jerk, pelvis_angles, smoothed
from limbs import HandShape, arm_rotations, hand_rotations, two_bone_rotations
from schedule import (
    COUNTING,
    FPS,
    HANGING,
    HEADING_DEG,
    LEAN_DEG,
    LEFT_HAND,
    LOOK_DOWN_DEG,
    LOOK_LEFT_DEG,
    ON_THIGH,
    PELVIS_BACK,
    PELVIS_DOWN,
    RESTING,
    RIGHT_HAND,
    SECONDS,
    SHOWING,
    SLOUCH_DEG,
    SPEED,
    STANDING_WIDTH,
    SWINGS,
    WALKING_SPEED,
    WALKING_WIDTH,
    WAVE_IN,
    WAVE_OUT,
    WAVING,
)
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.bodies.kinematics import forward_kinematics
from vitruve.geometry.rotations import (
    matrix_to_quaternion_xyzw,
    quaternion_xyzw_to_matrix,
    rotation_about,
    slerp,
)
from vitruve.motion import Motion

SIDES = ("left", "right")


def make_motion(body: BodyModel) -> Motion:
    """The clip on a body of the SMPL+H layout, at its mean shape."""
    frames = round(SECONDS * FPS)
    time = torch.arange(frames, dtype=torch.float64) / FPS
    rest = body.shaped().rest_joints.double()
    joint = {name: i for i, name in enumerate(body.skeleton.names)}
    local = torch.eye(3, dtype=torch.float64).expand(frames, len(joint), 3, 3).clone()
    walk = _walk()
    paths = {side: foot_path(footholds(walk, side, SECONDS, _foot_offset), _foot(body, side), time) for side in SIDES}
    walking = keyed(time, SPEED) / WALKING_SPEED
    pelvis, chest = _trunk(local, joint, walk, paths, time, walking)
    place = _pelvis_place(walk, paths, time, walking)
    place[:, 2] = _pelvis_height(rest, joint, pelvis, place, paths, time, walking)
    for side in SIDES:
        _legs(local, joint, rest, side, pelvis, place, paths[side])
        _arms(local, joint, side, time, walking, paths[side])
        _rest_hand(local, joint, rest, side, body.skeleton.parents, time)
    _head(local, joint, walk, chest, time)
    return Motion(
        rotations=local,
        translation=place - rest[0],
        fps=FPS,
        skeleton=body.skeleton,
        body="open-smplh",
        gender="neutral",
        betas=torch.zeros(16, dtype=torch.float64),
    )


def _walk() -> Walk:
    """The way of the body, integrated in steps of a millisecond, so that it does not depend on the frames."""
    step = 1e-3
    clock = torch.arange(0, SECONDS + 2, step, dtype=torch.float64)
    speed, heading = keyed(clock, SPEED), torch.deg2rad(keyed(clock, HEADING_DEG))
    velocity = speed[:, None] * torch.stack([heading.cos(), heading.sin()], -1)
    way = torch.cat([torch.zeros(1, 2).double(), (velocity[1:] + velocity[:-1]).cumsum(0) * step / 2])

    def place(time: Tensor) -> Tensor:
        return way[(time / step).round().long().clamp(0, len(way) - 1)]

    return Walk(place, lambda time: torch.deg2rad(keyed(time, HEADING_DEG)), SWINGS)


def _foot_offset(time: float) -> tuple[float, float]:
    """Where an ankle stands beside the body: a little behind it in walking, so that the hip comes to extend."""
    share = float(keyed(torch.tensor(time).double(), SPEED)) / WALKING_SPEED
    return -0.08 * share, STANDING_WIDTH + (WALKING_WIDTH - STANDING_WIDTH) * share


def _foot(body: BodyModel, side: str) -> Foot:
    """Measures of a foot from the mesh: the sole is where its lowest vertices are."""
    rest = body.template.double()
    ankle, toes = (body.skeleton.index(f"{side}_{name}") for name in ("ankle", "foot"))
    joints = body.shaped().rest_joints.double()
    skin = rest[body.skin_weights[:, [ankle, toes]].sum(1) > 0.9]
    sole = skin[skin[:, 1] < skin[:, 1].min() + 0.02]
    ball = joints[toes] - joints[ankle]
    return Foot(
        ankle=float(joints[ankle, 1] - sole[:, 1].min()),
        ball=(float(ball[1]), float(ball[2])),
        heel=float(joints[ankle, 2] - sole[:, 2].min()),
        toe=float(skin[:, 2].max() - joints[toes, 2]),
    )


def _trunk(
    local: Tensor, joint: dict[str, int], walk: Walk, paths: dict[str, FootPath], time: Tensor, walking: Tensor
) -> tuple[Tensor, Tensor]:
    """Pelvis and spine: world rotations of the pelvis and the chest."""
    rotation, obliquity = (walking * angle for angle in pelvis_angles(paths["left"].phase))
    lean = torch.deg2rad(keyed(time, LEAN_DEG))
    slouch = torch.deg2rad(keyed(time, SLOUCH_DEG))
    breath = torch.deg2rad(0.9 * torch.sin(2 * math.pi * 0.27 * time))
    # The turn is led by the chest and followed by the pelvis.
    heading = walk.heading(time)
    ahead = walk.heading(time + 0.2) - heading
    forward = 0.55 * lean - slouch + torch.deg2rad(2.0 + 3.0 * walking)
    yaw = rotation_about("Z", heading - rotation) @ UPRIGHT
    pelvis = yaw @ rotation_about("X", forward) @ rotation_about("Z", obliquity)
    local[:, joint["pelvis"]] = pelvis
    # The chest turns against the pelvis and stays level.
    bend = 0.45 * lean + 1.1 * slouch + torch.deg2rad(1.5 - 3.0 * walking)
    world = pelvis
    for name, share in (("spine1", 0.3), ("spine2", 0.35), ("spine3", 0.35)):
        part = (
            rotation_about("Y", share * (2.0 * rotation + 0.5 * ahead))
            @ rotation_about("X", share * bend - (breath if name == "spine3" else 0.0 * breath))
            @ rotation_about("Z", -share * 1.1 * obliquity)
        )
        local[:, joint[name]] = part
        world = world @ part
    return pelvis, world


def _pelvis_place(walk: Walk, paths: dict[str, FootPath], time: Tensor, walking: Tensor) -> Tensor:
    """Where the pelvis is over the ground: over the standing foot, back over the chair, never quite still."""
    heading = walk.heading(time)
    ahead = torch.stack([heading.cos(), heading.sin()], -1)
    left = torch.stack([-heading.sin(), heading.cos()], -1)
    support = smoothed((paths["right"].lifted > 0).double() - (paths["left"].lifted > 0).double(), 4.0)
    idle = 0.006 * torch.sin(2 * math.pi * 0.13 * time) + 0.003 * torch.sin(2 * math.pi * 0.31 * time + 1)
    sideways = (0.042 - 0.016 * walking) * support + (1 - walking) * idle
    forward = 0.02 - 0.36 * keyed(time, PELVIS_BACK)
    flat = walk.place(time) + sideways[:, None] * left + forward[:, None] * ahead
    return torch.cat([flat, torch.zeros(len(time), 1).double()], -1)


def _pelvis_height(
    rest: Tensor,
    joint: dict[str, int],
    pelvis: Tensor,
    place: Tensor,
    paths: dict[str, FootPath],
    time: Tensor,
    walking: Tensor,
) -> Tensor:
    """Height of the pelvis: two waves a stride, seated on the chair, and never more than the legs can reach."""
    limits = []
    for side in SIDES:
        hip, knee, ankle = (rest[joint[f"{side}_{name}"]] for name in ("hip", "knee", "ankle"))
        reach = 0.998 * float((knee - hip).norm() + (ankle - knee).norm())
        offset = (pelvis @ (hip - rest[0])[:, None])[..., 0]
        flat = (paths[side].ankle - place - offset)[:, :2].norm(dim=-1)
        limits.append(paths[side].ankle[:, 2] + (reach**2 - flat**2).clamp_min(0.01).sqrt() - offset[:, 2])
    standing = float(torch.stack(limits)[:, 0].amin())
    knee_height = float(rest[joint["left_knee"], 1] - rest[joint["left_ankle"], 1]) + float(paths["left"].ankle[0, 2])
    seat = standing - (knee_height - 0.005)
    wave = -0.016 * walking * torch.cos(4 * math.pi * (paths["left"].phase - 0.06))
    wanted = standing - 0.012 * walking + wave - seat * keyed(time, PELVIS_DOWN)
    # The body comes down on the leading leg and rises over it only later: lows are held for a moment.
    limit = torch.stack([_delayed(torch.stack(limits).amin(0), frames) for frames in range(5)]).amin(0)
    for _ in range(3):
        wanted = smoothed(torch.minimum(wanted, limit), 1.0)
    return wanted


def _delayed(values: Tensor, frames: int) -> Tensor:
    return torch.cat([values[:1].expand(frames), values[: len(values) - frames]])


def _legs(
    local: Tensor, joint: dict[str, int], rest: Tensor, side: str, pelvis: Tensor, place: Tensor, path: FootPath
) -> None:
    """Leg rotations that put the foot where its path is."""
    hip, knee, ankle, toes = (joint[f"{side}_{name}"] for name in ("hip", "knee", "ankle", "foot"))
    at_hip = place + (pelvis @ (rest[hip] - rest[0])[:, None])[..., 0]
    # The knee points between the pelvis' and the foot's forward direction.
    toes_ahead = torch.stack([path.yaw.cos(), path.yaw.sin(), 0 * path.yaw], -1)
    forward = toes_ahead + 0.8 * pelvis[..., 2] * torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
    bones = (rest[knee] - rest[hip], rest[ankle] - rest[knee])
    thigh, shank = two_bone_rotations(at_hip, path.ankle, forward, bones, (0.0, 0.0, 1.0))
    foot, tips = foot_rotations(path)
    chain = (pelvis, thigh, shank, foot, tips)
    for index, parent, child in zip((hip, knee, ankle, toes), chain, chain[1:], strict=False):
        local[:, index] = parent.transpose(-1, -2) @ child


def _arms(local: Tensor, joint: dict[str, int], side: str, time: Tensor, walking: Tensor, path: FootPath) -> None:
    """Arm and hand: the swing of walking, with gestures over it."""
    swing = torch.cos(2 * math.pi * path.phase)
    flexion = torch.deg2rad(walking * (-4 - 19 * swing) + 2)
    elbow = torch.deg2rad(12 + walking * (14 - 10 * swing))
    arm = arm_rotations(HANGING, side).expand(len(time), 3, 3, 3).clone()
    arm[:, 0] = rotation_about("X", -flexion) @ arm[:, 0]
    turn = rotation_about("Y", -elbow if side == "left" else elbow)
    arm[:, 1] = turn @ arm[:, 1]
    if side == "right":
        wave = 0.5 - 0.5 * torch.cos(2 * math.pi * 1.6 * (time - WAVING[1]).clamp(0, WAVING[2] - WAVING[1]))
        ends = [arm_rotations(posture, side).expand(len(time), 3, 3, 3) for posture in (WAVE_IN, WAVE_OUT)]
        arm = _gesture(arm, slerp(*ends, wave[:, None]), time, WAVING)
    else:
        arm = _gesture(arm, arm_rotations(COUNTING, side), time, SHOWING)
    # Arms hang by gravity: they swing forward from a chest that leans.
    arm[:, 0] = rotation_about("X", -0.9 * torch.deg2rad(keyed(time, LEAN_DEG))) @ arm[:, 0]
    for i, name in enumerate(("shoulder", "elbow", "wrist")):
        local[:, joint[f"{side}_{name}"]] = arm[:, i]
    sign = 1.0 if side == "left" else -1.0
    raised = min_jerk((time - WAVING[0]) / 0.8) - min_jerk((time - WAVING[2]) / 0.8) if side == "right" else 0 * time
    lift = torch.deg2rad(0.8 * torch.sin(2 * math.pi * 0.27 * time) + 9 * raised)
    local[:, joint[f"{side}_collar"]] = rotation_about("Z", sign * lift)
    first = joint[f"{side}_index1"]
    local[:, first : first + 15] = _hand(LEFT_HAND if side == "left" else RIGHT_HAND, side, time)


def _rest_hand(
    local: Tensor, joint: dict[str, int], rest: Tensor, side: str, parents: tuple[int, ...], time: Tensor
) -> None:
    """While the body sits down, sits and rises, the hand lies on the thigh, palm down."""
    shoulder, elbow, wrist, hip, knee = (
        joint[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist", "hip", "knee")
    )
    world, positions = forward_kinematics(local, rest, parents)
    chest, thigh = world[:, parents[shoulder]], world[:, hip]
    share, above = ON_THIGH
    goal = share * (rest[knee] - rest[hip]) + torch.tensor([0.0, 0.0, above], dtype=torch.float64)
    target = positions[:, hip] + (thigh @ goal[:, None])[..., 0]
    sign = 1.0 if side == "left" else -1.0
    tip = (chest @ torch.tensor([0.5 * sign, -0.2, -0.8], dtype=torch.float64)[:, None])[..., 0]
    bones = (rest[elbow] - rest[shoulder], rest[wrist] - rest[elbow])
    upper, lower = two_bone_rotations(positions[:, shoulder], target, tip, bones, (0.0, 0.0, -1.0))
    # Fingers towards the knee and a little inwards, the back of the hand up.
    inwards = rotation_about("Z", torch.tensor(-0.25 * sign, dtype=torch.float64))
    away, up = (inwards @ torch.tensor([0.0, -1.0, 0.0]).double(), torch.tensor([0.0, 0.0, 1.0]).double())
    hand = thigh @ torch.stack([sign * away, up, torch.linalg.cross(sign * away, up)], -1)
    whole = lower.transpose(-1, -2) @ hand
    # The forearm turns over its whole length: half at the elbow, half at the wrist.
    twist = quaternion_xyzw_to_matrix(matrix_to_quaternion_xyzw(whole) * torch.tensor([1.0, 0.0, 0.0, 1.0]).double())
    half = slerp(torch.eye(3, dtype=torch.float64).expand_as(twist), twist, 0.5)
    posture = torch.stack(
        [chest.transpose(-1, -2) @ upper, upper.transpose(-1, -2) @ lower @ half, half.transpose(-1, -2) @ whole], 1
    )
    indices = [shoulder, elbow, wrist]
    local[:, indices] = _gesture(local[:, indices], posture, time, RESTING)


def _gesture(arm: Tensor, posture: Tensor, time: Tensor, times: Sequence[float]) -> Tensor:
    """An arm that goes to a posture and comes back."""
    weight = min_jerk((time - times[0]) / (times[1] - times[0])) - min_jerk((time - times[2]) / (times[3] - times[2]))
    return slerp(arm, posture.expand_as(arm), weight[:, None])


def _hand(keys: Sequence[tuple[float, HandShape]], side: str, time: Tensor) -> Tensor:
    """[frames, 15, 3, 3]: one shape after the other."""
    out = hand_rotations(keys[0][1], side).expand(len(time), 15, 3, 3).clone()
    for (start, _), (end, shape) in itertools.pairwise(keys):
        begin = max(start, end - 0.6) if end - start > 0.4 else end - min(0.28, end - start)
        share = min_jerk((time - begin) / (end - begin))
        out = slerp(out, hand_rotations(shape, side).expand_as(out), share[:, None])
    return out


def _head(local: Tensor, joint: dict[str, int], walk: Walk, chest: Tensor, time: Tensor) -> None:
    """The head looks where the way goes, a little ahead of the body, and stays level whatever the trunk does."""
    look = walk.heading(time + 0.35) + torch.deg2rad(keyed(time, LOOK_LEFT_DEG))
    down = torch.deg2rad(keyed(time, LOOK_DOWN_DEG))
    # When the trunk leans far forward the head follows half of the way.
    down = down + 0.45 * torch.deg2rad(keyed(time, LEAN_DEG))
    aim = rotation_about("Z", look) @ UPRIGHT @ rotation_about("X", down)
    whole = chest.transpose(-1, -2) @ aim
    identity = torch.eye(3, dtype=torch.float64).expand_as(whole)
    neck = slerp(identity, whole, 0.45)
    local[:, joint["neck"]] = neck
    local[:, joint["head"]] = neck.transpose(-1, -2) @ whole
