"""A crawler makes tables of what lies in S3."""

import io
import json
import uuid

import pyarrow
import pyarrow.parquet
import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::000000000000:role/test"


class Crawls:
    """A database, a bucket, and crawlers of both."""

    def __init__(self, aws, until):
        self.aws, self.until, self.bucket = aws, until, aws.bucket()
        self.database = f"test_{uuid.uuid4().hex[:8]}"
        aws.glue.create_database(DatabaseInput={"Name": self.database})

    def put(self, key: str, table: pyarrow.Table) -> None:
        body = io.BytesIO()
        pyarrow.parquet.write_table(table, body)
        self.aws.s3.put_object(Bucket=self.bucket, Key=key, Body=body.getvalue())

    def make(self, prefix: str, **more) -> str:
        name = f"test-{uuid.uuid4().hex[:8]}"
        self.aws.glue.create_crawler(
            Name=name,
            Role=ROLE,
            DatabaseName=self.database,
            Targets={"S3Targets": [{"Path": f"s3://{self.bucket}/{prefix}"}]},
            **more,
        )
        return name

    def crawl(self, name: str) -> dict:
        self.aws.glue.start_crawler(Name=name)

        def ready():
            crawler = self.aws.glue.get_crawler(Name=name)["Crawler"]
            return crawler if crawler["State"] == "READY" else None

        return self.until(ready)["LastCrawl"]

    def table(self, name: str) -> dict:
        return self.aws.glue.get_table(DatabaseName=self.database, Name=name)["Table"]

    def columns(self, name: str) -> dict[str, str]:
        return {c["Name"]: c["Type"] for c in self.table(name)["StorageDescriptor"]["Columns"]}


@pytest.fixture
def crawls(aws, until):
    return Crawls(aws, until)


def test_parquet_becomes_a_table_with_partitions(aws, crawls):
    rows = pyarrow.table(
        {
            "Customer": ["c1"],
            "amount": [1.5],
            "count": pyarrow.array([1], pyarrow.int64()),
            "at": pyarrow.array([1], pyarrow.timestamp("us", tz="UTC")),
            "tags": [["a"]],
        }
    )
    for day in ("2026-01-01", "2026-01-02"):
        crawls.put(f"cleansed/card-transactions/date={day}/bucket=00/part.parquet", rows)
    aws.s3.put_object(
        Bucket=crawls.bucket, Key="cleansed/card-transactions/_published/unit.json", Body=b"{}"
    )
    name = crawls.make("cleansed/card-transactions/")
    assert crawls.crawl(name)["Status"] == "SUCCEEDED"
    assert crawls.columns("card_transactions") == {
        "customer": "string",
        "amount": "double",
        "count": "bigint",
        "at": "timestamp",
        "tags": "array<string>",
    }
    table = crawls.table("card_transactions")
    assert [k["Name"] for k in table["PartitionKeys"]] == ["date", "bucket"]
    assert table["Parameters"]["classification"] == "parquet"

    def partitions():
        found = aws.glue.get_partitions(DatabaseName=crawls.database, TableName="card_transactions")
        return {tuple(p["Values"]): p["StorageDescriptor"]["Location"] for p in found["Partitions"]}

    folder = f"s3://{crawls.bucket}/cleansed/card-transactions"
    assert partitions()["2026-01-01", "00"] == f"{folder}/date=2026-01-01/bucket=00/"
    crawls.put(
        "cleansed/card-transactions/date=2026-01-03/bucket=01/part.parquet",
        rows.append_column("new", [[1]]),
    )
    assert crawls.crawl(name)["Status"] == "SUCCEEDED"
    assert len(partitions()) == 3 and crawls.columns("card_transactions")["new"] == "bigint"


def test_json_lines_become_a_table(aws, crawls):
    lines = [
        {"id": "a", "n": 1, "x": None},
        {"id": "b", "n": 1.5, "x": {"y": True}},
        {"id": 3, "n": 2**40},
    ]
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    aws.s3.put_object(Bucket=crawls.bucket, Key="landing/a.jsonl", Body=body)
    assert crawls.crawl(crawls.make("landing", TablePrefix="raw_"))["Status"] == "SUCCEEDED"
    assert crawls.columns("raw_landing") == {
        "id": "string",
        "n": "double",
        "x": "struct<y:boolean>",
    }


def test_a_policy_of_log_changes_no_table(crawls):
    crawls.put("t/a.parquet", pyarrow.table({"a": [1]}))
    name = crawls.make("t/", SchemaChangePolicy={"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"})
    crawls.crawl(name)
    crawls.put("t/b.parquet", pyarrow.table({"a": [1], "b": [2]}))
    assert crawls.crawl(name)["Status"] == "SUCCEEDED"
    assert crawls.columns("t") == {"a": "bigint"}


def test_a_crawl_that_cannot_be_done_says_why(aws, crawls):
    aws.s3.put_object(Bucket=crawls.bucket, Key="mixed/a.parquet", Body=b"no Parquet")
    last = crawls.crawl(crawls.make("mixed/"))
    assert last["Status"] == "FAILED" and last["ErrorMessage"]
    with pytest.raises(ClientError, match="EntityNotFoundException"):
        aws.glue.start_crawler(Name="test-none")
