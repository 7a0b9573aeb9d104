"""The overlay's own calls: by boto3 to the local endpoint, with the right of the role that acts."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import boto3
from botocore.config import Config

from ministack.core.lambda_runtime import execution_credentials
from ministack.core.responses import get_account_id, get_region

_CONFIG = Config(
    connect_timeout=5, read_timeout=120, retries={"mode": "standard"}, max_pool_connections=32
)
_clients: dict[tuple[str, str, str], object] = {}
_lock = threading.Lock()


def endpoint() -> str:
    """Where the local AWS answers."""
    return os.environ["AWS_ENDPOINT_URL"]


def home() -> Path:
    """Where logs and scratch files of this local AWS lie."""
    return Path(os.environ["LEAT_LOCAL_HOME"])


def credentials(role: str, name: str) -> dict[str, str]:
    """The environment variables with which `name` acts as `role`; enforced under AUTH=true."""
    arn = f"arn:aws:lambda:{get_region()}:{get_account_id()}:function:{name}"
    return execution_credentials({"Role": role, "FunctionArn": arn, "FunctionName": name})


def client(service: str, role: str | None = None, name: str = "overlay"):
    """A boto3 client in the request's account and region, acting as `role` where one is named."""
    own = {"AWS_ACCESS_KEY_ID": get_account_id(), "AWS_SECRET_ACCESS_KEY": "test"}
    keys = credentials(role, name) if role else own
    known = (service, get_region(), keys["AWS_ACCESS_KEY_ID"])
    with _lock:  # making a client is slow, and not safe in threads; using one is
        if known not in _clients:
            _clients[known] = boto3.client(
                service,
                endpoint_url=endpoint(),
                region_name=get_region(),
                aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
                aws_session_token=keys.get("AWS_SESSION_TOKEN") or None,
                config=_CONFIG,
            )
        return _clients[known]


def split_url(url: str) -> tuple[str, str]:
    """`s3://bucket/key` as (bucket, key)."""
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket or not key:
        raise ValueError(f"{url!r} is not s3://bucket/key")
    return bucket, key
