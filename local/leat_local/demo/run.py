"""The demo, step by step."""

from __future__ import annotations

import json
import platform
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import yaml

from .. import deploy, stack, training
from ..stack import ROOT, Trouble
from . import measure, without
from .accounts import Account, Stores, identity
from .executions import Follower
from .pipeline import FOLDER, LEAT, RECIPE, Pipeline
from .steps import Steps, waiting

OUT = stack.HOME / "demo"
SEED, CUSTOMERS = 7, 1000
LABELS = f"{RECIPE}-labels"
QUICK = {
    "FirehoseBufferSeconds": "10", "TransformBufferSeconds": "3", "BatchSize": "500", "TrainDaily": "DISABLED",
    "XgboostImage": "xgboost", "LeatImage": "leat", "PollSeconds": "1", "PauseSeconds": "5", "ResumeSeconds": "1", "DrainSeconds": "35", "SealSeconds": "20",
}  # fmt: skip


def run(history: int, live: int, keep: bool, without: str | None = None) -> int:
    """Runs it all; 0 if everything balances and the model is as good as promised.

    `without` names a part that a part without work takes the place of: then it must not be 0.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    steps = Steps(total=11)
    try:
        return Demo(steps, history, live, without).run(keep)
    finally:
        stack.down()


class Demo:
    """One run: what the steps hand on to each other."""

    def __init__(self, steps: Steps, history: int, live: int, without: str | None):
        self.steps, self.events, self.later, self.without = steps, history, live, without
        self.wheel = Path()

    def run(self, keep: bool) -> int:
        with self.steps.step("Build the functions, the command line and the wheel") as say:
            self.build(say)
        with self.steps.step("Start the local AWS") as say:
            local = stack.up(owned=True)
            say(f"{local.endpoint}, every role enforced")
        with self.steps.step("Deploy template.yaml with sam deploy") as say:
            staged = deploy.stage(ROOT / "target" / "fast", ROOT)
            if self.without in staged:
                without.function(staged[self.without])
            outputs = deploy.deploy(local, Wheel=self.wheel.name, **QUICK)
            self.at = Pipeline(local, outputs)
            # Who looks for a failure need not wait as long as who hopes for success.
            self.at.patience = 90 if self.without else self.at.patience
            self.stores = Stores(self.at.client, outputs, RECIPE)
            self.labelled = Stores(self.at.client, outputs, LABELS)
            say(f"functions: {', '.join(deploy.FUNCTIONS)}")
        with self.steps.step("Put the recipe, its rules, the job and the wheel into the lake"):
            self.furnish()
        with self.steps.step("Land a history file: S3 event, trigger, Glue (Spark), cleansed") as say:
            self.land(say)
        with self.steps.step("Train: gate, fit, features, Feature Store, XGBoost, evaluation; promote the first model") as say:
            self.first(say)
        with self.steps.step("Stream live events: features, windows, endpoint, predictions") as say:
            self.stream(say)
        with self.steps.step("The same events through the lake: Firehose, landing, Glue, cleansed") as say:
            self.follow(say)
        with self.steps.step("Land the labels of the live events: a file, Glue, cleansed") as say:
            self.label(say)
        with self.steps.step("Train again on the landed stream and its labels: promote, or refuse with the reason") as say:
            self.second(say)
        with self.steps.step("Accounts, AUC, latency") as say:
            good = self.report(say)
        self.steps.table()
        self.where()
        if keep:
            self.stay(local)
        return 0 if good else 1

    # The steps

    def build(self, say) -> None:
        # All of the default members: a selection would be another set of features, built anew.
        _run("cargo", "build", "--profile", "fast", "--all-targets")
        _run(str(ROOT / "scripts" / "wheel"))
        (self.wheel,) = (ROOT / "dist" / "wheel").glob("*.whl")
        if self.without == without.WHEEL:
            self.wheel = without.wheel(self.wheel, OUT / "wheel")
        say(f"{platform.machine()}, {LEAT.name} and {self.wheel.name}")

    def furnish(self) -> None:
        for path in (*FOLDER.glob("*.yaml"), *FOLDER.glob("*.dqdl")):
            self.at.upload(path, f"artifacts/recipes/{RECIPE}/{path.name}")
        for path in (ROOT / "glue" / "cleanse.py", ROOT / "glue" / "features.py", ROOT / "workflows" / "evaluate.py"):
            self.at.upload(path, f"artifacts/jobs/{path.name}")
        self.at.upload(self.wheel, f"artifacts/wheels/{self.wheel.name}")
        machines = {"train": self.at.out["TrainMachine"], "promote": self.at.out["PromoteMachine"]}
        self.executions = Follower(self.at.client("stepfunctions"), machines, 300 if self.without else 900)

    def land(self, say) -> None:
        path = OUT / "history.jsonl"
        self.generate(path, self.events)
        self.history = path.read_bytes().splitlines(keepends=True)
        self.at.land(path)
        say(f"{len(self.history):,} events in {path.name}; waiting for the job")
        units = self.at.until(self.stores.units, 600, "no unit was published")
        say(f"unit {units[0]['unit']}: {json.dumps(units[0].get('counts', {}))}")

    def first(self, say) -> None:
        done = self.executions.run("train", "first", {}, say)
        if done.status != "SUCCEEDED" or done.error:
            raise Trouble(f"the first training did not promote a model: {done.verdict()}")
        self.state = json.loads(self.at.object_at(self.at.serving()["state"]))
        (OUT / "state.json").write_text(json.dumps(self.state, indent=1) + "\n")
        self.names = [column["name"] for column in self.state["columns"]]
        self.rows = self.at.channel("first", "candidate", "train")
        fraud = sum(label for label, _ in self.rows)
        say(f"trained on {len(self.rows):,} rows, {fraud:,} of them fraud, {len(self.names)} features")
        say(self.at.evaluation("first")["why"])
        self.settle(self.feature_account, 60)
        if problems := self.feature_account().problems():
            raise Trouble(f"the first training's rows are NOT in the Feature Store: {problems[0]}")
        say(f"serving: {self.at.serving()['endpoint']}, state {self.state['hash'][:16]}")

    def fit_model(self, name: str, rows: list) -> Path:
        """Trains on rows of (label, features) in SageMaker's CSV form."""
        channel = OUT / name / "train"
        channel.mkdir(parents=True)
        with (channel / "rows.csv").open("w") as out:
            out.writelines(f"{label},{','.join(cells)}\n" for label, cells in rows)
        return training.train(channel, OUT / name)

    def stream(self, say) -> None:
        path, labels = OUT / "live.jsonl", OUT / "labels.jsonl"
        self.generate(path, self.later, "--skip", str(self.events), "--labels", str(labels))
        self.label_lines = labels.read_bytes().splitlines(keepends=True)
        self.labels = {row["transaction_id"]: int(row["is_fraud"]) for row in map(json.loads, self.label_lines)}
        self.live = path.read_bytes().splitlines(keepends=True)
        self.at.put(self.live)
        say(f"{len(self.live):,} events put; waiting for their predictions")
        self.settle(self.live_account, 300)

    def follow(self, say) -> None:
        self.settle(self.lake_account, 420)
        say(f"{len(self.stores.units())} units published by {len(self.at.runs())} runs")

    def label(self, say) -> None:
        self.at.land(OUT / "labels.jsonl", LABELS)
        units = self.at.until(self.labelled.units, 300, "no unit of labels was published")
        say(f"{len(self.label_lines):,} labels landed; unit {units[0]['unit']}: {json.dumps(units[0].get('counts', {}))}")

    def second(self, say) -> None:
        before = self.at.serving()
        done = self.executions.run("train", "second", {}, say)
        if done.error not in ("", "Model.Worse"):
            raise Trouble(f"the second training failed: {done.verdict()}")
        after = self.at.serving()
        if (after["endpoint"] == before["endpoint"]) != (done.error == "Model.Worse"):
            raise Trouble(f"{done.verdict()}, and yet {after['endpoint']} serves after {before['endpoint']}")
        say(f"{'refused' if done.error else 'promoted'}; {after['endpoint']} serves")

    def report(self, say) -> bool:
        self.settle(self.feature_account, 60)
        accounts = [self.history_account(), self.live_account(), self.lake_account(), self.label_account(), self.feature_account()]
        for account in accounts:
            for row in account.rows():
                say(row)
        predictions = self.stores.predictions()
        (OUT / "predictions.jsonl").write_text("".join(json.dumps(p) + "\n" for p in predictions))
        good = not any(account.problems() for account in accounts)
        good &= self.close(say)
        good &= self.compare_paths(say, live=accounts[1], lake=accounts[2])
        good &= self.compare_streams(say, predictions)
        good &= self.compare_online(say)
        good &= self.quality(say, predictions)
        times = self.at.durations("kinesis-features")
        for share in (0.5, 0.99):
            value = measure.percentile(times, share)
            say(f"latency of {len(times)} batches, p{share * 100:.0f}: {value:,.0f} ms")
        for run in ("first", "second"):
            say(f"{run} model, on its evaluation slice: {self.at.evaluation(run)['why']}")
        for row in self.executions.tables():
            say(row)
        for refused in self.executions.denied():
            say(f"a right is missing: {refused}")
            good = False
        return good

    def where(self) -> None:
        """Where to look afterwards."""
        print(
            f"""
Where to look:
  {OUT}/state.json          what was learned
  {OUT}/predictions.jsonl   each prediction with its features
  {OUT}/labels.jsonl        the labels that came later
  {stack.HOME}/logs/             the local AWS, each Glue run, each endpoint
  recipes/{RECIPE}/  the recipe: change it and run this again"""
        )

    def stay(self, local) -> None:
        """Leaves it running until Ctrl-C."""
        print("\nThe local AWS stays up until Ctrl-C. In another shell:\n")
        for name, value in local.environment().items():
            print(f"  export {name}={value}")
        try:
            signal.pause()
        except KeyboardInterrupt:
            print()

    # Their parts

    def generate(self, path: Path, events: int, *more: str) -> None:
        self.at.leat(
            "generate", RECIPE, "--events", str(events), "--seed", str(SEED),
            "--customers", str(CUSTOMERS), "--output", path, *more,
        )  # fmt: skip

    def settle(self, account, seconds: float) -> None:
        """Waits until an account balances; goes on, and lets the report say why, if it does not."""
        over = time.monotonic() + min(seconds, self.at.patience)
        while (books := account()).problems() and time.monotonic() < over:
            found = sum(len(events) for events in books.places.values())
            waiting("events found", found, len(books.put))
            time.sleep(1)

    def live_account(self) -> Account:
        put = {identity(line) for line in self.live}
        written = {row["id"] for row in self.stores.predictions()}
        seeded = put & {identity(line) for line in self.history}
        places = {
            "written": written,
            "applied with the history": seeded - written,
            "dropped by a rule": set(),
            "quarantined": self.stores.quarantined(f"quarantine/{RECIPE}/date="),
            # What is late, or given up by the mapping, may have been written in part.
            "undelivered": self.stores.undelivered() - written,
            "dead-lettered": self.stores.dead_lettered() - written,
        }
        return Account("stream -> predictions", len(self.live), put, places)

    def lake_account(self) -> Account:
        account = self._lake(
            "stream -> Firehose -> landing -> cleansed", self.live, "landing/stream/"
        )
        account.places["failed in Firehose"] = self.stores.failed()
        return account

    def label_account(self) -> Account:
        put, written, quarantined = {identity(line) for line in self.label_lines}, set(), set()
        for unit in self.labelled.units():
            written |= set(self.labelled.cleansed(unit))
            quarantined |= self.labelled.quarantined(f"quarantine/{LABELS}/unit={unit['unit']}/")
        places = {"written": written, "quarantined": quarantined}
        return Account("labels -> landing -> cleansed", len(self.label_lines), put, places)

    def feature_account(self) -> Account:
        runs = [e.name for e in self.executions.seen if e.machine == "train"]
        put = set().union(*map(self.stores.curated, runs))
        title = f"curated -> Feature Store, {len(runs)} runs"
        return Account(title, len(put), put, {"offline": self.stores.offline()})

    def history_account(self) -> Account:
        return self._lake("file -> landing -> cleansed", self.history, "landing/files/")

    def _lake(self, title: str, lines: list[bytes], prefix: str) -> Account:
        """The books of the units that were made from objects under a prefix, and of no other."""
        put, written, quarantined = {identity(line) for line in lines}, set(), set()
        for unit in self.stores.units() + self.stores.decided("refused"):
            keys = [o["key"] for o in self.stores.manifest(unit["unit"])["objects"]]
            ours = [key.startswith(prefix) for key in keys]
            if any(ours):
                # Rows of a refused unit are read by nobody; what it put aside lies there all the same.
                ids = set(self.stores.cleansed(unit)) if unit["decision"] == "published" else set()
                bad = self.stores.quarantined(f"quarantine/{RECIPE}/unit={unit['unit']}/")
                # A run takes what has landed: a file and the stream may be in one unit.
                written |= ids if all(ours) else ids & put
                quarantined |= bad if all(ours) else bad & put
        return Account(title, len(lines), put, {"written": written, "quarantined": quarantined})

    def close(self, say) -> bool:
        """Every run's end was followed: the ledger has nothing that waits or runs."""
        over = time.monotonic() + 30
        while (rows := self.stores.open() + self.labelled.open()) and time.monotonic() < over:
            time.sleep(1)
        say(f"ledger: NOT closed: {rows[0]} and {len(rows) - 1} more" if rows else "ledger: every object is in a manifest that has ended")
        return not rows

    def compare_paths(self, say, live: Account, lake: Account) -> bool:
        """One recipe: what one path takes for good, the other one does."""
        scored = live.places["written"] | live.places["applied with the history"]
        same = scored == lake.places["written"]
        verdict = "the same" if same else f"NOT the same: {len(scored ^ lake.places['written']):,} in one alone"
        say(f"events scored, and events in the lake: {verdict}")
        return same

    def compare_streams(self, say, predictions: list[dict]) -> bool:
        """The predictions stream holds, at least once each, the rows of the table."""
        table = {row["id"]: row for row in predictions}
        stream = self.stores.predicted_on_the_stream()
        same = all(table.get(row["id"]) == row for row in stream)
        same &= {row["id"] for row in stream} == set(table)
        verdict = "the same rows as the table" if same else "NOT the same rows as the table"
        say(f"predictions stream: {len(stream):,} rows, {verdict}")
        return same

    def compare_online(self, say) -> bool:
        """The online store holds each customer's latest record."""
        latest: dict[str, str] = {}
        for record in self.feature_account().put:
            owner, at, _ = record.split(" ")
            latest[owner] = max(at, latest.get(owner, ""))
        online = self.stores.online(list(latest))
        same = online == {f"{owner} {at}" for owner, at in latest.items()}
        verdict = "the latest of each customer" if same else "NOT the latest of each customer"
        say(f"online Feature Store: {len(online):,} records, {verdict}")
        return same and bool(online)

    def quality(self, say, predictions: list[dict]) -> bool:
        """How good the live predictions are, and what the windows have to do with it."""
        null = sum(p["prediction"] is None for p in predictions)
        if null:
            say(f"! {null:,} predictions are null")
        known = [p for p in predictions if p["id"] in self.labels]
        scored = [p for p in known if p["prediction"] is not None]
        labels = [self.labels[p["id"]] for p in scored]
        scores = [p["prediction"] for p in scored]
        table = _table([[p["features"].get(name) for name in self.names] for p in scored])
        full = measure.auc(labels, scores)
        keep = [i for i, name in enumerate(self.names) if not _of_windows(name)]
        rows = [(label, [cells[i] for i in keep]) for label, cells in self.rows]
        bare = measure.auc(labels, self.predict("without-windows", rows, table[:, keep]))
        shuffled = []
        for seed in range(5):
            shuffle = [label for label, _ in self.rows]
            random.Random(seed).shuffle(shuffle)
            rows = [(label, cells) for label, (_, cells) in zip(shuffle, self.rows, strict=True)]
            shuffled.append(measure.auc(labels, self.predict(f"shuffled-{seed}", rows, table)))
        chance = sum(shuffled) / len(shuffled)
        say(f"AUC of the {len(scored):,} predictions      {full:.3f}  ({sum(labels):,} are fraud)")
        say(f"AUC without the windows ({len(keep)} features)  {bare:.3f}")
        say(f"AUC with shuffled labels (mean of 5)  {chance:.3f}")
        good = full >= bare + 0.05 and abs(chance - 0.5) <= 0.03 and not null
        promise = "every event has a score, windows add 0.05 at least, chance is 0.5 ± 0.03"
        say(f"as promised: {promise}" if good else f"NOT as promised: {promise}")
        return good

    def predict(self, name: str, rows: list, table: np.ndarray) -> list[float]:
        """Scores of another model, trained the same way, on the features of the live events."""
        import xgboost

        self.fit_model(name, rows)
        booster = xgboost.Booster()
        booster.load_model(bytearray((OUT / name / "model" / "xgboost-model").read_bytes()))
        return booster.predict(xgboost.DMatrix(table, missing=np.nan)).tolist()


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT)
    if done.returncode != 0:
        raise Trouble(f"`{' '.join(command)}` failed with {done.returncode}")


def _table(rows: list[list]) -> np.ndarray:
    return np.array([[np.nan if x in (None, "") else float(x) for x in row] for row in rows])


def _of_windows(name: str) -> bool:
    """Whether a feature comes from the recipe's windows."""
    recipe = yaml.safe_load((FOLDER / "recipe.yaml").read_text())
    for window in recipe["windows"]:
        if "session" in window and name.startswith("session_"):
            return True
        for span in window.get("over", []):
            if name == f"count_{span}" or name.endswith(f"_{span}"):
                return True
    return False
