"""Step Functions runs a workflow as AWS does: time-outs, retries, tokens, maps, history."""

import io
import json
import sys
import time
import uuid
import zipfile

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::000000000000:role/test"
ECHO = "def handler(event, context):\n    return event\n"
# A function as ours are: it speaks the Runtime API itself, and gives its error a word.
FAIL = f"""#!{sys.executable}
import json, os, urllib.request
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(api + "next") as event:
        number = event.headers["Lambda-Runtime-Aws-Request-Id"]
    why = json.dumps({{"errorType": "Busy", "errorMessage": "no room"}}).encode()
    urllib.request.urlopen(urllib.request.Request(api + number + "/error", data=why, method="POST")).read()
"""


class Workflows:
    """State machines of one test."""

    def __init__(self, aws, until):
        self.aws, self.until, self.states = aws, until, aws.stepfunctions

    def make(self, states: dict, start: str | None = None, **more) -> str:
        definition = {"StartAt": start or next(iter(states)), "States": states, **more}
        name = f"test-{uuid.uuid4().hex[:8]}"
        return self.states.create_state_machine(
            name=name, definition=json.dumps(definition), roleArn=ROLE
        )["stateMachineArn"]

    def start(self, machine: str, given=None, **more) -> str:
        return self.states.start_execution(
            stateMachineArn=machine, input=json.dumps({} if given is None else given), **more
        )["executionArn"]

    def ended(self, execution: str, seconds: float = 40) -> dict:
        def found():
            told = self.states.describe_execution(executionArn=execution)
            return told if told["status"] != "RUNNING" else None

        return self.until(found, seconds)

    def run(self, states: dict, given=None, **more) -> dict:
        return self.ended(self.start(self.make(states, **more), given))

    def good(self, states: dict, given=None, **more):
        done = self.run(states, given, **more)
        assert done["status"] == "SUCCEEDED", done
        return json.loads(done["output"])

    def bad(self, states: dict, given=None, **more) -> tuple[str, str]:
        done = self.run(states, given, **more)
        assert done["status"] == "FAILED", done
        return done["error"], done.get("cause", "")

    def history(self, execution: str) -> list[dict]:
        pages = self.states.get_paginator("get_execution_history").paginate(executionArn=execution)
        return [event for page in pages for event in page["events"]]


@pytest.fixture
def workflows(aws, until):
    return Workflows(aws, until)


def task(resource: str, parameters=None, **more) -> dict:
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::{resource}",
        **({"Parameters": parameters} if parameters is not None else {}),
        **({} if "Next" in more else {"End": True}),
        **more,
    }


@pytest.fixture(scope="module")
def echo(aws):
    return aws.function(ECHO)


@pytest.fixture(scope="module")
def fail(aws):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        file = zipfile.ZipInfo("bootstrap")
        file.external_attr = 0o755 << 16
        archive.writestr(file, FAIL)
    return getattr(aws, "lambda").create_function(
        FunctionName=f"test-{uuid.uuid4().hex[:8]}",
        Runtime="provided.al2023",
        Role=ROLE,
        Handler="bootstrap",
        Code={"ZipFile": packed.getvalue()},
        Timeout=20,
    )["FunctionArn"]


# Executions


def test_the_same_name_and_input_is_the_same_execution_while_it_runs(workflows):
    machine = workflows.make({"Wait": {"Type": "Wait", "Seconds": 4, "End": True}})
    first = workflows.start(machine, {"a": 1}, name="run-1")
    assert workflows.start(machine, {"a": 1}, name="run-1") == first
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        workflows.start(machine, {"a": 2}, name="run-1")
    workflows.ended(first)
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        workflows.start(machine, {"a": 1}, name="run-1")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"name": "a b"}, "InvalidName"),
        ({"name": "a/b"}, "InvalidName"),
        ({"input": "{"}, "InvalidExecutionInput"),
        ({"input": json.dumps("x" * 262_144)}, "ValidationException"),
    ],
)
def test_a_start_that_is_refused(workflows, more, code):
    machine = workflows.make({"Pass": {"Type": "Pass", "End": True}})
    with pytest.raises(ClientError) as why:
        workflows.states.start_execution(stateMachineArn=machine, **more)
    assert why.value.response["Error"]["Code"] == code


def test_an_execution_has_its_own_time_out(workflows):
    done = workflows.run({"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}, TimeoutSeconds=1)
    assert done["status"] == "TIMED_OUT"
    assert (done["stopDate"] - done["startDate"]).total_seconds() < 5


def test_a_stopped_execution_stays_aborted(workflows, echo):
    wait = task(
        "lambda:invoke.waitForTaskToken",
        {"FunctionName": echo, "Payload": {"t.$": "$$.Task.Token"}},
    )
    execution = workflows.start(workflows.make({"Wait": wait}))
    workflows.until(lambda: "TaskStarted" in str(workflows.history(execution)))
    workflows.states.stop_execution(executionArn=execution)
    time.sleep(1)
    done = workflows.ended(execution)
    assert done["status"] == "ABORTED"
    assert workflows.history(execution)[-1]["type"] == "ExecutionAborted"


def test_the_end_of_an_execution_is_an_event(aws, workflows):
    queue = f"test-{uuid.uuid4().hex[:8]}"
    url = aws.sqs.create_queue(QueueName=queue)["QueueUrl"]
    machine = workflows.make(
        {"Fail": {"Type": "Fail", "Error": "Model.Worse", "Cause": "0.7 < 0.8"}}
    )
    pattern = {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"stateMachineArn": [machine], "status": ["FAILED"]},
    }
    aws.events.put_rule(Name=queue, EventPattern=json.dumps(pattern))
    target = {"Id": "q", "Arn": f"arn:aws:sqs:us-east-1:000000000000:{queue}"}
    aws.events.put_targets(Rule=queue, Targets=[target])
    workflows.start(machine)
    message = workflows.until(lambda: aws.sqs.receive_message(QueueUrl=url).get("Messages"))[0]
    detail = json.loads(message["Body"])["detail"]
    assert (detail["error"], detail["cause"]) == ("Model.Worse", "0.7 < 0.8")


# Paths


def test_a_path_that_is_not_in_the_input_ends_the_execution(workflows, echo):
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    states = {
        "Ask": task(
            "lambda:invoke", {"FunctionName": echo, "Payload": {"x.$": "$.nothing"}}, Catch=catch
        ),
        "Caught": {"Type": "Pass", "End": True},
    }
    error, cause = workflows.bad(states)
    assert error == "States.Runtime" and "'$.nothing' could not be found" in cause
    error, _ = workflows.bad({"Pass": {"Type": "Pass", "InputPath": "$.nothing", "End": True}})
    assert error == "States.Runtime"
    choice = {
        "Type": "Choice",
        "Choices": [{"Variable": "$.no", "IsNull": True, "Next": "Yes"}],
        "Default": "Yes",
    }
    error, _ = workflows.bad({"Choice": choice, "Yes": {"Type": "Succeed"}})
    assert error == "States.Runtime"


def test_is_present_is_true_of_a_null(workflows):
    rule = {"Variable": "$.serving", "IsPresent": True, "Next": "There"}
    states = {
        "Choice": {"Type": "Choice", "Choices": [rule], "Default": "Not"},
        "There": {"Type": "Pass", "Result": "there", "End": True},
        "Not": {"Type": "Pass", "Result": "not", "End": True},
    }
    assert workflows.good(states, {"serving": None}) == "there"
    assert workflows.good(states, {}) == "not"


def test_a_result_over_256_kib_cannot_be_caught_by_all(aws, workflows):
    large = aws.function("def handler(event, context):\n    return 'x' * event['n']\n")
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    ask = task(
        "lambda:invoke",
        {"FunctionName": large, "Payload.$": "$"},
        OutputPath="$.Payload",
        Catch=catch,
    )
    states = {"Ask": ask, "Caught": {"Type": "Pass", "End": True}}
    assert len(workflows.good(states, {"n": 200_000})) == 200_000
    assert workflows.bad(states, {"n": 262_144})[0] == "States.DataLimitExceeded"


# Tasks


def test_retries_wait_as_they_say(workflows, fail):
    retry = [
        {"ErrorEquals": ["Never"], "MaxAttempts": 9},
        {
            "ErrorEquals": ["Busy"],
            "IntervalSeconds": 1,
            "BackoffRate": 3,
            "MaxDelaySeconds": 2,
            "MaxAttempts": 2,
        },
    ]
    catch = [{"ErrorEquals": ["Busy"], "ResultPath": "$.why", "Next": "Caught"}]
    states = {
        "Ask": task(
            "lambda:invoke", {"FunctionName": fail, "Payload": {}}, Retry=retry, Catch=catch
        ),
        "Caught": {"Type": "Pass", "End": True},
    }
    execution = workflows.start(workflows.make(states), {"kept": 1})
    done = workflows.ended(execution)
    output = json.loads(done["output"])
    assert output["kept"] == 1 and output["why"]["Error"] == "Busy"
    assert json.loads(output["why"]["Cause"])["errorMessage"] == "no room"
    begun = [e["timestamp"] for e in workflows.history(execution) if e["type"] == "TaskScheduled"]
    waits = [(b - a).total_seconds() for a, b in zip(begun, begun[1:], strict=False)]
    assert len(begun) == 3 and 1 <= waits[0] < 4 and 2 <= waits[1] < 5


def test_a_history_tells_states_attempts_and_times(workflows, fail, echo):
    states = {
        "First": task("lambda:invoke", {"FunctionName": echo, "Payload": {"a": 1}}, Next="Second"),
        "Second": task(
            "lambda:invoke",
            {"FunctionName": fail, "Payload": {}},
            Retry=[{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}],
        ),
    }
    execution = workflows.start(workflows.make(states))
    assert workflows.ended(execution)["error"] == "Busy"
    events = workflows.history(execution)
    assert [e["id"] for e in events] == list(range(1, len(events) + 1))
    assert [e["type"] for e in events] == [
        "ExecutionStarted",
        *("TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskStateExited"),
        *("TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskFailed"),
        *("TaskScheduled", "TaskStarted", "TaskFailed"),
        "ExecutionFailed",
    ]
    assert all(e["previousEventId"] == e["id"] - 1 for e in events[2:])
    assert [
        e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e
    ] == ["First", "Second"]
    scheduled = events[2]["taskScheduledEventDetails"]
    assert (scheduled["resourceType"], scheduled["resource"]) == ("lambda", "invoke")
    assert events == sorted(events, key=lambda e: e["timestamp"])


def test_a_task_that_is_too_slow_times_out(aws, workflows):
    slow = aws.function("import time\ndef handler(event, context):\n    time.sleep(8)\n")
    states = {
        "Ask": task(
            "lambda:invoke",
            {"FunctionName": slow, "Payload": {}},
            TimeoutSeconds=1,
            Catch=[{"ErrorEquals": ["States.Timeout"], "Next": "Late"}],
        ),
        "Late": {"Type": "Pass", "Result": "late", "End": True},
    }
    began = time.monotonic()
    assert workflows.good(states) == "late" and time.monotonic() - began < 6


class Tokens:
    """Tokens that a workflow hands out through a queue."""

    def __init__(self, aws, until):
        self.aws, self.until = aws, until
        self.url = aws.sqs.create_queue(QueueName=f"test-{uuid.uuid4().hex[:8]}")["QueueUrl"]

    def state(self, **more) -> dict:
        body = {"QueueUrl": self.url, "MessageBody": {"token.$": "$$.Task.Token"}}
        return task("sqs:sendMessage.waitForTaskToken", body, **more)

    def next(self) -> str:
        message = self.until(
            lambda: self.aws.sqs.receive_message(QueueUrl=self.url).get("Messages")
        )[0]
        self.aws.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return json.loads(message["Body"])["token"]


@pytest.fixture
def tokens(aws, until):
    return Tokens(aws, until)


def test_no_heartbeat_is_its_own_error(workflows, tokens):
    began = time.monotonic()
    error, _ = workflows.bad({"Wait": tokens.state(HeartbeatSeconds=1, TimeoutSeconds=60)})
    assert error == "States.HeartbeatTimeout" and time.monotonic() - began < 8


def test_heartbeats_keep_a_task_alive(workflows, tokens):
    execution = workflows.start(
        workflows.make({"Wait": tokens.state(HeartbeatSeconds=2, TimeoutSeconds=60)})
    )
    token = tokens.next()
    for _ in range(6):
        time.sleep(0.7)
        workflows.states.send_task_heartbeat(taskToken=token)
    workflows.states.send_task_success(taskToken=token, output='{"rows": 3}')
    done = workflows.ended(execution)
    assert done["status"] == "SUCCEEDED" and json.loads(done["output"]) == {"rows": 3}
    with pytest.raises(ClientError, match="TaskTimedOut"):
        workflows.states.send_task_success(taskToken=token, output="1")


def test_each_attempt_has_a_token_of_its_own(workflows, tokens):
    retry = [{"ErrorEquals": ["States.HeartbeatTimeout"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    execution = workflows.start(
        workflows.make({"Wait": tokens.state(HeartbeatSeconds=2, Retry=retry)})
    )
    first = tokens.next()
    second = tokens.next()
    assert first != second
    with pytest.raises(ClientError, match="TaskTimedOut"):  # whoever is late speaks for nobody
        workflows.states.send_task_success(taskToken=first, output='"late"')
    workflows.states.send_task_success(taskToken=second, output='"good"')
    assert json.loads(workflows.ended(execution)["output"]) == "good"


def test_an_answer_is_checked_and_a_failure_has_its_word(workflows, tokens):
    execution = workflows.start(workflows.make({"Wait": tokens.state()}))
    token = tokens.next()
    with pytest.raises(ClientError, match="InvalidOutput"):
        workflows.states.send_task_success(taskToken=token, output="no JSON")
    with pytest.raises(ClientError, match="TaskDoesNotExist|InvalidToken"):
        workflows.states.send_task_success(taskToken="nobody", output="1")
    workflows.states.send_task_failure(taskToken=token, error="Input.Invalid", cause="no rows")
    done = workflows.ended(execution)
    assert (done["error"], done["cause"]) == ("Input.Invalid", "no rows")


def test_a_function_that_fails_before_it_calls_back_fails_its_task(workflows, fail):
    payload = {"token.$": "$$.Task.Token"}
    state = task(
        "lambda:invoke.waitForTaskToken",
        {"FunctionName": fail, "Payload": payload},
        TimeoutSeconds=60,
    )
    began = time.monotonic()
    assert workflows.bad({"Ask": state})[0] == "Busy" and time.monotonic() - began < 15


# Maps


def distributed(states: dict, **more) -> dict:
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    processor = {"ProcessorConfig": config, "StartAt": next(iter(states)), "States": states}
    return {
        "Type": "Map",
        "ItemProcessor": processor,
        "Label": "Buckets",
        **({} if "Next" in more else {"End": True}),
        **more,
    }


ONE = {"One": {"Type": "Pass", "End": True}}


def test_items_come_in_batches(workflows):
    batcher = {"MaxItemsPerBatch": 3, "BatchInput": {"run.$": "$.run"}}
    state = distributed(
        ONE, ItemsPath="$.buckets", ItemSelector={"b.$": "$$.Map.Item.Value"}, ItemBatcher=batcher
    )
    result = workflows.good({"Map": state}, {"buckets": list(range(7)), "run": "r1"})
    assert result == [
        {"BatchInput": {"run": "r1"}, "Items": [{"b": n} for n in some]}
        for some in ([0, 1, 2], [3, 4, 5], [6])
    ]
    by_size = distributed(ONE, ItemsPath="$.texts", ItemBatcher={"MaxInputBytesPerBatch": 120})
    result = workflows.good({"Map": by_size}, {"texts": ["x" * 40] * 5})
    assert [len(batch["Items"]) for batch in result] == [2, 2, 1]


def test_a_child_is_an_execution_of_its_own(workflows):
    shown = {
        "id.$": "$$.Execution.Id",
        "input.$": "$$.Execution.Input",
        "name.$": "$$.Execution.Name",
    }
    states = {"Show": {"Type": "Pass", "Parameters": shown, "End": True}}
    state = distributed(states, ItemsPath="$.items", ItemSelector={"n.$": "$$.Map.Item.Value"})
    execution = workflows.start(workflows.make({"Map": state}), {"items": [1, 2]}, name="parent")
    told = json.loads(workflows.ended(execution)["output"])
    assert [one["input"] for one in told] == [{"n": 1}, {"n": 2}]
    assert all("/Buckets:" in one["id"] and one["name"] != "parent" for one in told)
    history = [e["type"] for e in workflows.history(told[0]["id"])]
    assert history == [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "ExecutionSucceeded",
    ]
    assert {"MapStateStarted", "MapRunStarted", "MapRunSucceeded"} <= {
        e["type"] for e in workflows.history(execution)
    }


def test_results_are_written_as_files(aws, workflows):
    bucket = aws.bucket()
    fails = {"Variable": "$.n", "NumericEquals": 2, "Next": "No"}
    states = {
        "Ask": {"Type": "Choice", "Choices": [fails], "Default": "Yes"},
        "No": {"Type": "Fail", "Error": "Input.Invalid", "Cause": "two"},
        "Yes": {"Type": "Pass", "End": True},
    }
    writer = {
        "Resource": "arn:aws:states:::s3:putObject",
        "Parameters": {"Bucket.$": "$.bucket", "Prefix": "results/"},
    }
    state = distributed(states, ItemsPath="$.items", ResultWriter=writer, ToleratedFailureCount=1)
    given = {"items": [{"n": n} for n in (1, 2, 3)], "bucket": bucket}
    told = workflows.good({"Map": state}, given)
    details = told["ResultWriterDetails"]
    assert details["Bucket"] == bucket and details["Key"].endswith("/manifest.json")
    assert told["MapRunArn"].rpartition(":")[2] in details["Key"]
    manifest = json.loads(aws.read(bucket, details["Key"]))
    assert manifest["DestinationBucket"] == bucket and manifest["ResultFiles"]["PENDING"] == []
    good = json.loads(aws.read(bucket, manifest["ResultFiles"]["SUCCEEDED"][0]["Key"]))
    assert [json.loads(one["Output"]) for one in good] == [{"n": 1}, {"n": 3}]
    bad = json.loads(aws.read(bucket, manifest["ResultFiles"]["FAILED"][0]["Key"]))
    assert [(one["Status"], one["Error"], one["Cause"]) for one in bad] == [
        ("FAILED", "Input.Invalid", "two")
    ]


@pytest.mark.parametrize(
    ("tolerated", "good"),
    [
        ({}, False),
        ({"ToleratedFailureCount": 2}, True),
        ({"ToleratedFailureCount": 1}, False),
        ({"ToleratedFailurePercentage": 50}, True),
        ({"ToleratedFailurePercentage": 49}, False),
        ({"ToleratedFailureCountPath": "$.most"}, True),
    ],
)
def test_failures_are_tolerated_up_to_a_threshold(workflows, tolerated, good):
    fails = {"Variable": "$", "NumericLessThan": 2, "Next": "No"}
    states = {
        "Ask": {"Type": "Choice", "Choices": [fails], "Default": "Yes"},
        "No": {"Type": "Fail", "Error": "Input.Invalid"},
        "Yes": {"Type": "Pass", "End": True},
    }
    state = {"Map": distributed(states, ItemsPath="$.items", **tolerated)}
    given = {"items": [0, 1, 2, 3], "most": 2}
    if good:
        assert [x for x in workflows.good(state, given) if isinstance(x, int)] == [2, 3]
    else:
        assert workflows.bad(state, given)[0] == "States.ExceedToleratedFailureThreshold"


@pytest.mark.parametrize("mode", ["DISTRIBUTED", "INLINE"])
def test_concurrency_is_limited_and_a_failure_stops_what_has_not_begun(aws, workflows, mode):
    bucket = aws.bucket()
    fails = {"Variable": "$.n", "NumericEquals": 0, "Next": "No"}
    note = {"Bucket": bucket, "Key.$": "States.Format('{}', $.n)", "Body.$": "$"}
    states = {
        "Note": task("aws-sdk:s3:putObject", note, ResultPath=None, Next="Wait"),
        "Wait": {"Type": "Wait", "Seconds": 1, "Next": "Ask"},
        "Ask": {"Type": "Choice", "Choices": [fails], "Default": "Yes"},
        "No": {"Type": "Fail", "Error": "Input.Invalid"},
        "Yes": {"Type": "Pass", "End": True},
    }
    state = distributed(states, ItemsPath="$.items", MaxConcurrency=2)
    state["ItemProcessor"]["ProcessorConfig"] = {"Mode": mode, "ExecutionType": "STANDARD"}
    error, _ = workflows.bad({"Map": state}, {"items": [{"n": n} for n in range(8)]})
    assert error == (
        "Input.Invalid" if mode == "INLINE" else "States.ExceedToleratedFailureThreshold"
    )
    assert {"0", "1"} <= set(aws.keys(bucket)) <= {"0", "1", "2"}


def test_tokens_of_items_side_by_side_do_not_mix(aws, workflows, tokens):
    body = {"QueueUrl": tokens.url, "MessageBody": {"token.$": "$$.Task.Token", "n.$": "$.n"}}
    states = {"Ask": task("sqs:sendMessage.waitForTaskToken", body, HeartbeatSeconds=20)}
    state = distributed(states, ItemsPath="$.items")
    execution = workflows.start(
        workflows.make({"Map": state}), {"items": [{"n": n} for n in range(5)]}
    )
    seen = 0

    def answer():
        nonlocal seen
        for message in aws.sqs.receive_message(QueueUrl=tokens.url, MaxNumberOfMessages=10).get(
            "Messages", []
        ):
            told = json.loads(message["Body"])
            workflows.states.send_task_success(
                taskToken=told["token"], output=json.dumps(told["n"] * 10)
            )
            aws.sqs.delete_message(QueueUrl=tokens.url, ReceiptHandle=message["ReceiptHandle"])
            seen += 1
        return seen == 5

    workflows.until(answer)
    assert json.loads(workflows.ended(execution)["output"]) == [0, 10, 20, 30, 40]


# Calls to other services


def test_a_nested_execution_gives_its_output_as_json(workflows):
    child = workflows.make(
        {"Add": {"Type": "Pass", "Result": {"auc": 0.9}, "ResultPath": "$.metrics", "End": True}}
    )
    state = task(
        "states:startExecution.sync:2",
        {"StateMachineArn": child, "Input": {"run.$": "$.run"}, "Name.$": "$.run"},
    )
    told = workflows.good({"Child": state}, {"run": "r-1"})
    assert (
        told["Output"] == {"run": "r-1", "metrics": {"auc": 0.9}} and told["Status"] == "SUCCEEDED"
    )
    assert told["Name"] == "r-1"
    error, _ = workflows.bad({"Child": state}, {"run": "r-1"})
    assert error == "StepFunctions.ExecutionAlreadyExistsException"
    state = task("states:startExecution.sync", {"StateMachineArn": child, "Input": {"run": "x"}})
    assert json.loads(workflows.good({"Child": state})["Output"])["run"] == "x"


def test_a_nested_failure_is_task_failed_with_the_childs_words_in_its_cause(workflows):
    child = workflows.make(
        {"Fail": {"Type": "Fail", "Error": "Endpoint.Failed", "Cause": "no ping"}}
    )
    state = task("states:startExecution.sync:2", {"StateMachineArn": child, "Input": {}})
    error, cause = workflows.bad({"Child": state})
    told = json.loads(cause)
    assert error == "States.TaskFailed"
    assert (told["Status"], told["Error"], told["Cause"]) == (
        "FAILED",
        "Endpoint.Failed",
        "no ping",
    )


def test_a_stopped_parent_stops_its_child(workflows):
    child = workflows.make({"Wait": {"Type": "Wait", "Seconds": 600, "End": True}})
    state = task(
        "states:startExecution.sync:2", {"StateMachineArn": child, "Input": {}, "Name": "child"}
    )
    parent = workflows.start(workflows.make({"Child": state}))
    arn = child.replace(":stateMachine:", ":execution:") + ":child"

    def status():
        try:
            return workflows.states.describe_execution(executionArn=arn)["status"]
        except ClientError:
            return None

    workflows.until(lambda: status() == "RUNNING")
    workflows.states.stop_execution(executionArn=parent)
    workflows.until(lambda: status() == "ABORTED")


def test_s3_is_read_and_written(aws, workflows):
    bucket = aws.bucket()
    where = {"Bucket": bucket, "Key": "evaluation.json"}
    states = {
        "Write": task(
            "aws-sdk:s3:putObject", {**where, "Body.$": "$"}, ResultPath="$.written", Next="Read"
        ),
        "Read": task(
            "aws-sdk:s3:getObject",
            where,
            ResultSelector={"read.$": "States.StringToJson($.Body)", "run.$": "$$.Execution.Name"},
        ),
    }
    done = workflows.ended(workflows.start(workflows.make(states), {"auc": 0.9}, name="run-9"))
    assert json.loads(done["output"]) == {"read": {"auc": 0.9}, "run": "run-9"}
    assert json.loads(aws.read(bucket, "evaluation.json")) == {"auc": 0.9}
    missing = {"Read": task("aws-sdk:s3:getObject", {**where, "Key": "nothing"})}
    assert workflows.bad(missing)[0] == "S3.NoSuchKeyException"
    again = {"Write": task("aws-sdk:s3:putObject", {**where, "Body": {}, "IfNoneMatch": "*"})}
    assert workflows.bad(again)[0] == "S3.S3Exception"


def test_a_mapping_is_paused_and_resumed(aws, workflows, echo):
    _, stream = aws.stream()
    mapping = getattr(aws, "lambda").create_event_source_mapping(
        EventSourceArn=stream, FunctionName=echo, StartingPosition="LATEST"
    )["UUID"]
    states = {
        "Pause": task(
            "aws-sdk:lambda:updateEventSourceMapping",
            {"Uuid": mapping, "Enabled": False},
            Next="Ask",
        ),
        "Ask": task("aws-sdk:lambda:getEventSourceMapping", {"Uuid": mapping}),
    }
    told = workflows.good(states)
    assert told["State"] in ("Disabling", "Disabled") and told["Uuid"] == mapping
    states["Pause"]["Parameters"]["Enabled"] = True
    assert workflows.good(states)["State"] in ("Enabling", "Enabled")
    error, _ = workflows.bad(
        {"Ask": task("aws-sdk:lambda:getEventSourceMapping", {"Uuid": str(uuid.uuid4())})}
    )
    assert error == "Lambda.ResourceNotFoundException"
    getattr(aws, "lambda").delete_event_source_mapping(UUID=mapping)


def test_a_condition_on_a_table_is_an_error_by_name(aws, workflows):
    table = f"test-{uuid.uuid4().hex[:8]}"
    aws.dynamodb.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    item = {"pk": {"S": "lease#cards"}, "held": {"BOOL": True}}
    put = task(
        "dynamodb:putItem",
        {"TableName": table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"},
    )
    assert workflows.run({"Lease": put})["status"] == "SUCCEEDED"
    assert workflows.bad({"Lease": put})[0] == "DynamoDB.ConditionalCheckFailedException"
    get = task(
        "dynamodb:getItem",
        {"TableName": table, "Key": {"pk": {"S": "lease#cards"}}, "ConsistentRead": True},
    )
    assert workflows.good({"Get": get})["Item"] == item
    get["Parameters"]["Key"] = {"pk": {"S": "nobody"}}
    assert "Item" not in workflows.good({"Get": get})


def test_records_go_to_a_stream(aws, workflows):
    name, _ = aws.stream()
    put = {"StreamName": name, "PartitionKey": "k", "Data": {"_leat_sentinel": "r1"}}
    told = workflows.good({"Put": task("aws-sdk:kinesis:putRecord", put)})
    assert told["ShardId"].startswith("shardId-") and told["SequenceNumber"]


def test_glue_is_waited_for_and_its_failure_caught(aws, workflows):
    bucket, name = aws.bucket(), f"test-{uuid.uuid4().hex[:8]}"
    script = "import sys\nif 'bad' in sys.argv: raise ValueError('the manifest is empty')\n"
    aws.s3.put_object(Bucket=bucket, Key="job.py", Body=script.encode())
    command = {"Name": "glueetl", "ScriptLocation": f"s3://{bucket}/job.py"}
    aws.glue.create_job(Name=name, Role=ROLE, Command=command, GlueVersion="5.0")
    given = {"JobName": name, "Arguments": {"--word.$": "$.word"}}
    told = workflows.good({"Run": task("glue:startJobRun.sync", given)}, {"word": "good"})
    assert told["JobRunState"] == "SUCCEEDED" and told["Id"].startswith("jr_")
    error, cause = workflows.bad({"Run": task("glue:startJobRun.sync", given)}, {"word": "bad"})
    assert (
        error == "States.TaskFailed"
        and "the manifest is empty" in json.loads(cause)["ErrorMessage"]
    )
    assert set(workflows.good({"Run": task("glue:startJobRun", given)}, {"word": "good"})) == {
        "JobRunId"
    }
    error, _ = workflows.bad({"Run": task("glue:startJobRun", {"JobName": "test-none"})})
    assert error == "Glue.EntityNotFoundException"


def test_an_integration_that_is_not_there_fails_loudly(workflows):
    assert workflows.bad({"Ask": task("sagemaker:createEndpoint.sync", {})})[0] == "States.Runtime"
    assert workflows.bad({"Ask": task("aws-sdk:s3:getObjekt", {})})[0] == "States.Runtime"


# SageMaker


def training(bucket: str, name: str, rounds: str = "3") -> dict:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/train/"}
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {
            "TrainingImage": "sagemaker-xgboost:1.7-1",
            "TrainingInputMode": "File",
        },
        "RoleArn": ROLE,
        "HyperParameters": {"num_round": rounds, "objective": "binary:logistic"},
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "ContentType": "text/csv",
                "DataSource": {"S3DataSource": source},
            }
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/out/"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }


def test_a_model_is_trained_and_put_in_service(aws, workflows):
    bucket, name = aws.bucket(), f"test-{uuid.uuid4().hex[:8]}"
    aws.s3.put_object(Bucket=bucket, Key="train/0.csv", Body=b"1,0.9\n0,0.1\n" * 50)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    container = {
        "Image": "sagemaker-xgboost:1.7-1",
        "ModelDataUrl.$": "$.job.ModelArtifacts.S3ModelArtifacts",
    }
    in_service = {
        "Variable": "$.endpoint.EndpointStatus",
        "StringEquals": "InService",
        "Next": "Done",
    }
    failed = {"Variable": "$.endpoint.EndpointStatus", "StringEquals": "Failed", "Next": "No"}
    states = {
        "Train": task(
            "sagemaker:createTrainingJob.sync",
            training(bucket, name),
            ResultPath="$.job",
            Next="Model",
        ),
        "Model": task(
            "sagemaker:createModel",
            {"ModelName": name, "PrimaryContainer": container, "ExecutionRoleArn": ROLE},
            ResultPath=None,
            Next="Config",
        ),
        "Config": task(
            "sagemaker:createEndpointConfig",
            {"EndpointConfigName": name, "ProductionVariants": [variant]},
            ResultPath=None,
            Next="Endpoint",
        ),
        "Endpoint": task(
            "sagemaker:createEndpoint",
            {"EndpointName": name, "EndpointConfigName": name},
            ResultPath=None,
            Next="Wait",
        ),
        "Wait": {"Type": "Wait", "Seconds": 1, "Next": "Look"},
        "Look": task(
            "aws-sdk:sagemaker:describeEndpoint",
            {"EndpointName": name},
            ResultPath="$.endpoint",
            Next="Ready",
        ),
        "Ready": {"Type": "Choice", "Choices": [in_service, failed], "Default": "Wait"},
        "No": {"Type": "Fail", "Error": "Endpoint.Failed", "CausePath": "$.endpoint.FailureReason"},
        "Done": {"Type": "Pass", "End": True},
    }
    told = workflows.good(states)
    assert told["job"]["TrainingJobStatus"] == "Completed" and isinstance(
        told["job"]["TrainingEndTime"], int
    )
    assert told["endpoint"]["EndpointName"] == name

    taken = task("sagemaker:createTrainingJob.sync", training(bucket, name))
    assert workflows.bad({"Train": taken})[0] == "SageMaker.ResourceInUseException"
    again = task("sagemaker:createEndpoint", {"EndpointName": name, "EndpointConfigName": name})
    error, cause = workflows.bad({"Endpoint": again})
    assert error == "SageMaker.AmazonSageMakerException" and "already existing" in cause
    by_sdk = task("aws-sdk:sagemaker:createEndpoint", again["Parameters"])
    assert workflows.bad({"Endpoint": by_sdk})[0] == "SageMaker.SageMakerException"
    gone = task("aws-sdk:sagemaker:deleteEndpoint", {"EndpointName": name})
    assert workflows.run({"Delete": gone})["status"] == "SUCCEEDED"
    assert workflows.bad({"Delete": gone})[0] == "SageMaker.SageMakerException"


def test_a_failed_training_is_task_failed_with_the_job_in_its_cause(aws, workflows):
    bucket, name = aws.bucket(), f"test-{uuid.uuid4().hex[:8]}"
    aws.s3.put_object(Bucket=bucket, Key="train/0.csv", Body=b"")
    error, cause = workflows.bad(
        {"Train": task("sagemaker:createTrainingJob.sync", training(bucket, name))}
    )
    assert error == "States.TaskFailed"
    assert "channel train holds no row" in json.loads(cause)["FailureReason"]


def test_a_task_over_its_time_stops_its_job(aws, workflows):
    bucket, name = aws.bucket(), f"test-{uuid.uuid4().hex[:8]}"
    aws.s3.put_object(Bucket=bucket, Key="train/0.csv", Body=b"1,0.9\n0,0.1\n" * 2000)
    state = task(
        "sagemaker:createTrainingJob.sync", training(bucket, name, "1000000"), TimeoutSeconds=2
    )
    assert workflows.bad({"Train": state})[0] == "States.Timeout"

    def status():
        return aws.sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"]

    workflows.until(lambda: status() == "Stopped")


def test_a_processing_job_is_waited_for(aws, workflows):
    bucket, name = aws.bucket(), f"test-{uuid.uuid4().hex[:8]}"
    aws.s3.put_object(
        Bucket=bucket, Key="code/evaluate.py", Body=b"import sys; sys.exit(int(sys.argv[1]))"
    )
    code = {
        "S3Uri": f"s3://{bucket}/code/",
        "LocalPath": "/opt/ml/processing/code",
        "S3DataType": "S3Prefix",
    }
    given = {
        "ProcessingJobName.$": "$.name",
        "RoleArn": ROLE,
        "AppSpecification": {
            "ImageUri": "sagemaker-xgboost:1.7-1",
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/code/evaluate.py"],
            "ContainerArguments.$": "States.Array($.status)",
        },
        "ProcessingInputs": [{"InputName": "code", "S3Input": {**code, "S3InputMode": "File"}}],
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.large",
                "VolumeSizeInGB": 1,
            }
        },
    }
    state = {"Evaluate": task("sagemaker:createProcessingJob.sync", given)}
    assert (
        workflows.good(state, {"name": name, "status": "0"})["ProcessingJobStatus"] == "Completed"
    )
    error, cause = workflows.bad(state, {"name": f"{name}-2", "status": "3"})
    assert error == "States.TaskFailed" and json.loads(cause)["ExitMessage"] == "exit code: 3"
