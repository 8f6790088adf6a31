"""What happens in the clip, second by second: keys of curves, postures of the arms, shapes of the hands."""

from __future__ import annotations

from limbs import ArmPosture, HandShape

FPS, SECONDS = 30.0, 20.0
WALKING_SPEED = 1.05  # m/s
STANDING_WIDTH, WALKING_WIDTH = 0.115, 0.065  # the ankles' distance from the middle: standing, walking

# Keys: (seconds, value). Walking straight, then a curve to the right; turning on the spot; sitting down, standing up.
# The turns go to the right, so that the root's axis-angle vector in the file stays shorter than pi.
SPEED = ((3.35, 0.0), (4.15, WALKING_SPEED), (7.2, WALKING_SPEED), (8.0, 0.0))
HEADING_DEG = ((4.9, 0.0), (7.5, -100.0), (8.15, -100.0), (10.35, -245.0))
SWINGS = (
    *((("left", "right")[i % 2], 3.6 + 0.55 * i, 3.6 + 0.55 * i + 0.42) for i in range(8)),
    *((("right", "left")[i % 2], 8.35 + 0.38 * i, 8.35 + 0.38 * i + 0.31) for i in range(6)),
)
PELVIS_BACK = ((13.7, 0.0), (15.2, 1.0), (17.25, 1.0), (18.45, 0.0))
PELVIS_DOWN = ((13.75, 0.0), (15.3, 1.0), (17.35, 1.0), (18.6, 0.0))
LEAN_DEG = ((13.6, 0.0), (14.7, 44.0), (15.7, 0.0), (16.8, 0.0), (17.55, 42.0), (18.7, 0.0))
SLOUCH_DEG = ((14.9, 0.0), (15.8, 10.0), (16.7, 10.0), (17.3, 0.0))
LOOK_DOWN_DEG = ((10.4, 4.0), (11.0, 17.0), (13.0, 17.0), (13.6, 14.0), (15.6, 3.0), (17.0, 12.0), (18.6, 4.0))
LOOK_LEFT_DEG = (
    (0.4, 0.0),
    (1.1, -10.0),
    (3.0, -10.0),
    (3.6, 0.0),
    (10.4, 0.0),
    (11.0, 12.0),
    (13.0, 12.0),
    (13.6, 0.0),
)

HANGING = ArmPosture(upper=(0.13, -1.0, 0.0), elbow_points=(0.25, 0.0, -1.0), elbow=0.0, twist=-15.0)
WAVE_IN = ArmPosture((0.78, -0.42, 0.28), (-0.1, -1.0, -0.1), elbow=134.0, wrist=(0.0, 12.0))
WAVE_OUT = ArmPosture((0.78, -0.42, 0.28), (-0.1, -1.0, -0.1), elbow=94.0, wrist=(0.0, -10.0))
COUNTING = ArmPosture((0.22, -0.85, 0.42), (0.1, -0.8, -0.6), elbow=118.0, twist=35.0, wrist=(5.0, 0.0))
# When an arm leaves its swing for a posture and comes back: in from, in to, out from, out to.
WAVING = (0.8, 1.6, 3.0, 3.8)
SHOWING = (10.4, 11.05, 13.2, 14.0)
RESTING = (13.8, 15.3, 17.3, 18.4)
# Where the wrists rest on the thighs: the share of the way to the knee, and metres above the bone.
ON_THIGH = (0.68, 0.078)

_OPEN, _BENT, _TUCKED = (0.0, 0.0, 0.0), (84.0, 103.0, 72.0), (55.0, 35.0, 45.0)
RELAXED = HandShape((18, 22, 12), (22, 26, 14), (30, 30, 16), (26, 28, 15), (8, 10, 12))
FLAT = HandShape((4, 4, 3), (3, 4, 3), (5, 5, 3), (4, 4, 3), (0, 2, 2), spread=7)
LYING = HandShape((14, 10, 6), (14, 10, 6), (18, 12, 8), (16, 11, 7), (4, 5, 6), spread=5)
FIST = HandShape(_BENT, _BENT, _BENT, _BENT, _TUCKED)
COUNT = (
    HandShape(_OPEN, _BENT, _BENT, _BENT, _TUCKED),
    HandShape(_OPEN, _OPEN, _BENT, _BENT, _TUCKED, spread=6),
    HandShape(_OPEN, _OPEN, _BENT, _OPEN, _TUCKED, spread=6),
    HandShape(_OPEN, _OPEN, _OPEN, _OPEN, _TUCKED, spread=6),
    HandShape(_OPEN, _OPEN, _OPEN, _OPEN, (0, 0, 0), spread=9),
)
# (seconds at which the shape is reached, shape); each takes a quarter of a second at most to form.
LEFT_HAND = (
    (0.0, RELAXED),
    (10.3, RELAXED),
    (10.9, FIST),
    *((11.2 + 0.36 * i, shape) for i, shape in enumerate(COUNT)),
    (13.0, FIST),
    (13.3, FLAT),
    (14.2, RELAXED),
    (15.4, LYING),
    (17.2, LYING),
    (18.2, RELAXED),
)
RIGHT_HAND = (
    (0.0, RELAXED),
    (1.0, RELAXED),
    (1.5, FLAT),
    (3.1, FLAT),
    (3.7, RELAXED),
    (14.2, RELAXED),
    (15.4, LYING),
    (17.2, LYING),
    (18.2, RELAXED),
)
