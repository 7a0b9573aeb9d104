"""The built functions that report to a waiting state, against the local Step Functions, DynamoDB and Feature Store."""

import io
import json
import uuid
from datetime import datetime, timezone
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

ROOT = Path(__file__).parents[2]
ROLE = "arn:aws:iam::000000000000:role/test"


@pytest.fixture
def waiting(aws):
    """Starts an execution whose one state waits for a function's report; gives its ARN."""

    def start(function: str, payload: dict) -> str:
        state = {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Parameters": {
                "FunctionName": function,
                "Payload": payload | {"task_token.$": "$$.Task.Token"},
            },
            "TimeoutSeconds": 120,
            "End": True,
        }
        machine = aws.stepfunctions.create_state_machine(
            name=f"test-{uuid.uuid4().hex[:12]}",
            definition=json.dumps({"StartAt": "Wait", "States": {"Wait": state}}),
            roleArn=ROLE,
        )["stateMachineArn"]
        return aws.stepfunctions.start_execution(stateMachineArn=machine)["executionArn"]

    return start


@pytest.fixture
def ended(aws, until):
    """The end of an execution."""

    def wait(execution: str) -> dict:
        def look():
            found = aws.stepfunctions.describe_execution(executionArn=execution)
            return found if found["status"] != "RUNNING" else None

        return until(look, 60)

    return wait


@pytest.fixture
def ledger(aws):
    name = f"test-{uuid.uuid4().hex[:12]}"
    aws.dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": k, "AttributeType": "S"} for k in ("pk", "sk")],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )
    return name


def test_a_worker_reports_its_answer(aws, function, waiting, ended):
    bucket = aws.bucket()
    recipe = ROOT / "recipes/card-transactions"
    for name in ("recipe.yaml", "quality.dqdl"):
        aws.s3.put_object(Bucket=bucket, Key=f"recipe/{name}", Body=(recipe / name).read_bytes())
    hour = lambda h: datetime(2026, 1, 1, h, tzinfo=timezone.utc)  # noqa: E731
    rows = pyarrow.table(
        {
            "transaction_id": ["t1", "t2", "t3"],
            "customer_id": ["a", "a", "b"],
            "event_time": pyarrow.array([hour(1), hour(3), hour(2)], pyarrow.timestamp("us", "UTC")),
            "amount": [1.5, None, 0.1],
        }
    )
    out = io.BytesIO()
    pyarrow.parquet.write_table(rows, out)
    aws.s3.put_object(
        Bucket=bucket, Key="curated/bucket=00/part.parquet", Body=out.getvalue()
    )
    counts = json.dumps({"curated": f"s3://{bucket}/curated/"})
    aws.s3.put_object(Bucket=bucket, Key="runs/r/x/counts/candidate/0.json", Body=counts)
    group = f"test-{uuid.uuid4().hex[:8]}"
    features = {"customer_id": "String", "event_time": "String", "amount": "Fractional"}
    aws.sagemaker.create_feature_group(
        FeatureGroupName=group,
        RecordIdentifierFeatureName="customer_id",
        EventTimeFeatureName="event_time",
        FeatureDefinitions=[{"FeatureName": n, "FeatureType": t} for n, t in features.items()],
        RoleArn=ROLE,
        OnlineStoreConfig={"EnableOnlineStore": True},
        OfflineStoreConfig={"S3StorageConfig": {"S3Uri": f"s3://{bucket}/offline"}},
    )
    ingest = function(
        "feature-store-ingest",
        LEAT_RECIPE=f"s3://{bucket}/recipe/recipe.yaml",
        LEAT_FEATURE_GROUP=f"sagemaker:{group}",
        LEAT_FEATURES="amount",
    )
    payload = {"run_folder": f"s3://{bucket}/runs/r/x/", "bucket": 0}
    done = ended(waiting(ingest, payload))
    assert done["status"] == "SUCCEEDED", done
    assert json.loads(done["output"]) == {"bucket": 0, "online": 2, "offline": 1, "retried": 0}
    found = aws.sagemaker_featurestore_runtime.get_record(
        FeatureGroupName=group, RecordIdentifierValueAsString="a"
    )
    assert {f["FeatureName"]: f["ValueAsString"] for f in found["Record"]} == {
        "customer_id": "a",
        "event_time": "2026-01-01T03:00:00.000Z",
    }
    # A bucket that was not curated fails the state by its word.
    done = ended(waiting(ingest, payload | {"bucket": 1}))
    assert (done["status"], done["error"]) == ("FAILED", "Input.Invalid")
    # The group does not have this feature: every record is refused, and written down.
    aws.s3.delete_object(Bucket=bucket, Key="runs/r/x/feature-store/candidate/0.json")
    wrong = function(
        "feature-store-ingest",
        LEAT_RECIPE=f"s3://{bucket}/recipe/recipe.yaml",
        LEAT_FEATURE_GROUP=f"sagemaker:{group}",
    )
    done = ended(waiting(wrong, payload))
    assert (done["status"], done["error"]) == ("FAILED", "Input.Invalid")
    refused = aws.lines(bucket, "runs/r/x/failures/0.jsonl")
    assert [line["id"] for line in refused] == ["t1", "t2", "t3"]
    assert {line["reason"] for line in refused} == {"ValidationError"}


def test_a_jobs_end_resumes_the_workflow(aws, function, waiting, ended, ledger, until):
    bucket = aws.bucket()
    stores = {"LEAT_LEDGER": f"dynamodb:{ledger}", "LEAT_GLUE": "log:"}
    starter = function("glue-start", LEAT_JOBS="features", **stores)
    datasets = [
        {
            "name": "cards",
            "bucket": bucket,
            "prefixes": [{"prefix": "landing/cards/"}],
            "cleansed": f"s3://{bucket}/cleansed/cards/",
            "start": {"glue": {"job": "cleanse"}},
        }
    ]
    callback = function(
        "glue-callback",
        LEAT_DATASETS=json.dumps(datasets),
        LEAT_MANIFESTS=f"s3://{bucket}/manifests/",
        **stores,
    )

    def call(event: dict) -> dict:
        answer = getattr(aws, "lambda").invoke(FunctionName=callback, Payload=json.dumps(event))
        return json.loads(answer["Payload"].read())

    def end(name: str, state: str) -> dict:
        detail = {"jobName": "features", "jobRunId": f"log-task:{name}:1", "state": state}
        return call({"detail-type": "Glue Job State Change", "detail": detail})

    def is_open(name: str) -> bool:
        key = {"pk": {"S": f"task#{name}"}, "sk": {"S": "task"}}
        row = aws.dynamodb.get_item(TableName=ledger, Key=key).get("Item")
        return bool(row) and json.loads(row["json"]["S"])["state"] == "running"

    for name, state in (("good", "SUCCEEDED"), ("stopped", "STOPPED")):
        order = {"job": "features", "arguments": {"--run": name}, "name": name}
        execution = waiting(starter, order)
        until(lambda: is_open(name))
        assert call({"leat": "reconcile"}) == {"open": 1, "ended": 0}
        assert end(name, state) == {"data_sets": 0, "resumed": True}
        assert end(name, state) == {"data_sets": 0, "resumed": False}
        done = ended(execution)
        if state == "SUCCEEDED":
            want = {"job": "features", "run_id": "log-task:good:1", "state": "SUCCEEDED"}
            assert json.loads(done["output"]) == want
        else:
            assert (done["status"], done["error"]) == ("FAILED", "Config.Invalid")
    # A job that may not be started fails the state at once.
    done = ended(waiting(starter, {"job": "other", "name": "other"}))
    assert (done["status"], done["error"]) == ("FAILED", "Config.Invalid")
    assert call({"leat": "reconcile"}) == {"open": 0, "ended": 0}
