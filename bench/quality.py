"""Sixteen rules over one Parquet file: `leat validate`, and DuckDB with the same aggregates in SQL, each on one core.

    python bench/quality.py EVENTS.parquet [--leat target/release/leat] [--rounds 5]

Prints µs of CPU time (and of the clock) per event, medians of rounds in which both take turns; starting and reading are
counted. Both must agree on every number. DuckDB: pip install duckdb==2.0.0
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
DISTINCT = {name: f"count(DISTINCT {name})" for name in ("customer_id", "merchant_id", "currency", "channel")}
METRICS = {
    "Dataset.*.RowCount": "count(*)",
    "Column.transaction_id.Completeness": "count(transaction_id) / count(*)",
    "Column.merchant_id.Completeness": "count(merchant_id) / count(*)",
    "Column.country.Completeness": "count(country) / count(*)",
    "Column.amount.Mean": "avg(amount)",
    "Column.amount.StandardDeviation": "stddev_pop(amount)",
    "Column.amount.Sum": "sum(amount)",
    "Column.customer_age.Mean": "avg(customer_age)",
    "Column.lat.Mean": "avg(lat)",
    "Column.lon.StandardDeviation": "stddev_pop(lon)",
    "Multicolumn.lat,lon.ColumnCorrelation": "corr(lat, lon)",
    # To DQDL null is one more value.
    **{f"Column.{name}.DistinctValuesCount": f"{sql} + CAST(count({name}) < count(*) AS INT)" for name, sql in DISTINCT.items()},
    "Column.transaction_id.Uniqueness": "(SELECT count(*) FROM (SELECT transaction_id FROM events GROUP BY 1 HAVING count(*) = 1 AND transaction_id IS NOT NULL)) / count(transaction_id)",
}
DUCKDB = """
import duckdb, json, sys
connection = duckdb.connect(config={"threads": 1})
connection.execute(f"CREATE VIEW events AS SELECT * FROM '{sys.argv[1]}'")
print(json.dumps(connection.execute(sys.argv[2]).fetchone()))
"""


def measured(command):
    """The output of a process on one core, and its seconds of CPU and of the clock."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=lambda: os.sched_setaffinity(0, {0}))
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{command[0]} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return json.loads(done.stdout), after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("events")
    parser.add_argument("--leat", default=str(HERE.parent / "target/release/leat"))
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    select = "SELECT " + ", ".join(f"{sql}" for sql in METRICS.values()) + " FROM events"
    commands = {
        "leat": [args.leat, "validate", str(HERE / "quality.dqdl"), args.events, "--format", "json"],
        "duckdb": [sys.executable, "-c", DUCKDB, args.events, select],
    }
    runs = {name: [] for name in commands}
    for _ in range(args.rounds):
        for name, command in commands.items():
            runs[name].append(measured(command))
    found = {}
    for outcome in runs["leat"][0][0]["outcomes"]:
        found |= outcome["metrics"]
    theirs = dict(zip(METRICS, runs["duckdb"][0][0]))
    for name, x in theirs.items():
        if name not in found or abs(found[name] - x) > 1e-9 * max(1.0, abs(x)):
            sys.exit(f"{name}: leat {found.get(name)}, duckdb {x}: not the same")
    rows = theirs["Dataset.*.RowCount"]
    print(f"{len(theirs)} metrics of {rows:,} rows, the same in both\n\n| 16 rules | µs CPU per row | µs by the clock | of DuckDB |\n|---|---|---|---|")
    cpu = {name: statistics.median(cpu for _, cpu, _ in of) for name, of in runs.items()}
    for name, of in runs.items():
        wall = statistics.median(wall for _, _, wall in of)
        print(f"| {name} | {cpu[name] / rows * 1e6:.3f} | {wall / rows * 1e6:.3f} | {cpu[name] / cpu['duckdb']:.2f} |")


if __name__ == "__main__":
    main()
