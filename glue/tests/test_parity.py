"""Features of cleansed rows equal those of the raw lines, byte for byte: the wheel in Spark and the command are one engine."""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import GLUE

import cleanse

COMMAND = Path(os.environ.get("LEAT_COMMAND", GLUE.parent / "target/fast/leat"))
RECIPE = GLUE.parent / "recipes/card-transactions/recipe.yaml"


def leat(*words) -> None:
    done = subprocess.run([COMMAND, *map(str, words)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(
    not COMMAND.exists() and not os.environ.get("CI"), reason=f"{COMMAND} is not built: cargo build --profile fast"
)
def test_features_of_cleansed_rows(spark, lake):
    raw, state, keys = lake.root / "landing/raw.jsonl", lake.root / "state.json", f"--keys=file:{lake.root}/secret"
    raw.parent.mkdir()
    leat("generate", "card-transactions", "--events", 2000, "--seed", 3, "--output", raw)
    cleanse.main(lake.manifest("u1", lake.land("landing/raw.jsonl", raw.read_bytes())))
    counts = lake.decision("u1")["counts"]
    assert counts["received"] == 2000 and counts["quarantined"] > 0

    leat("fit", RECIPE, raw, "--state", state, keys)
    outputs = []
    for name, data in [("raw", raw), ("cleansed", lake.root / "cleansed/cards")]:
        outputs.append(lake.root / f"{name}.jsonl")
        leat("transform", RECIPE, data, "--state", state, "--output", outputs[-1], keys)
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert outputs[0].read_bytes().count(b"\n") > 1900
