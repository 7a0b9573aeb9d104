"""The state machines on the local AWS: Step Functions, DynamoDB and S3 as there; workers and SageMaker are stand-ins that fail on demand."""

import io
import json
import re
import sys
import threading
import uuid
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from leat_local import stack, workflows
from leat_local.demo.executions import Follower

WORDS = {"DataQuality.Failed", "Input.Invalid", "Recipe.Invalid", "Config.Invalid"}
RECIPE = "cards"
WORKERS = {
    "QualityGate": "quality-gate",
    "FeatureFit": "feature-fit",
    "FeatureTransform": "feature-transform",
    "FeatureStoreIngest": "feature-store-ingest",
    "GlueStart": "glue-start",
    "HandOver": "hand-over",
}
STAND_IN = f"""\
#!{sys.executable}
import json, os, urllib.request
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"

def post(url, body):
    with urllib.request.urlopen(urllib.request.Request(url, data=json.dumps(body).encode(), method="POST"), timeout=60) as answer:
        return answer.read()

while True:
    with urllib.request.urlopen(api + "next") as event:
        number, body = event.headers["Lambda-Runtime-Aws-Request-Id"], json.loads(event.read())
    found = json.loads(post(os.environ["WORLD"], {{"name": os.environ["NAME"], "event": body}}))
    if found.get("die"):
        os._exit(1)
    if "error" in found:
        cause = found["cause"] if isinstance(found["cause"], dict) else {{"errorMessage": found["cause"]}}
        post(api + number + "/error", {{"errorType": found["error"], **cause}})
    else:
        post(api + number + "/response", found["answer"])
"""


# The definitions themselves


def substituted(name: str) -> dict:
    numbers = {"EvaluationShare": "0.2", "Tolerance": "0.005", "PollSeconds": "1", "PauseSeconds": "1", "ResumeSeconds": "1", "DrainSeconds": "1"}
    return workflows.definition(name, {n: numbers.get(n, f"<{n}>") for n in workflows.names(name)})


EVERY = [
    pytest.param(name, path, state, id=f"{name}-{path}")
    for name in ("train", "promote")
    for path, state, _ in workflows.walk(substituted(name)["States"])
]


@pytest.mark.parametrize("name", ["train", "promote"])
def test_every_state_is_reached_and_every_way_leads_somewhere(name):
    machine = substituted(name)
    levels = [(machine["StartAt"], machine["States"])]
    levels += [(s["ItemProcessor"]["StartAt"], s["ItemProcessor"]["States"]) for _, s, _ in workflows.walk(machine["States"]) if "ItemProcessor" in s]
    for start, states in levels:
        reached, todo = set(), [start]
        while todo:
            state = todo.pop()
            assert state in states, f"{state} does not exist"
            if state not in reached:
                reached.add(state)
                todo += workflows.nexts(states[state])
        assert reached == set(states)
        assert any(s.get("End") or s["Type"] in ("Fail", "Succeed") for s in states.values())


@pytest.mark.parametrize("name", ["train", "promote"])
def test_no_two_states_have_one_name(name):
    names = [path.rpartition("/")[2] for path, _, _ in workflows.walk(substituted(name)["States"])]
    assert len(set(names)) == len(names), "Step Functions asks for it over all levels"
    assert all(len(n) <= 80 for n in names)


@pytest.mark.parametrize(("name", "path", "state"), EVERY)
def test_states_are_whole(name, path, state):
    kind = state["Type"]
    if kind in ("Task", "Pass", "Wait", "Map"):
        assert ("Next" in state) != bool(state.get("End")), "one way out"
    if kind == "Task":
        assert state["TimeoutSeconds"] > 0 and state["Catch"] and state["Retry"]
        assert "States.ALL" in [e for c in state["Catch"] for e in c["ErrorEquals"]]
        for retrier in state["Retry"]:
            if retrier.get("MaxAttempts") == 0:
                assert set(retrier["ErrorEquals"]) == WORDS
                continue
            assert not WORDS & set(retrier["ErrorEquals"]) and "States.ALL" not in retrier["ErrorEquals"]
            assert {"BackoffRate", "MaxDelaySeconds", "IntervalSeconds"} <= set(retrier)
            assert retrier["JitterStrategy"] == "FULL"
        if state["Resource"].startswith("arn:aws:states:::lambda:invoke"):
            names = [e for r in state["Retry"] for e in r["ErrorEquals"]]
            assert {"Service.Busy", "Lambda.TooManyRequestsException", "Lambda.ServiceException"} <= set(names)
            assert WORDS <= set(names)
    if kind == "Map":
        assert state["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
        assert 0 < state["MaxConcurrency"] <= 40 and state["Catch"] and state["ResultPath"] is None


@pytest.mark.parametrize(("name", "path", "state"), EVERY)
def test_jobs_have_names_of_their_own(name, path, state):
    resource, given = state.get("Resource", ""), state.get("Parameters", {})
    for field in ("TrainingJobName.$", "ProcessingJobName.$", "Name.$"):
        if field in given:
            kind = given[field].split("'")[1].split("{")[0]
            assert len(kind.replace("<Stage>", "s" * 12)) + 32 + 1 + 2 <= 63 and "$$.State.RetryCount" in given[field]
            assert "States.Hash($$.Execution.Id, 'MD5')" in given[field]
    assert not resource.endswith("Job.sync") or "StoppingCondition" in given
    if resource.endswith("Job.sync"):
        assert given["StoppingCondition"]["MaxRuntimeInSeconds"] < state["TimeoutSeconds"]


@pytest.mark.parametrize("name", ["train", "promote"])
def test_a_lease_outlives_its_state_machine(name):
    machine = substituted(name)
    seconds = int(re.search(r"\+ (\d+)\)", machine["States"]["Clock"]["Output"])[1])
    assert seconds > machine["TimeoutSeconds"]
    held = machine["States"]["Lease"]["Parameters"]["Item"]["pk"]
    assert held == machine["States"]["Release"]["Parameters"]["Key"]["pk"]
    assert machine["States"]["Release"]["Parameters"]["ConditionExpression"] == "holder = :me"


# The world of the stand-ins


class World:
    """What the stand-ins answer, what they were asked, and what is wrong with them."""

    def __init__(self):
        self.lock = threading.Lock()
        self.reset()

    def reset(self):
        self.calls, self.faults = [], {}
        self.endpoints, self.configs, self.models = {}, set(), set()
        self.mapping, self.better, self.plan, self.sealed_after = "Enabled", True, "plan-1", 2
        self.looks, self.passed = 0, True

    def fail(self, what: str, *errors, always: bool = False):
        """Makes `what` fail with these words, one for each call; the last for ever where told to."""
        self.faults[what] = (list(errors), always)

    def seen(self, what: str) -> list[dict]:
        return [event for name, event in self.calls if name == what]

    def answer(self, name: str, event: dict) -> dict:
        what = f"{name} {event['step']}" if "step" in event else event.get("api", name)
        token = event.pop("task_token", None)
        with self.lock:
            self.calls.append((what, event))
            errors, always = self.faults.get(what, ([], False))
            if errors:
                error = errors[0] if always and len(errors) == 1 else errors.pop(0)
                error, cause = error if isinstance(error, tuple) else (error, f"{what}: {error}")
                if token and error != "die":
                    self.steps.send_task_failure(taskToken=token, error=error, cause=cause)
                    return {"answer": None}
                return {"die": True} if error == "die" else {"error": error, "cause": cause}
            found = getattr(self, "_" + name.replace("-", "_"))(event)
            if token:
                self.steps.send_task_success(taskToken=token, output=json.dumps(found["answer"]))
            return found

    def _quality_gate(self, event):
        pair = {"recipe_hash": "r1", "state_plan": self.plan}
        if event["step"] == "snapshot":
            return {"answer": {"snapshot": event["run_folder"] + "snapshot.json", "buckets": [0, 1, 2], "rows": 9, "levels": 2, "recipe_url": "s3://lake/r1/recipe.yaml", **pair}}
        if event["step"] == "measure":
            return {"answer": {"bucket": event["bucket"]}}
        state = "SUCCEEDED" if self.passed else "FAILED"
        said = {"context": {"evaluationContext": "cards", "jobId": event["run_folder"].split("/")[-2]}, "state": state, "score": 0.5}
        cause = None if self.passed else "1 rules halt run r: RowCount > 5: unmet"
        return {"answer": {"passed": self.passed, "decision": "d", "cause": cause, "event": said}}

    def _feature_fit(self, event):
        if event["step"] == "partial":
            return {"answer": {"bucket": event["bucket"]}}
        level, done = event["level"], event["level"] == 2
        found = {"level": level, "levels": 2, "done": done, "next": level + 1}
        if done:
            found |= {"state": "s3://lake/artifacts/states/cards/s1.json", "state_hash": "s1", "recipe_hash": "r1", "state_plan": self.plan}
        return {"answer": found}

    def _feature_transform(self, event):
        if event["step"] == "bucket":
            return {"answer": {"bucket": event["bucket"]}}
        channels = event["run_folder"] + "channels/" + event["name"]
        return {"answer": {"rows": 9, "labelled": 9, "unlabelled": 0, "positives": {"train": 2, "evaluate": 1},
                           "train": channels + "/train/", "evaluate": channels + "/evaluate/", "curated": "c"}}  # fmt: skip

    def _feature_store_ingest(self, event):
        return {"answer": {"bucket": event["bucket"], "online": 1, "offline": 0, "retried": 0}}

    def _glue_start(self, event):
        return {"answer": {"job": event["job"], "run_id": "jr_1", "state": "SUCCEEDED"}}

    def _hand_over(self, event):
        if event["step"] == "sealed":
            self.looks += 1
            if self.looks < self.sealed_after:
                return {"answer": {"sealed": False, "why": "shard 1 waits"}}
            return {"answer": {"sealed": True, "why": "", "snapshot": "x", "buckets": [0, 1]}}
        if event["step"] == "snapshot":
            return {"answer": {"snapshot": "x", "buckets": [0, 1]}}
        if event["step"] in ("load", "abandon"):
            assert self.mapping == "Disabled", f"{event['step']} while the mapping is {self.mapping}"
        return {"answer": {"bucket": event.get("bucket")}}

    def _mapping(self, event):
        if "Enabled" in event:
            self.mapping = "Enabled" if event["Enabled"] else "Disabled"
        return {"answer": {"State": self.mapping}}

    def _sagemaker(self, event):
        api, missing = event["api"], {"error": "SageMaker.SageMakerException", "cause": "Could not find it"}
        if api == "createTrainingJob":
            job = event["TrainingJobName"]
            return {"answer": {"TrainingJobName": job, "ModelArtifacts": {"S3ModelArtifacts": f"s3://lake/{job}/model.tar.gz"}}}
        if api == "createProcessingJob":
            if "evaluate" in event["ProcessingJobName"]:
                self.evaluated(event)
            return {"answer": {}}
        if api in ("describeModel", "createModel"):
            name = event["ModelName"]
            self.models |= {name} if api == "createModel" else set()
            return {"answer": {}} if name in self.models else missing
        if "Config" in api:
            name = event["EndpointConfigName"]
            if api == "createEndpointConfig":
                self.configs.add(name)
            if name not in self.configs:
                return missing
            if api == "deleteEndpointConfig":
                self.configs.remove(name)
            return {"answer": {}}
        name = event["EndpointName"]
        if api == "createEndpoint":
            self.endpoints[name] = "Creating"
        if name not in self.endpoints:
            return missing
        status = self.endpoints[name]
        if api == "describeEndpoint" and status == "Creating":
            self.endpoints[name] = "Failed" if self.faults.get("endpoint") else "InService"
        if api == "deleteEndpoint":
            del self.endpoints[name]
        return {"answer": {"EndpointStatus": status}}


@pytest.fixture(scope="module")
def world():
    world = World()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                answer = world.answer(asked["name"], asked["event"])
            except Exception as why:
                answer = {"error": "Stand.In", "cause": repr(why)}
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    world.url = f"http://127.0.0.1:{server.server_port}/"
    yield world
    server.shutdown()


def stand_in(aws, **environment: str) -> str:
    """A function that asks the test what to answer. Not a Python one: those lose the type of their error here."""
    packed, entry = io.BytesIO(), zipfile.ZipInfo("bootstrap")
    entry.external_attr = 0o755 << 16
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(entry, STAND_IN)
    made = getattr(aws, "lambda").create_function(
        FunctionName=f"test-{uuid.uuid4().hex[:12]}", Runtime="provided.al2023", Role="arn:aws:iam::000000000000:role/test", Handler="bootstrap",
        Code={"ZipFile": packed.getvalue()}, Timeout=60, Environment={"Variables": environment},
    )  # fmt: skip
    return made["FunctionArn"]


class Machines:
    """Both state machines, with stand-ins where a worker or SageMaker would be."""

    def __init__(self, aws, world):
        self.aws, self.world = aws, world
        self.lake, self.table = aws.bucket(), f"serving-{uuid.uuid4().hex[:8]}"
        aws.dynamodb.create_table(
            TableName=self.table, BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}], KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )  # fmt: skip
        self.functions = {n: stand_in(aws, NAME=n, WORLD=world.url) for n in (*WORKERS.values(), "sagemaker", "mapping")}
        self.given = {
            "Recipe": RECIPE, "Stage": "test", "LakeBucket": self.lake, "ServingTable": self.table, "LakeKey": "key", "Mapping": "mapping-1",
            "XgboostImage": "xgboost", "LeatImage": "leat", "TrainingRole": "t", "ProcessingRole": "p", "ModelRole": "m",
            "TrainingInstance": "ml.m5.large", "ProcessingInstance": "ml.m5.large", "EndpointInstance": "ml.m5.large", "FeaturesEngine": "lambda",
            "EvaluationShare": "0.2", "Tolerance": "0.005", "PollSeconds": "1", "PauseSeconds": "1", "ResumeSeconds": "1", "DrainSeconds": "1",
            "FeaturesJob": "leat-test-features",
            **{name: self.functions[worker] for name, worker in WORKERS.items()},
        }  # fmt: skip
        self.promote = self.create("promote", {})
        self.train = self.create("train", {"Promote": self.promote})

    def create(self, name: str, more: dict) -> str:
        machine = workflows.definition(name, self.given | more)
        for _, state, _ in workflows.walk(machine["States"]):
            service, _, api = state.get("Resource", "").replace("arn:aws:states:::", "").replace("aws-sdk:", "").removesuffix(".sync").partition(":")
            stand_in = "mapping" if "EventSourceMapping" in api else service
            if stand_in in ("mapping", "sagemaker"):
                state["Resource"] = self.functions[stand_in]
                state["Parameters"] = {**state["Parameters"], "api": api}
        role = "arn:aws:iam::000000000000:role/test"
        made = self.aws.stepfunctions.create_state_machine(name=f"{name}-{uuid.uuid4().hex[:8]}", definition=json.dumps(machine), roleArn=role)
        return made["stateMachineArn"]

    def start(self, machine: str, given: dict | None = None, name: str | None = None) -> str:
        more = {"name": name} if name else {}
        return self.aws.stepfunctions.start_execution(stateMachineArn=machine, input=json.dumps(given or {}), **more)["executionArn"]

    def run(self, until, machine: str, given: dict | None = None) -> dict:
        execution = self.start(machine, given)
        return self.end(until, execution)

    def end(self, until, execution: str, seconds: float = 60) -> dict:
        def over():
            found = self.aws.stepfunctions.describe_execution(executionArn=execution)
            return found if found["status"] != "RUNNING" else None

        return until(over, seconds)

    def states(self, execution: dict) -> list[str]:
        return [v.state for v in workflows.visits(workflows.history(self.aws.stepfunctions, execution["executionArn"]))]

    def items(self) -> dict[str, dict]:
        return {i["pk"]["S"]: i for i in self.aws.dynamodb.scan(TableName=self.table)["Items"]}

    def serving(self) -> dict | None:
        item = self.items().get(f"serving#{RECIPE}")
        return json.loads(item["json"]["S"]) if item else None

    def pair(self, number: int = 1, plan: str = "plan-1") -> dict:
        name = f"leat-{RECIPE}-0000000{number}"
        return {"recipe": RECIPE, "recipe_url": f"s3://lake/{number}/recipe.yaml", "recipe_hash": f"r{number}", "state": f"s3://lake/s{number}.json",
                "state_hash": f"s{number}", "state_plan": plan, "model": f"s3://lake/{number}/model.tar.gz", "model_name": name, "endpoint": name, "run": "by-hand"}  # fmt: skip


@pytest.fixture(scope="module")
def machines(tmp_path_factory, world):
    from conftest import Aws

    home = tmp_path_factory.mktemp("workflows")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SFN_WAIT_SCALE", "0.02")
        local = stack.up(home, owned=True, auth=False)
    machines = Machines(Aws(local.endpoint), world)

    def evaluated(event):
        body = {"better": world.better, "why": "candidate: AUC 0.7000; what serves: AUC 0.9000", "pair": uuid.uuid4().hex[:8]}
        key = event["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"].split("/", 3)[3] + "evaluation.json"
        machines.aws.s3.put_object(Bucket=machines.lake, Key=key, Body=json.dumps(body).encode())

    world.evaluated, world.steps = evaluated, machines.aws.stepfunctions
    yield machines
    stack.down(home)


@pytest.fixture(autouse=True)
def fresh(request):
    if "machines" in request.fixturenames:
        machines = request.getfixturevalue("machines")
        machines.world.reset()
        for key in machines.items():
            machines.aws.dynamodb.delete_item(TableName=machines.table, Key={"pk": {"S": key}})


def settled(machines):
    """Nothing is held, nothing is paused, the stream is read."""
    return [k for k in machines.items() if not k.startswith("serving#")] == [] and machines.world.mapping == "Enabled"


def why(execution: dict) -> tuple[str, str]:
    return execution["status"], execution.get("error", "")


def good(execution: dict) -> None:
    assert execution["status"] == "SUCCEEDED", (execution.get("error"), execution.get("cause"))


# train


def test_the_states_come_in_order(machines, until):
    done = machines.run(until, machines.train)
    good(done)
    assert machines.states(done) == [
        "Defaults", "Begin", "Engine", "Clock", "Lease", "Snapshot", "Measure", "Decide", "Tell", "GoesOn", "FirstLevel", "Fit", "Merge", "Fitted", "Fit", "Merge", "Fitted",
        "Transform", "Finish", "FeatureStore", "Train", "ReadServing", "Serving", "EvaluateFirst", "ReadEvaluation", "Better", "AgainstNothing", "Promote",
        "Release", "Ended", "Done",
    ]  # fmt: skip
    assert settled(machines)
    serves = machines.serving()
    assert serves["endpoint"] in machines.world.endpoints and serves["state_hash"] == "s1"
    kept = machines.aws.read(machines.lake, f"artifacts/pairs/{RECIPE}/{serves['endpoint'].rpartition('-')[2]}.json")
    assert json.loads(kept) == serves
    assert sorted(e["bucket"] for e in machines.world.seen("quality-gate measure")) == [0, 1, 2]
    assert [e["level"] for e in machines.world.seen("feature-fit merge")] == [1, 2]
    assert machines.world.seen("quality-gate decide")[0]["evaluation_share"] == 0.2


def test_what_serves_is_compared_with_the_next(machines, until):
    first = machines.run(until, machines.train)
    before = machines.serving()
    done = machines.run(until, machines.train, {"evaluation_share": 0.3, "as_of": "2026-01-01T00:00:00Z"})
    good(done)
    assert "TransformServing" in machines.states(done) and "EvaluateAgainst" in machines.states(done)
    serving = [e for e in machines.world.seen("feature-transform bucket") if e["name"] == "serving"]
    assert {e["state"] for e in serving} == {before["state"]} and serving[0]["slices"] == ["evaluate"]
    assert machines.serving()["endpoint"] != before["endpoint"]
    assert list(machines.world.endpoints) == [machines.serving()["endpoint"]], "the old one is drained and deleted"
    assert before["model_name"] in machines.world.models, "its model stays"
    assert machines.world.seen("quality-gate snapshot")[-1]["as_of"] == "2026-01-01T00:00:00Z"
    assert machines.world.seen("quality-gate decide")[-1]["evaluation_share"] == 0.3
    assert not machines.world.seen("hand-over mark")[1:], "the same plan: no hand-over"


def test_processing_makes_the_features_where_told_to(machines, until):
    done = machines.run(until, machines.train, {"features_engine": "processing"})
    good(done)
    assert "Curate" in machines.states(done) and "Transform" not in machines.states(done)
    job = machines.world.seen("createProcessingJob")[0]
    assert job["AppSpecification"]["ContainerEntrypoint"] == ["leat"]
    assert job["AppSpecification"]["ContainerArguments"][0] == "curate"
    assert len(job["ProcessingJobName"]) <= 63


def test_glue_makes_the_features_where_told_to(machines, until):
    machines.world.fail("glue-start", "Service.Busy", "die")
    execution = machines.start(machines.train, {"features_engine": "glue"})
    done = machines.end(until, execution)
    good(done)
    states = machines.states(done)
    assert states[states.index("CurateOnGlue") + 1] == "Finish" and "Transform" not in states and "Curate" not in states
    name, (first, second, third) = execution.rpartition(":")[2], machines.world.seen("glue-start")
    assert first == second == third, "a repeat asks for the same run"
    folder = f"s3://{machines.lake}/artifacts/runs/{RECIPE}/{name}/"
    assert first == {
        "job": "leat-test-features", "name": f"{name}-Features",
        "arguments": {"--leat-run": folder, "--leat-state": "s3://lake/artifacts/states/cards/s1.json"},
    }  # fmt: skip


def test_a_failure_on_glue_ends_with_its_word_at_once(machines, until):
    machines.world.fail("glue-start", "Recipe.Invalid", always=True)
    done = machines.run(until, machines.train, {"features_engine": "glue"})
    assert why(done) == ("FAILED", "Recipe.Invalid") and settled(machines)
    assert len(machines.world.seen("glue-start")) == 1, "never asked again"


def test_another_engine_is_refused(machines, until):
    done = machines.run(until, machines.train, {"features_engine": "magic"})
    assert why(done) == ("FAILED", "Input.Invalid") and not machines.world.calls


def test_one_flight_at_a_time(machines, until):
    machines.world.fail("quality-gate snapshot", *["Service.Busy"] * 6)
    first = machines.start(machines.train)
    until(lambda: f"lease#{RECIPE}" in machines.items())
    second = machines.run(until, machines.train)
    assert why(second) == ("FAILED", "Service.Busy")
    held = machines.items().get(f"lease#{RECIPE}")
    assert held is None or held["holder"]["S"] == first, "the second lets nothing go that it does not hold"
    good(machines.end(until, first))
    assert settled(machines)


def test_an_execution_started_twice_is_one(machines, until):
    name = uuid.uuid4().hex
    first = machines.start(machines.train, name=name)
    with pytest.raises(machines.aws.stepfunctions.exceptions.ExecutionAlreadyExists):
        machines.start(machines.train, {"other": 1}, name=name)
    good(machines.end(until, first))


def test_a_lease_that_expired_is_taken_over(machines, until):
    item = {"pk": {"S": f"lease#{RECIPE}"}, "holder": {"S": "dead"}, "expires": {"N": "1"}}
    machines.aws.dynamodb.put_item(TableName=machines.table, Item=item)
    good(machines.run(until, machines.train))
    machines.aws.dynamodb.put_item(TableName=machines.table, Item=item | {"expires": {"N": "99999999999"}})
    assert why(machines.run(until, machines.train)) == ("FAILED", "Service.Busy")
    assert machines.items()[f"lease#{RECIPE}"]["holder"]["S"] == "dead"


@pytest.mark.parametrize("error", ["Service.Busy", "die"])
def test_a_busy_or_killed_worker_is_asked_again(machines, until, error):
    machines.world.fail("feature-transform bucket", error)
    done = machines.run(until, machines.train)
    good(done)
    assert len(machines.world.seen("feature-transform bucket")) == 4


@pytest.mark.parametrize(
    ("what", "word"),
    [
        ("quality-gate snapshot", "Input.Invalid"),  # no data
        ("quality-gate measure", "Recipe.Invalid"),
        ("quality-gate decide", "DataQuality.Failed"),
        ("feature-fit partial", "Input.Invalid"),
        ("feature-fit merge", "Recipe.Invalid"),
        ("feature-transform bucket", "Config.Invalid"),
        ("feature-transform finish", "Input.Invalid"),  # one class, labels that match nothing
        ("feature-store-ingest", "Input.Invalid"),
    ],
)
def test_a_failure_ends_with_the_workers_word_at_once(machines, until, what, word):
    machines.world.fail(what, word, always=True)
    done = machines.run(until, machines.train)
    assert why(done) == ("FAILED", word), done
    assert f"{what}: {word}" in done["cause"]
    assert len(machines.world.seen(what)) <= 3, "never asked again"
    assert settled(machines) and machines.serving() is None and not machines.world.endpoints


@pytest.mark.parametrize("passed", [True, False])
def test_what_the_rules_said_is_told_and_a_halt_ends_with_their_words(machines, until, passed):
    aws, name = machines.aws, f"told-{uuid.uuid4().hex[:8]}"
    queue = aws.sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = aws.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws.events.put_rule(Name=name, EventPattern=json.dumps({"source": ["leat.quality"], "resources": [machines.train]}))
    aws.events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    machines.world.passed = passed
    done = machines.run(until, machines.train)
    told = json.loads(until(lambda: aws.sqs.receive_message(QueueUrl=queue).get("Messages"))[0]["Body"])
    aws.events.remove_targets(Rule=name, Ids=["queue"])
    aws.events.delete_rule(Name=name)
    assert told["detail-type"] == "Data Quality Evaluation Results Available"
    assert told["detail"]["state"] == ("SUCCEEDED" if passed else "FAILED")
    assert told["detail"]["context"]["jobId"] == done["executionArn"].rpartition(":")[2]
    if passed:
        good(done)
    else:
        assert why(done) == ("FAILED", "DataQuality.Failed") and "RowCount > 5: unmet" in done["cause"]
        assert settled(machines) and not machines.world.seen("feature-fit partial")


def test_a_worker_that_stays_busy_ends_it(machines, until):
    machines.world.fail("quality-gate decide", "Service.Busy", always=True)
    done = machines.run(until, machines.train)
    assert why(done) == ("FAILED", "Service.Busy") and settled(machines)
    assert len(machines.world.seen("quality-gate decide")) == 9


def test_a_failed_job_is_named(machines, until):
    machines.world.fail("createTrainingJob", "States.TaskFailed", always=True)
    done = machines.run(until, machines.train)
    assert why(done) == ("FAILED", "States.TaskFailed") and "createTrainingJob" in done["cause"]
    assert settled(machines)


@pytest.mark.parametrize(
    ("description", "error", "cause"),
    [
        ({"ExitMessage": "Input.Invalid: no row with the label 1"}, "Input.Invalid", "no row with the label 1"),
        ({"FailureReason": "AlgorithmError: out of memory"}, "States.TaskFailed", "AlgorithmError: out of memory"),
        ({"ProcessingJobStatus": "Failed"}, "States.TaskFailed", "ProcessingJobStatus"),
    ],
)
def test_a_failed_evaluation_says_why(machines, until, description, error, cause):
    machines.world.fail("createProcessingJob", ("States.TaskFailed", description))
    done = machines.run(until, machines.train)
    assert why(done) == ("FAILED", error) and cause in done["cause"], done
    assert settled(machines) and machines.serving() is None


def test_a_busy_training_service_gets_another_name(machines, until):
    machines.world.fail("createTrainingJob", "SageMaker.ThrottlingException")
    good(machines.run(until, machines.train))
    names = [e["TrainingJobName"] for e in machines.world.seen("createTrainingJob")]
    assert len(set(names)) == 2 and all(len(n) <= 63 for n in names)


def test_a_worse_model_stops_with_both_figures(machines, until):
    good(machines.run(until, machines.train))
    before, machines.world.better = machines.items(), False
    done = machines.run(until, machines.train)
    # No failure: no alarm goes off, and nobody is told that an execution failed.
    good(done)
    output = json.loads(done["output"])
    assert output["refused"]["Error"] == "Model.Worse" and "promotion" not in output
    assert "0.7000" in output["refused"]["Cause"] and "0.9000" in output["refused"]["Cause"]
    assert machines.items() == before and settled(machines)
    assert list(machines.world.endpoints) == [machines.serving()["endpoint"]]


def test_a_promotion_that_fails_names_its_own_word(machines, until):
    machines.world.fail("endpoint", "x", always=True)
    done = machines.run(until, machines.train)
    assert why(done) == ("FAILED", "Endpoint.Failed"), done
    assert settled(machines) and machines.serving() is None


# promote


def test_the_first_launch_seeds_then_starts_the_stream(machines, until):
    machines.world.mapping = "Disabled"
    done = machines.run(until, machines.promote, machines.pair(1))
    good(done)
    asked = [name for name, _ in machines.world.calls]
    assert "hand-over mark" not in asked and asked.index("hand-over snapshot") < asked.index("hand-over load")
    load = machines.world.seen("hand-over load")[0]
    assert load["from"] is None and load["to"] == {"recipe": RECIPE, "recipe_url": "s3://lake/1/recipe.yaml", "recipe_hash": "r1", "state_plan": "plan-1"}
    assert machines.serving() == machines.pair(1) and settled(machines)


def test_a_first_launch_on_a_running_stream_is_a_hand_over(machines, until):
    done = machines.run(until, machines.promote, machines.pair(1))
    good(done)
    assert len(machines.world.seen("hand-over mark")) == 1 and machines.serving() == machines.pair(1)


def test_another_plan_is_handed_over(machines, until):
    machines.run(until, machines.promote, machines.pair(1))
    machines.world.calls, machines.world.looks = [], 0
    done = machines.run(until, machines.promote, machines.pair(2, "plan-2"))
    good(done)
    order = [n for n, e in machines.world.calls if n.startswith("hand-over") or "Enabled" in e]
    assert order[:2] == ["updateEventSourceMapping", "hand-over mark"] and order[-1] == "updateEventSourceMapping"
    assert order.count("hand-over sealed") == 2 and order.count("hand-over load") == 2
    load = machines.world.seen("hand-over load")[0]
    assert load["from"] == machines.pair(1)
    assert machines.serving() == machines.pair(2, "plan-2") and settled(machines)
    assert list(machines.world.endpoints) == [machines.pair(2)["endpoint"]]


@pytest.mark.parametrize("what", ["hand-over mark", "hand-over sealed", "hand-over load"])
def test_a_failed_hand_over_switches_the_stream_on_again(machines, until, what):
    machines.run(until, machines.promote, machines.pair(1))
    machines.world.calls, machines.world.looks = [], 0
    machines.world.fail(what, "Input.Invalid", always=True)
    done = machines.run(until, machines.promote, machines.pair(2, "plan-2"))
    assert why(done) == ("FAILED", "Input.Invalid") and what in done["cause"], done
    assert settled(machines) and machines.serving() == machines.pair(1)
    assert list(machines.world.endpoints) == [machines.pair(1)["endpoint"]]
    reopened = machines.world.seen("hand-over abandon")
    assert len(reopened) == (2 if what == "hand-over load" else 0)


def test_a_failed_abandon_hides_nothing(machines, until):
    machines.run(until, machines.promote, machines.pair(1))
    machines.world.fail("hand-over load", "Config.Invalid", always=True)
    machines.world.fail("hand-over abandon", "Input.Invalid", always=True)
    done = machines.run(until, machines.promote, machines.pair(2, "plan-2"))
    assert why(done) == ("FAILED", "Config.Invalid") and settled(machines)


def test_landing_that_is_never_sealed_ends_it(machines, until):
    machines.run(until, machines.promote, machines.pair(1))
    machines.world.sealed_after = 10**9
    done = machines.run(lambda what, _: until(what, 240), machines.promote, machines.pair(2, "plan-2"))
    assert why(done) == ("FAILED", "Landing.Unsealed") and "shard 1 waits" in done["cause"]
    assert settled(machines) and machines.serving() == machines.pair(1)


def test_a_failed_first_launch_leaves_the_stream_off(machines, until):
    machines.world.mapping = "Disabled"
    machines.world.fail("hand-over load", "Input.Invalid", always=True)
    done = machines.run(until, machines.promote, machines.pair(1))
    assert why(done) == ("FAILED", "Input.Invalid")
    assert machines.world.mapping == "Disabled", "history has not seeded it yet" and machines.serving() is None


def test_an_endpoint_that_fails_is_deleted(machines, until):
    machines.run(until, machines.promote, machines.pair(1))
    machines.world.fail("endpoint", "x", always=True)
    done = machines.run(until, machines.promote, machines.pair(2))
    assert why(done) == ("FAILED", "Endpoint.Failed") and "Failed" in done["cause"]
    assert list(machines.world.endpoints) == [machines.pair(1)["endpoint"]] and settled(machines)
    assert machines.serving() == machines.pair(1)


def test_the_same_pair_again_changes_nothing(machines, until):
    machines.run(until, machines.promote, machines.pair(1))
    machines.world.calls = []
    done = machines.run(until, machines.promote, machines.pair(1))
    good(done)
    assert json.loads(done["output"])["promoted"] is False
    assert not machines.world.calls and settled(machines)


def test_a_rollback_is_a_promotion_of_a_kept_pair(machines, until):
    machines.run(until, machines.promote, machines.pair(1))
    machines.run(until, machines.promote, machines.pair(2))
    assert list(machines.world.endpoints) == [machines.pair(2)["endpoint"]]
    kept = json.loads(machines.aws.read(machines.lake, f"artifacts/pairs/{RECIPE}/00000001.json"))
    machines.world.calls = []
    done = machines.run(until, machines.promote, kept)
    good(done)
    assert machines.serving() == machines.pair(1)
    assert list(machines.world.endpoints) == [machines.pair(1)["endpoint"]]
    assert not machines.world.seen("createModel"), "the kept model is there"
    assert not machines.world.seen("updateEventSourceMapping"), "the same plan: the stream never stops"


def test_two_promotions_at_once(machines, until):
    machines.run(until, machines.promote, machines.pair(1))
    machines.world.looks, machines.world.sealed_after = 0, 100
    first = machines.start(machines.promote, machines.pair(2, "plan-2"))
    until(lambda: machines.world.mapping == "Disabled")
    second = machines.run(until, machines.promote, machines.pair(3, "plan-3"))
    assert why(second) == ("FAILED", "Service.Busy")
    assert machines.world.mapping == "Disabled", "the second switches nothing on under the first"
    machines.world.sealed_after = 0
    good(machines.end(until, first))
    assert settled(machines)


def test_what_was_compared_with_something_else_is_not_promoted(machines, until):
    machines.run(until, machines.promote, machines.pair(1))
    done = machines.run(until, machines.promote, machines.pair(2) | {"against": "something else"})
    assert why(done) == ("FAILED", "Service.Busy") and machines.serving() == machines.pair(1)


def test_a_switch_under_its_feet_is_lost_and_not_overwritten(machines, until):
    machines.run(until, machines.promote, machines.pair(1))
    machines.world.looks, machines.world.sealed_after = 0, 100
    first = machines.start(machines.promote, machines.pair(2, "plan-2"))
    until(lambda: machines.world.mapping == "Disabled")
    other = {"pk": {"S": f"serving#{RECIPE}"}, "json": {"S": json.dumps(machines.pair(9))}}
    machines.aws.dynamodb.put_item(TableName=machines.table, Item=other)
    machines.world.sealed_after = 0
    done = machines.end(until, first)
    assert why(done) == ("FAILED", "Service.Busy") and machines.serving() == machines.pair(9)
    assert settled(machines) and machines.pair(2)["endpoint"] not in machines.world.endpoints


def test_a_pair_of_another_recipe_is_refused(machines, until):
    done = machines.run(until, machines.promote, machines.pair(1) | {"recipe": "other"})
    assert why(done) == ("FAILED", "Input.Invalid") and not machines.world.calls


def test_after_a_stop_in_the_middle_the_stream_goes_on(machines, until):
    machines.run(until, machines.promote, machines.pair(1))
    machines.world.calls = []
    machines.world.fail("hand-over load", "Service.Busy", always=True)
    stopped = machines.start(machines.promote, machines.pair(2, "plan-2"))
    until(lambda: machines.world.seen("hand-over load"))
    machines.aws.stepfunctions.stop_execution(executionArn=stopped)
    until(lambda: machines.aws.stepfunctions.describe_execution(executionArn=stopped)["status"] == "ABORTED")
    assert machines.world.mapping == "Disabled"
    done = machines.run(until, machines.promote, {"resume": "arn:of:another"})
    assert json.loads(done["output"])["resumed"] is False and machines.world.mapping == "Disabled"
    done = machines.run(until, machines.promote, {"resume": stopped})
    good(done)
    assert json.loads(done["output"])["resumed"] is True, done
    assert machines.world.seen("hand-over abandon")[0]["from"] == machines.pair(1)
    assert machines.world.mapping == "Enabled" and machines.serving() == machines.pair(1)


def test_executions_are_shown_as_they_go(machines):
    said = []
    follower = Follower(machines.aws.stepfunctions, {"train": machines.train, "promote": machines.promote})
    # Those of the tests before are none of its business.
    for machine, arn in follower.machines.items():
        for old in machines.aws.stepfunctions.list_executions(stateMachineArn=arn)["executions"]:
            follower.known(machine, old["executionArn"]).status = "SUCCEEDED"
    done = follower.run("train", uuid.uuid4().hex, {}, said.append, 60)
    assert done.status == "SUCCEEDED" and done.output["promotion"]["promoted"] is True
    said = [line.split() for line in said]
    assert said.index(["train", "Promote"]) < said.index(["promote", "Lease"]) < said.index(["promote", "SUCCEEDED"])
    assert said.count(["train", "Fit"]) == 1, "a loop is told once"
    machines.world.better = False
    worse = follower.run("train", uuid.uuid4().hex, {}, lambda _: None, 60)
    assert (worse.status, worse.error) == ("SUCCEEDED", "Model.Worse") and "0.9000" in worse.verdict()
    rows = follower.tables()
    assert any(row.startswith("promote ") and row.endswith("SUCCEEDED") for row in rows)


def test_a_history_as_a_table(machines, until):
    machines.world.fail("quality-gate decide", "Service.Busy")
    done = machines.run(until, machines.train)
    rows = workflows.table(workflows.visits(workflows.history(machines.aws.stepfunctions, done["executionArn"])))
    assert rows[0].split() == ["state", "entered", "attempts", "seconds"]
    (decide,) = [r for r in rows if r.startswith("Decide")]
    assert decide.split()[1:3] == ["1", "2"] and decide.endswith("Service.Busy")
    (fit,) = [r for r in rows if r.startswith("Fit ")]
    assert fit.split()[1] == "2"
