"""Motion and Keypoints: the types, editing, features, checks, the bundled clip."""

from vitruve.motion.clips import bundled_clip_path
from vitruve.motion.editing import crop, join, mirror, set_shape
from vitruve.motion.features import (
    accelerations,
    angular_velocities,
    derivative,
    foot_contacts,
    foot_sliding,
    ground_speed,
    heading,
    velocities,
)
from vitruve.motion.keypoint_editing import fill_keypoint_gaps, resample_keypoints, smooth_keypoints
from vitruve.motion.keypoints import Keypoints
from vitruve.motion.motion import Motion, Source
from vitruve.motion.resampling import fill_gaps, resample
from vitruve.motion.smoothing import smooth
from vitruve.motion.world import change_up_axis, put_on_ground, rotate_world, start_at_origin, translate_world

__all__ = [
    "Keypoints",
    "Motion",
    "Source",
    "accelerations",
    "angular_velocities",
    "bundled_clip_path",
    "change_up_axis",
    "crop",
    "derivative",
    "fill_gaps",
    "fill_keypoint_gaps",
    "foot_contacts",
    "foot_sliding",
    "ground_speed",
    "heading",
    "join",
    "mirror",
    "put_on_ground",
    "resample",
    "resample_keypoints",
    "rotate_world",
    "set_shape",
    "smooth",
    "smooth_keypoints",
    "start_at_origin",
    "translate_world",
    "velocities",
]
