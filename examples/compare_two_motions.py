"""Measure what smoothing changes: compare a motion with its smoothed copy."""

import vitruve
from vitruve.motion import bundled_clip_path, smooth

motion = vitruve.load_motion(bundled_clip_path())[:90]
comparison = vitruve.compare_motions(motion, smooth(motion), "open-smplh", "open-smplh", align="none")
print(f"surfaces are {comparison.mean_mm:.2f} mm apart; frame {comparison.frames_shown['worst']} is the worst")
