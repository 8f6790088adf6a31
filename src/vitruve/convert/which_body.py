"""Which body a name without a gender means, for a person of some gender."""

from __future__ import annotations

from pathlib import Path

from vitruve.bodies import BodyModel
from vitruve.bodies.catalogue import is_path, missing_body, parse_name, shared_body
from vitruve.errors import UsageError

_GENDERS = ("neutral", "female", "male")
_SAID = (*_GENDERS, "left", "right")


def find_body(which: str | BodyModel, gender: str, folder: str | Path | None = None) -> tuple[BodyModel, list[str]]:
    """A body, by name where it is not one already.

    A name without a gender ("smplx") takes the given one; where there is no file of it, the neutral body; and where
    there is no file of that layout at all, the open body.

    Args:
        which: the body, a name in the catalogue, or the path of a model file.
        gender: "neutral", "female" or "male", for names that do not say.
        folder: where licensed bodies lie, before the usual places.

    Returns:
        (the body, what a user must know about the choice). A body that was found by its name is shared by all who find
        it in this process: it must be neither moved nor written to.
    """
    if isinstance(which, BodyModel):
        return which, []
    name, notes = find_body_name(which, gender, folder)
    return shared_body(name, folder), notes


def find_body_name(which: str, gender: str, folder: str | Path | None = None) -> tuple[str, list[str]]:
    """The full name, or the file, of the body that `find_body` gives, and what a user must know about the choice.

    No file is read for it.
    """
    if not which:
        raise UsageError(
            "the body is not known: the motion is on a plain skeleton",
            fix="name the body (--from smplh, or source='smplh-male'), or retarget the skeleton with a mapping file",
        )
    if is_path(which):
        return which, []
    if which.rpartition("-")[2] in _SAID:
        return _there(which, folder), []
    layout, neutral, _ = parse_name(which)  # an unknown name is an error in the user's own word
    wanted = f"{which}-{gender}"
    if not missing_body(wanted, folder):
        return _there(wanted, folder), []
    if any(not missing_body(f"{layout}-{other}", folder) for other in _GENDERS):
        name = _there(f"{layout}-{neutral}", folder)
        return name, [f"there is no {wanted}, so {name} is used"]
    name = _there(f"open-{wanted}", folder)
    return name, [f"no {which} file was found, so '{which}' is taken as {name}, whose betas mean other shapes"]


def _there(name: str, folder: str | Path | None) -> str:
    """A name as the catalogue writes it, of a body that is there."""
    error = missing_body(name, folder)
    if error:
        raise error
    layout, gender, is_open = parse_name(name)
    return f"{'open-' if is_open else ''}{layout}-{gender}"
