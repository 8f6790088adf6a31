"""Decisions that come gradually.

A threshold makes a leap of a rounding error: on one processor a figure lies just above it, on another just below, and
the two go different ways. Where both ways lead to different results, the share of one of them rises over a range.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def rise(values: Float[Tensor, "*any"], low: Tensor | float, high: Tensor | float) -> Float[Tensor, "*any"]:
    """From 0 at `low` and below, in a straight line, to 1 at `high` and above."""
    return ((values - low) / (high - low)).clamp(0.0, 1.0)
