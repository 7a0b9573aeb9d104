"""SageMaker's training and processing jobs: the container's program runs, as its contract says.

Training: channels come from S3 into `/opt/ml/input/data/<channel>`, the configuration into
`/opt/ml/input/config/`; what the program leaves in `/opt/ml/model` becomes `model.tar.gz`, what it
writes to `/opt/ml/output/failure` is the reason. Processing: inputs to their local paths, outputs
uploaded at the end, `/opt/ml/output/message` is the exit message. Both act with the job's role,
stop when told to or when their time is over, and announce each end on EventBridge.
Only simulated: instances, images, spot, more than one host.
"""

from __future__ import annotations

import contextvars
import json
import re
import subprocess
import tarfile
import threading
import time
from pathlib import Path

from botocore.exceptions import ClientError

from ministack.core.responses import get_account_id, get_region
from ministack.services import eventbridge

from . import aws, containers, s3_folders
from .refused import Refused

USES = {"ministack.services.eventbridge": ("_put_events",)}
DAY = 86_400
TERMINAL = ("Completed", "Failed", "Stopped")
# What a training log says of the fit, where the image is the built-in XGBoost: its own definitions.
_ROUND = re.compile(r"^\[\d+\](?:\t|#011).*$", re.M)
_METRIC = re.compile(r"(?:\t|#011)(train|validation)-([a-z0-9@-]+):([-+.0-9einfa]+)")

_jobs: dict[tuple[str, str], dict] = {}  # (kind, name): what Describe answers
_running: dict[tuple[str, str], "Run"] = {}
_lock = threading.Lock()


class Failed(Exception):
    """A job that ends as Failed, and why."""


class Run:
    """The live side of a job: its container, and whether it should stop."""

    def __init__(self):
        self.stop = threading.Event()
        self.container: containers.Job | None = None


# Calls


def create_training_job(data: dict) -> dict:
    """CreateTrainingJob: InProgress, until its program ends."""
    name = data["TrainingJobName"]
    image = data["AlgorithmSpecification"].get("TrainingImage", "")
    if data["AlgorithmSpecification"]["TrainingInputMode"] == "Pipe":
        raise Refused("ValidationException", "Pipe mode is not here locally: use File or FastFile")
    if not data.get("InputDataConfig") or data["OutputDataConfig"].get("CompressionType") == "NONE":
        why = "locally a training job needs InputDataConfig, and writes model.tar.gz"
        raise Refused("ValidationException", why)
    command = _program(containers.training, image)
    job = _new("Training", name, data) | {
        "SecondaryStatus": "Starting",
        "SecondaryStatusTransitions": [],
    }
    _put("Training", name, job)
    _in_background(_train, name, job, command)
    return {"TrainingJobArn": job["TrainingJobArn"]}


def create_processing_job(data: dict) -> dict:
    """CreateProcessingJob: InProgress, until its program ends."""
    name, application = data["ProcessingJobName"], data["AppSpecification"]
    for what in (*_inputs(data), *_outputs(data)):
        if not (what.get("S3Input") or what.get("S3Output")):
            raise Refused(
                "ValidationException", "locally a processing job knows S3 inputs and outputs only"
            )
    command = _program(
        containers.processing,
        application["ImageUri"],
        application.get("ContainerEntrypoint", []),
        application.get("ContainerArguments", []),
    )
    job = _new("Processing", name, data)
    _put("Processing", name, job)
    _in_background(_process, name, job, command)
    return {"ProcessingJobArn": job["ProcessingJobArn"]}


def describe(kind: str, name: str) -> dict:
    """DescribeTrainingJob, DescribeProcessingJob."""
    job = _jobs.get((kind, name))
    if not job:
        arn = (
            f"arn:aws:sagemaker:{get_region()}:{get_account_id()}:{kind.lower()}-job/{name.lower()}"
        )
        if kind == "Training":
            raise Refused("ValidationException", "Requested resource not found.")
        raise Refused("ResourceNotFound", f"Could not find requested job with name: {arn}")
    return {k: v for k, v in job.items() if not k.startswith("_")}


def stop(kind: str, name: str) -> dict:
    """StopTrainingJob, StopProcessingJob: Stopping, then Stopped once the program is gone."""
    describe(kind, name)
    job, run = _jobs[kind, name], _running.get((kind, name))
    status = f"{kind}JobStatus"
    with _lock:
        if job[status] not in ("InProgress", "Stopping") or not run:
            why = f"The request was rejected because the {kind.lower()} job is in status {job[status]}."
            raise Refused("ValidationException", why)
        _move(kind, job, "Stopping", "Stopping")
        run.stop.set()
    return {}


def _program(make, image: str, *more) -> list[str]:
    try:
        return make(image, *more)
    except containers.NoImage as why:
        raise Refused("ValidationException", str(why)) from None


def _new(kind: str, name: str, data: dict) -> dict:
    now, lower = time.time(), kind.lower()
    arn = f"arn:aws:sagemaker:{get_region()}:{get_account_id()}:{lower}-job/{name.lower()}"
    kept = {k: v for k, v in data.items() if k != "Tags"}
    return kept | {
        f"{kind}JobArn": arn,
        f"{kind}JobStatus": "InProgress",
        "StoppingCondition": {"MaxRuntimeInSeconds": DAY} | data.get("StoppingCondition", {}),
        "CreationTime": now,
        "LastModifiedTime": now,
    }


def _put(kind: str, name: str, job: dict) -> None:
    with _lock:
        if (kind, name) in _jobs:
            why = (
                f"{kind} job names must be unique within an AWS account and region, and a "
                f"{kind.lower()} job with this name already exists ({_jobs[kind, name][f'{kind}JobArn']})"
            )
            raise Refused("ResourceInUse", why)
        _jobs[kind, name], _running[kind, name] = job, Run()


def _in_background(work, name: str, *given) -> None:
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work, name, *given), daemon=True, name="job").start()


def _list(kind: str, data: dict) -> dict:
    found = [job for (k, _), job in list(_jobs.items()) if k == kind]
    fields = (
        f"{kind}JobName",
        f"{kind}JobArn",
        f"{kind}JobStatus",
        "CreationTime",
        "LastModifiedTime",
    )
    wanted = [j for j in found if data.get("NameContains", "") in j[f"{kind}JobName"]]
    if "StatusEquals" in data:
        wanted = [j for j in wanted if j[f"{kind}JobStatus"] == data["StatusEquals"]]
    wanted.sort(key=lambda j: j["CreationTime"], reverse=True)
    return {f"{kind}JobSummaries": [{f: j[f] for f in fields} for j in wanted]}


TARGETS = {
    "CreateTrainingJob": create_training_job,
    "DescribeTrainingJob": lambda d: describe("Training", d["TrainingJobName"]),
    "StopTrainingJob": lambda d: stop("Training", d["TrainingJobName"]),
    "ListTrainingJobs": lambda d: _list("Training", d),
    "CreateProcessingJob": create_processing_job,
    "DescribeProcessingJob": lambda d: describe("Processing", d["ProcessingJobName"]),
    "StopProcessingJob": lambda d: stop("Processing", d["ProcessingJobName"]),
    "ListProcessingJobs": lambda d: _list("Processing", d),
}


# A training job


def _train(name: str, job: dict, command: list[str]) -> None:
    run = _running["Training", name]
    try:
        run.container = containers.Job(name, "training")
        code = _train_inside(name, job, command, run)
        over = job.pop("_over", False)
        if run.stop.is_set() or over:
            _end("Training", name, job, "Stopped", "MaxRuntimeExceeded" if over else "Stopped", "")
        elif code:
            said = _text(run.container.base / "output" / "failure", 1024)
            why = f"AlgorithmError: {said}, exit code: {code}"
            _end("Training", name, job, "Failed", "Failed", why)
        else:
            _end("Training", name, job, "Completed", "Completed", "")
    except Failed as why:
        _end("Training", name, job, "Failed", "Failed", str(why))
    except Exception as error:  # a job that cannot run is a failed job
        _end(
            "Training",
            name,
            job,
            "Failed",
            "Failed",
            f"InternalServerError: {type(error).__name__}: {error}",
        )


def _train_inside(name: str, job: dict, command: list[str], run: Run) -> int:
    base, role = run.container.base, job["RoleArn"]
    s3 = aws.client("s3", role, name)
    _move("Training", job, None, "Downloading")
    for channel in job["InputDataConfig"]:
        _fetch(s3, _source(channel), base / "input" / "data" / channel["ChannelName"], role)
    for folder in ("model", "output/data", "checkpoints"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    _configure_training(base / "input" / "config", job)
    _move("Training", job, None, "Training")
    job["TrainingStartTime"] = time.time()
    variables = job.get("Environment", {}) | {
        "TRAINING_JOB_NAME": name,
        "TRAINING_JOB_ARN": job["TrainingJobArn"],
    }
    code = _run(job, run, [*command, "train"], variables, name)
    _move("Training", job, None, "Uploading")
    output = job["OutputDataConfig"]["S3OutputPath"].rstrip("/") + f"/{name}/output"
    if any((base / "model").rglob("*")) and (not code or run.stop.is_set() or job.get("_over")):
        _upload(s3, base / "model", f"{output}/model.tar.gz", role)
        job["ModelArtifacts"] = {"S3ModelArtifacts": f"{output}/model.tar.gz"}
    if any((base / "output" / "data").rglob("*")):
        _upload(s3, base / "output" / "data", f"{output}/output.tar.gz", role)
    job["FinalMetricDataList"] = _metrics(run.container.log, job)
    return code


def _source(channel: dict) -> dict:
    source = channel["DataSource"].get("S3DataSource")
    if not source or channel.get("CompressionType", "None") != "None":
        raise Failed("ClientError: locally a channel is plain files in S3")
    return source


def _configure_training(folder: Path, job: dict) -> None:
    folder.mkdir(parents=True)
    channels = {
        c["ChannelName"]: {
            "ContentType": c.get("ContentType"),
            "TrainingInputMode": c.get("InputMode", "File"),
            "S3DistributionType": c["DataSource"]["S3DataSource"].get(
                "S3DataDistributionType", "FullyReplicated"
            ),
            "RecordWrapperType": c.get("RecordWrapperType", "None"),
        }
        for c in job["InputDataConfig"]
    }
    written = {
        "hyperparameters": job.get("HyperParameters", {}),
        "inputdataconfig": channels,
        "resourceconfig": {
            "current_host": "algo-1",
            "hosts": ["algo-1"],
            "network_interface_name": "lo",
            "current_instance_type": job["ResourceConfig"].get("InstanceType", ""),
        },
    }
    for file, what in written.items():
        (folder / f"{file}.json").write_text(json.dumps(what))


def _metrics(log: Path, job: dict) -> list[dict]:
    """The last value of each metric that the job's definitions find in its log: bytes found, none computed."""
    text = log.read_text(errors="replace") if log.exists() else ""
    at, found = time.time(), {}
    for definition in job["AlgorithmSpecification"].get("MetricDefinitions", []):
        for match in re.finditer(definition["Regex"], text):
            found[definition["Name"]] = match[1]
    if "MetricDefinitions" not in job["AlgorithmSpecification"]:
        for line in _ROUND.findall(text):
            found |= {f"{part}:{metric}": value for part, metric, value in _METRIC.findall(line)}
    return [{"MetricName": n, "Value": float(v), "Timestamp": at} for n, v in found.items()]


# A processing job


def _inputs(data: dict) -> list[dict]:
    return data.get("ProcessingInputs", [])


def _outputs(data: dict) -> list[dict]:
    return data.get("ProcessingOutputConfig", {}).get("Outputs", [])


def _process(name: str, job: dict, command: list[str]) -> None:
    run = _running["Processing", name]
    try:
        run.container = containers.Job(name, "processing")
        code = _process_inside(name, job, command, run)
        if said := _text(run.container.base / "output" / "message", 1024):
            job["ExitMessage"] = said
        if run.stop.is_set() or job.pop("_over", False):
            _end("Processing", name, job, "Stopped", None, "")
        elif code:
            why = "AlgorithmError: See job logs for more information"
            job.setdefault("ExitMessage", f"exit code: {code}")
            _end("Processing", name, job, "Failed", None, why)
        else:
            _end("Processing", name, job, "Completed", None, "")
    except Failed as why:
        _end("Processing", name, job, "Failed", None, str(why))
    except Exception as error:  # a job that cannot run is a failed job
        _end(
            "Processing",
            name,
            job,
            "Failed",
            None,
            f"InternalServerError: {type(error).__name__}: {error}",
        )


def _process_inside(name: str, job: dict, command: list[str], run: Run) -> int:
    container, role = run.container, job["RoleArn"]
    s3 = aws.client("s3", role, name)
    for given in _inputs(job):
        _fetch(s3, given["S3Input"], _inside(container, given["S3Input"]["LocalPath"]), role)
    for given in _outputs(job):
        _inside(container, given["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)
    config = container.base / "config"
    config.mkdir()
    (container.base / "output").mkdir(exist_ok=True)
    shown = {k: v for k, v in job.items() if not k.endswith("Time") and not k.startswith("_")}
    (config / "processingjobconfig.json").write_text(json.dumps(shown))
    (config / "resourceconfig.json").write_text(
        json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]})
    )
    job["ProcessingStartTime"] = time.time()
    variables = job.get("Environment", {}) | {"PROCESSING_JOB_ARN": job["ProcessingJobArn"]}
    code = _run(job, run, command, variables, name)
    if not code:  # EndOfJob: a failed job's files are not uploaded
        for given in _outputs(job):
            _upload_folder(
                s3,
                _inside(container, given["S3Output"]["LocalPath"]),
                given["S3Output"]["S3Uri"],
                role,
            )
    return code


def _inside(container: containers.Job, path: str) -> Path:
    try:
        return container.inside(path)
    except ValueError as why:
        raise Failed(f"ClientError: {why}: locally only such paths are mounted") from None


# Both


def _run(job: dict, run: Run, command: list[str], variables: dict, name: str) -> int:
    """Runs the program until it ends, is told to stop, or its time is over; gives its exit status."""
    container = run.container
    try:
        container.start(command, variables, None if _isolated(job) else job["RoleArn"], name)
    except OSError as why:
        raise Failed(f"AlgorithmError: Cannot start the container: {why}, exit code: 127") from None
    until = time.monotonic() + job["StoppingCondition"]["MaxRuntimeInSeconds"]
    while True:
        try:
            return container.process.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            job_over = time.monotonic() > until
            if job_over:
                job["_over"] = True
            if run.stop.is_set() or job_over:
                container.end()
                return container.process.wait()


def _isolated(job: dict) -> bool:
    network = job.get("NetworkConfig", {})
    return bool(job.get("EnableNetworkIsolation") or network.get("EnableNetworkIsolation"))


def _fetch(s3, source: dict, folder: Path, role: str) -> None:
    try:
        s3_folders.fetch(s3, source["S3Uri"], source.get("S3DataType", "S3Prefix"), folder)
    except s3_folders.Nothing as why:
        raise Failed(
            f"ClientError: {why} Please ensure that objects exist under it, and that the role {role} may list and read them."
        ) from None
    except ClientError as why:
        raise Failed(f"ClientError: Data download failed: {why}") from None


def _upload(s3, folder: Path, url: str, role: str) -> None:
    archive = folder.with_name(f"{folder.name}.tar.gz")
    with tarfile.open(archive, "w:gz") as packed:
        for file in sorted(folder.iterdir()):
            packed.add(file, file.name)
    bucket, key = aws.split_url(url)
    try:
        s3.upload_file(str(archive), bucket, key)
    except Exception as why:  # boto3 wraps a refusal in an error of its own
        raise Failed(f"ClientError: Artifact upload failed: the role {role}: {why}") from None


def _upload_folder(s3, folder: Path, url: str, role: str) -> None:
    try:
        s3_folders.put(s3, folder, url)
    except Exception as why:  # boto3 wraps a refusal in an error of its own
        raise Failed(f"ClientError: Upload to {url} failed: the role {role}: {why}") from None


def _text(file: Path, most: int) -> str:
    return file.read_text(errors="replace")[:most].strip() if file.is_file() else ""


def _move(kind: str, job: dict, status: str | None, secondary: str) -> None:
    """The next secondary status, and the next status where there is one."""
    now = time.time()
    job["LastModifiedTime"] = now
    if kind == "Training":
        moves = job["SecondaryStatusTransitions"]
        if moves:
            moves[-1].setdefault("EndTime", now)
        moves.append({"Status": secondary, "StartTime": now, "StatusMessage": secondary})
        job["SecondaryStatus"] = secondary
    if status:
        job[f"{kind}JobStatus"] = status


def _end(kind: str, name: str, job: dict, status: str, secondary: str | None, why: str) -> None:
    run = _running.pop((kind, name))
    now = time.time()
    job.setdefault(f"{kind}StartTime", now)
    job[f"{kind}EndTime"] = now
    if kind == "Training":
        job["TrainingTimeInSeconds"] = int(now - job["TrainingStartTime"])
        job["BillableTimeInSeconds"] = max(1, job["TrainingTimeInSeconds"])
    if why:
        job["FailureReason"] = why[:1024]
    if run.container:
        run.container.forget()
    _move(kind, job, status, secondary or status)
    detail = {
        f"{kind}JobName": name,
        f"{kind}JobArn": job[f"{kind}JobArn"],
        f"{kind}JobStatus": status,
    }
    detail |= {k: job[k] for k in ("SecondaryStatus", "FailureReason", "ExitMessage") if k in job}
    event = {
        "Source": "aws.sagemaker",
        "DetailType": f"SageMaker {kind} Job State Change",
        "Detail": json.dumps(detail),
        "Resources": [job[f"{kind}JobArn"]],
    }
    eventbridge._put_events({"Entries": [event]}, allow_aws_source=True)
