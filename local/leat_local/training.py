"""Training as SageMaker does it: the script on a channel's CSV, and model.tar.gz of what it saved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "model" / "train.py"


def train(channel: Path, folder: Path, **hyperparameters) -> Path:
    """Runs `model/train.py` on the CSV files of `channel`; gives `folder`/model.tar.gz."""
    model, output = folder / "model", folder / "output"
    for made in (model, output):
        made.mkdir(parents=True, exist_ok=True)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "LEAT_"))}
    env |= {
        "SM_CHANNEL_TRAIN": str(channel),
        "SM_MODEL_DIR": str(model),
        "SM_OUTPUT_DATA_DIR": str(output),
        "SM_NUM_CPUS": str(os.cpu_count() or 1),
    }
    given = [text for name, value in hyperparameters.items() for text in (f"--{name}", str(value))]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *given], env=env, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"the training failed: {done.stderr.strip()[-600:]}")
    archive = folder / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        for file in sorted(model.iterdir()):
            packed.add(file, file.name)
    return archive


def metrics(folder: Path) -> dict:
    """What the script said of its own fit."""
    return json.loads((folder / "output" / "metrics.json").read_text())
