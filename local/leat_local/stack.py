"""Starting, finding and ending the local AWS of a folder (`.leat/` beside the template)."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

from . import processes

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".leat"
REGION = "us-east-1"
PATIENCE = 90


class Trouble(RuntimeError):
    """Something a person can mend; its text says how."""


@dataclass
class Local:
    """A local AWS that runs."""

    endpoint: str
    region: str
    pid: int  # the supervisor, which leads the session
    log: str
    auth: bool

    def environment(self) -> dict[str, str]:
        """The variables with which any AWS tool talks to it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def healthy(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False


def find(home: Path = HOME) -> Local | None:
    """The local AWS that `home` tells of, if its supervisor is alive."""
    try:
        local = Local(**json.loads((home / "local.json").read_text()))
        return local if os.getsid(local.pid) == local.pid else None
    except (OSError, ValueError, TypeError):
        return None


def up(home: Path = HOME, *, owned: bool = False, auth: bool = True) -> Local:
    """Starts it and waits until it answers. An `owned` one ends when this process does."""
    if local := find(home):
        if local.healthy():
            raise Trouble(
                f"a local AWS runs already at {local.endpoint}: `python -m leat_local down` ends it"
            )
        down(home)
    (home / "tmp").mkdir(parents=True, exist_ok=True)
    (home / "logs").mkdir(exist_ok=True)
    port = _free_port()
    log = home / "logs" / "local-aws.log"
    local = Local(f"http://127.0.0.1:{port}", REGION, 0, str(log), auth)
    with log.open("wb") as out:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "leat_local.supervisor", *(["--owned"] if owned else [])],
            env=_environment(local, port, home),
            stdin=subprocess.PIPE if owned else subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _held.append(supervisor)  # the pipe of an owned one stays open as long as this process lives
    local.pid = supervisor.pid
    (home / "local.json").write_text(json.dumps(asdict(local), indent=2) + "\n")
    try:
        _wait(local, supervisor)
    except BaseException:
        down(home)
        raise
    return local


_held: list[subprocess.Popen] = []


def _wait(local: Local, supervisor: subprocess.Popen) -> None:
    until = time.monotonic() + PATIENCE
    while not local.healthy():
        if supervisor.poll() is not None:
            words = Path(local.log).read_text(errors="replace").strip().splitlines()[-5:]
            raise Trouble("the local AWS did not start:\n  " + "\n  ".join(words))
        if time.monotonic() > until:
            raise Trouble(f"the local AWS did not answer in {PATIENCE} s: see {local.log}")
        time.sleep(0.1)


def down(home: Path = HOME) -> bool:
    """Ends it with all it started; says whether there was one."""
    local = find(home)
    if local:
        os.kill(local.pid, signal.SIGTERM)
        until = time.monotonic() + 15
        while _alive(local.pid) and time.monotonic() < until:
            time.sleep(0.05)
        processes.end_session(local.pid)
    (home / "local.json").unlink(missing_ok=True)
    return local is not None


def _alive(pid: int) -> bool:
    for own in _held:
        if own.pid == pid:
            return own.poll() is None
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _environment(local: Local, port: int, home: Path) -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "LEAT_", "MINISTACK_"))}
    return env | local.environment() | {
        "AUTH": "true" if local.auth else "false",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LEAT_LOCAL_HOME": str(home),
        "LOG_LEVEL": "INFO",
        "MINISTACK_REGION": local.region,
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
        "PYTHONUNBUFFERED": "1",
        "STATE_DIR": str(home / "tmp" / "state"),
        "S3_DATA_DIR": str(home / "tmp" / "s3"),
        "TMPDIR": str(home / "tmp"),
    }
