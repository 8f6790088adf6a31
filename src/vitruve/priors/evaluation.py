"""Evaluation of a prior on unseen poses, beside baselines.

poses, learned = poses_of_store(open_store("motions"), "split.json")
results = evaluate_prior(load_prior("run"), poses, learned)
results["scores"]["prior"]["mesh_m"]

All poses are used, block by block. Two evaluations give identical results.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from vitruve.bodies import BodyModel, load_body
from vitruve.errors import BadData
from vitruve.priors.baselines import Candidate, candidate_of, mixture_candidate, pca_candidate, random_candidate
from vitruve.priors.judged_poses import JudgedPoses, poses_of_store
from vitruve.priors.losses import PUBLISHED_NAMES, sampled
from vitruve.priors.prior import Prior
from vitruve.priors.reconstruction_scores import measure_reconstruction
from vitruve.priors.sample_scores import FEW, MARGIN, NEIGHBOURS, SHARE, score_samples
from vitruve.priors.surface import body_surface
from vitruve.priors.training import BODY, warnings_of
from vitruve.runs.progress import Progress

__all__ = ["JudgedPoses", "definitions", "evaluate_prior", "poses_of_store"]

# Largest number of training poses for the mixture.
_MIXED = 10_000


def evaluate_prior(
    prior: Prior,
    poses: JudgedPoses,
    learned: Float[Tensor, "learned 21 3"],
    body: str | BodyModel = BODY,
    *,
    vertices: int = 0,
    samples: int = 5000,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """All scores of a prior and of its baselines.

    Args:
        prior: the prior to measure.
        poses: the poses to measure on.
        learned: axis-angle of the training poses, for baselines, limits and nearest neighbours.
        body: provides skin and joints; mean shape, with root, hands and face at rest.
        vertices: number of random vertices for the mesh components; 0 for all.
        samples: number of random poses for the scores of generation.
        seed: of all random numbers.
        progress: called with the finished poses and the total, including random poses.

    Returns:
        Plain values for results.json: "scores" by candidate and name, "intervals", "per_joint", "definitions",
        "warnings" and the settings.
    """
    for what, count in (("poses to measure on", len(poses.rows)), ("poses to learn from", len(learned))):
        if not count:
            raise BadData(f"there are no {what}", where=poses.source, fix="check the store and the split")
    model = load_body(body) if isinstance(body, str) else body
    surface = body_surface(model, vertices)
    candidates = _candidates(prior, learned, seed)
    report = progress or (lambda done, total: None)
    total = len(poses.rows) + samples * (len(candidates) + 2)
    meters, real = measure_reconstruction(candidates, poses, surface, seed, lambda done, _: report(done, total))
    scores = {name: meter.scores() for name, meter in meters.items()}
    generated = score_samples(candidates, poses, learned, surface, real, samples, seed)
    for i, (name, values) in enumerate(generated):
        scores[name] = scores.get(name, {}) | values
        report(len(poses.rows) + samples * (i + 1), total)
    count = min(samples, len(poses.rows), len(learned))
    spread, active = scores["prior"].get("spread", 1.0), scores["prior"].get("active_units", 99)
    return {
        "prior": prior.name,
        "network": prior.kind,
        "latent": prior.latent,
        "commercial_use": prior.words.get("data", {}).get("commercial_use", "unknown"),
        "measured_on": poses.source,
        "poses": len(poses.rows),
        "clips": len(np.unique(poses.clips)),
        "training_poses": len(learned),
        "body": model.name,
        "vertices": len(surface.vertices),
        "samples": samples,
        "seed": seed,
        "warnings": [*prior.notes, *warnings_of({"valid_spread": spread, "valid_active_units": active})],
        "candidates": {
            **{one.name: one.about for one in candidates},
            "training poses": f"random poses of the {len(learned):,} training poses: the scores of a perfect sampler",
            "held-out poses": "random poses of those measured on",
        },
        "scores": scores,
        "intervals": {name: meter.intervals(poses.clips, seed) for name, meter in meters.items()},
        "per_joint": {name: meter.per_joint() for name, meter in meters.items()},
        "kl_nats_by_dimension": meters["prior"].kl_by_dimension(),
        "mpve_mm_quantiles": {name: meter.quantiles() for name, meter in meters.items()},
        "shown_rows": meters["prior"].shown_rows(poses),
        "published_names": {name: list(names) for name, names in PUBLISHED_NAMES.items()},
        "definitions": definitions(samples, count, min(FEW, samples), len(learned)),
    }


def _candidates(prior: Prior, learned: Tensor, seed: int) -> list[Candidate]:
    some = learned[:: -(-len(learned) // _MIXED)]
    return [
        candidate_of(prior.network, "prior", f"{prior.name}, {prior.kind}"),
        random_candidate(prior, seed),
        mixture_candidate(some, prior.latent, seed),
        pca_candidate(learned, prior.latent),
    ]


def definitions(samples: int, count: int, few: int, learned: int) -> dict[str, str]:
    """The definition and unit of each score.

    Args:
        samples: random poses.
        count: random and held-out poses in comparisons of neighbours.
        few: random poses in pairwise and nearest-neighbour distances.
        learned: training poses.
    """
    mean, drawn = "from the mean of the code", "from a random code"
    components = {
        "mesh_m": "v2v: mean Euclidean distance of vertices, metres",
        "mesh_l1_m": "v2v as L1: mean absolute difference of vertex coordinates, metres",
        "joints_m": "mean Euclidean distance of all joints of the body, fingers and face included, metres",
        "joints_l1_m": "mean absolute difference of the coordinates of all joints, metres",
        "geodesic_rad": "mean angle between the rotations of the 21 joints, radians",
    }
    out = {name: f"{text}; {mean}" for name, text in components.items()}
    out |= {sampled(name): f"{text}; {drawn}" for name, text in components.items()}
    return out | {
        "mpve_mm": "mesh_m in millimetres",
        "mpjpe_mm": f"mean distance of the 22 joints of root and body, with equal roots, millimetres; {mean}",
        "mpjpe_aligned_mm": f"mpjpe_mm after aligning each pose by rotation, shift and scale; {mean}",
        "kl_nats": "divergence of the posterior from the standard normal distribution, all dimensions, nats",
        "kl_nats_per_dimension": "kl_nats divided by the latent dimensions",
        "active_units": "latent dimensions whose mean has a variance above 0.01 over the poses",
        "spread": "standard deviation of the joints of reconstructions, divided by that of the poses",
        f"fid/joints22@{samples}": f"Frechet distance to all poses measured on, positions of 22 joints, square metres; "
        f"random poses: {samples:,}",
        f"fid/aa63@{samples}": f"the same of axis-angle, square radians; random poses: {samples:,}",
        f"apd_cm/joints22@{few}": f"mean over pairs of poses of the mean distance of 22 joints, centimetres; random "
        f"poses: {few}",
        f"dnn_rad/mean-half-angle@{few}": f"to the nearest of {learned:,} training poses by the mean over joints of "
        f"acos |<q, q'>| (NRDF), radians; random poses: {few}",
        f"dnn_rad/sum-angle@{few}": f"sum over joints of 2 acos |<q, q'>| to the training pose with the nearest "
        f"quaternions (DPoser-X), radians; random poses: {few}",
        f"precision/aa63@{count}": f"share of {count:,} random poses inside the ball of a held-out one (the ball of a "
        f"pose reaches to its neighbour k = {NEIGHBOURS})",
        f"recall/aa63@{count}": f"share of {count:,} held-out poses inside the ball of a random one",
        f"density/aa63@{count}": "number of balls of held-out poses that contain a random one, divided by k",
        f"coverage/aa63@{count}": "share of the balls of held-out poses that contain a random one",
        f"1nna/aa63@{count}": "accuracy of telling random from held-out poses by the nearest neighbour; 0.5 is best",
        "beyond_limits_deg": f"mean over joints of how far random poses are beyond the limits, degrees; limits: all "
        f"but {SHARE:.1%} of the training poses' rotation vectors at either end, plus {np.rad2deg(MARGIN):.0f} degrees",
        "beyond_limits_share": "share of the random poses with a joint more than 10 degrees beyond its limits",
    }
