"""Step Functions' calls to other services, each with the execution's own role.

The optimized ones that MiniStack lacks (SageMaker, Glue), a nested execution that is a real one, and
`aws-sdk:*` as real, signed requests of botocore: names, results and errors are as Step Functions words
them. Under AUTH=true a right that the role lacks fails the task, those that `.sync` needs included.
"""

from __future__ import annotations

import functools
import json
import time
from datetime import datetime, timezone

import botocore.exceptions
from botocore import xform_name

from ministack.core.responses import get_account_id, get_region
from ministack.services import lambda_svc
from ministack.services import stepfunctions as ministack

from . import aws, glue, hooks, iam, sagemaker, shapes, states
from .refused import Refused
from .states import Error

USES = {
    "ministack.services.lambda_svc": ("_get_func_record_for_ref",),
    "ministack.services.glue": ("_job_runs", "_batch_stop_job_run"),
    "ministack.services.stepfunctions": (
        "_AWS_SDK_ERROR_PREFIX",
        "_SERVICE_DISPATCH",
        "_call_lambda",
        "_invoke_aws_sdk_integration",
        "_invoke_dynamodb",
        "_invoke_nested_start_execution",
        "_invoke_nested_start_execution_sync",
        "_nested_start_execution_request",
        "_sdk_json_param_value",
        "_sdk_json_value",
        "_start_execution",
        "_stop_execution",
    ),
}
POLL = 0.2
_OPTIMIZED = "arn:aws:states:::"
# A name in an `aws-sdk` resource that is another one in botocore.
_BOTOCORE = {
    "sfn": "stepfunctions",
    "eventbridge": "events",
    "cloudwatchlogs": "logs",
    "sagemakerruntime": "sagemaker-runtime",
    "sagemakerfeaturestoreruntime": "sagemaker-featurestore-runtime",
}
_PREFIXES = {
    "sagemaker": "SageMaker",
    "sagemakerruntime": "SageMakerRuntime",
    "sagemakerfeaturestoreruntime": "SageMakerFeatureStoreRuntime",
}


def install() -> None:
    """Sets the hooks."""
    global _ministack_lambda, _ministack_sdk
    _ministack_lambda = hooks.replace(ministack, "_call_lambda", call_lambda)
    _ministack_sdk = hooks.replace(ministack, "_invoke_aws_sdk_integration", sdk)
    hooks.replace(ministack, "_invoke_dynamodb", dynamodb)
    hooks.replace(ministack, "_invoke_nested_start_execution", start_execution)
    hooks.replace(ministack, "_invoke_nested_start_execution_sync", run_execution)
    table = ministack._SERVICE_DISPATCH
    for known, action, uses in (
        ("sqs:sendMessage", "SQS:SendMessage", lambda d: [(_queue_arn(d.get("QueueUrl", "")), {})]),
        ("sns:publish", "SNS:Publish", lambda d: [(d.get("TopicArn") or d.get("TargetArn") or "*", {})]),
        ("events:putEvents", "Events:PutEvents", _events),
    ):
        table[_OPTIMIZED + known] = functools.partial(
            _permitted, table[_OPTIMIZED + known], action, uses
        )
    # MiniStack looks for the first that begins the resource: the longer name goes first.
    for operation in (
        "createTrainingJob",
        "createProcessingJob",
        "createModel",
        "createEndpointConfig",
        "createEndpoint",
        "updateEndpoint",
    ):
        table[f"{_OPTIMIZED}sagemaker:{operation}"] = call_sagemaker
    table[f"{_OPTIMIZED}glue:startJobRun"] = start_job_run


# Rights


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{get_region()}:{get_account_id()}:{resource}"


def permit(error: str, action: str, resource: str, keys: dict | None = None) -> None:
    """Fails the task with `error` where the execution's role may not."""
    if why := iam.refusal(states.role.get(), states.session(), action, resource, keys):
        raise Error(error, why)


def _permitted(call, action: str, uses, resource: str, given: dict):
    """`uses` names what the call uses, with the keys that conditions may ask for."""
    service, _, operation = action.partition(":")
    for used, keys in uses(given):
        permit(f"{service}.AccessDeniedException", f"{service.lower()}:{operation}", used, keys)
    return call(resource, given)


def _events(given: dict) -> list[tuple[str, dict]]:
    """The bus of each event, and what the event says of itself."""
    return [
        (
            _arn("events", f"event-bus/{str(event.get('EventBusName') or 'default').rpartition('/')[2]}"),
            {"events:source": event.get("Source"), "events:detail-type": event.get("DetailType")},
        )
        for event in given.get("Entries") or []
    ]


def _queue_arn(url: str) -> str:
    return _arn("sqs", url.rstrip("/").rpartition("/")[2])


def _rule(error: str, name: str) -> None:
    """A `.sync` call is told of the end by a rule of EventBridge, which the role must be allowed to make."""
    for action in ("PutTargets", "PutRule", "DescribeRule"):
        permit(error, f"events:{action}", _arn("events", f"rule/{name}"))


def _nobody_waits() -> bool:
    over = states.over.get()
    return bool(over and over.is_set()) or not states.alive()


# Lambda, DynamoDB


def call_lambda(reference, event):
    """lambda:invoke, where the role may."""
    _, config, _ = lambda_svc._get_func_record_for_ref(reference)
    if config:
        known = str(reference).startswith("arn:")
        arn = reference if known else config["FunctionArn"]
        permit("Lambda.AWSLambdaException", "lambda:InvokeFunction", arn)
    return _ministack_lambda(reference, event)


def dynamodb(operation: str, given: dict):
    """dynamodb:getItem and its kin, as a request of the role."""
    name = operation[0].upper() + operation[1:]
    return _request("dynamodb", name, given, "DynamoDB", "AmazonDynamoDBException", as_sent=True)


# SageMaker, Glue


def call_sagemaker(resource: str, given: dict):
    """sagemaker:createX, and `.sync` for jobs."""
    call, _, how = resource.removeprefix(f"{_OPTIMIZED}sagemaker:").partition(".")
    operation, other = call[0].upper() + call[1:], "SageMaker.AmazonSageMakerException"
    if how not in ("", "sync") or (how == "sync" and not operation.endswith("Job")):
        raise Error("States.Runtime", f"{resource} is no integration of Step Functions")
    resource_arn = iam.named_resource(operation, given, get_region(), get_account_id())
    permit(other, f"sagemaker:{operation}", resource_arn)
    for passed in ("RoleArn", "ExecutionRoleArn"):
        if given.get(passed):
            service = {"iam:PassedToService": "sagemaker.amazonaws.com"}
            permit(other, "iam:PassRole", given[passed], service)
    kind = operation.removeprefix("Create").removesuffix("Job")  # Training, Processing
    if how:
        for verb in ("Describe", "Stop"):
            permit(other, f"sagemaker:{verb}{kind}Job", resource_arn)
        if kind == "Training":  # the one whose name AWS documents
            _rule(other, "StepFunctionsGetEventsForSageMakerTrainingJobsRule")
    try:
        answer = sagemaker.call(operation, given)
    except Refused as why:
        known = why.code in ("ResourceInUse", "ResourceNotFound", "ResourceLimitExceeded")
        error = f"SageMaker.{why.code}Exception" if known else other
        cause = (
            f"{why} (Service: AmazonSageMaker; Status Code: {why.status}; Error Code: {why.code})"
        )
        raise Error(error, cause) from None
    return _job(kind, given[f"{kind}JobName"]) if how else answer


def _job(kind: str, name: str) -> dict:
    """Waits for a job's end: what Describe says of a good one, States.TaskFailed with it of another."""
    while True:
        job = sagemaker.call(f"Describe{kind}Job", {f"{kind}JobName": name})
        status = job[f"{kind}JobStatus"]
        if status in ("Completed", "Failed", "Stopped"):
            break
        if _nobody_waits() and status == "InProgress":
            sagemaker.call(f"Stop{kind}Job", {f"{kind}JobName": name})
        time.sleep(POLL)
    told = _milliseconds(job)
    if status != "Completed":
        raise Error("States.TaskFailed", json.dumps(told))
    return told


def _milliseconds(value, name: str = ""):
    if isinstance(value, dict):
        return {key: _milliseconds(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_milliseconds(item) for item in value]
    is_time = isinstance(value, float) and name.endswith(("Time", "On", "Timestamp"))
    return int(value * 1000) if is_time else value


def start_job_run(resource: str, given: dict):
    """glue:startJobRun, and `.sync`: a run that did not succeed is States.TaskFailed."""
    name, sync = given.get("JobName", ""), resource.endswith(".sync")
    job = _arn("glue", f"job/{name}")
    for action in ("StartJobRun", "GetJobRun", "GetJobRuns", "BatchStopJobRun")[: 4 if sync else 1]:
        permit("Glue.AccessDeniedException", f"glue:{action}", job)
    status, _, body = glue.start_job_run(given)
    answer = json.loads(body)
    if status >= 400:
        raise Error(f"Glue.{answer['__type']}", answer.get("message", ""))
    if not sync:
        return answer
    run_id = answer["JobRunId"]
    run = next(r for r in glue.ministack._job_runs[name] if r["Id"] == run_id)
    while run["JobRunState"] in glue.LIVE:
        if _nobody_waits() and run["JobRunState"] != "STOPPING":
            glue.batch_stop_job_run({"JobName": name, "JobRunIds": [run_id]})
        time.sleep(POLL)
    told = _milliseconds(run)
    if run["JobRunState"] != "SUCCEEDED":
        raise Error("States.TaskFailed", json.dumps(told))
    return told


# Nested executions


def start_execution(_resource: str, given: dict) -> dict:
    """states:startExecution: the ARN of what was started."""
    request = ministack._nested_start_execution_request(given)
    other = "StepFunctions.AWSStepFunctionsException"
    permit(other, "states:StartExecution", request["stateMachineArn"])
    status, _, body = ministack._start_execution(request)
    answer = json.loads(body)
    if status >= 400:
        code = answer.get("__type", "")
        error = (
            f"StepFunctions.{code}"
            if code.endswith("Exception")
            else f"StepFunctions.{code}Exception"
        )
        raise Error(error, answer.get("message", ""))
    return {"ExecutionArn": answer["executionArn"], "StartDate": answer["startDate"]}


def run_execution(resource: str, given: dict) -> dict:
    """`.sync` and `.sync:2`: waits for the child; one that did not succeed is States.TaskFailed with all of it."""
    request = ministack._nested_start_execution_request(given)
    name = request["stateMachineArn"].rpartition(":")[2]
    other = "StepFunctions.AWSStepFunctionsException"
    for action in ("DescribeExecution", "StopExecution"):
        permit(
            other,
            f"states:{action}",
            _arn("states", f"execution:{name}:{request.get('name', '*')}"),
        )
    _rule(other, "StepFunctionsGetEventsForStepFunctionsExecutionRule")
    child = ministack._executions[start_execution(resource, given)["ExecutionArn"]]
    while child["status"] == "RUNNING":
        if _nobody_waits():
            ministack._stop_execution({"executionArn": child["executionArn"]})
        time.sleep(POLL)
    as_json = resource.endswith(".sync:2")
    told = {
        "ExecutionArn": child["executionArn"],
        "Input": json.loads(child["input"]) if as_json else child["input"],
        "InputDetails": {"Included": True},
        "Name": child["name"],
        "StartDate": child["startDate"],
        "StateMachineArn": child["stateMachineArn"],
        "Status": child["status"],
        "StopDate": child["stopDate"],
    }
    if child["status"] != "SUCCEEDED":
        told |= {k.title(): child[k] for k in ("error", "cause") if child.get(k)}
        raise Error("States.TaskFailed", json.dumps(told))
    output = json.loads(child["output"]) if as_json else child["output"]
    return told | {"Output": output, "OutputDetails": {"Included": True}}


# aws-sdk


def sdk(resource: str, given):
    """`aws-sdk:service:operation`, as a signed request of the execution's role."""
    service, _, call = resource.removeprefix(f"{_OPTIMIZED}aws-sdk:").partition(":")
    service = service.lower()
    prefix = _PREFIXES.get(service) or ministack._AWS_SDK_ERROR_PREFIX.get(service)
    if not prefix:
        return _ministack_sdk(resource, given)
    operation = call[0].upper() + call[1:]
    return _request(
        _BOTOCORE.get(service, service), operation, given or {}, prefix, f"{prefix}Exception"
    )


def _request(
    service: str, operation: str, given: dict, prefix: str, other: str, *, as_sent: bool = False
) -> dict:
    """One request of the role. Members have the names of the SDK for Java, or those of the wire."""
    model = shapes.model(service)
    if operation not in model.operation_names:
        raise Error("States.Runtime", f"{service} has no operation {operation}")
    of = model.operation_model(operation)
    client = aws.client(service, states.role.get() or None, states.session())
    try:
        asked = (
            _blobs(ministack._sdk_json_param_value(given, of.input_shape), of.input_shape)
            if of.input_shape
            else {}
        )
        answer = getattr(client, xform_name(operation))(**asked)
    except botocore.exceptions.ParamValidationError as why:
        raise Error("States.Runtime", f"{service}:{operation}: {why}") from None
    except botocore.exceptions.ClientError as why:
        raise _error(why, of, prefix, other) from None
    answer.pop("ResponseMetadata", None)
    told = _plain(answer)
    return (
        told if as_sent or not of.output_shape else ministack._sdk_json_value(told, of.output_shape)
    )


def _error(why: botocore.exceptions.ClientError, of, prefix: str, other: str) -> Error:
    """An error as the SDK for Java names it: what the model does not know is the service's own exception."""
    code, said = why.response["Error"]["Code"], why.response["Error"].get("Message", "")
    code = code.rpartition("#")[2]
    known = {shape.name for shape in of.error_shapes}
    name = code if code.endswith("Exception") else f"{code}Exception"
    status = why.response["ResponseMetadata"].get("HTTPStatusCode")
    cause = f"{said} (Service: {prefix}, Status Code: {status}, Error Code: {code})"
    return Error(f"{prefix}.{name if known & {code, name} else other}", cause)


def _blobs(value, shape):
    """Bytes of a request are the JSON text of what the state gives for them."""
    if shape.type_name == "blob":
        return json.dumps(value).encode()
    if shape.type_name == "structure" and isinstance(value, dict):
        return {
            k: _blobs(v, shape.members[k]) if k in shape.members else v for k, v in value.items()
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [_blobs(item, shape.member) for item in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {k: _blobs(v, shape.value) for k, v in value.items()}
    return value


def _plain(value):
    """A result as JSON: bytes as text, times as ISO-8601."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, datetime):
        at = value.astimezone(timezone.utc)
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if hasattr(value, "read"):
        value = value.read()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
