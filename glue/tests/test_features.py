"""features.py in real Spark, on files, against `leat curate` over the same run."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import leat
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import GLUE
from test_parity import COMMAND
from test_parity import leat as command

import cleanse
import features

RECIPES = GLUE.parent / "recipes/card-transactions"


class Run:
    """A training run over cleansed events and labels: as `quality-gate` writes it, with a fitted state."""

    def __init__(self, lake):
        self.lake, self.root, self.secret = lake, lake.root, f"file:{lake.root}/secret"
        self.folder = lake.root / "artifacts/runs/card-transactions/r-1"
        raw, later = lake.root / "landing/raw.jsonl", lake.root / "landing/labels.jsonl"
        raw.parent.mkdir()
        # The events' own labels are those of the first half; of the others something is known later.
        command("generate", "card-transactions", "--events", 3000, "--seed", 3, "--output", raw)
        command("generate", "card-transactions", "--events", 3000, "--seed", 3, "--output", lake.root / "other.jsonl", "--labels", later)
        cleanse.main(lake.manifest("u1", lake.land("landing/raw.jsonl", raw.read_bytes())))
        words = lake.manifest("l1", lake.land("landing/labels.jsonl", later.read_bytes()[: later.stat().st_size // 2].rpartition(b"\n")[0]))
        changed = [("card-transactions/recipe.yaml", "card-transactions/labels.yaml"), ("cleansed/cards", "cleansed/labels")]
        cleanse.main([changed_in(changed, word) for word in words])
        self.state = lake.root / "state.json"
        command("fit", RECIPES / "recipe.yaml", raw, "--state", self.state, f"--keys={self.secret}")
        unit = lake.decision("u1")
        labels = json.loads((lake.root / "cleansed/labels/_published/l1.json").read_text())
        files = {}
        for file in unit["files"]:
            files.setdefault(str(int(file["path"].split("bucket=")[1].split("/")[0])), []).append(file)
        times = sorted(row["event_time"] for row in lake.rows("u1"))
        at = [times[int(share * len(times))].isoformat() for share in (0.6, 0.9)]
        self.write(
            "snapshot.json",
            {
                "leat": 1, "dataset": "cards", "run": "r-1", "as_of": times[-1].isoformat(), "cleansed": f"file:{lake.root}/cleansed/cards/",
                "recipe_url": f"file:{RECIPES}/recipe.yaml", "recipe_hash": unit["recipe_hash"], "state_plan": "0" * 16, "units": ["u1"], "buckets": 4,
                "files": files, "rows": unit["counts"]["written"],
                "labels": {"cleansed": f"file:{lake.root}/cleansed/labels/", "id": "transaction_id", "known_at": "known_at", "label": "is_fraud",
                           "units": ["l1"], "files": labels["files"]},
            },
        )  # fmt: skip
        self.write(
            "decision.json",
            {"leat": 1, "run": "r-1", "passed": True, "failed": [], "train_until": at[0], "evaluate_until": at[1], "quality": "q"},
        )

    def write(self, name: str, content: dict) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))

    def read(self, name: str) -> dict:
        return json.loads((self.folder / name).read_text())

    def words(self, name: str = "glue", **changes) -> list[str]:
        given = {"run": f"file:{self.folder}/", "state": f"file:{self.state}", "curated": f"file:{self.root}/curated/", "name": name}
        return [f"--leat-{key}={value}" for key, value in (given | changes).items()] + ["--leat-claim=r-1_1", "--JOB_NAME=features"]

    def made(self, name: str) -> tuple[dict[str, bytes], dict[str, pa.Table]]:
        """The channels and counts under `name`, as bytes, and the Parquet files, as tables."""
        texts = {}
        for kind in ("channels", "counts"):
            for path in (self.folder / kind / name).rglob("*.*"):
                texts[f"{kind}/{path.relative_to(self.folder / kind / name)}"] = path.read_bytes().replace(f"name={name}/".encode(), b"name=/")
        curated = self.root / f"curated/card-transactions/run=r-1/name={name}"
        # Not as a data set: the folders' names would become columns.
        return texts, {str(path.relative_to(curated)): pq.ParquetFile(path).read() for path in curated.rglob("*.parquet")}


def changed_in(changes: list[tuple[str, str]], word: str) -> str:
    for before, after in changes:
        word = word.replace(before, after)
    return word


@pytest.fixture(scope="module")
def run(spark, tmp_path_factory):
    from conftest import Lake

    if not COMMAND.exists() and not os.environ.get("CI"):
        pytest.skip(f"{COMMAND} is not built: cargo build --profile fast")
    return Run(Lake(tmp_path_factory.mktemp("features")))


def bits(column: pa.ChunkedArray) -> tuple:
    """What tells every value, to the bit: -0.0 is not 0.0, and NaN is itself."""
    if pa.types.is_floating(column.type):
        return column.is_valid().to_pylist(), column.fill_null(0.0).to_numpy().tobytes()
    return column.is_valid().to_pylist(), column.to_pylist()


def same(one, other) -> None:
    (texts, tables), (other_texts, other_tables) = one, other
    assert texts.keys() == other_texts.keys() and tables.keys() == other_tables.keys()
    assert [name for name in texts if texts[name] != other_texts[name]] == []
    for name, table in tables.items():
        assert table.schema.remove_metadata().equals(other_tables[name].schema.remove_metadata()), name
        assert [c for c, x, y in zip(table.column_names, table.columns, other_tables[name].columns) if bits(x) != bits(y)] == [], name


def test_they_equal_those_of_the_command(run, capsys):
    command("curate", "--run-folder", run.folder, "--state", run.state, "--name", "command", "--curated", run.root / "curated")
    features.main(run.words())
    found = run.made("glue")
    same(run.made("command"), found)
    texts, tables = found
    assert len(tables) == 4 and len(texts) == 4 + 8, "four buckets, each with both channels"
    rows = sum(table.num_rows for table in tables.values())
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (said["buckets"], said["rows"]) == (4, rows) and 1000 < rows < 3000
    counts = [json.loads(texts[name]) for name in texts if name.startswith("counts/")]
    assert all(sum(c["labels"][kind] for c in counts) > 0 for kind in ("joined", "inline")), "labels come from both places"
    # Again, as a state machine does that was not told: nothing is more, nothing is other.
    features.main(run.words())
    same(found, run.made("glue"))


def test_one_bit_would_be_seen(run):
    """The comparison above can fail."""
    if not (run.folder / "counts/glue").exists():
        features.main(run.words())
    texts, tables = run.made("glue")
    name, table = next((n, t) for n, t in tables.items() if t.num_rows)
    at = next(i for i, f in enumerate(table.schema) if f.type == pa.float64() and table[i].null_count < table.num_rows)
    values = table[at].to_pylist()
    row = next(i for i, x in enumerate(values) if x is not None)
    values[row] = math.nextafter(values[row], math.inf)
    other = table.set_column(at, table.schema.field(at), pa.array(values, pa.float64()))
    with pytest.raises(AssertionError):
        same((texts, tables), (texts, tables | {name: other}))


def failure(training, **changes) -> str:
    with pytest.raises(cleanse.Failed) as why:
        features.main(training.words(**{"name": "failed"} | changes))
    return str(why.value)


def test_what_is_wrong_has_its_word(run, tmp_path):
    assert failure(run, run=f"file:{tmp_path}/runs/cards/none/").startswith("Input.Invalid: file:")
    assert "is no folder of a run" in failure(run, run=f"file:{tmp_path}/")
    assert failure(run, state=f"file:{tmp_path}/none.json").startswith("Config.Invalid: the fitted state")
    other = tmp_path / "state.json"
    state = json.loads(run.state.read_text())
    other.write_text(json.dumps(state | {"recipe_hash": "0" * 64}))
    assert failure(run, state=f"file:{other}").startswith("Recipe.Invalid: file:")
    assert "no name of a set of features" in failure(run, name="../x")


@pytest.fixture
def copy(run, tmp_path):
    """The same run, to be spoilt."""
    other = object.__new__(Run)
    other.__dict__ |= run.__dict__
    other.folder = tmp_path / "artifacts/runs/card-transactions/r-1"
    other.folder.mkdir(parents=True)
    for name in ("snapshot.json", "decision.json"):
        shutil.copy(run.folder / name, other.folder / name)
    return other


@pytest.mark.parametrize(
    ("file", "spoil", "why"),
    [
        ("decision.json", {"passed": False}, "was halted by its rules"),
        ("snapshot.json", {"leat": 2}, "no snapshot of version 1"),
        ("snapshot.json", {"recipe_hash": "0" * 64}, "it was changed since"),
        ("snapshot.json", {"files": {"0": [{"path": "none.parquet", "rows": 1, "bytes": 1}]}}, "is gone, and a published unit lists it"),
        ("snapshot.json", {"files": {"0": [{"path": "_published/u1.json", "rows": 1, "bytes": 1}]}}, "cannot be read"),
    ],
)
def test_a_run_that_is_no_run_is_refused(copy, file, spoil, why):
    copy.write(file, copy.read(file) | spoil)
    found = failure(copy)
    assert why in found and found.split(":")[0] in ("Input.Invalid", "Recipe.Invalid")
    assert not (copy.folder / "counts").exists()


def test_a_file_that_is_not_what_its_unit_says_is_refused(copy):
    snapshot = copy.read("snapshot.json")
    for files in snapshot["files"].values():
        files[0]["rows"] += 1
    copy.write("snapshot.json", snapshot)
    assert "rows; its unit says" in failure(copy)
    # Labels in the place of events.
    snapshot["files"] = {"0": snapshot["labels"]["files"]}
    snapshot["cleansed"] = snapshot["labels"]["cleansed"]
    copy.write("snapshot.json", snapshot)
    assert "has no column" in failure(copy)


def test_as_glue_runs_it(copy):
    """The script itself, as a process of its own, with its one word of failure at the end."""

    def started(words):
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        script = [sys.executable, str(Path(features.__file__)), *words]
        return subprocess.run(script, env=environment, capture_output=True, text=True, timeout=300, check=False)

    bucket = dict(list(copy.read("snapshot.json")["files"].items())[:1])
    copy.write("snapshot.json", copy.read("snapshot.json") | {"files": bucket})
    done = started(copy.words("alone"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["buckets"] == 1
    assert len(list((copy.folder / "counts/alone").iterdir())) == 1
    failed = started(copy.words("alone", state=f"file:{copy.folder}/decision.json"))
    assert failed.returncode == 1 and failed.stderr.splitlines()[-1].startswith("Recipe.Invalid: ")


def test_the_wheel_says_what_it_wants():
    recipe, rules = (RECIPES / "recipe.yaml").read_text(), (RECIPES / "quality.dqdl").read_text()
    with pytest.raises(ValueError, match="state.json: "):
        leat.Features(recipe, "{}", rules=rules)
    wanted = ["t", "since", "y", "_sequence", "_sub", "_line", "_source", "_shard"]
    assert leat.Features.label_columns("t", "since", "y") == wanted
