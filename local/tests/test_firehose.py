"""Delivery streams do as Firehose's documentation says."""

import base64
import hashlib
import json
import time
import uuid
from pathlib import Path

import pytest

from leat_local.overlay import kpl

# Answers as each record says; notes what it was sent.
PROCESSOR = """
import base64, json, os, time, boto3
s3 = boto3.client("s3", region_name="us-east-1")
def handler(event, context):
    s3.put_object(Bucket=os.environ["NOTES"], Key="calls/%d" % time.time_ns(), Body=json.dumps(event))
    out = []
    for r in event["records"]:
        d = json.loads(base64.b64decode(r["data"]))
        if d.get("boom"):
            raise ValueError("boom")
        if d.get("missing"):
            continue
        answer = {"recordId": r["recordId"], "result": d.get("result", "Ok"),
                  "data": base64.b64encode((json.dumps(d) + "\\n").encode()).decode()}
        if "kind" in d:
            answer["metadata"] = {"partitionKeys": {"kind": d["kind"]}}
        out += [answer] * d.get("times", 1)
    return {"records": out}
"""
ROLE = "arn:aws:iam::000000000000:role/test"


class Delivery:
    """A delivery stream with a processor, from a Kinesis stream or by direct put."""

    def __init__(self, aws, source=None, seconds=0, processor_seconds=0, retries=1, **more):
        self.aws, self.lake, self.notes = aws, aws.bucket(), aws.bucket()
        self.name = f"test-{uuid.uuid4().hex[:8]}"
        self.function = aws.function(PROCESSOR, NOTES=self.notes)
        values = {
            "LambdaArn": self.function,
            "NumberOfRetries": str(retries),
            "BufferSizeInMBs": "1",
            "BufferIntervalInSeconds": str(processor_seconds),
        }
        parameters = [{"ParameterName": k, "ParameterValue": v} for k, v in values.items()]
        processor = {"Type": "Lambda", "Parameters": parameters}
        destination = {
            "BucketARN": f"arn:aws:s3:::{self.lake}",
            "RoleARN": ROLE,
            "Prefix": "in/kind=!{partitionKeyFromLambda:kind}/!{timestamp:yyyy}/",
            "ErrorOutputPrefix": "failed/!{firehose:error-output-type}/!{timestamp:yyyy}/",
            "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": seconds},
            "DynamicPartitioningConfiguration": {"Enabled": True},
            "ProcessingConfiguration": {"Enabled": True, "Processors": [processor]},
            **more,
        }
        kind = {"DeliveryStreamType": "DirectPut"}
        if source:
            kind = {
                "DeliveryStreamType": "KinesisStreamAsSource",
                "KinesisStreamSourceConfiguration": {"KinesisStreamARN": source, "RoleARN": ROLE},
            }
        aws.firehose.create_delivery_stream(
            DeliveryStreamName=self.name, ExtendedS3DestinationConfiguration=destination, **kind
        )

    def put(self, *records):
        data = [{"Data": json.dumps(r).encode()} for r in records]
        self.aws.firehose.put_record_batch(DeliveryStreamName=self.name, Records=data)

    def calls(self):
        return [json.loads(self.aws.read(self.notes, k)) for k in self.aws.keys(self.notes)]

    def failed(self):
        year = time.strftime("%Y", time.gmtime())
        return self.aws.lines(self.lake, f"failed/processing-failed/{year}/")

    def delete(self):
        self.aws.firehose.delete_delivery_stream(DeliveryStreamName=self.name)


@pytest.fixture
def delivery(aws):
    made = []

    def make(**settings):
        made.append(Delivery(aws, **settings))
        return made[-1]

    yield make
    for one in made:
        one.delete()


def test_records_of_a_stream_carry_their_coordinates(aws, delivery, until):
    stream, arn = aws.stream()
    d = delivery(source=arn)
    plain = json.dumps({"n": 1, "kind": "a"}).encode()
    users = b"".join(
        bytes([3 << 3 | 2, len(u)]) + u
        for u in (b"\x08\x00\x1a" + bytes([len(p)]) + p for p in [b'{"n":2,"kind":"a"}'] * 2)
    )
    body = b"\x0a\x01i" + users
    packed = kpl.MAGIC + body + hashlib.md5(body).digest()
    aws.kinesis.put_record(StreamName=stream, Data=plain, PartitionKey="p")
    second = aws.kinesis.put_record(StreamName=stream, Data=packed, PartitionKey="q")
    until(lambda: len(aws.lines(d.lake, "in/kind=a/")) == 3)
    sent = [r for call in d.calls() for r in call["records"]]
    assert {c["sourceKinesisStreamArn"] for c in d.calls()} == {arn}
    found = [r["kinesisRecordMetadata"] for r in sent]
    assert [(m["subsequenceNumber"], m["partitionKey"]) for m in found] == [
        ("0", "p"),
        ("0", "i"),
        ("1", "i"),
    ]
    assert found[2]["sequenceNumber"] == second["SequenceNumber"]
    assert found[2]["shardId"] == second["ShardId"]
    assert isinstance(found[2]["approximateArrivalTimestamp"], int)


def test_what_failed_lands_by_the_hand_over_with_its_place(aws, delivery, function, home, until):
    stream, arn = aws.stream(shards=2)
    d = delivery(source=arn)

    def event(number: int, **more) -> bytes:
        fields = {"transaction_id": f"t{number}", "customer_id": "c", "event_time": 0, **more}
        return json.dumps(fields, separators=(",", ":")).encode()

    def put(data: bytes, key: str) -> dict:
        return aws.kinesis.put_record(StreamName=stream, Data=data, PartitionKey=key)

    good = put(event(1, kind="a"), "p")
    until(lambda: aws.lines(d.lake, "in/kind=a/"))
    plain = put(event(2, boom=1), "p")
    users = b"".join(
        bytes([3 << 3 | 2, len(u)]) + u
        for u in (b"\x08\x00\x1a" + bytes([len(p)]) + p for p in [event(3, boom=1), event(4, boom=1)])
    )
    body = b"\x0a\x01i" + users
    packed = put(kpl.MAGIC + body + hashlib.md5(body).digest(), "q")
    until(lambda: len(d.failed()) == 3)

    recipe = Path(__file__).parents[2] / "recipes/card-transactions"
    for path in recipe.glob("*.*"):
        aws.s3.upload_file(str(path), d.lake, f"recipe/{path.name}")
    secret = home / "secret-of-landing"
    secret.write_bytes(b"a secret for tests alone, of forty-nine characters")
    places = {"prefixes": [{"prefix": "landing/"}], "cleansed": f"s3://{d.lake}/cleansed/", "start": {"glue": {"job": "j"}}}
    name = function(
        "hand-over",
        LEAT_RECIPE=f"s3://{d.lake}/recipe/recipe.yaml",
        LEAT_KEYS=f"file:{secret}",
        LEAT_STATE="memory:",
        LEAT_STREAM=f"kinesis:{stream}",
        LEAT_FAILED=f"s3://{d.lake}/failed/",
        LEAT_LANDING=f"s3://{d.lake}/landing/",
        LEAT_LEDGER="memory:",
        LEAT_MANIFESTS=f"s3://{d.lake}/manifests/",
        LEAT_GLUE="log:",
        LEAT_DATASETS=json.dumps([{"name": "card-transactions", "bucket": f"s3://{d.lake}", **places}]),
    )

    def land() -> dict:
        answer = getattr(aws, "lambda").invoke(FunctionName=name, Payload=b'{"step":"land"}')
        body = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, body
        return body

    done = land()
    assert (done["lines"], done["left"]) == (3, 0)
    assert aws.keys(d.lake, "failed/") == []
    landed = {line["transaction_id"]: line["_leat"] for line in aws.lines(d.lake, "landing/")}
    assert set(landed) == {"t2", "t3", "t4"}, "the first never failed"
    place = {name: (tag["source"], tag["shard"], tag["seq"], tag["sub"]) for name, tag in landed.items()}
    assert place == {
        "t2": (stream, plain["ShardId"], plain["SequenceNumber"], 0),
        "t3": (stream, packed["ShardId"], packed["SequenceNumber"], 0),
        "t4": (stream, packed["ShardId"], packed["SequenceNumber"], 1),
    }
    assert good["SequenceNumber"] not in json.dumps(landed)
    assert all(isinstance(tag["arrival"], int) for tag in landed.values())
    assert land() == {"objects": 0, "lines": 0, "left": 0}


def test_results_go_where_they_belong(aws, delivery, until):
    d = delivery(seconds=1)
    d.put(
        {"n": 1, "kind": "a"},
        {"n": 2, "kind": "b"},
        {"n": 3, "result": "Dropped"},
        {"n": 4, "result": "ProcessingFailed"},
        {"n": 5},  # no partition key
        {"n": 6, "missing": True},
        {"n": 7, "kind": ""},
    )
    until(lambda: len(d.failed()) == 4 and len(aws.keys(d.lake, "in/")) == 2)
    assert [r["n"] for r in aws.lines(d.lake, "in/")] == [1, 2]
    failed = {json.loads(base64.b64decode(f["rawData"]))["n"]: f for f in d.failed()}
    assert {n: f["errorCode"] for n, f in failed.items()} == {
        4: "Lambda.ProcessingFailedStatus",
        5: "DynamicPartitioning.MetadataExtractionFailed",
        6: "Lambda.MissingRecordId",
        7: "DynamicPartitioning.MetadataExtractionFailed",
    }
    assert failed[4]["lambdaArn"] == d.function
    assert failed[4]["attemptsMade"] == 1


@pytest.mark.parametrize(
    ("record", "code", "attempts"),
    [
        ({"boom": True}, "Lambda.FunctionError", 2),
        ({"result": "ok"}, "Lambda.FunctionError", 2),
        ({"times": 2}, "Lambda.DuplicatedRecordId", 1),
    ],
)
def test_a_bad_answer_fails_the_batch(delivery, until, record, code, attempts):
    d = delivery(retries=1, processor_seconds=1)  # both come in one batch
    d.put({"n": 1, "kind": "a"}, {"n": 2, "kind": "a", **record})
    failed = until(lambda: len(d.failed()) == 2 and d.failed())
    assert {(f["errorCode"], f["attemptsMade"]) for f in failed} == {(code, attempts)}
    assert len(d.calls()) == attempts


def test_what_comes_together_lies_in_one_object(aws, delivery, until):
    d = delivery(seconds=2, CompressionFormat="GZIP")
    for n in range(5):
        d.put({"n": n, "kind": "a"})
        time.sleep(0.1)
    assert not aws.keys(d.lake)
    keys = until(lambda: aws.keys(d.lake))
    assert len(keys) == 1 and keys[0].endswith(".gz")


def test_the_processor_is_called_by_its_own_buffer(delivery, until):
    d = delivery(processor_seconds=2)
    for n in range(5):
        d.put({"n": n, "kind": "a"})
    until(lambda: d.calls())
    assert [len(c["records"]) for c in d.calls()] == [5]
