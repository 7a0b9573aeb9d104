"""Endpoints serve a really trained model, and fail in SageMaker's words."""

import io
import json
import os
import random
import subprocess
import sys
import tarfile
import uuid
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

TRAIN = Path(__file__).resolve().parents[1] / "model" / "train.py"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """model.tar.gz of XGBoost on a made-up CSV, in which the label is whether a + b is above 1."""
    folder = tmp_path_factory.mktemp("model")
    for name in ("train", "model", "output"):
        (folder / name).mkdir()
    chance = random.Random(1)
    with (folder / "train" / "part.csv").open("w") as out:
        for _ in range(500):
            a, b = chance.random(), chance.random()
            out.write(f"{int(a + b > 1)},{a},{b},\n")
    env = {
        **os.environ,
        "SM_CHANNEL_TRAIN": str(folder / "train"),
        "SM_MODEL_DIR": str(folder / "model"),
        "SM_OUTPUT_DATA_DIR": str(folder / "output"),
    }
    subprocess.run([sys.executable, TRAIN, "--num_round", "20"], env=env, check=True)
    assert json.loads((folder / "output" / "metrics.json").read_text())["train"]["auc"] > 0.99
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(folder / "model" / "xgboost-model", "xgboost-model")
    return packed.getvalue()


def create(aws, data: bytes) -> str:
    bucket, name = aws.bucket(), f"leat-test-{uuid.uuid4().hex[:8]}"
    aws.s3.put_object(Bucket=bucket, Key="model.tar.gz", Body=data)
    container = {"Image": "xgboost", "ModelDataUrl": f"s3://{bucket}/model.tar.gz"}
    role = "arn:aws:iam::000000000000:role/test"
    aws.sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    aws.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    aws.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    return name


@pytest.fixture(scope="module")
def endpoint(aws, model):
    name = create(aws, model)
    assert aws.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Creating"
    aws.sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    yield name
    aws.sagemaker.delete_endpoint(EndpointName=name)


def invoke(aws, name, body, kind="text/csv"):
    return aws.sagemaker_runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType=kind)


def refusal(aws, *given):
    with pytest.raises(ClientError) as why:
        invoke(aws, *given)
    return why.value.response


def test_scores_come_in_order_a_line_each(aws, endpoint):
    answer = invoke(aws, endpoint, "0.9,0.9,\n0.1,0.1,\n,0.9,\n")
    scores = [float(x) for x in answer["Body"].read().decode().splitlines()]
    assert len(scores) == 3 and scores[0] > 0.9 and scores[1] < 0.1
    assert answer["ContentType"].startswith("text/csv")


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        ("1,2\n", "text/csv", 400, "row 1 has 2 columns"),
        ("1,2,3\n1,secret,3\n", "text/csv", 400, "row 2 holds a cell that is no number"),
        ("", "text/csv", 400, "no row"),
        ("{}", "application/json", 415, "not supported"),
    ],
)
def test_what_the_container_refuses_is_a_model_error(aws, endpoint, body, kind, status, words):
    why = refusal(aws, endpoint, body, kind)
    assert why["Error"]["Code"] == "ModelError"
    assert why["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert why["OriginalStatusCode"] == status
    assert words in why["OriginalMessage"] and "secret" not in why["OriginalMessage"]
    assert f"Received client error ({status}) from primary" in why["Error"]["Message"]


def test_an_endpoint_that_is_not_there(aws):
    why = refusal(aws, "leat-none", "1,2,3\n")
    assert why["Error"]["Code"] == "ValidationError"
    assert "Endpoint leat-none of account" in why["Error"]["Message"]
    with pytest.raises(ClientError, match="Could not find endpoint"):
        aws.sagemaker.describe_endpoint(EndpointName="leat-none")


def test_too_large_a_request(aws, endpoint):
    why = refusal(aws, endpoint, b"1" * (6 * 1024 * 1024 + 1))
    assert why["Error"]["Code"] == "ValidationError"


def test_a_model_that_does_not_load_fails_its_endpoint(aws, until):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("xgboost-model"))
    name = create(aws, packed.getvalue())

    def failed():
        found = aws.sagemaker.describe_endpoint(EndpointName=name)
        return found if found["EndpointStatus"] == "Failed" else None

    assert "the container ended" in until(failed)["FailureReason"]
    aws.sagemaker.delete_endpoint(EndpointName=name)


def in_service(aws, name):
    wait = {"Delay": 1, "MaxAttempts": 60}
    aws.sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=wait)


def test_a_model_whose_data_is_missing_is_refused(aws, model, until):
    bucket = aws.bucket()
    with pytest.raises(ClientError, match="Could not access model data at s3://"):
        aws.sagemaker.create_model(
            ModelName="test-missing",
            PrimaryContainer={"Image": "xgboost", "ModelDataUrl": f"s3://{bucket}/model.tar.gz"},
            ExecutionRoleArn="arn:aws:iam::000000000000:role/test",
        )


def test_an_endpoint_whose_model_went_away_fails_and_can_be_made_again(aws, model, until):
    name = create(aws, model)
    in_service(aws, name)
    aws.sagemaker.delete_endpoint(EndpointName=name)
    data = aws.sagemaker.describe_model(ModelName=name)["PrimaryContainer"]["ModelDataUrl"]
    bucket, key = data.removeprefix("s3://").split("/", 1)
    aws.s3.delete_object(Bucket=bucket, Key=key)
    aws.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)

    def failed():
        found = aws.sagemaker.describe_endpoint(EndpointName=name)
        return found if found["EndpointStatus"] == "Failed" else None

    assert "404" in until(failed)["FailureReason"]
    with pytest.raises(ClientError, match="Cannot create already existing endpoint"):
        aws.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    aws.sagemaker.delete_endpoint(EndpointName=name)
    aws.s3.put_object(Bucket=bucket, Key=key, Body=model)
    aws.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    in_service(aws, name)
    aws.sagemaker.delete_endpoint(EndpointName=name)


def test_an_update_serves_on_and_a_bad_one_changes_nothing(aws, model, until):
    name, other = create(aws, model), create(aws, model)
    in_service(aws, name)
    aws.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=other)
    assert invoke(aws, name, "0.9,0.9,\n")["Body"].read()
    in_service(aws, name)
    assert aws.sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"] == other
    aws.sagemaker.delete_model(ModelName=name)
    aws.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=name)
    in_service(aws, name)
    found = aws.sagemaker.describe_endpoint(EndpointName=name)
    assert found["EndpointConfigName"] == other and "Could not find model" in found["FailureReason"]
    for each in (name, other):
        aws.sagemaker.delete_endpoint(EndpointName=each)


def test_a_deleted_endpoint_is_gone(aws, model, until):
    name = create(aws, model)
    aws.sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    assert name in [e["EndpointName"] for e in aws.sagemaker.list_endpoints()["Endpoints"]]
    aws.sagemaker.delete_endpoint(EndpointName=name)
    assert refusal(aws, name, "1,2,3\n")["Error"]["Code"] == "ValidationError"
    aws.sagemaker.delete_endpoint_config(EndpointConfigName=name)
    aws.sagemaker.delete_model(ModelName=name)
    with pytest.raises(ClientError, match="Could not find model"):
        aws.sagemaker.describe_model(ModelName=name)
