"""The body that a motion is on."""

from __future__ import annotations

from pathlib import Path

from vitruve.bodies import BodyModel
from vitruve.bodies.find_body import find_body, other_than_named
from vitruve.motion.motion import Motion


def body_of(
    motion: Motion, which: str | BodyModel | None = None, folder: str | Path | None = None
) -> tuple[BodyModel, list[str]]:
    """The body of a motion, or another on request, with notes for the user about the choice.

    Args:
        which: a name, a file or a body to use instead of the motion's own.
        folder: searched for licensed bodies before the usual places.
    """
    body, notes = find_body(which or motion.body, motion.gender, folder)
    return body, [*notes, *other_than_named(motion.body_name, body.name)]
