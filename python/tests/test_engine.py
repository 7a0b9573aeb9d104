"""The wheel: Arrow in, Arrow out, and no line raises anything."""

import base64
import json
import random
from pathlib import Path

import pyarrow as pa
import pytest

import leat

ROOT = Path(__file__).resolve().parents[2]
RECIPE = (ROOT / "recipes/card-transactions/recipe.yaml").read_text()
RULES = (ROOT / "recipes/card-transactions/quality.dqdl").read_text()
SECRET = b"0123456789abcdef0123456789abcdef"
GOOD = {
    "transaction_id": "t-1", "customer_id": "c-1", "event_time": "2026-01-01T23:59:59.5+00:00", "card_number": "4111111111111111",
    "amount": 12.5, "customer_age": 40, "channel": "web", "merchant_id": "m-1", "merchant_category": "books", "country": "DE",
    "is_fraud": 0, "extra": [1, {"a": None}],
}


@pytest.fixture(scope="module")
def engine():
    return leat.Engine(RECIPE, rules=RULES, secret=SECRET)


def lines(*data, trusted=False, damage=None, kind="binary"):
    count = len(data)
    return pa.RecordBatch.from_pydict(
        {
            "source": pa.array(["s3://b/k"] * count, "string"),
            "line": pa.array(range(7, 7 + count), "int64"),
            "data": pa.array(data, kind),
            "trusted": pa.array([trusted] * count, "bool"),
            "damage": pa.array(damage or [None] * count, "string"),
        }
    )


def line(**changes):
    return json.dumps({**GOOD, **changes}).encode()


def test_a_good_line_is_a_typed_row(engine):
    rows = engine.cleanse(lines(line()), 16)
    assert rows.schema.names == engine.schema.names + ["_date", "_bucket", "_rule", "_quarantine", "_sentinel"]
    row = rows.to_pylist()[0]
    assert (row["transaction_id"], row["amount"], row["customer_age"]) == ("t-1", 12.5, 40)
    assert row["event_time"].isoformat() == "2026-01-01T23:59:59.500000+00:00"
    assert row["card_number"].startswith("t1_") and GOOD["card_number"] not in str(row)
    assert json.loads(row["_protected"])["card_number"]["method"] == "tokenize"
    assert json.loads(row["_unknown"]) == {"extra": [1, {"a": None}]}
    assert json.loads(row["_verdict"])["failed"] == []
    assert (row["_source"], row["_line"], row["_shard"], row["_arrival"]) == ("s3://b/k", 7, "", None)
    assert row["_date"] == "2026-01-01" and 0 <= row["_bucket"] < 16
    assert row["_rule"] is None and row["_quarantine"] is None and row["_sentinel"] is None


def test_text_is_taken_as_bytes_are(engine):
    text = engine.cleanse(lines(line().decode(), kind="string"), 16)
    assert text.equals(engine.cleanse(lines(line()), 16))


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"{", "decode"),
        (b"\xff\xfe", "decode"),
        (b'{"transaction_id": "t"}', "required"),
        (line(amount="much"), "type"),
        (line(customer_id=None), "required"),
        (line(amount=-1), 'ColumnValues "amount" > 0'),
        (line(channel="fax"), 'ColumnValues "channel" in'),
        (line(country="x" * (2 << 20)), "oversize"),
    ],
)
def test_what_cannot_go_on_is_a_quarantine_line(engine, data, rule):
    rows = engine.cleanse(lines(line(), data, line(transaction_id="t-2")), 16)
    assert rows.num_rows == 3
    good, bad = rows.slice(0, 2), rows.slice(2).to_pylist()[0]
    assert good["transaction_id"].to_pylist() == ["t-1", "t-2"]  # its neighbours are unharmed
    assert rule in bad["_rule"]
    found = json.loads(bad["_quarantine"])
    assert (found["source"], found["line"], found["rule"]) == ("s3://b/k", 8, bad["_rule"])
    assert data.startswith(base64.b64decode(found["payload"])[:1000])
    assert bad["transaction_id"] is None and bad["_date"] is None


def test_damage_is_a_quarantine_line(engine):
    rows = engine.cleanse(lines(line(), b"", damage=[None, "cut off"]), 16).to_pylist()
    assert [row["_rule"] for row in rows] == [None, "gzip"]
    assert json.loads(rows[1]["_quarantine"])["reason"] == "cut off"


def test_a_sentinel_is_no_row_and_no_reject(engine):
    rows = engine.cleanse(lines(b'{"_leat_sentinel":"h-1"}', b"{", line(), trusted=True), 16).to_pylist()
    assert [row["_rule"] for row in rows] == [None, "decode", "sentinel"]
    assert [row["_sentinel"] for row in rows] == [None, None, "h-1/"]
    assert rows[2]["_quarantine"] is None and rows[2]["_date"] is None and rows[2]["_line"] == 7


def test_blank_lines_are_nothing(engine):
    assert engine.cleanse(lines(b"", b" \t\r", line()), 16).num_rows == 1


def test_a_forged_tag_is_an_unknown_field_or_refused(engine):
    forged = line(_leat={"v": 1, "source": "s", "shard": "x", "seq": "1", "mac": "0" * 32})
    row = engine.cleanse(lines(forged), 16).to_pylist()[0]
    assert row["_shard"] == "" and "_leat_untrusted" in json.loads(row["_unknown"])
    refused = engine.cleanse(lines(forged, trusted=True), 16).to_pylist()[0]  # its code does not vouch for it
    assert refused["_rule"] is not None and refused["transaction_id"] is None


def test_no_bytes_raise(engine):
    dice = random.Random(7)
    for _ in range(50):
        some = []
        for _ in range(40):
            data = bytearray(line())
            for _ in range(dice.randrange(1, 6)):
                data[dice.randrange(len(data))] = dice.randrange(256)
            some.append(bytes(data[: dice.randrange(len(data) + 1)]))
        rows = engine.cleanse(lines(*some), 16)
        blank = sum(not data.strip(b" \t\n\r\x0c") for data in some)
        assert rows.num_rows == len(some) - blank


def test_data_set_rules_are_judged_in_parts(engine):
    rows = engine.cleanse(lines(line(), line(transaction_id="t-2")), 16).select(engine.schema.names)
    verdict = json.loads(engine.verdict([engine.measure(rows.slice(0, 1)), engine.measure(rows.slice(1))]))
    assert (verdict["decision"], verdict["rows"], verdict["measured"]["Dataset.*.RowCount"]) == ("proceed", 2, 2.0)
    assert [o["outcome"] for o in verdict["outcomes"] if o["rule"] == "RowCount > 0"] == ["Passed"]
    assert json.loads(engine.verdict([]))["decision"] == "halt"
    warned = leat.Engine(RECIPE, rules='Rules = [ RowCount > 9 labels=["action"="warn"] ]', secret=SECRET)
    verdict = json.loads(warned.verdict([]))
    assert (verdict["decision"], verdict["passed"]) == ("proceed", False)


def test_the_record_says_where_rows_stand_that_fail():
    rules = 'Rules = [ Completeness "amount" > 0.9, RowCount > avg(last(3)), ColumnValues "event_time" <= now() with threshold > 0.5 ]'
    with pytest.raises(ValueError, match="now"):
        leat.Engine(RECIPE, rules=rules, secret=SECRET)
    rules = rules.replace(', ColumnValues "event_time" <= now() with threshold > 0.5', "")
    engine = leat.Engine(RECIPE, rules=rules, secret=SECRET, now="2026-01-02T00:00:00Z")
    with pytest.raises(ValueError, match="RFC 3339"):
        leat.Engine(RECIPE, secret=SECRET, now="today")
    rows = engine.cleanse(lines(line(), line(amount=None), line(amount=None)), 16).select(engine.schema.names)
    record = json.loads(engine.verdict([engine.measure(rows)], dataset="cards", run="u1"))
    assert (record["dataset"], record["run"], record["now"]) == ("cards", "u1", "2026-01-02T00:00:00Z")
    incomplete, dynamic = record["outcomes"]
    assert (incomplete["outcome"], incomplete["threshold"]) == ("Failed", "> 0.9")
    assert [place["source"] for place in incomplete["samples"]] == ["s3://b/k"] * 2
    assert (dynamic["outcome"], record["decision"]) == ("Skipped", "halt") and "earlier runs" in dynamic["reason"]
    assert len(record["halted_by"]) == 1 and "threshold > 0.9" in record["halted_by"][0]


def test_a_row_rule_that_halts_halts_and_one_that_warns_rejects_nothing():
    rule = 'ColumnValues "amount" > 1000000 labels = ["action" = "{}"]'
    for action, rejects, passed in [("quarantine", 1, True), ("halt", 1, False), ("warn", 0, True)]:
        engine = leat.Engine(RECIPE, rules=f"Rules = [ {rule.format(action)} ]", secret=SECRET)
        (row,) = engine.cleanse(lines(line()), 16).to_pylist()
        assert (row["_rule"] == rule.format(action)) == (rejects == 1)
        rejected = {rule.format(action): {"count": rejects, "reason": "r", "samples": [{"source": "s3://b/k", "line": 8}]}} if rejects else {}
        rows = engine.cleanse(lines(line()), 16).select(engine.schema.names)
        parts = [] if rejects else [engine.measure(rows)]
        verdict = json.loads(engine.verdict(parts, json.dumps(rejected)))
        (found,) = verdict["outcomes"]
        assert (found["outcome"], found["action"], found["failed_rows"]) == ("Failed", action, 1)
        assert verdict["decision"] == ("proceed" if passed else "halt")
        if action == "warn":
            assert json.loads(row["_verdict"])["warned"] == [rule.format(action)]


def test_errors_say_where_and_all_at_once():
    with pytest.raises(ValueError) as raised:
        leat.Engine(RECIPE.replace("standard_scale", "standart_scale").replace("type: double", "type: dubble"), recipe_file="r.yaml", rules=RULES, secret=SECRET)
    text = str(raised.value)
    assert "r.yaml:" in text and "standard_scale" in text and "dubble" in text and "^" in text
    with pytest.raises(ValueError, match="secret"):
        leat.Engine(RECIPE, rules=RULES)
    with pytest.raises(ValueError, match="32"):
        leat.Engine(RECIPE, rules=RULES, secret=b"short")
    with pytest.raises(ValueError, match="`data`"):
        leat.Engine(RECIPE, rules=RULES, secret=SECRET).cleanse(lines(b"").drop_columns(["data"]), 1)


def test_the_ruleset_lies_beside_the_recipe():
    assert leat.quality_file(RECIPE) == "quality.dqdl"
    assert len(leat.Engine(RECIPE, rules=RULES, secret=SECRET).hash) == 64
