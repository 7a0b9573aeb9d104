"""What a person would do with the AWS command line and `leat`, against a deployed stack."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path

from botocore.exceptions import ClientError

from .. import deploy
from ..stack import ROOT, Local, Trouble
from .steps import waiting

RECIPE = "card-transactions"
FOLDER = ROOT / "recipes" / RECIPE
LEAT = ROOT / "target" / "fast" / "leat"


class Pipeline:
    """A deployed stack and the ways into it."""

    def __init__(self, local: Local, outputs: dict[str, str]):
        self.local, self.out = local, outputs
        self._clients: dict[str, object] = {}
        self.patience = float("inf")

    def client(self, service: str):
        """A boto3 client, made once."""
        if service not in self._clients:
            self._clients[service] = deploy.client(self.local, service)
        return self._clients[service]

    def leat(self, *arguments: str | Path) -> str:
        """Runs the command line against the local AWS. Status 1 says that some of the data was bad."""
        done = subprocess.run(
            [LEAT, *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, **self.local.environment()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode not in (0, 1):
            words = (done.stderr or done.stdout).strip()
            raise Trouble(f"`leat {' '.join(map(str, arguments))}` failed:\n{words[-2000:]}")
        return done.stdout

    def upload(self, path: Path, key: str) -> None:
        """Puts a file into the lake bucket."""
        self.client("s3").upload_file(str(path), self.out["LakeBucket"], key)

    # History

    def land(self, path: Path, dataset: str = RECIPE) -> None:
        """Puts a file where people put files."""
        self.upload(path, f"landing/files/{dataset}/{path.name}")

    def runs(self) -> list[dict]:
        """The runs of the cleanse job, the newest first."""
        return self.client("glue").get_job_runs(JobName=self.out["CleanseJob"])["JobRuns"]

    def until(self, what, seconds: float, problem: str):
        """Waits for `what` to give something; a failed run of the job ends the wait."""
        seconds = min(seconds, self.patience)
        over, before = time.monotonic() + seconds, {run["Id"] for run in self.runs()}
        while not (found := what()):
            now = [r for r in self.runs() if r["Id"] not in before]
            failed = [r for r in now if r["JobRunState"] in ("FAILED", "TIMEOUT")]
            if failed:
                raise Trouble(
                    f"the cleanse job failed: {failed[0].get('ErrorMessage', '')}\n"
                    f"its log: {failed[0].get('LogGroupName', '')}"
                )
            if time.monotonic() > over:
                raise Trouble(f"{problem} in {seconds:.0f} s: see {self.local.log}")
            time.sleep(0.5)
        return found

    # Training

    def run_folder(self, run: str) -> str:
        """The key below which all that an execution of train makes lies."""
        return f"artifacts/runs/{RECIPE}/{run}/"

    def read(self, key: str) -> bytes:
        """An object of the lake bucket."""
        return self.client("s3").get_object(Bucket=self.out["LakeBucket"], Key=key)["Body"].read()

    def channel(self, run: str, name: str, piece: str) -> list[tuple[int, list[str]]]:
        """The rows of a channel as (label, cells in the model's order), from the files that SageMaker got."""
        prefix = f"{self.run_folder(run)}channels/{name}/{piece}/"
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.out["LakeBucket"], Prefix=prefix)
        keys = sorted(item["Key"] for page in pages for item in page.get("Contents", []))
        lines = [line for key in keys for line in self.read(key).decode().splitlines()]
        return [(int(float(label)), cells.split(",")) for label, _, cells in (line.partition(",") for line in lines)]

    def evaluation(self, run: str) -> dict:
        """What evaluation.json says of a run."""
        return json.loads(self.read(f"{self.run_folder(run)}evaluation/evaluation.json"))

    def serving(self) -> dict | None:
        """What serves."""
        found = self.client("dynamodb").get_item(
            TableName=self.out["ServingTable"], Key={"pk": {"S": f"serving#{RECIPE}"}}, ConsistentRead=True
        )
        return json.loads(found["Item"]["json"]["S"]) if "Item" in found else None

    def object_at(self, url: str) -> bytes:
        """An object by its s3:// URL."""
        bucket, _, key = url.removeprefix("s3://").partition("/")
        return self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()

    # The stream

    def put(self, lines: list[bytes], at_once: int = 250) -> None:
        """Puts events on the stream; the partition key is the entity, so that its order holds."""
        kinesis = self.client("kinesis")
        for start in range(0, len(lines), at_once):
            records = [{"Data": x, "PartitionKey": _entity(x)} for x in lines[start : start + at_once]]
            while records:
                answer = kinesis.put_records(StreamName=self.out["EventStream"], Records=records)
                failed = zip(records, answer["Records"], strict=True)
                records = [record for record, result in failed if "ErrorCode" in result]
            waiting("events put", min(start + at_once, len(lines)), len(lines))

    def durations(self, function: str) -> list[float]:
        """The duration of each invocation of a function, in milliseconds, from its log."""
        logs, found = self.client("logs"), []
        for group in logs.describe_log_groups()["logGroups"]:
            if not group["logGroupName"].endswith(function):
                continue
            pages = logs.get_paginator("filter_log_events")
            try:
                for page in pages.paginate(logGroupName=group["logGroupName"]):
                    for event in page["events"]:
                        if match := re.search(r"^REPORT .*?\bDuration: ([\d.]+) ms", event["message"]):
                            found.append(float(match[1]))
            except ClientError:
                continue
        return found


def _entity(line: bytes) -> str:
    """The entity that the producer knows, also of a line that was damaged on its way."""
    match = re.search(rb'"customer_id"\s*:\s*"([^"]{1,128})"', line)
    return match[1].decode("utf-8", "replace") if match else "unknown"
