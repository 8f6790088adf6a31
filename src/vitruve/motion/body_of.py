"""The body that a motion is on."""

from __future__ import annotations

from pathlib import Path

from vitruve.bodies import BodyModel
from vitruve.bodies.find_body import find_body, other_than_named
from vitruve.motion.motion import Motion


def body_of(
    motion: Motion, asked: str | BodyModel | None = None, folder: str | Path | None = None
) -> tuple[BodyModel, list[str]]:
    """The body that a motion is on: the one it names, or another that was asked for.

    Args:
        motion: on a body.
        asked: a name, a file or a body to take instead.
        folder: where licensed bodies lie, before the usual places.

    Returns:
        (the body, what a user must know about the choice)
    """
    body, notes = find_body(asked or motion.body, motion.gender, folder)
    return body, [*notes, *other_than_named(motion.body_name, body.name)]
