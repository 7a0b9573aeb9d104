"""Judges a model on a later slice of time, against what serves: a SageMaker Processing script for the XGBoost image.

    python3 evaluate.py --state-hash <hash of the candidate's fitted state> [--tolerance 0.005] [--root /opt/ml/processing]

Reads `<root>/input/candidate/model/model.tar.gz` and `<root>/input/candidate/evaluate/*.csv` (the label first, no header, an empty
cell is a missing value), and the same under `input/serving/` where something serves: its own model on its own features of the same
slice. Writes `<root>/output/evaluation.json`:

    {"candidate": {"auc", "log_loss", "rows", "positives"}, "serving": {…} or null, "better": true, "why": "…", "tolerance": 0.005,
     "same_rows": true, "pair": "<8 digits>", "pair_hash": "…"}

The pair's hash is that of the fitted state's hash and of the model's bytes. The candidate is better where its AUC is not below that of
what serves by more than the tolerance; what nothing serves against is. Where a judgement is not possible it fails: the first word of
its message is the failure word, and the message is in the job's `ExitMessage`. Needs numpy and xgboost alone.
"""

import argparse
import hashlib
import json
import math
import sys
import tarfile
from pathlib import Path

import numpy as np
import xgboost

MODEL = "xgboost-model"
LEAST = 1e-15  # what a probability is cut off at, in the log loss


class Failed(Exception):
    """It cannot be judged; the first word is one of Leat's failure words."""


def rows(folder: Path) -> np.ndarray:
    """All rows of a channel, its files in order of their names."""
    files = sorted(p for p in folder.rglob("*.csv") if p.is_file())
    tables = [np.genfromtxt(p, delimiter=",", dtype=np.float64, ndmin=2) for p in files if p.stat().st_size]
    if not tables:
        raise Failed(f"Input.Invalid: {folder} holds no row to evaluate on")
    if len({table.shape[1] for table in tables}) != 1 or tables[0].shape[1] < 2:
        raise Failed(f"Input.Invalid: the files of {folder} need the same columns, the label first")
    table = np.vstack(tables)
    if not np.isin(table[:, 0], (0.0, 1.0)).all():
        raise Failed(f"Input.Invalid: the labels of {folder} are not all 0 or 1")
    for label in (0, 1):
        if not (table[:, 0] == label).any():
            raise Failed(f"Input.Invalid: {folder} holds no row with the label {label}: a model cannot be judged on one class")
    return table


def booster(archive: Path) -> xgboost.Booster:
    """The model in a model.tar.gz. Only the one file that is wanted is read, wherever the archive says that it lies."""
    with tarfile.open(archive) as packed:
        members = [m for m in packed.getmembers() if m.isfile() and Path(m.name).name == MODEL]
        if len(members) != 1:
            raise Failed(f"Input.Invalid: {archive} holds {len(members)} files named {MODEL}")
        body = packed.extractfile(members[0]).read()
    model = xgboost.Booster()
    try:
        model.load_model(bytearray(body))
    except xgboost.core.XGBoostError as why:
        raise Failed(f"Input.Invalid: the model of {archive} cannot be loaded: {str(why).splitlines()[0]}") from None
    return model


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """The area under the ROC curve, by ranks; equal scores share theirs."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives = int(labels.sum())
    negatives = len(labels) - positives
    return float((ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def log_loss(labels: np.ndarray, scores: np.ndarray) -> float:
    """The mean of −ln of the probability that was given to what came."""
    given = np.clip(np.where(labels == 1, scores, 1 - scores), LEAST, 1)
    return float(-np.log(given).mean())


def judge(folder: Path) -> tuple[dict, np.ndarray]:
    """A model's figures on its channel, and the labels in the order of the rows."""
    table = rows(folder / "evaluate")
    model = booster(folder / "model" / "model.tar.gz")
    if model.num_features() != table.shape[1] - 1:
        raise Failed(
            f"Input.Invalid: the model in {folder} takes {model.num_features()} features, its rows have {table.shape[1] - 1}"
        )
    labels = table[:, 0]
    scores = model.predict(xgboost.DMatrix(table[:, 1:], missing=np.nan)).astype(np.float64)
    if not np.isfinite(scores).all():
        raise Failed(f"Input.Invalid: the model in {folder} gives a score that is no number")
    figures = {"auc": auc(labels, scores), "log_loss": log_loss(labels, scores)}
    return {**figures, "rows": len(labels), "positives": int(labels.sum())}, labels


def pair_hash(state_hash: str, archive: Path) -> str:
    """One hash for a fitted state and a model."""
    model = hashlib.sha256(archive.read_bytes()).hexdigest()
    return hashlib.sha256(f"{state_hash}\n{model}\n".encode()).hexdigest()


def words(figures: dict) -> str:
    """The figures for a person."""
    return f"AUC {figures['auc']:.4f}, log loss {figures['log_loss']:.4f}, {figures['positives']} of {figures['rows']} rows positive"


def evaluate(root: Path, state_hash: str, tolerance: float) -> dict:
    """What evaluation.json says."""
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise Failed(f"Config.Invalid: the tolerance {tolerance} is no number from 0 up")
    given = root / "input"
    candidate, labels = judge(given / "candidate")
    serving, same = None, None
    better, why = True, f"candidate: {words(candidate)}; nothing serves yet"
    if (given / "serving").is_dir():
        serving, theirs = judge(given / "serving")
        same = bool(np.array_equal(labels, theirs))
        better = candidate["auc"] >= serving["auc"] - tolerance
        why = f"candidate: {words(candidate)}; what serves: {words(serving)}; tolerance {tolerance:g}"
    whole = pair_hash(state_hash, given / "candidate" / "model" / "model.tar.gz")
    return {
        "candidate": candidate, "serving": serving, "better": bool(better), "why": why, "tolerance": tolerance,
        "same_rows": same, "pair": whole[:8], "pair_hash": whole,
    }  # fmt: skip


def main() -> int:
    """0, or 1 with the reason on standard error and in the job's exit message."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--state-hash", required=True)
    arguments.add_argument("--tolerance", type=float, default=0.005)
    arguments.add_argument("--root", type=Path, default=Path("/opt/ml/processing"))
    given = arguments.parse_args()
    try:
        found = evaluate(given.root, given.state_hash, given.tolerance)
    except (Failed, OSError, tarfile.TarError) as why:
        text = str(why) if isinstance(why, Failed) else f"Input.Invalid: {type(why).__name__}: {why}"
        print(text, file=sys.stderr)
        message = given.root.parent / "output" / "message"  # /opt/ml/output/message, as SageMaker reads it
        if message.parent.is_dir():
            message.write_text(text[:1024])
        return 1
    output = given.root / "output"
    output.mkdir(parents=True, exist_ok=True)
    (output / "evaluation.json").write_text(json.dumps(found, indent=1) + "\n")
    print(found["why"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
