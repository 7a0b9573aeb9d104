"""The built functions that report to a waiting state, against the local Step Functions, DynamoDB and Feature Store."""

import io
import json
import subprocess
import uuid
from datetime import datetime, timezone
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from leat_local import workflows

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

    def wait(execution: str, seconds: float = 60) -> dict:
        def look():
            found = aws.stepfunctions.describe_execution(executionArn=execution)
            return found if found["status"] != "RUNNING" else None

        return until(look, seconds)

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


# The features of a training run on Glue: glue-start, Spark, glue-callback, as the state of `train` waits for them


class Training:
    """A training run up to its features, by the built functions, over data in a lake."""

    def __init__(self, aws, function, folder):
        self.aws, self.function, self.lake = aws, function, aws.bucket()
        for path in [*(ROOT / "recipes/card-transactions").glob("*.*"), *(ROOT / "glue").glob("*.py"), *(ROOT / "dist/wheel").glob("*.whl")]:
            where = {".py": "artifacts/jobs", ".whl": "artifacts/wheels"}.get(path.suffix, "artifacts/recipes/card-transactions")
            aws.s3.upload_file(str(path), self.lake, f"{where}/{path.name}")
        self.publish(folder)
        places = {
            "LEAT_RECIPE": self.url("artifacts/recipes/card-transactions/recipe.yaml"),
            "LEAT_CLEANSED": self.url("cleansed/card-transactions/"),
            "LEAT_ARTIFACTS": self.url("artifacts/"),
            "LEAT_CURATED": self.url("curated/"),
        }
        self.workers = {name: function(name, **places) for name in ("quality-gate", "feature-fit", "feature-transform")}
        self.folder = self.url("artifacts/runs/card-transactions/r-1/")
        self.fit()

    def url(self, key: str) -> str:
        return f"s3://{self.lake}/{key}"

    def publish(self, folder) -> None:
        events, secret = folder / "events.jsonl", folder / "secret"
        secret.write_bytes(b"a secret for tests alone, of forty-nine characters")
        built = ROOT / "target/fast"
        recipe = f"file:{ROOT}/recipes/card-transactions/recipe.yaml"
        for command in (
            [built / "leat", "generate", "card-transactions", "--events", "2000", "--seed", "5", "--output", events],
            [built / "examples/publish", recipe, secret, events, f"file:{folder}/cleansed/", "4"],
        ):
            subprocess.run([str(word) for word in command], check=True, capture_output=True, timeout=120)
        for path in (folder / "cleansed").rglob("*.*"):
            self.aws.s3.upload_file(str(path), self.lake, f"cleansed/card-transactions/{path.relative_to(folder / 'cleansed')}")

    def call(self, worker: str, **event) -> dict:
        payload = json.dumps({"run_folder": self.folder, **event})
        answer = getattr(self.aws, "lambda").invoke(FunctionName=self.workers[worker], Payload=payload)
        body = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, body
        return body

    def fit(self) -> None:
        found = self.call("quality-gate", step="snapshot", run="r-1", as_of="2027-01-01T00:00:00Z", labels=None)
        self.buckets = found["buckets"]
        for bucket in self.buckets:
            self.call("quality-gate", step="measure", bucket=bucket)
        self.call("quality-gate", step="decide", train_until=None, evaluation_share=0.3, answer="error")
        for level in range(1, found["levels"] + 1):
            for bucket in self.buckets:
                self.call("feature-fit", step="partial", level=level, bucket=bucket)
            fitted = self.call("feature-fit", step="merge", level=level)
        self.state = fitted["state"]

    def made(self) -> tuple[dict[str, bytes], dict[str, list]]:
        """Channels and counts byte for byte; the Parquet files' values, as numbers print when no bit is lost."""
        run = self.folder.removeprefix(f"s3://{self.lake}/")
        texts = [key for kind in ("channels", "counts") for key in self.aws.keys(self.lake, run + kind)]
        tables = {}
        for key in self.aws.keys(self.lake, "curated/"):
            table = pyarrow.parquet.ParquetFile(io.BytesIO(self.aws.read(self.lake, key))).read()
            tables[key] = [table.schema.names, [repr(row) for row in table.to_pylist()]]
        return {key: self.aws.read(self.lake, key) for key in texts}, tables

    def forget(self) -> None:
        """Takes away what was made."""
        for key in [key for kind in self.made() for key in kind]:
            self.aws.s3.delete_object(Bucket=self.lake, Key=key)


class OnGlue:
    """The state `CurateOnGlue` of `train` with the job, and what starts it and tells of its end."""

    def __init__(self, aws, function, ledger, training):
        self.aws, self.training, self.job = aws, training, f"features-{uuid.uuid4().hex[:8]}"
        (wheel,) = (ROOT / "dist/wheel").glob("*.whl")
        aws.glue.create_job(
            Name=self.job, Role=ROLE, GlueVersion="5.0",
            Command={"Name": "glueetl", "ScriptLocation": training.url("artifacts/jobs/features.py")},
            DefaultArguments={
                "--additional-python-modules": training.url(f"artifacts/wheels/{wheel.name}"), "--extra-py-files": training.url("artifacts/jobs/cleanse.py"),
                "--leat-curated": training.url("curated/"),
            },
        )  # fmt: skip
        stores = {"LEAT_LEDGER": f"dynamodb:{ledger}"}
        cleansed = {
            "name": "cards", "bucket": training.lake, "prefixes": [{"prefix": "landing/cards/"}], "cleansed": training.url("cleansed/cards/"),
            "start": {"glue": {"job": "cleanse"}},
        }  # fmt: skip
        self.starter = function("glue-start", LEAT_JOBS=self.job, **stores)
        callback = function("glue-callback", LEAT_DATASETS=json.dumps([cleansed]), LEAT_MANIFESTS=training.url("artifacts/manifests/"), **stores)
        pattern = {"source": ["aws.glue"], "detail-type": ["Glue Job State Change"], "detail": {"jobName": [self.job]}}
        aws.events.put_rule(Name=self.job, EventPattern=json.dumps(pattern))
        arn = getattr(aws, "lambda").get_function(FunctionName=callback)["Configuration"]["FunctionArn"]
        aws.events.put_targets(Rule=self.job, Targets=[{"Id": "callback", "Arn": arn}])
        self.machine = self.create()

    def create(self) -> str:
        given = {name: name for name in workflows.names("train")} | {"GlueStart": self.starter, "FeaturesJob": self.job, "EvaluationShare": "0", "Tolerance": "0"}
        states = workflows.definition("train", given)["States"]
        waits = states["CurateOnGlue"]
        for retrier in waits["Retry"]:
            retrier["IntervalSeconds"] = retrier["MaxDelaySeconds"] = 1
        (caught,) = waits["Catch"]
        states = {
            "CurateOnGlue": waits,
            waits["Next"]: {"Type": "Succeed"},
            caught["Next"]: {"Type": "Fail", "ErrorPath": "$.error.Error", "CausePath": "$.error.Cause"},
        }
        definition = json.dumps({"StartAt": "CurateOnGlue", "States": states})
        return self.aws.stepfunctions.create_state_machine(name=self.job, definition=definition, roleArn=ROLE)["stateMachineArn"]

    def start(self, state: str | None = None) -> str:
        given = {"folder": self.training.folder, "fit": {"of": {"state": state or self.training.state}}}
        return self.aws.stepfunctions.start_execution(stateMachineArn=self.machine, input=json.dumps(given))["executionArn"]

    def runs(self) -> list[dict]:
        return self.aws.glue.get_job_runs(JobName=self.job)["JobRuns"]


def test_the_features_of_a_run_are_made_on_glue(aws, function, ended, ledger, until, tmp_path):
    training = Training(aws, function, tmp_path)
    for bucket in training.buckets:
        training.call("feature-transform", step="bucket", bucket=bucket, state=training.state, name="candidate")
    wanted = training.made()
    assert len(training.buckets) == 4 and len(wanted[0]) == 12 and len(wanted[1]) == 4
    training.forget()
    on_glue = OnGlue(aws, function, ledger, training)

    # Somebody stops it at its work: it ends by that word.
    execution = on_glue.start()
    (run,) = until(lambda: [run for run in on_glue.runs() if run["JobRunState"] == "RUNNING"], 60)
    aws.glue.batch_stop_job_run(JobName=on_glue.job, JobRunIds=[run["Id"]])
    done = ended(execution)
    assert (done["status"], done["error"]) == ("FAILED", "Config.Invalid") and "somebody stopped it" in done["cause"]

    # A run that ends for no reason of ours is tried again by the state. The next one makes all of it, over what others left.
    for key in [next(key for kind in wanted for key in kind if part in key) for part in ("bucket=01", "train/", "counts/")]:
        aws.s3.put_object(Bucket=training.lake, Key=key, Body=b"left behind")
    script = ("artifacts/jobs/features.py", (ROOT / "glue/features.py").read_bytes())
    aws.s3.delete_object(Bucket=training.lake, Key=script[0])
    execution = on_glue.start()
    until(lambda: any(run["JobRunState"] == "FAILED" for run in on_glue.runs()))
    aws.s3.put_object(Bucket=training.lake, Key=script[0], Body=script[1])
    done = ended(execution, 240)
    assert done["status"] == "SUCCEEDED", done
    states = [run["JobRunState"] for run in reversed(on_glue.runs())]
    assert states[0] == "STOPPED" and states[-1] == "SUCCEEDED" and set(states[1:-1]) == {"FAILED"}
    made = training.made()
    assert made[0] == wanted[0], "the same channels and counts, byte for byte"
    assert made[1] == wanted[1], "the same rows"
    finished = training.call("feature-transform", step="finish", name="candidate")
    assert finished["rows"] == sum(len(rows) for _, rows in made[1].values())

    # What a repeat does not mend ends it at once, by the job's own word.
    execution = on_glue.start(state=training.url("artifacts/recipes/card-transactions/recipe.yaml"))
    done = ended(execution)
    assert (done["status"], done["error"]) == ("FAILED", "Recipe.Invalid"), done
    assert len(on_glue.runs()) == len(states) + 1
    assert training.made() == made
