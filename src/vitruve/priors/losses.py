"""What a pose prior is trained to do, each component by name, in metres, radians and nats.

| name | what it is |
|---|---|
| mesh_l1_m | mean absolute difference of vertex coordinates |
| mesh_m | mean distance of vertices |
| joints_l1_m | mean absolute difference of joint coordinates |
| geodesic_rad | mean angle between rotations |
| chordal | mean of 2 (1 - cos angle), about the squared angle |
| kl_nats | divergence of the posterior from the standard normal distribution, summed over dimensions, mean over poses |
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.geometry.rotations import geodesic_distance
from vitruve.priors.surface import BodySurface
from vitruve.priors.vposer import Gaussian

PUBLISHED_NAMES = {
    "mesh_sampled_m": ("val_loss",),
    "mesh_sampled_l1_m": ("v2v", "loss_mesh_rec"),
    "kl_nats": ("kl", "loss_kl"),
    "geodesic_sampled_rad": ("geodesic_matrot", "matrot"),
    "joints_sampled_l1_m": ("jtr",),
}
"""What VPoser's published training, and those who used it, call these numbers; ours are without its weights."""


def with_published(name: str) -> str:
    """A name for a table, with the published ones behind it."""
    return f"{name} ({', '.join(PUBLISHED_NAMES[name])})" if name in PUBLISHED_NAMES else name


@dataclass(frozen=True)
class Weights:
    """The factor of each component in the sum; a component of factor zero is not computed.

    Attributes:
        mesh_l1: of mesh_l1_m.
        mesh: of mesh_m.
        joints_l1: of joints_l1_m.
        geodesic: of geodesic_rad.
        chordal: of chordal.
        kl: of kl_nats.
        free_nats: nats of each latent dimension, in the mean over a batch, that cost nothing.
    """

    mesh_l1: float = 0.0
    mesh: float = 0.0
    joints_l1: float = 0.0
    geodesic: float = 0.0
    chordal: float = 0.0
    kl: float = 0.0
    free_nats: float = 0.0


def components(
    found: Float[Tensor, "poses 21 3 3"],
    wanted: Float[Tensor, "poses 21 3 3"],
    posterior: Gaussian,
    surface: BodySurface,
    weights: Weights,
    kl_factors: Float[Tensor, "poses"] | None = None,
) -> dict[str, Tensor]:
    """The components that have a weight, by name.

    Args:
        found: rotations that were decoded.
        wanted: what they should be.
        posterior: of the latent vectors.
        surface: the body that is looked at.
        weights: says which components are wanted.
        kl_factors: how much the divergence of each pose counts; 1 where left out.
    """
    out = {"kl_nats": kl_nats(posterior, weights.free_nats, kl_factors)}
    if weights.geodesic:
        out["geodesic_rad"] = geodesic_distance(found, wanted).mean()
    if weights.chordal:
        out["chordal"] = chordal(found, wanted)
    if weights.mesh_l1 or weights.mesh or weights.joints_l1:
        with torch.no_grad():
            target_vertices, target_joints = surface.pose(wanted)
        vertices, joints = surface.pose(found)
        if weights.mesh_l1:
            out["mesh_l1_m"] = (vertices - target_vertices).abs().mean()
        if weights.mesh:
            out["mesh_m"] = distance(vertices, target_vertices).mean()
        if weights.joints_l1:
            out["joints_l1_m"] = (joints - target_joints).abs().mean()
    return out


def total(parts: dict[str, Tensor], weights: Weights, kl_factor: float = 1.0, extra: bool = True) -> Tensor:
    """The weighted sum.

    Args:
        parts: from `components`.
        weights: the factors.
        kl_factor: how much of the weight of the divergence counts yet.
        extra: whether rotations and joints count beside mesh and divergence.
    """
    out = kl_factor * weights.kl * parts["kl_nats"]
    for name in ("mesh_l1_m", "mesh_m", "joints_l1_m", "geodesic_rad", "chordal"):
        if name in parts and (extra or name.startswith("mesh")):
            out = out + getattr(weights, name.removesuffix("_m").removesuffix("_rad")) * parts[name]
    return out


def kl_nats(posterior: Gaussian, free_nats: float = 0.0, factors: Float[Tensor, "poses"] | None = None) -> Tensor:
    """The divergence in nats; a dimension below `free_nats` in the mean over the batch counts as if it were there."""
    by_pose = posterior.kl().flatten(0, -2)
    by_dimension = (by_pose if factors is None else by_pose * factors[:, None]).mean(0)
    return by_dimension.clamp_min(free_nats).sum() if free_nats else by_dimension.sum()


def chordal(found: Float[Tensor, "*batch 3 3"], wanted: Float[Tensor, "*batch 3 3"]) -> Tensor:
    """Mean of 2 (1 - cos angle): half the squared difference of the matrices' entries, smooth everywhere."""
    return 0.5 * (found - wanted).square().sum((-2, -1)).mean()


def distance(found: Float[Tensor, "*batch 3"], wanted: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch"]:
    """Euclidean distance of points; where they agree to a tenth of a micrometre the gradient is zero, not NaN."""
    square = (found - wanted).square().sum(-1)
    same = square < 1e-14
    return torch.where(same, 0.0, torch.where(same, 1.0, square).sqrt())


def active_units(means: Float[Tensor, "poses latent"], threshold: float = 0.01) -> int:
    """How many latent dimensions say something about the pose: the variance of their mean exceeds the threshold."""
    return int((means.var(0, correction=0) > threshold).sum())
