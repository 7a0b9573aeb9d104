"""SageMaker's models and endpoints. An endpoint is a process that serves the model's own files.

It fetches `model.tar.gz` with the model's role, starts the image's program, and is InService once
`/ping` answers. One that cannot start is Failed and says why; one that cannot be updated goes on
as it was. Only simulated: instances, more than one variant.
"""

from __future__ import annotations

import contextvars
import re
import threading
import time

from botocore.exceptions import ClientError

from ministack.core.responses import get_account_id, get_region

from . import aws, containers
from .refused import Refused

BODY = 6 * 1024 * 1024
ANSWER_SECONDS = 60  # a container has that long to answer
INVOKE = re.compile(r"^/endpoints/([^/]+)/invocations$")

_models: dict[str, dict] = {}
_configs: dict[str, dict] = {}
_endpoints: dict[str, dict] = {}
_servers: dict[str, containers.Server] = {}
_lock = threading.Lock()


def _arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{get_region()}:{get_account_id()}:{kind}/{name.lower()}"


def _known(things: dict, kind: str, name: str) -> dict:
    if name not in things:
        raise Refused("ValidationException", f'Could not find {kind} "{_arn(kind, name)}".')
    return things[name]


def _new(things: dict, kind: str, name: str, what: dict) -> dict:
    with _lock:
        if name in things:
            raise Refused(
                "ValidationException", f"Cannot create already existing {kind} {_arn(kind, name)}."
            )
        things[name] = {**what, "CreationTime": time.time()}
        return things[name]


def _delete(things: dict, kind: str, name: str) -> dict:
    _known(things, kind, name)
    del things[name]
    return {}


def _list(things: dict, answer: str, fields: tuple[str, ...]) -> dict:
    return {answer: [{f: t[f] for f in fields if f in t} for t in list(things.values())]}


# Models


def create_model(data: dict) -> dict:
    """CreateModel: its data must be there, and readable by its role."""
    name, arn = data["ModelName"], _arn("model", data["ModelName"])
    if name not in _models:
        for container in _containers(data):
            _find_data(container, data.get("ExecutionRoleArn"), name)
    _new(_models, "model", name, {**data, "ModelArn": arn})
    return {"ModelArn": arn}


def _containers(model: dict) -> list[dict]:
    return (
        [model["PrimaryContainer"]] if "PrimaryContainer" in model else model.get("Containers", [])
    )


def _find_data(container: dict, role: str | None, name: str) -> None:
    url = container.get("ModelDataUrl")
    if not url:
        return
    try:
        bucket, key = aws.split_url(url)
        aws.client("s3", role, name).head_object(Bucket=bucket, Key=key)
    except (ClientError, ValueError):
        why = (
            f"Could not access model data at {url}. Please ensure that the role {role} exists, that it has "
            f'"s3:GetObject" permissions and that the object is located in {get_region()}.'
        )
        raise Refused("ValidationException", why) from None


# Endpoints


def create_endpoint_config(data: dict) -> dict:
    """CreateEndpointConfig."""
    name = data["EndpointConfigName"]
    arn = _arn("endpoint-config", name)
    for variant in data["ProductionVariants"]:
        _known(_models, "model", variant["ModelName"])
    _new(_configs, "endpoint-config", name, {**data, "EndpointConfigArn": arn})
    return {"EndpointConfigArn": arn}


def create_endpoint(data: dict) -> dict:
    """CreateEndpoint: Creating, until its container answers `/ping`."""
    name, arn = data["EndpointName"], _arn("endpoint", data["EndpointName"])
    config = _known(_configs, "endpoint-config", data["EndpointConfigName"])
    endpoint = _new(
        _endpoints,
        "endpoint",
        name,
        {**data, "EndpointArn": arn, "EndpointStatus": "Creating", "ProductionVariants": []},
    )
    endpoint["LastModifiedTime"] = endpoint["CreationTime"]
    _in_background(_create, name, endpoint, config)
    return {"EndpointArn": arn}


def update_endpoint(data: dict) -> dict:
    """UpdateEndpoint: the old container serves until the new one answers; else it stays."""
    name = data["EndpointName"]
    endpoint = _known(_endpoints, "endpoint", name)
    config = _known(_configs, "endpoint-config", data["EndpointConfigName"])
    with _lock:
        if endpoint["EndpointStatus"] != "InService":
            raise Refused(
                "ValidationException",
                f"Cannot update in-progress endpoint {_arn('endpoint', name)}.",
            )
        endpoint["EndpointStatus"] = "Updating"
    _in_background(_update, name, endpoint, config)
    return {"EndpointArn": endpoint["EndpointArn"]}


def delete_endpoint(data: dict) -> dict:
    """DeleteEndpoint: its container ends."""
    name = data["EndpointName"]
    _known(_endpoints, "endpoint", name)
    with _lock:
        _endpoints.pop(name, None)
        server = _servers.pop(name, None)
    if server:
        server.end()
    return {}


def _in_background(work, *given) -> None:
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work, *given), daemon=True, name="endpoint").start()


def _create(name: str, endpoint: dict, config: dict) -> None:
    server, why = _serve(name, config)
    if server and not _take(name, endpoint, config, server):
        server.end()
    elif why:
        _settle(endpoint, "Failed", why)


def _update(name: str, endpoint: dict, config: dict) -> None:
    before = _servers.get(name)
    server, why = _serve(name, config)
    if not server:
        _settle(endpoint, "InService", why)
    elif not _take(name, endpoint, config, server):
        server.end()
    elif before:
        before.end()


def _serve(name: str, config: dict) -> tuple[containers.Server | None, str]:
    """A container that answers; or none, and why."""
    server = None
    try:
        model = _known(_models, "model", config["ProductionVariants"][0]["ModelName"])
        server = containers.Server(name, _containers(model)[0], model.get("ExecutionRoleArn"))
        server.wait()
        return server, ""
    except Exception as error:  # an endpoint that cannot start says so in its description
        if server:
            server.end()
        return None, f"{type(error).__name__}: {error}"


def _take(name: str, endpoint: dict, config: dict, server: containers.Server) -> bool:
    """Puts a container in service; False where the endpoint was deleted meanwhile."""
    variant = config["ProductionVariants"][0].get("VariantName", "AllTraffic")
    with _lock:
        if _endpoints.get(name) is not endpoint:
            return False
        _servers[name] = server
        endpoint["EndpointConfigName"] = config["EndpointConfigName"]
        endpoint["ProductionVariants"] = [{"VariantName": variant, "CurrentInstanceCount": 1}]
    _settle(endpoint, "InService", "")
    return True


def _settle(endpoint: dict, status: str, why: str) -> None:
    endpoint.pop("FailureReason", None)
    if why:
        endpoint["FailureReason"] = why[:1024]
    endpoint["LastModifiedTime"] = time.time()
    endpoint["EndpointStatus"] = status


_ENDPOINT = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
_CONFIG = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
TARGETS = {
    "CreateModel": create_model,
    "DescribeModel": lambda d: _known(_models, "model", d["ModelName"]),
    "DeleteModel": lambda d: _delete(_models, "model", d["ModelName"]),
    "ListModels": lambda _: _list(_models, "Models", ("ModelName", "ModelArn", "CreationTime")),
    "CreateEndpointConfig": create_endpoint_config,
    "DescribeEndpointConfig": lambda d: _known(
        _configs, "endpoint-config", d["EndpointConfigName"]
    ),
    "DeleteEndpointConfig": lambda d: _delete(_configs, "endpoint-config", d["EndpointConfigName"]),
    "ListEndpointConfigs": lambda _: _list(_configs, "EndpointConfigs", _CONFIG),
    "CreateEndpoint": create_endpoint,
    "UpdateEndpoint": update_endpoint,
    "DescribeEndpoint": lambda d: _known(_endpoints, "endpoint", d["EndpointName"]),
    "ListEndpoints": lambda _: _list(_endpoints, "Endpoints", _ENDPOINT),
    "DeleteEndpoint": delete_endpoint,
}


# Runtime


def invoke(name: str, headers: dict, body: bytes):
    """InvokeEndpoint: the container's own answer, or its error in SageMaker's words."""
    with _lock:
        server = _servers.get(name)
    if not server:
        why = f"Endpoint {name} of account {get_account_id()} not found."
        raise Refused("ValidationError", why)
    if len(body) > BODY:
        raise Refused("ValidationError", f"The request body is larger than {BODY} bytes.")
    kept = {"content-type", "accept", "x-amzn-sagemaker-custom-attributes"}
    passed = {k: v for k, v in headers.items() if k.lower() in kept}
    try:
        code, found, answer = server.call("POST", "/invocations", passed, body, ANSWER_SECONDS)
    except TimeoutError:
        why = "Your invocation timed out while waiting for a response from container primary."
        raise _model_error(name, 0, why) from None
    except OSError:
        why = "The service is temporarily unavailable."
        raise Refused("ServiceUnavailable", why, 503) from None
    if code >= 400:
        raise _model_error(name, code, answer.decode("utf-8", "replace"))
    kind = {k.lower(): v for k, v in found.items()}.get("content-type", "text/csv")
    return 200, {"Content-Type": kind, "x-Amzn-Invoked-Production-Variant": "AllTraffic"}, answer


def _model_error(name: str, code: int, original: str) -> Refused:
    side = "client" if 400 <= code < 500 else "server"
    group = f"/aws/sagemaker/Endpoints/{name}"
    message = (
        f'Received {side} error ({code}) from primary with message "{original}". '
        f"See {group} in account {get_account_id()} for more information."
    )
    return Refused(
        "ModelError",
        message,
        424,
        OriginalStatusCode=code,
        OriginalMessage=original,
        LogStreamArn=f"arn:aws:logs:{get_region()}:{get_account_id()}:log-group:{group}",
    )
