"""Distances of two surfaces, accumulated block by block.

Conversion and comparison sample `measured_vertices` in `measured_frames`, so both report the same mean for a pair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

# Largest number of sampled vertices; all their errors are kept for percentiles.
_KEPT = 1000
# Largest number of sampled frames, and frames in one block.
_FRAMES, _BLOCK = 240, 240


def measured_vertices(valid: Bool[Tensor, "vertices"], count: int = _KEPT) -> Int[Tensor, "points"]:
    """Indices of sampled vertices: all that have a counterpart, or a fixed random choice of them."""
    every = valid.nonzero()[:, 0]
    order = torch.randperm(len(every), generator=torch.Generator().manual_seed(0))
    return every[order[:count].sort().values]


def measured_frames(frames: int, most: int = _FRAMES) -> tuple[Int[Tensor, "block"], ...]:
    """Indices of sampled frames, in blocks: all, or evenly spread triples, which the jitter needs."""
    chosen = torch.arange(frames)
    if frames > most:
        first = torch.linspace(0, frames - 3, most // 3).long()
        chosen = (first[:, None] + torch.arange(3)).flatten().unique()
    return chosen.split(_BLOCK)


@dataclass
class SurfaceMeter:
    """Accumulates errors of vertices, metres.

    Attributes:
        parts: [vertices] masks by name.
        vertices: number of vertices.
        with_jitter: also measure the residual's second difference in time.
    """

    parts: Mapping[str, Tensor]
    vertices: int
    with_jitter: bool = True
    _frames: list[Tensor] = field(default_factory=list)
    _means: list[Tensor] = field(default_factory=list)
    _largest: list[Tensor] = field(default_factory=list)
    _by_part: list[Tensor] = field(default_factory=list)
    _kept: list[Tensor] = field(default_factory=list)
    _seconds: list[Tensor] = field(default_factory=list)
    _sums: Tensor | None = None
    _counts: Tensor | None = None

    def add(self, frames: Int[Tensor, "block"], residual: Float[Tensor, "block vertices 3"]) -> None:
        """Add the residuals of a block of frames, in order; NaN is ignored."""
        frames, residual = frames.cpu(), residual.cpu()  # the figures are kept on the CPU
        errors = residual.norm(dim=-1)
        known = ~errors.isnan()
        self._frames.append(frames)
        self._means.append(errors.nanmean(-1))
        largest = torch.where(known, errors, -torch.inf).amax(-1)
        self._largest.append(torch.where(known.any(-1), largest, torch.nan))
        if self.parts:
            self._by_part.append(torch.stack([errors[:, mask].nanmean(-1) for mask in self.parts.values()], -1))
        kept = torch.linspace(0, self.vertices - 1, min(self.vertices, _KEPT)).long()
        self._kept.append(errors[:, kept].flatten())
        sums, counts = errors.nan_to_num(0.0).double().sum(0), known.double().sum(0)
        self._sums = sums if self._sums is None else self._sums + sums
        self._counts = counts if self._counts is None else self._counts + counts
        if self.with_jitter and len(residual) > 2:
            in_a_row = frames[2:] - frames[:-2] == 2
            second = (residual[2:] - 2 * residual[1:-1] + residual[:-2])[in_a_row].norm(dim=-1)
            self._seconds.append(second.nanmean(-1))

    @property
    def frames(self) -> Int[Tensor, "frames"]:
        """Indices of the added frames."""
        return torch.cat(self._frames)

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
        """Mean over the frames; NaN for a vertex that is always missing."""
        if self._sums is None or self._counts is None:
            return torch.full((self.vertices,), torch.nan)
        return torch.where(self._counts > 0, self._sums / self._counts.clamp_min(1), torch.nan)

    @property
    def mean(self) -> float:
        """Mean of `per_frame`."""
        return float(self.per_frame.nanmean())

    @property
    def largest(self) -> float:
        """The largest error; NaN without data."""
        known = self.per_frame_max[~self.per_frame_max.isnan()]
        return float(known.max()) if len(known) else float("nan")

    @property
    def jitter(self) -> float:
        """Mean length of the residual's second difference in time, metres per frame squared; NaN without data."""
        return float(torch.cat([*self._seconds, torch.zeros(0)]).nanmean())

    def quantile(self, fraction: float) -> float:
        """A quantile over all frames and vertices, or over 1000 evenly spaced vertices if there are more."""
        values = torch.cat(self._kept)
        values = values[~values.isnan()]
        if not len(values):
            return float("nan")
        # `torch.quantile` fails for large inputs; one order statistic is enough.
        return float(values.kthvalue(max(1, round(fraction * len(values)))).values)
