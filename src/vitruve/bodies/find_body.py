"""Find the body for a name without a gender, or for a motion. Every command uses it."""

from __future__ import annotations

import copy
from pathlib import Path
from weakref import WeakKeyDictionary

import torch

from vitruve.bodies import BodyModel
from vitruve.bodies.catalogue import is_installed, is_own, is_path, parse_name, shared_body
from vitruve.errors import MissingAsset, UsageError

# A body -> its copies on other devices, by device, so that what is cached with a copy serves again.
_copies: WeakKeyDictionary[BodyModel, dict[torch.device, BodyModel]] = WeakKeyDictionary()
_SUFFIXES = ("neutral", "female", "male", "left", "right")


def other_than_named(named: str, used: str) -> list[str]:
    """A note for the user where a motion names its exact body, and another one is used on request.

    A name such as "smplh-male" is not exact: files of other tools get it, whatever body they were made on.
    """
    if used == named or not (named.startswith("open-") or is_own(named)):
        return []
    return [f"the motion is on {named}; using {used} as requested, on which its betas give another shape"]


def find_body(which: str | BodyModel, gender: str, folder: str | Path | None = None) -> tuple[BodyModel, list[str]]:
    """A body by catalogue name or file, with notes for the user about the choice; a body is returned as it is.

    For a name without a gender ("smplx"), the first that exists is used: the body of the given gender, the neutral
    body, the open body. `folder` is searched for licensed bodies before the usual places.
    """
    if isinstance(which, BodyModel):
        return which, []
    if not which:
        raise UsageError(
            "the body is unknown: the motion is on a plain skeleton",
            fix="name the body (--from smplh, or source='smplh-male'), or retarget the skeleton with a mapping file",
        )
    if is_path(which) or is_own(which):
        return shared_body(which, folder), []
    if which.rpartition("-")[2] in _SUFFIXES:
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


def body_on(body: BodyModel, device: torch.device | str) -> BodyModel:
    """The body on a device: itself where it is there, else a copy, which is kept while the body lives."""
    device = body.template.new_empty(0).to(device).device  # with its number: "cuda" is where torch has it now
    if body.device == device:
        return body
    kept = _copies.setdefault(body, {})
    if device not in kept:
        kept[device] = copy.deepcopy(body).to(device)
    return kept[device]


def _found_open(which: str, body: BodyModel) -> list[str]:
    """A licensed name can find the open body: `vitruve bodies export` writes it in the official layouts."""
    if not body.name.startswith("open-") or which.lower().startswith("open"):
        return []
    return [f"the file found for '{which}' holds {body.name}, whose betas give other shapes"]
