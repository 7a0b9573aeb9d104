"""Nothing that a local AWS started outlives it."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from leat_local import processes, stack

PACKAGE = Path(__file__).resolve().parents[1]


def owner(home: Path) -> subprocess.Popen:
    """A process that starts a local AWS with a function in it, and then waits."""
    code = f"""
        import io, signal, sys, zipfile
        from pathlib import Path
        import boto3
        from leat_local import stack
        # A shell that runs the tests in the background hands an ignored SIGINT down.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        local = stack.up(Path({str(home)!r}), owned=True, auth=False)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("index.py", "def handler(event, context): return 1")
        client = boto3.client("lambda", endpoint_url=local.endpoint, region_name=local.region,
                              aws_access_key_id="test", aws_secret_access_key="test")
        client.create_function(FunctionName="f", Runtime="python3.12", Handler="index.handler",
                               Role="arn:aws:iam::000000000000:role/test",
                               Code={{"ZipFile": packed.getvalue()}})
        client.invoke(FunctionName="f")
        print(local.pid, flush=True)
        sys.stdin.read()
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_all_ends_with_its_owner(tmp_path, until, number):
    process = owner(tmp_path)
    session = int(process.stdout.readline())
    assert len(processes.in_session(session)) >= 3  # supervisor, server, function
    process.send_signal(number)
    process.wait(timeout=20)
    until(lambda: not processes.in_session(session))
    assert not (tmp_path / "tmp").exists()


def test_all_ends_with_the_server(tmp_path, until):
    local = stack.up(tmp_path, auth=False)
    server = next(p for p in processes.in_session(local.pid) if p != local.pid)
    os.kill(server, signal.SIGKILL)
    until(lambda: not processes.in_session(local.pid))
    assert stack.find(tmp_path) is None


def test_all_ends_with_the_supervisor(tmp_path, until):
    local = stack.up(tmp_path, auth=False)
    os.kill(local.pid, signal.SIGKILL)
    until(lambda: not processes.in_session(local.pid))


def test_a_second_one_is_refused_by_name(home, local):
    with pytest.raises(stack.Trouble, match=local.endpoint):
        stack.up(home)


def test_down_without_one_is_no_error(tmp_path):
    assert stack.down(tmp_path) is False
