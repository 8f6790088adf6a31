"""Betas that need no fit, since they were asked for."""

from __future__ import annotations

from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.errors import BadData, UsageError, nearest

BETAS = ("fit", "zero", "keep-if-same")


def fixed_betas(betas: str | Tensor, body: BodyModel) -> Tensor | None:
    """The betas that were asked for as numbers or as "zero"; None where they are to be found."""
    if isinstance(betas, Tensor):
        if betas.dim() != 1 or len(betas) > body.num_betas:
            raise BadData(
                f"these betas do not fit body '{body.name}'",
                where=f"shape {tuple(betas.shape)}, the body has {body.num_betas}",
                fix="give one row of at most as many",
            )
        return betas.to(body.template)
    if betas not in BETAS:
        raise UsageError(f"'{betas}' says nothing about the betas", fix=nearest(betas, BETAS))
    return body.template.new_zeros(body.num_betas) if betas == "zero" else None
