"""Processes that end together: one session holds all that a local AWS started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path


def in_session(session: int) -> list[int]:
    """The processes of `session`, this one left out. Zombies are over and do not count."""
    return [p for p in _all() if p != os.getpid() and _session_of(p) == session]


def _all() -> list[int]:
    if Path("/proc/self/stat").exists():
        return [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()]
    listed = subprocess.run(["ps", "-axo", "pid="], capture_output=True, text=True, check=True)
    return [int(line) for line in listed.stdout.split()]


def _session_of(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return None
        return os.getsid(pid)
    except OSError:
        return None


def end_session(session: int, patience: float = 5.0) -> None:
    """Ends every process of `session` but this one: politely first, then for good."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in in_session(session):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        until = time.monotonic() + patience
        while in_session(session) and time.monotonic() < until:
            time.sleep(0.05)


def when_owner_ends(descriptor: int, then) -> None:
    """Calls `then` once the other end of the pipe `descriptor` is closed: its owner is gone."""

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(descriptor, 1024):
                pass
        then()

    threading.Thread(target=watch, daemon=True, name="owner").start()
