"""Firehose: one worker per delivery stream, from its source to its objects.

MiniStack calls the processor per record without metadata, loses what it rejects, and writes an
object for each record. Here records are buffered by size and seconds for the processor, its answer
is checked (each recordId once), what fails lies in the error prefix in Firehose's own wrapper, and
what is good is buffered again by its evaluated prefix. Objects are put with the role of the stream.
"""

from __future__ import annotations

import base64
import gzip
import json
import logging
import threading
import time
import uuid
from dataclasses import dataclass, field

from ministack.core.concurrency import spawn_background
from ministack.core.responses import get_region
from ministack.services import firehose as ministack
from ministack.services import kinesis, lambda_svc

from . import aws, hooks, kinesis_mapping, kpl

USES = {
    "ministack.services.firehose": (
        "_HANDLERS",
        "_create_delivery_stream",
        "_deliver_records_to_s3",
        "ingest_from_kinesis_source",
        "_evaluate_prefix",
        "_java_time",
        "_DeliveryError",
        "_s3_bucket_from_arn",
        "_record_id",
        "_streams",
    ),
    "ministack.services.kinesis": ("_streams",),
    "ministack.services.lambda_svc": (
        "_execute_function",
        "_get_func_record_for_qualifier",
        "_resolve_name_and_qualifier",
    ),
}
MEGABYTE = 1024 * 1024
ANSWER = 6 * MEGABYTE
log = logging.getLogger("leat.firehose")


def install() -> None:
    """Sets the hooks."""
    global _ministack_create
    _ministack_create = hooks.replace(ministack, "_create_delivery_stream", create)
    ministack._HANDLERS["CreateDeliveryStream"] = create
    hooks.replace(ministack, "_deliver_records_to_s3", put)
    hooks.replace(ministack, "ingest_from_kinesis_source", lambda _arn, _records: _wake.set())


@dataclass
class Record:
    """A source record on its way."""

    id: str
    data: bytes
    arrival: int  # milliseconds
    metadata: dict | None = None


@dataclass
class Buffer:
    """What waits under one prefix."""

    since: float
    parts: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, data: bytes) -> None:
        self.parts.append(data)
        self.size += len(data)


_wake = threading.Event()
_workers: dict[str, "Worker"] = {}


def create(data: dict):
    """CreateDeliveryStream, and its worker starts; a stream as source is read from now on."""
    answer = _ministack_create(data)
    if answer[0] == 200:
        name = data["DeliveryStreamName"]
        worker = _workers[ministack._streams[name]["arn"]] = Worker(name)
        spawn_background(worker.run, thread_name=f"firehose-{name}")
    return answer


def put(stream: dict, _destination: dict, records: list) -> None:
    """PutRecord and PutRecordBatch end here: the records wait for the worker."""
    if worker := _workers.get(stream["arn"]):
        worker.accept(records)


class Worker:
    """One delivery stream."""

    def __init__(self, name: str):
        self.name = name
        self.incoming: list[Record] = []
        self.lock = threading.Lock()
        self.waiting: list[Record] = []
        self.since = 0.0
        self.buffers: dict[str, Buffer] = {}
        self.places = {
            shard: int(info["records"][-1]["SequenceNumber"]) if info["records"] else 0
            for shard, info in (self._source() or {"shards": {}})["shards"].items()
        }

    # What it is told to do

    def _stream(self) -> dict | None:
        return ministack._streams.get(self.name)

    def _source(self) -> dict | None:
        arn = ((self._stream() or {}).get("kinesis_source") or {}).get("KinesisStreamARN", "")
        return kinesis._streams.get(arn.split("/", 1)[-1]) if arn else None

    @property
    def config(self) -> dict:
        return self._stream()["destinations"][0]["config"]

    def _processor(self) -> dict[str, str]:
        settings = self.config.get("ProcessingConfiguration") or {}
        if str(settings.get("Enabled", False)).lower() != "true":
            return {}
        for processor in settings.get("Processors") or []:
            if processor.get("Type") == "Lambda":
                given = processor.get("Parameters") or []
                return {p["ParameterName"]: p["ParameterValue"] for p in given}
        return {}

    # The loop

    def run(self) -> None:
        while self._stream():
            _wake.wait(0.2)
            _wake.clear()
            try:
                self.turn()
            except Exception:
                log.exception("delivery stream %s", self.name)
                time.sleep(1)

    def turn(self) -> None:
        """One look: read the source, transform what is due, put what is due."""
        self._read()
        processor = self._processor()
        limit = float(processor.get("BufferSizeInMBs", 1)) * MEGABYTE
        seconds = float(processor.get("BufferIntervalInSeconds", 60)) if processor else 0
        while self.waiting:
            size = sum(len(r.data) for r in self.waiting)
            if size < limit and time.time() - self.since < seconds:
                break
            batch = self._cut(limit)
            self._deliver(batch, processor)
            self.since = time.time()
        hints = self.config.get("BufferingHints") or {}
        most = float(hints.get("SizeInMBs", 5)) * MEGABYTE
        longest = float(hints.get("IntervalInSeconds", 300))
        for prefix, buffer in list(self.buffers.items()):
            if buffer.size >= most or time.time() - buffer.since >= longest:
                self._flush(prefix)

    def _cut(self, limit: float) -> list[Record]:
        size, count = 0, 0
        for record in self.waiting:
            size += len(record.data)
            if count and size > limit:
                break
            count += 1
        batch, self.waiting = self.waiting[:count], self.waiting[count:]
        return batch

    # The source

    def accept(self, records: list) -> None:
        now = int(time.time() * 1000)
        with self.lock:
            self.incoming += [Record(i, data, now) for i, data in records]
        _wake.set()

    def _read(self) -> None:
        with self.lock:
            found, self.incoming = self.incoming, []
        source = self._source()
        for shard, info in (source or {"shards": {}})["shards"].items():
            records = info["records"]
            new = records[kinesis_mapping.after(records, self.places.get(shard, 0)) :]
            for record in new:
                found += self._opened(shard, record)
            if new:
                self.places[shard] = int(new[-1]["SequenceNumber"])
        if found and not self.waiting:
            self.since = time.time()
        self.waiting += found

    def _opened(self, shard: str, record: dict) -> list[Record]:
        """The user records of one stream record: Firehose opens KPL aggregates itself."""
        data = base64.b64decode(record["Data"])
        arrival = int(round(record["ApproximateArrivalTimestamp"] * 1000))
        inside = kpl.split(data)
        users = [(record["PartitionKey"], data)] if inside is None else inside
        return [
            Record(
                ministack._record_id(),
                user_data,
                arrival,
                {
                    "sequenceNumber": record["SequenceNumber"],
                    "subsequenceNumber": str(sub),
                    "partitionKey": key,
                    "shardId": shard,
                    "approximateArrivalTimestamp": arrival,
                },
            )
            for sub, (key, user_data) in enumerate(users)
        ]

    # The processor

    def _deliver(self, batch: list[Record], processor: dict[str, str]) -> None:
        if not processor:
            for record in batch:
                self._place(record, record.data, None, processor)
            return
        retries = int(processor.get("NumberOfRetries", 3))
        for attempt in range(1, retries + 2):
            answer, problem = self._call(batch, processor["LambdaArn"])
            if problem is None or problem[0] != "Lambda.FunctionError":
                break
            if attempt <= retries:
                time.sleep(min(0.2 * 2**attempt, 5))
        for record in batch:
            if problem:
                self._fail(record, attempt, *problem, processor)
                continue
            result = answer.get(record.id)
            if result is None:
                why = (
                    "One or more record Ids were not returned. Ensure that the Lambda function "
                    "returns all received record Ids."
                )
                self._fail(record, attempt, "Lambda.MissingRecordId", why, processor)
            elif result["result"] == "ProcessingFailed":
                why = "ProcessingFailed status set for record"
                self._fail(record, attempt, "Lambda.ProcessingFailedStatus", why, processor)
            elif result["result"] == "Ok":
                keys = (result.get("metadata") or {}).get("partitionKeys")
                self._place(record, base64.b64decode(result["data"]), keys, processor)

    def _call(self, batch: list[Record], arn: str):
        """The processor's answer by recordId, or what is wrong with it."""
        name, qualifier = lambda_svc._resolve_name_and_qualifier(arn)
        function, _ = lambda_svc._get_func_record_for_qualifier(name, qualifier)
        if function is None:
            return {}, ("Lambda.FunctionError", "The Lambda function was not found.")
        stream = self._stream()
        source = stream.get("kinesis_source")
        event = {
            "invocationId": str(uuid.uuid4()),
            "deliveryStreamArn": stream["arn"],
            **({"sourceKinesisStreamArn": source["KinesisStreamARN"]} if source else {}),
            "region": get_region(),
            "records": [_as_event(record) for record in batch],
        }
        answer = lambda_svc._execute_function(function, event)
        if answer.get("error"):
            why = "The Lambda function was successfully invoked but it returned an error result."
            return {}, ("Lambda.FunctionError", why)
        return _checked(answer.get("body"), {record.id for record in batch})

    # The destination

    def _place(self, record: Record, data: bytes, keys: dict | None, processor: dict) -> None:
        """Adds `data` to the buffer of its prefix; the time in it is that of arrival."""
        arrived = time.gmtime(record.arrival / 1000)
        own = {str(k): str(v) for k, v in keys.items()} if keys else {}
        try:
            if any(not value for value in own.values()):
                raise ministack._DeliveryError("processing-failed", "A partition key is empty.")
            prefix = ministack._evaluate_prefix(
                self.config.get("Prefix", ""), arrived, lambda_keys=own
            )
        except ministack._DeliveryError as why:
            code = "DynamicPartitioning.MetadataExtractionFailed"
            self._fail(record, 1, code, why.message, processor)
            return
        self.buffers.setdefault(prefix, Buffer(time.time())).add(data)

    def _fail(
        self, record: Record, attempts: int, code: str, why: str, processor: dict[str, str]
    ) -> None:
        """Firehose's wrapper, buffered under the error prefix."""
        document = {
            "attemptsMade": attempts,
            "arrivalTimestamp": record.arrival,
            "errorCode": code,
            "errorMessage": why,
            "attemptEndingTimestamp": int(time.time() * 1000),
            "rawData": base64.b64encode(record.data).decode(),
        }
        if arn := processor.get("LambdaArn"):
            document["lambdaArn"] = arn
        prefix = ministack._evaluate_prefix(
            self.config.get("ErrorOutputPrefix") or "!{firehose:error-output-type}/",
            time.gmtime(record.arrival / 1000),
            error_type="processing-failed",
        )
        buffer = self.buffers.setdefault(prefix, Buffer(time.time()))
        buffer.add(json.dumps(document).encode() + b"\n")

    def _flush(self, prefix: str) -> None:
        stream, buffer = self._stream(), self.buffers[prefix]
        zipped = self.config.get("CompressionFormat") == "GZIP"
        body = b"".join(buffer.parts)
        at = ministack._java_time("yyyy-MM-dd-HH-mm-ss", time.gmtime(buffer.since))
        extension = self.config.get("FileExtension") or (".gz" if zipped else "")
        key = f"{prefix}{self.name}-{stream['version']}-{at}-{uuid.uuid4()}{extension}"
        aws.client("s3", self.config.get("RoleARN"), self.name).put_object(
            Bucket=ministack._s3_bucket_from_arn(self.config["BucketARN"]),
            Key=key,
            Body=gzip.compress(body) if zipped else body,
        )
        del self.buffers[prefix]  # only now: a put that failed is tried again at the next look


def _as_event(record: Record) -> dict:
    event = {
        "recordId": record.id,
        "approximateArrivalTimestamp": record.arrival,
        "data": base64.b64encode(record.data).decode(),
    }
    if record.metadata:
        event["kinesisRecordMetadata"] = record.metadata
    return event


def _checked(body, expected: set[str]):
    """The processor's answer by recordId; else (nothing, what is wrong with all of it)."""
    malformed = {}, (
        "Lambda.FunctionError",
        "The data could not be decoded by the Lambda function: its response is not in the "
        "required format.",
    )
    try:
        if isinstance(body, (str, bytes)):
            body = json.loads(body)
        if len(json.dumps(body)) > ANSWER:
            why = "The Lambda function's response is larger than 6 MB."
            return {}, ("Lambda.FunctionError", why)
        results: dict[str, dict] = {}
        for result in body["records"]:
            if result["recordId"] in results:
                why = (
                    "Multiple records were returned with the same record Id. Ensure that the "
                    "Lambda function returns a unique record Id for each record."
                )
                return {}, ("Lambda.DuplicatedRecordId", why)
            if result["result"] not in ("Ok", "Dropped", "ProcessingFailed"):
                return malformed
            if result["result"] == "Ok":
                base64.b64decode(result["data"], validate=True)
            results[result["recordId"]] = result
    except (ValueError, TypeError, KeyError):
        return malformed
    if not results.keys() <= expected:
        why = "One or more record Ids were returned that were not sent."
        return {}, ("Lambda.FunctionError", why)
    return results, None
