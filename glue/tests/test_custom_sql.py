"""`CustomSql` by Spark's SQL, as cleanse.py asks it before it decides about a unit."""

import json
import os

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from conftest import GLUE, event

import cleanse

CASE = GLUE.parent / "tests/custom_sql"
RECIPE = (GLUE.parent / "recipes/card-transactions/recipe.yaml").read_text()


def ruled(lake, words: list[str], rules: str, recipe: str = RECIPE) -> list[str]:
    """The run of `words`, with a ruleset of its own."""
    folder = lake.root / "recipe"
    folder.mkdir(exist_ok=True)
    (folder / "recipe.yaml").write_text(recipe)
    (folder / "quality.dqdl").write_text(rules)
    (folder / "rules.dqdl").write_text(rules)
    return [f"--leat-recipe=file:{folder}/recipe.yaml" if word.startswith("--leat-recipe") else word for word in words]


def value_of(outcome: dict) -> float | None:
    names = ("Dataset.*.CustomSQL", "Dataset.*.CustomSQL.Compliance")
    return next((outcome["metrics"][name] for name in names if name in outcome["metrics"]), None)


def test_the_case_of_both_engines(spark, lake):
    regions = pyarrow.csv.read_csv(CASE / "regions.csv", convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True))
    pa.parquet.write_table(regions, lake.root / "regions.parquet")
    words = lake.manifest("s1", lake.land("landing/a.jsonl", (CASE / "rows.jsonl").read_bytes()))
    words = ruled(lake, words, (CASE / "rules.dqdl").read_text(), (CASE / "recipe.yaml").read_text())
    words.append(f"--leat-references=regions=file:{lake.root}/regions.parquet")
    with pytest.raises(cleanse.Failed, match=r"^DataQuality\.Failed: unit s1 is refused by 14 rule\(s\)"):
        cleanse.main(words)
    record = lake.decision("s1")["verdict"]
    found = [
        {"outcome": o["outcome"], "reason": o.get("reason"), "value": value_of(o), "passed_rows": o.get("passed_rows"), "failed_rows": o.get("failed_rows")}
        for o in record["outcomes"]
    ]
    expected = [json.loads(line) for line in (CASE / "expected.jsonl").read_text().splitlines()]
    for outcome, one, other in zip(record["outcomes"], found, expected, strict=True):
        assert one == other, outcome["rule"]
    assert record["analyzers"]["Dataset.*.CustomSQL"] == 20.25
    # What later runs ask for: each query's value under a name of its own.
    assert sum(name.endswith(".CustomSQL") for name in record["measured"]) > 10


def test_queries_see_rows_as_they_are_published(spark, lake):
    lines = [event(1), event(2, card_number="4000"), event(3, amount=-1), event(4), b"{"]
    rules = """Rules = [
        ColumnValues "amount" > 0,
        CustomSql "select count(*) from primary" = 3,
        CustomSql "select count(*) from primary where card_number in ('4000', '4000000000000001')" = 0,
        CustomSql "select count(distinct card_number) from primary" = 3,
        CustomSql "select transaction_id from primary where amount < 3" labels = ["action" = "warn"]
    ]"""
    words = ruled(lake, lake.manifest("s2", lake.land("landing/a.jsonl", b"\n".join(lines))), rules)
    cleanse.main(words)
    decision = lake.decision("s2")
    assert (decision["decision"], decision["counts"]["written"], decision["counts"]["quarantined"]) == ("published", 3, 2)
    outcomes = decision["verdict"]["outcomes"]
    assert [o["outcome"] for o in outcomes] == ["Failed", "Passed", "Passed", "Passed", "Failed"]
    assert (outcomes[4]["failed_rows"], outcomes[4]["action"], decision["verdict"]["passed"]) == (2, "warn", False)
    assert spark.catalog.listTables() == [] and len(lake.rows("s2")) == 3


def test_a_query_halts_a_unit_and_sentinels_ask_none(spark, lake):
    rules = 'Rules = [ CustomSql "select count(*) from primary" > 1 ]'
    words = ruled(lake, lake.manifest("s3", lake.land("landing/a.jsonl", event(1))), rules)
    with pytest.raises(cleanse.Failed, match=r"^DataQuality\.Failed: unit s3 .*Dataset\.\*\.CustomSQL = 1\.0.*threshold > 1"):
        cleanse.main(words)
    assert lake.decision("s3")["decision"] == "refused"
    quiet = lake.land("landing/b.jsonl", b'{"_leat_sentinel":"h-1"}', trusted=True)
    cleanse.main(ruled(lake, lake.manifest("s4", quiet), rules))
    decision = lake.decision("s4")
    assert decision["decision"] == "published" and decision["verdict"]["outcomes"][0]["outcome"] == "Skipped"


def test_what_spark_cannot_read_is_refused_before_anything_is_written(spark, lake):
    rules = f"""Rules = [
        CustomSql "select sum(amuont) from primary" > 0,
        RowCount > 0,
        CustomSql "select count(*) form primary" > 0,
        CustomSql "select count(*) from nowhere" > 0,
        CustomSql "select count(*) from parquet.`{lake.root}`" > 0
    ]"""
    words = ruled(lake, lake.manifest("s5", lake.land("landing/a.jsonl", event(1))), rules)
    with pytest.raises(cleanse.Failed) as refused:
        cleanse.main(words)
    word, *wrong = str(refused.value).split(f"file:{lake.root}/recipe/quality.dqdl:")
    assert word == "Recipe.Invalid: " and [why.split(":")[0] for why in wrong] == ["2", "4", "5", "6"], refused.value
    assert "`amuont`" in wrong[0] and '(rule `CustomSql "select sum(amuont) from primary" > 0`)' in wrong[0]
    assert "form" in wrong[1] and "nowhere" in wrong[2]
    assert "line" not in wrong[0] and "\n" not in str(refused.value)
    assert not (lake.root / "cleansed").exists() and not (lake.root / "quarantine").exists()
    # What does not read is refused by the engine, and changes nothing.
    for query, why in [("drop table primary", "begins with `select` or `with`"), ("select 1) as a, (select 2", "parenthesis")]:
        words = ruled(lake, words, f'Rules = [ CustomSql "{query}" > 0 ]')
        with pytest.raises(cleanse.Failed, match=rf"(?s)^Recipe\.Invalid: .*{why}"):
            cleanse.main(words)


def test_a_query_that_breaks_off_is_an_error_and_tells_no_value(spark, lake):
    rules = """DefaultLabels = [ "action" = "warn" ] Rules = [
        CustomSql "select sum(int(assert_true(amount > 2))) from primary" > 0,
        CustomSql "select sum(element_at(array(1), int(amount - amount))) from primary" > 0,
        CustomSql "select sum(amount) from primary" > 0 ]"""
    cleanse.main(ruled(lake, lake.manifest("s6", lake.land("landing/a.jsonl", event(1))), rules))
    outcomes = lake.decision("s6")["verdict"]["outcomes"]
    assert [(o["outcome"], o.get("reason")) for o in outcomes] == [
        ("Error", "the query failed: java.lang.RuntimeException"),
        ("Error", "the query failed: INVALID_INDEX_OF_ZERO"),
        ("Passed", None),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[A] no `x`. Did you mean `y`?; line 1 pos 7;\n'Project", "[A] no `x`. Did you mean `y`?"),
        ("\n[PARSE_SYNTAX_ERROR] at 'form'.(line 2, pos 16)\n\n== SQL ==", "[PARSE_SYNTAX_ERROR] at 'form'"),
        ("", "ValueError"),
    ],
)
def test_reasons(text, said):
    assert cleanse.reason(ValueError(text)) == said


def test_references_are_named_once():
    given = ["--leat-manifest", "m", "--leat-recipe", "r", "--leat-cleansed", "c", "--leat-quarantine", "q"]
    assert cleanse.parse(given).references == {}
    assert cleanse.parse([*given, "--leat-references", "a=s3://b/c,d=file:e"]).references == {"a": "s3://b/c", "d": "file:e"}
    for wrong in ("a", "=x", "a=", "primary=s3://b/c", "a=s3://b/c,A=s3://b/d", "a b=s3://b/c"):
        with pytest.raises(SystemExit):
            cleanse.parse([*given, "--leat-references", wrong])


def test_without_queries_nothing_is_asked(spark, lake, monkeypatch):
    monkeypatch.setattr(cleanse, "answer", lambda *_: pytest.fail("no query is there"))
    cleanse.main(lake.manifest("s7", lake.land("landing/a.jsonl", event(1))))
    assert lake.decision("s7")["decision"] == "published" and os.listdir(lake.root / "cleansed/cards/_published") == ["s7.json"]
