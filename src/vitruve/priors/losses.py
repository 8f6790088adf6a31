"""The components of the training loss of a pose prior, in metres, radians and nats.

| name | definition |
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
"""The names of these values in VPoser's published training and in later work; ours do not include its weights."""

COMPONENTS = ("mesh_m", "mesh_l1_m", "joints_m", "joints_l1_m", "geodesic_rad")
"""Errors of poses decoded from the mean of the code; `sampled(name)` names the error for a random code."""


def sampled(name: str) -> str:
    """The name of a component for a random code: "mesh_l1_m" becomes "mesh_sampled_l1_m"."""
    first, _, rest = name.partition("_")
    return f"{first}_sampled_{rest}"


def with_published(name: str) -> str:
    """A name for a table, followed by its published names."""
    return f"{name} ({', '.join(PUBLISHED_NAMES[name])})" if name in PUBLISHED_NAMES else name


@dataclass(frozen=True)
class Weights:
    """The factor of each component in the loss; a component with factor zero is not computed.

    Attributes:
        free_nats: each latent dimension costs nothing up to this divergence (mean over a batch, nats).
    """

    mesh_l1: float = 0.0
    mesh: float = 0.0
    joints_l1: float = 0.0
    geodesic: float = 0.0
    chordal: float = 0.0
    kl: float = 0.0
    free_nats: float = 0.0


def components(
    decoded: Float[Tensor, "poses 21 3 3"],
    target: Float[Tensor, "poses 21 3 3"],
    posterior: Gaussian,
    surface: BodySurface,
    weights: Weights,
    kl_factors: Float[Tensor, "poses"] | None = None,
) -> dict[str, Tensor]:
    """The components with a nonzero weight, by name; `kl_factors` scale the divergence of each pose."""
    out = {"kl_nats": kl_nats(posterior, weights.free_nats, kl_factors)}
    if weights.geodesic:
        out["geodesic_rad"] = geodesic_distance(decoded, target).mean()
    if weights.chordal:
        out["chordal"] = chordal(decoded, target)
    if weights.mesh_l1 or weights.mesh or weights.joints_l1:
        with torch.no_grad():
            target_vertices, target_joints = surface.pose(target)
        vertices, joints = surface.pose(decoded)
        if weights.mesh_l1:
            out["mesh_l1_m"] = (vertices - target_vertices).abs().mean()
        if weights.mesh:
            out["mesh_m"] = distance(vertices, target_vertices).mean()
        if weights.joints_l1:
            out["joints_l1_m"] = (joints - target_joints).abs().mean()
    return out


def total(parts: dict[str, Tensor], weights: Weights, kl_factor: float = 1.0, extra: bool = True) -> Tensor:
    """The weighted sum of the result of `components`.

    Args:
        kl_factor: extra factor of the divergence, to ramp it up.
        extra: include rotations and joints, not only mesh and divergence.
    """
    out = kl_factor * weights.kl * parts["kl_nats"]
    for name in ("mesh_l1_m", "mesh_m", "joints_l1_m", "geodesic_rad", "chordal"):
        if name in parts and (extra or name.startswith("mesh")):
            out = out + getattr(weights, name.removesuffix("_m").removesuffix("_rad")) * parts[name]
    return out


def kl_nats(posterior: Gaussian, free_nats: float = 0.0, factors: Float[Tensor, "poses"] | None = None) -> Tensor:
    """The divergence in nats; the batch mean of each dimension counts as at least `free_nats`."""
    by_pose = posterior.kl().flatten(0, -2)
    by_dimension = (by_pose if factors is None else by_pose * factors[:, None]).mean(0)
    return by_dimension.clamp_min(free_nats).sum() if free_nats else by_dimension.sum()


def chordal(decoded: Float[Tensor, "*batch 3 3"], target: Float[Tensor, "*batch 3 3"]) -> Tensor:
    """Mean of 2 (1 - cos angle): half the squared difference of the matrices, smooth everywhere."""
    return 0.5 * (decoded - target).square().sum((-2, -1)).mean()


def distance(points: Float[Tensor, "*batch 3"], target: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch"]:
    """Euclidean distance of points; below a tenth of a micrometre its gradient is zero, not NaN."""
    square = (points - target).square().sum(-1)
    same = square < 1e-14
    return torch.where(same, 0.0, torch.where(same, 1.0, square).sqrt())


def pose_errors(
    decoded: Float[Tensor, "poses 21 3 3"],
    target: Float[Tensor, "poses 21 3 3"],
    posed: tuple[Tensor, Tensor],
    posed_target: tuple[Tensor, Tensor],
) -> dict[str, Float[Tensor, "poses"]]:
    """COMPONENTS of each pose; `posed` and `posed_target` are the vertices and joints from `BodySurface.pose`."""
    values = [
        error
        for points, target_points in zip(posed, posed_target)
        for error in (distance(points, target_points).mean(-1), (points - target_points).abs().mean((-2, -1)))
    ]
    return dict(zip(COMPONENTS, [*values, geodesic_distance(decoded, target).mean(-1)]))


def active_units(means: Float[Tensor, "poses latent"], threshold: float = 0.01) -> int:
    """The number of latent dimensions that encode the pose: the variance of their mean exceeds the threshold."""
    return int((means.var(0, correction=0) > threshold).sum())
