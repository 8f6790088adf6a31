"""Metrics of motions: pure functions on positions, rotations and surfaces, in SI units.

NaN means missing, such as masked frames, and every mean ignores it. A score without any valid value is NaN.
"""

from vitruve.metrics.alignment import Placement, placement
from vitruve.metrics.joints import acceleration_error, angle_errors, mpjpe, pa_mpjpe, position_errors, root_relative
from vitruve.metrics.surface import SurfaceMeter, measured_frames, measured_vertices
from vitruve.metrics.world import acceleration, drift, jitter, penetration, trajectory_error

__all__ = [
    "Placement",
    "SurfaceMeter",
    "acceleration",
    "acceleration_error",
    "angle_errors",
    "drift",
    "jitter",
    "measured_frames",
    "measured_vertices",
    "mpjpe",
    "pa_mpjpe",
    "penetration",
    "placement",
    "position_errors",
    "root_relative",
    "trajectory_error",
]
