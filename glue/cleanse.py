"""cleanse: landing lines become typed Parquet, and what cannot go on goes to quarantine with its reason.

One run reads one manifest and makes one unit. Spark moves the lines; the wheel `leat` decides all that is decided about them,
with the same engine as every other path. The last thing a run does is one conditional put: the unit's fate, which is never
changed. Files that no published unit lists are never read, so that a run may die anywhere, or run twice at once.

It runs on AWS Glue 5 (Spark 3.5), and under plain PySpark with `file:` URLs:

    PYSPARK_PYTHON=python spark-submit cleanse.py --leat-manifest file:/tmp/lake/manifests/cards/1.json --leat-recipe file:recipe.yaml \
        --leat-keys file:secret --leat-cleansed file:/tmp/lake/cleansed/cards --leat-quarantine file:/tmp/lake/quarantine/cards
"""

from __future__ import annotations

import argparse
import functools
import gzip
import io
import json
import math
import operator
import os
import re
import shutil
import sys
import tempfile
import uuid
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import leat
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

LINE_MAX = 2 << 20  # one more byte is enough for the engine to see that a line is too long
BATCH_LINES = 10_000
BATCH_BYTES = 16 << 20
FILE_ROWS = 1_000_000
ROW_GROUP = 100_000
GZIP = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"
BLANKS = b" \t\n\r\x0c"  # as the engine has them
SAMPLES = 5  # of the rows that a rule rejects, the record names so many places
NAMED = 20  # and the last line of a run that is refused so many rules

LINES = pa.schema(
    [("source", "string"), ("line", "int64"), ("data", "binary"), ("trusted", "bool"), ("damage", "string")]
)
# What the two stages answer: an object that was read, with its lines; a sentinel; a file that was written.
FILES = "kind string, path string, rows bigint, bytes bigint, rules string, metrics string"


class Failed(Exception):
    """The run cannot go on; the first word is one of Leat's failure words."""


# ---------------------------------------------------------------- places: `s3://bucket/key` or `file:path`


def split(url: str) -> tuple[str, str] | None:
    """Bucket and key of an `s3://` URL; None for a file."""
    if url.startswith("s3://"):
        bucket, _, key = url[5:].partition("/")
        return bucket, key
    if url.startswith("file:"):
        return None
    raise Failed(f"Config.Invalid: `{url}` is neither s3://bucket/key nor file:path")


def path_of(url: str) -> str:
    path = url[len("file:"):]
    return os.path.abspath(path[2:] if path.startswith("//") else path)


def only_if_new(params, **_) -> None:
    params["headers"]["If-None-Match"] = "*"


class Store:
    """Reads and writes objects, and reads the secret. Each process makes its own: clients do not travel."""

    def __init__(self):
        self.clients = {}

    def client(self, service: str):
        if service not in self.clients:
            import boto3
            from botocore.config import Config

            config = Config(retries={"mode": "standard", "max_attempts": 6})
            self.clients[service] = boto3.client(service, config=config)
        return self.clients[service]

    def read(self, url: str) -> bytes | None:
        """The object, whole; None if there is none."""
        place = split(url)
        if place is None:
            try:
                with open(path_of(url), "rb") as file:
                    return file.read()
            except FileNotFoundError:
                return None
        s3 = self.client("s3")
        try:
            return s3.get_object(Bucket=place[0], Key=place[1])["Body"].read()
        except s3.exceptions.NoSuchKey:
            return None

    def needed(self, url: str, what: str) -> bytes:
        found = self.read(url)
        if found is None:
            raise Failed(f"Config.Invalid: {what} {url} does not exist")
        return found

    def put_new(self, url: str, data: bytes) -> bool:
        """Writes the object if nothing is there: one conditional put. False if something is, be it our own after a time-out."""
        place = split(url)
        if place is None:
            os.makedirs(os.path.dirname(path_of(url)), exist_ok=True)
            # Written aside and linked: a reader sees the whole or nothing, and the second link fails.
            scratch = f"{path_of(url)}.{uuid.uuid4().hex}"
            with open(scratch, "wb") as file:
                file.write(data)
            try:
                os.link(scratch, path_of(url))
                return True
            except FileExistsError:
                return False
            finally:
                os.unlink(scratch)
        from botocore.exceptions import ClientError

        s3 = self.client("s3")
        # As a header: Glue 5's botocore has no argument for it yet.
        s3.meta.events.register("before-call.s3.PutObject", only_if_new, unique_id="only-if-new")
        try:
            s3.put_object(Bucket=place[0], Key=place[1], Body=data, ContentType="application/json")
            return True
        except ClientError as why:
            # 409: another conditional put of the key was at work; the caller reads what stands.
            if why.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412):
                return False
            raise
        finally:
            s3.meta.events.unregister("before-call.s3.PutObject", unique_id="only-if-new")

    def put_file(self, url: str, path: str) -> None:
        place = split(url)
        if place is None:
            os.makedirs(os.path.dirname(path_of(url)), exist_ok=True)
            shutil.copyfile(path, path_of(url))
        else:
            self.client("s3").upload_file(path, *place)

    @contextmanager
    def landed(self, item: dict) -> Iterator[io.BufferedReader]:
        """The bytes that a manifest's object names: this version, or else this ETag."""
        if item["bucket"].startswith("file:"):
            root = path_of(item["bucket"])
            path = os.path.normpath(os.path.join(root, item["key"]))
            if os.path.commonpath([root, path]) != root:
                raise Failed("Input.Invalid: a key of the manifest leads out of its folder")
            with open(path, "rb") as file:
                yield file
            return
        which = {"VersionId": item["version"]} if item.get("version") else {"IfMatch": item["etag"]}
        body = self.client("s3").get_object(Bucket=item["bucket"], Key=item["key"], **which)["Body"]
        try:
            # botocore checks the length: a connection that breaks raises, and the task is tried again.
            yield io.BufferedReader(Raw(body), 1 << 20)
        finally:
            body.close()

    def secret(self, keys: str) -> bytes | None:
        """The secret as it was stored, byte for byte; None where no keys are named."""
        kind, _, name = keys.partition(":")
        if not keys:
            return None
        if kind == "secretsmanager" and name:
            value = self.client("secretsmanager").get_secret_value(SecretId=name)
            return value["SecretString"].encode() if "SecretString" in value else value["SecretBinary"]
        if kind == "file" and name:
            return self.needed(keys, "the key file")
        raise Failed("Config.Invalid: --leat-keys is `secretsmanager:<name or ARN>` or `file:<path>`")


class Raw(io.RawIOBase):
    """A body of botocore as a raw stream."""

    def __init__(self, body):
        self.body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        data = self.body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def source_of(item: dict) -> str:
    bucket = item["bucket"]
    return f"{bucket.rstrip('/')}/{item['key']}" if ":" in bucket else f"s3://{bucket}/{item['key']}"


# ---------------------------------------------------------------- first stage: lines to rows


class Line(NamedTuple):
    number: int
    data: bytes
    damage: str | None = None


def lines(stream: io.BufferedIOBase) -> Iterator[Line]:
    """The lines of an object, plain or gzip, with their numbers from 0. Of a line that is too long, as much as shows it. What is
    damaged ends the object, after the lines before it, as one line with the reason."""
    start = stream.peek(2)[:2] if hasattr(stream, "peek") else b""
    text = gzip.GzipFile(fileobj=stream) if start == GZIP else stream
    number, rest = 0, False
    while True:
        try:
            data = text.readline(LINE_MAX + 2)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            yield Line(number, b"", "the object begins as gzip and cannot be unpacked beyond this line: cut off or damaged")
            return
        if not data:
            return
        ends = data.endswith(b"\n")
        if not rest:
            if number == 0:
                data = data.removeprefix(BOM)
            yield Line(number, data.removesuffix(b"\n").removesuffix(b"\r"))
        rest = not ends
        number += ends


def batches(store: Store, items: Iterable[dict]) -> Iterator[tuple[pa.RecordBatch | None, str, int]]:
    """Batches of lines; after an object's last one (None, its source, how many of its lines are not blank)."""
    for item in items:
        source, trusted, count = source_of(item), bool(item["trusted"]), 0
        some, size = [], 0

        def batch() -> pa.RecordBatch:
            columns = [
                pa.array([source] * len(some), "string"),
                pa.array([line.number for line in some], "int64"),
                pa.array([line.data for line in some], "binary"),
                pa.array([trusted] * len(some), "bool"),
                pa.array([line.damage for line in some], "string"),
            ]
            return pa.RecordBatch.from_arrays(columns, schema=LINES)

        with store.landed(item) as stream:
            for line in lines(stream):
                if not line.data.strip(BLANKS) and line.damage is None:
                    continue
                some.append(line)
                size += len(line.data)
                count += 1
                if len(some) == BATCH_LINES or size > BATCH_BYTES:
                    yield batch(), source, 0
                    some, size = [], 0
        if some:
            yield batch(), source, 0
        yield None, source, count


class Setting(NamedTuple):
    """What the workers need. The secret is not in it: each worker reads it where it lies."""

    recipe: str
    recipe_url: str
    rules: str | None
    rules_url: str
    keys: str
    cleansed: str
    quarantine: str
    unit: str
    buckets: int
    dataset: str
    now: str | None  # the run's logical time: when its manifest was made
    references: dict[str, str]  # Parquet files that queries read, by alias


def engine(setting: Setting, store: Store) -> leat.Engine:
    try:
        return leat.Engine(
            setting.recipe,
            rules=setting.rules,
            secret=store.secret(setting.keys),
            recipe_file=setting.recipe_url,
            rules_file=setting.rules_url,
            now=setting.now,
        )
    except ValueError as why:
        raise Failed(f"Recipe.Invalid: {why}") from None


def rows_of(setting: Setting):
    """The first stage: manifest objects to rows. An object's last row says how many lines it had."""

    def run(parts: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        store = Store()
        made = engine(setting, store)
        for part in parts:
            for batch, source, count in batches(store, map(json.loads, part.column(0).to_pylist())):
                if batch is None:
                    yield object_row(made.schema, source, count)
                else:
                    rows = made.cleanse(batch, setting.buckets)
                    yield rows.append_column("_lines", pa.nulls(rows.num_rows, "int64"))

    return run


def object_row(schema: pa.Schema, source: str, count: int) -> pa.RecordBatch:
    known = {"_source": source, "_bucket": 0, "_lines": count}
    columns = [pa.array([known.get(field.name)], field.type) for field in with_added(schema)]
    return pa.RecordBatch.from_arrays(columns, schema=with_added(schema))


def with_added(schema: pa.Schema) -> pa.Schema:
    texts = [(name, "string") for name in ("_rule", "_quarantine", "_sentinel")]
    for name, kind in [("_date", "string"), ("_bucket", "int64"), *texts, ("_lines", "int64")]:
        schema = schema.append(pa.field(name, pa.type_for_alias(kind)))
    return schema


# ---------------------------------------------------------------- second stage: rows to files


class Rejected:
    """The rows that each rule rejected: how many, and of the first ones by object and line where they stand, and why."""

    def __init__(self):
        self.rules: dict[str, dict] = {}

    def add(self, rule: str, source: str, line: int, quarantined: str) -> None:
        found = self.rules.setdefault(rule, {"count": 0, "reason": "", "samples": []})
        found["count"] += 1
        place, samples = {"source": source, "line": line + 1}, found["samples"]
        if len(samples) == SAMPLES and placed(place) >= placed(samples[-1]):
            return
        samples.append(place)
        samples.sort(key=placed)
        del samples[SAMPLES:]
        if samples[0] is place:
            found["reason"] = json.loads(quarantined)["reason"]

    def merge(self, other: dict[str, dict]) -> None:
        for rule, found in other.items():
            known = self.rules.setdefault(rule, {"count": 0, "reason": "", "samples": []})
            known["count"] += found["count"]
            if not known["samples"] or placed(found["samples"][0]) < placed(known["samples"][0]):
                known["reason"] = found["reason"]
            known["samples"] = sorted(known["samples"] + found["samples"], key=placed)[:SAMPLES]


def placed(place: dict) -> tuple[str, int]:
    return place["source"], place["line"]


class Files:
    """Writes the rows of one task, which come ordered by date and bucket: a Parquet file for each pair, cut at a million rows,
    and one quarantine file. A task that runs twice writes files of other names: only what it answers is published."""

    def __init__(self, setting: Setting, scratch: str):
        self.setting, self.scratch, self.store = setting, scratch, Store()
        self.engine = engine(setting, self.store)
        self.schema = self.engine.schema
        self.open: tuple[str, int] | None = None
        self.writer: pq.ParquetWriter | None = None
        self.rows, self.metrics = 0, ""
        self.rejects, self.rejected = None, Rejected()

    def add(self, batch: pa.RecordBatch) -> Iterator[tuple]:
        table = pa.Table.from_batches([batch])
        for source, count in zip(
            *(table.filter(pc.is_valid(table["_lines"])).column(name).to_pylist() for name in ("_source", "_lines"))
        ):
            yield ("object", source, count, 0, None, None)
        for name in table["_sentinel"].drop_null().to_pylist():
            yield ("sentinel", name, 1, 0, None, None)
        self.reject(table.filter(pc.is_valid(table["_quarantine"])))
        good = table.filter(pc.is_valid(table["_date"]))
        pairs = zip(good["_date"].to_pylist(), good["_bucket"].to_pylist())
        start = 0
        for pair, length in runs(pairs):
            if pair != self.open or self.rows >= FILE_ROWS:
                yield from self.close()
                self.begin(pair)
            self.write(good.slice(start, length).select(self.schema.names).cast(self.schema))
            start += length

    def begin(self, pair: tuple[str, int]) -> None:
        self.open, self.rows, self.parts = pair, 0, []
        self.writer = pq.ParquetWriter(
            os.path.join(self.scratch, "part.parquet"), self.schema, compression="zstd", version="2.6"
        )

    def write(self, table: pa.Table) -> None:
        for batch in table.combine_chunks().to_batches():
            self.parts.append(self.engine.measure(batch))
        self.writer.write_table(table, row_group_size=ROW_GROUP)
        self.rows += table.num_rows

    def close(self) -> Iterator[tuple]:
        if self.writer is None:
            return
        self.writer.close()
        path = os.path.join(self.scratch, "part.parquet")
        date, bucket = self.open
        name = f"date={date}/bucket={bucket:02}/unit={self.setting.unit}/part-{uuid.uuid4().hex}.parquet"
        self.store.put_file(f"{self.setting.cleansed}/{name}", path)
        # From what was written, not from what was meant to be.
        rows, size = pq.read_metadata(path).num_rows, os.path.getsize(path)
        yield ("parquet", name, rows, size, None, json.dumps(self.parts))
        self.open, self.writer = None, None

    def reject(self, table: pa.Table) -> None:
        if table.num_rows and self.rejects is None:
            self.rejects = open(os.path.join(self.scratch, "part.jsonl"), "w", encoding="utf-8", newline="\n")
        columns = (table[name].to_pylist() for name in ("_quarantine", "_rule", "_source", "_line"))
        for quarantined, rule, source, line in zip(*columns):
            self.rejects.write(quarantined + "\n")
            self.rejected.add(rule, source, line, quarantined)

    def end(self) -> Iterator[tuple]:
        yield from self.close()
        if self.rejects is not None:
            self.rejects.close()
            name = f"unit={self.setting.unit}/part-{uuid.uuid4().hex}.jsonl"
            self.store.put_file(f"{self.setting.quarantine}/{name}", self.rejects.name)
            with open(self.rejects.name, "rb") as file:
                rows = sum(1 for _ in file)
            yield ("quarantine", name, rows, os.path.getsize(self.rejects.name), json.dumps(self.rejected.rules), None)


def runs(pairs: Iterable[tuple]) -> Iterator[tuple[tuple, int]]:
    """Equal neighbours as (value, how many)."""
    last, length = None, 0
    for pair in pairs:
        if pair != last and length:
            yield last, length
            length = 0
        last, length = pair, length + 1
    if length:
        yield last, length


def files_of(setting: Setting):
    """The second stage."""
    schema = pa.schema(
        [("kind", "string"), ("path", "string"), ("rows", "int64"), ("bytes", "int64"), ("rules", "string"), ("metrics", "string")]
    )

    def run(parts: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with tempfile.TemporaryDirectory(prefix="leat-") as scratch:
            files = Files(setting, scratch)
            done = [row for part in parts if part.num_rows for row in files.add(part)]
            done.extend(files.end())
        columns = list(zip(*done)) or [[] for _ in schema]
        yield pa.RecordBatch.from_arrays(
            [pa.array(column, field.type) for column, field in zip(columns, schema)], schema=schema
        )

    return run


# ---------------------------------------------------------------- queries of `CustomSql`, by Spark's SQL

PRIMARY = "primary"


class Query(NamedTuple):
    """What the engine asks of Spark: whether the rows of the query are rows of `primary`, or else a number."""

    sql: str
    asks_rows: bool
    rule: str
    place: str


def reason(why: Exception) -> str:
    """What Spark says of a query before it is run: the first line, without the place in our own words around the query."""
    first = next((line for line in str(why).splitlines() if line.strip()), type(why).__name__)
    return re.sub(r"[;,.\s]*\(?line \d+,? pos \d+\)?[;.\s]*$", "", first).strip() or type(why).__name__


@contextmanager
def tables(rows, references: dict[str, str]) -> Iterator[None]:
    """What queries may read: `rows` as `primary`, and the Parquet files of `references` by their aliases."""
    session = rows.sparkSession
    views = {PRIMARY: rows, **{alias: session.read.parquet(of_spark(url)) for alias, url in references.items()}}
    # Tables that are named, not files that a query names.
    session.conf.set("spark.sql.runSQLOnFiles", "false")
    for name, view in views.items():
        view.createOrReplaceTempView(name)
    try:
        yield
    finally:
        for name in views:
            session.catalog.dropTempView(name)


def of_spark(url: str) -> str:
    return url if split(url) else f"file://{path_of(url)}"


# What Spark's expressions raise over a value, beside its own classes.
OF_VALUES = {
    f"java.{name}Exception" for name in ("lang.Runtime", "lang.Arithmetic", "lang.IllegalArgument", "lang.NumberFormat", "time.DateTime")
}


def error_class(why: Exception) -> str | None:
    """By what name Spark calls a failure of a query itself; None of another failure, which a repeat may mend. Texts may hold values."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException, PythonException

    if isinstance(why, Py4JJavaError):
        cause = why.java_exception
        while cause is not None:
            name = cause.getClass().getName()
            if name in OF_VALUES:
                return name
            if name.startswith("org.apache.spark.Spark") and name != "org.apache.spark.SparkException":
                return cause.getErrorClass() or name
            cause = cause.getCause()
        return None
    if isinstance(why, PySparkException) and not isinstance(why, PythonException):
        return why.getErrorClass() or type(why).__name__
    return None


def asked(spark, query: Query):
    """The query's rows. What is no query cannot stand in parentheses: nothing is changed by it."""
    return spark.sql(f"select * from (\n{query.sql}\n)")


def check_queries(spark, queries: list[Query], schema, references: dict[str, str]) -> None:
    """Refuses what Spark cannot read, all at once, before anything is done."""
    from pyspark.errors import PySparkException

    wrong = []
    with tables(spark.createDataFrame([], schema), references):
        for query in queries:
            try:
                asked(spark, query)
            except PySparkException as why:
                wrong.append(f"{query.place}: {reason(why)} (rule `{query.rule}`)")
    if wrong:
        raise Failed(f"Recipe.Invalid: {'; '.join(wrong)}")


def answer(query: Query, rows) -> dict | str:
    """What `query` says of `rows`, as the engine reads it."""
    try:
        found = asked(rows.sparkSession, query)
        return matching(rows, found) if query.asks_rows else number(found)
    except Exception as why:
        if (name := error_class(why)) is None:
            raise
        return {"error": name}


def number(found) -> dict | str:
    from pyspark.sql.types import NumericType

    if len(found.columns) != 1:
        return {"columns": len(found.columns)}
    if not isinstance(found.schema[0].dataType, NumericType):
        return "no_number"
    rows = found.head(2)
    if len(rows) != 1:
        return {"results": len(rows)}
    if (value := rows[0][0]) is None:
        return "null"
    return {"value": float(value)} if math.isfinite(value) else "not_finite"


def matching(rows, found) -> dict:
    """How many of `rows` have, in all columns of `found`, the values of one of its rows."""
    names = {name.lower(): name for name in rows.columns}
    if unknown := [name for name in found.columns if name.lower() not in names]:
        return {"unknown": unknown}
    # Under names of their own, or a column would be compared with itself.
    theirs = found.toDF(*(f"_query_{at}" for at in range(len(found.columns))))
    same = [rows[names[name.lower()]].eqNullSafe(theirs[f"_query_{at}"]) for at, name in enumerate(found.columns)]
    return {"rows": {"passed": rows.join(theirs, functools.reduce(operator.and_, same), "left_semi").count(), "rows": rows.count()}}


# ---------------------------------------------------------------- the run


def recipe(store: Store, url: str) -> tuple[str, str | None, str]:
    """The texts of a recipe and of its ruleset, which lies beside it, and the ruleset's URL."""
    text = store.needed(url, "the recipe").decode()
    try:
        file = leat.quality_file(text, recipe_file=url)
    except ValueError as why:
        raise Failed(f"Recipe.Invalid: {why}") from None
    rules_url = f"{url.rpartition('/')[0]}/{file}" if "/" in url else f"file:{file}"
    return text, store.needed(rules_url, "the ruleset").decode() if file else None, rules_url


def settings(store: Store, arguments: argparse.Namespace, manifest: dict) -> Setting:
    text, rules, rules_url = recipe(store, arguments.recipe)
    return Setting(
        recipe=text,
        recipe_url=arguments.recipe,
        rules=rules,
        rules_url=rules_url,
        keys=arguments.keys,
        cleansed=arguments.cleansed.rstrip("/"),
        quarantine=arguments.quarantine.rstrip("/"),
        unit=manifest["id"],
        buckets=arguments.buckets,
        dataset=manifest.get("dataset", ""),
        now=manifest.get("created"),
        references=arguments.references,
    )


def run(spark, made: leat.Engine, setting: Setting, items: list[dict]) -> dict:
    """Reads the manifest's objects, writes their unit's files, and answers what is to be said of it."""
    from pyspark.sql.types import StructField, StructType
    from pyspark.sql.pandas.types import from_arrow_type

    fields = [StructField(f.name, from_arrow_type(f.type), True) for f in with_added(made.schema)]
    parallel = max(1, min(len(items), spark.sparkContext.defaultParallelism * 4))
    objects = spark.createDataFrame([(json.dumps(item),) for item in items], "item string").repartition(parallel)
    rows = objects.mapInArrow(rows_of(setting), StructType(fields))
    queries = [Query(*query) for query in made.queries()]
    if queries:
        of_set = [field for field in fields if field.name in made.fields]
        check_queries(spark, queries, StructType(of_set), setting.references)
        rows = rows.persist()  # read by the files and by each query
    tasks = max(1, min(setting.buckets, spark.sparkContext.defaultParallelism * 2))
    order = ["_date", "_bucket", "_shard", "_source", "_line"]
    done = (
        rows.repartition(tasks, "_date", "_bucket")
        .sortWithinPartitions(*order)
        .mapInArrow(files_of(setting), FILES)
        .collect()
    )
    by_kind = {kind: [row for row in done if row.kind == kind] for kind in ("object", "parquet", "quarantine", "sentinel")}
    counts = {kind: sum(row.rows for row in found) for kind, found in by_kind.items()}
    rejected = Rejected()
    for row in by_kind["quarantine"]:
        rejected.merge(json.loads(row.rules))
    read_sources = Counter(row.path for row in by_kind["object"])
    if read_sources != Counter(source_of(item) for item in items):
        raise Failed("Service.Busy: not every object of the manifest was read once")
    if counts["object"] != counts["parquet"] + counts["quarantine"] + counts["sentinel"]:
        raise Failed(
            f"Service.Busy: {counts['object']} lines were read, {counts['parquet']} written, {counts['quarantine']} quarantined, "
            f"{counts['sentinel']} dropped"
        )
    metrics = [part for row in by_kind["parquet"] for part in json.loads(row.metrics)]
    # Where sentinels came alone, as in a quiet hour, there is no data to judge.
    only_sentinels = counts["sentinel"] > 0 and counts["object"] == counts["sentinel"]
    answers = []
    if queries:
        # As they are written: checked and protected.
        judged = rows.where(rows["_date"].isNotNull()).select(made.fields)
        with tables(judged, setting.references):
            answers = [json.dumps(answer(query, judged)) for query in queries if not only_sentinels]
        rows.unpersist()
    record = made.verdict(
        metrics,
        json.dumps(rejected.rules),
        dataset=setting.dataset,
        run=setting.unit,
        dropped=counts["sentinel"],
        events=not only_sentinels,
        answers=answers,
    )
    return {
        "files": sorted(
            ({"path": row.path, "rows": row.rows, "bytes": row.bytes} for row in by_kind["parquet"]),
            key=lambda file: file["path"],
        ),
        "counts": {
            "received": counts["object"],
            "written": counts["parquet"],
            "dropped": counts["sentinel"],
            "quarantined": counts["quarantine"],
        },
        # Each once, however often its record was delivered: landing has come so far.
        "sentinels": sorted({row.path for row in by_kind["sentinel"]}),
        "quarantine": {
            "files": sorted(row.path for row in by_kind["quarantine"]),
            "rules": {rule: found["count"] for rule, found in sorted(rejected.rules.items())},
        },
        # The record of what the rules said, in the form that every path has: what decides, and why.
        "verdict": json.loads(record),
        "recipe_hash": made.hash,
    }


def decide(store: Store, setting: Setting, outcome: dict) -> str:
    """The one conditional put. Answers what stands."""
    url = f"{setting.cleansed}/_published/{setting.unit}.json"
    passed = outcome["verdict"]["decision"] == "proceed"
    decision = {
        "leat": 1,
        "unit": setting.unit,
        "decision": "published" if passed else "refused",
        **outcome,
        "files": outcome["files"] if passed else [],
        "buckets": setting.buckets,
        "replaces": [],
    }
    store.put_new(url, json.dumps(decision, ensure_ascii=False).encode())
    return json.loads(store.needed(url, "the decision"))["decision"]


def why_refused(unit: str, outcome: dict) -> str:
    """The last line of a run whose unit rules refuse: each with what was measured and what was wanted."""
    halting = outcome["verdict"]["halted_by"]
    named = halting[:NAMED] + ([f"{len(halting) - NAMED} more"] if len(halting) > NAMED else [])
    why = f"DataQuality.Failed: unit {unit} is refused by {len(halting)} rule(s): {'; '.join(named)}"
    counts = outcome["counts"]
    if counts["quarantined"] and not counts["written"]:
        rules = ", ".join(f"{count} by `{rule}`" for rule, count in outcome["quarantine"]["rules"].items())
        why += f"; every row was rejected: {rules}"
    return why


def last_line(why: Failed) -> str:
    """What Glue shows as a run's error is the last line of it: the failure word must stand there."""
    return "; ".join(str(why).splitlines())


def references_of(text: str) -> dict[str, str]:
    """`alias=url,alias=url`."""
    found = {}
    for pair in text.split(","):
        alias, _, url = pair.partition("=")
        # To SQL case is nothing.
        if not re.fullmatch(r"[A-Za-z_]\w*", alias) or not url or alias.lower() in (PRIMARY, *map(str.lower, found)):
            raise argparse.ArgumentTypeError(f"`{pair}` is no ALIAS=URL with an alias of its own")
        found[alias] = url
    return found


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("cleanse.py", allow_abbrev=False)
    for name, what in [
        ("manifest", "URL of the manifest"),
        ("recipe", "URL of recipe.yaml; its ruleset lies beside it"),
        ("cleansed", "URL of the data set's folder in the cleansed zone"),
        ("quarantine", "URL of the data set's folder in the quarantine"),
    ]:
        parser.add_argument(f"--leat-{name}", dest=name, required=True, help=what)
    parser.add_argument("--leat-claim", dest="claim", default="", help="by which the ledger finds this run")
    parser.add_argument("--leat-keys", dest="keys", default="", help="secretsmanager:<name or ARN> or file:<path>")
    parser.add_argument("--leat-buckets", dest="buckets", type=int, default=16, help="entity buckets (16)")
    parser.add_argument(
        "--leat-references", dest="references", type=references_of, default={}, help="ALIAS=URL,… of Parquet files that queries read"
    )
    arguments, _ = parser.parse_known_args(words)  # Glue adds arguments of its own
    if not 1 <= arguments.buckets <= 1000:
        parser.error("--leat-buckets is between 1 and 1000")
    return arguments


def main(words: list[str]) -> None:
    arguments, store = parse(words), Store()
    manifest = json.loads(store.needed(arguments.manifest, "the manifest"))
    if manifest.get("leat") != 1:
        raise Failed(f"Config.Invalid: {arguments.manifest} is no manifest of version 1")
    setting = settings(store, arguments, manifest)
    made = engine(setting, store)  # a wrong recipe fails here, before Spark starts
    if found := store.read(f"{setting.cleansed}/_published/{setting.unit}.json"):
        print(f"unit {setting.unit} is decided: {json.loads(found)['decision']}")
        return

    from pyspark.sql import SparkSession

    spark = SparkSession.builder.appName(f"cleanse {setting.unit}").getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    outcome = run(spark, made, setting, manifest["objects"])
    stands = decide(store, setting, outcome)
    print(json.dumps({"unit": setting.unit, "decision": stands, **outcome["counts"]}))
    if stands == "refused":
        raise Failed(why_refused(setting.unit, outcome))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failed as why:
        print(last_line(why), file=sys.stderr)
        sys.exit(1)
