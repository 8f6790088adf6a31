"""Vertex errors of a clip, collected block by block so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

# The errors of this many vertices are kept for percentiles.
_KEPT = 1000


@dataclass
class SurfaceMeter:
    """Collects the errors of vertices, metres.

    Attributes:
        parts: name to [vertices] mask.
        vertices: number of vertices.
    """

    parts: Mapping[str, Tensor]
    vertices: int
    _means: list[Tensor] = field(default_factory=list)
    _largest: list[Tensor] = field(default_factory=list)
    _by_part: list[Tensor] = field(default_factory=list)
    _kept: list[Tensor] = field(default_factory=list)
    _sums: Tensor | None = None
    _counts: Tensor | None = None

    def add(self, errors: Float[Tensor, "block vertices"]) -> None:
        """Add the frames of a block, in order. NaN, for a vertex or a whole frame, is ignored."""
        known = ~errors.isnan()
        filled = errors.nan_to_num(0.0).double()
        self._means.append(errors.nanmean(-1))
        largest = torch.where(known, errors, -torch.inf).amax(-1)
        self._largest.append(torch.where(known.any(-1), largest, torch.nan))
        if self.parts:
            self._by_part.append(torch.stack([errors[:, mask].nanmean(-1) for mask in self.parts.values()], -1))
        self._kept.append(errors[:, self._sample].flatten())
        sums, counts = filled.sum(0), known.double().sum(0)
        self._sums = sums if self._sums is None else self._sums + sums
        self._counts = counts if self._counts is None else self._counts + counts

    @property
    def per_frame(self) -> Float[Tensor, "frames"]:
        """Mean over the vertices."""
        return torch.cat(self._means)

    @property
    def per_frame_max(self) -> Float[Tensor, "frames"]:
        """Maximum over the vertices."""
        return torch.cat(self._largest)

    @property
    def per_part(self) -> dict[str, Float[Tensor, "frames"]]:
        """Mean over the vertices of each part, per frame."""
        if not self._by_part:
            return {}
        return dict(zip(self.parts, torch.cat(self._by_part).unbind(-1)))

    @property
    def per_vertex(self) -> Float[Tensor, "vertices"]:
        """Mean over the frames; NaN for a vertex that is missing in every frame."""
        if self._sums is None or self._counts is None:
            return torch.full((self.vertices,), torch.nan)
        return torch.where(self._counts > 0, self._sums / self._counts.clamp_min(1), torch.nan)

    def quantile(self, fraction: float) -> float:
        """A quantile over all frames and vertices, or over 1000 evenly spaced vertices if there are more."""
        values = torch.cat(self._kept)
        values = values[~values.isnan()]
        if not len(values):
            return float("nan")
        # `torch.quantile` fails for large inputs; one order statistic is enough.
        return float(values.kthvalue(max(1, round(fraction * len(values)))).values)

    @property
    def _sample(self) -> Int[Tensor, "kept"]:
        return torch.linspace(0, self.vertices - 1, min(self.vertices, _KEPT)).long()
