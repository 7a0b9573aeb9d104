"""Executions of the state machines: shown as they go, and as tables afterwards."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field

from .. import workflows
from ..stack import Trouble

OVER = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


@dataclass
class Execution:
    """An execution that is followed."""

    machine: str
    arn: str
    status: str = "RUNNING"
    error: str = ""
    cause: str = ""
    output: dict | None = None
    shown: dict[str, int] = field(default_factory=dict)
    events: int = 0

    @property
    def name(self) -> str:
        """Its own name, which is that of its run folder."""
        return self.arn.rpartition(":")[2]

    def verdict(self) -> str:
        """How it ended, in words."""
        return self.status if not self.error else f"{self.status}: {self.error}: {self.cause}"


class Follower:
    """Starts executions and shows each state as it is entered, those of an execution that it starts itself too."""

    def __init__(self, client, machines: dict[str, str], patience: float = float("inf")):
        self.client, self.machines, self.patience = client, machines, patience
        self.seen: list[Execution] = []

    def run(self, machine: str, name: str, given: dict, say, seconds: float = 900) -> Execution:
        """Runs one execution to its end, whatever that is."""
        started = self.client.start_execution(
            stateMachineArn=self.machines[machine], name=name, input=json.dumps(given)
        )
        first = self.known(machine, started["executionArn"])
        seconds = min(seconds, self.patience)
        over = time.monotonic() + seconds
        while True:
            for other, arn in self.machines.items():
                for found in self.client.list_executions(stateMachineArn=arn, maxResults=20)["executions"]:
                    self.known(other, found["executionArn"])
            live = [e for e in self.seen if e.status == "RUNNING"]
            for execution in reversed(live):  # who was started before who started it: that one ends later
                self._look(execution, say)
            if first.status != "RUNNING" and all(e.status != "RUNNING" for e in self.seen):
                return first
            if time.monotonic() > over:
                raise Trouble(f"{machine} {name} is still running after {seconds:.0f} s, in {list(first.shown)[-1:]}")
            time.sleep(0.3)

    def known(self, machine: str, arn: str) -> Execution:
        """The execution, followed from now on."""
        for execution in self.seen:
            if execution.arn == arn:
                return execution
        self.seen.append(Execution(machine, arn))
        return self.seen[-1]

    def _look(self, execution: Execution, say) -> None:
        # The status first: what it says to be over has told all of its states below.
        now = self.client.describe_execution(executionArn=execution.arn)
        events = workflows.history(self.client, execution.arn)
        for event in events[execution.events :]:
            if not event["type"].endswith("StateEntered"):
                continue
            state = event["stateEnteredEventDetails"]["name"]
            execution.shown[state] = execution.shown.get(state, 0) + 1
            if execution.shown[state] == 1:  # a loop is told once; the table below counts its rounds
                say(f"{execution.machine:>7}  {state}")
        execution.events = len(events)
        if now["status"] in OVER:
            execution.status = now["status"]
            execution.error, execution.cause = now.get("error", ""), now.get("cause", "")
            execution.output = json.loads(now["output"]) if execution.status == "SUCCEEDED" else None
            if refused := (execution.output or {}).get("refused"):
                execution.error, execution.cause = refused["Error"], refused["Cause"]
            say(f"{execution.machine:>7}  {execution.verdict()}")

    def tables(self) -> list[str]:
        """The history of each execution, as a table."""
        rows = []
        for execution in self.seen:
            rows += ["", f"{execution.machine} {execution.name}: {execution.verdict()}"]
            found = workflows.visits(workflows.history(self.client, execution.arn))
            rows += [f"  {row}" for row in workflows.table(found)]
        return rows

    def denied(self) -> list[str]:
        """The states that a role refused, each with its execution: also those whose failure is let pass."""
        return [
            f"{execution.machine} {execution.name}: {visit.state}: {error}"
            for execution in self.seen
            for visit in workflows.visits(workflows.history(self.client, execution.arn))
            for error in visit.errors
            if "AccessDenied" in error
        ]
