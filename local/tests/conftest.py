"""One local AWS for all tests, and small ways to put a function in it."""

from __future__ import annotations

import io
import json
import os
import time
import uuid
import zipfile
from pathlib import Path

import boto3
import pytest

from leat_local import stack


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("leat")


def without_java(folder: Path) -> str:
    """A PATH on which all is found but Java."""
    folder.mkdir()
    for part in os.environ["PATH"].split(os.pathsep):
        for tool in Path(part).iterdir() if Path(part).is_dir() else ():
            if tool.name != "java" and not (folder / tool.name).is_symlink():
                (folder / tool.name).symlink_to(tool)
    return str(folder)


@pytest.fixture(scope="session")
def local(home):
    with pytest.MonkeyPatch.context() as patch:  # Spark must find the Java that comes from PyPI
        patch.setenv("PATH", without_java(home / "tools"))
        patch.delenv("JAVA_HOME", raising=False)
        local = stack.up(home, owned=True, auth=False)
    yield local
    stack.down(home)


class Aws:
    """Clients of the local AWS, made once each."""

    def __init__(self, endpoint: str):
        self.endpoint, self._clients = endpoint, {}

    def __getattr__(self, service):
        service = service.replace("_", "-")
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                endpoint_url=self.endpoint,
                region_name=stack.REGION,
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
        return self._clients[service]

    def bucket(self) -> str:
        name = f"test-{uuid.uuid4().hex[:12]}"
        self.s3.create_bucket(Bucket=name)
        return name

    def stream(self, shards: int = 1) -> tuple[str, str]:
        name = f"test-{uuid.uuid4().hex[:12]}"
        self.kinesis.create_stream(StreamName=name, ShardCount=shards)
        self.kinesis.get_waiter("stream_exists").wait(
            StreamName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20}
        )
        return name, self.kinesis.describe_stream(StreamName=name)["StreamDescription"]["StreamARN"]

    def function(self, code: str, **environment: str) -> str:
        """A Python function whose module is `code`; gives its ARN."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("index.py", code)
        name = f"test-{uuid.uuid4().hex[:12]}"
        made = getattr(self, "lambda").create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role="arn:aws:iam::000000000000:role/test",
            Handler="index.handler",
            Code={"ZipFile": packed.getvalue()},
            Timeout=20,
            Environment={"Variables": environment},
        )
        return made["FunctionArn"]

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def read(self, bucket: str, key: str) -> bytes:
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def lines(self, bucket: str, prefix: str = "") -> list[dict]:
        """All JSON lines under a prefix, in order of the keys."""
        texts = [self.read(bucket, key).decode() for key in self.keys(bucket, prefix)]
        return [json.loads(line) for text in texts for line in text.splitlines()]


@pytest.fixture(scope="session")
def aws(local):
    return Aws(local.endpoint)


@pytest.fixture
def function(aws):
    """Makes a function of a built binary; gives its name."""
    root, role = Path(__file__).parents[2], "arn:aws:iam::000000000000:role/test"

    def make(binary: str, **variables: str) -> str:
        name, packed = f"test-{uuid.uuid4().hex[:12]}", io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            info = zipfile.ZipInfo("bootstrap")
            info.external_attr = 0o755 << 16
            archive.writestr(info, (root / "target/fast" / binary).read_bytes())
        getattr(aws, "lambda").create_function(
            FunctionName=name,
            Runtime="provided.al2023",
            Role=role,
            Handler="bootstrap",
            Code={"ZipFile": packed.getvalue()},
            Timeout=60,
            Environment={"Variables": variables},
        )
        return name

    return make


@pytest.fixture
def until():
    """Waits for something to become true, and gives it."""

    def wait(what, seconds: float = 30.0):
        over = time.monotonic() + seconds
        while True:
            found = what()
            if found:
                return found
            assert time.monotonic() < over, f"still {found!r} after {seconds} s"
            time.sleep(0.1)

    return wait
