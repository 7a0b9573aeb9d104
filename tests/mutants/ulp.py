"""A mutant of the lake's path: copies cleansed data and moves one amount by one unit in the last place.

The parity table must turn red on it. Usage: ulp.py CLEANSED COPY
"""

import math
import pathlib
import shutil
import sys

import pyarrow as pa
import pyarrow.parquet as pq

source, copy = map(pathlib.Path, sys.argv[1:])
shutil.rmtree(copy, ignore_errors=True)
shutil.copytree(source, copy)
for path in sorted(copy.rglob("*.parquet")):
    table = pq.ParquetFile(path).read()
    amounts = table.column("amount").to_pylist()
    at = next((i for i, x in enumerate(amounts) if x is not None and x > 1), None)
    if at is None:
        continue
    amounts[at] = math.nextafter(amounts[at], math.inf)
    column = table.schema.get_field_index("amount")
    table = table.set_column(column, table.schema.field(column), pa.array(amounts, pa.float64()))
    pq.write_table(table, path)
    sys.exit(0)
sys.exit("no amount to change")
