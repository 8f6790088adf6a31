"""Lens models: distortion with derivatives, and its inverse.

A model maps points [..., 2] of the ideal image plane at depth one (x / z, y / z) to distorted points of that plane.
Every model is a row of LENSES. Beyond a certain radius a model folds points back into the image; such points are NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.errors import BadData, nearest

# Newton steps of `undistort`, and its tolerance on the plane at depth one.
_STEPS, _CLOSE = 50, 1e-12
# The fold of a lens is searched for up to this radius: tan of about 79 degrees.
_FARTHEST = 5.0


class Lens(NamedTuple):
    """One lens model.

    Attributes:
        counts: how many coefficients a file may give; the rest are zero.
        size: how many coefficients the model has.
        distort: (plane points [..., 2], coefficients [size]) to (points [..., 2], derivatives [..., 2, 2]).
        radial: (radius [n], coefficients [size]) to the distorted radius [n], without tangential terms.
    """

    counts: tuple[int, ...]
    size: int
    distort: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    radial: Callable[[Tensor, Tensor], Tensor]


def lens_coefficients(model: str, values: Tensor) -> Float[Tensor, "coefficients"]:
    """All coefficients of a model, padded with zeros.

    Raises:
        BadData: unknown model, or a wrong number of coefficients.
    """
    if model not in LENSES:
        raise BadData(f"there is no lens model '{model}'", fix=nearest(model, LENSES))
    lens = LENSES[model]
    if values.dim() != 1 or len(values) not in lens.counts:
        expected = ", ".join(str(count) for count in lens.counts)
        raise BadData(
            f"the distortion does not fit the lens model '{model}'",
            where=f"distortion has shape {tuple(values.shape)}, expected {expected} numbers",
            fix="name the model the camera was calibrated with: " + " or ".join(LENSES),
        )
    full = values.new_zeros(lens.size)
    full[: len(values)] = values
    return full


def distort(
    model: str, coefficients: Float[Tensor, "coefficients"], plane: Float[Tensor, "*batch 2"]
) -> tuple[Float[Tensor, "*batch 2"], Float[Tensor, "*batch 2 2"]]:
    """Distorted positions of points of the ideal plane, and the derivatives; NaN beyond the lens's reach."""
    if not coefficients.any():
        identity = torch.eye(2, dtype=plane.dtype, device=plane.device)
        # Zero coefficients mean no distortion and no limit, except for the fisheye model.
        if model != "fisheye":
            return plane, identity.expand(*plane.shape, 2)
    inside = plane.norm(dim=-1, keepdim=True) < lens_reach(model, coefficients)
    return LENSES[model].distort(torch.where(inside, plane, torch.nan), coefficients)


def undistort(
    model: str, coefficients: Float[Tensor, "coefficients"], seen: Float[Tensor, "*batch 2"]
) -> Float[Tensor, "*batch 2"]:
    """The points of the ideal plane that are distorted to `seen`, by Newton's method; NaN where there is none."""
    if not coefficients.any() and model != "fisheye":
        return seen
    reach = lens_reach(model, coefficients)
    plane = _radial_guess(model, coefficients, seen, reach)
    for _ in range(_STEPS):
        found, slope = LENSES[model].distort(plane, coefficients)
        step = torch.linalg.solve(slope, (found - seen)[..., None])[..., 0]
        moved = plane - step
        # A step beyond the lens's reach goes half-way to its edge instead.
        length = moved.norm(dim=-1, keepdim=True)
        beyond = length >= reach
        edge = (plane.norm(dim=-1, keepdim=True) + reach) / 2
        plane = torch.where(beyond, moved * (edge / length), moved)
        if bool((step.abs() < _CLOSE)[step.isfinite()].all()):
            break
    off = (LENSES[model].distort(plane, coefficients)[0] - seen).abs().amax(-1, keepdim=True)
    return torch.where(off < max(1e-9, 100 * torch.finfo(seen.dtype).eps), plane, torch.nan)


def lens_reach(model: str, coefficients: Float[Tensor, "coefficients"]) -> float:
    """The radius up to which the distorted radius grows with the true radius."""
    radius = torch.linspace(0, _FARTHEST, 5001, dtype=torch.float64)
    moved = LENSES[model].radial(radius, coefficients.detach().double().cpu())
    wrong = (~(moved.diff() > 0)).nonzero()[:, 0]
    if len(wrong):
        return float(radius[wrong[0]])
    return float("inf")


def _radial_guess(model: str, coefficients: Tensor, seen: Tensor, reach: float) -> Tensor:
    """A first guess from the radial part alone, by table lookup."""
    far = min(reach, 100.0 if model == "fisheye" else _FARTHEST)
    radius = torch.cat([torch.linspace(0, min(far, _FARTHEST), 2001), torch.logspace(0.7, 2, 200)]).double()
    radius = radius[radius <= far]
    moved = LENSES[model].radial(radius, coefficients.detach().double().cpu())
    wanted = seen.detach().norm(dim=-1).double().cpu()
    after = torch.searchsorted(moved.contiguous(), wanted).clamp(1, len(moved) - 1)
    low, high = moved[after - 1], moved[after]
    share = ((wanted - low) / (high - low).clamp_min(1e-15)).clamp(0, 1)
    guess = radius[after - 1] + share * (radius[after] - radius[after - 1])
    scale = torch.where(wanted > 1e-12, guess / wanted.clamp_min(1e-12), torch.ones_like(wanted))
    return seen * scale.to(seen)[..., None]


def _opencv(plane: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
    """OpenCV's rational model: k1, k2, p1, p2, k3, k4, k5, k6."""
    k1, k2, p1, p2, k3, k4, k5, k6 = lens
    x, y = plane[..., 0], plane[..., 1]
    r2 = x * x + y * y
    above, below = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)), 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    radial = above / below
    # Derivative of `radial` by the squared radius.
    slope = (k1 + r2 * (2 * k2 + 3 * r2 * k3) - radial * (k4 + r2 * (2 * k5 + 3 * r2 * k6))) / below
    out = torch.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        -1,
    )
    mixed = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
    derivatives = torch.stack(
        [
            torch.stack([radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x, mixed], -1),
            torch.stack([mixed, radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x], -1),
        ],
        -2,
    )
    return out, derivatives


def _opencv_radius(radius: Tensor, lens: Tensor) -> Tensor:
    k1, k2, _, _, k3, k4, k5, k6 = lens
    r2 = radius * radius
    below = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    return radius * (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / torch.where(below > 0, below, torch.nan)


def _fisheye(plane: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
    """OpenCV's fisheye model (Kannala and Brandt): k1 to k4 distort the angle to the axis."""
    radius = plane.norm(dim=-1)
    small = radius < 1e-6
    safe = torch.where(small, torch.ones_like(radius), radius)
    scale = torch.where(small, torch.ones_like(radius), _fisheye_radius(safe, lens) / safe)
    angle2 = safe.atan() ** 2
    k1, k2, k3, k4 = lens
    by_angle = 1 + angle2 * (3 * k1 + angle2 * (5 * k2 + angle2 * (7 * k3 + 9 * angle2 * k4)))
    slope = torch.where(small, torch.zeros_like(radius), (by_angle / (1 + safe * safe) - scale) / (safe * safe))
    outer = plane[..., :, None] * plane[..., None, :]
    identity = torch.eye(2, dtype=plane.dtype, device=plane.device)
    return plane * scale[..., None], scale[..., None, None] * identity + slope[..., None, None] * outer


def _fisheye_radius(radius: Tensor, lens: Tensor) -> Tensor:
    k1, k2, k3, k4 = lens
    angle = radius.atan()
    angle2 = angle * angle
    return angle * (1 + angle2 * (k1 + angle2 * (k2 + angle2 * (k3 + angle2 * k4))))


LENSES: dict[str, Lens] = {
    "opencv": Lens((0, 4, 5, 8), 8, _opencv, _opencv_radius),
    "fisheye": Lens((0, 4), 4, _fisheye, _fisheye_radius),
}
