"""Move a motion made on one body to another body."""

from vitruve.convert.convert import Conversion, convert_motion

__all__ = ["Conversion", "convert_motion"]
