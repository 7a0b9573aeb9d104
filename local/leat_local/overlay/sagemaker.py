"""SageMaker endpoints: MiniStack has none. A model's container is a process here.

An endpoint fetches its `model.tar.gz`, starts `model/serve.py` on it, and is InService once `/ping`
answers (the contract of every SageMaker container: `GET /ping`, `POST /invocations`). Errors come
in SageMaker's own words. Only simulated: images (the serving script stands for the XGBoost image),
instances, traffic splitting. Training jobs are not here yet: `_TARGETS` is where they go.
"""

from __future__ import annotations

import asyncio
import contextvars
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path

from ministack import app
from ministack.core.responses import get_account_id, get_region

from . import aws, hooks

USES = {
    "ministack.app": ("detect_service", "SERVICE_REGISTRY", "SERVICE_HANDLERS"),
    "ministack.core.responses": ("get_account_id", "get_region"),
}
SERVE = Path(__file__).resolve().parents[2] / "model" / "serve.py"
BODY = 6 * 1024 * 1024
ANSWER_SECONDS = 60  # a container has that long to answer
START_SECONDS = 120
_INVOKE = re.compile(r"^/endpoints/([^/]+)/invocations$")

_models: dict[str, dict] = {}
_configs: dict[str, dict] = {}
_endpoints: dict[str, dict] = {}
_containers: dict[str, "Container"] = {}
_lock = threading.Lock()


def install() -> None:
    """Sets the hooks."""
    global _ministack_detect
    _ministack_detect = hooks.replace(app, "detect_service", detect_service)
    app.SERVICE_REGISTRY["sagemaker"] = {"module": "sagemaker"}
    app.SERVICE_HANDLERS["sagemaker"] = handle


def detect_service(method, path, headers, query):
    """The services signed as `sagemaker` come here."""
    if "/sagemaker/aws4_request" in headers.get("authorization", ""):
        return "sagemaker"
    return _ministack_detect(method, path, headers, query)


class Refused(Exception):
    """An error as SageMaker words it."""

    def __init__(self, code: str, message: str, status: int = 400, **more):
        super().__init__(message)
        self.code, self.status, self.body = code, status, {"Message": message, **more}


async def handle(method, path, headers, body, _query):
    """The one handler: control plane by target, runtime by path."""
    try:
        if match := _INVOKE.match(path):
            return await asyncio.to_thread(_invoke, match[1], headers, body)
        target = headers.get("x-amz-target", "").rpartition(".")[2]
        if target not in _TARGETS:
            raise Refused("UnknownOperationException", f"{target or path} is not here locally")
        answer = _TARGETS[target](json.loads(body or b"{}"))
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()
    except Refused as why:
        return _refusal(why)


def _refusal(why: Refused):
    body = {"__type": why.code, "message": str(why), **why.body}
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": why.code}
    return why.status, headers, json.dumps(body).encode()


# Control plane


def _arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{get_region()}:{get_account_id()}:{kind}/{name.lower()}"


def _known(things: dict, kind: str, name: str) -> dict:
    if name not in things:
        raise Refused("ValidationException", f'Could not find {kind} "{_arn(kind, name)}".')
    return things[name]


def _new(things: dict, kind: str, name: str, what: dict) -> dict:
    if name in things:
        raise Refused(
            "ValidationException", f"Cannot create already existing {kind} {_arn(kind, name)}."
        )
    things[name] = {**what, "CreationTime": time.time()}
    return things[name]


def create_model(data: dict) -> dict:
    """CreateModel."""
    name, arn = data["ModelName"], _arn("model", data["ModelName"])
    _new(_models, "model", name, {**data, "ModelArn": arn})
    return {"ModelArn": arn}


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
    variant = config["ProductionVariants"][0]
    model = _known(_models, "model", variant["ModelName"])
    own = {**data, "EndpointArn": arn, "EndpointStatus": "Creating"}
    endpoint = _new(_endpoints, "endpoint", name, own)
    endpoint["LastModifiedTime"] = endpoint["CreationTime"]
    endpoint["ProductionVariants"] = [{"VariantName": variant.get("VariantName", "AllTraffic")}]
    context = contextvars.copy_context()
    threading.Thread(
        target=context.run, args=(_start, name, endpoint, model), daemon=True, name="endpoint"
    ).start()
    return {"EndpointArn": arn}


def delete_endpoint(data: dict) -> dict:
    """DeleteEndpoint: its container ends."""
    name = data["EndpointName"]
    _known(_endpoints, "endpoint", name)
    with _lock:
        del _endpoints[name]
        container = _containers.pop(name, None)
    if container:
        container.end()
    return {}


def _start(name: str, endpoint: dict, model: dict) -> None:
    container = None
    try:
        primary = model.get("PrimaryContainer") or model["Containers"][0]
        container = Container(name, primary, model.get("ExecutionRoleArn"))
        container.wait()
        status, why = "InService", None
    except Exception as error:  # an endpoint that cannot start says so in its description
        status, why = "Failed", f"{type(error).__name__}: {error}"
    with _lock:
        alive = _endpoints.get(name) is endpoint
        if alive and status == "InService":
            _containers[name] = container
    if container and not (alive and status == "InService"):
        container.end()
    if why:
        endpoint["FailureReason"] = why
    endpoint["LastModifiedTime"] = time.time()
    endpoint["EndpointStatus"] = status


def _list(things: dict, answer: str, fields: tuple[str, ...]) -> dict:
    return {answer: [{f: t[f] for f in fields if f in t} for t in things.values()]}


def _delete(things: dict, kind: str, name: str) -> dict:
    _known(things, kind, name)
    del things[name]
    return {}


_ENDPOINT = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
_TARGETS = {
    "CreateModel": create_model,
    "DescribeModel": lambda d: _known(_models, "model", d["ModelName"]),
    "DeleteModel": lambda d: _delete(_models, "model", d["ModelName"]),
    "ListModels": lambda _: _list(_models, "Models", ("ModelName", "ModelArn", "CreationTime")),
    "CreateEndpointConfig": create_endpoint_config,
    "DescribeEndpointConfig": lambda d: _known(
        _configs, "endpoint-config", d["EndpointConfigName"]
    ),
    "DeleteEndpointConfig": lambda d: _delete(
        _configs, "endpoint-config", d["EndpointConfigName"]
    ),
    "CreateEndpoint": create_endpoint,
    "DescribeEndpoint": lambda d: _known(_endpoints, "endpoint", d["EndpointName"]),
    "ListEndpoints": lambda _: _list(_endpoints, "Endpoints", _ENDPOINT),
    "DeleteEndpoint": delete_endpoint,
}


# A container


class Container:
    """`serve.py` on one model, on a free port of 127.0.0.1."""

    def __init__(self, name: str, primary: dict, role: str | None):
        self.folder = Path(tempfile.mkdtemp(prefix="endpoint-", dir=aws.home() / "tmp"))
        self.log = aws.home() / "logs" / "endpoints" / f"{name}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        model = self.folder / "model"
        model.mkdir()
        bucket, key = aws.split_url(primary["ModelDataUrl"])
        archive = self.folder / "model.tar.gz"
        aws.client("s3", role, name).download_file(bucket, key, str(archive))
        with tarfile.open(archive) as packed:
            packed.extractall(model, filter="data")
        self.port = _free_port()
        own = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "LEAT_"))}
        own |= primary.get("Environment") or {}
        own |= {
            "SM_MODEL_DIR": str(model),
            "SAGEMAKER_BIND_TO_HOST": "127.0.0.1",
            "SAGEMAKER_BIND_TO_PORT": str(self.port),
        }
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, str(SERVE)],
                env=own,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> None:
        """Until `/ping` answers 200; raises when the container ends or takes too long."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(f"the container ended with {self.process.returncode}")
            try:
                if self.call("GET", "/ping", {}, b"", 2)[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise TimeoutError("the container did not pass its ping health check")

    def call(self, method: str, path: str, headers: dict, body: bytes, seconds: float):
        """One request: status, headers, body."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            link.request(method, path, body=body, headers=headers)
            answer = link.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            link.close()

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# Runtime


def _invoke(name: str, headers: dict, body: bytes):
    with _lock:
        container = _containers.get(name)
    if not container:
        why = f"Endpoint {name} of account {get_account_id()} not found."
        return _refusal(Refused("ValidationError", why))
    if len(body) > BODY:
        why = f"The request body is larger than {BODY} bytes."
        return _refusal(Refused("ValidationError", why))
    kept = {"content-type", "accept", "x-amzn-sagemaker-custom-attributes"}
    passed = {k: v for k, v in headers.items() if k.lower() in kept}
    try:
        code, found, answer = container.call(
            "POST", "/invocations", passed, body, ANSWER_SECONDS
        )
    except TimeoutError:
        why = "Your invocation timed out while waiting for a response from container primary."
        return _refusal(_model_error(name, 0, why))
    except OSError:
        why = "The service is temporarily unavailable."
        return _refusal(Refused("ServiceUnavailable", why, 503))
    if code >= 400:
        return _refusal(_model_error(name, code, answer.decode("utf-8", "replace")))
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
