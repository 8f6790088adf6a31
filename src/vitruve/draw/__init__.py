"""Pictures and films without a display: scenes, camera views, the rasteriser."""

from typing import TYPE_CHECKING

from vitruve.lazy_names import lazy_names

__all__ = ["picture", "save_picture", "strip"]

if TYPE_CHECKING:
    from vitruve.draw.pictures import picture, save_picture, strip

__getattr__ = lazy_names(globals(), dict.fromkeys(__all__, "vitruve.draw.pictures"))
