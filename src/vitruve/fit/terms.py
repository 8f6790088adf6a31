"""The terms that a fit minimises, on points and on rotations, each with its derivatives.

Energies are in square metres. Weights of point targets are normalised, so a point energy is a mean squared distance.
The stiffness of a rotation term is in metres: one radian costs as much as that distance at all points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.geometry.rotations import cross_matrix, matrix_to_axis_angle

# Squared distances -> (cost, derivative of the cost).
Loss = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True, eq=False)
class PointPull:
    """The energy of a point term in some frames, with derivatives by the positions.

    Attributes:
        energy: [frames].
        slope: [frames, points, 3] minus half the derivative.
        curvature: half the second derivative, positive: [frames, points] times the identity, or [frames, points, 3, 3].
    """

    energy: Tensor
    slope: Tensor
    curvature: Tensor


class PointTerm(Protocol):
    """A term on points: targets in space, projections, planes. `frames` are frame indices of the clip, or None."""

    def pull(self, positions: Float[Tensor, "frames points 3"], frames: Tensor | None = None) -> PointPull:
        """The energy and its derivatives at the given positions."""
        ...


@dataclass(frozen=True, eq=False)
class RotationPull:
    """The energy of a term on parent-relative rotations in some frames, with derivatives.

    Attributes:
        energy: [frames].
        slope: [frames, joints, 3, 3] derivative of the energy by the entries of the rotations.
        curvature: [frames, joints, 3, 3] half the second derivative by a small turn in the parent's frame, positive.
    """

    energy: Tensor
    slope: Tensor
    curvature: Tensor


class RotationTerm(Protocol):
    """A term on each joint's local rotation alone: a prior, limits. `frames` are frame indices of the clip."""

    def pull(self, rotations: Float[Tensor, "frames joints 3 3"], frames: Tensor) -> RotationPull:
        """The energy and its derivatives at the given rotations."""
        ...


@dataclass(frozen=True, eq=False)
class PointTargets:
    """Target positions of points.

    Attributes:
        targets: [frames, points, 3] metres; non-finite points are ignored.
        weights: [points], sum one.
        present: [frames, points] zero where a point is missing, or None if all are present.
        loss: of a point's squared distance; None for plain squares.
    """

    targets: Tensor
    weights: Tensor
    present: Tensor | None = None
    loss: Loss | None = None

    @staticmethod
    def of(
        targets: Float[Tensor, "frames points 3"], weights: Float[Tensor, "points"] | None, loss: Loss | None = None
    ) -> PointTargets:
        """Targets with weights per point (None for equal), of any sum."""
        if weights is None:
            weights = targets.new_ones(targets.shape[1])
        weights = weights.to(targets) / weights.sum().to(targets)
        missing = ~torch.isfinite(targets).all(-1)
        if not missing.any():
            return PointTargets(targets, weights, None, loss)
        return PointTargets(targets.masked_fill(missing[..., None], 0.0), weights, (~missing).to(targets), loss)

    def share(self) -> Float[Tensor, "frames"]:
        """The fraction of the weight that is present in each frame."""
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
        """[points], or [frames, points] if some points are missing: weights normalised over the present points."""
        if self.present is None:
            return self.weights
        weights = self.present * self.weights
        return weights / weights.sum(-1, keepdim=True).clamp_min(1e-12)


def huber(width: float) -> Loss:
    """Quadratic up to a distance in metres, linear beyond."""

    def loss(squares: Tensor) -> tuple[Tensor, Tensor]:
        distance = squares.sqrt().clamp_min(1e-12)
        far = distance > width
        return torch.where(far, 2 * width * distance - width**2, squares), (width / distance).clamp_max(1.0)

    return loss


def geman_mcclure(width: float) -> Loss:
    """Quadratic near zero, constant beyond a few widths in metres: far points are ignored."""

    def loss(squares: Tensor) -> tuple[Tensor, Tensor]:
        near = width**2 / (width**2 + squares)
        return squares * near, near * near

    return loss


@dataclass(frozen=True, eq=False)
class TowardRotations:
    """Pulls rotations towards others, such as copied ones or a mean pose.

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
    """Soft joint limits: the components of the rotation vector stay between two bounds.

    Attributes:
        lower: [joints, 3] radians; -infinity for no limit.
        upper: [joints, 3] radians.
        stiffness: [joints] metres per radian beyond the limit.
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
        # Derivative of the rotation vector by a small rotation from the left.
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
    """The sum of point terms; curvature as 3 x 3 matrices if one of them needs it."""
    if len(pulls) == 1:
        return pulls[0]
    curvatures = [pull.curvature for pull in pulls]
    if any(value.dim() == 4 for value in curvatures):
        eye = torch.eye(3).to(curvatures[0])
        curvatures = [value if value.dim() == 4 else value[..., None, None] * eye for value in curvatures]
    energies, slopes = [pull.energy for pull in pulls], [pull.slope for pull in pulls]
    return PointPull(torch.stack(energies).sum(0), torch.stack(slopes).sum(0), torch.stack(curvatures).sum(0))


def total_pull(terms: tuple[RotationTerm, ...], rotations: Tensor, frames: Tensor) -> RotationPull | None:
    """The sum of rotation terms; None if there are none."""
    pulls = [term.pull(rotations, frames) for term in terms]
    if not pulls:
        return None
    names = ("energy", "slope", "curvature")
    return RotationPull(*(torch.stack([getattr(pull, name) for pull in pulls]).sum(0) for name in names))
