"""The template itself, by `sam deploy`, with every role enforced. Functions only note their event."""

import json
import shutil
import subprocess
import sys
import textwrap

import boto3
import pytest
from botocore.exceptions import ClientError

from leat_local import deploy, stack

QUICK = {"FirehoseBufferSeconds": "1", "TransformBufferSeconds": "1"}
NOTE = f"""\
    #!{sys.executable}
    import base64, json, os, urllib.request
    keys = {{"date": "2026-01-01", "quality": "passed"}}
    api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
    while True:
        with urllib.request.urlopen(api + "next") as event:
            number, body = event.headers["Lambda-Runtime-Aws-Request-Id"], event.read()
        print(body.decode(), flush=True)
        event = json.loads(body)
        answer = [{{"recordId": r["recordId"], "result": "Ok", "data": r["data"],
                   "metadata": {{"partitionKeys": keys}}}}
                  for r in event["records"]] if "deliveryStreamArn" in event else []
        answer = json.dumps({{"records": answer}}).encode()
        done = urllib.request.Request(api + number + "/response", data=answer, method="POST")
        urllib.request.urlopen(done).read()
"""


def copy(folder):
    """What `sam deploy` reads."""
    shutil.copy(stack.ROOT / "template.yaml", folder)
    shutil.copytree(stack.ROOT / "workflows", folder / "workflows")


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """(the local AWS, the stack's outputs)"""
    folder = tmp_path_factory.mktemp("deploy")
    copy(folder)
    for name in deploy.FUNCTIONS:
        bootstrap = folder / "built" / name
        bootstrap.parent.mkdir(exist_ok=True)
        bootstrap.write_text(textwrap.dedent(NOTE))
    deploy.stage(folder / "built", folder)
    local = stack.up(folder / "home", owned=True, auth=True)
    yield local, deploy.deploy(local, folder, FirehoseBufferSeconds="1", TransformBufferSeconds="1")
    stack.down(folder / "home")


def as_role(local, name: str, service: str):
    """A client that acts as one of the stack's roles."""
    role = f"arn:aws:iam::000000000000:role/leat-local-{name}"
    keys = deploy.client(local, "sts").assume_role(RoleArn=role, RoleSessionName="test")
    return boto3.client(
        service,
        endpoint_url=local.endpoint,
        region_name=local.region,
        aws_access_key_id=keys["Credentials"]["AccessKeyId"],
        aws_secret_access_key=keys["Credentials"]["SecretAccessKey"],
        aws_session_token=keys["Credentials"]["SessionToken"],
    )


def refused(call, **given) -> bool:
    try:
        call(**given)
        return False
    except ClientError as why:
        assert why.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException"), why
        return True


def noted(local, function: str) -> str:
    """What a function has printed."""
    logs, found = deploy.client(local, "logs"), []
    for group in logs.describe_log_groups()["logGroups"]:
        if group["logGroupName"].endswith(function):
            events = logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
            found += [e["message"] for e in events]
    return "\n".join(found)


def test_sam_validates():
    env = {"SAM_CLI_TELEMETRY": "0", "PATH": "/usr/bin:/bin", "HOME": "/tmp"}
    command = [deploy._sam(), "validate", "--lint", "--region", stack.REGION]
    template = ["-t", str(stack.ROOT / "template.yaml")]
    done = subprocess.run([*command, *template], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_landed_object_calls_the_trigger(deployed, until):
    local, out = deployed
    key = "landing/files/card-transactions/a b+c.jsonl"
    deploy.client(local, "s3").put_object(Bucket=out["LakeBucket"], Key=key, Body=b"{}\n")
    until(lambda: "a+b%2Bc.jsonl" in noted(local, "s3-glue-trigger"))
    deploy.client(local, "s3").put_object(Bucket=out["LakeBucket"], Key="cleansed/x", Body=b"")
    assert "cleansed" not in noted(local, "s3-glue-trigger")


def test_the_end_of_a_run_calls_the_callback(deployed, until):
    local, out = deployed
    glue = deploy.client(local, "glue")
    started = glue.start_job_run(JobName=out["CleanseJob"])  # fails: no script yet
    run = glue.get_job_run(JobName=out["CleanseJob"], RunId=started["JobRunId"])["JobRun"]
    assert run["NumberOfWorkers"] == 2 and run["Timeout"] == 120, "numbers, not a parameter's text"
    until(lambda: "Glue Job State Change" in noted(local, "glue-callback"), 60)
    assert '"state": "FAILED"' in noted(local, "glue-callback").replace('\\"', '"')


def test_a_record_reaches_the_transform_and_not_the_paused_mapping(deployed, until):
    local, out = deployed
    mapping = deploy.client(local, "lambda").get_event_source_mapping(UUID=out["KinesisMapping"])
    assert mapping["State"] == "Disabled"
    put = deploy.client(local, "kinesis").put_record(
        StreamName=out["EventStream"], Data=b"{}", PartitionKey="k"
    )
    until(lambda: put["SequenceNumber"] in noted(local, "firehose-transform"))
    prefix = "landing/stream/card-transactions/date=2026-01-01/quality=passed/"
    s3 = deploy.client(local, "s3")
    until(lambda: s3.list_objects_v2(Bucket=out["LakeBucket"], Prefix=prefix)["KeyCount"] == 1)
    assert put["SequenceNumber"] not in noted(local, "kinesis-features")
    deploy.client(local, "lambda").update_event_source_mapping(
        UUID=out["KinesisMapping"], Enabled=True
    )
    until(lambda: put["SequenceNumber"] in noted(local, "kinesis-features"))


def test_nobody_else_writes_the_streams_landing(deployed):
    local, out = deployed  # that Firehose does is shown above
    landed = {"Bucket": out["LakeBucket"], "Key": "landing/stream/card-transactions/x", "Body": b""}
    for role in ("cleanse", "kinesis-features", "firehose-transform", "s3-glue-trigger"):
        assert refused(as_role(local, role, "s3").put_object, **landed)
    large = {**landed, "Key": "landing/stream/card-transactions/large/date=2026-01-01/x"}
    assert not refused(as_role(local, "firehose-transform", "s3").put_object, **large)
    assert refused(as_role(local, "kinesis-features", "s3").put_object, **large)
    again = {**landed, "Key": "landing/stream/card-transactions/failed/x"}
    assert not refused(as_role(local, "hand-over", "s3").put_object, **again)
    assert refused(as_role(local, "firehose-transform", "s3").put_object, **again)


def test_roles_can_do_what_they_need_and_no_more(deployed):
    local, out = deployed
    lake, raw = out["LakeBucket"], out["QuarantineBucket"]
    cleanse, features = as_role(local, "cleanse", "s3"), as_role(local, "kinesis-features", "s3")
    assert not refused(cleanse.put_object, Bucket=lake, Key="cleansed/a", Body=b"")
    assert not refused(cleanse.put_object, Bucket=raw, Key="quarantine/a", Body=b"")
    assert refused(cleanse.put_object, Bucket=lake, Key="artifacts/a", Body=b"")
    assert refused(cleanse.get_object, Bucket=raw, Key="quarantine/a")
    assert not refused(features.put_object, Bucket=raw, Key="quarantine/b", Body=b"")
    assert refused(features.put_object, Bucket=lake, Key="cleansed/b", Body=b"")
    reader = as_role(local, "quarantine-reader", "s3")
    assert not refused(reader.get_object, Bucket=raw, Key="quarantine/a")
    assert refused(
        as_role(local, "glue-callback", "glue").create_job,
        Name="x", Role="r", Command={"Name": "glueetl"},
    )  # fmt: skip

    # The part of an hour that an environment counted, and nothing else of the records.
    quality = "artifacts/quality/card-transactions"
    assert not refused(features.put_object, Bucket=lake, Key=f"{quality}/hours/2026-11-23T06/e-1.json", Body=b"{}")
    assert refused(features.put_object, Bucket=lake, Key=f"{quality}/r-1.json", Body=b"{}")
    assert not refused(as_role(local, "quality-gate", "s3").list_objects_v2, Bucket=lake, Prefix=f"{quality}/hours/2026-11-23T06/")


def test_the_job_keeps_its_limit_and_its_arguments(deployed):
    local, out = deployed
    job = deploy.client(local, "glue").get_job(JobName=out["CleanseJob"])["Job"]
    assert job["ExecutionProperty"] == {"MaxConcurrentRuns": 1}
    assert job["DefaultArguments"]["--leat-cleansed"].startswith(f"s3://{out['LakeBucket']}/")
    assert json.dumps(job["DefaultArguments"]).count("!") == 0
    assert "--leat-references" not in job["DefaultArguments"]


def test_deploying_again_changes_nothing(deployed, tmp_path):
    local, out = deployed
    copy(tmp_path)
    for name in deploy.FUNCTIONS:
        (tmp_path / "built").mkdir(exist_ok=True)
        (tmp_path / "built" / name).write_text(textwrap.dedent(NOTE))
    deploy.stage(tmp_path / "built", tmp_path)
    assert deploy.deploy(local, tmp_path, **QUICK) == out
