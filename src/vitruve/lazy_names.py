"""Lazy imports: names of a package load when first used, so that importing the package stays fast."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(package: dict[str, Any], homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package with lazy names.

    Args:
        package: the package's `globals()`.
        homes: public name to the module that defines it.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module '{package['__name__']}' has no attribute '{name}'")
        value = getattr(importlib.import_module(homes[name]), name)
        package[name] = value
        return value

    return get
