"""The software behind a result: versions, platform, and the git commit of a checkout."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

import vitruve

_PACKAGES = ("torch", "numpy", "scipy", "safetensors", "pillow")


def versions() -> dict[str, str]:
    """Package name to version; packages that are not installed are left out."""
    found = {"vitruve": vitruve.__version__, "python": platform.python_version()}
    found |= {package: package_version(package) for package in _PACKAGES}
    found |= {"platform": platform.platform(), "git_commit": git_commit()}
    return {name: version for name, version in found.items() if version}


def package_version(package: str) -> str:
    """The installed version, read without importing the package; empty if not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def git_commit() -> str:
    """The commit of Vitruve's checkout, with "-dirty" if files were changed; empty for an installed package."""
    root = Path(vitruve.__file__).resolve().parents[2]
    # Only our own checkout: Vitruve may be installed inside another repository.
    if not ((root / ".git").exists() and (root / "src" / "vitruve").is_dir()):
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
