"""Hand pose spaces: the mean and principal components of MANO-family files."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from vitruve.errors import BadData
from vitruve.geometry.rotations import axis_angle_to_matrix


@dataclass(frozen=True, eq=False)
class HandSpace:
    """The pose space of one hand.

    Attributes:
        mean: [45] axis-angle of the 15 joints in the relaxed pose.
        components: [n, 45] rows that the coefficients weight; added to the mean as axis-angle.
    """

    mean: Float[Tensor, "45"]
    components: Float[Tensor, "components 45"]

    def __repr__(self) -> str:
        return f"HandSpace({len(self.components)} components)"

    def rotations(
        self, coefficients: Float[Tensor, "*batch coefficients"], flat_mean: bool = False
    ) -> Float[Tensor, "*batch 15 3 3"]:
        """The 15 rotations of PCA coefficients.

        Args:
            coefficients: of the leading components, any number of them.
            flat_mean: omit the mean, so that zero coefficients are the flat hand. Mean and components are summed as
                axis-angle vectors, as the files define it.
        """
        count = coefficients.shape[-1]
        if count > len(self.components):
            raise BadData(
                f"{count} hand coefficients, but the file has {len(self.components)} components",
                where=f"coefficients {tuple(coefficients.shape)}",
                fix=f"give at most {len(self.components)}",
            )
        axis_angle = coefficients @ self.components[:count].to(coefficients)
        if not flat_mean:
            axis_angle = axis_angle + self.mean.to(coefficients)
        return axis_angle_to_matrix(axis_angle.unflatten(-1, (15, 3)))
