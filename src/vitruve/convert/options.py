"""The options of a conversion, and the facts about an input."""

from __future__ import annotations

from dataclasses import dataclass

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Options:
    """All that a result depends on besides its input and the bodies.

    Attributes:
        to: the target body; without a gender, that of each motion is kept.
        source: the body the motions were made on, if they do not name the right one.
        betas: "fit", "zero", "keep-if-same", or the betas; None for the default of the kind of input.
        hands: "flat", "mean", or 90 axis-angle values of the left and right hand, for sources without fingers.
        format: a name in the table of formats; empty for that of the target's layout, or of the output's ending.
        points: approximate number of surface points to fit; None for the default.
        fps: frames per second, for files without a rate.
        gender: "neutral", "female" or "male", for files without a gender; may be empty.
        mapping: for foreign skeletons: a mapping file, or "guess"; empty to choose a shipped one.
        up: the axis that points upwards in mesh files, "z" or "y".
        device: where the fit is computed: cpu, cuda, cuda:1. Results of two devices count as the same.
    """

    to: str
    source: str = ""
    betas: str | Numbers | None = None
    hands: str | Numbers = "flat"
    format: str = ""
    points: int | None = None
    fps: float | None = None
    mapping: str = ""
    up: str = "z"
    gender: str = ""
    device: str = "cpu"


@dataclass(frozen=True)
class Facts:
    """What is known of an input before it is converted.

    Attributes:
        kind: "motion", "skeleton" (a motion on a foreign tree), "meshes", or "poses" (single ones, keyed by an id).
        frames, fps: of the motion; 0 fps for poses.
        body, gender, skeleton: as in the file; the body is empty for a foreign tree and for meshes. Genders of poses
            are joined by commas. The skeleton of a foreign tree is only known once the file is read.
        asked: the options for rate and gender that the input was read with.
    """

    kind: str
    frames: int
    fps: float
    body: str = ""
    gender: str = "neutral"
    skeleton: str = ""
    asked: str = ""
