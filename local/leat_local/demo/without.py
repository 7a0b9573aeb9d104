"""A part that does nothing in the place of a real one: with it the demo must fail, or its promises are none."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

WHEEL = "wheel"

# Takes every invocation and answers an empty document, as a deployed function may that does no work.
FUNCTION = """#!/usr/bin/env python3
import os
import urllib.request

here = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(here + "next") as call:
        name = call.headers["Lambda-Runtime-Aws-Request-Id"]
        call.read()
    urllib.request.urlopen(urllib.request.Request(here + name + "/response", b"{}")).close()
"""

# Has every name that the job asks for; each gives nothing.
MODULE = """
class Engine:
    def __init__(self, *_, **__):
        pass

    def __getattr__(self, name):
        return lambda *_, **__: None


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return lambda *_, **__: None
"""


def function(bootstrap: Path) -> None:
    """Puts a function that does nothing at `bootstrap`."""
    bootstrap.write_text(FUNCTION)
    bootstrap.chmod(0o755)


def wheel(real: Path, folder: Path) -> Path:
    """A wheel of the name and version of `real` that does nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    made, about = folder / real.name, "-".join(real.name.split("-")[:2]) + ".dist-info"
    with zipfile.ZipFile(real) as old, zipfile.ZipFile(made, "w") as new:
        new.writestr("leat/__init__.py", MODULE)
        for name in ("METADATA", "WHEEL"):
            new.writestr(f"{about}/{name}", old.read(f"{about}/{name}"))
        new.writestr(f"{about}/RECORD", f"leat/__init__.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n")
    return made
