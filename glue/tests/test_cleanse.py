"""cleanse.py in real Spark, on files."""

import gzip
import io
import json
import os
import subprocess
import sys

import pyarrow as pa
import pytest
from conftest import GLUE, event

import cleanse


def lines_of(data: bytes):
    return [(line.number, line.data, line.damage is not None) for line in cleanse.lines(io.BufferedReader(io.BytesIO(data)))]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", []),
        (b"a", [(0, b"a", False)]),
        (b"a\r\nb\n\nc", [(0, b"a", False), (1, b"b", False), (2, b"", False), (3, b"c", False)]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", [(0, b"a", False), (1, b"\xef\xbb\xbfb", False)]),
        (gzip.compress(b"a\nb\n"), [(0, b"a", False), (1, b"b", False)]),
        (gzip.compress(b"a\n") + gzip.compress(b"b\n"), [(0, b"a", False), (1, b"b", False)]),
        (b"\x1f\x8b garbage", [(0, b"", True)]),
    ],
)
def test_lines_keep_their_numbers(data, found):
    assert lines_of(data) == found


def test_a_long_line_is_cut_and_the_next_keeps_its_number():
    long = b"x" * (5 << 20)
    found = lines_of(b"a\n" + long + b"\nb\n")
    assert [(number, len(data)) for number, data, _ in found] == [(0, 1), (1, cleanse.LINE_MAX + 2), (2, 1)]


def test_what_is_cut_off_ends_the_object_after_its_good_lines():
    data = gzip.compress(b"".join(b"%d\n" % n for n in range(100_000)))
    found = lines_of(data[: len(data) // 2])
    assert found[-1][2] and not any(damaged for _, _, damaged in found[:-1])
    assert [number for number, _, _ in found] == list(range(len(found)))


def test_runs():
    assert list(cleanse.runs("aabca")) == [("a", 2), ("b", 1), ("c", 1), ("a", 1)]
    assert list(cleanse.runs("")) == []


def test_a_conditional_put_is_done_once(tmp_path):
    store, url = cleanse.Store(), f"file:{tmp_path}/a/b.json"
    assert store.put_new(url, b"1") and not store.put_new(url, b"2")
    assert store.read(url) == b"1" and os.listdir(tmp_path / "a") == ["b.json"]
    assert store.read(f"file:{tmp_path}/none") is None


def test_a_key_does_not_lead_out_of_its_folder(tmp_path):
    (tmp_path / "secret").write_text("x")
    with pytest.raises(cleanse.Failed, match="leads out"):
        with cleanse.Store().landed({"bucket": f"file:{tmp_path}/lake", "key": "../secret"}):
            pass


def test_arguments_of_glue_are_let_through():
    given = ["--leat-manifest", "m", "--leat-recipe", "r", "--leat-cleansed", "c", "--leat-quarantine", "q", "--JOB_ID", "j"]
    assert cleanse.parse(given).buckets == 16
    with pytest.raises(SystemExit):
        cleanse.parse(given[2:])


def test_a_manifest_becomes_a_unit(spark, lake):
    good = [event(number) for number in range(100)]
    bad = [b"{", event(200, amount=-1), event(201, customer_id=None), b"\xff"]
    objects = [
        lake.land("landing/a b.jsonl", b"\n".join(good[:50] + bad[:2]) + b"\n"),
        lake.land("landing/b.jsonl.gz", gzip.compress(b"\r\n".join(good[50:] + [b"", *bad[2:]]))),
        lake.land("landing/empty.jsonl", b""),
        lake.land("landing/cut.gz", gzip.compress(event(300))[:-12]),
    ]
    cleanse.main(lake.manifest("u1", *objects))
    decision = lake.decision("u1")
    assert (decision["leat"], decision["unit"], decision["decision"], decision["replaces"]) == (1, "u1", "published", [])
    assert decision["counts"] == {"received": 105, "written": 100, "dropped": 0, "quarantined": 5}
    assert len(decision["recipe_hash"]) == 64
    rows = lake.rows("u1")
    assert {row["transaction_id"] for row in rows} == {f"t-{number}" for number in range(100)}
    by_id = {row["transaction_id"]: row for row in rows}
    assert (by_id["t-3"]["amount"], by_id["t-3"]["_line"], by_id["t-53"]["_line"]) == (4.6, 3, 3)
    assert by_id["t-53"]["_source"] == f"file:{lake.root}/landing/b.jsonl.gz"
    for row in rows:
        date, bucket, unit, _ = row["path"].split("/")
        assert date == f"date={row['event_time']:%Y-%m-%d}" and unit == "unit=u1" and bucket in [f"bucket=0{n}" for n in range(4)]
    # One entity lies in one bucket.
    assert len({(row["customer_id"], row["path"].split("/")[1]) for row in rows}) == 7
    found = lake.quarantined("u1")
    assert sorted((q["line"], q["rule"]) for q in found)[0] == (0, "gzip")
    assert sorted(q["line"] for q in found) == [0, 50, 51, 51, 52]
    assert sum(decision["quarantine"]["rules"].values()) == 5
    assert all(set(q) == {"source", "shard", "sequence", "sub", "line", "arrival", "rule", "reason", "payload"} for q in found)

    # Again: the unit is decided, and nothing is done.
    files = sorted((lake.root / "cleansed").rglob("*"))
    cleanse.main(lake.manifest("u1", *objects))
    assert sorted((lake.root / "cleansed").rglob("*")) == files


def test_a_run_that_died_leaves_nothing_that_is_read(spark, lake, monkeypatch):
    words = lake.manifest("u2", lake.land("landing/a.jsonl", b"\n".join(map(event, range(20)))))
    monkeypatch.setattr(cleanse, "decide", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        cleanse.main(words)
    monkeypatch.undo()
    orphans = set((lake.root / "cleansed").rglob("*.parquet"))
    assert orphans and not (lake.root / "cleansed/cards/_published").exists()
    cleanse.main(words)
    listed = {lake.root / "cleansed/cards" / file["path"] for file in lake.decision("u2")["files"]}
    assert not listed & orphans and len(lake.rows("u2")) == 20


def test_sentinels_are_named_and_dropped(spark, lake):
    mark = b'{"_leat_sentinel":"h-1"}'
    words = lake.manifest("u4", lake.land("landing/a.jsonl", b"\n".join([event(1), mark, b"{", mark]), trusted=True))
    cleanse.main(words)
    decision = lake.decision("u4")
    assert decision["counts"] == {"received": 4, "written": 1, "dropped": 2, "quarantined": 1}
    assert decision["sentinels"] == ["h-1/"] and len(lake.rows("u4")) == 1
    # A quiet hour: no data, and nothing to judge.
    cleanse.main(lake.manifest("u5", lake.land("landing/b.jsonl", mark, trusted=True)))
    decision = lake.decision("u5")
    assert (decision["decision"], decision["files"], decision["sentinels"]) == ("published", [], ["h-1/"])
    record = decision["verdict"]
    assert {rule["outcome"] for rule in record["outcomes"]} == {"Skipped"} and (record["score"], record["dropped_by"]) == (None, {"sentinel": 1})
    assert all("no event came" in rule["reason"] for rule in record["outcomes"])


def test_a_rule_halts(spark, lake):
    words = lake.manifest("u3", lake.land("landing/a.jsonl", b"{\n{\n"))
    with pytest.raises(cleanse.Failed, match=r"^DataQuality\.Failed: unit u3 is refused by 1 rule\(s\): RowCount > 0: .*Dataset\.\*\.RowCount = 0\.0, threshold > 0\); every row was rejected: 2 by `decode`$"):
        cleanse.main(words)
    decision = lake.decision("u3")
    assert (decision["decision"], decision["files"], decision["counts"]["quarantined"]) == ("refused", [], 2)
    record = decision["verdict"]
    assert (record["decision"], record["passed"], record["run"], record["dataset"]) == ("halt", False, "u3", "cards")
    assert record["now"] == "2026-01-01T00:00:00Z" and record["counts"] == {"dropped": 0, "kept": 0, "read": 2, "rejected": 2}
    (failed,) = [rule for rule in record["outcomes"] if rule["outcome"] == "Failed"]
    assert (failed["rule"], failed["action"], failed["threshold"], failed["metrics"]) == ("RowCount > 0", "halt", "> 0", {"Dataset.*.RowCount": 0.0})
    assert [place["line"] for place in record["rejects"]["decode"]["samples"]] == [1, 2] and record["rejects"]["decode"]["reason"]


def test_the_record_of_a_unit(spark, lake):
    bad = [event(n, amount=-1) for n in range(7)]
    objects = [lake.land("landing/b.jsonl", b"\n".join(bad[:3])), lake.land("landing/a.jsonl", b"\n".join([event(9), *bad[3:]]))]
    cleanse.main(lake.manifest("u7", *objects))
    record = lake.decision("u7")["verdict"]
    # A rule that puts rows into quarantine does not hold, and nothing is halted.
    assert (record["decision"], record["passed"], record["rows"], record["rejected"]) == ("proceed", False, 1, 7)
    (rule,) = [found for found in record["outcomes"] if found["outcome"] == "Failed"]
    assert 'ColumnValues "amount" > 0' in rule["rule"] and (rule["action"], rule["failed_rows"]) == ("quarantine", 7)
    root = f"file:{lake.root}/landing"
    assert rule["samples"] == [{"source": f"{root}/a.jsonl", "line": n} for n in (2, 3, 4, 5)] + [{"source": f"{root}/b.jsonl", "line": 1}]


def test_rejected_rows_are_the_same_however_they_come():
    import itertools

    rows = [("r", "s", n, json.dumps({"reason": f"why {n}"})) for n in (8, 2, 5, 1, 9, 3, 7)]
    wanted = {"count": 7, "reason": "why 1", "samples": [{"source": "s", "line": n + 1} for n in (1, 2, 3, 5, 7)]}
    for some in itertools.islice(itertools.permutations(rows), 0, 5040, 97):
        whole, parts = cleanse.Rejected(), [cleanse.Rejected(), cleanse.Rejected()]
        for number, row in enumerate(some):
            parts[number % 2].add(*row)
        for part in parts:
            whole.merge(part.rules)
        assert whole.rules == {"r": wanted}


def test_many_rules_are_cut_short():
    outcome = {"verdict": {"halted_by": [f"rule {n}" for n in range(23)]}, "counts": {"quarantined": 0, "written": 1}, "quarantine": {"rules": {}}}
    why = cleanse.why_refused("u", outcome)
    assert "by 23 rule(s)" in why and why.endswith("rule 19; 3 more")


def test_the_first_decision_stands(spark, lake):
    words = lake.manifest("u4", lake.land("landing/a.jsonl", event(1)))
    setting = cleanse.settings(cleanse.Store(), cleanse.parse(words), {"id": "u4"})
    split = json.dumps({"leat": 1, "unit": "u4", "decision": "split"}).encode()
    assert cleanse.Store().put_new(f"{setting.cleansed}/_published/u4.json", split)
    outcome = {"verdict": {"decision": "proceed"}, "files": []}
    assert cleanse.decide(cleanse.Store(), setting, outcome) == "split"


def test_as_glue_runs_it(lake):
    """The script itself, as a process of its own; then with a wrong recipe."""
    words = lake.manifest("u5", lake.land("landing/a.jsonl", b"\n".join(map(event, range(10)))))

    def run(words):
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run(
            [sys.executable, str(GLUE / "cleanse.py"), *words], env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    done = run(words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["decision"] == "published"
    assert len(lake.rows("u5")) == 10

    recipe = lake.root / "recipe.yaml"
    recipe.write_text("leat: 1\nname: x\nshema: {}\n")
    wrong = [f"--leat-recipe=file:{recipe}" if word.startswith("--leat-recipe") else word for word in words]
    failed = run(wrong)
    assert failed.returncode == 1 and "Recipe.Invalid" in failed.stderr and "schema" in failed.stderr


def test_schema_is_what_the_engine_says(spark, lake):
    words = lake.manifest("u6", lake.land("landing/a.jsonl", event(1)))
    cleanse.main(words)
    import pyarrow.parquet as pq

    file = lake.root / "cleansed/cards" / lake.decision("u6")["files"][0]["path"]
    setting = cleanse.settings(cleanse.Store(), cleanse.parse(words), {"id": "u6"})
    schema = cleanse.engine(setting, cleanse.Store()).schema
    assert pq.read_schema(file).remove_metadata().equals(schema)
    assert schema.field("event_time").type == pa.timestamp("us", "UTC")
