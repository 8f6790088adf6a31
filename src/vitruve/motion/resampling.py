"""Resample motions to another frame rate, and fill gaps."""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from jaxtyping import Int
from torch import Tensor

from vitruve.errors import BadData, UsageError
from vitruve.geometry.rotations import matrix_to_quaternion_wxyz, quaternion_wxyz_to_matrix
from vitruve.motion.motion import Motion, check_fps

# Frame rates within this relative tolerance are equal: files hold values such as 120.00004577636719.
_SAME_RATE = 1e-6
# New frames computed at a time.
_BLOCK = 1024


def resample(motion: Motion, fps: float) -> Motion:
    """Resample to another frame rate: rotations by slerp, everything else linearly.

    Frame k of the result is at time k / fps. Nothing is extrapolated: the last new frame is not after the last old one.
    So 120 to 30 fps takes every fourth frame, and the time from the first to the last frame shrinks by less than one
    new frame. A new frame that falls on an old one is an exact copy; any other is valid only if both neighbours are.
    """
    if fps == motion.fps:
        return motion
    left, fraction = frames_between(len(motion), motion.fps, fps)
    return _interpolated(motion, left, fraction, f"resampled from {motion.fps:g} to {fps:g} fps", fps)


def frames_between(frames: int, old_fps: float, fps: float) -> tuple[Tensor, Tensor]:
    """The old frame at or before each new one, and the fraction of the way to the next, exactly 0 on the grid.

    Raises:
        UsageError: the new frame rate is not one that a motion can have.
    """
    check_fps(fps, UsageError)
    step = frame_step(old_fps / fps)
    count = int((frames - 1) / step) + 1
    # Positions as integers over one denominator, so that frames on the grid are exact.
    position = torch.arange(count) * step.numerator
    return position // step.denominator, (position % step.denominator).double() / step.denominator


def fill_gaps(motion: Motion, longest: float | None = None) -> Motion:
    """Fill invalid (masked) frames by interpolation between the valid frames around them.

    A gap at the start or end repeats the nearest valid frame. If no invalid frame is left, the result's mask is None.

    Args:
        motion: a clip with a mask; one without is returned as it is.
        longest: longer gaps, in seconds, stay masked.
    """
    if motion.mask is None or bool(motion.mask.all()):
        return motion.replace(mask=None)
    valid = motion.mask.nonzero()[:, 0].cpu()
    if len(valid) == 0:
        raise BadData("no frame is valid, so there is nothing to fill from", where="motion.mask", fix="check the file")
    frames = torch.arange(len(motion))
    after = torch.searchsorted(valid, frames).clamp_max(len(valid) - 1)
    right = valid[after]
    left = valid[torch.where(right > frames, after - 1, after).clamp_min(0)]
    left, right = torch.where(left > frames, right, left), torch.where(right < frames, left, right)
    gap = (right - left).double()
    fraction = torch.where(gap > 0, (frames - left) / gap.clamp_min(1), torch.zeros_like(gap))
    if longest is not None:
        first = torch.where(frames < valid[0], -1, left)
        last = torch.where(frames > valid[-1], len(motion), right)
        too_long = (last - first - 1) > longest * motion.fps + 1e-6
        keep = too_long & ~motion.mask.cpu()
    else:
        keep = torch.zeros(len(motion), dtype=torch.bool)
    left, right, fraction = (
        torch.where(keep, a, b) for a, b in ((frames, left), (frames, right), (0.0 * gap, fraction))
    )
    filled = int((~motion.mask.cpu() & ~keep).sum())
    out = _interpolated(motion, left, fraction, f"filled {filled} invalid frames by interpolation", motion.fps, right)
    return out.replace(mask=~keep.to(motion.mask.device) if bool(keep.any()) else None)


def nearest_frames(known: Int[Tensor, "known"], frames: Int[Tensor, "frames"]) -> Int[Tensor, "frames"]:
    """For each frame the nearest of the known ones, which are sorted; of two, the earlier."""
    after = torch.searchsorted(known, frames).clamp(max=len(known) - 1)
    before = (after - 1).clamp(min=0)
    return torch.where((known[after] - frames).abs() < (frames - known[before]).abs(), known[after], known[before])


def frame_step(ratio: float) -> Fraction:
    """Old frames per new frame, as a simple fraction where one is near.

    Frame numbers times its numerator fit into 64 bits. Where no simple fraction is near, it is off by less than a
    millionth of a frame in a million frames.
    """
    exact = Fraction(ratio)
    simple = exact.limit_denominator(2002)
    if simple > 0 and abs(simple / exact - 1) < _SAME_RATE:
        return simple
    return exact.limit_denominator(max(10**6, math.ceil(10**6 / ratio)))


def _interpolated(
    motion: Motion, left: Tensor, fraction: Tensor, note: str, fps: float, right: Tensor | None = None
) -> Motion:
    """Frames between `left` and `right` (by default the next one); copies of `left` where the fraction is zero."""
    device = motion.rotations.device
    exact = fraction == 0
    right = (left + 1).clamp_max(len(motion) - 1) if right is None else right
    left, right, exact = left.to(device), torch.where(exact, left, right).to(device), exact.to(device)
    share = fraction.to(motion.rotations)

    def linear(values: Tensor | None) -> Tensor | None:
        if values is None:
            return None
        along = share.to(values).reshape(-1, *[1] * (values.dim() - 1))
        between = values[left] + along * (values[right] - values[left])
        return torch.where(exact.reshape(along.shape), values[left], between)

    return motion.edited(
        note,
        rotations=_turned(motion.rotations, left, right, share, exact),
        translation=linear(motion.translation),
        fps=fps,
        expression=linear(motion.expression),
        offsets=linear(motion.offsets),
        mask=None if motion.mask is None else motion.mask[left] & motion.mask[right],
    )


def _turned(rotations: Tensor, left: Tensor, right: Tensor, share: Tensor, exact: Tensor) -> Tensor:
    """Slerp between frames through quaternions, in blocks, and only for frames that are not copies."""
    out = rotations[left]
    between = (~exact).nonzero()[:, 0]
    for at in range(0, len(between), _BLOCK):
        block = between[at : at + _BLOCK]
        # The frames of a block are neighbours: compute their quaternions once.
        first, last = int(left[block].min()), int(right[block].max())
        quaternions = matrix_to_quaternion_wxyz(rotations[first : last + 1])
        start, end = quaternions[left[block] - first], quaternions[right[block] - first]
        end = torch.where((start * end).sum(-1, keepdim=True) < 0, -end, end)
        angle = 2 * torch.atan2((end - start).norm(dim=-1), (end + start).norm(dim=-1))[..., None]
        part = share[block][:, None, None]
        # sinc(x / pi) is sin(x) / x, also at zero.
        sinc = torch.sinc(angle / torch.pi)
        weight_start = (1 - part) * torch.sinc((1 - part) * angle / torch.pi) / sinc
        weight_end = part * torch.sinc(part * angle / torch.pi) / sinc
        out[block] = quaternion_wxyz_to_matrix(weight_start * start + weight_end * end)
    return out
