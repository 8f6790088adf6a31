"""Warnings, notes and a summary of a comparison in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vitruve.compare.shift import ShiftEstimate
from vitruve.motion.performer import Performer
from vitruve.words import counted

# The world frames differ if a rigid transform reduces the joints' distance by this factor and below this distance
# (millimetres), from at least the last one.
_NEARER, _NEAR_MM, _FAR_MM = 3.0, 100.0, 20.0
# A shift is suggested if it reduces the difference by this factor.
_SHIFT_HELPS = 1.3


def warnings_about(
    figures: Mapping[str, Any], first: Performer, second: Performer, estimate: ShiftEstimate | None
) -> tuple[str, ...]:
    """Reasons why the figures may be misleading, one sentence each."""
    masked = [(side.name, figures[f"frames_masked_{word}"]) for word, side in (("first", first), ("second", second))]
    frames = figures["frames"]
    excluded = [
        f"{count} of {frames} frames of {name} have no data and are excluded" for name, count in masked if count
    ]
    own = (f"{side.name}: {warning}" for side in (first, second) for warning in side.warnings)
    return (*own, *excluded, *_shift(figures, second, estimate), *_worlds(figures))


def notes_about(figures: Mapping[str, Any], first: Performer, second: Performer) -> tuple[str, ...]:
    """How the two were matched, one sentence each."""
    out = [f"{side.name}: {note}" for side in (first, second) for note in side.notes]
    if figures["shift_frames"]:
        out.append(f"{second.name} was shifted: it runs {_later(figures['shift_frames'], figures['fps'])}")
    for word, side in (("first", first), ("second", second)):
        left = figures[f"frames_only_{word}"]
        if left:
            out.append(f"{left} frames of {side.name} are outside the common part and were not compared")
        missing = figures[f"joints_only_{word}"]
        if missing and figures["joints_shared"]:
            shown = ", ".join(missing[:6]) + (f" and {len(missing) - 6} more" if missing[6:] else "")
            out.append(f"joints of {side.name} without a counterpart: {shown}")
    residual = (figures["surface_map"] or {}).get("residual_mm", {}).get("mean")
    if residual and residual >= 0.005:
        out.append(f"the map between the two surfaces is itself off by {residual:.2f} mm on average")
    return tuple(out)


def verdict(figures: Mapping[str, Any]) -> str:
    """One sentence about the distance of the two."""
    measure = figures["measure"]
    of, value = ("surfaces", figures["vertex_mm"]) if measure == "vertex_mm" else ("joints", figures["joint_mm"])
    apart = f"{value['mean']:.2f} mm apart on average, 95 % below {value['p95']:.2f} mm, at most {value['max']:.2f} mm"
    if figures["alignment"] == "none":
        return f"The {of} are {apart}, as they are in the world."
    return f"The {of} are {apart}, with the second {figures['alignment_means']}."


def _shift(figures: Mapping[str, Any], second: Performer, estimate: ShiftEstimate | None) -> list[str]:
    used, fps = figures["shift_frames"], figures["fps"]
    if estimate is None or estimate.frames == used or estimate.there * _SHIFT_HELPS > estimate.here:
        return []
    return [
        f"{second.name} seems to run {_later(estimate.frames, fps)}: to compare it that way, give the shift "
        f"{estimate.frames} or auto"
    ]


def _later(frames: int, fps: float) -> str:
    word = "later" if frames > 0 else "earlier"
    return f"{counted(abs(frames), 'frame')} ({abs(frames) / fps:.3f} s) {word}" if frames else "without a shift"


def _worlds(figures: Mapping[str, Any]) -> list[str]:
    by = figures["joint_mm_by_alignment"]
    none, clip = by.get("none"), by.get("clip")
    if figures["alignment"] != "none" or none is None or clip is None:
        return []
    if none > _FAR_MM and clip < _NEAR_MM and none > _NEARER * clip:
        return [
            "the two are in different world frames: after one rigid transform for the whole clip (alignment clip) "
            f"the joints are {clip:.1f} mm apart instead of {none:.1f} mm"
        ]
    return []
