"""Check a motion: wrong up axis, jumps, masked or repeated frames, constant hands, suspicious units.

Each check is one function from a motion to findings, listed in CHECKS.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from vitruve.geometry.rotations import geodesic_distance, matrix_to_axis_angle, mirrored, rotation_error
from vitruve.motion.finding import Finding, by_severity, finding_of_note
from vitruve.motion.motion import Motion
from vitruve.motion.rate_check import seen_pace
from vitruve.motion.sizes import longest_chain, shape_findings, unit_findings
from vitruve.motion.smoothing import runs_of_true

# Rates that cameras and motion capture systems really use, within 0.11 %: 29.97 counts as 30.
USUAL_RATES = (10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 72, 75, 90, 100, 120, 125, 144, 150, 180, 200, 240, 250, 300)
_SAME = 1e-6
_FRAMES_AT_A_TIME = 2048
# Metres that the longest chain of bones measures in people, for checks that need their size.
_PERSON = (0.6, 2.0)
# Degrees: far beyond the range of any human joint, below the half turn where axis-angle changes its sign.
_RIGHT_ROUND = 150


def inspect_motion(motion: Motion) -> list[Finding]:
    """All findings about a motion, errors first."""
    return by_severity(finding for check in CHECKS for finding in check(motion))


def inspect_with_notes(motion: Motion) -> list[Finding]:
    """Findings about a motion and the notes of its reader, errors first."""
    return by_severity([*inspect_motion(motion), *map(finding_of_note, motion.source.notes)])


def _values(motion: Motion) -> Iterator[Finding]:
    """Non-finite values, matrices that are not rotations, masked frames."""
    for name in ("rotations", "translation", "betas", "expression"):
        value = getattr(motion, name)
        if value is None or not len(value):
            continue
        bad = _in_blocks(lambda part: ~part.isfinite().reshape(len(part), -1).all(1), value)
        if bad.any():
            where = f"{'numbers' if name == 'betas' else 'frames'} {_runs(bad)}"
            what = f"the {name} hold NaN or infinity"
            yield Finding("error", what, where, "write the motion again", trusted=False)
    error = _in_blocks(lambda part: rotation_error(torch.nan_to_num(part)), motion.rotations)
    if float(error.max()) > 1e-3:
        bad = (error > 1e-3).any(1)
        yield Finding(
            "error",
            "some matrices are not rotations",
            f"frames {_runs(bad)}: R R^T differs from the identity by up to {float(error.max()):.2g}",
            "take the nearest rotation, or write the motion again from its source",
            trusted=False,
        )
    if motion.mask is not None and not motion.mask.all():
        missing = ~motion.mask
        yield Finding(
            "warning",
            f"{int(missing.sum())} of {len(motion)} frames are masked as invalid",
            f"frames {_runs(missing)}",
            "crop them, or fill the gaps before use",
        )


def _up_axis(motion: Motion) -> Iterator[Finding]:
    """Which world axis the body's up direction follows: it should be +z."""
    up = _body_up(motion)
    if up is None:
        return
    up = up[_valid(motion)]
    if len(up) == 0:
        return
    mean = up.mean(0)
    axis = int(mean.abs().argmax())
    name = f"{'-' if mean[axis] < 0 else '+'}{'xyz'[axis]}"
    if name == "+z" or abs(float(mean[axis])) < 0.5:
        return
    meaning = "stands on its head" if name == "-z" else "lies down all the time"
    yield Finding(
        "warning",
        f"the body stands along {name}, and the world's up is +z",
        f"mean direction of the body's up: ({mean[0]:.2f}, {mean[1]:.2f}, {mean[2]:.2f})",
        f"turn the world so that {name} becomes +z, unless the person really {meaning}",
    )


def _jumps(motion: Motion) -> Iterator[Finding]:
    """Steps between frames that are far larger than those around them."""
    # Masked frames hold no valid values, so steps into or out of them are ignored.
    valid = _valid(motion).to(motion.rotations.device)
    unknown = ~(valid[1:] & valid[:-1])
    steps = (motion.translation[1:] - motion.translation[:-1]).norm(dim=-1).masked_fill(unknown, 0)
    jumps = _outliers(steps[:, None], least=max(0.05, 3 / motion.fps))
    if jumps:
        shown = ", ".join(f"{frame} ({float(steps[frame - 1]):.2f} m)" for frame, _ in jumps[:5])
        yield Finding(
            "warning",
            f"the translation jumps {_times(len(jumps))}",
            f"into frame {shown}{', ...' if len(jumps) > 5 else ''}",
            "cut there, or remove the glitch",
        )
    turns = _in_blocks(geodesic_distance, motion.rotations[:-1], motion.rotations[1:]).masked_fill(unknown[:, None], 0)
    # One entry per frame, of the joint that turns most.
    worst = {
        frame: int(turns[frame - 1].argmax())
        for frame, _ in _outliers(turns, least=math.radians(20 + 600 / motion.fps))
    }
    if worst:
        shown = ", ".join(
            f"{frame} ({motion.skeleton.names[joint]}, {math.degrees(float(turns[frame - 1, joint])):.0f}°)"
            for frame, joint in list(worst.items())[:5]
        )
        yield Finding(
            "warning",
            f"rotations jump {_times(len(worst))}",
            f"into frame {shown}{', ...' if len(worst) > 5 else ''}",
            "cut there, or remove the glitch",
        )


def _wrong_turns(motion: Motion) -> Iterator[Finding]:
    """Joints below the root with an angle that no human joint has, most of the time."""
    valid = _valid(motion).to(motion.rotations.device)
    if not motion.body or not valid.any():
        return
    rest = torch.eye(3, dtype=motion.rotations.dtype, device=motion.rotations.device)
    angles = _in_blocks(lambda part: geodesic_distance(part, rest.expand_as(part)), motion.rotations[:, 1:])[valid]
    usual = angles.rad2deg().median(0).values.tolist()
    turned = [f"{name} {angle:.0f}°" for name, angle in zip(motion.skeleton.names[1:], usual) if angle > _RIGHT_ROUND]
    if turned:
        yield Finding(
            "warning",
            f"joints are turned by more than {_RIGHT_ROUND}° most of the time",
            f"in the median: {', '.join(turned)}",
            "no human joint turns so far: the source is wrong, or the retargeting to this body",
            trusted=False,
        )


def _repeats(motion: Motion) -> Iterator[Finding]:
    """Frames that equal the frame before."""
    if len(motion) < 2:
        yield Finding("note", "a single frame: a pose, not a motion")
        return
    step = _in_blocks(lambda a, b: (b - a).abs().flatten(1).amax(1), motion.rotations[:-1], motion.rotations[1:])
    same = torch.maximum(step, (motion.translation[1:] - motion.translation[:-1]).abs().amax(1)) < _SAME
    same = torch.cat([same.new_zeros(1), same])
    if motion.mask is not None:
        same &= motion.mask
    count = int(same.sum())
    if count == len(motion) - 1:
        yield Finding("warning", "all frames are equal", f"{len(motion)} frames")
        return
    if count == 0:
        return
    every = _period(same)
    hint = f"the motion may have been recorded at {motion.fps / every:g} fps and its frames repeated" if every else ""
    yield Finding(
        "warning" if every or count > 0.1 * len(motion) else "note",
        f"{count} of {len(motion)} frames equal the frame before",
        f"frames {_runs(same)}",
        hint,
    )


def _hands(motion: Motion) -> Iterator[Finding]:
    """Hands that do not move, or are missing."""
    fingers = {side: _fingers(motion, side) for side in ("left", "right")}
    if motion.body and not any(fingers.values()):
        yield Finding("note", "the hands have no fingers in this layout", f"{motion.skeleton.name}")
        return
    still = {}
    for side, joints in fingers.items():
        if not joints:
            continue
        valid = _valid(motion).nonzero().flatten()
        if len(valid) and _most_moved(motion, list(joints), valid) < 1e-4:
            still[side] = motion.rotations[valid[0], list(joints)]
    if not still:
        return
    who = "both hands are" if len(still) == 2 else f"the {next(iter(still))} hand is"
    yield Finding("note", f"{who} constant: {_kind_of_hand(still)}", "all frames", _HAND_HINT)


def _most_moved(motion: Motion, joints: list[int], valid: Tensor) -> float:
    """The largest difference of an entry of these joints' rotations from the first valid frame."""
    first = motion.rotations[valid[0], joints]
    moved = _in_blocks(lambda part: (part[:, joints] - first).abs().flatten(1).amax(1), motion.rotations)
    return float(moved[valid].max())


_HAND_HINT = "finger motion was probably not captured; most AMASS sets fill in the mean hand of MANO"


def _kind_of_hand(still: dict[str, Tensor]) -> str:
    bend = math.degrees(float(matrix_to_axis_angle(torch.stack(list(still.values()))).norm(dim=-1).mean()))
    if bend < 0.1:
        return "flat (all rotations zero)"
    hands = list(still.values())
    # MANO's mean hands are relaxed, and mirror images of each other.
    symmetric = len(hands) == 2 and float((mirrored(hands[0]) - hands[1]).abs().max()) < 0.1
    if symmetric and 2 < bend < 40:
        return f"relaxed (joints bent by {bend:.0f}° on average), left the mirror of right, as MANO's mean hand is"
    return f"one fixed shape (joints bent by {bend:.0f}° on average)"


def _feet(motion: Motion) -> Iterator[Finding]:
    """Toes that are zero in all frames."""
    joints = [i for i, name in enumerate(motion.skeleton.names) if name in ("left_foot", "right_foot")]
    if motion.body and joints and float(_off_identity(motion.rotations[:, joints]).max()) < _SAME:
        yield Finding("note", "the toes never bend", "left_foot and right_foot are zero in all frames", "not captured")


def _shape(motion: Motion) -> Iterator[Finding]:
    """Betas that are missing, zero, or implausible."""
    if not motion.body:
        return
    if not bool(motion.betas.any()):
        count = len(motion.betas)
        yield Finding("note", "the shape is the mean shape", f"{count} betas, all zero" if count else "no betas")
    else:
        yield from shape_findings(motion.betas[None])


def _rate(motion: Motion) -> Iterator[Finding]:
    """A frame rate that no usual source has."""
    if not any(abs(motion.fps - rate) < 1.1e-3 * rate for rate in USUAL_RATES):
        yield Finding("note", f"{motion.fps:g} fps is an unusual frame rate", "fps", "check it against the source")


def _pace(motion: Motion) -> Iterator[Finding]:
    """A frame rate at which falling or walking is physically implausible."""
    up = _body_up(motion)
    upright = up is not None and float(up[_valid(motion)].mean(0)[2]) > 0.5
    a_person = bool(motion.body) or _PERSON[0] < longest_chain(motion) < _PERSON[1]
    if not upright or not a_person or next(unit_findings(motion), None):
        return
    seen = seen_pace(motion)
    if seen:
        yield Finding(
            "warning",
            f"the frame rate is probably {seen.fps:g}, not {motion.fps:g}: {seen.why}",
            seen.where,
            f"if so, set it: --source-fps {seen.fps:g}, or fps={seen.fps:g}",
        )


CHECKS: tuple[Callable[[Motion], Iterator[Finding]], ...] = (
    _values,
    _up_axis,
    _jumps,
    _wrong_turns,
    _repeats,
    unit_findings,
    _rate,
    _pace,
    _hands,
    _feet,
    _shape,
)


def _in_blocks(measure: Callable[..., Tensor], *values: Tensor) -> Tensor:
    """`measure` of each frame, computed in blocks so that a long clip needs little memory."""
    return torch.cat([measure(*parts) for parts in zip(*(value.split(_FRAMES_AT_A_TIME) for value in values))])


def _valid(motion: Motion) -> Tensor:
    return torch.ones(len(motion), dtype=torch.bool) if motion.mask is None else motion.mask.cpu()


def _body_up(motion: Motion) -> Tensor | None:
    """[frames, 3] the body's up direction in the world; None if the skeleton does not define it."""
    if motion.body:
        return motion.rotations[:, 0, :, 1]  # SMPL-family templates are y-up
    names = [name.lower() for name in motion.skeleton.names]
    head = [i for i, name in enumerate(names) if "head" in name]
    feet = [i for i, name in enumerate(names) if any(word in name for word in ("foot", "toe", "ankle"))]
    if not head or not feet or motion.skeleton.rest is None:
        return None
    joints = motion.joints()
    return torch.nn.functional.normalize(joints[:, head[0]] - joints[:, feet].mean(1), dim=-1)


def _fingers(motion: Motion, side: str) -> tuple[int, ...]:
    """The finger joints below a wrist of an SMPL-family tree."""
    skeleton = motion.skeleton
    if not motion.body or f"{side}_wrist" not in skeleton.names:
        return ()
    joints = skeleton.below(skeleton.index(f"{side}_wrist"))[1:]
    return joints if len(joints) > 1 else ()


def _off_identity(rotations: Tensor) -> Tensor:
    return (rotations - torch.eye(3, dtype=rotations.dtype, device=rotations.device)).abs()


def _outliers(steps: Tensor, least: float, reach: int = 5, factor: float = 6.0) -> list[tuple[int, int]]:
    """(frame, column) of steps [frames - 1, columns] that are large and far above the median around them.

    A motion that is fast for several frames is not a jump: its neighbours are fast too.
    """
    rows, columns = (steps > least).nonzero(as_tuple=True)
    around = (rows[:, None] + torch.arange(-reach, reach + 1, device=rows.device)).clamp(0, len(steps) - 1)
    usual = steps[around, columns[:, None]].median(-1).values
    stands_out = steps[rows, columns] > factor * usual
    return list(zip((rows[stands_out] + 1).tolist(), columns[stands_out].tolist(), strict=True))


def _period(same: Tensor) -> int:
    """n if only every n-th frame is new and the others repeat it; 0 otherwise."""
    new = (~same).nonzero()[:, 0]
    gaps = (new[1:] - new[:-1]).float()
    if len(gaps) < 4:
        return 0
    usual = int(gaps.median())
    return usual if usual > 1 and float((gaps == usual).float().mean()) > 0.9 else 0


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _runs(bad: Tensor) -> str:
    """Frames as ranges: "3, 10-12, ..."."""
    runs = runs_of_true(bad.cpu().numpy())
    shown = ", ".join(f"{start}" if stop == start + 1 else f"{start}-{stop - 1}" for start, stop in runs[:6])
    return shown + (", ..." if len(runs) > 6 else "")
