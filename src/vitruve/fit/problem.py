"""The definition of a fit of one clip: points, targets, initial pose and further terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vitruve.fit.dense import Pose, Unknowns, fit_dense
from vitruve.fit.moments import Fitted, Moments, fit_frames
from vitruve.fit.points import Points
from vitruve.fit.terms import Loss, PointTargets, RotationTerm

# Frames per block: enough for efficient matrix products, few enough for the CPU cache.
FRAMES_AT_A_TIME = 256


@dataclass(frozen=True, eq=False)
class Problem:
    """The constants of a clip's fit; see `fit_clip` for the fields."""

    points: Points
    targets: Callable[[Tensor], Tensor]
    rotations: Tensor
    translation: Tensor
    expression: Tensor | None
    weights: Tensor | None
    loss: Loss | None
    free: Tensor | None
    terms: tuple[RotationTerm, ...]
    rounds: int
    dense: bool

    def __len__(self) -> int:
        return len(self.rotations)

    def targets_of(self, rows: Tensor) -> PointTargets:
        """The targets of some frames."""
        return PointTargets.of(self.targets(rows).to(self.points.rest), self.weights, self.loss)

    def expression_of(self, rows: Tensor) -> Tensor | None:
        """The known expression of some frames."""
        return None if self.expression is None else self.expression[rows]

    def fit_rows(
        self,
        moments: Moments,
        rows: Tensor,
        rotations: Tensor,
        translation: Tensor,
        rounds: int | None = None,
    ) -> Fitted:
        """Fit some frames from an initial pose: by the compiled step, or densely if that is unavailable."""
        rounds = self.rounds if rounds is None else rounds
        if self.dense or rotations.device.type != "cpu":
            return self.fit_rows_densely(moments.points, rows, rotations, translation, rounds)
        return fit_frames(
            moments,
            self.targets_of(rows),
            rotations,
            translation,
            terms=self.terms,
            frames=rows,
            free=self.free,
            expression=self.expression_of(rows),
            rounds=rounds,
        )

    def fit_rows_densely(
        self, points: Points, rows: Tensor, rotations: Tensor, translation: Tensor, iterations: int = 30
    ) -> Fitted:
        """Fit some frames with full Jacobians from an initial pose, which frames without targets keep."""
        out = Fitted(rotations.clone(), translation.clone(), torch.full_like(translation[:, 0], torch.inf))
        targets = self.targets_of(rows)
        usable = (targets.share() > 0.5).nonzero()[:, 0]
        # A Jacobian takes about 1.5 MB per frame, so blocks are small.
        for part in usable.split(32 if rotations.device.type == "cpu" else 1024):
            fit = fit_dense(
                points,
                (targets.rows(part),),
                Pose.of(rotations[part], translation[part], None, self.expression_of(rows[part])),
                unknowns=Unknowns(joints=self.free),
                rotation_terms=self.terms,
                frames=rows[part],
                iterations=iterations,
            )
            out.rotations[part], out.translation[part] = fit.pose.rotations, fit.pose.translation
            out.error[part] = fit.error.to(translation)
        return out
