"""Motion: the type, editing, features."""

from vitruve.motion.motion import Motion, Source

__all__ = ["Motion", "Source"]
