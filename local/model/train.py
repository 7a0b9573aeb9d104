"""Trains XGBoost as SageMaker's built-in algorithm does, on the CSV that it takes.

In a training job the base folder (`/opt/ml`, or SAGEMAKER_BASE_DIR) holds all: hyperparameters and the
channels' content types in `input/config/`, the channels `train` and `validation` (optional) below
`input/data/`. The command line and SM_CHANNEL_TRAIN, SM_CHANNEL_VALIDATION, SM_MODEL_DIR and
SM_OUTPUT_DATA_DIR go before it, so that the script also works alone.

A channel is CSV without a header, the label first; an empty cell is a missing value. The model is
`xgboost-model`, from which SageMaker makes model.tar.gz. Each round is a line of the log in the
algorithm's own form (`[3]<tab>train-auc:0.91<tab>validation-auc:0.88`), from which SageMaker takes the
metrics. Why a training failed stands in `output/failure`.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np
import xgboost

MODEL = "xgboost-model"
# Hyperparameters of the built-in algorithm that are XGBoost's own, with the type of each.
NUMBERS = (
    "eta gamma min_child_weight max_delta_step subsample colsample_bytree colsample_bylevel colsample_bynode "
    "lambda alpha base_score scale_pos_weight sketch_eps tweedie_variance_power huber_slope"
).split()
WHOLE = "max_depth max_leaves max_bin num_class num_parallel_tree seed nthread verbosity".split()
WORDS = (
    "booster objective tree_method grow_policy interaction_constraints monotone_constraints".split()
)
OURS = ("num_round", "early_stopping_rounds", "eval_metric", "csv_weights")
DEFAULTS = {  # those of a run by hand; a job says all it wants
    "objective": "binary:logistic",
    "eval_metric": "auc",
    "num_round": "120",
    "max_depth": "5",
    "eta": "0.1",
    "subsample": "0.8",
    "colsample_bytree": "0.8",
    "min_child_weight": "2",
    "seed": "7",
}


class Wrong(ValueError):
    """What the caller must mend, in words."""


def read(folder: str, name: str) -> xgboost.DMatrix:
    """All CSV files of a channel, in order of their names."""
    files = sorted(p for p in Path(folder).rglob("*") if p.is_file() and p.name[0] not in "._")
    filled = [p for p in files if p.stat().st_size]
    if not filled:
        raise Wrong(f"channel {name} holds no row: {len(files)} files, all empty")
    try:
        tables = [np.genfromtxt(p, delimiter=",", dtype=np.float64, ndmin=2) for p in filled]
    except ValueError:  # its text quotes the rows
        raise Wrong(f"channel {name}: a file's rows differ in their number of columns") from None
    if len({t.shape[1] for t in tables}) != 1 or tables[0].shape[1] < 2:
        raise Wrong(f"channel {name}: every file needs the same columns, the label first")
    rows = np.vstack(tables)
    if np.isnan(rows[:, 0]).any():
        raise Wrong(f"channel {name}: the first column is the label, and some rows have none")
    return xgboost.DMatrix(rows[:, 1:], label=rows[:, 0], missing=np.nan)


def parameters(given: dict[str, str]) -> tuple[dict, int, int | None]:
    """XGBoost's parameters, the number of rounds, and after how many without progress to stop."""
    known = {*NUMBERS, *WHOLE, *WORDS, *OURS}
    if unknown := sorted(set(given) - known):
        raise Wrong(f"unknown hyperparameters: {', '.join(unknown)}")
    if given.get("csv_weights", "0") != "0":
        raise Wrong("csv_weights is not here: leave it out")
    found: dict = {"tree_method": "hist", "nthread": int(os.environ.get("SM_NUM_CPUS", "2"))}
    rounds, patience = 0, None
    for name, text in given.items():
        try:
            if name in NUMBERS:
                found[name] = float(text)
            elif name in WHOLE:
                found[name] = int(text)
            elif name in WORDS:
                found[name] = text
            elif name == "num_round":
                rounds = int(text)
            elif name == "early_stopping_rounds":
                patience = int(text)
            elif name == "eval_metric":
                found[name] = [part.strip() for part in text.split(",")]
        except ValueError:
            raise Wrong(f"hyperparameter {name}: {text!r} is no number") from None
    if rounds < 1:
        raise Wrong("hyperparameter num_round is required, and at least 1")
    return found, rounds, patience


def job(base: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Hyperparameters and channels' folders of a training job; where there is none, our own and none."""
    config = base / "input" / "config"
    if not (config / "hyperparameters.json").exists():
        return DEFAULTS, {}
    channels = json.loads((config / "inputdataconfig.json").read_text())
    for name, channel in channels.items():
        kind = (channel.get("ContentType") or "").split(";")[0].strip()
        if kind not in ("text/csv", "csv"):  # the algorithm takes what has no type for libsvm
            raise Wrong(
                f"channel {name}: ContentType is {kind or 'not given'}, and must be text/csv"
            )
    if "train" not in channels:
        raise Wrong("the algorithm needs a channel `train`")
    folders = {name: str(base / "input" / "data" / name) for name in channels}
    return json.loads((config / "hyperparameters.json").read_text()), folders


def train(base: Path, arguments: list[str]) -> None:
    """Reads, fits, saves."""
    hyperparameters, channels = job(base)
    options = argparse.ArgumentParser(prog="train.py", allow_abbrev=False)
    options.add_argument("command", nargs="?", choices=["train"], help="what a container is told")
    options.add_argument(
        "--train", default=os.environ.get("SM_CHANNEL_TRAIN", channels.get("train"))
    )
    own = os.environ.get("SM_CHANNEL_VALIDATION", channels.get("validation"))
    options.add_argument("--validation", default=own)
    options.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR", str(base / "model")))
    options.add_argument("--output-data-dir", default=os.environ.get("SM_OUTPUT_DATA_DIR"))
    for name in (*NUMBERS, *WHOLE, *WORDS, *OURS):
        options.add_argument(f"--{name}")
    given = options.parse_args(arguments)
    if not given.train:
        raise Wrong("nothing to train from: give --train, SM_CHANNEL_TRAIN, or a job's channel")
    said = {n: v for n in (*NUMBERS, *WHOLE, *WORDS, *OURS) if (v := getattr(given, n)) is not None}
    chosen, rounds, patience = parameters(hyperparameters | said)

    watched = [(read(given.train, "train"), "train")]
    if given.validation:
        watched.append((read(given.validation, "validation"), "validation"))
    if patience and len(watched) < 2:
        raise Wrong("early_stopping_rounds needs a channel `validation`")
    history: dict = {}
    booster = xgboost.train(
        chosen,
        watched[0][0],
        num_boost_round=rounds,
        evals=watched,
        evals_result=history,
        early_stopping_rounds=patience,
        verbose_eval=True,
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
    shape = watched[0][0]
    print(json.dumps({"rows": shape.num_row(), "columns": shape.num_col(), "metrics": last}))


def main() -> int:
    """Runs it; 1 is a failure whose reason stands in `output/failure` and on standard error."""
    base = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
    try:
        train(base, sys.argv[1:])
        return 0
    except (Wrong, xgboost.core.XGBoostError) as why:
        reason = str(why).strip().splitlines()[0]
        if (base / "input").is_dir():
            (base / "output").mkdir(exist_ok=True)
            (base / "output" / "failure").write_text(reason + "\n")
        print(f"train.py: {reason}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
