"""Accounts from what lies in the stores: every unique event that was put is found exactly once.

An event's identity is its transaction id; that of a line without one (a damaged line) is its bytes.
So the accounts compare sets of events, not only how many there are: a lost one and a doubled one do
not make up for each other.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow.parquet as parquet


def identity(line: bytes, id_field: str = "transaction_id") -> str:
    """What an event is known by, wherever it lies."""
    line = line.strip(b"\r\n")
    try:
        found = json.loads(line)
        if isinstance(found, dict) and isinstance(found.get(id_field), str) and found[id_field]:
            return found[id_field]
    except ValueError:
        pass
    return "bytes:" + hashlib.sha256(line).hexdigest()


# What a record of the Feature Store is known by, and the columns of a curated row that say it.
RECORD = {"customer_id": "customer_id", "event_time": "event_time", "state_hash": "_state_hash"}


def _record(owner: str, microseconds: int, state: str = "") -> str:
    """The store keeps milliseconds."""
    return f"{owner} {microseconds // 1000:020d} {state}".rstrip()


def _microseconds(text: str) -> int:
    """ISO 8601 in UTC, as the store has it."""
    return int(datetime.fromisoformat(text).timestamp() * 1000 + 0.5) * 1000


@dataclass
class Account:
    """One path's books."""

    path: str
    lines: int
    put: set[str]
    places: dict[str, set[str]] = field(default_factory=dict)

    def problems(self) -> list[str]:
        """Why it does not balance; nothing where it does."""
        found: list[str] = []
        seen: set[str] = set()
        for name, events in self.places.items():
            if twice := seen & events:
                found.append(f"{len(twice)} events of `{name}` are elsewhere, too")
            seen |= events
        if lost := self.put - seen:
            found.append(f"{len(lost)} events were put and are nowhere, such as {min(lost)[:40]}")
        if strange := seen - self.put:
            found.append(f"{len(strange)} events were never put, such as {min(strange)[:40]}")
        return found

    def rows(self) -> list[str]:
        """The table of one path."""
        rows = [f"{self.path}: {self.lines:,} lines put, {len(self.put):,} unique events"]
        rows += [f"  {name:<28} {len(events):>8,}" for name, events in self.places.items()]
        sums = sum(len(events) for events in self.places.values())
        verdict = "balanced" if not self.problems() else "NOT BALANCED"
        rows.append(f"  {'in all':<28} {sums:>8,}   {verdict}")
        return rows + [f"  ! {problem}" for problem in self.problems()]


class Stores:
    """What lies in the stores of a deployed stack."""

    def __init__(self, client, outputs: dict[str, str], recipe: str):
        self._client, self._out, self._recipe = client, outputs, recipe
        self._s3 = client("s3")

    def _keys(self, bucket: str, prefix: str) -> list[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def _read(self, bucket: str, key: str) -> bytes:
        return self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def _documents(self, bucket: str, prefix: str):
        for key in self._keys(bucket, prefix):
            body = self._read(bucket, key)
            # Firehose zips what it delivers where told to, by its documentation not so what failed.
            body = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
            for line in body.splitlines():
                if line.strip():
                    yield json.loads(line)

    # The live path

    def predictions(self) -> list[dict]:
        """The rows of the predictions table."""
        rows, table = [], self._out["PredictionTable"]
        for page in self._client("dynamodb").get_paginator("scan").paginate(TableName=table):
            rows += [json.loads(item["json"]["S"]) for item in page["Items"]]
        return rows

    def predicted_on_the_stream(self) -> list[dict]:
        """The rows of the predictions stream: at least once each."""
        kinesis, rows = self._client("kinesis"), []
        name = self._out["PredictionStream"]
        for shard in kinesis.list_shards(StreamName=name)["Shards"]:
            place = kinesis.get_shard_iterator(
                StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while place:
                page = kinesis.get_records(ShardIterator=place, Limit=10000)
                rows += [json.loads(record["Data"]) for record in page["Records"]]
                place = page.get("NextShardIterator") if page["Records"] else None
        return rows

    def quarantined(self, prefix: str) -> set[str]:
        """The events in the quarantine bucket under a prefix."""
        bucket = self._out["QuarantineBucket"]
        return {
            identity(base64.b64decode(line["payload"])) for line in self._documents(bucket, prefix)
        }

    def undelivered(self) -> set[str]:
        """The ids of rows that no sink took until it was too late."""
        return {row["id"] for row in self._documents(self._out["QuarantineBucket"], "undelivered/")}

    def dead_lettered(self) -> set[str]:
        """The events that the mapping gave up."""
        found = set()
        for document in self._documents(self._out["QuarantineBucket"], "aws/lambda/"):
            for record in json.loads(document["payload"])["Records"]:
                found.add(identity(base64.b64decode(record["kinesis"]["data"])))
        return found

    # The lake

    def units(self) -> list[dict]:
        """The units of cleansed data that are read: published, and not replaced."""
        live = self.decided("published")
        gone = {name for u in live for name in u.get("replaces", [])}
        return [u for u in live if u["unit"] not in gone]

    def decided(self, decision: str) -> list[dict]:
        """All units of which that was decided."""
        prefix = f"cleansed/{self._recipe}/_published/"
        bucket = self._out["LakeBucket"]
        units = [json.loads(self._read(bucket, key)) for key in self._keys(bucket, prefix)]
        return [u for u in units if u["decision"] == decision]

    def open(self) -> list[str]:
        """What the ledger holds of objects that no manifest has, and of manifests without an end."""
        client, rows = self._client("dynamodb"), []
        for kind in ("landed", "open"):
            name = {":pk": {"S": f"{kind}#{self._recipe}"}}
            pages = client.get_paginator("query").paginate(
                TableName=self._out["LedgerTable"], KeyConditionExpression="pk = :pk", ExpressionAttributeValues=name, ConsistentRead=True
            )
            rows += [f"{kind} {item['sk']['S']}" for page in pages for item in page["Items"]]
        return rows

    def manifest(self, unit: str) -> dict:
        """The manifest of a unit."""
        key = f"artifacts/manifests/{self._recipe}/{unit}.json"
        return json.loads(self._read(self._out["LakeBucket"], key))

    def cleansed(self, unit: dict, id_field: str = "transaction_id") -> list[str]:
        """The ids of a unit's rows."""
        ids: list[str] = []
        for file in unit["files"]:
            body = self._read(self._out["LakeBucket"], f"cleansed/{self._recipe}/{file['path']}")
            table = parquet.read_table(io.BytesIO(body), columns=[id_field])
            ids += table.column(id_field).to_pylist()
        return ids

    def failed(self) -> set[str]:
        """The events that Firehose put aside."""
        return {
            identity(base64.b64decode(document["rawData"]))
            for document in self._documents(self._out["LakeBucket"], "failed/")
        }

    # The features

    def curated(self, run: str) -> set[str]:
        """The records that the candidate's rows of a run of `train` are in the Feature Store."""
        bucket, found = self._out["LakeBucket"], set()
        for key in self._keys(bucket, f"curated/{self._recipe}/run={run}/name=candidate/"):
            rows = parquet.read_table(io.BytesIO(self._read(bucket, key)), columns=list(RECORD.values()))
            times = rows.column(RECORD["event_time"]).cast("int64").to_pylist()
            owners, states = (rows.column(RECORD[name]).to_pylist() for name in ("customer_id", "state_hash"))
            found |= {_record(*record) for record in zip(owners, times, states, strict=True)}
        return found

    def offline(self) -> set[str]:
        """The records of the Feature Store's offline store."""
        bucket, found = self._out["LakeBucket"], set()
        for key in self._keys(bucket, "curated/feature-store/"):
            rows = parquet.read_table(io.BytesIO(self._read(bucket, key)), columns=list(RECORD)).to_pydict()
            cells = zip(*(rows[name] for name in RECORD), strict=True)
            found |= {_record(owner, _microseconds(at), state) for owner, at, state in cells}
        return found

    def online(self, owners: list[str]) -> set[str]:
        """The records of its online store: of each owner the latest, whichever state it was made with."""
        client, found = self._client("sagemaker-featurestore-runtime"), set()
        for start in range(0, len(owners), 100):
            wanted = {
                "FeatureGroupName": self._out["FeatureGroup"],
                "RecordIdentifiersValueAsString": owners[start : start + 100],
            }
            for record in client.batch_get_record(Identifiers=[wanted])["Records"]:
                cells = {cell["FeatureName"]: cell["ValueAsString"] for cell in record["Record"]}
                found.add(_record(cells["customer_id"], _microseconds(cells["event_time"])))
        return found
