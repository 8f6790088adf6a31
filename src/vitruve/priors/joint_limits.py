"""How far joints turn in data, and how far poses go beyond that.

The limits are those of data, not of anatomy: for each joint, the range that all but a small part of the data's rotation
vectors lie in, along each axis of the joint's parent, and a few degrees more. So they know what people were recorded
doing, and nothing of what else a body can do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

SHARE, MARGIN = 0.001, math.radians(5)
"""The part of the data beyond each limit, and what is added to it (radians)."""


@dataclass(frozen=True, eq=False)
class JointLimits:
    """The range of each joint.

    Attributes:
        lower, upper: [21, 3] of the rotation vector (axis times angle), radians.
        poses: how many poses they are from.
    """

    lower: Tensor
    upper: Tensor
    poses: int

    def excess(self, vectors: Float[Tensor, "*batch 21 3"]) -> Float[Tensor, "*batch 21"]:
        """How far outside each joint is, radians: the length of what its vector has beyond the range; 0 inside."""
        lower, upper = self.lower.to(vectors), self.upper.to(vectors)
        return torch.relu(lower - vectors).add(torch.relu(vectors - upper)).norm(dim=-1)


def limits_of(vectors: Float[Tensor, "poses 21 3"], share: float = SHARE, margin: float = MARGIN) -> JointLimits:
    """The limits that poses keep.

    Args:
        vectors: axis-angle of poses, at most half a turn.
        share: the part of the poses beyond each of the limits.
        margin: added to each limit, radians.
    """
    ordered = vectors.flatten(1).sort(0).values
    first = int(share * (len(ordered) - 1))
    lower, upper = ordered[first] - margin, ordered[len(ordered) - 1 - first] + margin
    return JointLimits(lower.view(-1, 3), upper.view(-1, 3), len(vectors))
