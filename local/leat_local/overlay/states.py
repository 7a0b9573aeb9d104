"""Step Functions: what MiniStack's engine does otherwise than AWS's.

Here: heartbeats and time-outs of tasks (whose jobs are stopped), a token for each attempt, delays of
`Retry` as they are written (MaxDelaySeconds, JitterStrategy), a function that fails before it calls
back, limits of 256 KiB, a path that is not in the input (MiniStack gives null), the time-out of an
execution, an execution that is stopped while it works, a name that is taken, and a history in which
each attempt stands with its state, its times, and what went before. `Map` is in `states_map.py`, the
calls to other services in `states_calls.py`. Real seconds pass: nothing is scaled.
"""

from __future__ import annotations

import contextvars
import copy
import json
import random
import re
import threading
import time
from concurrent.futures import Future, TimeoutError
from datetime import datetime, timezone

from ministack.core.responses import error_response_json, json_response, new_uuid, now_iso
from ministack.services import stepfunctions as ministack

from . import hooks

USES = {
    "ministack.services.stepfunctions": (
        "_ExecutionError",
        "_SFN_WAIT_SCALE",
        "_add_event",
        "_apply_catcher",
        "_apply_input_path",
        "_apply_jsonata_arguments",
        "_apply_jsonata_output",
        "_apply_output_path",
        "_apply_parameters",
        "_apply_result_path",
        "_apply_state_assign",
        "_emit_execution_status_event",
        "_error_matches",
        "_evaluate_rule",
        "_execute_choice",
        "_execute_map",
        "_execute_parallel",
        "_execute_pass",
        "_execute_task",
        "_execute_wait",
        "_executions",
        "_fail_execution",
        "_fail_state_error",
        "_find_matching_catcher",
        "_find_matching_retrier",
        "_invoke_resource",
        "_jsonata_state_field",
        "_next_or_end",
        "_parse_jsonpath_tokens",
        "_resolve_params_obj",
        "_resolve_path",
        "_resolve_path_or_ctx",
        "_run_execution",
        "_run_sub_machine",
        "_scaled_sleep",
        "_send_task_failure",
        "_send_task_heartbeat",
        "_send_task_success",
        "_sfn_mock_config",
        "_start_execution",
        "_state_machines",
        "_state_query_language",
        "_task_tokens",
        "_with_retry_and_catch",
    ),
}
Error = ministack._ExecutionError
LARGEST = 262_144
TICK = 0.1
_UNCATCHABLE = ("States.Runtime", "States.Aborted")
_NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")

# The thread's execution, and the map runs it is part of: it works as long as all of them do.
living: contextvars.ContextVar[tuple[dict, ...]] = contextvars.ContextVar("living", default=())
role: contextvars.ContextVar[str] = contextvars.ContextVar("role", default="")
# Set once nobody waits for the thread's task any more.
over: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar("over", default=None)
_before: contextvars.ContextVar[int] = contextvars.ContextVar("before", default=0)
_lock = threading.RLock()
_closed: set[str] = set()


class Ended(Error):
    """The execution is over: whoever still works for it stops."""

    def __init__(self):
        super().__init__("States.Aborted", "the execution has ended")


def install() -> None:
    """Sets the hooks."""
    global \
        _ministack_run, \
        _ministack_start, \
        _ministack_task, \
        _ministack_path, \
        _ministack_rule, \
        _ministack_fail
    _ministack_run = hooks.replace(ministack, "_run_execution", run_execution)
    _ministack_start = hooks.replace(ministack, "_start_execution", start_execution)
    _ministack_fail = hooks.replace(ministack, "_fail_execution", fail_execution)
    _ministack_task = hooks.replace(ministack, "_execute_task", execute_task)
    _ministack_path = hooks.replace(ministack, "_resolve_path", resolve_path)
    _ministack_rule = hooks.replace(ministack, "_evaluate_rule", evaluate_rule)
    hooks.replace(ministack, "_add_event", add_event)
    hooks.replace(ministack, "_error_matches", error_matches)
    hooks.replace(ministack, "_run_sub_machine", run_sub_machine)
    hooks.replace(ministack, "_scaled_sleep", pause)
    hooks.replace(ministack, "_with_retry_and_catch", with_retry_and_catch)
    hooks.replace(ministack, "_send_task_success", send_task_success)
    hooks.replace(ministack, "_send_task_failure", send_task_failure)
    hooks.replace(ministack, "_send_task_heartbeat", send_task_heartbeat)


# Executions


def start_execution(data: dict):
    """StartExecution: the same name with the same input is the same execution while that runs."""
    given = data.get("input", "{}")
    if data.get("name") is not None and not _NAME.fullmatch(data["name"]):
        return error_response_json("InvalidName", f"Invalid Name: '{data['name']}'", 400)
    try:
        json.loads(given)
    except ValueError:
        return error_response_json(
            "InvalidExecutionInput", "Invalid State Machine Execution Input", 400
        )
    if len(given.encode()) > LARGEST:
        why = f"1 validation error detected: Value at 'input' has length greater than {LARGEST}"
        return error_response_json("ValidationException", why, 400)
    with _lock:
        answer = _ministack_start(data)
    if answer[0] == 400 and json.loads(answer[2]).get("__type") == "ExecutionAlreadyExists":
        known = ministack._executions.get(json.loads(answer[2])["message"].split("'")[1])
        if known and known["status"] == "RUNNING" and known["input"] == given:
            return json_response(
                {"executionArn": known["executionArn"], "startDate": known["startDate"]}
            )
    return answer


def run_execution(arn: str) -> None:
    """Runs it in this thread, with its own role, until it ends or its time is over."""
    execution = ministack._executions.get(arn)
    machine = ministack._state_machines.get(execution["stateMachineArn"]) if execution else None
    if not machine:
        _ministack_run(arn)
        return
    living.set((execution,))
    role.set(machine["roleArn"])
    seconds = json.loads(machine["definition"]).get("TimeoutSeconds")
    clock = None
    if seconds:
        context = contextvars.copy_context()
        clock = threading.Timer(seconds, context.run, args=(_time_out, execution))
        clock.daemon = True
        clock.start()
    try:
        _ministack_run(arn)
    finally:
        if clock:
            clock.cancel()


def _time_out(execution: dict) -> None:
    with _lock:
        if execution["status"] != "RUNNING":
            return
        execution["status"], execution["stopDate"] = "TIMED_OUT", now_iso()
        add_event(execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": {}})
    ministack._emit_execution_status_event(execution)


def fail_execution(execution: dict, error: str, cause: str) -> None:
    """An execution that was stopped, or whose time is over, does not fail as well."""
    if execution["status"] == "RUNNING":
        _ministack_fail(execution, error, cause)


def alive() -> bool:
    """Whether what this thread works for still runs."""
    return all(one["status"] == "RUNNING" for one in living.get())


def session() -> str:
    """The name of the role's session: the state machine's, so that its clients are made once."""
    chain = living.get()
    return chain[0]["stateMachineArn"].rpartition(":")[2][:64] if chain else "states"


def pause(seconds: float) -> None:
    """Sleeps as long as that, unless the execution ends."""
    until = time.monotonic() + seconds * ministack._SFN_WAIT_SCALE
    while (left := until - time.monotonic()) > 0:
        if not alive():
            raise Ended()
        time.sleep(min(left, TICK))


def add_event(execution: dict, kind: str, details: dict | None = None) -> dict:
    """One event of the history, with the one before it in the same branch."""
    with _lock:
        event = {
            "id": len(execution["events"]) + 1,
            "previousEventId": _before.get(),
            "type": kind,
            "timestamp": datetime.now(timezone.utc)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            **(details or {}),
        }
        execution["events"].append(event)
    _before.set(event["id"])
    return event


def first_event() -> None:
    """This thread begins a history of its own."""
    _before.set(0)


def fits(value, name: str):
    """Gives `value` back; no result or output may be larger than 256 KiB."""
    if len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()) > LARGEST:
        why = f"The state/task '{name}' returned a result with a size exceeding the maximum number of bytes service limit."
        raise Error("States.DataLimitExceeded", why)
    return value


# Paths


def resolve_path(path: str, data):
    """A path's value. One that is not in the input ends the execution, as on AWS."""
    if path != "$" and _missing(path, data):
        raise Error("States.Runtime", f"The JSONPath '{path}' could not be found in the input")
    return _ministack_path(path, data)


def _missing(path: str, data) -> bool:
    if not path.startswith("$"):
        return False
    tokens = ministack._parse_jsonpath_tokens(path)
    if tokens is None:
        raise Error("States.Runtime", f"The JSONPath '{path}' is not known to the local AWS")
    for kind, value in tokens:
        if kind == "wildcard":
            return False
        if kind == "field" and isinstance(data, dict) and value in data:
            data = data[value]
        elif kind == "index" and isinstance(data, list) and -len(data) <= value < len(data):
            data = data[value]
        else:
            return True
    return False


def evaluate_rule(rule: dict, data, ctx=None) -> bool:
    """A rule of a Choice; `IsPresent` is true of a null that is there."""
    if "IsPresent" in rule and "Variable" in rule:
        path = rule["Variable"]
        missing = _missing(path[1:], ctx or {}) if path.startswith("$$.") else _missing(path, data)
        return (not missing) == rule["IsPresent"]
    return _ministack_rule(rule, data, ctx)


# Tasks


def execute_task(state: dict, given, execution: dict, ctx: dict):
    """A Task state: attempts until one succeeds, or none is left; gives its output and what is next."""
    if ministack._sfn_mock_config:
        return _ministack_task(state, given, execution, ctx)
    jsonata = ministack._state_query_language(state, ctx) == "JSONata"
    ctx.get("Execution", {}).setdefault("RoleArn", role.get())
    retries = Retries(state)
    while True:
        ctx["State"]["RetryCount"] = retries.count
        token = new_uuid()
        if ".waitForTaskToken" in state.get("Resource", ""):
            ctx["Task"] = {
                "Token": token
            }  # of this attempt: a late answer to an earlier one is none
        try:
            if jsonata:
                effective = ministack._apply_jsonata_arguments(state, given, ctx)
            else:
                effective = ministack._apply_parameters(
                    state, ministack._apply_input_path(state, given, ctx), ctx
                )
            result = _attempt(state, effective, execution, ctx, given, token)
            output = _output_of(state, given, ctx, result, jsonata)
            return fits(output, ctx["State"]["Name"]), ministack._next_or_end(state)
        except Error as why:
            if not alive():
                raise Ended() from None
            if not retries.again(why):
                return caught(state, given, ctx, why)


def _output_of(state: dict, given, ctx: dict, result, jsonata: bool):
    if jsonata:
        output = ministack._apply_jsonata_output(state, given, ctx, result=result, default=result)
        ministack._apply_state_assign(state, given, ctx, result=result)
        return output
    if selector := state.get("ResultSelector"):
        result = ministack._resolve_params_obj(selector, result, ctx)
    return ministack._apply_output_path(
        state, ministack._apply_result_path(state, given, result), ctx
    )


def _attempt(state: dict, effective, execution: dict, ctx: dict, given, token: str):
    resource, name = state.get("Resource", ""), ctx["State"]["Name"]
    kind, call = _named(resource)
    who = {"resourceType": kind, "resource": call}
    seconds = _seconds(state, "TimeoutSeconds", given, ctx)
    beat = _seconds(state, "HeartbeatSeconds", given, ctx)
    limits = {"timeoutInSeconds": seconds, "heartbeatInSeconds": beat}
    scheduled = who | {"parameters": json.dumps(effective)} | {k: v for k, v in limits.items() if v}
    add_event(execution, "TaskScheduled", {"taskScheduledEventDetails": scheduled})
    add_event(execution, "TaskStarted", {"taskStartedEventDetails": who})
    try:
        fits(effective, name)
        if ".waitForTaskToken" in resource:
            result = _call_back(resource, effective, execution, who, token, seconds, beat)
        else:
            result = _call(resource, effective, None if ":activity:" in resource else seconds)
        fits(result, name)
    except Error as why:
        if isinstance(why, Ended):
            raise
        timed_out = why.error in ("States.Timeout", "States.HeartbeatTimeout")
        event, key = ("TaskTimedOut", "taskTimedOut") if timed_out else ("TaskFailed", "taskFailed")
        add_event(
            execution, event, {f"{key}EventDetails": who | {"error": why.error, "cause": why.cause}}
        )
        raise
    add_event(
        execution,
        "TaskSucceeded",
        {"taskSucceededEventDetails": who | {"output": json.dumps(result)}},
    )
    return result


def _named(resource: str) -> tuple[str, str]:
    """`arn:aws:states:::lambda:invoke` is ("lambda", "invoke"), as the history names it."""
    if resource.startswith("arn:aws:states:::"):
        kind, _, call = resource.removeprefix("arn:aws:states:::").rpartition(":")
        return kind, call
    return ("activity" if ":activity:" in resource else "lambda"), resource


def _seconds(state: dict, field: str, given, ctx: dict):
    if f"{field}Path" in state:
        return ministack._resolve_path_or_ctx(state[f"{field}Path"], given, ctx)
    if isinstance(state.get(field), str):
        return ministack._jsonata_state_field(state, field, "number", given, ctx)
    return state.get(field)


def _begin(resource: str, effective) -> tuple[Future, threading.Event]:
    """The call in a thread of its own, and the way to tell it that nobody waits."""
    done, nobody = Future(), threading.Event()

    def work() -> None:
        over.set(nobody)
        try:
            done.set_result(ministack._invoke_resource(resource, effective))
        except Error as why:
            done.set_exception(why)
        except Exception as why:
            done.set_exception(Error("States.Runtime", f"{type(why).__name__}: {why}"))

    threading.Thread(
        target=contextvars.copy_context().run, args=(work,), daemon=True, name="task"
    ).start()
    return done, nobody


def _call(resource: str, effective, seconds):
    done, nobody = _begin(resource, effective)
    until = time.monotonic() + seconds if seconds else None
    while True:
        try:
            return done.result(timeout=TICK)
        except TimeoutError:
            if until and time.monotonic() > until:
                nobody.set()
                raise Error(
                    "States.Timeout", f"The task did not end in {seconds} seconds"
                ) from None
            if not alive():
                nobody.set()
                raise Ended() from None


def _call_back(resource: str, effective, execution: dict, who: dict, token: str, seconds, beat):
    """Calls, then waits for whoever has the token. A call that fails is a task that fails."""
    now = time.monotonic()
    waiting = {
        "event": threading.Event(),
        "result": None,
        "error": None,
        "heartbeat": None,
        "beat": now,
    }
    ministack._task_tokens[token] = waiting
    until = now + seconds if seconds else None
    done, nobody = _begin(resource.replace(".waitForTaskToken", ""), effective)
    submitted = False
    try:
        while not waiting["event"].wait(TICK):
            now = time.monotonic()
            if done.done():
                if why := done.exception():
                    raise why
                if not submitted:
                    submitted = True
                    add_event(execution, "TaskSubmitted", {"taskSubmittedEventDetails": who})
            if until and now > until:
                raise Error("States.Timeout", f"Nobody called back in {seconds} seconds")
            if beat and now - waiting["beat"] > beat:
                raise Error("States.HeartbeatTimeout", f"No heartbeat for {beat} seconds")
            if not alive():
                raise Ended()
    finally:
        nobody.set()
        with _lock:
            ministack._task_tokens.pop(token, None)
            _closed.add(token)
    if waiting["error"]:
        raise Error(waiting["error"]["Error"], waiting["error"]["Cause"])
    return json.loads(waiting["result"])


def send_task_success(data: dict):
    """SendTaskSuccess: its output must be JSON."""
    output = data.get("output")
    try:
        json.loads(output)
    except (TypeError, ValueError):
        return error_response_json("InvalidOutput", "Invalid Output: the output is no JSON", 400)
    if len(output.encode()) > LARGEST:
        return error_response_json(
            "InvalidOutput", f"Invalid Output: more than {LARGEST} bytes", 400
        )
    return _answer(data, "result", output)


def send_task_failure(data: dict):
    """SendTaskFailure."""
    return _answer(data, "error", {"Error": data.get("error", ""), "Cause": data.get("cause", "")})


def send_task_heartbeat(data: dict):
    """SendTaskHeartbeat: the clock of HeartbeatSeconds starts anew."""
    return _answer(data, "beat", time.monotonic())


def _answer(data: dict, key: str, value):
    """Hands an answer to the task that waits; the first one counts."""
    token = data.get("taskToken")
    with _lock:
        waiting = ministack._task_tokens.get(token)
        if token in _closed or (waiting and waiting["event"].is_set()):
            why = "Task Timed Out: 'Provided task does not exist anymore'"
            return error_response_json("TaskTimedOut", why, 400)
        if not waiting:
            return error_response_json("TaskDoesNotExist", "Task does not exist", 400)
        waiting[key] = value
        if key != "beat":
            waiting["event"].set()
    return json_response({})


# Retry and Catch


def error_matches(names: list[str], error: str) -> bool:
    """Whether ErrorEquals names the error: its wildcards leave out what cannot be caught."""
    if error in _UNCATCHABLE:
        return False
    if error in names:
        return True
    if error == "States.DataLimitExceeded":
        return False
    return "States.ALL" in names or ("States.TaskFailed" in names and error != "States.Timeout")


class Retries:
    """How often a state was tried again, by each of its retriers."""

    def __init__(self, state: dict):
        self.retriers, self.counts = state.get("Retry", []), {}

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    def again(self, why: Error) -> bool:
        """Waits as the retrier says; False where none is left."""
        retrier, number = ministack._find_matching_retrier(self.retriers, why.error, self.counts)
        if retrier is None:
            return False
        tried = self.counts.get(number, 0)
        delay = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** tried
        delay = min(delay, retrier.get("MaxDelaySeconds", delay))
        if retrier.get("JitterStrategy") == "FULL":
            delay = random.uniform(0, delay)
        self.counts[number] = tried + 1
        pause(delay)
        return True


def caught(state: dict, given, ctx: dict, why: Error):
    """The output and the next state of the catcher; the error itself where there is none."""
    catcher = ministack._find_matching_catcher(state.get("Catch", []), why.error)
    if catcher is None:
        raise why
    language = ministack._state_query_language(state, ctx)
    said = {"Error": why.error, "Cause": why.cause}
    return ministack._apply_catcher(catcher, given, ctx, language, said), catcher["Next"]


def with_retry_and_catch(state: dict, given, ctx: dict, attempt):
    """A Map or Parallel state: the same rules as for a task."""
    own, retries = ctx["State"], Retries(state)
    while True:
        ctx["State"] = {**own, "RetryCount": retries.count}
        try:
            return attempt()
        except Error as why:
            if not alive():
                raise Ended() from None
            if not retries.again(why):
                return caught(state, given, ctx, why)


# States within a Map or a Parallel


def run_sub_machine(states: dict, start: str, given, execution: dict, ctx: dict):
    """Runs the states of a branch to their end, each in the history."""
    name, current, ctx = start, copy.deepcopy(given), {**ctx}
    while name:
        if not alive():
            raise Ended()
        state = states.get(name)
        if not state:
            raise Error("States.Runtime", f"State '{name}' not found")
        kind = state.get("Type")
        ctx["State"] = {"Name": name, "EnteredTime": now_iso(), "RetryCount": 0}
        entered = {"name": name, "input": json.dumps(current)}
        add_event(execution, f"{kind}StateEntered", {"stateEnteredEventDetails": entered})
        current, after = _run_state(kind, state, current, execution, ctx)
        exited = {"name": name, "output": json.dumps(current)}
        add_event(execution, f"{kind}StateExited", {"stateExitedEventDetails": exited})
        name = after
    return current


def _run_state(kind: str, state: dict, current, execution: dict, ctx: dict):
    if kind == "Succeed":
        read = ministack._apply_input_path(state, current, ctx)
        return ministack._apply_output_path(state, read, ctx), None
    if kind == "Fail":
        raise Error(*ministack._fail_state_error(state, current, ctx))
    if kind in ("Task", "Parallel", "Map"):
        return getattr(ministack, f"_execute_{kind.lower()}")(state, current, execution, ctx)
    if kind in ("Pass", "Choice", "Wait"):
        return getattr(ministack, f"_execute_{kind.lower()}")(state, current, ctx)
    raise Error("States.Runtime", f"Unknown state type: {kind}")
