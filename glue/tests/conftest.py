import json
import os
import sys
from pathlib import Path

import pytest

GLUE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(GLUE))
# Spark's workers import the module that their functions come from.
os.environ["PYTHONPATH"] = os.pathsep.join([str(GLUE), *filter(None, [os.environ.get("PYTHONPATH")])])
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable


@pytest.fixture(scope="session")
def spark():
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "4")
        .getOrCreate()
    )
    yield session
    session.stop()


class Lake:
    """A lake in a folder, with the worked example's recipe."""

    def __init__(self, root: Path):
        self.root = root
        (root / "secret").write_bytes(b"0123456789abcdef0123456789abcdef")

    def land(self, key: str, data: bytes, trusted: bool = False) -> dict:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return {"bucket": f"file:{self.root}", "key": key, "etag": "e", "size": len(data), "trusted": trusted}

    def manifest(self, name: str, *objects: dict) -> list[str]:
        """Writes a manifest; the arguments of its run."""
        path = self.root / f"manifests/cards/{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        manifest = {"leat": 1, "dataset": "cards", "id": name, "created": "2026-01-01T00:00:00Z", "objects": objects}
        path.write_text(json.dumps(manifest))
        return [
            f"--leat-manifest=file:{path}",
            f"--leat-claim=cards_{name}_1",
            f"--leat-recipe=file:{GLUE.parent}/recipes/card-transactions/recipe.yaml",
            f"--leat-keys=file:{self.root}/secret",
            f"--leat-cleansed=file:{self.root}/cleansed/cards/",
            f"--leat-quarantine=file:{self.root}/quarantine/cards/",
            "--leat-buckets=4",
            "--JOB_NAME=cleanse",
        ]

    def decision(self, name: str) -> dict:
        return json.loads((self.root / f"cleansed/cards/_published/{name}.json").read_text())

    def quarantined(self, name: str) -> list[dict]:
        files = self.decision(name)["quarantine"]["files"]
        return [
            json.loads(line)
            for file in files
            for line in (self.root / "quarantine/cards" / file).read_text().splitlines()
        ]

    def rows(self, name: str) -> list[dict]:
        import pyarrow.parquet as pq

        found = []
        for file in self.decision(name)["files"]:
            path = self.root / "cleansed/cards" / file["path"]
            table = pq.ParquetFile(path).read()
            assert (table.num_rows, path.stat().st_size) == (file["rows"], file["bytes"])
            found += [{**row, "path": file["path"]} for row in table.to_pylist()]
        return sorted(found, key=lambda row: (row["_source"], row["_line"]))


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path)


def event(number: int, **changes) -> bytes:
    return json.dumps(
        {
            "transaction_id": f"t-{number}", "customer_id": f"c-{number % 7}",
            "event_time": f"2026-01-{1 + number % 3:02}T00:00:00Z", "card_number": f"4{number:015}", "amount": 1.5 * number + 0.1,
            "customer_age": 30, "channel": "web", "merchant_id": "m", "merchant_category": "books", "country": "DE", "is_fraud": 0,
            **changes,
        }
    ).encode()
