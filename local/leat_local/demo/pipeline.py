"""What a person would do with the AWS command line and `leat`, against a deployed stack."""

from __future__ import annotations

import base64
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

    @property
    def cleansed(self) -> str:
        """Where the cleansed data set lies."""
        return f"s3://{self.out['LakeBucket']}/cleansed/{RECIPE}/"

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

    def secret(self, path: Path) -> Path:
        """The keys' secret as a file that this user alone reads: the command line takes no other."""
        found = self.client("secretsmanager").get_secret_value(SecretId=self.out["KeysSecret"])
        path.touch(mode=0o600)
        path.write_text(found["SecretString"])
        return path

    # History

    def land(self, path: Path) -> None:
        """Puts a file where people put files."""
        self.upload(path, f"landing/files/{RECIPE}/{path.name}")

    def runs(self) -> list[dict]:
        """The runs of the cleanse job, the newest first."""
        return self.client("glue").get_job_runs(JobName=self.out["CleanseJob"])["JobRuns"]

    def until(self, what, seconds: float, problem: str):
        """Waits for `what` to give something; a failed run of the job ends the wait."""
        seconds = min(seconds, self.patience)
        over = time.monotonic() + seconds
        while not (found := what()):
            failed = [r for r in self.runs() if r["JobRunState"] in ("FAILED", "TIMEOUT")]
            if failed:
                raise Trouble(
                    f"the cleanse job failed: {failed[0].get('ErrorMessage', '')}\n"
                    f"its log: {failed[0].get('LogGroupName', '')}"
                )
            if time.monotonic() > over:
                raise Trouble(f"{problem} in {seconds:.0f} s: see {self.local.log}")
            time.sleep(0.5)
        return found

    # The model

    def endpoint(self, name: str, archive: Path) -> None:
        """A SageMaker endpoint on model.tar.gz; waits until it is in service."""
        sagemaker, key = self.client("sagemaker"), f"artifacts/models/{name}/model.tar.gz"
        self.upload(archive, key)
        sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=self.out["ModelRole"],
            PrimaryContainer={
                "Image": "xgboost",
                "ModelDataUrl": f"s3://{self.out['LakeBucket']}/{key}",
            },
        )
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": name,
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
        }
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        over = time.monotonic() + 180
        while True:
            found = sagemaker.describe_endpoint(EndpointName=name)
            if found["EndpointStatus"] == "InService":
                return
            if found["EndpointStatus"] == "Failed" or time.monotonic() > over:
                raise Trouble(f"endpoint {name}: {found.get('FailureReason', 'it takes too long')}")
            time.sleep(0.2)

    def serve(self, endpoint: str | None, state_url: str, state: dict) -> None:
        """Sets what serves. The first launch: there must be none yet."""
        serving = {
            "endpoint": endpoint,
            "state": state_url,
            "state_hash": state["hash"],
            "recipe_hash": state["recipe_hash"],
            "state_plan": state["state_plan"],
        }
        self.client("dynamodb").put_item(
            TableName=self.out["ServingTable"],
            Item={"pk": {"S": f"serving#{RECIPE}"}, "json": {"S": json.dumps(serving)}},
            ConditionExpression="attribute_not_exists(pk)",
        )

    def load(self, items: Path) -> int:
        """Writes the items of entities, which are DynamoDB JSON, and says how many. None may be there before."""
        dynamodb, count = self.client("dynamodb"), 0
        for line in items.read_text().splitlines():
            item = json.loads(line)["Item"]
            item["b"]["B"] = base64.b64decode(item["b"]["B"])
            dynamodb.put_item(
                TableName=self.out["StateTable"],
                Item=item,
                ConditionExpression="attribute_not_exists(pk)",
            )
            count += 1
        return count

    # The stream

    def start_mapping(self) -> None:
        """Lets kinesis-features read the stream, from its beginning."""
        self.client("lambda").update_event_source_mapping(
            UUID=self.out["KinesisMapping"], Enabled=True
        )

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
