"""Convert a hand of a body's motion to MANO or the open hands, and put it back.

    left = convert_hands(motion, to="open-mano-left").motion
    motion = with_hands(motion, left=left)

The root of a hand is the wrist joint. Finger rotations are copied, then fitted to the skin of the hand.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.bodies.find_body import body_on, find_body
from vitruve.bodies.kinematics import forward_kinematics
from vitruve.convert.body_pair import MappedPoints
from vitruve.convert.convert import source_targets
from vitruve.convert.fit_surface import Surface, fit_surface
from vitruve.correspondence.body_maps import Correspondence, correspondence
from vitruve.errors import BadData, UsageError
from vitruve.fit import Effort, huber
from vitruve.fit.conversion import Conversion, Progress, Stopwatch
from vitruve.motion import Motion
from vitruve.motion.body_of import body_of

SIDES = ("left", "right")
# The hand is the skin with at least this weight on the wrist and the fingers.
_ON_HAND = 0.98
# Width of the Huber loss, metres: a body's correctives at the wrist reach into the hand, where MANO has none.
_HUBER_WIDTH = 0.0005


def convert_hands(
    motion: Motion,
    to: str | BodyModel,
    *,
    source: str | BodyModel | None = None,
    betas: str | Tensor = "fit",
    num_betas: int = 16,
    points: int = 400,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> Conversion:
    """Convert one hand of a body's motion.

    Args:
        motion: on a body with fingers (SMPL+H or SMPL-X).
        to: the hand: "mano-left", "open-mano-right" or such a body.
        betas: of the hand: "fit" one shape for the clip, "zero", or the betas.
        source, num_betas, points, folder, progress: as for `convert_motion`.

    Returns:
        A motion on the hand's 16 joints whose `body` is the hand's name. Its error is that of the hand's skin.
    """
    watch = Stopwatch()
    hand, _ = find_body(to, "neutral", folder)
    side = hand.gender
    if hand.layout != "mano" or side not in SIDES:
        raise UsageError(f"'{hand.name}' is not a hand", fix="name one: 'mano-left', 'open-mano-right'")
    body, warnings = body_of(motion, source, folder)
    body, motion = body_on(body, hand.device), motion.to(hand.device)
    fingers = _fingers(motion, hand, side)
    shaped = body.shaped(motion.betas, motion.expression if body.num_expressions else None)
    watch.lap("bodies")
    surface = _without_forearm(correspondence(body, hand), body, side)
    watch.lap("surface map")
    root = _world_rotations(motion)[:, motion.skeleton.index(f"{side}_wrist"), None]
    note = f"the {side} hand of a motion on {body.name}"
    return fit_surface(
        Surface(
            hand,
            lambda ids: source_targets(motion, shaped, MappedPoints.of(body, hand, surface, ids)),
            len(motion),
            surface,
            torch.ones(hand.num_joints, dtype=torch.bool, device=hand.device),
        ),
        torch.cat([root, motion.rotations[:, fingers]], 1).to(hand.dtype),
        {
            "fps": motion.fps,
            "body": hand.name,
            "gender": motion.gender,
            "source": replace(motion.source, extras={}, notes=(*motion.source.notes, note)),
        },
        betas=betas,
        num_betas=num_betas,
        points=points,
        loss=huber(_HUBER_WIDTH),
        effort=Effort(ridge=1e-4),  # a hand hardly determines a body's shape
        expression=False,
        progress=progress,
        warnings=warnings,
        watch=watch,
    )


def with_hands(
    motion: Motion, left: Motion | None = None, right: Motion | None = None, *, wrists: bool = False
) -> Motion:
    """A body's motion with the finger rotations of hand motions.

    Args:
        motion: on a body with fingers; convert others first (`convert_motion(motion, to="smplh")`).
        left, right: motions of a left and a right hand, with as many frames. Frames they mask are masked.
        wrists: also give the wrists the world rotation of the hand motions.
    """
    rotations, mask = motion.rotations.clone(), motion.mask
    for side, hand in (("left", left), ("right", right)):
        if hand is None:
            continue
        _check_hand(motion, hand, side)
        hand_rotations = hand.rotations.to(rotations)
        rotations[:, _fingers(motion, hand, side)] = hand_rotations[:, 1:]
        if wrists:
            wrist = motion.skeleton.index(f"{side}_wrist")
            parents = _world_rotations(motion)[:, motion.skeleton.parents[wrist]]
            rotations[:, wrist] = parents.mT @ hand_rotations[:, 0]
        if hand.mask is not None:
            mask = hand.mask if mask is None else mask & hand.mask
    return motion.replace(rotations=rotations, mask=mask)


def _fingers(motion: Motion, hand: BodyModel | Motion, side: str) -> list[int]:
    """The joints of the motion that correspond to the hand's joints after its root."""
    names = [f"{side}_{name}" for name in hand.skeleton.names[1:]]
    missing = [name for name in names if name not in motion.skeleton.names]
    if missing:
        raise UsageError(
            "this motion has no fingers",
            where=f"skeleton '{motion.skeleton.name}' has no {missing[0]}",
            fix="convert it to a body with fingers first: convert_motion(motion, to='smplh')",
        )
    return [motion.skeleton.names.index(name) for name in names]


def _check_hand(motion: Motion, hand: Motion, side: str) -> None:
    other = SIDES[1 - SIDES.index(side)]
    if hand.skeleton.names[0] != "wrist" or hand.body.endswith(f"-{other}"):
        raise UsageError(
            f"this is no motion of a {side} hand",
            where=f"{hand.body or 'no body'}, skeleton '{hand.skeleton.name}'",
            fix=f"make one: convert_hands(motion, to='open-mano-{side}')",
        )
    if len(hand) != len(motion):
        raise BadData(
            f"the {side} hand and the body have different numbers of frames",
            where=f"hand {len(hand)} at {hand.fps:g} fps, body {len(motion)} at {motion.fps:g} fps",
            fix="resample or crop one of them first",
        )


def _without_forearm(surface: Correspondence, body: BodyModel, side: str) -> Correspondence:
    """Leave out the skin at the cut that the forearm moves too."""
    names = body.skeleton.names
    first = names.index(f"{side}_index1")
    joints = [names.index(f"{side}_wrist"), *range(first, first + 15)]
    on_hand = body.skin_weights[:, joints].sum(1)
    moved = (on_hand[surface.vertices] * surface.weights.to(on_hand)).sum(1)
    return replace(surface, valid=surface.valid & (moved > _ON_HAND))


def _world_rotations(motion: Motion) -> Float[Tensor, "frames joints 3 3"]:
    nowhere = motion.rotations.new_zeros(len(motion.skeleton), 3)
    return forward_kinematics(motion.rotations, nowhere, motion.skeleton.parents)[0]
