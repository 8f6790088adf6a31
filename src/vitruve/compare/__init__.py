"""How far two motions are apart: joints, surfaces, rotations, and how each of them moves."""

from vitruve.compare.compare import Comparison, compare_motions
from vitruve.compare.placing import ALIGNMENTS

__all__ = ["ALIGNMENTS", "Comparison", "compare_motions"]
