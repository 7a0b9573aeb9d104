"""Glue crawlers: MiniStack's waits five seconds and makes nothing. Here tables come from what lies there.

Each S3 target becomes a table of its folder's name: columns from the footers of its Parquet files, or from
the names and JSON types in its JSON Lines; `key=value` folders are partitions. Read with the crawler's role.
A table that is known gets new columns, unless the policy says LOG. Only simulated: other formats, several
tables below one target, deletion of what is gone, schedules.
"""

from __future__ import annotations

import contextvars
import gzip
import io
import json
import re
import threading
import time
import uuid

import pyarrow
import pyarrow.parquet

from ministack.core.responses import error_response_json, json_response
from ministack.services import glue as ministack

from . import aws, hooks, s3_folders

USES = {
    "ministack.services.glue": (
        "_batch_create_partition",
        "_crawlers",
        "_create_table",
        "_get_partitions",
        "_get_table",
        "_start_crawler",
        "_update_table",
    )
}
FILES = 20  # as many are read of each target, the newest first
HEAD = 1 << 20  # of a file of JSON Lines
_HIVE = (
    (pyarrow.types.is_boolean, "boolean"),
    (pyarrow.types.is_int8, "tinyint"),
    (pyarrow.types.is_int16, "smallint"),
    (pyarrow.types.is_int32, "int"),
    (pyarrow.types.is_integer, "bigint"),
    (pyarrow.types.is_float32, "float"),
    (pyarrow.types.is_floating, "double"),
    (pyarrow.types.is_timestamp, "timestamp"),
    (pyarrow.types.is_date, "date"),
    (pyarrow.types.is_binary, "binary"),
    (pyarrow.types.is_large_binary, "binary"),
)
_FORMATS = {
    "parquet": (
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    ),
    "json": (
        "org.apache.hadoop.mapred.TextInputFormat",
        "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
        "org.openx.data.jsonserde.JsonSerDe",
    ),
}
_lock = threading.Lock()


class Cannot(Exception):
    """Why a crawl failed."""


def install() -> None:
    """Sets the hook."""
    hooks.replace(ministack, "_start_crawler", start_crawler)


def start_crawler(data: dict):
    """StartCrawler: RUNNING, until its tables are made."""
    name = data.get("Name")
    with _lock:
        crawler = ministack._crawlers.get(name)
        if not crawler:
            return error_response_json("EntityNotFoundException", f"Crawler {name} not found", 400)
        if crawler["State"] != "READY":
            return error_response_json(
                "CrawlerRunningException", f"Crawler with name {name} has already started", 400
            )
        crawler["State"] = "RUNNING"
    context = contextvars.copy_context()
    threading.Thread(
        target=context.run, args=(_crawl, name, crawler), daemon=True, name="crawler"
    ).start()
    return json_response({})


def _crawl(name: str, crawler: dict) -> None:
    began, last = time.time(), {"Status": "SUCCEEDED"}
    try:
        for target in crawler["Targets"].get("S3Targets", []):
            _crawl_target(name, crawler, target["Path"])
    except Exception as why:  # a crawl that cannot be done says why
        last = {"Status": "FAILED", "ErrorMessage": f"{type(why).__name__}: {why}"[:2048]}
    log = {"LogGroup": "/aws-glue/crawlers", "LogStream": name, "MessagePrefix": uuid.uuid4().hex}
    crawler["LastCrawl"] = last | log | {"StartTime": began}
    crawler["CrawlElapsedTime"] = int((time.time() - began) * 1000)
    crawler["State"] = "READY"


def _crawl_target(name: str, crawler: dict, path: str) -> None:
    s3 = aws.client("s3", crawler["Role"], name)
    bucket, prefix = s3_folders.split(path)
    prefix = f"{prefix.rstrip('/')}/" if prefix else ""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    found = [
        o
        for page in pages
        for o in page.get("Contents", [])
        if o["Size"] and _is_data(o["Key"], prefix)
    ]
    if not found:
        return
    kinds = {_kind(o["Key"]) for o in found}
    if len(kinds) > 1 or None in kinds:
        raise Cannot(f"{path} holds files that are neither all Parquet nor all JSON")
    kind = kinds.pop()
    keys = _partition_keys([o["Key"] for o in found], prefix, path)
    newest = sorted(found, key=lambda o: o["LastModified"], reverse=True)[:FILES]
    columns: dict[str, str] = {}
    for one in newest:
        for column, hive in _columns(s3, bucket, one["Key"], kind).items():
            columns[column] = _wider(columns.get(column), hive)
    columns = {c: t for c, t in columns.items() if c not in keys}
    table = crawler.get("TablePrefix", "") + re.sub(
        r"[^a-z0-9_]", "_", (prefix.rstrip("/").rpartition("/")[2] or bucket).lower()
    )
    _put_table(name, crawler, table, f"s3://{bucket}/{prefix}", kind, columns, keys)
    if keys:
        _put_partitions(
            crawler["DatabaseName"], table, kind, columns, bucket, prefix, [o["Key"] for o in found]
        )


def _is_data(key: str, prefix: str) -> bool:
    parts = key.removeprefix(prefix).split("/")
    return not any(part.startswith(("_", ".")) for part in parts)


def _kind(key: str) -> str | None:
    plain = key.removesuffix(".gz").lower()
    if plain.endswith(".parquet"):
        return "parquet"
    return "json" if plain.endswith((".json", ".jsonl", ".ndjson")) else None


def _folders(key: str, prefix: str) -> list[tuple[str, str]]:
    """The `key=value` folders between the target and a file."""
    parts = key.removeprefix(prefix).split("/")[:-1]
    return [
        (part.partition("=")[0].lower(), part.partition("=")[2]) for part in parts if "=" in part
    ]


def _partition_keys(keys: list[str], prefix: str, path: str) -> list[str]:
    ways = {tuple(name for name, _ in _folders(key, prefix)) for key in keys}
    if len(ways) > 1:
        raise Cannot(f"{path} is partitioned in more than one way: {sorted(ways)}")
    return list(ways.pop())


def _columns(s3, bucket: str, key: str, kind: str) -> dict[str, str]:
    body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    if kind == "parquet":
        schema = pyarrow.parquet.read_schema(io.BytesIO(body.read()))
        return {field.name.lower(): _hive(field.type) for field in schema}
    data = gzip.decompress(body.read()) if key.endswith(".gz") else body.read(HEAD)
    columns: dict[str, str] = {}
    for line in data[:HEAD].splitlines():
        try:
            row = json.loads(line)
        except ValueError:  # the last line of a part of a file, or a damaged one
            continue
        for name, value in row.items() if isinstance(row, dict) else ():
            if value is not None:
                columns[name.lower()] = _wider(columns.get(name.lower()), _hive_of(value))
    return columns


def _hive(kind: pyarrow.DataType) -> str:
    for is_one, name in _HIVE:
        if is_one(kind):
            return name
    if pyarrow.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pyarrow.types.is_struct(kind):
        return f"struct<{','.join(f'{f.name}:{_hive(f.type)}' for f in kind)}>"
    if pyarrow.types.is_map(kind):
        return f"map<{_hive(kind.key_type)},{_hive(kind.item_type)}>"
    if pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind):
        return f"array<{_hive(kind.value_type)}>"
    if pyarrow.types.is_dictionary(kind):
        return _hive(kind.value_type)
    return "string"


def _hive_of(value) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "int" if -(2**31) <= value < 2**31 else "bigint"
    if isinstance(value, float):
        return "double"
    if isinstance(value, list):
        kinds = {_hive_of(item) for item in value if item is not None}
        return f"array<{kinds.pop() if len(kinds) == 1 else 'string'}>"
    if isinstance(value, dict):
        return f"struct<{','.join(f'{k}:{_hive_of(v)}' for k, v in value.items())}>"
    return "string"


def _wider(one: str | None, other: str) -> str:
    """A type that holds both: numbers grow, all else is text."""
    order = ("tinyint", "smallint", "int", "bigint", "float", "double")
    if one is None or one == other:
        return other
    if one in order and other in order:
        return order[max(order.index(one), order.index(other))]
    return "string"


def _storage(kind: str, location: str, columns: dict[str, str]) -> dict:
    reads, writes, serde = _FORMATS[kind]
    return {
        "Columns": [{"Name": name, "Type": hive} for name, hive in columns.items()],
        "Location": location,
        "InputFormat": reads,
        "OutputFormat": writes,
        "SerdeInfo": {"SerializationLibrary": serde, "Parameters": {"serialization.format": "1"}},
        "Parameters": {"classification": kind},
        "Compressed": False,
        "StoredAsSubDirectories": False,
    }


def _put_table(
    name: str, crawler: dict, table: str, location: str, kind: str, columns: dict, keys: list[str]
) -> None:
    database = crawler["DatabaseName"]
    status, _, body = ministack._get_table({"DatabaseName": database, "Name": table})
    known = json.loads(body)["Table"] if status == 200 else None
    if known:
        if crawler.get("SchemaChangePolicy", {}).get("UpdateBehavior") == "LOG":
            return
        before = {c["Name"]: c["Type"] for c in known["StorageDescriptor"]["Columns"]}
        columns = before | columns
    given = {
        "Name": table,
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": [{"Name": key, "Type": "string"} for key in keys],
        "StorageDescriptor": _storage(kind, location, columns),
        "Parameters": {"classification": kind, "UPDATED_BY_CRAWLER": name},
    }
    call = ministack._update_table if known else ministack._create_table
    status, _, body = call({"DatabaseName": database, "TableInput": given})
    if status != 200:
        raise Cannot(json.loads(body).get("message", "the table was refused"))


def _put_partitions(
    database: str, table: str, kind: str, columns: dict, bucket: str, prefix: str, keys: list[str]
) -> None:
    places = {tuple(v for _, v in _folders(key, prefix)): key.rpartition("/")[0] for key in keys}
    _, _, body = ministack._get_partitions({"DatabaseName": database, "TableName": table})
    known = {tuple(p["Values"]) for p in json.loads(body).get("Partitions", [])}
    new = [
        {
            "Values": list(values),
            "StorageDescriptor": _storage(kind, f"s3://{bucket}/{place}/", columns),
        }
        for values, place in sorted(places.items())
        if values not in known
    ]
    for start in range(0, len(new), 100):
        some = {
            "DatabaseName": database,
            "TableName": table,
            "PartitionInputList": new[start : start + 100],
        }
        status, _, body = ministack._batch_create_partition(some)
        if status != 200:
            raise Cannot(json.loads(body).get("message", "the partitions were refused"))
