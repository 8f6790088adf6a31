"""Move a motion made on one body to another body."""

from typing import TYPE_CHECKING

from vitruve.lazy_names import lazy_names

__all__ = ["Conversion", "convert_motion"]

if TYPE_CHECKING:
    from vitruve.convert.convert import convert_motion
    from vitruve.fit.conversion import Conversion

__getattr__ = lazy_names(globals(), dict.fromkeys(__all__, "vitruve.convert.convert"))
