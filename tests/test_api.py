"""The public names, so that none appears or vanishes unseen."""

from __future__ import annotations

import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

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
    "load_motion": ["path", "format", "fps", "gender", "dtype", "options"],
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


def test_posing_and_measuring_import_nothing_slow():
    # Each of these takes as long to import as a clip takes to convert.
    script = """
import sys, torch
before = set(sys.modules)
import vitruve
from vitruve.motion.clips import bundled_clip_path
clip = vitruve.load_motion(bundled_clip_path())[:4]
clip.vertices(vitruve.load_body("open-smplh"))
vitruve.compare_motions(clip, clip, align="clip")
slow = {"sympy", "torch._dynamo", "torch._inductor", "matplotlib", "pandas", "trimesh", "networkx", "viser"}
print(*sorted(slow & (set(sys.modules) - before)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_data_file_is_in_the_package():
    """A wheel holds only the data files that pyproject.toml names; one in place does not miss the others."""
    root = Path(__file__).parents[1]
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    named = settings["tool"]["setuptools"]["package-data"]["vitruve"]
    package = root / "src" / "vitruve"
    files = {path.relative_to(package) for path in package.rglob("*") if path.is_file() and path.suffix != ".py"}
    files = {path for path in files if "__pycache__" not in path.parts}
    assert files and not {path for path in files if not any(path.match(pattern) for pattern in named)}
