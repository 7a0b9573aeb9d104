"""`leat curate` over the S3 of the local AWS, as a Processing job runs it: all buckets, on all cores."""

import json
import subprocess
import uuid
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "target/fast"
RECIPE = ROOT / "recipes/card-transactions"
ROLE = "arn:aws:iam::000000000000:role/test"
BUCKETS = 2


@pytest.fixture
def invoke(aws):
    """Asks a function for its example event, with what is different in it; gives the answer."""

    def ask(function: str, event: str, **other) -> dict:
        payload = json.loads((ROOT / f"events/{event}.json").read_text()) | other
        done = getattr(aws, "lambda").invoke(FunctionName=function, Payload=json.dumps(payload).encode())
        answer = json.loads(done["Payload"].read())
        assert "FunctionError" not in done, answer
        return answer

    return ask


def published(aws, folder: Path) -> str:
    """The bucket of a lake with a recipe and a published unit of its example data."""
    bucket, events = aws.bucket(), folder / "events.jsonl"
    (folder / "secret").write_bytes(bytes(32))
    generate = ["generate", "card-transactions", "--events", "200", "--seed", "7"]
    cleansed = folder / "cleansed"
    for command in (
        [BUILT / "leat", *generate, "--output", events],
        [BUILT / "examples/publish", f"file:{RECIPE}/recipe.yaml", folder / "secret", events, f"file:{cleansed}/", str(BUCKETS)],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    for file in (f for f in cleansed.rglob("*") if f.is_file()):
        aws.s3.put_object(Bucket=bucket, Key=f"cleansed/card-transactions/{file.relative_to(cleansed)}", Body=file.read_bytes())
    for name in ("recipe.yaml", "quality.dqdl"):
        aws.s3.put_object(Bucket=bucket, Key=f"recipes/{name}", Body=(RECIPE / name).read_bytes())
    return bucket


@pytest.mark.skipif(not (BUILT / "examples/publish").exists(), reason="`make build` makes the command and the functions")
def test_a_processing_job_curates_every_bucket(aws, function, invoke, until, tmp_path):
    lake = published(aws, tmp_path)
    run = f"s3://{lake}/artifacts/runs/card-transactions/example/"
    variables = {
        "LEAT_RECIPE": f"s3://{lake}/recipes/recipe.yaml",
        "LEAT_CLEANSED": f"s3://{lake}/cleansed/card-transactions/",
        "LEAT_ARTIFACTS": f"s3://{lake}/artifacts/",
        "LEAT_TASKS": "log:",
    }
    gate, fit = (function(name, **variables) for name in ("quality-gate", "feature-fit"))
    snapshot = invoke(gate, "quality-gate", run_folder=run)
    assert snapshot["buckets"] == list(range(BUCKETS))
    for bucket in snapshot["buckets"]:
        invoke(gate, "quality-gate.measure", run_folder=run, bucket=bucket)
    invoke(gate, "quality-gate.decide", run_folder=run)
    for level in range(1, snapshot["levels"] + 1):
        for bucket in snapshot["buckets"]:
            invoke(fit, "feature-fit", run_folder=run, level=level, bucket=bucket)
        fitted = invoke(fit, "feature-fit.merge", run_folder=run, level=level)

    name = f"test-{uuid.uuid4().hex[:8]}"
    aws.sagemaker.create_processing_job(
        ProcessingJobName=name,
        RoleArn=ROLE,
        AppSpecification={
            "ImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/leat:1",
            "ContainerEntrypoint": ["leat"],
            "ContainerArguments": ["curate", "--run-folder", run, "--state", fitted["state"], "--name", "candidate"],
        },
        ProcessingResources={"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
        # Each core reads through connections of its own; through another's, a read waits until its time is up.
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )

    def ended():
        job = aws.sagemaker.describe_processing_job(ProcessingJobName=name)
        return job if job["ProcessingJobStatus"] not in ("InProgress", "Stopping") else None

    job = until(ended, 90)
    assert job["ProcessingJobStatus"] == "Completed", job
    folder = "curated/card-transactions/run=example/name=candidate/"
    assert aws.keys(lake, folder) == [f"{folder}bucket={n:02}/part.parquet" for n in range(BUCKETS)]
    counts = [json.loads(aws.read(lake, key)) for key in aws.keys(lake, "artifacts/runs/card-transactions/example/counts/candidate/")]
    rows = sum(of["rows"] for count in counts for of in count["slices"].values())
    assert len(counts) == BUCKETS and rows == snapshot["rows"] - sum(count["repeats"] for count in counts)
