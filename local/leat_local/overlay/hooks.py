"""The one way into MiniStack: named symbols of one version, replaced or refused."""

from __future__ import annotations

import importlib
from importlib.metadata import version

VERSION = "1.5.33"


class Moved(RuntimeError):
    """MiniStack is not the one that the overlay was made for."""


def check_version() -> None:
    """Refuses another MiniStack than the one the hooks were made for."""
    found = version("ministack")
    if found != VERSION:
        raise Moved(
            f"the overlay is made for ministack {VERSION}, found {found}: install "
            "local/requirements.txt, or adapt the overlay and run local/tests"
        )


def check(uses: dict[str, tuple[str, ...]]) -> None:
    """Refuses a MiniStack that lacks one of the symbols that a part uses."""
    missing = [
        f"{module}.{name}"
        for module, names in uses.items()
        for name in names
        if not hasattr(importlib.import_module(module), name)
    ]
    if missing:
        raise Moved(f"ministack {VERSION} has no {', '.join(missing)}: the overlay must follow")


def replace(module, name: str, new):
    """Puts `new` in the place of `module.name` and returns what was there."""
    if not hasattr(module, name):
        raise Moved(f"{module.__name__} has no {name}: the overlay must follow")
    old = getattr(module, name)
    setattr(module, name, new)
    return old
