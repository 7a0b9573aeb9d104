"""Trains XGBoost by SageMaker's script contract, on the CSV of its built-in algorithm.

Channels hold CSV without a header, the label first. Directories come from SM_CHANNEL_TRAIN,
SM_CHANNEL_VALIDATION (optional), SM_MODEL_DIR and SM_OUTPUT_DATA_DIR, hyperparameters from the
command line. The model is `xgboost-model` in SM_MODEL_DIR, from which SageMaker makes model.tar.gz.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
import xgboost

MODEL = "xgboost-model"


def read(folder: str) -> xgboost.DMatrix:
    """All CSV files of a channel, in order of their names; an empty cell is a missing value."""
    files = sorted(p for p in Path(folder).rglob("*") if p.is_file() and p.name[0] not in "._")
    if not files:
        raise SystemExit(f"{folder}: no CSV file to train from")
    tables = [
        np.genfromtxt(p, delimiter=",", dtype=np.float64, ndmin=2) for p in files if p.stat().st_size
    ]
    if not tables or len({t.shape[1] for t in tables}) != 1 or tables[0].shape[1] < 2:
        raise SystemExit(f"{folder}: every file needs the same columns, the label first")
    rows = np.vstack(tables)
    if np.isnan(rows[:, 0]).any():
        raise SystemExit(f"{folder}: the first column is the label, and some rows have none")
    return xgboost.DMatrix(rows[:, 1:], label=rows[:, 0], missing=np.nan)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN"))
    arguments.add_argument("--validation", default=os.environ.get("SM_CHANNEL_VALIDATION"))
    arguments.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR"))
    arguments.add_argument("--output-data-dir", default=os.environ.get("SM_OUTPUT_DATA_DIR"))
    arguments.add_argument("--objective", default="binary:logistic")
    arguments.add_argument("--eval_metric", default="auc")
    arguments.add_argument("--num_round", type=int, default=120)
    arguments.add_argument("--max_depth", type=int, default=5)
    arguments.add_argument("--eta", type=float, default=0.1)
    arguments.add_argument("--subsample", type=float, default=0.8)
    arguments.add_argument("--colsample_bytree", type=float, default=0.8)
    arguments.add_argument("--min_child_weight", type=float, default=2.0)
    arguments.add_argument("--seed", type=int, default=7)
    given = arguments.parse_args()
    if not given.train or not given.model_dir:
        raise SystemExit("train.py needs SM_CHANNEL_TRAIN and SM_MODEL_DIR (or --train, --model-dir)")

    names = "objective eval_metric max_depth eta subsample colsample_bytree min_child_weight seed"
    parameters = {name: getattr(given, name) for name in names.split()}
    parameters |= {"tree_method": "hist", "nthread": int(os.environ.get("SM_NUM_CPUS", "2"))}
    train = read(given.train)
    watched = [(train, "train")]
    if given.validation:
        watched.append((read(given.validation), "validation"))
    history: dict = {}
    booster = xgboost.train(
        parameters,
        train,
        num_boost_round=given.num_round,
        evals=watched,
        evals_result=history,
        verbose_eval=False,
    )
    folder = Path(given.model_dir)
    folder.mkdir(parents=True, exist_ok=True)
    booster.save_model(str(folder / f"{MODEL}.ubj"))
    (folder / f"{MODEL}.ubj").rename(folder / MODEL)
    last = {part: {k: v[-1] for k, v in metrics.items()} for part, metrics in history.items()}
    if given.output_data_dir:
        out = Path(given.output_data_dir)
        out.mkdir(parents=True, exist_ok=True)
        (out / "metrics.json").write_text(json.dumps(last) + "\n")
    print(json.dumps({"rows": train.num_row(), "columns": train.num_col(), "metrics": last}))


if __name__ == "__main__":
    main()
