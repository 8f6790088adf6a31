"""What a fit minimises: terms on points and terms on rotations, each with its derivatives.

Energies are in square metres. The weights of point targets count as shares of their sum, so a point energy is a mean
squared distance; the stiffness of a rotation term is in metres: one radian costs as much as that distance at all
points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.geometry.rotations import cross_matrix, matrix_to_axis_angle

# Squared distances to (what they cost, the derivative of the cost).
Loss = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True, eq=False)
class PointPull:
    """What a term says about points in some frames.

    Attributes:
        energy: [frames].
        slope: [frames, points, 3] minus half the derivative of the energy.
        curvature: half the second derivative, positive: [frames, points] times the identity, or [frames, points, 3, 3].
    """

    energy: Tensor
    slope: Tensor
    curvature: Tensor


class PointTerm(Protocol):
    """Anything that pulls on points: targets in space, projections, planes. `frames` are rows of the clip, or all."""

    def pull(self, positions: Float[Tensor, "frames points 3"], frames: Tensor | None = None) -> PointPull:
        """The energy and its derivatives at the given positions."""
        ...


@dataclass(frozen=True, eq=False)
class RotationPull:
    """What a term says about parent-relative rotations in some frames.

    Attributes:
        energy: [frames].
        slope: [frames, joints, 3, 3] derivative of the energy by the entries of the rotations.
        curvature: [frames, joints, 3, 3] half the second derivative by a small turn in the parent's frame, positive.
    """

    energy: Tensor
    slope: Tensor
    curvature: Tensor


class RotationTerm(Protocol):
    """Anything that each joint's local rotation alone decides: a prior, limits. `frames` are rows of the clip."""

    def pull(self, rotations: Float[Tensor, "frames joints 3 3"], frames: Tensor) -> RotationPull:
        """The energy and its derivatives at the given rotations."""
        ...


@dataclass(frozen=True, eq=False)
class PointTargets:
    """Where points should be.

    Attributes:
        targets: [frames, points, 3] metres; a point that is not finite does not count in its frame.
        weights: [points] shares, sum one.
        present: [frames, points] zero where a point does not count, or None where all do.
        loss: of a point's squared distance; plain squares where None.
    """

    targets: Tensor
    weights: Tensor
    present: Tensor | None = None
    loss: Loss | None = None

    @staticmethod
    def of(
        targets: Float[Tensor, "frames points 3"], weights: Float[Tensor, "points"] | None, loss: Loss | None = None
    ) -> PointTargets:
        """Targets with weights per point (equal where None); what is not finite is left out."""
        if weights is None:
            weights = targets.new_ones(targets.shape[1])
        weights = weights.to(targets) / weights.sum().to(targets)
        missing = ~torch.isfinite(targets).all(-1)
        if not missing.any():
            return PointTargets(targets, weights, None, loss)
        return PointTargets(targets.masked_fill(missing[..., None], 0.0), weights, (~missing).to(targets), loss)

    def share(self) -> Float[Tensor, "frames"]:
        """How much of the weight is present in each frame."""
        if self.present is None:
            return self.targets.new_ones(len(self.targets))
        return self.present @ self.weights

    def rows(self, frames: Tensor) -> PointTargets:
        """Some of the frames."""
        present = None if self.present is None else self.present[frames]
        return PointTargets(self.targets[frames], self.weights, present, self.loss)

    def select(self, chosen: Tensor) -> PointTargets:
        """Some of the points."""
        weights = self.weights[chosen] / self.weights[chosen].sum()
        present = None if self.present is None else self.present[:, chosen]
        return PointTargets(self.targets[:, chosen], weights, present, self.loss)

    def pull(self, positions: Float[Tensor, "frames points 3"], frames: Tensor | None = None) -> PointPull:
        """See `PointTerm`."""
        part = self if frames is None else self.rows(frames)
        away = part.targets - positions
        weights = part.frame_weights()
        squares = away.square().sum(-1)
        cost, factor = (squares, None) if self.loss is None else self.loss(squares)
        curvature = weights.expand_as(squares) if factor is None else weights * factor
        return PointPull((weights * cost).sum(-1), curvature[..., None] * away, curvature)

    def frame_weights(self) -> Tensor:
        """[points], or [frames, points] where some points are missing: shares of what is present."""
        if self.present is None:
            return self.weights
        held = self.present * self.weights
        return held / held.sum(-1, keepdim=True).clamp_min(1e-12)


def huber(width: float) -> Loss:
    """Squares up to a distance (metres), straight lines beyond: far points pull, but no harder than at the width."""

    def loss(squares: Tensor) -> tuple[Tensor, Tensor]:
        distance = squares.sqrt().clamp_min(1e-12)
        far = distance > width
        return torch.where(far, 2 * width * distance - width**2, squares), (width / distance).clamp_max(1.0)

    return loss


def geman_mcclure(width: float) -> Loss:
    """Squares near zero, level beyond a few widths (metres): far points stop counting."""

    def loss(squares: Tensor) -> tuple[Tensor, Tensor]:
        near = width**2 / (width**2 + squares)
        return squares * near, near * near

    return loss


@dataclass(frozen=True, eq=False)
class TowardRotations:
    """Keeps rotations near others: the copied ones, a mean pose, the neighbours in time.

    The energy of a joint is stiffness^2 (2 - 2 cos angle), which is stiffness^2 angle^2 for small angles.

    Attributes:
        reference: [clip frames or 1, joints, 3, 3].
        stiffness: [joints] metres.
    """

    reference: Tensor
    stiffness: Tensor

    def pull(self, rotations: Float[Tensor, "frames joints 3 3"], frames: Tensor) -> RotationPull:
        """See `RotationTerm`."""
        reference = (self.reference if len(self.reference) == 1 else self.reference[frames]).to(rotations)
        square = self.stiffness.to(rotations).square()
        away = rotations - reference
        energy = (0.5 * away.square().sum((-1, -2)) @ square[:, None])[:, 0]
        eye = torch.eye(3).to(rotations) * square[:, None, None]
        return RotationPull(energy, square[:, None, None] * away, eye.expand_as(rotations))


@dataclass(frozen=True, eq=False)
class RotationLimits:
    """Soft limits of joints: the components of the rotation vector stay between two bounds.

    Attributes:
        lower: [joints, 3] radians; -infinity where there is no limit.
        upper: [joints, 3] radians.
        stiffness: [joints] metres for each radian beyond.
    """

    lower: Tensor
    upper: Tensor
    stiffness: Tensor

    def pull(self, rotations: Float[Tensor, "frames joints 3 3"], frames: Tensor) -> RotationPull:
        """See `RotationTerm`."""
        vectors = matrix_to_axis_angle(rotations)
        beyond = (vectors - self.upper.to(vectors)).clamp_min(0) + (vectors - self.lower.to(vectors)).clamp_max(0)
        square = self.stiffness.to(vectors).square()[:, None]
        energy = (square * beyond.square()).sum((-1, -2))
        # How the rotation vector changes with a small turn from the left.
        by_turn = _vector_by_turn(vectors)
        slope = 2 * torch.einsum("...ij,...i->...j", by_turn, square * beyond)
        curvature = torch.einsum("...ij,...i,...ik->...jk", by_turn, square * (beyond != 0), by_turn)
        return RotationPull(energy, 0.5 * cross_matrix(slope) @ rotations, curvature)


def _vector_by_turn(vectors: Tensor) -> Tensor:
    """The inverse left Jacobian of the exponential map at rotation vectors."""
    angle = vectors.norm(dim=-1)[..., None, None]
    small = angle < 1e-2
    safe = torch.where(small, torch.ones_like(angle), angle)
    factor = torch.where(small, 1 / 12 + angle**2 / 720, 1 / safe**2 - (1 + safe.cos()) / (2 * safe * safe.sin()))
    k = cross_matrix(vectors)
    return torch.eye(3).to(vectors) - 0.5 * k + factor * (k @ k)


def total_point_pull(pulls: list[PointPull]) -> PointPull:
    """The sum of what point terms say; curvature as 3 x 3 matrices if one of them needs it."""
    if len(pulls) == 1:
        return pulls[0]
    curvatures = [pull.curvature for pull in pulls]
    if any(value.dim() == 4 for value in curvatures):
        eye = torch.eye(3).to(curvatures[0])
        curvatures = [value if value.dim() == 4 else value[..., None, None] * eye for value in curvatures]
    energies, slopes = [pull.energy for pull in pulls], [pull.slope for pull in pulls]
    return PointPull(torch.stack(energies).sum(0), torch.stack(slopes).sum(0), torch.stack(curvatures).sum(0))


def total_pull(terms: tuple[RotationTerm, ...], rotations: Tensor, frames: Tensor) -> RotationPull | None:
    """The sum of rotation terms; None where there are none."""
    pulls = [term.pull(rotations, frames) for term in terms]
    if not pulls:
        return None
    energy, slope, curvature = (
        torch.stack([getattr(pull, name) for pull in pulls]).sum(0) for name in ("energy", "slope", "curvature")
    )
    return RotationPull(energy, slope, curvature)
