"""Curves over time: minimum-jerk keys, and the joint angles of normal walking over a gait cycle.

The gait angles are typical values of adult walking at a natural speed, as textbooks of gait analysis show them
(Winter, The Biomechanics and Motor Control of Human Gait, 1991; Perry, Gait Analysis, 1992): hip flexion from 30
degrees at heel strike to -10 before push-off, two waves of knee flexion with peaks near 18 and 61, the ankle's three
rockers. The numbers are our own reading at twenty points of the cycle, turned into Fourier series of six harmonics; no
recorded data is used.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

# Degrees at 0, 5, ..., 95 % of the cycle, which starts when the heel strikes. Flexion and dorsiflexion are positive.
HIP_DEG = (30, 28, 25, 20, 15, 10, 5, 0, -4, -8, -10, -9, -5, 3, 12, 20, 27, 32, 33, 32)
KNEE_DEG = (4, 10, 16, 18, 16, 12, 8, 5, 4, 6, 12, 22, 36, 51, 60, 58, 45, 29, 14, 4)
ANKLE_DEG = (0, -5, -4, 0, 3, 5, 6, 8, 9, 10, 8, 0, -13, -17, -10, -4, 0, 1, 2, 1)
# The pelvis: its left side goes forward, up, and the whole tilts forward; the cycle of the left leg.
PELVIS_ROTATION_DEG = (4.5, 4.2, 3.5, 2.5, 1.5, 0.5, -0.8, -2.0, -3.2, -4.2)
PELVIS_OBLIQUITY_DEG = (0.5, 2.6, 4.0, 3.6, 2.5, 1.4, 0.6, 0.2, -0.1, -0.3)
# The angles of the hip count from a pelvis that tilts forward a little.
_TILT_DEG = 4
STANCE_SHARE = 0.62
_HARMONICS = 6


def fourier(samples: Sequence[float]) -> Tensor:
    """Complex coefficients of a periodic curve given at equal steps, cut after six harmonics."""
    return torch.fft.rfft(torch.tensor(samples, dtype=torch.float64))[: _HARMONICS + 1] / len(samples)


def series(coefficients: Tensor, phase: Tensor) -> Tensor:
    """The curve of Fourier coefficients at phases in cycles."""
    order = torch.arange(len(coefficients), dtype=torch.float64)
    waves = torch.exp(2j * math.pi * order * phase[..., None])
    weight = torch.where(order > 0, 2.0, 1.0)
    return (weight * coefficients * waves).real.sum(-1)


def half_wave(samples: Sequence[float]) -> tuple[float, ...]:
    """A whole cycle of a curve whose second half is the first one with the sign turned, as for left and right."""
    return (*samples, *(-value for value in samples))


def foot_pitch(phase: Tensor) -> Tensor:
    """How far the toes point up, radians, over the gait cycle: hip - knee + ankle; level where the foot is flat."""
    pitch = series(_FOOT, phase)
    # Between foot flat and heel off the sole lies on the ground: the remaining degrees are noise of the three curves.
    after_strike = min_jerk((phase - 0.03) / 0.12)
    before_push = min_jerk((phase - 0.30) / 0.14)
    return torch.deg2rad(pitch) * (1 - after_strike + before_push).clamp(0, 1)


def pelvis_angles(phase: Tensor) -> tuple[Tensor, Tensor]:
    """(rotation about the vertical: left side forward, obliquity: left side up), radians, by the left leg's phase."""
    return torch.deg2rad(series(_ROTATION, phase)), torch.deg2rad(series(_OBLIQUITY, phase))


def min_jerk(share: Tensor) -> Tensor:
    """The minimum-jerk step from 0 to 1, held outside."""
    s = share.clamp(0, 1)
    return s**3 * (10 - 15 * s + 6 * s**2)


def keyed(time: Tensor, keys: Sequence[tuple[float, float]]) -> Tensor:
    """A curve through (seconds, value) keys, minimum jerk between neighbours, held before and after."""
    out = torch.full_like(time, float(keys[0][1]))
    for (start, a), (end, b) in itertools.pairwise(keys):
        out = out + (b - a) * min_jerk((time - start) / (end - start))
    return out


def smoothed(values: Tensor, sigma: float) -> Tensor:
    """Gaussian smoothing along the frames, `sigma` in frames, ends held."""
    reach = math.ceil(4 * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float64) / sigma) ** 2)
    flat = values.reshape(len(values), -1)
    padded = torch.cat([flat[:1].expand(reach, -1), flat, flat[-1:].expand(reach, -1)])
    return (padded.unfold(0, 2 * reach + 1, 1) @ (kernel / kernel.sum())).reshape(values.shape)


_FOOT = fourier([h - _TILT_DEG - k + a for h, k, a in zip(HIP_DEG, KNEE_DEG, ANKLE_DEG, strict=True)])
_ROTATION = fourier(half_wave(PELVIS_ROTATION_DEG))
_OBLIQUITY = fourier(half_wave(PELVIS_OBLIQUITY_DEG))
