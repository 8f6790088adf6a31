"""One clip to fit: which points, where they should be, where to start, what else counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from vitruve.fit.moments import Fitted, Moments, fit_frames
from vitruve.fit.points import Points
from vitruve.fit.terms import Loss, PointTargets, RotationTerm

# Frames worked on together: enough for an efficient matrix product, little enough for the processor's cache.
FRAMES_AT_A_TIME = 256


@dataclass(frozen=True, eq=False)
class Problem:
    """What does not change while a clip is fitted; see `fit_clip` for the fields."""

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

    def __len__(self) -> int:
        return len(self.rotations)

    def targets_of(self, rows: Tensor) -> PointTargets:
        """The targets of some frames."""
        return PointTargets.of(self.targets(rows).to(self.points.rest), self.weights, self.loss)

    def expression_of(self, rows: Tensor) -> Tensor | None:
        """The known expression of some frames."""
        return None if self.expression is None else self.expression[rows]

    def fit_rows(
        self, moments: Moments, rows: Tensor, rotations: Tensor, translation: Tensor, terms: tuple[RotationTerm, ...]
    ) -> Fitted:
        """Fit some frames by the compiled step from a start."""
        return fit_frames(
            moments,
            self.targets_of(rows),
            rotations,
            translation,
            terms=terms,
            frames=rows,
            free=self.free,
            expression=self.expression_of(rows),
            rounds=self.rounds,
        )
