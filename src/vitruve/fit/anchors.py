"""Fit anchor frames of a clip and interpolate the corrections in between.

With a good initial pose, the corrections of a fit are small and change slowly: they come from differences between the
bodies, not from the movement. The middle of every gap is checked: if its error exceeds that of its anchors, the frames
around it are fitted too and blended in, with a weight that grows with the error.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vitruve.fit.gradual import rise
from vitruve.fit.moments import Fitted
from vitruve.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle, slerp
from vitruve.threads import over_threads

# Interpolation is accepted up to the first multiple of the anchors' error (plus metres) and rejected from the second.
_ACCEPTED, _REJECTED = (1.15, 1e-4), (1.3, 2e-4)
_BLOCK = 512

Fit = Callable[[Int[Tensor, "some"], Tensor, Tensor, int | None], Fitted]


def fit_by_anchors(
    fit: Fit, rotations: Float[Tensor, "frames joints 3 3"], translation: Float[Tensor, "frames 3"], apart: int
) -> Fitted:
    """Fit a clip from an initial pose.

    Args:
        fit: fits the frames of the given indices from their rotations and translations, in at most the given number of
            steps: None is the default, 0 only computes the error.
        rotations, translation: the initial pose.
        apart: frames from one anchor to the next.

    Returns:
        All frames. The error of an interpolated frame is the larger one of its anchors.
    """
    count, device = len(rotations), rotations.device
    anchors = torch.cat([torch.arange(0, count - 1, apart), torch.tensor([count - 1])]).to(device)
    fitted = fit(anchors, rotations[anchors], translation[anchors], None)
    out = _interpolated(anchors, fitted, rotations, translation)
    middles = (anchors[1:] + anchors[:-1]) // 2
    checked = fit(middles, out.rotations[middles], out.translation[middles], 0)
    worse = rise(checked.error, *(times * out.error[middles] + plus for times, plus in (_ACCEPTED, _REJECTED)))
    share = torch.zeros(count, dtype=worse.dtype, device=device)
    around = (middles[:, None] + torch.arange(-apart, apart + 1, device=device)).clamp(0, count - 1)
    share.scatter_reduce_(0, around.flatten(), worse.nan_to_num(0.0).repeat_interleave(2 * apart + 1), "amax")
    share[anchors] = 0.0
    rows = share.nonzero()[:, 0]
    if len(rows):
        # From the same pose as the anchors, so that neighbouring frames converge to similar poses.
        _blend(out, rows, fit(rows, rotations[rows], translation[rows], None), share[rows])
    return out


def _interpolated(anchors: Int[Tensor, "anchors"], fitted: Fitted, rotations: Tensor, translation: Tensor) -> Fitted:
    """The initial pose with the interpolated corrections of the anchors around each frame."""
    # Corrections are relative to each joint's own frame, and to the root: there they change least.
    turns = matrix_to_axis_angle(rotations[anchors].mT @ fitted.rotations)
    shifts = _turned(fitted.rotations[:, 0].mT, fitted.translation - translation[anchors])
    out = Fitted.empty_like(rotations, translation)

    def interpolate(rows: Tensor) -> None:
        right = torch.searchsorted(anchors, rows).clamp_min(1).clamp_max(len(anchors) - 1)
        left = (right - 1).clamp_min(0)
        part = ((rows - anchors[left]) / (anchors[right] - anchors[left]).clamp_min(1)).to(turns)
        turn = torch.lerp(turns[left], turns[right], part[:, None, None])
        out.rotations[rows] = rotations[rows] @ axis_angle_to_matrix(turn)
        shift = torch.lerp(shifts[left], shifts[right], part[:, None])
        out.translation[rows] = translation[rows] + _turned(out.rotations[rows, 0], shift)
        out.error[rows] = torch.maximum(fitted.error[left], fitted.error[right])

    over_threads(interpolate, torch.arange(len(rotations), device=rotations.device).split(_BLOCK))
    out.put(anchors, fitted)
    return out


def _blend(out: Fitted, rows: Int[Tensor, "some"], fitted: Fitted, share: Float[Tensor, "some"]) -> None:
    """Blend fitted frames into the result by their share."""

    def blend(part: Tensor) -> None:
        at, some = rows[part], share[part]
        out.rotations[at] = slerp(out.rotations[at], fitted.rotations[part], some[:, None])
        out.translation[at] = torch.lerp(out.translation[at], fitted.translation[part], some[:, None])
        out.error[at] = torch.lerp(out.error[at], fitted.error[part], some)

    replaced = share == 1
    out.put(rows[replaced], fitted.rows(replaced))
    over_threads(blend, (~replaced).nonzero()[:, 0].split(_BLOCK))


def _turned(rotation: Tensor, vector: Tensor) -> Tensor:
    return (rotation @ vector[..., None])[..., 0]
