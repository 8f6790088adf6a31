"""A prior measured on poses it has not seen, every number by name, beside baselines that are measured in the same way.

poses, learned = poses_of_store(open_store("motions"), "split.json")
results = evaluate_prior(load_prior("run"), poses, learned)
results["scores"]["prior"]["mesh_m"]

All poses count, however many there are: they are looked at a block at a time. Two runs give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from vitruve.bodies import BodyModel, load_body
from vitruve.errors import BadData
from vitruve.priors.baselines import Candidate, candidate_of, mixture_candidate, pca_candidate, random_candidate
from vitruve.priors.joint_limits import MARGIN, SHARE, limits_of
from vitruve.priors.judged_poses import JudgedPoses, poses_of_store
from vitruve.priors.losses import PUBLISHED_NAMES
from vitruve.priors.prior import Prior
from vitruve.priors.reconstruction_scores import (
    ReconstructionMeter,
    intervals,
    measure_reconstruction,
    sampled,
    shown_rows,
)
from vitruve.priors.sample_scores import FEW, NEIGHBOURS, score_samples
from vitruve.priors.surface import body_surface
from vitruve.priors.training import BODY, warnings_of
from vitruve.runs.progress import Progress

__all__ = ["JudgedPoses", "definitions", "evaluate_prior", "poses_of_store"]

# Training poses that a mixture takes at most, at even distances.
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
    """Every score of a prior and of its baselines.

    Args:
        prior: what to measure.
        poses: on what.
        learned: axis-angle of the training poses, for baselines, limits and nearest neighbours.
        body: whose skin and joints are compared; mean shape, root, hands and face at rest.
        vertices: how many vertices, drawn from all, the mesh components look at; all where 0.
        samples: poses drawn for the scores of generation.
        seed: of everything drawn at random.
        progress: called with the poses done, those drawn included, and all.

    Returns:
        Plain values for results.json: "scores" by candidate and name, "intervals", "per_joint", "definitions",
        "warnings", what they were measured on and with.
    """
    for what, count in (("poses to measure on", len(poses.rows)), ("poses to learn from", len(learned))):
        if not count:
            raise BadData(f"there are no {what}", where=poses.source, fix="check the store and the split")
    model = load_body(body) if isinstance(body, str) else body
    surface = body_surface(model, vertices)
    candidates = _candidates(prior, learned, seed)
    meters = {one.name: ReconstructionMeter(one) for one in candidates}
    tell = progress or (lambda done, total: None)
    total = len(poses.rows) + samples * (len(candidates) + 2)
    real = measure_reconstruction(candidates, meters, poses, surface, seed, lambda done, _: tell(done, total))
    scores = {name: meter.scores() for name, meter in meters.items()}
    generated = score_samples(candidates, poses, learned, limits_of(learned), surface, real, samples, seed)
    for i, (name, values) in enumerate(generated):
        scores[name] = scores.get(name, {}) | values
        tell(len(poses.rows) + samples * (i + 1), total)
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
        "candidates": _about(candidates, len(learned)),
        "scores": scores,
        "intervals": {name: intervals(meter, poses.clips, seed) for name, meter in meters.items()},
        "per_joint": {name: meter.per_joint() for name, meter in meters.items()},
        "kl_nats_by_dimension": meters["prior"].kl_by_dimension(),
        "mpve_mm_quantiles": {name: meter.quantiles() for name, meter in meters.items()},
        "shown_rows": shown_rows(meters["prior"], poses),
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


def _about(candidates: Sequence[Candidate], learned: int) -> dict[str, str]:
    return {one.name: one.about for one in candidates} | {
        "training poses": f"poses drawn from the {learned:,} training poses: what a perfect sampler would score",
        "held-out poses": "poses drawn from those measured on",
    }


def definitions(samples: int, count: int, few: int, learned: int) -> dict[str, str]:
    """What each name of a score means, with its unit.

    Args:
        samples: poses drawn.
        count: of them, and of held-out poses, in comparisons of neighbours.
        few: in distances of pairs.
        learned: training poses.
    """
    mean, drawn = "from the mean of the code", "from a code that is drawn"
    said = {
        "mesh_m": "v2v: mean Euclidean distance of vertices, metres",
        "mesh_l1_m": "v2v as L1: mean absolute difference of vertex coordinates, metres",
        "joints_m": "mean Euclidean distance of all joints of the body, fingers and face included, metres",
        "joints_l1_m": "mean absolute difference of the coordinates of all joints, metres",
        "geodesic_rad": "mean angle between the rotations of the 21 joints, radians",
    }
    out = {name: f"{text}; {mean}" for name, text in said.items()}
    out |= {sampled(name): f"{text}; {drawn}" for name, text in said.items()}
    pairs = f"poses drawn: {few}"
    return out | {
        "mpve_mm": "mesh_m in millimetres",
        "mpjpe_mm": f"mean distance of the 22 joints of root and body, root at its place, millimetres; {mean}",
        "mpjpe_aligned_mm": f"mpjpe_mm after each pose is laid over by rotation, shift and scale; {mean}",
        "kl_nats": "divergence of the posterior from the standard normal distribution, all dimensions, nats",
        "kl_nats_per_dimension": "kl_nats divided by the latent dimensions",
        "active_units": "latent dimensions whose mean has a variance above 0.01 over the poses",
        "spread": "how far the joints of reconstructions lie from their mean, as part of the same of the poses",
        f"fid/joints22@{samples}": f"Frechet distance to all poses measured on, positions of 22 joints, square metres; "
        f"poses drawn: {samples:,}",
        f"fid/aa63@{samples}": f"the same of axis-angle, square radians; poses drawn: {samples:,}",
        f"apd_cm/joints22@{few}": f"mean over pairs of poses of the mean distance of 22 joints, centimetres; {pairs}",
        f"dnn_rad/mean-half-angle@{few}": f"to the nearest of {learned:,} training poses by the mean over joints of "
        f"acos |<q, q'>| (NRDF), radians; {pairs}",
        f"dnn_rad/sum-angle@{few}": f"sum over joints of 2 acos |<q, q'>| to the training pose with the nearest "
        f"quaternions (DPoser-X), radians; {pairs}",
        f"precision/aa63@{count}": f"part of {count:,} drawn poses within reach of a held-out one (k = {NEIGHBOURS})",
        f"recall/aa63@{count}": f"part of {count:,} held-out poses within reach of a drawn one",
        f"density/aa63@{count}": "in how many reaches of held-out poses a drawn one is, divided by k",
        f"coverage/aa63@{count}": "part of the held-out poses with a drawn one within their reach",
        f"1nna/aa63@{count}": "accuracy of telling drawn from held-out poses by the nearest neighbour; 0.5 is best",
        "beyond_limits_deg": f"mean over joints of how far drawn poses are beyond the limits, degrees; limits: all but "
        f"{SHARE:.1%} of the training poses' rotation vectors at either end, and {np.rad2deg(MARGIN):.0f} degrees more",
        "beyond_limits_share": "part of the drawn poses with a joint more than 10 degrees beyond its limits",
    }
