"""How like real poses those are that a candidate draws, and how varied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
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
from vitruve.priors.joint_limits import JointLimits
from vitruve.priors.judged_poses import JudgedPoses
from vitruve.priors.surface import BodySurface
from vitruve.priors.vposer import JOINTS

FEW = 500
"""Samples for distances of pairs and to nearest neighbours, as published values have them."""
NEIGHBOURS = 3
# How far a joint may be beyond its limits before the pose counts as one that does, radians; poses in one block.
_CLEARLY, _BLOCK = 0.1745, 512


def features(rotations: Tensor, joints: Tensor) -> dict[str, Tensor]:
    """What sets of poses are compared in: positions of root and body joints [poses, 66], axis-angle [poses, 63]."""
    return {
        "joints22": joints[:, : JOINTS + 1].flatten(1),
        "aa63": matrix_to_axis_angle(rotations).flatten(1),
    }


@torch.no_grad()
def score_samples(
    candidates: Sequence[Candidate],
    poses: JudgedPoses,
    learned: Tensor,
    limits: JointLimits,
    surface: BodySurface,
    real: dict[str, Moments],
    samples: int,
    seed: int,
) -> Iterator[tuple[str, dict[str, float]]]:
    """Scores of poses drawn from each of the candidates, from the training poses, and from the held-out ones."""
    draw = np.random.default_rng(seed_of("real", seed))
    count = min(samples, len(poses.rows), len(learned))
    held_out = axis_angle_to_matrix(poses.body(draw.choice(np.sort(poses.rows), count, replace=False)))
    some = draw.choice(len(learned), min(samples, len(learned)), replace=False)
    training = axis_angle_to_matrix(learned[torch.from_numpy(some)])
    blocks = learned.split(_BLOCK)
    reference = torch.cat([matrix_to_quaternion_wxyz(axis_angle_to_matrix(block)) for block in blocks])
    targets = features(held_out, _joints(surface, held_out))["aa63"]
    for one in candidates:
        drawn = one.sample(samples, torch.Generator().manual_seed(seed_of("samples", seed)))
        scores = _of_samples(drawn, surface, limits) | _nearest(drawn, reference)
        yield one.name, scores | _against(drawn, surface, targets, real, count)
    yield "training poses", _of_samples(training, surface, limits) | _against(training, surface, targets, real, count)
    yield "held-out poses", _of_samples(held_out, surface, limits) | _nearest(held_out, reference)


def _of_samples(drawn: Tensor, surface: BodySurface, limits: JointLimits) -> dict[str, float]:
    joints = _joints(surface, drawn[:FEW])[:, : JOINTS + 1]
    beyond = limits.excess(matrix_to_axis_angle(drawn))
    apd = {f"apd_cm/joints22@{len(joints)}": 100 * average_pairwise_distance(joints)} if len(joints) > 1 else {}
    return apd | {
        "beyond_limits_deg": float(torch.rad2deg(beyond).double().mean()),
        "beyond_limits_share": float((beyond.amax(-1) > _CLEARLY).double().mean()),
    }


def _nearest(drawn: Tensor, reference: Tensor) -> dict[str, float]:
    found = nearest_rotations(matrix_to_quaternion_wxyz(drawn[:FEW]), reference)
    return {f"dnn_rad/{name}@{len(values)}": float(values.mean()) for name, values in found.items()}


def _against(
    drawn: Tensor, surface: BodySurface, targets: Tensor, real: dict[str, Moments], count: int
) -> dict[str, float]:
    sets = features(drawn, _joints(surface, drawn))
    out = {f"fid/{name}@{len(drawn)}": frechet_distance(moments(values), real[name]) for name, values in sets.items()}
    found = sets["aa63"][:count]
    if count <= NEIGHBOURS:  # a handful of poses has no neighbourhoods
        return out
    named = precision_recall(targets, found, NEIGHBOURS)
    out |= {f"{name}/aa63@{count}": value for name, value in named.items()}
    return out | {f"1nna/aa63@{count}": two_sample_accuracy(targets, found)}


def _joints(surface: BodySurface, rotations: Tensor) -> Tensor:
    return torch.cat([surface.pose(part)[1] for part in rotations.split(_BLOCK)])
