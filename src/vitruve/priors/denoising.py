"""Noise taken out of poses and of motions: what was observed is weighed against what is expected.

better = denoise(prior, rotations, noise=0.1)        # poses that have nothing to do with each other
better = denoise_motion(prior, rotations)            # frames of one motion; the noise is found in them

Both measure how far off the expectation is on the very data they are given, and give it no more weight than that
allows. So a prior that does not know a kind of motion changes it little, instead of making it worse.
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

# Poses worked on at a time; poses that measure how far the prior is off, at least, by turning few ones in several ways.
_CHUNK, _PROBES = 256, 64
# Joints are measured one by one where there are many more poses than this; with few, all of them together.
_POOLED = 10
# How much further off a network is on people it has not seen than on those it learned from: about twice.
_UNSEEN = 2.0
# Frames that expectations are formed over (standard deviation of the weights), and those that the prior looks at.
_WIDTHS, _LOOKED_AT = (1, 2, 4, 8, 16), (4, 16)
# How far the widest reaches, in frames; fewer frames than _SHORT are no motion; a long one is worked on in blocks.
_REACH, _SHORT, _BLOCK = 64, 16, 2048
# Differences of this order hardly see a motion, but all of the noise.
_DIFFERENCE = (1, -6, 15, -20, 15, -6, 1)
# The median of the square of three normal numbers.
_MEDIAN = 2.36597

Noise = float | Float[Tensor, "21"]
"""Radians, standard deviation about each axis, of all joints or of each."""


def denoise(prior: Prior, rotations: Float[Tensor, "poses 21 3 3"], noise: Noise) -> Float[Tensor, "poses 21 3 3"]:
    """Single poses with less noise.

    The most likely code of each pose is looked for, and each joint goes part of the way to what it decodes to. How far
    is Stein's estimate of the least error: it needs the noise and how the way changes when the pose is turned a little,
    and is measured over all poses. A last factor, measured in the same way on the positions of joints, holds back steps
    that would improve rotations at their cost.

    Args:
        prior: a trained prior.
        rotations: observed; all with the same noise.
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
    way, way_turned = (_way(prior, some, level) for some in (poses, turned))
    change = (probe * (way_turned - way.repeat(repeats, 1, 1))).sum(-1) / size
    share = _share(prior, way, change, level)
    step, step_turned = share[:, None] * way, share[:, None] * way_turned
    factor = _factor(poses, step, turned, step_turned, level / size)
    return (poses @ axis_angle_to_matrix(-factor * step)).to(rotations)


def denoise_motion(
    prior: Prior,
    rotations: Float[Tensor, "frames 21 3 3"],
    noise: Noise | None = None,
    mask: Bool[Tensor, "frames"] | None = None,
) -> Float[Tensor, "frames 21 3 3"]:
    """Frames of one motion with less noise.

    Each joint is predicted from the frames around it, without its own: by parabolas over several widths, and by what
    the prior makes of these. The weights are those that predict the observations best. How far observations are from
    the prediction, less the noise, is how far off the prediction is; each joint ends between the two accordingly.

    Args:
        prior: a trained prior.
        rotations: observed.
        noise: radians, standard deviation about each axis; found by `estimate_noise` where left out.
        mask: False where a frame is not valid; it stays as it is, and says nothing about others.
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
            better = _weighed(prior, rotations[before:after].to(prior.joint_error), level)
            out[first:last] = better[first - before : last - before].to(out)
    return out


def estimate_noise(
    rotations: Float[Tensor, "frames joints 3 3"], mask: Bool[Tensor, "frames"] | None = None
) -> Float[Tensor, "joints"]:
    """Radians, standard deviation about each axis, by which frames differ that have nothing to do with each other.

    Noise that lasts over several frames is not seen.
    """
    taps, found = len(_DIFFERENCE), []
    for start, stop in valid_runs(mask, len(rotations)):
        part = rotations[start:stop].double()
        if len(part) >= taps:
            found.append(sum(k * part[i : len(part) - taps + 1 + i] for i, k in enumerate(_DIFFERENCE)))
    if not found:
        raise UsageError(
            "the motion is too short to tell how noisy it is",
            where=f"{len(rotations)} frames; {taps} valid ones in a row are needed",
            fix="give the noise: --noise-deg 5, or noise=0.1 in Python",
        )
    square = torch.cat(found).square().sum((-2, -1)).median(0).values * 3 / _MEDIAN
    # What noise adds to the entries of a matrix, for noise of 0 to 1.2 radians.
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


def _way(prior: Prior, poses: Tensor, level: Tensor) -> Tensor:
    """[poses, 21, 3] the turns that lead from what the most likely codes decode to, to the poses."""
    weight = 1 / ((_UNSEEN * prior.joint_error).square() + 3 * level.square())
    out = []
    for part in poses.split(_CHUNK):
        with torch.no_grad():
            code = prior.encode(part).mean
        likely = prior.decode(likely_codes(prior, part, weight, code))
        out.append(matrix_to_axis_angle(likely.mT @ part))
    return torch.cat(out)


def _share(prior: Prior, way: Tensor, change: Tensor, level: Tensor) -> Tensor:
    """[21] which part of the way to go, in [0, 1]: how much of it is noise.

    Args:
        prior: knows how far off it usually is, joint by joint.
        way: [poses, 21, 3].
        change: [probes, 21] how it changes along random turns.
        level: [21].
    """
    square = way.square().sum(-1)
    usual = prior.joint_error.square() + 3 * level.square()
    usual = usual * square.mean() / usual.mean()
    count = len(way)
    measured = (square.sum(0) + _POOLED * usual) / (count + _POOLED)
    grown = (count * change.mean(0) + _POOLED * change.mean()) / (count + _POOLED)
    return (level.square() * grown / measured.clamp_min(1e-12)).clamp(0, 1)


def _factor(poses: Tensor, step: Tensor, turned: Tensor, step_turned: Tensor, scale: Tensor) -> Tensor:
    """In [0, 1]: how much of the steps is best for the positions of joints, by Stein's estimate as before."""
    surface = _joints()
    there, there_turned = surface(poses), surface(turned)
    moved = surface(poses @ axis_angle_to_matrix(-step)) - there
    moved_turned = surface(turned @ axis_angle_to_matrix(-step_turned)) - there_turned
    repeats = len(turned) // len(poses)
    noise = there_turned - there.repeat(repeats, 1, 1)
    gains = -(noise * (moved_turned - moved.repeat(repeats, 1, 1))).sum((-2, -1)) * scale.square().mean()
    # What few poses say is uncertain; a standard error less keeps chance from making positions worse.
    gain = gains.mean() - gains.std() / len(poses) ** 0.5
    return (gain / moved.square().sum((-2, -1)).mean().clamp_min(1e-12)).clamp(0, 1)


@functools.cache
def _joints() -> functools.partial[Tensor]:
    """Positions of joints on the open body."""
    return functools.partial(_positions, body_surface(load_body("open-smplx-neutral"), 1))


def _positions(surface: BodySurface, rotations: Tensor) -> Tensor:
    return surface.pose(rotations.to(surface.rest))[1][:, : JOINTS + 1].to(rotations)


def _weighed(prior: Prior, observed: Tensor, level: Tensor) -> Tensor:
    """Frames in a row, each between what its neighbours say and what was observed."""
    around = {width: _neighbours(observed, width) for width in _WIDTHS}
    with torch.no_grad():
        known = [prior.reconstruct(nearest_rotation(around[width]).to(observed)) for width in _LOOKED_AT]
    said = torch.stack([*around.values(), *(value.double() for value in known)])
    target, (count, frames) = observed.double(), said.shape[:2]
    products = torch.einsum("ktjab,ltjab->jkl", said, said) / frames
    wanted = torch.einsum("ktjab,tjab->jk", said, target) / frames
    # A little of the plain mean, since neighbouring widths say nearly the same.
    damping = 1e-4
    products = products + damping * torch.eye(count, dtype=products.dtype, device=products.device)
    weights = torch.linalg.solve(products, wanted + damping / count)
    expected = nearest_rotation(torch.einsum("jk,ktjab->tjab", weights, said)).to(observed)
    # The weights were chosen on these frames, so the distance is a little too small.
    spread = geodesic_distance(expected, observed).square().mean(0) * 9 * frames / (9 * frames - count)
    gain = (1 - 3 * level.square() / spread.clamp_min(1e-12)).clamp(0, 1)
    return slerp(expected, observed, torch.where(level > 0, gain, 1.0))


def _neighbours(rotations: Tensor, width: int) -> Tensor:
    """[frames, 21, 3, 3] matrices, not rotations, from parabolas through the frames around each, itself left out."""
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
