"""The overlay fits the pinned MiniStack, and says so when it does not."""

import importlib
from pathlib import Path

import pytest

from leat_local import overlay
from leat_local.overlay import hooks

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements.txt"


def test_the_pin_is_the_version_of_the_hooks():
    assert f"ministack[full]=={hooks.VERSION}" in REQUIREMENTS.read_text().splitlines()
    hooks.check_version()


@pytest.mark.parametrize(
    ("module", "name"),
    [(m, n) for part in overlay.PARTS for m, names in part.USES.items() for n in names],
)
def test_each_symbol_is_there(module, name):
    assert hasattr(importlib.import_module(module), name)


def test_a_symbol_that_moved_is_named():
    with pytest.raises(hooks.Moved, match="ministack.app._gone"):
        hooks.check({"ministack.app": ("main", "_gone")})


def test_another_version_is_refused(monkeypatch):
    monkeypatch.setattr(hooks, "VERSION", "0.0.1")
    with pytest.raises(hooks.Moved, match="made for ministack 0.0.1"):
        hooks.check_version()
