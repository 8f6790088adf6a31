"""The hands of a body as motions of their own, on MANO or the open hands, and back into a body's motion.

    left = convert_hands(motion, to="open-mano-left").motion
    motion = with_hands(motion, left=left)

A hand's root is the wrist: what turns the wrist joint in the world turns the hand, and the hand stands where the wrist
does. Finger rotations are relative to the wrist on both, so they are copied and then fitted to the skin of the hand.
"""

from __future__ import annotations

import functools
import time
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.bodies.find_body import body_on, find_body
from vitruve.bodies.kinematics import forward_kinematics
from vitruve.convert.fit_surface import Places, Surface, fit_surface
from vitruve.correspondence.body_maps import Correspondence, correspondence
from vitruve.errors import BadData, UsageError
from vitruve.fit import Effort
from vitruve.fit.conversion import Conversion, Progress
from vitruve.motion import Motion
from vitruve.motion.body_of import body_of

SIDES = ("left", "right")
# Skin that hangs by at least this much on the wrist and the fingers belongs to the hand.
_ON_HAND = 0.98
# A body's correctives at the wrist reach into the hand, and a hand alone has none: such points must not pull at the
# fingers. And a hand shows little of a body's shape: its betas are drawn to zero a little.
_KNEE, _EFFORT = 0.0005, Effort(ridge=1e-4)


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
    """One hand of a body's motion as a motion of that hand.

    Args:
        motion: on a body with fingers (SMPL+H or SMPL-X).
        to: the hand: "mano-left", "open-mano-right" or such a body; it says which hand is taken.
        source: the body the motion was made on, where the motion's own name is not right.
        betas: the hand's own: "fit" one shape for the clip, "zero", or the betas.
        num_betas: how many betas are fitted, up to what the hand has.
        points: about how many surface points the fit looks at.
        folder: where licensed bodies lie, before the usual places.
        progress: called with (frames done, frames in all).

    Returns:
        A motion on the hand's 16 joints whose `body` is the hand's name. Its error is that of the hand's skin.
    """
    begin = time.perf_counter()
    hand, _ = find_body(to, "neutral", folder)
    side = hand.gender
    if hand.layout != "mano" or side not in SIDES:
        raise UsageError(f"'{hand.name}' is not a hand", fix="name one: 'mano-left', 'open-mano-right'")
    body, warnings = body_of(motion, source, folder)
    body, motion = body_on(body, hand.device), motion.to(hand.device)
    fingers = _fingers(motion, hand, side)
    loaded = time.perf_counter()
    surface = _without_forearm(correspondence(body, hand), body, side)
    mapped = time.perf_counter()
    wrist = motion.skeleton.index(f"{side}_wrist")
    root = _world_rotations(motion)[:, wrist, None]
    rotations = torch.cat([root, motion.rotations[:, fingers]], 1).to(hand.dtype)
    note = f"the {side} hand of a motion on {body.name}"
    conversion = fit_surface(
        Surface(
            hand,
            functools.partial(_places, motion, body, surface),
            len(motion),
            surface,
            torch.ones(hand.num_joints, dtype=torch.bool, device=hand.device),
        ),
        rotations,
        {
            "fps": motion.fps,
            "body": hand.name,
            "gender": motion.gender,
            "source": replace(motion.source, extras={}, notes=(*motion.source.notes, note)),
        },
        betas=betas,
        num_betas=num_betas,
        points=points,
        knee=_KNEE,
        effort=_EFFORT,
        progress=progress,
    )
    seconds = {"bodies": loaded - begin, "surface map": mapped - loaded, **conversion.seconds}
    return replace(conversion, warnings=(*warnings, *conversion.warnings), seconds=seconds)


def with_hands(
    motion: Motion, left: Motion | None = None, right: Motion | None = None, *, wrists: bool = False
) -> Motion:
    """A body's motion with the finger rotations of hand motions.

    Args:
        motion: on a body with fingers; bring another to one first (`convert_motion(motion, to="smplh")`).
        left: a motion of a left hand, of as many frames.
        right: a motion of a right hand.
        wrists: also turn the wrists so that the hands point in the world where the hand motions do. The wrist stays
            where the arm has it.

    Returns:
        The motion; a frame that one of the hands masks is masked.
    """
    rotations, mask = motion.rotations.clone(), motion.mask
    for side, hand in (("left", left), ("right", right)):
        if hand is None:
            continue
        _check_hand(motion, hand, side)
        given = hand.rotations.to(rotations)
        rotations[:, _fingers(motion, hand, side)] = given[:, 1:]
        if wrists:
            wrist = motion.skeleton.index(f"{side}_wrist")
            above = _world_rotations(motion)[:, motion.skeleton.parents[wrist]]
            rotations[:, wrist] = above.mT @ given[:, 0]
        if hand.mask is not None:
            mask = hand.mask if mask is None else mask & hand.mask
    return motion.replace(rotations=rotations, mask=mask)


def _fingers(motion: Motion, hand: BodyModel | Motion, side: str) -> list[int]:
    """The joints of the motion that are those of the hand after its root, in the hand's order."""
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
            fix="convert_hands(motion, to='open-mano-{side}') makes one".replace("{side}", side),
        )
    if len(hand) != len(motion):
        raise BadData(
            f"the {side} hand has another number of frames than the body",
            where=f"hand {len(hand)} at {hand.fps:g} fps, body {len(motion)} at {motion.fps:g} fps",
            fix="resample or crop one of them first",
        )


def _without_forearm(surface: Correspondence, body: BodyModel, side: str) -> Correspondence:
    """Leave out the skin at the cut that the forearm moves too: on a hand there is no forearm to follow."""
    names = body.skeleton.names
    first = names.index(f"{side}_index1")
    joints = [names.index(f"{side}_wrist"), *range(first, first + 15)]
    on_hand = body.skin_weights[:, joints].sum(1)
    moved = (on_hand[surface.vertices] * surface.weights.to(on_hand)).sum(1)
    return replace(surface, valid=surface.valid & (moved > _ON_HAND))


def _world_rotations(motion: Motion) -> Float[Tensor, "frames joints 3 3"]:
    nowhere = motion.rotations.new_zeros(len(motion.skeleton), 3)
    return forward_kinematics(motion.rotations, nowhere, motion.skeleton.parents)[0]


def _places(motion: Motion, body: BodyModel, surface: Correspondence, ids: Tensor) -> Places:
    """Where some of the hand's vertices should be: on the skin of the posed body."""
    shaped = body.shaped(motion.betas, motion.expression if body.num_expressions else None)
    used, part = surface.subset(ids).compact()
    few = shaped.only(used)

    def at(frames: Tensor) -> Tensor:
        points = part.apply(few.of_frames(frames).vertices(motion.rotations[frames], motion.translation[frames]))
        return points if motion.mask is None else points.masked_fill(~motion.mask[frames][:, None, None], torch.nan)

    return at
