"""The solver: rotations, translation and shape of a body from points on it."""

from vitruve.fit.clip import ClipFit, Effort, fit_clip
from vitruve.fit.moments import prepare
from vitruve.fit.points import Points, choose_points
from vitruve.fit.terms import RotationLimits, TowardRotations, geman_mcclure, huber

__all__ = [
    "ClipFit",
    "Effort",
    "Points",
    "RotationLimits",
    "TowardRotations",
    "choose_points",
    "fit_clip",
    "geman_mcclure",
    "huber",
    "prepare",
]
