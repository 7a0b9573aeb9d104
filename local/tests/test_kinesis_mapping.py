"""Event source mappings do as Lambda's documentation says."""

import json
import uuid

import pytest

# Notes each batch in S3, then fails as it is told: records with `bad` by report, with `boom` by error.
FUNCTION = """
import base64, json, os, boto3
s3 = boto3.client("s3", region_name="us-east-1")
def handler(event, context):
    records = [(r["kinesis"]["sequenceNumber"], json.loads(base64.b64decode(r["kinesis"]["data"])))
               for r in event["Records"]]
    body = json.dumps([d["n"] for _, d in records])
    s3.put_object(Bucket=os.environ["NOTES"], Key="calls/%d" % __import__("time").time_ns(), Body=body)
    if any(d.get("boom") for _, d in records):
        raise ValueError("boom")
    bad = [s for s, d in records if d.get("bad")]
    if os.environ.get("ANSWER"):
        return json.loads(os.environ["ANSWER"])
    return {"batchItemFailures": [{"itemIdentifier": s} for s in reversed(bad)]}
"""
REPORT = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}


class Mapped:
    """A stream, a function that notes its batches, and a mapping between them."""

    def __init__(self, aws, shards=1, answer="", **settings):
        self.aws, self.notes = aws, aws.bucket()
        self.stream, self.stream_arn = aws.stream(shards)
        self.function = aws.function(FUNCTION, NOTES=self.notes, ANSWER=answer)
        settings = {"StartingPosition": "TRIM_HORIZON", "BatchSize": 100, **settings}
        self.uuid = getattr(aws, "lambda").create_event_source_mapping(
            EventSourceArn=self.stream_arn, FunctionName=self.function, **settings
        )["UUID"]

    def put(self, *records, key="k"):
        entries = [{"Data": json.dumps(r).encode(), "PartitionKey": key} for r in records]
        return self.aws.kinesis.put_records(StreamName=self.stream, Records=entries)["Records"]

    def batches(self):
        return [json.loads(self.aws.read(self.notes, k)) for k in self.aws.keys(self.notes, "calls/")]

    def enable(self, on: bool):
        getattr(self.aws, "lambda").update_event_source_mapping(UUID=self.uuid, Enabled=on)

    def delete(self):
        getattr(self.aws, "lambda").delete_event_source_mapping(UUID=self.uuid)


@pytest.fixture
def mapped(aws):
    made = []

    def make(**settings):
        made.append(Mapped(aws, **settings))
        return made[-1]

    yield make
    for mapping in made:
        mapping.delete()


def numbers(count, **odd):
    return [{"n": n, **odd.get(f"n{n}", {})} for n in range(count)]


def test_records_come_in_order_by_shard(mapped, until):
    m = mapped(shards=2, Enabled=False)
    for n in range(20):
        m.put({"n": n}, key=f"key-{n % 5}")
    m.enable(True)
    until(lambda: sum(len(b) for b in m.batches()) == 20)
    assert all(b == sorted(b) for b in m.batches())


def test_the_lowest_failure_comes_again_until_it_is_given_up(aws, mapped, until):
    failed = aws.bucket()
    m = mapped(
        Enabled=False,
        **REPORT,
        MaximumRetryAttempts=1,
        BisectBatchOnFunctionError=True,
        DestinationConfig={"OnFailure": {"Destination": f"arn:aws:s3:::{failed}"}},
    )
    put = m.put(*numbers(8, n5={"bad": True}))
    m.enable(True)
    keys = until(lambda: aws.keys(failed))
    until(lambda: m.batches()[-1:] == [[6, 7]])
    assert m.batches() == [[0, 1, 2, 3, 4, 5, 6, 7], [5, 6, 7], [5], [5], [6, 7]]
    document = json.loads(aws.read(failed, keys[0]))
    shard = put[5]["ShardId"]
    prefix, name = keys[0].rsplit("/", 1)
    assert prefix.startswith(f"aws/lambda/{m.uuid}/{shard}/20")
    assert uuid.UUID(name[20:])
    assert document["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert document["requestContext"]["approximateInvokeCount"] == 2
    assert document["KinesisBatchInfo"]["startSequenceNumber"] == put[5]["SequenceNumber"]
    assert document["KinesisBatchInfo"]["batchSize"] == 1
    payload = json.loads(document["payload"])
    assert payload["Records"][0]["kinesis"]["sequenceNumber"] == put[5]["SequenceNumber"]


def test_an_error_halves_the_batch_and_sqs_gets_no_records(aws, mapped, until):
    name = f"test-{uuid.uuid4().hex[:8]}"
    url = aws.sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:000000000000:{name}"
    m = mapped(
        Enabled=False,
        MaximumRetryAttempts=0,
        BisectBatchOnFunctionError=True,
        DestinationConfig={"OnFailure": {"Destination": arn}},
    )
    m.put(*numbers(4, n2={"boom": True}))
    m.enable(True)
    message = until(lambda: aws.sqs.receive_message(QueueUrl=url).get("Messages"))[0]
    until(lambda: m.batches()[-1:] == [[3]])
    assert m.batches() == [[0, 1, 2, 3], [0, 1], [2, 3], [2], [3]]
    document = json.loads(message["Body"])
    assert document["responseContext"]["functionError"] == "Unhandled"
    assert "payload" not in document


def test_without_bisect_the_whole_batch_comes_again(mapped, until):
    m = mapped(Enabled=False, MaximumRetryAttempts=2)
    m.put(*numbers(3, n1={"boom": True}), {"n": 9})
    m.enable(True)
    until(lambda: len(m.batches()) == 3)
    assert m.batches() == [[0, 1, 2, 9]] * 3


def test_a_report_counts_only_where_the_mapping_asks_for_it(mapped, until):
    m = mapped(Enabled=False)
    m.put(*numbers(3, n1={"bad": True}))
    m.enable(True)
    until(lambda: m.batches())
    m.put({"n": 3})
    until(lambda: len(m.batches()) == 2)
    assert m.batches() == [[0, 1, 2], [3]]


@pytest.mark.parametrize(
    "answer",
    ['{"batchItemFailures":[{"itemIdentifier":""}]}', '{"batchItemFailures":[{"id":"1"}]}', '"text"'],
)
def test_an_answer_that_names_no_record_fails_the_batch(mapped, until, answer):
    m = mapped(answer=answer, Enabled=False, MaximumRetryAttempts=1, **REPORT)
    m.put(*numbers(2))
    m.enable(True)
    until(lambda: len(m.batches()) == 2)
    assert m.batches() == [[0, 1]] * 2


def test_records_that_are_too_old_are_given_up(aws, mapped, until):
    failed = aws.bucket()
    m = mapped(
        MaximumRecordAgeInSeconds=60,
        DestinationConfig={"OnFailure": {"Destination": f"arn:aws:s3:::{failed}"}},
        Enabled=False,
    )
    # The least that the API takes is a minute; a younger limit is set where the overlay reads it.
    getattr(aws, "lambda").update_event_source_mapping(UUID=m.uuid, MaximumRecordAgeInSeconds=1)
    m.put({"n": 0, "boom": True})
    m.enable(True)
    document = json.loads(aws.read(failed, until(lambda: aws.keys(failed))[0]))
    assert document["requestContext"]["condition"] == "RecordAgeExceeded"
    m.put({"n": 1})
    until(lambda: m.batches()[-1:] == [[1]])


def test_a_disabled_mapping_goes_on_where_it_stopped(mapped, until):
    m = mapped(**REPORT)
    m.put({"n": 0})
    until(lambda: m.batches())
    m.enable(False)
    m.put({"n": 1}, {"n": 2})
    m.enable(True)
    until(lambda: len(m.batches()) == 2)
    assert m.batches() == [[0], [1, 2]]


def test_disabling_ends_the_retries_of_a_batch(mapped, until):
    m = mapped(**REPORT)
    m.put({"n": 0}, {"n": 1, "bad": True})
    until(lambda: len(m.batches()) >= 3)
    m.enable(False)
    seen = until(lambda: m.batches())
    assert seen[0] == [0, 1] and all(b == [1] for b in seen[1:])


def test_batch_size_and_window(mapped, until):
    m = mapped(BatchSize=3, MaximumBatchingWindowInSeconds=2)
    m.put(*numbers(7))
    until(lambda: sum(len(b) for b in m.batches()) == 7)
    assert m.batches() == [[0, 1, 2], [3, 4, 5], [6]]


def test_sequence_numbers_are_as_long_as_those_of_aws(mapped):
    first, second = mapped(Enabled=False).put({"n": 0}, {"n": 1})
    assert len(first["SequenceNumber"]) == 56
    assert int(first["SequenceNumber"]) < int(second["SequenceNumber"])
