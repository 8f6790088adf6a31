"""Fit some frames of a clip with care and let the others follow.

What a conversion adds to copied rotations, the corrections, is small and changes slowly: one body's elbow against the
other's, not the movement itself. So anchors a fraction of a second apart are fitted to the end, and the corrections in
between are interpolated. The middle of every gap is measured; where it is worse than its anchors, the gap is fitted
too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vitruve.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from vitruve.runs.threads import over_threads

# A gap is fitted where its middle is off by so much more than its anchors: a part of them, and metres.
WORSE, WORSE_BY = 1.15, 1e-4
_BLOCK = 512


@dataclass(frozen=True, eq=False)
class Frames:
    """Rotations and translations of some frames, and how they came out.

    Attributes:
        rotations: [frames, joints, 3, 3].
        translation: [frames, 3].
        error: [frames] root mean square distance to the targets, metres.
        failed: [frames] the fit did not get there.
    """

    rotations: Float[Tensor, "frames joints 3 3"]
    translation: Float[Tensor, "frames 3"]
    error: Float[Tensor, "frames"]
    failed: Bool[Tensor, "frames"]


Fit = Callable[[Tensor], Frames]
Measure = Callable[[Tensor, Tensor, Tensor], Tensor]


def fit_by_anchors(fit: Fit, measure: Measure, begin: tuple[Tensor, Tensor], gap: int) -> Frames:
    """Fit a clip from a start.

    Args:
        fit: fits the frames of the given indices.
        measure: the error of frames, as in `Frames`, with given rotations and translations.
        begin: the rotations [frames, joints, 3, 3] and translation [frames, 3] that a fit starts from.
        gap: frames from one anchor to the next; 1 fits every frame.
    """
    rotations, translation = begin
    count = len(rotations)
    if gap <= 1 or count <= 2 * gap:
        return fit(torch.arange(count))
    anchors = torch.cat([torch.arange(0, count - 1, gap), torch.tensor([count - 1])])
    held = fit(anchors)
    turns = matrix_to_axis_angle(held.rotations @ rotations[anchors].mT)
    shifts = held.translation - translation[anchors]
    out_rotations, out_translation = rotations.clone(), translation.clone()

    def between(frames: Tensor) -> None:
        right = torch.searchsorted(anchors, frames).clamp_min(1)
        part = ((frames - anchors[right - 1]) / (anchors[right] - anchors[right - 1])).to(turns)
        turn = torch.lerp(turns[right - 1], turns[right], part[:, None, None])
        out_rotations[frames] = axis_angle_to_matrix(turn) @ rotations[frames]
        out_translation[frames] += torch.lerp(shifts[right - 1], shifts[right], part[:, None])

    over_threads(between, torch.arange(count).split(_BLOCK))
    out_rotations[anchors], out_translation[anchors] = held.rotations, held.translation

    def error_of(frames: Tensor) -> Tensor:
        blocks = frames.split(_BLOCK)
        return torch.cat(over_threads(lambda rows: measure(rows, out_rotations[rows], out_translation[rows]), blocks))

    # Anchors are measured by the same yardstick: a robust fit reports less than the plain distance.
    at_anchors, found = error_of(anchors), error_of((anchors[1:] + anchors[:-1]) // 2)
    ends = torch.maximum(at_anchors[1:], at_anchors[:-1])
    bad = ~(found <= WORSE * ends + WORSE_BY) | held.failed[1:] | held.failed[:-1]
    error, failed = _along(anchors, torch.maximum(ends, found), count), torch.zeros(count, dtype=torch.bool)
    failed[anchors] = held.failed
    again = _inside(anchors, bad, count)
    if len(again):
        new = fit(again)
        out_rotations[again], out_translation[again] = new.rotations, new.translation
        error[again], failed[again] = new.error, new.failed
    error[anchors] = at_anchors
    return Frames(out_rotations, out_translation, error, failed)


def _along(anchors: Int[Tensor, "anchors"], values: Float[Tensor, "gaps"], count: int) -> Float[Tensor, "frames"]:
    """The value of its gap for every frame."""
    return values[torch.searchsorted(anchors, torch.arange(count)).clamp_min(1) - 1]


def _inside(anchors: Int[Tensor, "anchors"], chosen: Bool[Tensor, "gaps"], count: int) -> Int[Tensor, "inner"]:
    """The frames inside the chosen gaps, anchors left out."""
    inner = chosen[torch.searchsorted(anchors, torch.arange(count)).clamp_min(1) - 1]
    inner[anchors] = False
    return inner.nonzero()[:, 0]
