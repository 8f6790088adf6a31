"""Denoising of poses and motions: each joint moves from its observation towards a prediction.

better = denoise(prior, rotations, noise=0.1)        # independent poses
better = denoise_motion(prior, rotations)            # frames of one motion, with estimated noise

Both measure the error of the prediction on the data themselves and weight it accordingly. So a motion that the prior
does not know changes little, instead of getting worse.
"""

from __future__ import annotations

import functools
import itertools

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vitruve.bodies import load_body
from vitruve.errors import UsageError
from vitruve.geometry.rotations import (
    axis_angle_to_matrix,
    geodesic_distance,
    matrix_to_axis_angle,
    nearest_rotation,
    slerp,
)
from vitruve.motion.smoothing import valid_runs
from vitruve.priors.completion import likely_codes
from vitruve.priors.prior import Prior
from vitruve.priors.surface import BodySurface, body_surface
from vitruve.priors.vposer import JOINTS

# Poses in one block; smallest number of perturbed poses to measure the prior's error (few poses are used repeatedly).
_CHUNK, _PROBES = 256, 64
# With many more poses than this, each joint is measured separately; with fewer, all joints together.
_POOLED = 10
# The error of a network on unseen people is about twice that on training data.
_UNSEEN = 2.0
# Standard deviations (frames) of the smoothing windows, and those whose results the prior reconstructs.
_WIDTHS, _RECONSTRUCTED = (1, 2, 4, 8, 16), (4, 16)
# Reach of the widest window, shortest motion, and longest block, all in frames.
_REACH, _SHORT, _BLOCK = 64, 16, 2048
# A difference of this order removes nearly all motion and keeps the noise.
_DIFFERENCE = (1, -6, 15, -20, 15, -6, 1)
# The median of the chi-squared distribution with three degrees of freedom.
_MEDIAN = 2.36597

Noise = float | Float[Tensor, "21"]
"""Radians, standard deviation about each axis, of all joints or of each."""


def denoise(prior: Prior, rotations: Float[Tensor, "poses 21 3 3"], noise: Noise) -> Float[Tensor, "poses 21 3 3"]:
    """Denoise independent poses.

    Each joint moves towards the decoded most likely code by the fraction with the least error. Stein's estimate gives
    this fraction from the noise and from how the step changes for slightly rotated poses, over all poses. A last
    factor, estimated in the same way for joint positions, limits steps that would make positions worse.

    Args:
        prior: a trained prior.
        rotations: observed poses, all with the same noise.
        noise: radians, standard deviation about each axis, of all joints or of each.
    """
    level = _level(prior, noise)
    if not len(rotations) or not bool((level > 0).any()):
        return rotations.clone()
    poses = rotations.to(prior.joint_error)
    repeats = -(-_PROBES // len(poses))
    size = (0.1 * level).clamp_min(0.02)
    probe = torch.randn(repeats * len(poses), JOINTS, 3, generator=torch.Generator().manual_seed(0)).to(poses)
    turned = poses.repeat(repeats, 1, 1, 1) @ axis_angle_to_matrix(size[:, None] * probe)
    step, step_turned = (_step(prior, some, level) for some in (poses, turned))
    change = (probe * (step_turned - step.repeat(repeats, 1, 1))).sum(-1) / size
    share = _share(prior, step, change, level)[:, None]
    factor = _factor(poses, share * step, turned, share * step_turned, level / size)
    return (poses @ axis_angle_to_matrix(-factor * (share * step))).to(rotations)


def denoise_motion(
    prior: Prior,
    rotations: Float[Tensor, "frames 21 3 3"],
    noise: Noise | None = None,
    mask: Bool[Tensor, "frames"] | None = None,
) -> Float[Tensor, "frames 21 3 3"]:
    """Denoise the frames of one motion.

    Each joint is predicted from the neighbouring frames, without its own: by parabolas of several widths, and by the
    prior's reconstructions of these. They are combined with the weights that predict the observations best. The
    distance of observations and predictions, minus the noise, is the error of the prediction and decides how far each
    joint moves towards it.

    Args:
        prior: a trained prior.
        rotations: observed frames.
        noise: radians, standard deviation about each axis; by default from `estimate_noise`.
        mask: False for invalid frames, which stay unchanged and are not used for others.
    """
    level = _level(prior, estimate_noise(rotations, mask) if noise is None else noise)
    out = rotations.clone()
    for start, stop in valid_runs(mask, len(rotations)):
        if stop - start < _SHORT:
            out[start:stop] = denoise(prior, rotations[start:stop], level)
            continue
        count = -(-(stop - start) // _BLOCK)
        edges = [start + i * (stop - start) // count for i in range(count + 1)]
        for first, last in itertools.pairwise(edges):
            before, after = max(start, first - _REACH), min(stop, last + _REACH)
            better = _weighted(prior, rotations[before:after].to(prior.joint_error), level)
            out[first:last] = better[first - before : last - before].to(out)
    return out


def estimate_noise(
    rotations: Float[Tensor, "frames joints 3 3"], mask: Bool[Tensor, "frames"] | None = None
) -> Float[Tensor, "joints"]:
    """The noise of a motion, radians, standard deviation about each axis.

    Only noise that is independent between frames is measured.
    """
    taps, differences = len(_DIFFERENCE), []
    for start, stop in valid_runs(mask, len(rotations)):
        part = rotations[start:stop].double()
        if len(part) >= taps:
            differences.append(sum(k * part[i : len(part) - taps + 1 + i] for i, k in enumerate(_DIFFERENCE)))
    if not differences:
        raise UsageError(
            "the motion is too short to estimate its noise",
            where=f"{len(rotations)} frames; {taps} consecutive valid frames are needed",
            fix="give the noise: --noise-deg 5, or noise=0.1 in Python",
        )
    square = torch.cat(differences).square().sum((-2, -1)).median(0).values * 3 / _MEDIAN
    # The change of matrix entries by noise of 0 to 1.2 radians.
    levels = torch.linspace(0, 1.2, 4801, dtype=torch.float64, device=square.device)
    kept = (1 + 2 * (1 - levels.square()) * (-0.5 * levels.square()).exp()) / 3
    place = torch.searchsorted(3 * (1 - kept.square()), square / sum(k * k for k in _DIFFERENCE))
    return levels[place.clamp_max(len(levels) - 1)].to(rotations)


def _level(prior: Prior, noise: Noise) -> Tensor:
    level = torch.as_tensor(noise).to(prior.joint_error)
    if level.shape not in ((), (JOINTS,)):
        where = f"noise has shape {tuple(level.shape)}"
        raise UsageError("noise is one number, or one for each joint", where=where, fix=f"give {JOINTS} numbers")
    if not bool((level >= 0).all() & level.isfinite().all()):
        raise UsageError("noise cannot be negative", where=f"noise = {noise}", fix="give radians, 0.1 or so")
    return level.expand(JOINTS)


def _step(prior: Prior, poses: Tensor, level: Tensor) -> Tensor:
    """[poses, 21, 3] rotation vectors from the decoded most likely codes to the poses."""
    weight = 1 / ((_UNSEEN * prior.joint_error).square() + 3 * level.square())
    out = []
    for part in poses.split(_CHUNK):
        with torch.no_grad():
            code = prior.encode(part).mean
        likely = prior.decode(likely_codes(prior, part, weight, code))
        out.append(matrix_to_axis_angle(likely.mT @ part))
    return torch.cat(out)


def _share(prior: Prior, step: Tensor, change: Tensor, level: Tensor) -> Tensor:
    """[21] the fraction of the step that is noise, in [0, 1]; `change` [probes, 21] is its derivative."""
    square = step.square().sum(-1)
    usual = prior.joint_error.square() + 3 * level.square()
    usual = usual * square.mean() / usual.mean()
    count = len(step)
    measured = (square.sum(0) + _POOLED * usual) / (count + _POOLED)
    growth = (count * change.mean(0) + _POOLED * change.mean()) / (count + _POOLED)
    return (level.square() * growth / measured.clamp_min(1e-12)).clamp(0, 1)


def _factor(poses: Tensor, step: Tensor, turned: Tensor, step_turned: Tensor, scale: Tensor) -> Tensor:
    """The factor of the steps in [0, 1] that is best for the positions of joints, by Stein's estimate."""
    before, before_turned = _positions(poses), _positions(turned)
    moved = _positions(poses @ axis_angle_to_matrix(-step)) - before
    moved_turned = _positions(turned @ axis_angle_to_matrix(-step_turned)) - before_turned
    repeats = len(turned) // len(poses)
    noise = before_turned - before.repeat(repeats, 1, 1)
    gains = -(noise * (moved_turned - moved.repeat(repeats, 1, 1))).sum((-2, -1)) * scale.square().mean()
    # Subtracting a standard error keeps chance from making the positions of few poses worse.
    gain = gains.mean() - gains.std() / len(poses) ** 0.5
    return (gain / moved.square().sum((-2, -1)).mean().clamp_min(1e-12)).clamp(0, 1)


@functools.cache
def _surface() -> BodySurface:
    return body_surface(load_body("open-smplx-neutral"), 1)


def _positions(rotations: Tensor) -> Tensor:
    """[poses, 22, 3] joints of the open body, metres."""
    return _surface().pose(rotations.to(_surface().rest))[1][:, : JOINTS + 1].to(rotations)


def _weighted(prior: Prior, observed: Tensor, level: Tensor) -> Tensor:
    """Consecutive frames, each between its prediction and its observation."""
    smoothed = {width: _neighbours(observed, width) for width in _WIDTHS}
    with torch.no_grad():
        known = [prior.reconstruct(nearest_rotation(smoothed[width]).to(observed)) for width in _RECONSTRUCTED]
    predictions = torch.stack([*smoothed.values(), *(value.double() for value in known)])
    target, (count, frames) = observed.double(), predictions.shape[:2]
    products = torch.einsum("ktjab,ltjab->jkl", predictions, predictions) / frames
    right_side = torch.einsum("ktjab,tjab->jk", predictions, target) / frames
    # Neighbouring widths are nearly collinear, so the weights are drawn slightly to their plain mean.
    damping = 1e-4
    products = products + damping * torch.eye(count, dtype=products.dtype, device=products.device)
    weights = torch.linalg.solve(products, right_side + damping / count)
    expected = nearest_rotation(torch.einsum("jk,ktjab->tjab", weights, predictions)).to(observed)
    # The weights were fitted to these frames, so the distance is slightly too small.
    spread = geodesic_distance(expected, observed).square().mean(0) * 9 * frames / (9 * frames - count)
    gain = (1 - 3 * level.square() / spread.clamp_min(1e-12)).clamp(0, 1)
    return slerp(expected, observed, torch.where(level > 0, gain, 1.0))


def _neighbours(rotations: Tensor, width: int) -> Tensor:
    """[frames, 21, 3, 3] matrices, not rotations, from parabolas through the frames around each but not itself."""
    reach = 4 * width
    offset = torch.arange(-reach, reach + 1, dtype=torch.float64, device=rotations.device) / width
    kernel = (-0.5 * offset.square()).exp() * (offset != 0)
    powers = kernel * offset ** torch.arange(5, dtype=torch.float64, device=rotations.device)[:, None]
    columns = rotations.double().flatten(1).T
    ones = columns.new_ones(1, 1, len(rotations))
    moments = torch.nn.functional.conv1d(ones, powers[:, None], padding=reach)[0].T
    sums = torch.nn.functional.conv1d(columns[:, None], powers[:3, None], padding=reach)
    matrix = torch.stack([moments[:, i : i + 3] for i in range(3)], 1)
    first = torch.linalg.solve(matrix + 1e-9 * torch.eye(3).to(matrix), torch.eye(3)[:, :1].to(matrix))
    return torch.einsum("fpt,tp->tf", sums, first[..., 0]).unflatten(1, rotations.shape[1:])
