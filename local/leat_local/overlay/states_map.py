"""Step Functions' Map: items side by side, and Distributed Map with its batches and its result files.

A failure stops the other items: none begins, and those that run end at their next state. A child of a
distributed map is an execution of its own: `$$.Execution` is the child, `$$.Map` is the item selector's
alone, its history is its own. Only simulated: ten thousand children at once (here at most sixteen where
no limit is given), Express children, redrive.
"""

from __future__ import annotations

import contextvars
import copy
import json
import threading
from concurrent.futures import ThreadPoolExecutor, wait

from ministack.core.responses import new_uuid, now_iso
from ministack.services import stepfunctions as ministack

from . import aws, hooks, iam, states
from .states import Ended, Error, add_event, fits

USES = {
    "ministack.services.stepfunctions": (
        "_apply_input_path",
        "_map_runs",
        "_read_map_items",
        "_resolve_ctx_path",
        "_run_map_items",
    ),
}
INLINE, CHILDREN = 40, 16
_COUNTS = "pending running succeeded failed timedOut aborted total resultsWritten failuresNotRedrivable pendingRedrive"


def install() -> None:
    """Sets the hooks."""
    global _ministack_map
    _ministack_map = hooks.replace(ministack, "_run_map_items", run_map_items)


def run_map_items(state: dict, given, execution: dict, ctx: dict):
    """A Map state, once; gives its output and what is next."""
    if ministack._state_query_language(state, ctx) == "JSONata":
        return _ministack_map(state, given, execution, ctx)
    read = ministack._apply_input_path(state, given, ctx)
    processor = state.get("ItemProcessor") or state.get("Iterator") or {}
    distributed = (processor.get("ProcessorConfig") or {}).get("Mode") == "DISTRIBUTED"
    name = ctx["State"]["Name"]
    items = _items(state, read, ctx, distributed)
    run = (_Distributed if distributed else _Inline)(state, processor, execution, ctx, read, items)
    add_event(execution, "MapStateStarted", {"mapStateStartedEventDetails": {"length": len(items)}})
    try:
        result = fits(run.all(), name)
    except Error as why:
        if not isinstance(why, Ended):
            add_event(execution, "MapStateFailed")
        raise
    add_event(execution, "MapStateSucceeded")
    if selector := state.get("ResultSelector"):
        result = ministack._resolve_params_obj(selector, result, ctx)
    output = ministack._apply_output_path(
        state, ministack._apply_result_path(state, given, result), ctx
    )
    return fits(output, name), ministack._next_or_end(state)


def _items(state: dict, read, ctx: dict, distributed: bool) -> list:
    if distributed and state.get("ItemReader"):
        _may_read(state["ItemReader"], read, ctx)
        return ministack._read_map_items(state["ItemReader"], read, ctx)
    path = state.get("ItemsPath", "$")
    items = ministack._resolve_path_or_ctx(path, read, ctx)
    if not isinstance(items, list):
        raise Error("States.Runtime", f'Reference path "{path}" must point to array.')
    return items


def _may_read(reader: dict, read, ctx: dict) -> None:
    """The items are read with the execution's role; MiniStack reads them past it."""
    given = ministack._resolve_params_obj(reader.get("Parameters") or {}, read, ctx)
    bucket = f"arn:aws:s3:::{given.get('Bucket', '')}"
    lists = reader.get("Resource", "").endswith("listObjectsV2")
    action, resource = (
        ("s3:ListBucket", bucket) if lists else ("s3:GetObject", f"{bucket}/{given.get('Key', '')}")
    )
    if why := iam.refusal(states.role.get(), states.session(), action, resource):
        raise Error("States.ItemReaderFailed", why)


class _Run:
    """The items of one Map state, side by side."""

    def __init__(self, state: dict, processor: dict, execution: dict, ctx: dict, read, items: list):
        self.state, self.processor, self.execution = state, processor, execution
        self.ctx, self.read, self.items = ctx, read, items
        self.run: dict = {"status": "RUNNING"}  # once it is not, its branches end
        self.lock = threading.Lock()

    def number(self, field: str, default: float = 0) -> float:
        """A field, or what its path says."""
        if f"{field}Path" in self.state:
            return ministack._resolve_path_or_ctx(self.state[f"{field}Path"], self.read, self.ctx)
        return self.state.get(field, default)

    def select(self, number: int, item) -> tuple[object, dict]:
        """An item's input, and its context."""
        ctx = copy.deepcopy(self.ctx)
        ctx["Map"] = {"Item": {"Index": number, "Value": item}}
        selector = self.state.get("ItemSelector") or self.state.get("Parameters")
        return (ministack._resolve_params_obj(selector, self.read, ctx) if selector else item), ctx

    def side_by_side(self, work, count: int, most: int) -> None:
        """Calls `work` with each number, in order, at most `most` at once."""
        with ThreadPoolExecutor(max_workers=max(1, min(count, most))) as pool:
            wait([pool.submit(contextvars.copy_context().run, work, n) for n in range(count)])
        if not states.alive():
            raise Ended()

    def branch(self, given, execution: dict, ctx: dict):
        """One branch, from its first state to its last."""
        machine = self.processor
        return ministack._run_sub_machine(
            machine.get("States", {}), machine.get("StartAt"), given, execution, ctx
        )


class _Inline(_Run):
    def all(self) -> list:
        """Every item's result, in order; the first failure is the state's."""
        self.results: list = [None] * len(self.items)
        self.failure: Error | None = None
        self.side_by_side(self._one, len(self.items), int(self.number("MaxConcurrency")) or INLINE)
        if self.failure:
            raise self.failure
        return self.results

    def _one(self, number: int) -> None:
        states.living.set((*states.living.get(), self.run))
        if not states.alive():
            return
        who = {"name": self.ctx["State"]["Name"], "index": number}
        add_event(self.execution, "MapIterationStarted", {"mapIterationStartedEventDetails": who})
        try:
            given, ctx = self.select(number, self.items[number])
            self.results[number] = self.branch(given, self.execution, ctx)
            add_event(
                self.execution, "MapIterationSucceeded", {"mapIterationSucceededEventDetails": who}
            )
        except Exception as why:
            ended = isinstance(why, Ended)
            end = "Aborted" if ended else "Failed"
            add_event(self.execution, f"MapIteration{end}", {f"mapIteration{end}EventDetails": who})
            with self.lock:
                if not ended and not self.failure:
                    known = isinstance(why, Error)
                    self.failure = (
                        why if known else Error("States.Runtime", f"{type(why).__name__}: {why}")
                    )
                    self.run["status"] = "FAILED"


class _Distributed(_Run):
    def all(self):
        """The children's outputs in order, or where the result files lie."""
        self._open()
        add_event(
            self.execution, "MapRunStarted", {"mapRunStartedEventDetails": {"mapRunArn": self.arn}}
        )
        self.side_by_side(
            self._one, len(self.batches), int(self.number("MaxConcurrency")) or CHILDREN
        )
        exceeded = self.run["status"] == "FAILED"
        if not exceeded:
            self.run["status"] = "SUCCEEDED"
        self.run["stopDate"] = now_iso()
        written = self._write() if self.state.get("ResultWriter") else None
        if exceeded:
            error = "States.ExceedToleratedFailureThreshold"
            cause = "The specified tolerated failure threshold was exceeded"
            details = {"error": error, "cause": cause}
            add_event(self.execution, "MapRunFailed", {"mapRunFailedEventDetails": details})
            raise Error(error, cause)
        add_event(self.execution, "MapRunSucceeded")
        return written or self._shown(self.children, self._transformation("COMPACT"))

    def _open(self) -> None:
        self.batches = self._batched()
        _, _, _, region, account, _, machine = self.execution["stateMachineArn"].split(":")[:7]
        self.machine, self.label = machine, self.state.get("Label") or new_uuid()
        self.place = f"arn:aws:states:{region}:{account}"
        self.id = new_uuid()
        self.arn = f"{self.place}:mapRun:{machine}/{self.label}:{self.id}"
        self.count, self.share = (
            self.number("ToleratedFailureCount"),
            self.number("ToleratedFailurePercentage"),
        )
        zero = dict.fromkeys(_COUNTS.split(), 0)
        items, children = len(self.items), len(self.batches)
        self.children: list[dict | None] = [None] * children
        self.run |= {
            "mapRunArn": self.arn,
            "executionArn": self.execution["executionArn"],
            "startDate": now_iso(),
            "maxConcurrency": int(self.number("MaxConcurrency")),
            "toleratedFailurePercentage": float(self.share),
            "toleratedFailureCount": int(self.count),
            "itemCounts": zero | {"total": items, "pending": items},
            "executionCounts": zero | {"total": children, "pending": children},
            "redriveCount": 0,
            "_stateMachineArn": f"{self.place}:stateMachine:{machine}/{self.label}",
        }
        ministack._map_runs[self.arn] = self.run

    def _batched(self) -> list[tuple[int, object]]:
        """(number of items, input) of each child."""
        selected = [self.select(number, item)[0] for number, item in enumerate(self.items)]
        batcher = self.state.get("ItemBatcher")
        if not batcher:
            return [(1, one) for one in selected]
        inner = _Run(batcher, {}, self.execution, self.ctx, self.read, [])
        most = int(inner.number("MaxItemsPerBatch")) or len(selected) or 1
        size = min(int(inner.number("MaxInputBytesPerBatch")) or states.LARGEST, states.LARGEST)
        head = {}
        if "BatchInput" in batcher:
            head = {
                "BatchInput": ministack._resolve_params_obj(
                    batcher["BatchInput"], self.read, self.ctx
                )
            }
        batches, now = [], []
        for one in selected:
            if now and (len(now) == most or _bytes({**head, "Items": [*now, one]}) > size):
                batches.append(now)
                now = []
            now.append(one)
        return [(len(b), {**head, "Items": b}) for b in (*batches, *([now] if now else []))]

    def _one(self, number: int) -> None:
        items, given = self.batches[number]
        states.living.set((*states.living.get(), self.run))
        if not states.alive():
            return
        child = self._child(given)
        self.children[number] = child
        states.living.set((*states.living.get(), child))
        states.first_event()
        started = {"input": child["input"], "roleArn": states.role.get()}
        add_event(child, "ExecutionStarted", {"executionStartedEventDetails": started})
        self._count(items, "pending", "running")
        try:
            output = json.dumps(fits(self.branch(given, child, self._context(child)), "the child"))
            child |= {"output": output, "stopDate": now_iso(), "status": "SUCCEEDED"}
            add_event(
                child, "ExecutionSucceeded", {"executionSucceededEventDetails": {"output": output}}
            )
            self._count(items, "running", "succeeded")
        except Ended:
            child |= {"stopDate": now_iso(), "status": "ABORTED"}
            add_event(child, "ExecutionAborted", {"executionAbortedEventDetails": {}})
            self._count(items, "running", "aborted")
        except Exception as why:
            said = {"error": "States.Runtime", "cause": f"{type(why).__name__}: {why}"}
            if isinstance(why, Error):
                said = {"error": why.error, "cause": why.cause}
            child |= {"stopDate": now_iso(), "status": "FAILED", **said}
            add_event(child, "ExecutionFailed", {"executionFailedEventDetails": said})
            self._count(items, "running", "failed")

    def _child(self, given) -> dict:
        name = new_uuid()
        child = {
            "executionArn": f"{self.place}:execution:{self.machine}/{self.label}:{name}",
            "stateMachineArn": self.run["_stateMachineArn"],
            "name": name,
            "status": "RUNNING",
            "startDate": now_iso(),
            "stopDate": None,
            "input": json.dumps(given),
            "inputDetails": {"included": True},
            "output": None,
            "outputDetails": {"included": True},
            "mapRunArn": self.arn,
            "events": [],
            "testCase": "",
            "mockAttempts": {},
        }
        ministack._executions[child["executionArn"]] = child
        return child

    def _context(self, child: dict) -> dict:
        ctx = copy.deepcopy(self.ctx)
        ctx.pop("Map", None)
        ctx.pop("Task", None)
        ctx["Execution"] = {
            "Id": child["executionArn"],
            "Input": json.loads(child["input"]),
            "Name": child["name"],
            "RoleArn": states.role.get(),
            "StartTime": child["startDate"],
        }
        ctx["StateMachine"] = {
            "Id": child["stateMachineArn"],
            "Name": f"{self.machine}/{self.label}",
        }
        return ctx

    def _count(self, items: int, before: str, after: str) -> None:
        with self.lock:
            for counts, step in ((self.run["itemCounts"], items), (self.run["executionCounts"], 1)):
                counts[before] -= step
                counts[after] += step
            if after == "failed" and self._exceeded(self.run["itemCounts"]["failed"]):
                self.run["status"] = "FAILED"

    def _exceeded(self, failed: int) -> bool:
        by_count = any(
            f in self.state for f in ("ToleratedFailureCount", "ToleratedFailureCountPath")
        )
        by_share = any(
            f in self.state
            for f in ("ToleratedFailurePercentage", "ToleratedFailurePercentagePath")
        )
        if not by_count and not by_share:
            return failed > 0
        over = by_count and failed > self.count
        return over or (by_share and failed * 100 > self.share * len(self.items))

    # Results

    def _transformation(self, default: str) -> str:
        return (
            self.state.get("ResultWriter", {})
            .get("WriterConfig", {})
            .get("Transformation", default)
        )

    def _shown(self, children: list[dict | None], how: str) -> list:
        """What is told of the children; a failed one is always told as a whole."""
        shown = []
        for child in children:
            if child is None:
                continue
            if how == "NONE" or child["status"] != "SUCCEEDED":
                shown.append(_whole(child))
                continue
            output = json.loads(child["output"])
            shown += output if how == "FLATTEN" and isinstance(output, list) else [output]
        return shown

    def _write(self) -> dict:
        writer = self.state["ResultWriter"]
        given = ministack._resolve_params_obj(writer.get("Parameters", {}), self.read, self.ctx)
        if not given.get("Bucket"):
            return {}  # a WriterConfig alone: the results are the state's output
        bucket = given["Bucket"]
        folder = "/".join(part for part in (given.get("Prefix", "").strip("/"), self.id) if part)
        lines = writer.get("WriterConfig", {}).get("OutputType") == "JSONL"
        files: dict[str, list] = {"FAILED": [], "PENDING": [], "SUCCEEDED": []}
        try:
            s3 = aws.client("s3", states.role.get(), states.session())
            for status in ("SUCCEEDED", "FAILED"):
                some = [c for c in self.children if c and c["status"] == status]
                if not some:
                    continue
                told = self._shown(some, self._transformation("NONE"))
                body = (
                    "".join(f"{json.dumps(one)}\n" for one in told) if lines else json.dumps(told)
                )
                key = f"{folder}/{status}_0.{'jsonl' if lines else 'json'}"
                s3.put_object(Bucket=bucket, Key=key, Body=body.encode())
                files[status].append({"Key": key, "Size": len(body.encode())})
                for counts, field in (
                    (self.run["itemCounts"], status),
                    (self.run["executionCounts"], status),
                ):
                    counts["resultsWritten"] += counts[field.lower()]
            manifest = {"DestinationBucket": bucket, "MapRunArn": self.arn, "ResultFiles": files}
            s3.put_object(
                Bucket=bucket, Key=f"{folder}/manifest.json", Body=json.dumps(manifest).encode()
            )
        except Exception as why:
            raise Error("States.ResultWriterFailed", str(why)) from None
        details = {"Bucket": bucket, "Key": f"{folder}/manifest.json"}
        return {"MapRunArn": self.arn, "ResultWriterDetails": details}


def _whole(child: dict) -> dict:
    told = {
        "ExecutionArn": child["executionArn"],
        "Input": child["input"],
        "InputDetails": {"Included": True},
        "Name": child["name"],
        "StartDate": child["startDate"],
        "StateMachineArn": child["stateMachineArn"],
        "Status": child["status"],
        "StopDate": child["stopDate"],
    }
    if child["output"] is not None:
        told |= {"Output": child["output"], "OutputDetails": {"Included": True}}
    return told | {k.title(): child[k] for k in ("error", "cause") if k in child}


def _bytes(value) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
