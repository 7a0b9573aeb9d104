"""Under AUTH=true: who may do what, where MiniStack does not ask or does not know.

The local endpoint stands for AWS's own, which speaks TLS: `aws:SecureTransport` is true on
127.0.0.1, or every TLS-only policy would refuse every call. `aws:PrincipalArn` of a session is
its role, not the session, so that "this role only" means what it means on AWS. SageMaker's calls
are asked for like all others, and one event source mapping by its own action. And `refusal` asks for a service that acts in a role of ours
(a workflow, a job): MiniStack calls such things directly, past its own policies.
"""

from __future__ import annotations

import contextvars
import json
import re
from urllib.parse import unquote

from ministack import app
from ministack.core import iam_actions
from ministack.core import iam_evaluator as ministack
from ministack.core.responses import get_region

from . import aws, hooks

USES = {
    "ministack.app": ("AUTH",),
    "ministack.core.iam_actions": (
        "SERVICE_TO_IAM_NAMESPACE",
        "extract_iam_action",
        "extract_resource_arn",
        "identity_denial_message",
    ),
    "ministack.core.iam_evaluator": (
        "_anonymous",
        "_resolve_condition_key",
        "_signed_request",
        "AuthError",
        "EvalContext",
        "enforce",
    ),
}
_SESSION = re.compile(r"^arn:([^:]+):sts::(\d+):assumed-role/([^/]+)/")
_RUNTIME = (  # what SageMaker's two runtimes say by path
    ("POST", re.compile(r"^/endpoints/([^/]+)/invocations$"), "InvokeEndpoint", "endpoint"),
    ("PUT", re.compile(r"^/FeatureGroup/([^/]+)$"), "PutRecord", "feature-group"),
    ("GET", re.compile(r"^/FeatureGroup/([^/]+)$"), "GetRecord", "feature-group"),
    ("DELETE", re.compile(r"^/FeatureGroup/([^/]+)$"), "DeleteRecord", "feature-group"),
    ("POST", re.compile(r"^/BatchGetRecord$"), "BatchGetRecord", "feature-group"),
    ("POST", re.compile(r"^/BatchWriteRecord$"), "BatchWriteRecord", "feature-group"),
)
_MAPPING = re.compile(r"^/2015-03-31/event-source-mappings/[^/]+$")
_NAMES = {  # the member that names a resource of SageMaker, and the resource's kind
    "TrainingJobName": "training-job",
    "ProcessingJobName": "processing-job",
    "ModelName": "model",
    "EndpointName": "endpoint",
    "EndpointConfigName": "endpoint-config",
    "FeatureGroupName": "feature-group",
}


def install() -> None:
    """Sets the hooks."""
    global _ministack_resolve, _ministack_action, _ministack_arn
    _ministack_resolve = hooks.replace(ministack, "_resolve_condition_key", resolve)
    _ministack_action = hooks.replace(iam_actions, "extract_iam_action", action_of)
    _ministack_arn = hooks.replace(iam_actions, "extract_resource_arn", resource_of)
    iam_actions.SERVICE_TO_IAM_NAMESPACE["sagemaker"] = "sagemaker"


def resolve(key: str, context):
    """The value of a condition key."""
    if key.lower() == "aws:securetransport":
        return "true"
    value = _ministack_resolve(key, context)
    if key.lower() == "aws:principalarn" and (session := _SESSION.match(value or "")):
        return f"arn:{session[1]}:iam::{session[2]}:role/{session[3]}"
    return value


# SageMaker's calls


def action_of(service, method, path, headers, body, query):
    """The action that a request needs."""
    if service == "sagemaker" and not headers.get("x-amz-target"):
        found = [name for verb, like, name, _ in _RUNTIME if verb == method and like.match(path)]
        return f"sagemaker:{found[0]}" if found else None
    if service == "lambda" and _MAPPING.match(path.rstrip("/")):  # MiniStack asks to list them all
        verb = {"GET": "Get", "PUT": "Update", "DELETE": "Delete"}.get(method)
        return f"lambda:{verb}EventSourceMapping" if verb else None
    return _ministack_action(service, method, path, headers, body, query)


def resource_of(service, method, path, headers, body, query, region, account):
    """The resource that a request is about."""
    if service != "sagemaker":
        return _ministack_arn(service, method, path, headers, body, query, region, account)
    for verb, like, _, kind in _RUNTIME:
        if verb == method and (match := like.match(path)):
            return (
                sagemaker_arn(kind, unquote(match[1]), region, account) if match.groups() else "*"
            )
    try:
        given = json.loads(body or b"{}")
    except ValueError:
        return "*"
    action = headers.get("x-amz-target", "").rpartition(".")[2]
    return named_resource(action, given, region, account)


def named_resource(action: str, given: dict, region: str, account: str) -> str:
    """The ARN that a call of SageMaker's control plane names: `CreateModel` names a model."""
    if action.startswith("List"):
        return "*"
    for member, kind in _NAMES.items():
        if action.endswith(member.removesuffix("Name")) and isinstance(given.get(member), str):
            return sagemaker_arn(kind, given[member], region, account)
    return "*"


def sagemaker_arn(kind: str, name: str, region: str, account: str) -> str:
    """SageMaker's ARNs are in lower case, whatever the name is."""
    if name.startswith("arn:"):
        return name
    return f"arn:aws:sagemaker:{region}:{account}:{kind}/{name.lower()}"


# A service that acts in a role


def refusal(
    role: str | None, session: str, action: str, resource: str, keys: dict | None = None
) -> str | None:
    """Why `role` may not do `action` on `resource`; None where it may, or where nobody asks."""
    if not app.AUTH or not role:
        return None
    key = aws.credentials(role, session)["AWS_ACCESS_KEY_ID"]
    # A context of its own: the request that started this thread was signed by somebody else.
    denied = contextvars.copy_context().run(_enforce, key, action, resource, keys or {})
    if denied is None:
        return None
    if isinstance(denied, ministack.AuthError):
        return denied.message
    explicit = denied.decision == "Deny"
    return iam_actions.identity_denial_message(action, denied.principal_arn, resource, explicit)


def _enforce(key: str, action: str, resource: str, keys: dict):
    ministack._signed_request.set(None)
    ministack._anonymous.set(False)
    service = action.partition(":")[0]
    return ministack.enforce(key, action, service, get_region(), resource, keys)
