"""Glue jobs: MiniStack says SUCCEEDED without running; here the script runs, in real PySpark.

As on Glue: the script and the modules come from S3, arguments are `sys.argv`, a run goes through
its states, more runs than allowed are refused by name, a stopped run is ended, and each end of a
run is an event on EventBridge. Only simulated: workers and DPUs (two local cores), bookmarks.
"""

from __future__ import annotations

import contextvars
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

from ministack.core.responses import error_response_json, get_region, json_response
from ministack.services import eventbridge
from ministack.services import glue as ministack
from ministack.services.cloudformation import provisioners

from . import aws, hooks, s3_files, spark

USES = {
    "ministack.services.glue": (
        "_jobs",
        "_job_runs",
        "_create_job",
        "_update_job",
        "_start_job_run",
        "_get_job_runs",
        "_batch_stop_job_run",
        "_create_security_configuration",
        "_delete_security_configuration",
    ),
    "ministack.services.eventbridge": ("_put_events",),
    "ministack.services.cloudformation.provisioners": ("_GLUE_JOB_DEFAULTS", "_RESOURCE_HANDLERS"),
}
LIVE = ("STARTING", "RUNNING", "STOPPING")
ONE_AT_A_TIME = {"MaxConcurrentRuns": 1}

_processes: dict[str, subprocess.Popen] = {}
_lock = threading.Lock()


def install() -> None:
    """Sets the hooks."""
    global _ministack_create, _ministack_update
    _ministack_create = hooks.replace(ministack, "_create_job", create_job)
    _ministack_update = hooks.replace(ministack, "_update_job", update_job)
    hooks.replace(ministack, "_start_job_run", start_job_run)
    hooks.replace(ministack, "_get_job_runs", get_job_runs)
    hooks.replace(ministack, "_batch_stop_job_run", batch_stop_job_run)
    # CloudFormation copies the properties named here; MiniStack leaves this one out.
    provisioners._GLUE_JOB_DEFAULTS["ExecutionProperty"] = ONE_AT_A_TIME
    provisioners._RESOURCE_HANDLERS["AWS::Glue::SecurityConfiguration"] = {
        "create": _create_security,
        "delete": lambda name, _: ministack._delete_security_configuration({"Name": name}),
    }


def _create_security(_logical_id, properties, _stack):
    """CloudFormation knows the resource; MiniStack has only its calls."""
    status, _, body = ministack._create_security_configuration(properties)
    if status != 200:
        raise ValueError(body)
    return properties["Name"], {}


# Calls


def create_job(data: dict):
    """CreateJob, and ExecutionProperty is kept."""
    answer = _ministack_create(data)
    if answer[0] == 200:
        kept = data.get("ExecutionProperty") or ONE_AT_A_TIME
        ministack._jobs[data["Name"]]["ExecutionProperty"] = kept
    return answer


def update_job(data: dict):
    """UpdateJob, and ExecutionProperty is kept."""
    answer = _ministack_update(data)
    changed = data.get("JobUpdate", {}).get("ExecutionProperty")
    if answer[0] == 200 and changed:
        ministack._jobs[data["JobName"]]["ExecutionProperty"] = changed
    return answer


def start_job_run(data: dict):
    """StartJobRun: refuses one run too many, else starts the script."""
    name = data.get("JobName")
    job = ministack._jobs.get(name)
    if not job:
        why = f"Failed to start job run due to missing metadata: {name}"
        return error_response_json("EntityNotFoundException", why, 400)
    with _lock:
        runs = ministack._job_runs.setdefault(name, [])
        most = int((job.get("ExecutionProperty") or ONE_AT_A_TIME).get("MaxConcurrentRuns", 1))
        if sum(run["JobRunState"] in LIVE for run in runs) >= most:
            why = f"Concurrent runs exceeded for {name}"
            return error_response_json("ConcurrentRunsExceededException", why, 400)
        run = _new_run(name, job, data)
        runs.append(run)
    context = contextvars.copy_context()
    target = (_run, name, job, run)
    threading.Thread(target=context.run, args=target, daemon=True, name="glue-run").start()
    return json_response({"JobRunId": run["Id"]})


def get_job_runs(data: dict):
    """GetJobRuns: the newest first, by pages."""
    name = data.get("JobName")
    if name not in ministack._jobs:
        return error_response_json("EntityNotFoundException", f"Job {name} not found", 400)
    runs = list(reversed(ministack._job_runs.get(name, [])))
    start = int(data.get("NextToken") or 0)
    end = start + min(int(data.get("MaxResults") or 200), 200)
    answer = {"JobRuns": runs[start:end]}
    if end < len(runs):
        answer["NextToken"] = str(end)
    return json_response(answer)


def batch_stop_job_run(data: dict):
    """BatchStopJobRun: the run's processes end, then its state is STOPPED."""
    name, stopped, errors = data.get("JobName"), [], []
    runs = {run["Id"]: run for run in ministack._job_runs.get(name, [])}
    for run_id in data.get("JobRunIds", []):
        run = runs.get(run_id)
        if run and run["JobRunState"] in LIVE:
            run["JobRunState"] = "STOPPING"
            stopped.append({"JobName": name, "JobRunId": run_id})
            if process := _processes.get(run_id):
                threading.Thread(target=_end, args=(process,), daemon=True).start()
            continue
        code, why = ("EntityNotFoundException", "Run not found")
        if run:
            code, why = ("InvalidInputException", f"Run is in state {run['JobRunState']}")
        detail = {"ErrorCode": code, "ErrorMessage": why}
        errors.append({"JobName": name, "JobRunId": run_id, "ErrorDetail": detail})
    return json_response({"SuccessfulSubmissions": stopped, "Errors": errors})


# A run


def _new_run(name: str, job: dict, data: dict) -> dict:
    arguments = {**job.get("DefaultArguments", {}), **data.get("Arguments", {})}
    now = time.time()
    return {
        "Id": "jr_" + uuid.uuid4().hex * 2,
        "JobName": name,
        "StartedOn": now,
        "LastModifiedOn": now,
        "JobRunState": "STARTING",
        "Arguments": {k: str(v) for k, v in arguments.items()},
        "PredecessorRuns": [],
        "ExecutionTime": 0,
        "Attempt": 0,
        "Timeout": data.get("Timeout") or job.get("Timeout") or 2880,
        "GlueVersion": job.get("GlueVersion"),
        "WorkerType": data.get("WorkerType") or job.get("WorkerType"),
        # A template's parameter comes as text; who reads a run asks for a number.
        "NumberOfWorkers": int(data.get("NumberOfWorkers") or job.get("NumberOfWorkers") or 2),
    }


def _run(name: str, job: dict, run: dict) -> None:
    scratch = Path(tempfile.mkdtemp(prefix="glue-", dir=aws.home() / "tmp"))
    log = aws.home() / "logs" / "glue" / name / f"{run['Id']}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    run["LogGroupName"] = str(log)
    try:
        state, why = _execute(name, job, run, scratch, log)
    except Exception as error:  # a run that cannot start is a failed run, as on Glue
        state, why = "FAILED", f"{type(error).__name__}: {error}"
    finally:
        _processes.pop(run["Id"], None)
        shutil.rmtree(scratch, ignore_errors=True)
    if run["JobRunState"] == "STOPPING":
        state, why = "STOPPED", "Job run stopped"
    run["CompletedOn"] = run["LastModifiedOn"] = time.time()
    run["ExecutionTime"] = int(run["CompletedOn"] - run["StartedOn"])
    if why:
        run["ErrorMessage"] = why
    run["JobRunState"] = state
    _announce(name, run)


def _execute(name: str, job: dict, run: dict, scratch: Path, log: Path) -> tuple[str, str]:
    s3 = aws.client("s3", job.get("Role"), name)
    script = _fetch(s3, job["Command"]["ScriptLocation"], scratch / "script")
    modules = _modules(s3, run["Arguments"], scratch, log)
    buckets = [b["Name"] for b in aws.client("s3").list_buckets()["Buckets"]]
    with s3_files.serve(s3, scratch / "aside") as files:
        (scratch / "conf").mkdir()
        settings = spark.settings(buckets, files, scratch)
        (scratch / "conf" / "spark-defaults.conf").write_text(settings)
        env = spark.environment(scratch, modules)
        env |= {
            "AWS_ENDPOINT_URL": aws.endpoint(),
            "AWS_REGION": get_region(),
            "AWS_DEFAULT_REGION": get_region(),
            **aws.credentials(job.get("Role", ""), name),
        }
        own = {"--JOB_NAME": name, "--JOB_RUN_ID": run["Id"]}
        arguments = [x for pair in (own | run["Arguments"]).items() for x in pair]
        if run["JobRunState"] == "STOPPING":
            return "STOPPED", ""
        with log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, str(script), *arguments],
                env=env,
                cwd=scratch,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                process_group=0,  # of its own, so that a stop ends Python and Java; same session
            )
        _processes[run["Id"]] = process
        if run["JobRunState"] == "STARTING":
            run["JobRunState"] = "RUNNING"
        else:
            _end(process)
        try:
            code = process.wait(timeout=run["Timeout"] * 60)
        except subprocess.TimeoutExpired:
            _end(process)
            return "TIMEOUT", "Job run timed out"
        _end(process)  # what the script left behind
    return ("SUCCEEDED", "") if code == 0 else ("FAILED", _last_words(log, code))


def _fetch(s3, url: str, folder: Path) -> Path:
    bucket, key = aws.split_url(url)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / Path(key).name
    s3.download_file(bucket, key, str(path))
    return path


def _modules(s3, arguments: dict[str, str], scratch: Path, log: Path) -> list[Path]:
    """What the job may import: `--additional-python-modules` installed, `--extra-py-files`."""
    wheels = [u for u in arguments.get("--additional-python-modules", "").split(",") if u]
    files = [u for u in arguments.get("--extra-py-files", "").split(",") if u]
    found = [_fetch(s3, u.strip(), scratch / "files") for u in files]
    # A module by its folder, an archive by itself.
    found = list(dict.fromkeys(path.parent if path.suffix == ".py" else path for path in found))
    if wheels:
        paths = [str(_fetch(s3, u.strip(), scratch / "wheels")) for u in wheels]
        target = scratch / "modules"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
        with log.open("ab") as out:
            subprocess.run(
                [*pip, "--disable-pip-version-check", "--target", str(target), *paths],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        found.insert(0, target)
    return found


def _end(process: subprocess.Popen) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=5)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _last_words(log: Path, code: int) -> str:
    """What Glue shows of a failed run: the error's own line, not the trace above it."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16384))
        lines = [x.strip() for x in file.read().decode("utf-8", "replace").splitlines()]
    errors = [x for x in lines if ("Error" in x or "Exception" in x) and not x.startswith("at ")]
    words = errors or [x for x in lines if x] or [f"exit status {code}"]
    return words[-1][:600]


def _announce(name: str, run: dict) -> None:
    good = run["JobRunState"] == "SUCCEEDED"
    detail = {
        "jobName": name,
        "severity": "INFO" if good else "ERROR",
        "state": run["JobRunState"],
        "jobRunId": run["Id"],
        "message": "Job run succeeded" if good else run.get("ErrorMessage", ""),
    }
    event = {
        "Source": "aws.glue",
        "DetailType": "Glue Job State Change",
        "Detail": json.dumps(detail),
        "Resources": [],
    }
    eventbridge._put_events({"Entries": [event]}, allow_aws_source=True)
