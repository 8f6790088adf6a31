"""The target's betas: copied, given, or solved from the source's body at rest."""

from __future__ import annotations

import torch
from torch import Tensor

from vitruve.bodies import BodyModel, ShapedBody
from vitruve.correspondence.body_maps import Correspondence
from vitruve.fit.known_shape import fixed_betas
from vitruve.motion import Motion

# Mean distance of the two bodies at rest, metres, above which their rest poses differ (arms down, another person's
# proportions), and the shape is better solved on posed frames.
_SAME_REST = 0.006


def _same_shape_space(source: BodyModel, target: BodyModel) -> bool:
    """Whether betas mean the same on both bodies: equal templates, and equal shape bases in the common columns."""
    if source.template.shape != target.template.shape or not torch.equal(source.template, target.template):
        return False
    columns = min(source.num_betas, target.num_betas)
    return torch.equal(source.shape_basis[..., :columns], target.shape_basis[..., :columns])


def known_betas(betas: str | Tensor, motion: Motion, source: BodyModel, target: BodyModel) -> Tensor | None:
    """The target's betas if they are known without the surface, else None."""
    fixed = fixed_betas(betas, target)
    if fixed is None and _same_shape_space(source, target) and len(motion.betas) <= target.num_betas:
        return motion.betas.to(target.template)
    return fixed


def betas_at_rest(source: ShapedBody, target: BodyModel, surface: Correspondence, count: int) -> tuple[Tensor, bool]:
    """The betas that bring the target at rest onto the source at rest, by linear least squares.

    Returns:
        (betas [count], whether the two rest poses are so similar that the betas are final)
    """
    valid = surface.valid
    wanted = surface.apply(source.rest_vertices.double())[valid] - target.template[valid].double()
    basis = target.shape_basis[valid][..., :count].double()
    moves = torch.eye(3).to(basis).expand(len(basis), 3, 3)
    columns = torch.cat([basis, moves], -1).flatten(0, 1)
    # The normal equations: a few columns against thousands of rows, and well conditioned.
    square = columns.T @ columns
    square.diagonal().add_(1e-9 * square.diagonal().mean())
    solution = torch.linalg.solve(square, columns.T @ wanted.flatten())
    distance = (wanted.flatten() - columns @ solution).view(-1, 3).norm(dim=-1).mean()
    return solution[:count].to(target.template), bool(distance <= _SAME_REST)
