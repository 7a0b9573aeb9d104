"""State machines: their definitions with substitutions, and what a history says."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from .stack import ROOT

FOLDER = ROOT / "workflows"
_NAME = re.compile(r"\$\{(\w+)\}")


def text(name: str, folder: Path = FOLDER) -> str:
    """A definition as it lies in the repository."""
    return (folder / f"{name}.asl.json").read_text()


def names(name: str) -> set[str]:
    """What a definition wants substituted."""
    return set(_NAME.findall(text(name)))


def definition(name: str, substitutions: dict[str, str]) -> dict:
    """A definition as Step Functions gets it; every substitution it wants is needed."""
    return json.loads(_NAME.sub(lambda match: str(substitutions[match[1]]), text(name)))


def walk(states: dict, where: str = ""):
    """Every state, those inside of Maps too, as (path, state, the states beside it)."""
    for name, state in states.items():
        yield where + name, state, states
        if inner := state.get("ItemProcessor"):
            yield from walk(inner["States"], f"{where}{name}/")


def nexts(state: dict) -> list[str]:
    """Where a state may go to."""
    found = [state["Next"]] if "Next" in state else []
    found += [state["Default"]] if "Default" in state else []
    found += [rule["Next"] for rule in state.get("Choices", []) + state.get("Catch", [])]
    return found


@dataclass
class Visit:
    """A state that an execution entered."""

    state: str
    entered: float
    seconds: float | None = None
    attempts: int = 0
    errors: tuple[str, ...] = ()


def visits(events: list[dict]) -> list[Visit]:
    """What a history says, state by state, in the order in which they were entered."""
    found: list[Visit] = []
    for event in events:
        kind = event["type"]
        if kind.endswith("StateEntered"):
            if found and found[-1].seconds is None:  # left by way of a Catch, or for good
                found[-1].seconds = _stamp(event) - found[-1].entered
            found.append(Visit(event["stateEnteredEventDetails"]["name"], _stamp(event)))
        elif kind.endswith("StateExited"):
            if found:
                found[-1].seconds = _stamp(event) - found[-1].entered
        elif found and kind in ("TaskScheduled", "MapRunStarted", "LambdaFunctionScheduled"):
            found[-1].attempts += 1
        elif found and kind in ("TaskFailed", "TaskTimedOut", "MapRunFailed", "LambdaFunctionFailed"):
            details = event.get("taskFailedEventDetails") or event.get("mapRunFailedEventDetails") or {}
            found[-1].errors += (details.get("error", kind),)
        elif kind.startswith("Execution") and found and found[-1].seconds is None:
            found[-1].seconds = _stamp(event) - found[-1].entered
    return found


def _stamp(event: dict) -> float:
    return event["timestamp"].timestamp()


def history(client, execution: str) -> list[dict]:
    """All events of an execution."""
    pages = client.get_paginator("get_execution_history")
    return [e for page in pages.paginate(executionArn=execution, includeExecutionData=False) for e in page["events"]]


def table(found: list[Visit]) -> list[str]:
    """A history as a table: loops are folded, so that a state stands once for each run of equal rounds."""
    rows: dict[str, list] = {}
    for visit in found:
        row = rows.setdefault(visit.state, [0, 0, 0.0, []])
        row[0] += 1
        row[1] += visit.attempts
        row[2] += visit.seconds or 0.0
        row[3] += [e for e in visit.errors if e not in row[3]]
    head = f"{'state':<18} {'entered':>7} {'attempts':>8} {'seconds':>8}"
    lines = [f"{n:<18} {r[0]:>7} {r[1] or '':>8} {r[2]:>8.1f}  {', '.join(r[3])}".rstrip() for n, r in rows.items()]
    return [head, *lines]
