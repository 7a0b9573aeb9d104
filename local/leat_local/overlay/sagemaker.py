"""SageMaker: MiniStack has none. A container is a process here, and what it does is real.

This is the front door: requests are checked by AWS's own model, and errors come in SageMaker's
words. Behind it: models and endpoints (`endpoints.py`), training and processing jobs (`jobs.py`), the
Feature Store (`feature_store.py`), and the processes themselves (`containers.py`).
"""

from __future__ import annotations

import asyncio
import json
from urllib.parse import unquote

from ministack import app

from . import endpoints, feature_store, hooks, jobs, shapes
from .refused import Refused

USES = {
    "ministack.app": ("detect_service", "SERVICE_REGISTRY", "SERVICE_HANDLERS"),
    "ministack.core.responses": ("get_account_id", "get_region"),
    **jobs.USES,
    **feature_store.USES,
}
TARGETS = {**endpoints.TARGETS, **jobs.TARGETS, **feature_store.TARGETS}


def install() -> None:
    """Sets the hooks."""
    global _ministack_detect
    _ministack_detect = hooks.replace(app, "detect_service", detect_service)
    app.SERVICE_REGISTRY["sagemaker"] = {"module": "sagemaker"}
    app.SERVICE_HANDLERS["sagemaker"] = handle
    feature_store.install()


def detect_service(method, path, headers, query):
    """The services signed as `sagemaker` come here."""
    if "/sagemaker/aws4_request" in headers.get("authorization", ""):
        return "sagemaker"
    return _ministack_detect(method, path, headers, query)


async def handle(method, path, headers, body, query):
    """The one handler: control plane by target, the two runtimes by path."""
    try:
        if match := endpoints.INVOKE.match(path):
            return await asyncio.to_thread(endpoints.invoke, unquote(match[1]), headers, body)
        if feature_store.is_runtime(path):
            answer = await asyncio.to_thread(feature_store.runtime, method, path, query, body)
            return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        given = json.loads(body or b"{}")
        answer = await asyncio.to_thread(call, operation or path, given)
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()
    except Refused as why:
        return _refusal(why)


def call(operation: str, given: dict) -> dict:
    """One call of the control plane, checked by its model; raises `Refused`."""
    if operation not in TARGETS:
        raise Refused("UnknownOperationException", f"{operation} is not here locally")
    try:
        shapes.check("sagemaker", operation, given)
    except shapes.Invalid as why:
        raise Refused("ValidationException", str(why)) from None
    return TARGETS[operation](given)


def _refusal(why: Refused):
    body = {"__type": why.code, "message": str(why), **why.body}
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": why.code}
    return why.status, headers, json.dumps(body).encode()
