"""Names of a package that load when they are first used, so that importing it stays fast."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(package: dict[str, Any], homes: Mapping[str, str]) -> Callable[[str], Any]:
    """What a package takes as its `__getattr__`.

    Args:
        package: its `globals()`.
        homes: each name, and the module it lives in.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module '{package['__name__']}' has no attribute '{name}'")
        value = getattr(importlib.import_module(homes[name]), name)
        package[name] = value
        return value

    return get
