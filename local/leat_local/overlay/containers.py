"""Containers as processes: what an image's name stands for, and how its program is run.

There is no image and no Docker. An image with `xgboost` in its name is `local/model/`: `train.py`,
`serve.py`, or Python with a job's own script; one with `leat` is the `leat` command that was built.
A job's `/opt/ml` is a folder of its own: every argument and variable that names `/opt/ml` is
rewritten to it, and `SAGEMAKER_BASE_DIR` holds it. A path that a program spells out in its own
code is not: there, and only there, a real container sees another place.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from ministack.core.responses import get_region

from . import aws

ROOT = Path(__file__).resolve().parents[3]
MODEL = ROOT / "local" / "model"
LEAT = ROOT / "target" / "fast" / "leat"
START_SECONDS = 120
GRACE_SECONDS = 120  # between SIGTERM and SIGKILL, as SageMaker gives
_OPT_ML = re.compile(r"(?<![\w/.-])/opt/ml(?![\w.-])")


class NoImage(ValueError):
    """An image that stands for nothing here."""


def training(image: str) -> list[str]:
    """What the image runs for `train`."""
    if "xgboost" in _name(image):
        return [sys.executable, str(MODEL / "train.py")]
    raise NoImage(f"image {image} is not here locally: only an xgboost image trains")


def processing(image: str, entry: list[str], arguments: list[str]) -> list[str]:
    """What a processing job runs: its entry point, or the image's own."""
    name = _name(image)
    if "xgboost" in name:
        if not entry:
            raise NoImage(f"image {image} has no entry point of its own for a processing job")
        program = (
            sys.executable if re.fullmatch(r"python[0-9.]*", Path(entry[0]).name) else entry[0]
        )
        return [program, *entry[1:], *arguments]
    if "leat" in name:
        own = entry[1:] if entry and Path(entry[0]).name == "leat" else entry
        return [str(LEAT), *own, *arguments]
    raise NoImage(f"image {image} is not here locally: xgboost and leat images are")


def _name(image: str) -> str:
    """`account.dkr.ecr.region.amazonaws.com/NAME:tag`: the name, without a registry or a tag."""
    return image.rpartition("/")[2].partition(":")[0].partition("@")[0]


class Job:
    """A container that ends by itself, in a folder that is its `/opt/ml`."""

    def __init__(self, name: str, kind: str):
        self.folder = Path(tempfile.mkdtemp(prefix="job-", dir=aws.home() / "tmp"))
        self.base = self.folder / "opt" / "ml"
        self.base.mkdir(parents=True)
        self.log = aws.home() / "logs" / kind / f"{name}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)
        self.process: subprocess.Popen | None = None

    def inside(self, path: str) -> Path:
        """Where the container's `path` lies; ValueError where it is not under /opt/ml."""
        mapped = _OPT_ML.sub(str(self.base), path, count=1)
        if mapped == path or not path.startswith("/opt/ml") or ".." in Path(path).parts:
            raise ValueError(f"{path} is not under /opt/ml")
        return Path(mapped)

    def start(
        self, command: list[str], variables: dict[str, str], role: str | None, name: str
    ) -> None:
        """Starts the program with the rights of `role`; isolated, it has none and knows no AWS."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "LEAT_", "PYTHON"))}
        env |= {variable: self._mapped(value) for variable, value in variables.items()}
        env |= {
            "AWS_REGION": get_region(),
            "AWS_DEFAULT_REGION": get_region(),
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAGEMAKER_BASE_DIR": str(self.base),
            "TMPDIR": str(self.folder),
            "PYTHONUNBUFFERED": "1",
        }
        if role:
            env |= {"AWS_ENDPOINT_URL": aws.endpoint(), **aws.credentials(role, name)}
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [self._mapped(part) for part in command],
                env=env,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                process_group=0,  # of its own, so that a stop ends all of it; same session
            )

    def _mapped(self, text: str) -> str:
        return _OPT_ML.sub(str(self.base), text)

    def end(self, grace: float = GRACE_SECONDS) -> None:
        """Ends it: politely first, then for good."""
        for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5)):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(timeout=patience)
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue

    def forget(self) -> None:
        """Its folder goes; its log stays."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Server:
    """An endpoint's container: the image's server on one model, on a free port of 127.0.0.1."""

    def __init__(self, name: str, container: dict, role: str | None):
        image = container.get("Image", "")
        if "xgboost" not in _name(image):
            raise NoImage(f"image {image} is not here locally: only an xgboost image serves")
        self.folder = Path(tempfile.mkdtemp(prefix="endpoint-", dir=aws.home() / "tmp"))
        self.process: subprocess.Popen | None = None
        try:
            self._start(name, container, role)
        except BaseException:
            self.end()
            raise

    def _start(self, name: str, container: dict, role: str | None) -> None:
        log = aws.home() / "logs" / "endpoints" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        model = self.folder / "model"
        model.mkdir()
        bucket, key = aws.split_url(container["ModelDataUrl"])
        archive = self.folder / "model.tar.gz"
        aws.client("s3", role, name).download_file(bucket, key, str(archive))
        with tarfile.open(archive) as packed:
            packed.extractall(model, filter="data")
        self.port = _free_port()
        own = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "LEAT_"))}
        own |= container.get("Environment") or {}
        own |= {
            "SM_MODEL_DIR": str(model),
            "SAGEMAKER_BIND_TO_HOST": "127.0.0.1",
            "SAGEMAKER_BIND_TO_PORT": str(self.port),
        }
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, str(MODEL / "serve.py")],
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
        """Ends it, and its folder goes."""
        if self.process:
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
