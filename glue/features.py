"""features: the features of a training run's rows, made on Spark's workers, an entity bucket for each task.

It is what `feature-transform` does one call at a time and `leat curate` on one machine: the same snapshot, decision and fitted
state, the same features, channels and counts, to the bit. A task reads a bucket's files and writes what the wheel `leat` makes
of them; no row goes from task to task. A bucket's counts are written last, and `finish` reads nothing without them; what is
written twice, by a task or a run that is repeated, is written with the same content under the same name.

It runs on AWS Glue 5 (Spark 3.5) with cleanse.py as `--extra-py-files`, and under plain PySpark with `file:` URLs:

    PYSPARK_PYTHON=python spark-submit features.py --leat-run file:/tmp/lake/artifacts/runs/cards/1/ \
        --leat-state file:/tmp/lake/artifacts/states/cards/1a2b.json --leat-curated file:/tmp/lake/curated/
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NamedTuple

import leat
import pyarrow as pa
import pyarrow.parquet as pq

import cleanse
from cleanse import Failed, Store

SLICES = ["train", "evaluate"]
ROWS = 8192
ROW_GROUP = 100_000
NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")


class Setting(NamedTuple):
    """What the workers need. The secret is not in it: each worker reads it where it lies."""

    recipe: str
    recipe_url: str
    rules: str | None
    rules_url: str
    state: str
    state_url: str
    keys: str
    cleansed: str
    labels: dict | None
    as_of: str
    train_until: str
    evaluate_until: str
    run: str
    name: str
    curated: str


@contextmanager
def worded() -> Iterator[None]:
    """Says what a person must mend by its word: what AWS denies."""
    try:
        yield
    except Exception as why:
        answer = getattr(why, "response", {}).get("ResponseMetadata", {})
        if answer.get("HTTPStatusCode") == 403:
            raise Failed(f"Config.Invalid: {why}") from None
        raise


def features(setting: Setting, store: Store) -> leat.Features:
    try:
        return leat.Features(
            setting.recipe,
            setting.state,
            rules=setting.rules,
            secret=store.secret(setting.keys),
            recipe_file=setting.recipe_url,
            rules_file=setting.rules_url,
            state_file=setting.state_url,
        )
    except ValueError as why:
        raise Failed(f"Recipe.Invalid: {why}") from None


# ---------------------------------------------------------------- a bucket


def batches(store: Store, folder: str, files: list[dict], names: list[str]) -> Iterator[pa.RecordBatch]:
    """The columns `names` of the files that published units list."""
    for item in files:
        url = f"{folder}{item['path']}"
        data = store.read(url)
        if data is None:
            raise Failed(
                f"Input.Invalid: {url} is gone, and a published unit lists it: restore it, or publish a unit in the place of that one"
            )
        try:
            parquet = pq.ParquetFile(pa.BufferReader(data))
            missing = [name for name in names if name not in parquet.schema_arrow.names]
            if missing:
                raise Failed(f"Input.Invalid: {url} has no column `{missing[0]}`: it is no file of such rows")
            if parquet.metadata.num_rows != item["rows"]:
                raise Failed(f"Input.Invalid: {url} has {parquet.metadata.num_rows} rows; its unit says {item['rows']}")
            for batch in parquet.iter_batches(ROWS, columns=names):
                yield batch.select(names)
        except (pa.ArrowException, OSError) as why:
            raise Failed(f"Input.Invalid: {url} cannot be read: {why}") from None


def make(setting: Setting, store: Store, bucket: int, files: list[dict]) -> int:
    """Makes the features of a bucket and writes them; how many rows there are."""
    made = features(setting, store)
    rows = batches(store, setting.cleansed, files, made.cleansed.names)
    labels = setting.labels and batches(
        store,
        setting.labels["cleansed"],
        setting.labels["files"],
        leat.Features.label_columns(*(setting.labels[name] for name in ("id", "known_at", "label"))),
    )
    try:
        parts = made.curate(
            rows,
            labels,
            as_of=setting.as_of,
            train_until=setting.train_until,
            evaluate_until=setting.evaluate_until,
            slices=SLICES,
            curated=setting.curated,
        )
    except leat.MissingKeys as why:
        raise Failed(f"Config.Invalid: --leat-keys: {why}") from None
    except ValueError as why:
        raise Failed(f"Input.Invalid: bucket {bucket}: {why}") from None
    with tempfile.TemporaryDirectory(prefix="leat-") as scratch:
        file, counts = os.path.join(scratch, "part.parquet"), os.path.join(scratch, "counts.json")
        count, channels = write(parts, made.schema, file, scratch)
        with open(counts, "w", encoding="utf-8", newline="\n") as out:
            out.write(parts.counts())
        for name, path in channels.items():
            store.put_file(f"{setting.run}channels/{setting.name}/{name}/{bucket}.csv", path)
        store.put_file(f"{setting.curated}bucket={bucket:02}/part.parquet", file)
        store.put_file(f"{setting.run}counts/{setting.name}/{bucket}.json", counts)
    return count


def write(parts: leat.Curation, schema: pa.Schema, file: str, scratch: str) -> tuple[int, dict[str, str]]:
    """Writes the Parquet file, and a file for each channel that has a line; how many rows there are, and those files."""
    count, waiting, channels, open_files = 0, [], {}, {}
    with ExitStack() as stack, pq.ParquetWriter(file, schema, compression="zstd", version="2.6") as parquet:

        def flush() -> None:
            if waiting:
                parquet.write_table(pa.Table.from_batches(waiting, schema), row_group_size=ROW_GROUP)
                waiting.clear()

        for name, batch, lines in parts:
            count += batch.num_rows
            waiting.append(batch)
            if sum(some.num_rows for some in waiting) >= ROW_GROUP:
                flush()
            if lines and name not in channels:
                channels[name] = os.path.join(scratch, f"{name}.csv")
                open_files[name] = stack.enter_context(open(channels[name], "wb"))
            if lines:
                open_files[name].write(lines)
        flush()
    return count, channels


def task(setting: Setting, item: tuple[int, list[dict]]) -> tuple[int, int, str | None]:
    """What a worker does: (bucket, its rows, why it failed where a repeat would not mend it)."""
    bucket, files = item
    try:
        with worded():
            return bucket, make(setting, Store(), bucket, files), None
    except Failed as why:
        return bucket, 0, str(why)


# ---------------------------------------------------------------- the run


def document(store: Store, url: str, step: str) -> dict:
    found = store.read(url)
    if found is None:
        raise Failed(f"Input.Invalid: {url} does not exist: the step `{step}` makes it, and comes first")
    return json.loads(found)


def settings(store: Store, arguments: argparse.Namespace) -> tuple[Setting, list[tuple[int, list[dict]]]]:
    """What the run's folder says, and the files of each bucket."""
    folder = arguments.run.rstrip("/") + "/"
    place = folder[:-1].rsplit("/", 3)
    if len(place) != 4 or place[1] != "runs" or not all(NAME.fullmatch(name) for name in place[2:]):
        raise Failed(f"Input.Invalid: `{folder}` is no folder of a run: it ends in runs/<recipe>/<run>/")
    if not NAME.fullmatch(arguments.name):
        raise Failed(f"Input.Invalid: `{arguments.name}` is no name of a set of features: 1 to 80 letters, digits, `-` and `_`")
    snapshot, decision = document(store, f"{folder}snapshot.json", "snapshot"), document(store, f"{folder}decision.json", "decide")
    if snapshot.get("leat") != 1:
        raise Failed(f"Input.Invalid: {folder}snapshot.json is no snapshot of version 1")
    if not decision["passed"]:
        raise Failed(f"Input.Invalid: run {place[3]} was halted by its rules, see {decision['quality']}: nothing is learnt of it")
    recipe, rules, rules_url = cleanse.recipe(store, snapshot["recipe_url"])
    setting = Setting(
        recipe=recipe,
        recipe_url=snapshot["recipe_url"],
        rules=rules,
        rules_url=rules_url,
        state=store.needed(arguments.state, "the fitted state").decode(),
        state_url=arguments.state,
        keys=arguments.keys,
        cleansed=snapshot["cleansed"],
        labels=snapshot["labels"],
        as_of=snapshot["as_of"],
        train_until=decision["train_until"],
        evaluate_until=decision["evaluate_until"],
        run=folder,
        name=arguments.name,
        curated=f"{arguments.curated.rstrip('/')}/{place[2]}/run={place[3]}/name={arguments.name}/",
    )
    found = features(setting, store).recipe_hash  # a wrong recipe or state fails here, before Spark starts
    if found != snapshot["recipe_hash"]:
        raise Failed(
            f"Recipe.Invalid: the recipe {setting.recipe_url} has the hash {found}, and the run is of hash {snapshot['recipe_hash']}: "
            "it was changed since; start another run"
        )
    return setting, sorted((int(bucket), files) for bucket, files in snapshot["files"].items())


def run(spark, setting: Setting, buckets: list[tuple[int, list[dict]]]) -> int:
    """Makes the features of all buckets, a task for each; how many rows there are."""
    # The workers need no file of the module that Glue gave this process.
    from pyspark import cloudpickle

    cloudpickle.register_pickle_by_value(cleanse)
    done = sorted(spark.sparkContext.parallelize(buckets, max(1, len(buckets))).map(partial(task, setting)).collect())
    for _, _, why in done:
        if why is not None:
            raise Failed(why)
    return sum(rows for _, rows, _ in done)


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("features.py", allow_abbrev=False)
    for name, what in [
        ("run", "URL of the run's folder, with its snapshot and decision"),
        ("state", "URL of the fitted state"),
        ("curated", "URL of the curated zone"),
    ]:
        parser.add_argument(f"--leat-{name}", dest=name, required=True, help=what)
    parser.add_argument("--leat-name", dest="name", default="candidate", help="the features' name within the run (candidate)")
    parser.add_argument("--leat-keys", dest="keys", default="", help="secretsmanager:<name or ARN> or file:<path>")
    return parser.parse_known_args(words)[0]  # Glue adds arguments of its own


def main(words: list[str]) -> None:
    with worded():
        setting, buckets = settings(Store(), parse(words))

    from pyspark.sql import SparkSession

    spark = SparkSession.builder.appName(f"features {setting.run}").getOrCreate()
    print(json.dumps({"run": setting.run, "name": setting.name, "buckets": len(buckets), "rows": run(spark, setting, buckets)}))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failed as why:
        print(cleanse.last_line(why), file=sys.stderr)
        sys.exit(1)
