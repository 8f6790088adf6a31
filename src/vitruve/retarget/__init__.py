"""Retarget motions from foreign skeletons (BVH, ASF/AMC) to a body, by mapping files."""

from typing import TYPE_CHECKING

from vitruve.lazy_names import lazy_names

__all__ = ["actor_betas", "retarget_motion"]

if TYPE_CHECKING:
    from vitruve.retarget.retarget import actor_betas, retarget_motion

__getattr__ = lazy_names(globals(), dict.fromkeys(__all__, "vitruve.retarget.retarget"))
