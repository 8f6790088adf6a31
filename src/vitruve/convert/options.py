"""What a conversion is asked for, and what a look into an input finds."""

from __future__ import annotations

from dataclasses import dataclass

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Options:
    """All that a result depends on besides its input and the bodies.

    Attributes:
        to: the body to go to; without a gender, that of each motion is kept.
        source: the body the motions were made on, where they do not say it rightly.
        betas: "fit", "zero", "keep-if-same", or the betas; None as the conversion of that kind has it.
        hands: "flat", "mean", or 90 axis-angle values of the left and right hand, for sources without fingers.
        format: a name in the table of formats; empty for that of the target's layout, or of the output's ending.
        points: about how many surface points the fit looks at; None as the conversion has it.
        fps: frames per second, for files that do not say.
        gender: "neutral", "female" or "male", likewise; empty where it is not known.
        mapping: for motions on a foreign skeleton, the mapping file, or "guess"; found by itself where left out.
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
    """What a look into an input finds.

    Attributes:
        kind: "motion", "skeleton" (a motion on a foreign tree), "meshes", or "poses" (single ones, keyed by an id).
        frames, fps: of the motion; poses have no fps: 0.
        body, gender, skeleton: as the file says; the body is empty for a foreign tree and for meshes. Poses can be of
            several genders, joined by commas. The joints of a foreign tree are only known once the file is read.
        asked: the rate and gender that the input was read with, where it does not say them.
    """

    kind: str
    frames: int
    fps: float
    body: str = ""
    gender: str = "neutral"
    skeleton: str = ""
    asked: str = ""
