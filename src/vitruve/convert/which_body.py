"""Which body a name without a gender means, for a person of some gender."""

from __future__ import annotations

import warnings
from pathlib import Path

from vitruve.bodies import BodyModel, load_body
from vitruve.bodies.catalogue import is_path, parse_name
from vitruve.bodies.files import BodyNotice
from vitruve.errors import MissingAsset, UsageError

_SAID = ("neutral", "female", "male", "left", "right")


def find_body(which: str | BodyModel, gender: str, folder: str | Path | None = None) -> tuple[BodyModel, list[str]]:
    """A body, by name where it is not one already.

    A name without a gender ("smplx") takes the given one; where there is no file of it, the neutral body; and where
    there is no file of that layout at all, the open body.

    Args:
        which: the body, a name in the catalogue, or the path of a model file.
        gender: "neutral", "female" or "male", for names that do not say.
        folder: where licensed bodies lie, before the usual places.

    Returns:
        (the body, what a user must know about the choice)
    """
    if isinstance(which, BodyModel):
        return which, []
    if not which:
        raise UsageError(
            "the body is not known: the motion is on a plain skeleton",
            fix="name the body (--from smplh, or source='smplh-male'), or retarget the skeleton with a mapping file",
        )
    if is_path(which) or which.rpartition("-")[2] in _SAID:
        return load_body(which, folder=folder), []
    parse_name(which)  # an unknown name is an error in the user's own word
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BodyNotice)  # said in our own words below
        try:
            return load_body(f"{which}-{gender}", folder=folder), []
        except MissingAsset:
            body = load_body(which, folder=folder)
    if body.name.startswith("open-"):
        body = load_body(f"open-{which}-{gender}", folder=folder)
        return body, [f"no {which} file was found, so '{which}' is taken as {body.name}, whose betas mean other shapes"]
    return body, [f"there is no {which}-{gender}, so {body.name} is used"]
