"""Edit whole clips: crop, join, mirror, change the shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.bodies.body_model import BodyModel
from vitruve.errors import BadData, UsageError, nearest
from vitruve.geometry.rotations import mirrored, rotation_about, slerp
from vitruve.motion.features import heading
from vitruve.motion.motion import Motion
from vitruve.motion.world import root_at_rest, rotate_world, translate_world
from vitruve.skeletons import Skeleton

ALIGNMENTS = ("none", "position", "heading")


def crop(motion: Motion, start: float = 0.0, end: float | None = None) -> Motion:
    """The frames with start <= i / fps < end, in seconds; `end` is by default the end of the clip.

    Adjacent crops share no frame: joined, they give the clip back.
    """
    # Tolerate rounding: a time within rounding of a frame is that frame.
    first = max(0, math.ceil(start * motion.fps - 1e-6))
    last = len(motion) if end is None else min(len(motion), math.ceil(end * motion.fps - 1e-6))
    if first >= last:
        raise UsageError(
            "the crop is empty",
            where=f"from {start:g} s to {'the end' if end is None else f'{end:g} s'} of {motion.duration:g} s",
            fix=f"choose times between 0 and {motion.duration:g} s, the start before the end",
        )
    return motion[first:last]


def frame_range(text: str, count: int) -> slice:
    """The slice of `count` frames for a user's "10:200", "::2", "100:" or one frame number; it is never empty."""
    parts = text.split(":")
    try:
        numbers = [int(part) if part.strip() else None for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) == 1 and numbers[0] is not None:
        numbers = [numbers[0], numbers[0] + 1 or None]
    if len(numbers) not in (2, 3) or (len(numbers) == 3 and numbers[2] is not None and numbers[2] < 1):
        raise UsageError(
            f"'{text}' does not say which frames",
            where=f"--frames {text}",
            fix="write FIRST:END, FIRST:END:STEP with a step above zero, or one frame: --frames 10:200",
        )
    chosen = slice(*numbers)
    if not range(count)[chosen]:
        raise UsageError(
            "there are no such frames",
            where=f"--frames {text}: there are {count}, the first is 0",
            fix=f"--frames 0:{min(count, 10)}",
        )
    return chosen


def join(motions: Sequence[Motion], blend: float = 0.0, align: str = "none", body: BodyModel | None = None) -> Motion:
    """Join clips, one after the other.

    Args:
        motions: clips of one skeleton, body, gender, shape and frame rate.
        blend: seconds of overlap in which neighbours fade into each other, with no jump in speed; 0 joins end to end.
        align: "none" leaves each clip where it is; "position" moves each clip horizontally so that its first frame
            meets the clip before it (at its last frame, or the first of the overlap); "heading" also turns it, which
            needs the body or a tree with rest positions.
    """
    if not motions:
        raise UsageError("no motions to join", where="motions is empty", fix="pass at least one")
    if align not in ALIGNMENTS:
        raise UsageError(f"unknown alignment '{align}'", fix=nearest(align, ALIGNMENTS))
    out = motions[0]
    overlap = round(blend * out.fps)
    for number, after in enumerate(motions[1:], start=1):
        _check_joinable(out, after, number)
        if overlap < 0 or overlap > min(len(out), len(after)):
            raise UsageError(
                f"an overlap of {blend:g} s is longer than a clip",
                where=f"motion {number}: {after!r}",
                fix="use a shorter blend",
            )
        meeting = out[len(out) - max(overlap, 1) :][:1]
        out = _joined(out, _aligned(after, meeting, align, body), overlap)
    if len(motions) == 1:
        return out
    return out.replace(source=motions[0].edited(f"joined from {len(motions)} clips").source)


def mirror(motion: Motion, body: BodyModel | None = None) -> Motion:
    """Mirror the motion across the plane x = 0: left and right limbs change places.

    A body keeps its shape: SMPL-family templates are nearly symmetric across x. With the body, the root is mirrored
    exactly; without it, its rest position is assumed to be in the middle plane. A plain tree is mirrored exactly, with
    its rest positions, across the axis that separates its pairs. The expression stays: its components have no left and
    right. Mirroring twice gives the motion back. The skeleton needs pairs.
    """
    skeleton, flip = motion.skeleton, list(motion.skeleton.flip)
    _check_mirrorable(skeleton)
    axis = "X"
    if motion.body:
        root = torch.zeros(3).to(motion.translation) if body is None else root_at_rest(motion, body)
        root_after = root
    else:
        rest = motion.rest_joints()
        axis = "XYZ"[int(torch.stack([(rest[a] - rest[b]).abs() for a, b in skeleton.pairs]).sum(0).argmax())]
        mirrored_rest = rest[flip] * _signs(axis, rest)
        root, root_after = rest[0], mirrored_rest[0]
        if not torch.allclose(mirrored_rest, rest, atol=1e-6):
            skeleton = replace(skeleton, rest=mirrored_rest)
    world = _signs("X", motion.translation)
    inner = mirrored(motion.rotations[:, flip], axis)
    # The root maps the rest pose to the world: mirror the world on its left, the rest pose on its right.
    outer = world[:, None] * motion.rotations[:, :1] * _signs(axis, motion.rotations)
    return motion.edited(
        "mirrored across x = 0",
        skeleton=skeleton,
        rotations=torch.cat([outer, inner[:, 1:]], 1),
        translation=world * (root + motion.translation) - root_after,
        offsets=None if motion.offsets is None else motion.offsets[:, flip] * _signs(axis, motion.offsets),
    )


def set_shape(motion: Motion, betas: Float[Tensor, "betas"], body: BodyModel | None = None) -> Motion:
    """Put the same rotations on another shape.

    With the body, the root joint stays where it was; without it, `translation` stays. Longer legs may reach below the
    ground: see `put_on_ground`.
    """
    betas = betas.to(motion.betas)
    note = "changed the shape"
    if body is None:
        return motion.edited(note, betas=betas)
    change = root_at_rest(motion, body) - root_at_rest(motion.replace(betas=betas), body)
    return motion.edited(note, betas=betas, translation=motion.translation + change)


def _aligned(after: Motion, meeting: Motion, align: str, body: BodyModel | None) -> Motion:
    """`after`, moved so that its first frame meets the one-frame clip `meeting`."""
    if align == "none":
        return after
    if align == "heading":
        turn = heading(meeting, body)[0] - heading(after[:1], body)[0]
        if bool(turn.isnan()):
            raise BadData("the heading at a seam is unknown", where="heading", fix="use align='position'")
        after = rotate_world(after, rotation_about("Z", turn), body)
    change = meeting.translation[0] - after.translation[0]
    return translate_world(after, change * torch.tensor([1, 1, 0]).to(change))


def _joined(before: Motion, after: Motion, overlap: int) -> Motion:
    start = len(before) - overlap
    # Minimum jerk from 0 to 1 without its ends, which are the clips' own frames.
    t = torch.arange(1, overlap + 1, dtype=torch.float64) / (overlap + 1)
    share = (t**3 * (10 - 15 * t + 6 * t**2)).to(before.rotations)

    def fade(a: Tensor | None, b: Tensor | None) -> Tensor | None:
        if a is None or b is None:
            return None
        weight = share.to(a).reshape(-1, *[1] * (a.dim() - 1))
        return torch.cat([a[:start], a[start:] + weight * (b[:overlap] - a[start:]), b[overlap:]])

    turned = slerp(before.rotations[start:], after.rotations[:overlap], share[:, None])
    device = before.rotations.device
    masks = [torch.ones(len(m), dtype=torch.bool, device=device) if m.mask is None else m.mask for m in (before, after)]
    mask = torch.cat([masks[0][:start], masks[0][start:] & masks[1][:overlap], masks[1][overlap:]])
    return before.replace(
        rotations=torch.cat([before.rotations[:start], turned, after.rotations[overlap:]]),
        translation=fade(before.translation, after.translation),
        expression=fade(before.expression, after.expression),
        offsets=fade(before.offsets, after.offsets),
        mask=None if before.mask is None and after.mask is None else mask,
    )


def _signs(axis: str, like: Tensor) -> Tensor:
    return torch.tensor([-1.0 if axis == name else 1.0 for name in "XYZ"]).to(like)


def _check_mirrorable(skeleton: Skeleton) -> None:
    if not skeleton.pairs:
        raise UsageError(
            f"skeleton '{skeleton.name}' does not say which joints are left and right",
            where="skeleton.pairs is empty",
            fix="give the skeleton pairs = [['left_hip', 'right_hip'], ...]",
        )
    flip, parents = skeleton.flip, skeleton.parents
    for joint, parent in enumerate(parents):
        if parents[flip[joint]] != (flip[parent] if parent >= 0 else -1):
            raise UsageError(
                f"skeleton '{skeleton.name}' cannot be mirrored: its two sides differ",
                where=f"the parents of '{skeleton.names[joint]}' and '{skeleton.names[flip[joint]]}' are not a pair",
                fix="correct the pairs",
            )


def _check_joinable(before: Motion, after: Motion, number: int) -> None:
    def clash(what: str, first: object, second: object) -> UsageError:
        fix = {"frame rate": "resample one of them", "shape": "set_shape on one of them"}.get(
            what, "convert one of them"
        )
        return UsageError(
            f"motions of different {what} cannot be joined", f"motion {number}: {second}, before: {first}", fix
        )

    same_tree = before.skeleton.names == after.skeleton.names and before.skeleton.parents == after.skeleton.parents
    rests = [m.skeleton.rest for m in (before, after)]
    same_rest = (rests[0] is None) == (rests[1] is None) and (
        rests[0] is None or rests[1] is None or torch.allclose(rests[0].double(), rests[1].double(), atol=1e-6)
    )
    if not (same_tree and same_rest):
        raise clash("skeleton", before.skeleton, after.skeleton)
    if before.body_name != after.body_name:
        raise clash("body", before.body_name or "none", after.body_name or "none")
    if abs(before.fps / after.fps - 1) > 1e-6:
        raise clash("frame rate", f"{before.fps:g} fps", f"{after.fps:g} fps")
    if before.betas.shape != after.betas.shape or not torch.allclose(before.betas, after.betas.to(before.betas)):
        raise clash("shape", before.betas.tolist()[:3], after.betas.tolist()[:3])
    for key in ("expression", "offsets"):
        a, b = getattr(before, key), getattr(after, key)
        if (a is None) != (b is None) or (a is not None and a.shape[1:] != b.shape[1:]):
            raise clash(key, None if a is None else tuple(a.shape), None if b is None else tuple(b.shape))
