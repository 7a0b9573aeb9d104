"""Two condition keys of policies, under AUTH=true.

The local endpoint stands for AWS's own, which speaks TLS: `aws:SecureTransport` is true on
127.0.0.1, or every TLS-only policy would refuse every call. And `aws:PrincipalArn` of a session is
its role, not the session, so that "this role only" means what it means on AWS.
"""

from __future__ import annotations

import re

from ministack.core import iam_evaluator as ministack

from . import hooks

USES = {"ministack.core.iam_evaluator": ("_resolve_condition_key", "EvalContext")}
_SESSION = re.compile(r"^arn:([^:]+):sts::(\d+):assumed-role/([^/]+)/")


def install() -> None:
    """Sets the hook."""
    global _ministack_resolve
    _ministack_resolve = hooks.replace(ministack, "_resolve_condition_key", resolve)


def resolve(key: str, context):
    """The value of a condition key."""
    if key.lower() == "aws:securetransport":
        return "true"
    value = _ministack_resolve(key, context)
    if key.lower() == "aws:principalarn" and (session := _SESSION.match(value or "")):
        return f"arn:{session[1]}:iam::{session[2]}:role/{session[3]}"
    return value
