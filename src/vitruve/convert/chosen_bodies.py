"""Choose the bodies of a conversion by name and gender, and hash them."""

from __future__ import annotations

import functools
import hashlib

import numpy as np

from vitruve.bodies.catalogue import is_path, shared_body
from vitruve.bodies.find_body import find_body, other_than_named


@functools.lru_cache(maxsize=64)
def chosen_body(which: str, gender: str, folder: str | None, named: str = "") -> tuple[str, tuple[str, ...]]:
    """The name or file of the body to use, and notes for the user about the choice.

    Args:
        which: a name or a file.
        gender: for a name without one.
        folder: searched for licensed bodies before the usual places.
        named: the body that the motion itself names.
    """
    if is_path(which):
        return which, tuple(other_than_named(named, shared_body(which, folder).name))
    found, notes = find_body(which, gender, folder)
    return found.name, (*notes, *other_than_named(named, found.name))


@functools.lru_cache(maxsize=64)
def body_hash(name: str, folder: str | None) -> str:
    """A hash of the content of a body."""
    digest, loaded = hashlib.sha256(), shared_body(name, folder)
    digest.update("\n".join((loaded.layout, loaded.gender, *loaded.skeleton.names)).encode())
    for key, value in sorted(loaded.state_dict().items()):
        digest.update(f"{key} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().reshape(-1).view(np.uint8))
    return digest.hexdigest()
