"""Promotions under traffic: while events stream, a model of the same windows is promoted, then one of other windows.

No gap: each event is scored once. No overlap: what the table holds is what the stream of predictions holds. And each
event has, to the bit, the features that a replay gives it under the very recipe and state that scored it: none was
scored with emptier windows than its training twin.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import sys
import threading

from .. import deploy, stack
from ..stack import ROOT, Trouble
from .accounts import Stores
from .pipeline import FOLDER, RECIPE, Pipeline
from .run import LABELS, OUT, QUICK, Demo
from .steps import Steps

AT_ONCE, EVERY = 20, 0.4


def run(history: int, live: int) -> int:
    """Runs it all; 0 if the promotions left no trace in the events."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    try:
        return Traffic(Steps(total=9), history, live, None).run()
    finally:
        stack.down()


class Traffic(Demo):
    """One run; its parts are the demo's."""

    def run(self, keep: bool = False) -> int:
        with self.steps.step("Build the functions, the command line and the wheel") as say:
            self.build(say)
        with self.steps.step("Start the local AWS and deploy template.yaml") as say:
            local = stack.up(owned=True)
            deploy.stage(ROOT / "target" / "fast", ROOT)
            outputs = deploy.deploy(local, Wheel=self.wheel.name, **QUICK)
            self.at = Pipeline(local, outputs)
            self.stores = Stores(self.at.client, outputs, RECIPE)
            self.labelled = Stores(self.at.client, outputs, LABELS)
            self.furnish()
            say(f"{local.endpoint}, every role enforced")
        with self.steps.step("Land a history file and the labels of all events to come") as say:
            self.land(say)
            self.prepare()
            self.label(say)
        with self.steps.step("Promote a first model: the stream starts with seeded windows") as say:
            self.promote("first", say)
        with self.traffic():
            with self.steps.step("Promote a model of the same windows, features by SageMaker Processing") as say:
                landed = len(self.stores.units())
                self.at.until(lambda: len(self.stores.units()) > landed, 120, "nothing of the stream was published")
                self.promote("second", say, {"features_engine": "processing"})
            with self.steps.step("Promote a model of other windows: a hand-over") as say:
                self.deploy_other_windows()
                self.promote("third", say)
                self.promoted.set()
            with self.steps.step("Let the traffic end") as say:
                self.thread.join()
                say(f"{len(self.live):,} events put")
        with self.steps.step("Wait until all is scored and has landed") as say:
            self.settle(self.live_account, 300)
            self.settle(self.lake_account, 420)
        with self.steps.step("Each event against its training twin") as say:
            good = self.compare(say)
        self.steps.table()
        return 0 if good else 1

    def prepare(self) -> None:
        """The events to come, and their labels."""
        path, labels = OUT / "live.jsonl", OUT / "labels.jsonl"
        self.generate(path, self.later, "--skip", str(self.events), "--labels", str(labels))
        self.label_lines = labels.read_bytes().splitlines(keepends=True)
        self.live = path.read_bytes().splitlines(keepends=True)

    def promote(self, name: str, say, given: dict | None = None) -> None:
        """Trains a model and promotes it, however good it is."""
        before = self.at.serving()
        done = self.executions.run("train", name, {"tolerance": 1, **(given or {})}, say)
        if done.status != "SUCCEEDED" or done.error:
            raise Trouble(f"the training `{name}` did not promote a model: {done.verdict()}")
        after = self.at.serving()
        if before and after["endpoint"] == before["endpoint"]:
            raise Trouble(f"`{name}` changed nothing that serves")
        say(f"{after['endpoint']} serves; state plan {after['state_plan'][:16]}")

    def deploy_other_windows(self) -> None:
        """Deploys the recipe with another window: what serves goes on with its own."""
        text = (FOLDER / "recipe.yaml").read_text()
        other = text.replace("over: [1h, 24h]", "over: [1h, 6h, 24h]")
        if other == text:
            raise Trouble(f"{FOLDER}/recipe.yaml has no window `over: [1h, 24h]` to change")
        (OUT / "recipe.yaml").write_text(other)
        self.at.upload(OUT / "recipe.yaml", f"artifacts/recipes/{RECIPE}/recipe.yaml")

    @contextlib.contextmanager
    def traffic(self):
        """Events go onto the stream, a few at a time, until all are there or something failed. However slow the machine
        is, the last ones wait for the last promotion: its model has some to score."""
        stop, producer = threading.Event(), Pipeline(self.at.local, self.at.out)
        self.promoted = threading.Event()

        def produce():
            last = len(self.live) * 9 // 10
            for start in range(0, len(self.live), AT_ONCE):
                if stop.wait(EVERY):
                    return
                while start >= last and not self.promoted.wait(EVERY):
                    if stop.is_set():
                        return
                producer.put(self.live[start : start + AT_ONCE])

        self.thread = threading.Thread(target=produce, daemon=True)
        self.thread.start()
        try:
            yield
        finally:
            stop.set()

    def compare(self, say) -> bool:
        """Whether no event was lost, counted twice, or scored with other windows than its twin's."""
        accounts = [self.live_account(), self.lake_account()]
        for account in accounts:
            for row in account.rows():
                say(row)
        predictions = self.stores.predictions()
        good = not any(account.problems() for account in accounts)
        good &= self.compare_streams(say, predictions)
        unscored = sum(row["prediction"] is None for row in predictions)
        good &= not unscored
        pairs = self.pairs()
        say(f"{'model':<8} {'state':<16} {'events':>8} {'features':>9} {'unlike their twins':>19}")
        for name, pair in pairs.items():
            rows = {row["id"]: row["features"] for row in predictions if row["endpoint"] == pair["endpoint"]}
            twins = self.twins(name, pair)
            unlike = [key for key, features in rows.items() if features != twins.get(key)]
            width = len(next(iter(rows.values()), {}))
            say(f"{name:<8} {pair['state_hash'][:16]:<16} {len(rows):>8,} {width:>9} {len(unlike):>19,}")
            for key in unlike[:3]:
                other = twins.get(key, {})
                say(f"  {key}: " + "; ".join(f"{n} {v} against {other.get(n)}" for n, v in rows[key].items() if other.get(n) != v))
            good &= bool(rows) and not unlike
        say(f"{unscored:,} events without a score")
        say("no gap, no overlap, no emptier window" if good else "NOT without a trace")
        return good

    def pairs(self) -> dict[str, dict]:
        """What was promoted, by the run that made it."""
        s3, bucket = self.at.client("s3"), self.at.out["LakeBucket"]
        found = s3.list_objects_v2(Bucket=bucket, Prefix=f"artifacts/pairs/{RECIPE}/").get("Contents", [])
        pairs = [json.loads(self.at.read(item["Key"])) for item in found]
        return {pair["run"]: pair for name in ("first", "second", "third") for pair in pairs if pair["run"] == name}

    def twins(self, name: str, pair: dict) -> dict[str, dict]:
        """The features of all events by a replay of what landed, under the recipe and the state of `pair`."""
        state, out = OUT / f"{name}.state.json", OUT / f"{name}.features.jsonl"
        state.write_bytes(self.at.object_at(pair["state"]))
        cleansed = f"s3://{self.at.out['LakeBucket']}/cleansed/{RECIPE}/"
        self.at.leat("transform", pair["recipe_url"], cleansed, "--state", state, "--output", out)
        names = [column["name"] for column in json.loads(state.read_text())["columns"]]
        rows = map(json.loads, out.read_text().splitlines())
        return {row["transaction_id"]: {name: row[name] for name in names} for row in rows}
