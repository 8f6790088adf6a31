"""Betas that are given and need no fit."""

from __future__ import annotations

from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.errors import BadData, UsageError, nearest

BETAS = ("fit", "zero", "keep-if-same")


def fixed_betas(betas: str | Tensor, body: BodyModel) -> Tensor | None:
    """The betas if given as numbers or as "zero"; None to fit them."""
    if isinstance(betas, Tensor):
        if betas.dim() != 1 or len(betas) > body.num_betas:
            raise BadData(
                f"the betas do not fit body '{body.name}'",
                where=f"shape {tuple(betas.shape)}, the body has {body.num_betas}",
                fix="give one row of at most that many",
            )
        return betas.to(body.template)
    if betas not in BETAS:
        raise UsageError(f"invalid betas '{betas}'", fix=nearest(betas, BETAS))
    return body.template.new_zeros(body.num_betas) if betas == "zero" else None
