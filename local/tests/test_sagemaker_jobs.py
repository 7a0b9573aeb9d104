"""Training and processing jobs really run, and end as SageMaker ends them."""

import io
import json
import random
import tarfile
import time
import uuid
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from leat_local import workflows

ROLE = "arn:aws:iam::000000000000:role/test"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
ENDED = ("Completed", "Failed", "Stopped")


def rows(count: int, seed: int = 1) -> str:
    """CSV whose label is whether a + b is above 1."""
    chance = random.Random(seed)
    pairs = [(chance.random(), chance.random()) for _ in range(count)]
    return "".join(f"{int(a + b > 1)},{a},{b},\n" for a, b in pairs)


class Jobs:
    """Jobs of one test, on one bucket."""

    def __init__(self, aws, until):
        self.aws, self.until, self.bucket = aws, until, aws.bucket()

    def put(self, key: str, body: str) -> None:
        self.aws.s3.put_object(Bucket=self.bucket, Key=key, Body=body.encode())

    def train(self, *channels: str, hyper=None, kind="text/csv", seconds=600, **more) -> str:
        name = f"test-{uuid.uuid4().hex[:8]}"
        self.aws.sagemaker.create_training_job(
            TrainingJobName=name,
            AlgorithmSpecification={"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
            RoleArn=ROLE,
            HyperParameters={"num_round": "5", "objective": "binary:logistic"} | (hyper or {}),
            InputDataConfig=[
                {
                    "ChannelName": channel,
                    "ContentType": kind,
                    "DataSource": {
                        "S3DataSource": {
                            "S3DataType": "S3Prefix",
                            "S3Uri": f"s3://{self.bucket}/{channel}/",
                        }
                    },
                }
                for channel in channels
            ],
            OutputDataConfig={"S3OutputPath": f"s3://{self.bucket}/out/"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": seconds},
            **more,
        )
        return name

    def process(
        self, script: str, *arguments: str, inputs=(), outputs=(), seconds=600, **more
    ) -> str:
        name = f"test-{uuid.uuid4().hex[:8]}"
        self.put(f"{name}/code/run.py", script)
        code = {"S3Uri": f"s3://{self.bucket}/{name}/code/", "LocalPath": "/opt/ml/processing/code"}
        places = {"code": code, **dict(inputs)}
        self.aws.sagemaker.create_processing_job(
            ProcessingJobName=name,
            RoleArn=ROLE,
            AppSpecification={
                "ImageUri": XGBOOST,
                "ContainerEntrypoint": ["python3", "/opt/ml/processing/code/run.py"],
                **({"ContainerArguments": list(arguments)} if arguments else {}),
            },
            ProcessingInputs=[
                {
                    "InputName": n,
                    "S3Input": {"S3DataType": "S3Prefix", "S3InputMode": "File", **where},
                }
                for n, where in places.items()
            ],
            ProcessingOutputConfig={
                "Outputs": [
                    {"OutputName": n, "S3Output": {"S3UploadMode": "EndOfJob", **where}}
                    for n, where in outputs
                ]
            },
            ProcessingResources={
                "ClusterConfig": {
                    "InstanceCount": 1,
                    "InstanceType": "ml.m5.large",
                    "VolumeSizeInGB": 1,
                }
            },
            StoppingCondition={"MaxRuntimeInSeconds": seconds},
            **more,
        )
        return name

    def training(self, name: str) -> dict:
        return self.aws.sagemaker.describe_training_job(TrainingJobName=name)

    def processing(self, name: str) -> dict:
        return self.aws.sagemaker.describe_processing_job(ProcessingJobName=name)

    def trained(self, name: str) -> dict:
        return self.until(lambda: _if_ended(self.training(name), "TrainingJobStatus"), 60)

    def processed(self, name: str) -> dict:
        return self.until(lambda: _if_ended(self.processing(name), "ProcessingJobStatus"), 60)


def _if_ended(job: dict, status: str):
    return job if job[status] in ENDED else None


@pytest.fixture
def jobs(aws, until):
    return Jobs(aws, until)


# Training


def test_a_training_job_leaves_a_model_that_serves(aws, jobs):
    jobs.put("train/0.csv", rows(300))
    jobs.put("train/deep/1.csv", rows(200, 2))
    jobs.put("train/2.csv", "")  # a bucket that held no labelled row
    jobs.put("validation/0.csv", rows(200, 3))
    name = jobs.train(
        "train",
        "validation",
        hyper={"num_round": "20", "max_depth": "3", "eval_metric": "auc,logloss"},
    )
    assert jobs.training(name)["TrainingJobStatus"] == "InProgress"
    job = jobs.trained(name)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed", job.get(
        "FailureReason"
    )
    assert (
        job["ModelArtifacts"]["S3ModelArtifacts"]
        == f"s3://{jobs.bucket}/out/{name}/output/model.tar.gz"
    )
    with tarfile.open(
        fileobj=io.BytesIO(aws.read(jobs.bucket, f"out/{name}/output/model.tar.gz"))
    ) as packed:
        assert packed.getnames() == ["xgboost-model"]
    metrics = {m["MetricName"]: m["Value"] for m in job["FinalMetricDataList"]}
    assert set(metrics) == {"train:auc", "train:logloss", "validation:auc", "validation:logloss"}
    assert metrics["validation:auc"] > 0.95
    states = [move["Status"] for move in job["SecondaryStatusTransitions"]]
    assert states == ["Downloading", "Training", "Uploading", "Completed"]
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"]

    container = {"Image": XGBOOST, "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"]}
    aws.sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    aws.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    aws.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    wait = {"Delay": 1, "MaxAttempts": 60}
    aws.sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=wait)
    answer = aws.sagemaker_runtime.invoke_endpoint(
        EndpointName=name, Body="0.9,0.9,\n", ContentType="text/csv"
    )
    assert float(answer["Body"].read()) > 0.8
    aws.sagemaker.delete_endpoint(EndpointName=name)


def test_the_same_job_again_gives_the_same_model(aws, jobs):
    jobs.put("train/0.csv", rows(300))
    names = [jobs.train("train", hyper={"seed": "3", "subsample": "0.5"}) for _ in range(2)]
    models = []
    for name in names:
        assert jobs.trained(name)["TrainingJobStatus"] == "Completed"
        with tarfile.open(
            fileobj=io.BytesIO(aws.read(jobs.bucket, f"out/{name}/output/model.tar.gz"))
        ) as packed:
            models.append(packed.extractfile("xgboost-model").read())
    assert models[0] == models[1]


@pytest.mark.parametrize(
    ("content", "hyper", "kind", "words"),
    [
        ("", {}, "text/csv", "channel train holds no row"),
        ("1,2\n1,2,3\n", {}, "text/csv", "differ in their number of columns"),
        (",2,3\n", {}, "text/csv", "some rows have none"),
        ("1,2\n", {"num_rounds": "3"}, "text/csv", "unknown hyperparameters: num_rounds"),
        ("1,2\n", {"eta": "fast"}, "text/csv", "hyperparameter eta: 'fast' is no number"),
        ("1,2\n", {"num_round": "0"}, "text/csv", "num_round is required"),
        ("1,2\n", {"objective": "binary:fraud"}, "text/csv", "binary:fraud"),
        ("1,2\n", {}, "text/libsvm", "must be text/csv"),
    ],
)
def test_what_the_algorithm_refuses_is_the_reason(aws, jobs, content, hyper, kind, words):
    jobs.put("train/0.csv", content)
    name = jobs.train("train", hyper=hyper, kind=kind)
    job = jobs.trained(name)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: ") and words in job["FailureReason"]
    assert job["FailureReason"].endswith("exit code: 1")
    assert not aws.keys(jobs.bucket, "out/")


def test_a_channel_without_objects_fails_before_the_program(jobs):
    job = jobs.trained(jobs.train("train"))
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: No S3 objects found under S3 URL")


def test_a_name_is_taken_once(jobs):
    jobs.put("train/0.csv", rows(50))
    name = jobs.train("train")
    with pytest.raises(ClientError) as again:
        jobs.aws.sagemaker.create_training_job(
            **{
                k: v
                for k, v in jobs.training(name).items()
                if k in ("TrainingJobName AlgorithmSpecification RoleArn InputDataConfig OutputDataConfig "
                         "ResourceConfig StoppingCondition").split()
            }
        )  # fmt: skip
    assert again.value.response["Error"]["Code"] == "ResourceInUse"
    assert jobs.trained(name)["TrainingJobStatus"] == "Completed"


def test_a_stopped_job_ends_and_a_late_stop_is_refused(jobs):
    jobs.put("train/0.csv", rows(2000))
    name = jobs.train("train", hyper={"num_round": "1000000"})
    jobs.until(lambda: jobs.training(name)["SecondaryStatus"] == "Training")
    jobs.aws.sagemaker.stop_training_job(TrainingJobName=name)
    assert jobs.training(name)["TrainingJobStatus"] in ("Stopping", "Stopped")
    job = jobs.trained(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    with pytest.raises(ClientError, match="status Stopped"):
        jobs.aws.sagemaker.stop_training_job(TrainingJobName=name)


def test_a_job_over_its_time_is_stopped(jobs):
    jobs.put("train/0.csv", rows(2000))
    job = jobs.trained(jobs.train("train", hyper={"num_round": "1000000"}, seconds=2))
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert 2 <= job["TrainingTimeInSeconds"] < 20


def test_the_end_of_a_job_is_an_event(aws, jobs):
    queue = f"test-{uuid.uuid4().hex[:8]}"
    url = aws.sqs.create_queue(QueueName=queue)["QueueUrl"]
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Training Job State Change"]}
    aws.events.put_rule(Name=queue, EventPattern=json.dumps(pattern))
    target = {"Id": "q", "Arn": f"arn:aws:sqs:us-east-1:000000000000:{queue}"}
    aws.events.put_targets(Rule=queue, Targets=[target])
    jobs.put("train/0.csv", rows(50))
    name = jobs.train("train")
    message = jobs.until(lambda: aws.sqs.receive_message(QueueUrl=url).get("Messages"))[0]
    detail = json.loads(message["Body"])["detail"]
    assert (detail["TrainingJobName"], detail["TrainingJobStatus"]) == (name, "Completed")
    aws.events.remove_targets(Rule=queue, Ids=["q"])
    aws.events.delete_rule(Name=queue)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"TrainingJobName": "n" * 64}, "length less than or equal to 63"),
        ({"TrainingJobName": "leat_under"}, "regular expression"),
        ({"HyperParameters": {"eta": "x" * 2501}}, "less than or equal to 2500"),
    ],
)
def test_a_request_is_checked_by_the_services_model(aws, change, words):
    given = {
        "TrainingJobName": "test",
        "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    with pytest.raises(ClientError) as why:
        aws.sagemaker.create_training_job(**given | change)
    assert why.value.response["Error"]["Code"] == "ValidationException"
    assert words in str(why.value)


# Processing

COPY = """
import json, os, sys
from pathlib import Path
import numpy, xgboost
source, target, word = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
assert sorted(p.relative_to(source).as_posix() for p in source.rglob("*.txt")) == ["a.txt", "below/b.txt"]
for file in source.rglob("*.txt"):
    (target / "deep").mkdir(exist_ok=True)
    (target / "deep" / file.name).write_text(file.read_text() + word + os.environ["PLACE"][-8:])
base = Path(os.environ["SAGEMAKER_BASE_DIR"])
config = json.loads((base / "config" / "processingjobconfig.json").read_text())
(base / "output").mkdir(exist_ok=True)
(base / "output" / "message").write_text("copied for " + config["ProcessingJobName"])
import boto3
boto3.client("s3").put_object(Bucket=os.environ["BUCKET"], Key="by-boto3", Body=b"x")
"""


def test_a_processing_job_moves_files_in_and_out(aws, jobs):
    jobs.put("data/a.txt", "a")
    jobs.put("data/below/b.txt", "b")
    name = jobs.process(
        COPY,
        *("/opt/ml/processing/in", "/opt/ml/processing/out", "!/opt/ml"),
        inputs=[
            ("in", {"S3Uri": f"s3://{jobs.bucket}/data", "LocalPath": "/opt/ml/processing/in"})
        ],
        outputs=[
            ("out", {"S3Uri": f"s3://{jobs.bucket}/result", "LocalPath": "/opt/ml/processing/out"})
        ],
        Environment={"PLACE": "/opt/ml/processing/inplace", "BUCKET": jobs.bucket},
    )
    job = jobs.processed(name)
    assert job["ProcessingJobStatus"] == "Completed", job
    assert job["ExitMessage"] == f"copied for {name}"
    assert job["ProcessingStartTime"] <= job["ProcessingEndTime"]
    assert aws.keys(jobs.bucket, "result/") == ["result/deep/a.txt", "result/deep/b.txt"]
    assert aws.read(jobs.bucket, "result/deep/b.txt").decode().startswith("b!")
    assert aws.read(jobs.bucket, "by-boto3") == b"x"


def test_a_failed_program_fails_its_job_and_uploads_nothing(aws, jobs):
    script = """
import os, sys
from pathlib import Path
base = Path(os.environ["SAGEMAKER_BASE_DIR"])
(base / "processing" / "out" / "half").write_text("half")
(base / "output" / "message").write_text("the candidate has no score")
sys.exit(3)
"""
    where = {"S3Uri": f"s3://{jobs.bucket}/result/", "LocalPath": "/opt/ml/processing/out"}
    job = jobs.processed(jobs.process(script, outputs=[("out", where)]))
    assert job["ProcessingJobStatus"] == "Failed"
    assert (
        job["FailureReason"].startswith("AlgorithmError")
        and job["ExitMessage"] == "the candidate has no score"
    )
    assert aws.keys(jobs.bucket, "result/") == []


def test_a_missing_input_and_a_path_elsewhere_fail(jobs):
    missing = {"S3Uri": f"s3://{jobs.bucket}/nothing/", "LocalPath": "/opt/ml/processing/in"}
    job = jobs.processed(jobs.process("", inputs=[("in", missing)]))
    assert job["ProcessingJobStatus"] == "Failed" and "No S3 objects found" in job["FailureReason"]
    jobs.put("data/a", "a")
    elsewhere = {"S3Uri": f"s3://{jobs.bucket}/data/", "LocalPath": "/opt/ml/../../etc"}
    job = jobs.processed(jobs.process("", inputs=[("in", elsewhere)]))
    assert job["ProcessingJobStatus"] == "Failed" and "not under /opt/ml" in job["FailureReason"]


def test_a_processing_job_over_its_time_is_stopped_with_its_children(jobs):
    script = "import subprocess, sys; subprocess.run(['sleep', '600'])"
    began = time.monotonic()
    job = jobs.processed(jobs.process(script, seconds=1))
    assert job["ProcessingJobStatus"] == "Stopped" and time.monotonic() - began < 30


def test_an_isolated_job_reaches_no_service(jobs):
    script = """
import os, sys
sys.exit(3 if any(k.startswith(("AWS_ENDPOINT", "AWS_ACCESS", "AWS_SECRET")) for k in os.environ) else 0)
"""
    name = jobs.process(script, NetworkConfig={"EnableNetworkIsolation": True})
    assert jobs.processed(name)["ProcessingJobStatus"] == "Completed"
    assert jobs.processed(jobs.process(script))["ExitMessage"] == "exit code: 3"


def test_the_workflows_own_states_train_and_evaluate(aws, jobs):
    """`train.asl.json` from its training to its verdict, on a first model that nobody has to beat."""
    given = {name: name.lower() for name in workflows.names("train")}
    given |= {"XgboostImage": XGBOOST, "LakeBucket": jobs.bucket, "Recipe": "cards"}
    given |= {name: ROLE for name in given if name.endswith("Role")}
    given |= {name: "ml.m5.large" for name in given if name.endswith("Instance")}
    states = workflows.definition("train", given)["States"]
    kept = {name: states[name] for name in ("Train", "EvaluateFirst", "ReadEvaluation")}
    for state, after in zip(kept.values(), ("EvaluateFirst", "ReadEvaluation", None), strict=True):
        state.pop("Catch")
        state.pop("Next")
        state.update({"Next": after} if after else {"End": True})
    jobs.put("artifacts/jobs/evaluate.py", (workflows.FOLDER / "evaluate.py").read_text())
    jobs.put("run/channels/candidate/train/0.csv", rows(300))
    jobs.put("run/channels/candidate/evaluate/0.csv", rows(200, 2))
    folder = f"s3://{jobs.bucket}/run/"
    channels = {s: f"{folder}channels/candidate/{s}/" for s in ("train", "evaluate")}
    run = aws.stepfunctions.start_execution(
        stateMachineArn=aws.stepfunctions.create_state_machine(
            name=f"test-{uuid.uuid4().hex[:8]}",
            definition=json.dumps({"StartAt": "Train", "States": kept}),
            roleArn=ROLE,
        )["stateMachineArn"],
        input=json.dumps(
            {
                "folder": folder,
                "features": {"of": channels},
                "fit": {"of": {"state_hash": "abc"}},
                "given": {"tolerance": 0.005},
                "evaluation_key": "run/evaluation/evaluation.json",
            }
        ),
    )["executionArn"]

    def ended():
        found = aws.stepfunctions.describe_execution(executionArn=run)
        return found if found["status"] != "RUNNING" else None

    done = jobs.until(ended, 90)
    assert done["status"] == "SUCCEEDED", done
    told = json.loads(done["output"])
    assert told["evaluation"]["of"]["better"] is True
    assert told["training"]["model"].endswith("/output/model.tar.gz")


def test_the_leat_image_is_the_command_itself(aws, jobs):
    if not (Path(__file__).resolve().parents[2] / "target" / "fast" / "leat").exists():
        pytest.skip("`make build` makes the command")
    name = f"test-{uuid.uuid4().hex[:8]}"
    outputs = {
        "S3Uri": f"s3://{jobs.bucket}/result/",
        "LocalPath": "/opt/ml/processing/out",
        "S3UploadMode": "EndOfJob",
    }
    aws.sagemaker.create_processing_job(
        ProcessingJobName=name,
        RoleArn=ROLE,
        AppSpecification={
            "ImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/leat:1",
            "ContainerArguments": (
                "generate card-transactions --events 20 --seed 1 --output /opt/ml/processing/out/events.jsonl".split()
            ),
        },
        ProcessingOutputConfig={"Outputs": [{"OutputName": "out", "S3Output": outputs}]},
        ProcessingResources={
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.large",
                "VolumeSizeInGB": 1,
            }
        },
    )
    job = jobs.processed(name)
    assert job["ProcessingJobStatus"] == "Completed", job
    assert aws.read(jobs.bucket, "result/events.jsonl").count(b"\n") >= 20


def test_an_image_that_is_not_here_is_refused(aws):
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
    with pytest.raises(ClientError, match="not here locally"):
        aws.sagemaker.create_processing_job(
            ProcessingJobName="test-none",
            RoleArn=ROLE,
            AppSpecification={"ImageUri": "somebody/pytorch:1"},
            ProcessingResources={"ClusterConfig": cluster},
        )
    with pytest.raises(ClientError) as why:
        aws.sagemaker.describe_processing_job(ProcessingJobName="test-none")
    assert why.value.response["Error"]["Code"] == "ResourceNotFound"
