"""Deploys `template.yaml` to a local AWS by `sam deploy`, as a person would to AWS."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

from .stack import ROOT, Local, Trouble

STACK = "leat-local"
FUNCTIONS = (
    "kinesis-features",
    "firehose-transform",
    "s3-glue-trigger",
    "glue-callback",
    "glue-start",
    "quality-gate",
    "feature-fit",
    "feature-transform",
    "feature-store-ingest",
    "hand-over",
)


def stage(binaries: Path, folder: Path) -> dict[str, Path]:
    """Puts each function's binary where the template looks for it, which is given: `dist/<function>/bootstrap`."""
    missing = [name for name in FUNCTIONS if not (binaries / name).is_file()]
    if missing:
        raise Trouble(f"{binaries} has no {', '.join(missing)}: run `make build` first")
    staged = {name: folder / "dist" / name / "bootstrap" for name in FUNCTIONS}
    for name, target in staged.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(binaries / name, target)
        target.chmod(0o755)
    return staged


def deploy(local: Local, folder: Path = ROOT, **parameters: str) -> dict[str, str]:
    """Runs `sam deploy` in `folder` and gives the stack's outputs."""
    machine = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    given = {"Stage": "local", "Architecture": machine, **parameters}
    command = [
        _sam(),
        "deploy",
        *("--template-file", str(folder / "template.yaml")),
        *("--stack-name", STACK),
        *("--region", local.region),
        *("--capabilities", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"),
        "--resolve-s3",
        "--no-confirm-changeset",
        "--no-fail-on-empty-changeset",
        "--no-progressbar",
        "--parameter-overrides",
        *(f"{name}={value}" for name, value in given.items()),
    ]
    own = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PYTHON"))}
    done = subprocess.run(
        command,
        cwd=folder,
        env=own | local.environment() | {"SAM_CLI_TELEMETRY": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise Trouble("sam deploy failed:\n  " + "\n  ".join(_reasons(local, done.stdout)))
    return outputs(local)


def _reasons(local: Local, said: str) -> list[str]:
    """Why resources failed; where CloudFormation knows nothing, the last that `sam` said."""
    try:
        events = client(local, "cloudformation").describe_stack_events(StackName=STACK)
    except ClientError:
        return said.strip().splitlines()[-5:]
    failed = [e for e in events["StackEvents"] if e["ResourceStatus"].endswith("_FAILED")]
    found = [f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason', '')}" for e in failed]
    return found[::-1] or said.strip().splitlines()[-5:]


def outputs(local: Local) -> dict[str, str]:
    """The outputs of the stack that is deployed."""
    stacks = client(local, "cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    return {o["OutputKey"]: o["OutputValue"] for o in stacks[0].get("Outputs", [])}


def client(local: Local, service: str):
    """A boto3 client of the local AWS, for a person: not bound to any function's role."""
    return boto3.client(
        service,
        endpoint_url=local.endpoint,
        region_name=local.region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def _sam() -> str:
    own = ROOT / ".venv-sam" / "bin" / "sam"
    found = str(own) if own.exists() else shutil.which("sam")
    if not found:
        raise Trouble("there is no `sam`: scripts/venv .venv-sam local/requirements-sam.txt")
    return found
