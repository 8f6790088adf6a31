"""How realistic and how varied the random poses of a candidate are.

Limits of joints are those of the data, not of anatomy: for each component of a joint's rotation vector, the range of
all but a small fraction of the training poses, plus a margin.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle, matrix_to_quaternion_wxyz
from vitruve.learn.order import seed_of
from vitruve.metrics.generation import (
    Moments,
    average_pairwise_distance,
    frechet_distance,
    moments,
    nearest_rotations,
    precision_recall,
    two_sample_accuracy,
)
from vitruve.priors.baselines import Candidate
from vitruve.priors.judged_poses import JudgedPoses
from vitruve.priors.surface import BodySurface
from vitruve.priors.vposer import JOINTS

FEW = 500
"""Samples for pairwise and nearest-neighbour distances, as in published results."""
NEIGHBOURS = 3
SHARE, MARGIN = 0.001, math.radians(5)
"""The fraction of the data beyond each limit, and the margin added to it (radians)."""
# A pose violates the limits if a joint is this far beyond them, radians; poses in one block.
_CLEARLY, _BLOCK = 0.1745, 512


def features(rotations: Tensor, joints: Tensor) -> dict[str, Tensor]:
    """Features to compare sets of poses: positions of root and body joints [poses, 66], axis-angle [poses, 63]."""
    return {
        "joints22": joints[:, : JOINTS + 1].flatten(1),
        "aa63": matrix_to_axis_angle(rotations).flatten(1),
    }


def limits_of(
    vectors: Float[Tensor, "poses 21 3"], share: float = SHARE, margin: float = MARGIN
) -> tuple[Float[Tensor, "21 3"], Float[Tensor, "21 3"]]:
    """The lower and the upper limits of axis-angle vectors, radians."""
    ordered = vectors.flatten(1).sort(0).values
    first = int(share * (len(ordered) - 1))
    lower, upper = ordered[first] - margin, ordered[len(ordered) - 1 - first] + margin
    return lower.view(-1, 3), upper.view(-1, 3)


def beyond(limits: tuple[Tensor, Tensor], vectors: Float[Tensor, "*batch 21 3"]) -> Float[Tensor, "*batch 21"]:
    """How far each joint is outside the limits, radians; zero inside."""
    lower, upper = (limit.to(vectors) for limit in limits)
    return torch.relu(lower - vectors).add(torch.relu(vectors - upper)).norm(dim=-1)


@torch.no_grad()
def score_samples(
    candidates: Sequence[Candidate],
    poses: JudgedPoses,
    learned: Tensor,
    surface: BodySurface,
    real: dict[str, Moments],
    samples: int,
    seed: int,
) -> Iterator[tuple[str, dict[str, float]]]:
    """Scores of random poses from each candidate, from the training poses, and from the held-out poses.

    Args:
        learned: axis-angle of the training poses.
        real: moments of the `features` of the held-out poses.
    """
    draw = np.random.default_rng(seed_of("real", seed))
    count = min(samples, len(poses.rows), len(learned))
    held_out = axis_angle_to_matrix(poses.body(draw.choice(np.sort(poses.rows), count, replace=False)))
    some = draw.choice(len(learned), min(samples, len(learned)), replace=False)
    training = axis_angle_to_matrix(learned[torch.from_numpy(some)])
    blocks = learned.split(_BLOCK)
    reference = torch.cat([matrix_to_quaternion_wxyz(axis_angle_to_matrix(block)) for block in blocks])
    targets, limits = matrix_to_axis_angle(held_out).flatten(1), limits_of(learned)
    for one in candidates:
        drawn = one.sample(samples, torch.Generator().manual_seed(seed_of("samples", seed)))
        scores = _diversity(drawn, surface, limits) | _nearest(drawn, reference)
        yield one.name, scores | _compared(drawn, surface, targets, real, count)
    yield "training poses", _diversity(training, surface, limits) | _compared(training, surface, targets, real, count)
    yield "held-out poses", _diversity(held_out, surface, limits) | _nearest(held_out, reference)


def _diversity(drawn: Tensor, surface: BodySurface, limits: tuple[Tensor, Tensor]) -> dict[str, float]:
    joints = _joints(surface, drawn[:FEW])[:, : JOINTS + 1]
    excess = beyond(limits, matrix_to_axis_angle(drawn))
    apd = {f"apd_cm/joints22@{len(joints)}": 100 * average_pairwise_distance(joints)} if len(joints) > 1 else {}
    return apd | {
        "beyond_limits_deg": float(torch.rad2deg(excess).double().mean()),
        "beyond_limits_share": float((excess.amax(-1) > _CLEARLY).double().mean()),
    }


def _nearest(drawn: Tensor, reference: Tensor) -> dict[str, float]:
    distances = nearest_rotations(matrix_to_quaternion_wxyz(drawn[:FEW]), reference)
    return {f"dnn_rad/{name}@{len(values)}": float(values.mean()) for name, values in distances.items()}


def _compared(
    drawn: Tensor, surface: BodySurface, targets: Tensor, real: dict[str, Moments], count: int
) -> dict[str, float]:
    sets = features(drawn, _joints(surface, drawn))
    out = {f"fid/{name}@{len(drawn)}": frechet_distance(moments(values), real[name]) for name, values in sets.items()}
    if count <= NEIGHBOURS:  # too few poses for neighbourhoods
        return out
    some = sets["aa63"][:count]
    scores = precision_recall(targets, some, NEIGHBOURS) | {"1nna": two_sample_accuracy(targets, some)}
    return out | {f"{name}/aa63@{count}": value for name, value in scores.items()}


def _joints(surface: BodySurface, rotations: Tensor) -> Tensor:
    return torch.cat([surface.pose(part)[1] for part in rotations.split(_BLOCK)])
