"""Surface maps between the meshes of two bodies."""

from typing import TYPE_CHECKING

from vitruve.lazy_names import lazy_names

__all__ = ["Correspondence", "correspondence"]

if TYPE_CHECKING:
    from vitruve.correspondence.body_maps import Correspondence, correspondence

__getattr__ = lazy_names(globals(), dict.fromkeys(__all__, "vitruve.correspondence.body_maps"))
