"""The public names, so that none appears or vanishes unseen."""

from __future__ import annotations

import inspect

import vitruve

PUBLIC = {
    "BodyModel",
    "Motion",
    "Skeleton",
    "VitruveError",
    "__version__",
    "compare_motions",
    "convert_motion",
    "load_body",
    "load_motion",
    "load_skeleton",
    "save_motion",
}
COMPARE = [
    "first",
    "second",
    "body_first",
    "body_second",
    "align",
    "shift",
    "mapping",
    "fps",
    "floor",
    "folder",
    "progress",
]
PARAMETERS = {
    "convert_motion": [
        *("motion", "to", "source", "betas", "num_betas", "hands", "points", "sequence", "folder", "progress"),
    ],
    "compare_motions": COMPARE,
    "load_body": ["name", "folder", "num_betas", "dtype"],
    "load_motion": ["path", "format", "fps", "dtype", "options"],
    "save_motion": ["motion", "path", "format", "overwrite", "options"],
    "load_skeleton": ["name"],
}


def test_the_public_names_are_these_and_all_load():
    assert set(vitruve.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(vitruve, name) is not None


def test_their_parameters_are_these():
    for name, parameters in PARAMETERS.items():
        assert list(inspect.signature(getattr(vitruve, name)).parameters) == parameters, name


def test_everything_public_is_described():
    for name in PUBLIC - {"__version__"}:
        assert inspect.getdoc(getattr(vitruve, name)), name
