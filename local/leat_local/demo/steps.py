"""Numbered steps with their minutes, on a terminal or in a log."""

from __future__ import annotations

import contextlib
import sys
import time


class Steps:
    """What was done, and how long it took."""

    def __init__(self, total: int):
        self.total, self.done = total, []
        self.started = time.monotonic()

    @contextlib.contextmanager
    def step(self, title: str):
        """One step: its number and name, what it says, its time."""
        number, began = len(self.done) + 1, time.monotonic()
        print(f"\n[{number:>2}/{self.total}] {title}", flush=True)
        yield say
        took = time.monotonic() - began
        self.done.append((took, title))
        print(f"        done in {minutes(took)}", flush=True)

    def table(self) -> None:
        """All steps with their minutes."""
        print("\n  minutes  step")
        for took, title in self.done:
            print(f"  {took / 60:7.2f}  {title}")
        print(f"  {(time.monotonic() - self.started) / 60:7.2f}  in all", flush=True)


def say(text: str) -> None:
    """A line below the step's title."""
    print(f"        {text}", flush=True)


def minutes(seconds: float) -> str:
    """`1m05s`"""
    return f"{int(seconds // 60)}m{int(seconds % 60):02d}s"


def waiting(text: str, done: int, total: int) -> None:
    """Progress in place on a terminal; nothing in a log."""
    if sys.stdout.isatty():
        end = "\n" if done >= total else ""
        print(f"\r        {text}: {done:,} of {total:,}", end=end, flush=True)
