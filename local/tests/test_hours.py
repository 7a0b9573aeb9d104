"""The stream, hour by hour: events of a mapping, the part that an environment puts, the state machine `hour`, its event."""

import json
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from leat_local import workflows

ROOT = Path(__file__).parents[2]
ROLE = "arn:aws:iam::000000000000:role/test"
RECIPE = "card-transactions"


class Stream:
    """kinesis-features and quality-gate over a lake of their own, and `hour` with a queue that hears of it."""

    def __init__(self, aws, function, home, rules: str):
        self.aws, self.lake = aws, aws.bucket()
        folder = ROOT / "recipes" / RECIPE
        for path in folder.glob("*.*"):
            aws.s3.upload_file(str(path), self.lake, f"artifacts/recipes/{RECIPE}/{path.name}")
        text = (folder / "quality.dqdl").read_text().replace("RowCount > 0", rules)
        aws.s3.put_object(Bucket=self.lake, Key=f"artifacts/recipes/{RECIPE}/quality.dqdl", Body=text.encode())
        secret = home / f"secret-{uuid.uuid4().hex[:8]}"
        secret.write_bytes(b"a secret for tests alone, of forty-nine characters")
        places = {
            "LEAT_RECIPE": f"s3://{self.lake}/artifacts/recipes/{RECIPE}/recipe.yaml",
            "LEAT_ARTIFACTS": f"s3://{self.lake}/artifacts/",
            "LEAT_KEYS": f"file:{secret}",
        }
        self.features = function("kinesis-features", **places, LEAT_STATE="memory:", LEAT_SINKS="log:", LEAT_QUARANTINE="log:")
        self.gate = function("quality-gate", **places, LEAT_CLEANSED=f"s3://{self.lake}/cleansed/{RECIPE}/")
        self.name = f"hour-{uuid.uuid4().hex[:8]}"
        self.machine = aws.stepfunctions.create_state_machine(
            name=self.name, definition=json.dumps(workflows.definition("hour", {"QualityGate": self.gate})), roleArn=ROLE
        )["stateMachineArn"]
        self.queue = aws.sqs.create_queue(QueueName=self.name)["QueueUrl"]
        arn = aws.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        aws.events.put_rule(Name=self.name, EventPattern=json.dumps({"source": ["leat.quality"], "resources": [self.machine]}))
        aws.events.put_targets(Rule=self.name, Targets=[{"Id": "queue", "Arn": arn}])

    def invoke(self, payload: bytes) -> dict:
        answer = getattr(self.aws, "lambda").invoke(FunctionName=self.features, Payload=payload)
        body = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, body
        return body

    def hours(self) -> list[str]:
        return self.aws.keys(self.lake, f"artifacts/quality/{RECIPE}/hours/")

    def judge(self, until, **given) -> dict:
        execution = self.aws.stepfunctions.start_execution(stateMachineArn=self.machine, input=json.dumps({"step": "hour", **given}))

        def look():
            found = self.aws.stepfunctions.describe_execution(executionArn=execution["executionArn"])
            return found if found["status"] != "RUNNING" else None

        return until(look, 60)

    def told(self, until) -> dict:
        (message,) = until(lambda: self.aws.sqs.receive_message(QueueUrl=self.queue).get("Messages"))
        self.aws.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return json.loads(message["Body"])

    def forget(self) -> None:
        self.aws.events.remove_targets(Rule=self.name, Ids=["queue"])
        self.aws.events.delete_rule(Name=self.name)


@pytest.fixture
def stream(aws, function, home):
    made = []

    def make(rules: str) -> Stream:
        made.append(Stream(aws, function, home, rules))
        return made[-1]

    yield make
    for one in made:
        one.forget()


def test_an_hour_of_the_stream_is_counted_judged_and_told(stream, until):
    world = stream('RowCount > 1000 labels = ["over" = "hour", "action" = "warn"], Completeness "amount" > 0.5')
    event = (ROOT / "events" / "kinesis-features.json").read_bytes()
    assert world.invoke(event) == {"batchItemFailures": []}
    (part,) = world.hours()
    hour = part.split("/")[4]
    counted = json.loads(world.aws.read(world.lake, part))
    assert counted["rows"] == 6 and b"4000001234567899" not in world.aws.read(world.lake, part), "counts, and no value"
    # Delivered again nothing counts again.
    assert world.invoke(event) == {"batchItemFailures": []}
    assert json.loads(world.aws.read(world.lake, part)) == counted

    # Who names an hour that runs is refused: the record would stand.
    early = world.judge(until, hour=hour)
    assert early["error"] == "Input.Invalid" and "is not over" in early["cause"]
    after = datetime.fromisoformat(f"{hour}:07:00+00:00") + timedelta(hours=1)
    scheduled = after.isoformat().replace("+00:00", "Z")
    done = world.judge(until, scheduled=scheduled)
    assert done["status"] == "SUCCEEDED", done
    told = world.told(until)
    assert told["detail-type"] == "Data Quality Evaluation Results Available"
    detail = told["detail"]
    assert detail["context"] == {"contextType": "LEAT_HOUR", "jobId": hour, "jobName": RECIPE, "evaluationContext": RECIPE}
    assert detail["alarm"] is True and any("RowCount" in rule for rule in detail["failedRules"])
    key = f"artifacts/quality/{RECIPE}/hours/{hour}/result.json"
    assert detail["resultID"] == f"s3://{world.lake}/{key}"
    record = world.aws.read(world.lake, key)
    assert json.loads(record)["rows"] == 6
    # Scheduler starts at least once: the record stands, and is told again.
    assert world.judge(until, scheduled=scheduled)["status"] == "SUCCEEDED"
    assert world.told(until)["detail"] == detail
    assert world.aws.read(world.lake, key) == record


def test_an_hour_in_which_nothing_came_is_told_of_where_somebody_asks(stream, until):
    world = stream('RowCount > 0 labels = ["over" = "hour", "action" = "warn"], Completeness "amount" > 0.5')
    scheduled = datetime(2026, 11, 23, 7, 7, tzinfo=timezone.utc).isoformat().replace("+00:00", "Z")
    done = world.judge(until, scheduled=scheduled)
    assert json.loads(done["output"])["of"]["event"] is None, "nobody has started the stream yet"
    world.aws.s3.put_object(Bucket=world.lake, Key=f"artifacts/quality/{RECIPE}/hours/2026-11-22T01/e.json", Body=b"{}")
    assert world.judge(until, scheduled=scheduled)["status"] == "SUCCEEDED"
    detail = world.told(until)["detail"]
    assert detail["context"]["jobId"] == "2026-11-23T06" and detail["alarm"] is True
    assert len([rule for rule in detail["failedRules"] if "RowCount" in rule]) == len(detail["failedRules"]) == 1
    silent = stream('RowCount > 0 labels = ["over" = "run"]')
    done = silent.judge(until, hour="2026-11-23T06")
    assert done["status"] == "SUCCEEDED" and json.loads(done["output"])["of"]["event"] is None
    assert silent.hours() == []
    assert silent.judge(until, hour="2026-11-23")["error"] == "Input.Invalid"
