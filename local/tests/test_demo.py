"""What the demo's report is made of."""

import base64
import io
import json

import pyarrow
import pyarrow.parquet
import pytest

from leat_local.demo import measure
from leat_local.demo.accounts import Account, Stores, identity
from leat_local.demo.pipeline import _entity
from leat_local.demo.run import _of_windows


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], 1.0),
        ([1, 1, 0, 0], [0.1, 0.2, 0.3, 0.4], 0.0),
        ([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5], 0.5),
        ([0, 1, 1], [0.5, 0.5, 0.9], 0.75),
    ],
)
def test_auc(labels, scores, expected):
    assert measure.auc(labels, scores) == expected


def test_auc_needs_both_labels():
    with pytest.raises(ValueError, match="both kinds"):
        measure.auc([0, 0], [0.1, 0.2])


def test_percentiles():
    values = [float(n) for n in range(1, 101)]
    assert measure.percentile(values, 0.5) == 50
    assert measure.percentile(values, 0.99) == 99
    assert measure.percentile([3.0], 0.99) == 3


def test_an_event_is_known_by_its_id_else_by_its_bytes():
    assert identity(b'{"transaction_id":"t-1","amount":1}\n') == "t-1"
    assert identity(b'{"amount":2,"transaction_id":"t-1"}') == "t-1"
    damaged = identity(b'{"transaction_id":"t-')
    assert damaged.startswith("bytes:") and damaged == identity(b'{"transaction_id":"t-\r\n')
    for odd in (b"[]", b'{"transaction_id":7}', b'{"transaction_id":""}', b"\xff"):
        assert identity(odd).startswith("bytes:")


@pytest.mark.parametrize(
    ("places", "problem"),
    [
        ({"written": {"a", "b"}, "quarantined": {"c"}}, None),
        ({"written": {"a", "b"}}, "1 events were put and are nowhere"),
        ({"written": {"a", "b", "c"}, "quarantined": {"c"}}, "1 events of `quarantined`"),
        ({"written": {"a", "b", "c", "d"}}, "1 events were never put"),
    ],
)
def test_books(places, problem):
    books = Account("path", 4, {"a", "b", "c"}, places)
    assert bool(books.problems()) == bool(problem)
    if problem:
        assert problem in books.problems()[0]
        assert any("NOT BALANCED" in row for row in books.rows())


def test_a_lost_event_and_a_strange_one_do_not_balance():
    books = Account("path", 2, {"a", "b"}, {"written": {"a", "x"}})
    assert len(books.problems()) == 2


def test_the_partition_key_of_a_damaged_line():
    assert _entity(b'{"transaction_id":"t","customer_id":"c-1","amo') == "c-1"
    assert _entity(b"\xff\x00") == "unknown"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("amount_sum_1h", True),
        ("count_24h", True),
        ("session_duration", True),
        ("amount_log", False),
        ("channel_web", False),
        ("event_time_hour_sin", False),
    ],
)
def test_features_of_windows(name, expected):
    assert _of_windows(name) is expected


def test_the_stores_are_read_as_they_lie(aws):
    lake, raw = aws.bucket(), aws.bucket()
    stores = Stores(lambda s: getattr(aws, s), {"LakeBucket": lake, "QuarantineBucket": raw}, "r")

    def put(bucket, key, *documents):
        body = "".join(json.dumps(d) + "\n" for d in documents)
        aws.s3.put_object(Bucket=bucket, Key=key, Body=body.encode())

    def text(line):
        return base64.b64encode(line).decode()

    put(lake, "cleansed/r/_published/a.json", {"unit": "a", "decision": "published"})
    put(lake, "cleansed/r/_published/b.json", {"unit": "b", "decision": "refused"})
    put(lake, "cleansed/r/_published/c.json", {"unit": "c", "decision": "published", "replaces": ["a"]})
    assert [u["unit"] for u in stores.units()] == ["c"]
    line = b'{"transaction_id":"t-9"}'
    put(raw, "quarantine/r/date=2026-01-01/x.jsonl", {"payload": text(line)}, {"payload": text(line)})
    assert stores.quarantined("quarantine/r/date=") == {"t-9"}
    put(lake, "failed/processing-failed/x", {"rawData": text(line)})
    assert stores.failed() == {"t-9"}
    event = {"Records": [{"kinesis": {"data": text(line)}}]}
    put(raw, "aws/lambda/u/s/2026/01/01/x", {"payload": json.dumps(event)})
    assert stores.dead_lettered() == {"t-9"}


def test_a_curated_row_and_its_record_are_known_by_the_same(aws):
    lake = aws.bucket()
    stores = Stores(lambda s: getattr(aws, s), {"LakeBucket": lake}, "r")

    def put(key, **columns):
        body = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table(columns), body)
        aws.s3.put_object(Bucket=lake, Key=key, Body=body.getvalue())

    times = pyarrow.array([1_767_225_600_123_456, 1_767_225_660_000_000], pyarrow.timestamp("us", "UTC"))
    curated = "curated/r/run=one/name={}/bucket=0000/part.parquet"
    put(curated.format("candidate"), customer_id=["a", "b"], event_time=times, _state_hash=["s", "s"])
    put(curated.format("serving"), customer_id=["c", "d"], event_time=times, _state_hash=["s", "s"])
    assert stores.offline() == set()
    record = {"customer_id": ["a"], "event_time": ["2026-01-01T00:00:00.123Z"], "state_hash": ["s"]}
    put("curated/feature-store/data/year=2026/x.parquet", **record)
    assert len(stores.curated("one")) == 2 and stores.curated("two") == set()
    assert stores.offline() < stores.curated("one")
