"""Gradual decisions instead of thresholds.

A threshold amplifies rounding: a number may be just above it on one processor and just below it on another, with
different results. So instead of switching, the weight of one alternative rises over a range.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def rise(values: Float[Tensor, "*any"], low: Tensor | float, high: Tensor | float) -> Float[Tensor, "*any"]:
    """0 up to `low`, 1 from `high` on, linear in between."""
    return ((values - low) / (high - low)).clamp(0.0, 1.0)
