"""Fit rotations and translation of a body of fixed shape to points, frame by frame.

The Gauss-Newton matrix of points x = sum_i w_i (R_i (t - J_i) + p_i) depends on the points only through

    M_ij = sum over points of m h_i h_j^T        with h_i = w_i (t - J_i, 1)

(4 x 4, constant over the clip, for joints that share points), and the gradient through the sums of m r h_i^T with the
residuals r. So the solve works on joint pairs alone, at a cost that does not depend on the number of points. The
gradient is exact, correctives included; the matrix omits couplings of joints by correctives. Each step is checked
against the true error: a step that raises it is rejected, and the frame's damping increases.

The result for weakly determined joints depends on the number of steps, and that depends on rounding. So no decision is
a plain threshold: a nearly converged frame takes a fraction of its next step, smaller the less the last one gained.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.fit.dense import entries_by_turn
from vitruve.fit.gradual import rise
from vitruve.fit.points import Points, pose_points
from vitruve.fit.terms import PointTargets, RotationTerm, total_pull

_START_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-5, 1e-9, 1e6
# Damping of every rotation, relative to the frame's energy: weakly determined directions (the twist of a finger) move
# only when the rest has converged. It vanishes with the error, so it costs no accuracy.
_CAUTION = 0.01
# The couplings omitted from the matrix make some steps too short, none too long. If a plain step lowers the energy by
# less than the first of these fractions, the next one is multiplied by this factor; above the second it stays plain.
_SLOW, _STRETCH = (0.4, 0.6), 1.7
# A frame is done when a step lowers its energy by less than the first fraction, or below this many square metres. Up to
# the second fraction the next step is shortened.
_TOLERANCE, _EXACT = (1e-4, 1e-3), 1e-14
# A step that raises the energy by more than the first fraction is rejected, up to the second it is accepted (at
# convergence the sign is rounding), and in between it is shortened.
_RAISED = -0.1, -1e-4
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Moments:
    """The constants of a clip for the compiled step.

    Attributes:
        points: the shaped points.
        weights: [points] shares.
        pairs: [pairs, 2] joints that share points, each pair once.
        second: [pairs, 4, 4] the moments M.
        meeting: [pairs] depth of the joint where a pair's branches meet.
        parents, depth: [joints] parent, -1 for the root, and number of ancestors.
        above: [nodes, levels] ancestors; node 0 is the translation, node k + 1 joint k.
        stiffness: [bending, 9, 9] second moments of each joint's correctives, by the entries of its rotation.
    """

    points: Points
    weights: Tensor
    pairs: np.ndarray
    second: np.ndarray
    meeting: np.ndarray
    parents: np.ndarray
    depth: np.ndarray
    above: np.ndarray
    stiffness: Tensor | None

    @staticmethod
    def of(points: Points, weights: Float[Tensor, "points"] | None = None) -> Moments:
        """The moments of shaped points with weights (None for equal)."""
        weights = points.rest.new_ones(len(points)) if weights is None else weights.to(points.rest)
        weights = weights / weights.sum()
        joints = len(points.parents)
        lever = points.rest[:, None] - points.joints
        anchors = points.weights[..., None] * torch.cat([lever, torch.ones_like(lever[..., :1])], -1)
        flat = points.gather(anchors.double().flatten(1).T).cpu()  # [joints * 4, points]
        full = ((flat * weights.double().cpu()) @ flat.T).view(joints, 4, joints, 4).transpose(1, 2)
        i, j = torch.nonzero(torch.triu(full.abs().sum((-1, -2))), as_tuple=True)
        chains = _chains(points.parents)
        meeting = [len(set(chains[a + 1]) & set(chains[b + 1])) - 2 for a, b in zip(i.tolist(), j.tolist())]
        above = np.zeros((joints + 1, max(map(len, chains)) - 1), dtype=np.int64)
        for node, chain in enumerate(chains):
            above[node, : len(chain) - 1] = chain[:-1]
        pairs, second, levels = torch.stack([i, j], 1), full[i, j], torch.tensor(meeting)
        depth = torch.tensor([len(chain) - 2 for chain in chains[1:]])
        pairs, second, levels = _compensated(pairs, second, levels, depth, points.joints.double().cpu())
        return Moments(
            points=points,
            weights=weights,
            pairs=pairs.numpy(),
            second=second.contiguous().numpy(),
            meeting=levels.numpy(),
            parents=np.array(points.parents),
            depth=depth.numpy(),
            above=above,
            stiffness=_corrective_stiffness(points, weights),
        )


class PerFrame:
    """A dataclass of tensors with a row per frame; an empty tensor is a value that was not computed."""

    def rows(self, rows: Tensor) -> Self:
        """Some of the frames."""
        return type(self)(*(value[rows] if len(value) else value for value in vars(self).values()))

    def put(self, rows: Tensor, other: Self) -> None:
        """Replace these frames, in place."""
        for name, value in vars(other).items():
            if len(value):
                getattr(self, name)[rows] = value


@dataclass(frozen=True, eq=False)
class Fitted(PerFrame):
    """The result of a fit of some frames.

    Attributes:
        rotations: [frames, joints, 3, 3].
        translation: [frames, 3].
        error: [frames] root of the mean cost of the points (with plain squares: root mean square distance), metres.
            Infinite for a frame without targets, which keeps its initial pose.
    """

    rotations: Tensor
    translation: Tensor
    error: Tensor

    @staticmethod
    def empty_like(rotations: Tensor, translation: Tensor) -> Fitted:
        """Uninitialised memory for as many frames."""
        return Fitted(*(torch.empty_like(value) for value in (rotations, translation, translation[:, 0])))


@dataclass(frozen=True, eq=False)
class State(PerFrame):
    """The current state of frames: the inputs of the compiled step, and the energies to check it."""

    local: Tensor
    shift: Tensor
    energy: Tensor  # with rotation terms
    error: Tensor  # of the points alone, squared
    world: Tensor
    residual: Tensor
    slope: Tensor
    curvature: Tensor
    grip: Tensor  # fraction of the full weight that a robust loss leaves to the points


def fit_frames(
    moments: Moments,
    targets: PointTargets,
    rotations: Float[Tensor, "frames joints 3 3"],
    translation: Float[Tensor, "frames 3"],
    *,
    terms: tuple[RotationTerm, ...] = (),
    frames: Tensor | None = None,
    free: Tensor | None = None,
    expression: Tensor | None = None,
    rounds: int = 10,
) -> Fitted:
    """Fit rotations and translation of frames, each independently.

    Args:
        moments: the shaped points; its weights must be those of the targets.
        targets: target positions of the points.
        rotations, translation: the initial pose, parent-relative.
        terms: on the rotations.
        frames: indices of these frames in the clip, for the terms; from zero by default.
        free: [joints] all by default.
        expression: [frames, expressions] known coefficients, if not yet applied to the points.
        rounds: maximum steps per frame; with 0, the error is that of the initial pose.
    """
    points, count = moments.points, len(rotations)
    frames = torch.arange(count) if frames is None else frames
    free = torch.ones(len(points.parents), dtype=torch.bool) if free is None else free
    usable = (targets.share() > 0.5) & torch.isfinite(rotations).flatten(1).all(1) & torch.isfinite(translation).all(1)
    active = usable.nonzero()[:, 0]
    # Relative to the initial pose, so that float32 suffices for clips that walk far.
    near = replace(targets, targets=targets.targets - translation[:, None])

    def state_of(local: Tensor, shift: Tensor, rows: Tensor, gradient: bool = True) -> State:
        part = near if len(rows) == count else near.rows(rows)
        shaped = points if expression is None else points.shaped(expression=expression[rows])
        return evaluate(replace(moments, points=shaped), part, local, shift, terms, frames[rows], gradient)

    no_shift = translation.new_zeros(len(active), 3, dtype=torch.float64)
    now = state_of(rotations[active].double(), no_shift, active, gradient=rounds > 0)
    out = Fitted(rotations.clone(), translation.clone(), translation.new_full((count,), torch.inf))
    if not rounds:
        out.error[active] = now.error.sqrt()
        return out
    left = torch.arange(len(active))
    damping = torch.full((len(active),), _START_DAMPING, dtype=torch.float64)
    # The fraction of a step that is taken, and how far it is extended: 0 not at all, 1 fully.
    share, stretched = torch.ones_like(damping), torch.zeros_like(damping)
    for turn in range(rounds):
        if not len(left):
            break

        def tried(rows: Tensor, part: State, reach: Tensor, last: bool = turn == rounds - 1) -> State:
            local, moved = compiled_step(moments, part, damping[rows], free, reach)
            return state_of(local, part.shift + moved, active[rows], gradient=not last)

        part = now if len(left) == len(active) else now.rows(left)
        reach = share[left] * (1 + (_STRETCH - 1) * stretched[left])
        trial = tried(left, part, reach)
        gained = (part.energy - trial.energy) / part.energy.clamp_min(1e-300)
        taken = rise(gained, *_RAISED).nan_to_num(0.0)
        now.put(left[taken == 1], trial.rows(taken == 1))
        partly = ((taken > 0) & (taken < 1)).nonzero()[:, 0]
        if len(partly):
            less = tried(left[partly], part.rows(partly), (reach * taken)[partly])
            finite = less.energy.isfinite()
            now.put(left[partly[finite]], less.rows(finite))
        # A rejected long step says nothing about a plain one.
        harder = 30.0 ** ((1 - taken) * (1 - stretched[left]))
        damping[left] = (damping[left] * harder * 0.1**taken).clamp(_LEAST_DAMPING, None)
        stretched[left] = taken * (1 - stretched[left]) * (1 - rise(gained, *_SLOW).nan_to_num(0.0))
        settled = torch.maximum(rise(gained, *_TOLERANCE).nan_to_num(0.0), 1 - taken)
        share[left] *= torch.where(damping[left] <= _START_DAMPING, settled, 1.0)
        exact = (share[left] == 0) | (now.energy[left] < _EXACT)
        left = left[~torch.where(taken > 0, exact, damping[left] > _MOST_DAMPING)]
    out.rotations[active] = now.local.to(rotations)
    out.translation[active] += now.shift.to(translation)
    out.error[active] = now.error.sqrt()
    return out


def evaluate(
    moments: Moments,
    targets: PointTargets,
    local: Tensor,
    shift: Tensor,
    terms: tuple[RotationTerm, ...],
    frames: Tensor,
    gradient: bool = True,
) -> State:
    """The state at rotations and a shift (float64 in, the points' precision inside), without gradient if not needed."""
    points = moments.points
    rotations = local.to(points.rest)
    posed = pose_points(points, rotations, shift.to(points.rest))
    pull, extra = targets.pull(posed.positions), total_pull(terms, rotations, frames)
    energy = pull.energy.double()
    if extra is not None:
        energy = energy + extra.energy.double()
    energies = local, shift, energy.nan_to_num(torch.inf), pull.energy
    if not gradient:
        return State(*energies, *[energy.new_empty(0)] * 5)
    force = points.spread(pull.slope.transpose(1, 2))  # [frames, 3, parts]
    # Sum of m r w (t + c - J, 1) per joint.
    outer = force.new_empty(len(force), 3, 4, force.shape[-1])
    torch.mul(force[:, :, None], posed.corrected[:, None], out=outer[:, :, :3])
    outer[:, :, 3] = force
    residual = outer @ points.weights
    residual[:, :, :3] -= residual[:, :, 3:] * points.joints.mT.unsqueeze(-3)
    slope, curvature = torch.zeros_like(posed.world[..., :3]), torch.zeros_like(posed.world[..., :3])
    if moments.stiffness is not None:
        at_rest = posed.blended[:, 0] * force[:, :1]
        at_rest.addcmul_(posed.blended[:, 1], force[:, 1:2]).addcmul_(posed.blended[:, 2], force[:, 2:])
        slope[:, points.bending] = -2 * (at_rest.flatten(1) @ points.pose_basis.T).unflatten(1, (-1, 3, 3))
        by_turn = entries_by_turn(local[:, points.bending].to(slope))
        curvature[:, points.bending] = torch.einsum("fjan,jab,fjbm->fjnm", by_turn, moments.stiffness, by_turn)
    if extra is not None:
        slope, curvature = slope + extra.slope, curvature + extra.curvature
    residual, grip = residual.permute(0, 3, 1, 2).contiguous(), pull.curvature.sum(-1).clamp_min(1e-3)
    return State(*energies, posed.world, residual, slope, curvature, grip)


def compiled_step(
    moments: Moments, state: State, damping: Tensor, free: Tensor, reach: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """New local rotations and the step of the translation; the step is multiplied by `reach` [frames]."""
    step = compiled()
    turned, moved = torch.empty_like(state.local), torch.empty_like(state.shift)
    least = _CAUTION * state.energy + 1e-12
    # The moments use full weights; if a loss reduces the weights, all other terms grow in proportion.
    grip = state.grip[:, None, None, None]
    pulls = [state.residual / grip, state.slope / grip, state.curvature / grip]
    reach = torch.ones_like(damping) if reach is None else reach
    per_frame = [state.world, state.local, *pulls, damping, least, reach, turned, moved]
    arrays = [value.double().contiguous().numpy() for value in per_frame]
    tables = (moments.second, moments.pairs, moments.meeting, moments.parents, moments.depth, moments.above)
    allowed = free.numpy()

    def work(part: slice) -> None:
        *inputs, new, shift = (array[part] for array in arrays)
        step(*inputs, *tables, allowed, new, shift)

    threads = max(1, min(torch.get_num_threads(), len(turned) // 8))
    size = -(-len(turned) // threads)
    parts = [slice(start, start + size) for start in range(0, len(turned), size)]
    if len(parts) == 1:
        work(parts[0])
    else:
        with ThreadPoolExecutor(len(parts)) as pool:
            list(pool.map(work, parts))
    return turned, moved


def compiled() -> Callable[..., None]:
    """The compiled step; the first call on a machine compiles it in a few seconds and logs that."""
    if "vitruve.fit.kernels" not in sys.modules:
        _log.info("loading the compiled solver; the first time on a machine this takes a few seconds")
    from vitruve.fit.kernels import gauss_newton_step

    return gauss_newton_step


def prepare() -> float:
    """Load the compiled step, or compile it if this is its first use on the machine; the seconds it took."""
    start = time.perf_counter()
    compiled()
    return time.perf_counter() - start


def _chains(parents: tuple[int, ...]) -> list[list[int]]:
    """For each node, its ancestors from the translation (node 0) down, and itself last."""
    chains: list[list[int]] = [[0]]
    for joint, parent in enumerate(parents):
        chains.append([*chains[parent + 1], joint + 1])
    return chains


def _compensated(
    pairs: Tensor, second: Tensor, levels: Tensor, depth: Tensor, joints: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The moments with the couplings that the tree solve omits, moved to the diagonal.

    Points shared by two branches couple their rotations. The solve replaces that coupling by the bound
    2ab <= a^2 + b^2, so that the matrix is never smaller than the true one and steps do not overshoot.
    """
    extra_pairs, extra, extra_levels = [pairs], [second], [levels]
    i, j = pairs.T
    forked = (levels < torch.minimum(depth[i], depth[j])).nonzero()[:, 0]
    i, j, shared, level = i[forked], j[forked], second[forked], levels[forked]
    shift = torch.eye(4, dtype=second.dtype).repeat(len(forked), 1, 1)
    shift[:, :3, 3] = joints[j] - joints[i]
    for joint, own in ((i, shared @ shift.mT), (j, torch.linalg.solve(shift, shared))):
        own = (own + own.mT) / 2
        # Only for rotations below the fork: added at the joint, removed where the branches meet.
        extra_pairs += [torch.stack([joint, joint], 1)] * 2
        extra += [own, -own]
        extra_levels += [depth[joint], level]
    return _merged(torch.cat(extra_pairs), torch.cat(extra), torch.cat(extra_levels))


def _merged(pairs: Tensor, second: Tensor, levels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sum the moments of the same pair and level."""
    keys, place = torch.cat([pairs, levels[:, None]], 1).unique(dim=0, return_inverse=True)
    total = second.new_zeros(len(keys), 4, 4).index_add_(0, place, second)
    return keys[:, :2].contiguous(), total, keys[:, 2].contiguous()


def _corrective_stiffness(points: Points, weights: Tensor) -> Tensor | None:
    """How much each joint's correctives move the points: [bending, 9, 9]; blended rotations preserve lengths."""
    if not len(points.pose_basis):
        return None
    basis = points.pose_basis.unflatten(0, (-1, 9))
    return torch.einsum("jap,p,jbp->jab", basis, points.spread(weights).repeat(3), basis)
