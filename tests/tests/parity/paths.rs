//! The paths: each takes the corpus through the built artefacts, every one in its own process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use leat_tests::artefacts;
use leat_tests::runtime_api::Function;
use serde_json::{Value, json};

use super::corpus::{Corpus, Dice, Record, STREAM};

/// Where a run keeps its files, and how it goes.
pub struct Run {
    pub folder: PathBuf,
    /// Variables that every process gets, such as one that switches parts of the processor off.
    pub variables: Vec<(&'static str, &'static str)>,
    pub dice: u64,
}

/// What a path made: for each id its features, every number as it was printed, which tells its bits.
pub type Cells = BTreeMap<String, BTreeMap<String, String>>;

impl Run {
    pub fn recipe(&self) -> PathBuf {
        self.folder.join("recipe/recipe.yaml")
    }

    pub fn keys(&self) -> String {
        format!("file:{}", self.folder.join("secret").display())
    }

    pub fn leat(&self, arguments: &[&str]) {
        let output = Command::new(artefacts::binary("leat").unwrap())
            .args(arguments)
            .envs(self.variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        // 1 says that some of the data was bad, which is so.
        assert!(
            matches!(output.status.code(), Some(0 | 1)),
            "leat {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Learns the fitted state from the corpus as a file.
    pub fn fit(&self, corpus: &Corpus) {
        std::fs::write(self.folder.join("corpus.jsonl"), &corpus.file).unwrap();
        let (recipe, data, state) =
            (self.recipe(), self.folder.join("corpus.jsonl"), self.folder.join("state.json"));
        self.leat(&[
            "fit",
            text(&recipe),
            text(&data),
            "--landed",
            "--keys",
            &self.keys(),
            "--state",
            text(&state),
        ]);
    }

    /// `leat transform` over `data`, as a model serves.
    pub fn command_line(&self, data: &Path, name: &str) -> Cells {
        self.transform(data, name, "serve")
    }

    /// `leat transform` over `data` in `mode`.
    pub fn transform(&self, data: &Path, name: &str, mode: &str) -> Cells {
        let out = self.folder.join(name);
        let (recipe, state) = (self.recipe(), self.folder.join("state.json"));
        self.leat(&[
            "transform",
            text(&recipe),
            text(data),
            "--landed",
            "--mode",
            mode,
            "--keys",
            &self.keys(),
            "--state",
            text(&state),
            "--output",
            text(&out),
        ]);
        let mut cells = Cells::new();
        for row in rows(&out) {
            let mut row = row;
            let id = row.remove("transaction_id").unwrap_or_default();
            row.remove("customer_id");
            row.remove("event_time");
            assert!(cells.insert(id.clone(), row).is_none(), "{id} was written twice");
        }
        cells
    }

    /// `kinesis-features` behind the Runtime API: batches cut at random, delivered again, and tried again as its answers
    /// ask for.
    pub fn stream(&self, corpus: &Corpus) -> Cells {
        let folder = self.folder.join("stream");
        std::fs::create_dir_all(&folder).unwrap();
        let state: Value =
            serde_json::from_slice(&std::fs::read(self.folder.join("state.json")).unwrap())
                .unwrap();
        let serving = json!({
            "endpoint": null,
            "state": format!("file:{}", self.folder.join("state.json").display()),
            "state_hash": state["hash"],
            "recipe_hash": state["recipe_hash"],
            "state_plan": state["state_plan"],
        });
        std::fs::write(folder.join("serving.json"), serving.to_string()).unwrap();
        let at = |name: &str| format!("file:{}", folder.join(name).display());
        let recipe = format!("file:{}", self.recipe().display());
        let (keys, serving, sink) = (self.keys(), at("serving.json"), at("rows.jsonl"));
        let quarantine = format!("{}/", at("quarantine"));
        let mut variables = vec![
            ("LEAT_RECIPE", recipe.as_str()),
            ("LEAT_KEYS", &keys),
            ("LEAT_STATE", "memory:"),
            ("LEAT_SERVING", &serving),
            ("LEAT_SINKS", &sink),
            ("LEAT_QUARANTINE", &quarantine),
        ];
        variables.extend(self.variables.iter().copied());
        let function =
            Function::start(&artefacts::binary("kinesis-features").unwrap(), &variables).unwrap();
        let mut dice = Dice(self.dice);
        for shard in ["shardId-000000000000", "shardId-000000000001"] {
            let records: Vec<&Record> =
                corpus.records.iter().filter(|record| record.shard == shard).collect();
            let mut next = 0;
            while next < records.len() {
                let end = (next + 1 + dice.roll(120)).min(records.len());
                // Now and then the stream goes back to what was delivered before.
                let begin =
                    if dice.roll(5) == 0 { next.saturating_sub(dice.roll(40)) } else { next };
                let batch = &records[begin..end];
                let answer = function.invoke(kinesis_event(batch).to_string().as_bytes()).unwrap();
                let answer: Value = serde_json::from_slice(&answer).unwrap();
                let failed = answer["batchItemFailures"][0]["itemIdentifier"].as_str();
                let done =
                    failed.and_then(|n| batch.iter().position(|record| record.sequence == n));
                next = match done {
                    Some(at) => begin + at,
                    None if dice.roll(6) == 0 => next, // the answer was lost: all of it comes again
                    None => end,
                };
            }
        }
        drop(function);
        let mut cells = Cells::new();
        for line in lines(&folder.join("rows.jsonl")) {
            let row: BTreeMap<String, Box<serde_json::value::RawValue>> =
                serde_json::from_slice(&line).unwrap();
            let id = unquoted(row["id"].get());
            let features = flat(row["features"].get().as_bytes());
            // At least once, with the same bytes.
            if let Some(before) = cells.insert(id.clone(), features.clone()) {
                assert_eq!(before, features, "{id} was emitted twice, with different features");
            }
        }
        cells
    }

    /// `firehose-transform`, then Spark's `cleanse`, then `leat transform` over what it published.
    pub fn lake(&self, corpus: &Corpus, mutant: bool) -> Cells {
        let folder = self.folder.join("lake");
        let cleansed = folder.join("cleansed");
        if !cleansed.exists() {
            self.land(corpus, &folder);
            self.cleanse(&folder);
        }
        if mutant {
            let changed = self.folder.join("mutant");
            let script = artefacts::root().join("tests/mutants/ulp.py");
            let status = Command::new(artefacts::python().unwrap())
                .args([&script, &cleansed, &changed])
                .status()
                .unwrap();
            assert!(status.success(), "the mutant could not be made");
            return self.command_line(&changed, "mutant.jsonl");
        }
        self.command_line(&cleansed, "lake.jsonl")
    }

    fn land(&self, corpus: &Corpus, folder: &Path) {
        let landing = folder.join("landing/stream/card-transactions");
        std::fs::create_dir_all(&landing).unwrap();
        let recipe = format!("file:{}", self.recipe().display());
        let keys = self.keys();
        let quarantine = format!("file:{}/", folder.join("quarantine").display());
        let large = format!("file:{}/large/", landing.display());
        let mut variables = vec![
            ("LEAT_RECIPE", recipe.as_str()),
            ("LEAT_KEYS", &keys),
            ("LEAT_QUARANTINE", &quarantine),
            ("LEAT_LANDING", &large),
        ];
        variables.extend(self.variables.iter().copied());
        let function =
            Function::start(&artefacts::binary("firehose-transform").unwrap(), &variables).unwrap();
        let mut dice = Dice(self.dice + 1);
        // Firehose takes aggregates apart itself and numbers what was inside.
        let records: Vec<(&Record, Option<usize>)> = corpus
            .records
            .iter()
            .flat_map(|record| match record.users.len() {
                0 => vec![(record, None)],
                n => (0..n).map(|sub| (record, Some(sub))).collect(),
            })
            .collect();
        let (mut next, mut objects) = (0, 0);
        while next < records.len() {
            let end = (next + 1 + dice.roll(200)).min(records.len());
            let event = firehose_event(&records[next..end]);
            let answer: Value =
                serde_json::from_slice(&function.invoke(event.to_string().as_bytes()).unwrap())
                    .unwrap();
            let mut object = Vec::new();
            for record in answer["records"].as_array().unwrap() {
                if record["result"] == "Ok" {
                    let data = record["data"].as_str().unwrap();
                    object.extend(base64_simd::STANDARD.decode_to_vec(data).unwrap());
                }
            }
            std::fs::write(landing.join(format!("{objects:05}.jsonl")), object).unwrap();
            (next, objects) = (end, objects + 1);
        }
    }

    fn cleanse(&self, folder: &Path) {
        let landing = folder.join("landing/stream/card-transactions");
        let mut names: Vec<_> =
            std::fs::read_dir(&landing).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        let objects: Vec<Value> = names
            .iter()
            .map(|path| {
                let size = std::fs::metadata(path).unwrap().len();
                let key = path.strip_prefix(folder).unwrap().to_str().unwrap();
                let bucket = format!("file:{}", folder.display());
                json!({"bucket": bucket, "key": key, "etag": "0", "size": size, "trusted": true})
            })
            .collect();
        let manifest = folder.join("manifest.json");
        let content = json!({
            "leat": 1, "dataset": "card-transactions", "id": "parity", "created": "2026-01-01T00:00:00Z",
            "objects": objects,
        });
        std::fs::write(&manifest, content.to_string()).unwrap();
        let url = |path: &Path| format!("file:{}", path.display());
        self.spark(
            "cleanse",
            &[
                ("--leat-manifest", &url(&manifest)),
                ("--leat-claim", "parity"),
                ("--leat-recipe", &url(&self.recipe())),
                ("--leat-keys", &self.keys()),
                ("--leat-cleansed", &format!("{}/", url(&folder.join("cleansed")))),
                ("--leat-quarantine", &format!("{}/", url(&folder.join("quarantine")))),
                ("--leat-buckets", "4"),
            ],
        );
    }

    /// A Glue job's script in Spark, with its arguments.
    pub fn spark(&self, job: &str, arguments: &[(&str, &str)]) {
        let output = Command::new(artefacts::python().unwrap())
            .arg(artefacts::root().join("glue").join(format!("{job}.py")))
            .args(["--JOB_NAME", job])
            .args(arguments.iter().flat_map(|(name, value)| [name, value]))
            .envs(self.variables.iter().copied())
            .env("SPARK_LOCAL_IP", "127.0.0.1")
            .env("PYSPARK_PYTHON", artefacts::python().unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "{job}.py: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn lines(path: &Path) -> Vec<Vec<u8>> {
    let data = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    data.split(|&b| b == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    lines(path).iter().map(|line| flat(line)).collect()
}

/// An object's members, each value as it was printed.
pub fn flat(line: &[u8]) -> BTreeMap<String, String> {
    let row: BTreeMap<String, Box<serde_json::value::RawValue>> = serde_json::from_slice(line)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(line)));
    row.into_iter().map(|(name, value)| (name, unquoted(value.get()))).collect()
}

fn unquoted(value: &str) -> String {
    serde_json::from_str::<String>(value).unwrap_or_else(|_| value.to_owned())
}

fn kinesis_event(records: &[&Record]) -> Value {
    let records: Vec<Value> = records
        .iter()
        .map(|record| {
            json!({
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": record.partition_key,
                    "sequenceNumber": record.sequence,
                    "data": base64_simd::STANDARD.encode_to_string(&record.data),
                    "approximateArrivalTimestamp": record.arrival as f64 / 1000.0,
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": format!("{}:{}", record.shard, record.sequence),
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": "arn:aws:iam::000000000000:role/leat",
                "awsRegion": "us-east-1",
                "eventSourceARN": format!("arn:aws:kinesis:us-east-1:000000000000:stream/{STREAM}"),
            })
        })
        .collect();
    json!({ "Records": records })
}

fn firehose_event(records: &[(&Record, Option<usize>)]) -> Value {
    let records: Vec<Value> = records
        .iter()
        .enumerate()
        .map(|(index, (record, sub))| {
            let data = sub.map_or(&record.data, |sub| &record.users[sub]);
            json!({
                "recordId": format!("{index}"),
                "approximateArrivalTimestamp": record.arrival + 900,
                "data": base64_simd::STANDARD.encode_to_string(data),
                "kinesisRecordMetadata": {
                    "sequenceNumber": record.sequence,
                    "subsequenceNumber": sub.unwrap_or(0),
                    "partitionKey": record.partition_key,
                    "shardId": record.shard,
                    "approximateArrivalTimestamp": record.arrival,
                },
            })
        })
        .collect();
    json!({
        "invocationId": "parity",
        "deliveryStreamArn": "arn:aws:firehose:us-east-1:000000000000:deliverystream/leat-test-landing",
        "sourceKinesisStreamArn": format!("arn:aws:kinesis:us-east-1:000000000000:stream/{STREAM}"),
        "region": "us-east-1",
        "records": records,
    })
}
