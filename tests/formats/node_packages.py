"""Where the tests find packages of npm: VITRUVE_NODE_MODULES, or a folder node_modules in or beside the checkout."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def node_modules(package: str) -> Path:
    """The folder node_modules that holds a package; skips the test where there is none."""
    checkout = Path(__file__).parents[2]
    named = os.environ.get("VITRUVE_NODE_MODULES")
    for folder in [Path(named)] if named else [checkout / "node_modules", checkout.parent / "node_modules"]:
        if (folder / package / "package.json").is_file():
            return folder
    pytest.skip(f"no npm package '{package}': npm install {package}, and set VITRUVE_NODE_MODULES to node_modules")


def node() -> str:
    """The path of node; skips the test where there is none."""
    found = shutil.which("node")
    if not found:
        pytest.skip("node is not installed")
    return found
