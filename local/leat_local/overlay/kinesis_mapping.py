"""Kinesis event source mappings, as Lambda runs them.

MiniStack ignores partial answers, bisect, retries, age and the on-failure destination. Here each
shard of a mapping is read by one worker, in order; a batch that fails comes again from its lowest
failed record, halved where the mapping says so, until it succeeds or is given up. The place in the
shard moves only past what was handled, so a disabled mapping goes on where it stopped.
Only simulated: lanes (`ParallelizationFactor` runs as 1, which is one of its legal schedules).
"""

from __future__ import annotations

import base64
import bisect
import itertools
import json
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timezone

from ministack.core.concurrency import esm_wake, spawn_background
from ministack.core.responses import get_account_id, get_region
from ministack.services import kinesis
from ministack.services import lambda_svc as ministack
from ministack.services.cloudformation import provisioners

from . import aws, hooks

USES = {
    "ministack.services.lambda_svc": (
        "_poll_kinesis",
        "_iter_all_esms",
        "_get_func_record_for_qualifier",
        "_apply_filter_criteria",
        "_execute_function",
        "_request_account_id",
        "_request_region",
        "_esms",
    ),
    "ministack.services.kinesis": ("_streams", "_next_sequence_number"),
    "ministack.services.cloudformation.provisioners": ("_RESOURCE_HANDLERS", "_lambda_esm_create"),
}
PAYLOAD = 6 * 1024 * 1024
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0


def install() -> None:
    """Sets the hooks."""
    hooks.replace(ministack, "_poll_kinesis", poll)
    hooks.replace(kinesis, "_next_sequence_number", _next_sequence_number)
    kind = "AWS::Lambda::EventSourceMapping"
    provisioners._RESOURCE_HANDLERS[kind] = {
        **provisioners._RESOURCE_HANDLERS[kind],
        "create": create_from_template,
    }


def create_from_template(logical_id, props, stack_name):
    """CloudFormation's `Enabled` may be text, and decides the state from the start."""
    enabled = str(props.get("Enabled", True)).lower() != "false"
    created = provisioners._lambda_esm_create(
        logical_id, {**props, "Enabled": enabled}, stack_name
    )
    mapping = ministack._esms[created[0]]
    mapping["State"] = "Enabled" if enabled else "Disabled"
    for name in ("BatchSize", "MaximumRecordAgeInSeconds", "MaximumRetryAttempts"):
        if name in mapping:
            mapping[name] = int(mapping[name])
    return created


_sequence, _sequence_lock = 0, threading.Lock()


def _next_sequence_number() -> str:
    """56 digits and rising, as AWS's: too long for any machine number."""
    global _sequence
    with _sequence_lock:
        _sequence += 1
        return f"49{int(time.time() * 1000):028d}{_sequence:026d}"


# Reading


@dataclass
class Shard:
    """Where a mapping is in one shard. Held by one worker at a time."""

    position: int  # the last sequence number that is done with
    busy: bool = False


_shards: dict[tuple[str, str], Shard] = {}


def poll() -> bool:
    """Starts a worker for each shard that has something to read. MiniStack calls it in a loop."""
    for account, region, mapping in ministack._iter_all_esms():
        if ":kinesis:" not in mapping.get("EventSourceArn", ""):
            continue
        account_token = ministack._request_account_id.set(account)
        region_token = ministack._request_region.set(region)
        try:
            _poll_mapping(mapping)
        finally:
            ministack._request_account_id.reset(account_token)
            ministack._request_region.reset(region_token)
    return False


def _poll_mapping(mapping: dict) -> None:
    stream = _stream(mapping)
    if not stream or stream.get("StreamStatus") != "ACTIVE":
        return
    for shard_id, shard in list(stream["shards"].items()):
        key = (mapping["UUID"], shard_id)
        if key not in _shards:
            _shards[key] = Shard(_start(mapping, shard["records"]))
        place = _shards[key]
        if not place.busy and _enabled(mapping) and _ready(mapping, shard, place):
            place.busy = True
            spawn_background(_work, mapping, shard_id, place, thread_name=f"mapping-{shard_id}")


def _stream(mapping: dict) -> dict | None:
    return kinesis._streams.get(mapping["EventSourceArn"].split("/", 1)[-1])


def _enabled(mapping: dict) -> bool:
    return bool(mapping.get("Enabled", True)) and mapping["UUID"] in ministack._esms


def _start(mapping: dict, records: list[dict]) -> int:
    where = mapping.get("StartingPosition", "LATEST")
    if where == "TRIM_HORIZON":
        return 0
    before = records
    if where == "AT_TIMESTAMP":
        at = float(mapping.get("StartingPositionTimestamp") or 0)
        before = [r for r in records if r["ApproximateArrivalTimestamp"] < at]
    return int(before[-1]["SequenceNumber"]) if before else 0


def _next_batch(mapping: dict, shard: dict, place: Shard) -> list[dict]:
    most, size, batch = int(mapping.get("BatchSize") or 100), 0, []
    records = shard["records"]
    for record in itertools.islice(records, after(records, place.position), None):
        size += len(record["Data"]) + 1024  # the envelope counts, too
        if batch and (len(batch) >= most or size > PAYLOAD):
            break
        batch.append(record)
    return batch


def after(records: list[dict], number: int) -> int:
    """Where the records after sequence `number` begin."""
    return bisect.bisect_right(records, number, key=lambda r: int(r["SequenceNumber"]))


def _ready(mapping: dict, shard: dict, place: Shard) -> bool:
    batch = _next_batch(mapping, shard, place)
    if not batch:
        return False
    window = int(mapping.get("MaximumBatchingWindowInSeconds") or 0)
    full = len(batch) >= int(mapping.get("BatchSize") or 100)
    return full or time.time() - batch[0]["ApproximateArrivalTimestamp"] >= window


# Working


@dataclass
class Batch:
    """Records that are tried together, and how often they were."""

    records: list[dict]
    tries: int = 0
    error: str | None = None  # what the function's last call ended with


def _work(mapping: dict, shard_id: str, place: Shard) -> None:
    try:
        stream = _stream(mapping)
        shard = stream["shards"].get(shard_id) if stream else None
        batch = _next_batch(mapping, shard, place) if shard else []
        if batch:
            _Delivery(mapping, shard_id, place).handle(batch)
    finally:
        place.busy = False
        esm_wake.set()


class _Delivery:
    """One batch of one shard, until all of it is handled or the mapping is disabled."""

    def __init__(self, mapping: dict, shard_id: str, place: Shard):
        self.mapping, self.shard_id, self.place = mapping, shard_id, place
        self.pause = FIRST_PAUSE

    def handle(self, records: list[dict]) -> None:
        waiting = deque([Batch(records)])
        while waiting and _enabled(self.mapping):
            batch = self._without_old(waiting.popleft())
            if not batch.records:
                continue
            failed_from = self._invoke(batch)
            self._done(batch.records[:failed_from])
            rest = batch.records[failed_from:]
            if not rest:
                self.pause = FIRST_PAUSE
                continue
            waiting.extendleft(reversed(self._again(batch, rest)))
            if waiting:
                self._sleep()

    def _again(self, batch: Batch, rest: list[dict]) -> list[Batch]:
        """How what failed is tried again. Splitting a batch does not consume a try."""
        if len(rest) < len(batch.records):
            return [Batch(rest, batch.tries, batch.error)]
        if self.mapping.get("BisectBatchOnFunctionError") and len(rest) > 1:
            middle = len(rest) // 2
            halves = rest[:middle], rest[middle:]
            return [Batch(half, batch.tries, batch.error) for half in halves]
        most = self.mapping.get("MaximumRetryAttempts")
        if most is not None and 0 <= int(most) <= batch.tries:
            self._give_up(Batch(rest, batch.tries, batch.error), "RetryAttemptsExhausted")
            return []
        return [Batch(rest, batch.tries + 1, batch.error)]

    def _without_old(self, batch: Batch) -> Batch:
        limit = int(self.mapping.get("MaximumRecordAgeInSeconds") or -1)
        if limit < 0:
            return batch
        oldest = time.time() - limit
        old = [r for r in batch.records if r["ApproximateArrivalTimestamp"] < oldest]
        if old:
            self._give_up(Batch(old, batch.tries, batch.error), "RecordAgeExceeded")
        return Batch(batch.records[len(old) :], batch.tries, batch.error)

    def _done(self, records: list[dict]) -> None:
        if records:
            self.place.position = int(records[-1]["SequenceNumber"])

    def _sleep(self) -> None:
        until = time.monotonic() + self.pause
        while time.monotonic() < until and _enabled(self.mapping):
            time.sleep(min(0.2, self.pause))
        self.pause = min(self.pause * 2, LONGEST_PAUSE)

    # The call

    def _event(self, records: list[dict]) -> list[dict]:
        function, _ = self._function()
        config = (function or {}).get("config") or function or {}
        return [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": record["PartitionKey"],
                    "sequenceNumber": record["SequenceNumber"],
                    "data": _base64(record["Data"]),
                    "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"],
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": f"{self.shard_id}:{record['SequenceNumber']}",
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": config.get("Role", ""),
                "awsRegion": get_region(),
                "eventSourceARN": self.mapping["EventSourceArn"],
            }
            for record in records
        ]

    def _function(self):
        return ministack._get_func_record_for_qualifier(
            self.mapping["FunctionName"], self.mapping.get("Qualifier")
        )

    def _invoke(self, batch: Batch) -> int:
        """Calls the function; gives the index of the first record that must come again."""
        events = ministack._apply_filter_criteria(self._event(batch.records), self.mapping)
        if not events:
            return len(batch.records)
        function, _ = self._function()
        if function is None:
            return 0
        answer = ministack._execute_function(function, {"Records": events})
        batch.error = "Unhandled" if answer.get("error") else None
        failed = 0 if answer.get("error") else self._first_failed(batch, answer.get("body"))
        good = failed == len(batch.records)
        self.mapping["LastProcessingResult"] = "OK" if good else "PROBLEM: Function call failed"
        return failed

    def _first_failed(self, batch: Batch, body) -> int:
        if "ReportBatchItemFailures" not in (self.mapping.get("FunctionResponseTypes") or []):
            return len(batch.records)
        try:
            body = json.loads(body) if isinstance(body, (str, bytes)) and body else body
            failures = (body or {}).get("batchItemFailures") or []
            numbers = [failure["itemIdentifier"] for failure in failures]
        except (ValueError, TypeError, KeyError, AttributeError):
            return 0  # not an answer that Lambda knows: all of the batch failed
        at = {record["SequenceNumber"]: i for i, record in enumerate(batch.records)}
        return min((at.get(number, 0) for number in numbers), default=len(batch.records))

    # Giving up

    def _give_up(self, batch: Batch, condition: str) -> None:
        target = (self.mapping.get("DestinationConfig") or {}).get("OnFailure") or {}
        if arn := target.get("Destination"):
            self._send(arn, self._record(batch, condition), batch.records)
        self._done(batch.records)

    def _record(self, batch: Batch, condition: str) -> dict:
        first, last = batch.records[0], batch.records[-1]
        invoked = batch.tries + 1 if condition == "RetryAttemptsExhausted" else batch.tries
        response = {"statusCode": 200, "executedVersion": "$LATEST"}
        if batch.error:
            response["functionError"] = batch.error
        return {
            "requestContext": {
                "requestId": str(uuid.uuid4()),
                "functionArn": self.mapping.get("FunctionArn"),
                "condition": condition,
                "approximateInvokeCount": invoked,
            },
            "responseContext": response,
            "version": "1.0",
            "timestamp": _iso(time.time()),
            "KinesisBatchInfo": {
                "shardId": self.shard_id,
                "startSequenceNumber": first["SequenceNumber"],
                "endSequenceNumber": last["SequenceNumber"],
                "approximateArrivalOfFirstRecord": _iso(first["ApproximateArrivalTimestamp"]),
                "approximateArrivalOfLastRecord": _iso(last["ApproximateArrivalTimestamp"]),
                "batchSize": len(batch.records),
                "streamArn": self.mapping["EventSourceArn"],
            },
        }

    def _send(self, arn: str, record: dict, records: list[dict]) -> None:
        """S3 gets the records too, as text in `payload`; SQS gets where they are only."""
        function, _ = self._function()
        config = (function or {}).get("config") or {}
        role, name = config.get("Role"), config.get("FunctionName", "mapping")
        service, last = arn.split(":")[2], arn.split(":")[-1]
        if service == "s3":
            record["payload"] = json.dumps({"Records": self._event(records)})
            now = datetime.now(timezone.utc)
            key = (
                f"aws/lambda/{self.mapping['UUID']}/{self.shard_id}/"
                f"{now:%Y/%m/%d}/{now:%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"
            )
            s3 = aws.client("s3", role, name)
            s3.put_object(Bucket=last, Key=key, Body=json.dumps(record).encode())
        elif service == "sqs":
            sqs = aws.client("sqs", role, name)
            url = f"{aws.endpoint()}/{get_account_id()}/{last}"
            sqs.send_message(QueueUrl=url, MessageBody=json.dumps(record))
        else:
            raise ValueError(f"on-failure destination {arn}: only S3 and SQS are here")


def _base64(data) -> str:
    if isinstance(data, str):
        return data
    return base64.b64encode(bytes(data)).decode()


def _iso(seconds: float) -> str:
    at = datetime.fromtimestamp(seconds, timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
