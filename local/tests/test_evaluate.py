"""workflows/evaluate.py: two models over one slice, and what cannot be judged."""

import importlib.util
import io
import json
import math
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import xgboost

from leat_local.stack import ROOT

SCRIPT = ROOT / "workflows" / "evaluate.py"
spec = importlib.util.spec_from_file_location("evaluate", SCRIPT)
evaluate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(evaluate)


def table(seed: int = 1, rows: int = 200, columns: int = 3) -> np.ndarray:
    """Rows whose label is told by the first feature; one cell is missing."""
    chance = np.random.default_rng(seed)
    features = chance.normal(size=(rows, columns))
    labels = (features[:, 0] + chance.normal(scale=0.5, size=rows) > 0.8).astype(float)
    features[0, 1] = math.nan
    return np.column_stack([labels, features])


def archive(path, rows: np.ndarray, rounds: int = 8, name: str = "xgboost-model"):
    """A model.tar.gz trained on rows, as local/model/train.py makes it."""
    data = xgboost.DMatrix(rows[:, 1:], label=rows[:, 0], missing=math.nan)
    model = xgboost.train({"objective": "binary:logistic", "nthread": 1, "seed": 1}, data, rounds)
    body = bytes(model.save_raw("ubj"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as packed:
        entry = tarfile.TarInfo(name)
        entry.size = len(body)
        packed.addfile(entry, io.BytesIO(body))
    return path


def channel(folder, rows: np.ndarray, files: int = 2):
    folder.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(np.array_split(rows, files)):
        lines = (",".join("" if math.isnan(x) else repr(float(x)) for x in row) for row in part)
        (folder / f"{number}.csv").write_text("".join(line + "\n" for line in lines))


@pytest.fixture
def root(tmp_path):
    """A candidate that is good, and no other."""
    root = tmp_path / "ml" / "processing"
    archive(root / "input/candidate/model/model.tar.gz", table(1))
    channel(root / "input/candidate/evaluate", table(2))
    return root


def serve(root, rows: np.ndarray, rounds: int = 8, over: np.ndarray | None = None):
    archive(root / "input/serving/model/model.tar.gz", rows, rounds)
    channel(root / "input/serving/evaluate", table(2) if over is None else over)


def test_the_first_model_has_nobody_to_beat(root):
    found = evaluate.evaluate(root, "abc", 0.005)
    assert found["better"] and found["serving"] is None and found["same_rows"] is None
    assert found["candidate"]["rows"] == 200
    assert found["candidate"]["positives"] == int(table(2)[:, 0].sum())
    assert 0.8 < found["candidate"]["auc"] < 1 and found["candidate"]["log_loss"] > 0
    assert found["pair"] == found["pair_hash"][:8] and len(found["pair_hash"]) == 64


def test_a_worse_model_is_told_with_both_figures(root):
    serve(root, table(1, rows=2000))
    shuffled = table(3)
    np.random.default_rng(9).shuffle(shuffled[:, 0])
    archive(root / "input/candidate/model/model.tar.gz", shuffled)
    found = evaluate.evaluate(root, "abc", 0.005)
    assert not found["better"] and found["same_rows"]
    for figures in (found["candidate"], found["serving"]):
        assert f"{figures['auc']:.4f}" in found["why"]


def test_the_tolerance_lets_an_equal_one_pass(root):
    serve(root, table(1))
    equal = evaluate.evaluate(root, "abc", 0.0)
    assert equal["better"] and equal["candidate"] == equal["serving"]
    serve(root, table(1, rows=2000))
    gap = evaluate.evaluate(root, "abc", 0.0)
    behind = gap["serving"]["auc"] - gap["candidate"]["auc"]
    assert behind > 0 and not gap["better"]
    assert evaluate.evaluate(root, "abc", behind + 1e-9)["better"]


def test_what_serves_has_features_of_its_own(root):
    serve(root, table(1, columns=5), over=table(2, columns=5))
    assert evaluate.evaluate(root, "abc", 0.005)["serving"]["rows"] == 200


def test_the_pair_is_state_and_model(root):
    path = root / "input/candidate/model/model.tar.gz"
    one = evaluate.pair_hash("a", path)
    assert one == evaluate.pair_hash("a", path) and one != evaluate.pair_hash("b", path)
    archive(path, table(7))
    assert one != evaluate.pair_hash("a", path)


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], 1.0),
        ([1, 1, 0, 0], [0.1, 0.2, 0.3, 0.4], 0.0),
        ([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5], 0.5),
        ([0, 1, 1], [0.5, 0.5, 0.9], 0.75),
    ],
)
def test_auc(labels, scores, expected):
    assert evaluate.auc(np.array(labels, float), np.array(scores)) == expected


def test_log_loss():
    assert evaluate.log_loss(np.array([1.0, 0.0]), np.array([0.5, 0.5])) == pytest.approx(math.log(2))
    assert math.isfinite(evaluate.log_loss(np.array([1.0]), np.array([0.0])))


def one_class(label):
    rows = table(2)
    rows[:, 0] = label
    return rows


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (one_class(0.0), "no row with the label 1"),
        (one_class(1.0), "no row with the label 0"),
        (one_class(math.nan), "not all 0 or 1"),
        (one_class(2.0), "not all 0 or 1"),
        (table(2)[:0], "no row to evaluate"),
        (table(2, columns=4), "takes 3 features, its rows have 4"),
    ],
)
def test_what_cannot_be_judged_says_why(root, rows, words):
    for old in (root / "input/candidate/evaluate").iterdir():
        old.unlink()
    channel(root / "input/candidate/evaluate", rows)
    with pytest.raises(evaluate.Failed, match=words) as why:
        evaluate.evaluate(root, "abc", 0.005)
    assert str(why.value).startswith("Input.Invalid: ")


def test_a_damaged_model_says_so(root):
    archive(root / "input/candidate/model/model.tar.gz", table(1), name="other")
    with pytest.raises(evaluate.Failed, match="0 files named xgboost-model"):
        evaluate.evaluate(root, "abc", 0.005)


def run(root, *more: str):
    command = [sys.executable, str(SCRIPT), "--root", str(root), "--state-hash", "abc", *more]
    return subprocess.run(command, capture_output=True, text=True)


def test_as_a_job(root):
    done = run(root, "--tolerance", "0.01")
    assert done.returncode == 0, done.stderr
    found = json.loads((root / "output" / "evaluation.json").read_text())
    assert found["tolerance"] == 0.01 and found["better"]
    assert "nothing serves yet" in done.stdout


def test_a_job_that_fails_leaves_a_message(root):
    (root.parent / "output").mkdir()
    (root / "input/candidate/model/model.tar.gz").write_bytes(b"no archive")
    done = run(root)
    assert done.returncode == 1 and not (root / "output").exists()
    message = (root.parent / "output" / "message").read_text()
    assert message.startswith("Input.Invalid: ") and "Traceback" not in done.stderr
