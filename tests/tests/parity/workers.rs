//! The paths of a training run: its workers, one invocation for each entity bucket, as a Distributed Map calls them; the
//! command that SageMaker Processing runs; and the job that Glue runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use leat::encode::jsonl;
use leat_lake::parquet::Reader;
use leat_tests::artefacts;
use leat_tests::runtime_api::Function;
use serde_json::{Value, json};

use super::corpus::Dice;
use super::paths::{Cells, Run, flat};

/// After all events of the corpus.
const AFTER: &str = "2100-01-01T00:00:00Z";

/// What a training run made: some rows as a model is trained on, out of fold, the others as it serves.
pub struct Curated {
    pub cells: Cells,
    trained: BTreeSet<String>,
}

impl Curated {
    /// What it has to be: rows of `train` where a model is trained on them, else of `serve`.
    pub fn expected(&self, serve: &Cells, train: &Cells) -> Cells {
        let mut expected = serve.clone();
        for (id, row) in train.iter().filter(|(id, _)| self.trained.contains(*id)) {
            expected.insert(id.clone(), row.clone());
        }
        expected
    }
}

impl Run {
    /// `quality-gate` and `feature-transform` behind the Runtime API over what `cleanse` published: buckets in any order,
    /// by two workers at a time, some of them twice.
    pub fn workers(&self) -> Curated {
        let run = self.training_run("workers");
        let buckets = self.snapshot(&run);
        let state = file_url(&self.folder.join("state.json"));
        let mut dice = Dice(self.dice + 2);
        let mut order: Vec<&Value> = buckets.iter().chain(buckets.first()).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, dice.roll(at + 1));
        }
        let half = order.len().div_ceil(2);
        std::thread::scope(|scope| {
            for share in order.chunks(half) {
                let (run, state) = (&run, &state);
                scope.spawn(move || {
                    let worker = self.worker("feature-transform");
                    for bucket in share {
                        invoke(
                            &worker,
                            &json!({
                                "step": "bucket", "run_folder": run, "bucket": bucket, "state": state,
                                "name": "candidate", "slices": ["train", "evaluate"],
                            }),
                        );
                    }
                });
            }
        });
        self.curated("workers")
    }

    /// `leat curate` over the same files.
    pub fn processing(&self) -> Curated {
        let run = self.training_run("processing");
        self.snapshot(&run);
        let state = file_url(&self.folder.join("state.json"));
        self.leat(&["curate", "--run-folder", &run, "--state", &state, "--name", "candidate"]);
        self.curated("processing")
    }

    /// Spark over the same files, as the Glue job `features` does it.
    pub fn glue(&self) -> Curated {
        let run = self.training_run("glue");
        self.snapshot(&run);
        let lake = self.folder.join("lake");
        self.spark(
            "features",
            &[
                ("--leat-run", &run),
                ("--leat-state", &file_url(&self.folder.join("state.json"))),
                ("--leat-curated", &file_url(&lake.join("curated"))),
                ("--leat-keys", &self.keys()),
            ],
        );
        self.curated("glue")
    }

    /// What the gate says of the run: which files, which buckets, where the slices end.
    fn snapshot(&self, run: &str) -> Vec<Value> {
        let gate = self.worker("quality-gate");
        let name = run.trim_end_matches('/').rsplit('/').next();
        let snapshot = invoke(
            &gate,
            &json!({"step": "snapshot", "run_folder": run, "run": name, "as_of": AFTER}),
        );
        let buckets = snapshot["buckets"].as_array().cloned().unwrap_or_default();
        assert!(buckets.len() > 1, "one bucket is no distribution: {snapshot}");
        for bucket in &buckets {
            invoke(&gate, &json!({"step": "measure", "run_folder": run, "bucket": bucket}));
        }
        let decision = json!({"step": "decide", "run_folder": run, "answer": "result"});
        assert_eq!(invoke(&gate, &decision)["passed"], true);
        buckets
    }

    fn worker(&self, name: &str) -> Function {
        let lake = self.folder.join("lake");
        let folder = |name: &str| format!("{}/", file_url(&lake.join(name)));
        let (recipe, keys) = (file_url(&self.recipe()), self.keys());
        let (artifacts, curated) = (folder("artifacts"), folder("curated"));
        let cleansed = folder("cleansed");
        let mut variables = vec![
            ("LEAT_RECIPE", recipe.as_str()),
            ("LEAT_KEYS", &keys),
            ("LEAT_CLEANSED", &cleansed),
            ("LEAT_ARTIFACTS", &artifacts),
            ("LEAT_CURATED", &curated),
        ];
        variables.extend(self.variables.iter().copied());
        Function::start(&artefacts::binary(name).unwrap(), &variables).unwrap()
    }

    fn training_run(&self, name: &str) -> String {
        let folder = self.folder.join("lake/artifacts/runs/card-transactions").join(name);
        format!("{}/", file_url(&folder))
    }

    /// The rows of a run's curated files.
    fn curated(&self, run: &str) -> Curated {
        let folder =
            self.folder.join(format!("lake/curated/card-transactions/run={run}/name=candidate"));
        let (mut cells, mut trained) = (Cells::new(), BTreeSet::new());
        for file in parquet_files(&folder) {
            let reader = Reader::new(std::fs::File::open(&file).unwrap(), None).unwrap();
            let names: Vec<String> =
                reader.columns().iter().map(|(name, _)| name.clone()).collect();
            let printer = jsonl::Rows::new(names.iter().map(String::as_str));
            for columns in reader {
                let columns = columns.unwrap();
                for row in 0..columns[0].len() {
                    let mut line = Vec::new();
                    printer.row(&columns, row, &mut line);
                    let mut row = flat(line.trim_ascii_end());
                    let id = row.remove("transaction_id").unwrap();
                    let is_trained = row.remove("_slice").as_deref() == Some("train");
                    if is_trained {
                        trained.insert(id.clone());
                    }
                    for name in names.iter().filter_map(|name| name.strip_prefix("_train_")) {
                        let value = row.remove(&format!("_train_{name}"));
                        if let Some(value) = value.filter(|_| is_trained) {
                            row.insert(name.to_owned(), value);
                        }
                    }
                    for other in
                        ["customer_id", "event_time", "is_fraud", "_recipe_hash", "_state_hash"]
                    {
                        assert!(row.remove(other).is_some(), "{id} has no {other}");
                    }
                    assert!(cells.insert(id.clone(), row).is_none(), "{id} was written twice");
                }
            }
        }
        assert!((1..cells.len()).contains(&trained.len()), "both slices have rows");
        Curated { cells, trained }
    }
}

fn invoke(function: &Function, event: &Value) -> Value {
    let answer = function.invoke(event.to_string().as_bytes());
    let answer = answer.unwrap_or_else(|why| panic!("{event}: {why}"));
    serde_json::from_slice(&answer).unwrap()
}

fn file_url(path: &Path) -> String {
    format!("file:{}", path.display())
}

fn parquet_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.unwrap().path().join("part.parquet"))
        .collect();
    files.sort();
    files
}
