"""Which body is meant: by a name without a gender, and by a motion. Every command finds its bodies here."""

from __future__ import annotations

from pathlib import Path

from vitruve.bodies import BodyModel
from vitruve.bodies.catalogue import is_installed, is_own, is_path, parse_name, shared_body
from vitruve.errors import MissingAsset, UsageError

_SAID = ("neutral", "female", "male", "left", "right")


def other_than_named(named: str, used: str) -> list[str]:
    """What there is to say where a motion names its body exactly, and another is used since that was asked for.

    A name such as "smplh-male" is no exact one: files without a name of ours mean it, whatever they were made on.
    """
    if used == named or not (named.startswith("open-") or is_own(named)):
        return []
    return [f"the motion is on {named}; {used} is used as asked, on which its betas mean another shape"]


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
    if is_path(which) or is_own(which):
        return shared_body(which, folder), []
    if which.rpartition("-")[2] in _SAID:
        body = shared_body(which, folder)
        return body, _found_open(which, body)
    layout, _, is_open = parse_name(which)  # an unknown name is an error in the user's own word
    if is_open or is_installed(layout, folder):
        try:
            body = shared_body(f"{which}-{gender}", folder)
            return body, _found_open(which, body)
        except MissingAsset:
            body = shared_body(which, folder)
        if not body.name.startswith("open-"):
            return body, [f"there is no {which}-{gender}, so {body.name} is used"]
    body = shared_body(f"open-{layout}-{gender}", folder)
    return body, [f"no {which} file was found, so '{which}' is taken as {body.name}, whose betas mean other shapes"]


def _found_open(which: str, body: BodyModel) -> list[str]:
    """The open body can lie where a licensed one is looked for: `vitruve bodies export` writes it in their layouts."""
    if not body.name.startswith("open-") or which.lower().startswith("open"):
        return []
    return [f"the file that was found for '{which}' holds {body.name}, whose betas mean other shapes"]
